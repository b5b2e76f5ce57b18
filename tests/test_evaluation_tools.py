"""The same weights under the tools themselves: every protocol gives what its tool gives.

llama-cpp-python is compared where it is installed: pip has to compile it, so no extra asks for it.
"""

import importlib.util
import math
import re
import shutil

import numpy as np
import pytest

import pyqtf
from pyqtf.evaluation.measure import measure

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

NAME = "stories-80k"
LLAMA_CPP = importlib.util.find_spec("llama_cpp") is not None


@pytest.fixture(scope="module")
def text():
    return "\n\n".join(story["text"] for story in pyqtf.bundled.stories()[:12])


@pytest.fixture(scope="module")
def model():
    return pyqtf.load(NAME, quant="f32")


@pytest.fixture(scope="module")
def reference():
    folder = pyqtf.bundled.path(NAME)
    found = transformers.Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return found.eval()


def test_per_story(model, reference, text):
    text = text[:3000]
    ids = torch.tensor(model.tokenizer.encode(text)[None].astype(np.int64))
    with torch.no_grad():
        expected = math.exp(reference(ids, labels=ids).loss.item())
    assert measure(model, text).perplexity == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("window", "stride"), [(256, 128), (256, 256), (100, 7), (64, 1)])
def test_hf_stride(model, reference, text, window, stride):
    """The loop of the transformers documentation, run on transformers' own loss."""
    text = text[: None if stride > 50 else 60 * stride + 300]
    ids = torch.tensor(model.tokenizer.encode(text)[None].astype(np.int64))
    total, n_tokens, end_before = 0.0, 0, 0
    for begin in range(0, ids.size(1), stride):
        end = min(begin + window, ids.size(1))
        target = ids[:, begin:end].clone()
        target[:, : -(end - end_before)] = -100
        with torch.no_grad():
            loss = reference(ids[:, begin:end], labels=target).loss
        n_loss = int((target != -100).sum()) - 1
        total, n_tokens, end_before = total + loss.item() * n_loss, n_tokens + n_loss, end
        if end == ids.size(1):
            break
    found = measure(model, text, "hf-stride", window=window, stride=stride)
    assert found.perplexity == pytest.approx(math.exp(total / n_tokens), rel=1e-5)


def test_gptq(model, reference, text):
    """Loss of each window times its length, by all of these lengths, as GPTQ evaluates."""
    window = 128
    ids = torch.tensor(model.tokenizer.encode(text)[None].astype(np.int64))
    n = ids.size(1) // window
    total = 0.0
    for i in range(n):
        batch = ids[:, i * window : (i + 1) * window]
        with torch.no_grad():
            logits = reference(batch).logits
        loss = torch.nn.functional.cross_entropy(logits[0, :-1], batch[0, 1:])
        total += loss.item() * window
    expected = math.exp(total / (n * window))
    found = measure(model, text, "gptq-2048", window=window)
    assert found.perplexity == pytest.approx(expected, rel=1e-5)


def test_lm_eval(model, text, tmp_path):
    pytest.importorskip("lm_eval")
    from lm_eval.api.instance import Instance
    from lm_eval.api.metrics import bits_per_byte, weighted_perplexity
    from lm_eval.models.huggingface import HFLM

    folder = tmp_path / NAME
    shutil.copytree(pyqtf.bundled.path(NAME), folder)
    shutil.copy(pyqtf.bundled.path(NAME).parent / "tokenizer.json", folder)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    tokenizer.eos_token = "<|endoftext|>"
    tokenizer.save_pretrained(folder)
    harness = HFLM(pretrained=str(folder), device="cpu", dtype="float32", max_length=100,
                   batch_size=4)  # fmt: skip
    texts = [text, text[:50]]
    requests = [Instance("loglikelihood_rolling", {}, (one,), i) for i, one in enumerate(texts)]
    expected = -sum(harness.loglikelihood_rolling(requests, disable_tqdm=True))
    model.tokenizer.eos_token_id = tokenizer.eos_token_id
    found = measure(model, texts, "lm-eval", window=100)
    assert found.nll == pytest.approx(expected, rel=1e-5)
    # What the harness's wikitext task makes of these sums.
    words = sum(len(re.split(r"\s+", one)) for one in texts)
    n_bytes = sum(len(one.encode()) for one in texts)
    assert found.word_perplexity == pytest.approx(
        weighted_perplexity([(-expected, words)]), rel=1e-5
    )
    assert found.byte_perplexity == pytest.approx(
        weighted_perplexity([(-expected, n_bytes)]), rel=1e-5
    )
    assert found.bits_per_byte == pytest.approx(bits_per_byte([(-expected, n_bytes)]), rel=1e-5)


if LLAMA_CPP:

    @pytest.mark.parametrize("window", [64, 200])
    def test_llama_cpp(model, text, tmp_path, window):
        import llama_cpp

        path = tmp_path / "model.gguf"
        pyqtf.export_gguf(NAME, path, dtype="F32")
        tool = llama_cpp.Llama(str(path), n_ctx=window, logits_all=True, verbose=False)
        ids = model.tokenizer.encode(text).tolist()
        nll = []
        for start in range(0, len(ids) - window + 1, window):
            chunk = ids[start : start + window]
            tool.reset()
            tool.eval(chunk)
            logits = torch.tensor(np.array(tool.scores[:window]))
            logprobs = logits.log_softmax(dim=-1)
            nll += [-logprobs[i, chunk[i + 1]].item() for i in range(window // 2, window - 1)]
        found = measure(model, text, "llama.cpp", window=window)
        assert found.perplexity == pytest.approx(math.exp(np.mean(nll)), rel=1e-4)
        assert found.n_scored == len(nll)
