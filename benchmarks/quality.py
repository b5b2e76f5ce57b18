"""What each format costs in quality: KL divergence, agreement and perplexity against float32.

    python benchmarks/quality.py stories-3m path/to/another-model

prints a Markdown table. llama.cpp's formats are there when llama-cpp-python is installed: it
quantises the weights, from a float32 GGUF file that pyqtf writes, and pyqtf computes with the
result in float32. So its rows hold the error of the weights alone, while q8 and q4 also round
activations. llama.cpp stores matrices whose rows are no multiple of 256 in larger formats than
Q4_K_M says; the bits tell. What q4 is calibrated with are stories by the same program as those that
are scored, from another seed, or the file that --calibration names.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyqtf
from pyqtf import bundled
from pyqtf.evaluation.compare import compare_models
from pyqtf.models.registry import tensor_shapes
from pyqtf.models.weights import packed_bytes

_PEERS = ("Q8_0", "Q4_0", "Q4_K_M")
_SEED, _TEXTS = 7, 50
_HEADER = """\
| model | format | bits a weight | KL, nats a token | same top token | perplexity (95 % interval) |
| --- | --- | ---: | ---: | ---: | ---: |"""


def other_stories() -> list[str]:
    """Generate stories that are neither scored nor trained on."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
    from stories import generate

    return [story["text"] for story in islice(generate(_SEED), _TEXTS)]


def llama_quantize(source: Path, target: Path, dtype: str) -> None:
    """Quantise a GGUF file with llama.cpp, in its default mixture of types."""
    import llama_cpp

    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{dtype}")
    paths = str(source).encode(), str(target).encode()
    if llama_cpp.llama_model_quantize(*paths, ctypes.byref(params)) != 0:
        raise RuntimeError(f"llama.cpp did not write {dtype}")


def candidates(name: str, peers: tuple[str, ...], folder: Path) -> Iterator[tuple[str, int, Path]]:
    """Yield the format, the bytes of weights, and what to load; each file is deleted again."""
    source = folder / "f32.gguf"
    pyqtf.export_gguf(name, source, dtype="F32")
    for dtype in peers:
        target = folder / f"{dtype}.gguf"
        llama_quantize(source, target, dtype)
        tensors = pyqtf.formats.read_gguf(target).tensors.values()
        yield dtype, sum(t.stored().nbytes for t in tensors), target
        target.unlink()


def rows(
    name: str, peers: tuple[str, ...], stories: list[str], calibration: list[str]
) -> Iterator[str]:
    """Yield the table's rows for one model."""
    exact = pyqtf.load(name, quant="f32")
    n_weights = sum(math.prod(shape) for shape in tensor_shapes(exact.config).values())

    def row(label: str, n_bytes: int, model: pyqtf.Model) -> str:
        done = compare_models(exact, model, stories)
        change, low, high = (100 * (ratio - 1) for ratio in done.perplexity_ratio)
        return (
            f"| {exact.name} | {label} | {8 * n_bytes / n_weights:.2f} | {done.kl.value:.1e} "
            f"| {100 * done.agreement.value:.2f} % | {change:+.2f} % ({low:+.2f} to {high:+.2f}) |"
        )

    for quant in ("q8", "q4"):
        model = pyqtf.load(name, quant=quant)
        yield row(quant, packed_bytes(exact.config, quant), model)
    model = pyqtf.load(name, quant="q4", calibration=calibration, progress=False)
    yield row("q4, calibrated", packed_bytes(exact.config, "q4"), model)
    with tempfile.TemporaryDirectory() as folder:
        for label, n_bytes, path in candidates(name, peers, Path(folder)):
            yield row(label, n_bytes, pyqtf.load(path, quant="f32"))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", help="names or folders of trained models")
    parser.add_argument("--stories", type=int, default=50, help="how many of the bundled stories")
    parser.add_argument("--calibration", metavar="FILE", help="stories to calibrate q4 with")
    args = parser.parse_args()
    try:
        import llama_cpp

        silent = llama_cpp.llama_log_callback(lambda level, text, data: None)
        llama_cpp.llama_log_set(silent, ctypes.c_void_p(0))
        peers = _PEERS
    except ImportError:
        print("llama-cpp-python is not installed: its formats are left out.\n")
        peers = ()
    stories = [story["text"] for story in bundled.stories()[: args.stories]]
    calibration = other_stories()
    if args.calibration:
        calibration = [story["text"] for story in pyqtf.read_stories(args.calibration)]
    print(_HEADER)
    for name in args.models:
        for line in rows(name, peers, stories, calibration):
            print(line, flush=True)


if __name__ == "__main__":
    main()
