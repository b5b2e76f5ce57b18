"""Random strings over all of Unicode: the same as tokenizers and tiktoken, or a failure.

    pip install tokenizers tiktoken
    python tests/fuzz/compare_tokenizers.py FOLDER [--strings 200000] [--seed 0]

Byte-level vocabularies are compared by their ids, those of characters with byte fallback by ids,
offsets and decoded texts; the latter are trained on the way, for each form of pipeline, and further
files can be named with --also. FOLDER holds ``qwen2.5/tokenizer.json``,
``tokenizers/gpt-neox/20B_tokenizer.json`` and tiktoken's files under ``tokenizers/tiktoken``.
Characters where tokenizers' NFC contradicts the standard are found first, printed, and left out of
the strings for tokenizers that normalise.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tiktoken
import tokenizers

from pyqtf.tokenizer import Tokenizer
from pyqtf.tokenizer._tiktoken import ENCODINGS

sys.path.insert(0, str(Path(__file__).parents[1]))
from metaspace_tokenizers import PIPELINES, document

PIECES = [
    *(
        " ",
        "  ",
        "    ",
        "\n",
        "\n\n",
        "\r\n",
        "\r",
        "\t",
        "\x0b",
        "\x85",
        "\u00a0",
        "\u2028",
        "\u3000",
    ),
    *("'s", "'S", "'\u017f", "'t", "'re", "'VE", "'ll", "'LL", "'d", "'M", "'", "''", "\u2019s"),
    *("0", "12", "345", "6789", "1234567890", "\u0661\u0662\u0663", "\u216b", "\u00bd", "\u00b2"),
    *(
        "the",
        " the",
        "The",
        "THE",
        "McDonald",
        "iPhone",
        "\u01c5",
        "\u00aa",
        "\u02b0",
        "stra\u00dfe",
    ),
    *(
        "e\u0301",
        "\u00e9",
        "\u0301",
        "\u1100\u1161\u11a8",
        "\uac01",
        "\u0928\u093f",
        "\u0e01\u0e31",
    ),
    *(
        "\u4f60\u597d",
        "\u65e5\u672c",
        "\u30ab\u30bf",
        "\u3042",
        "\ud55c\uad6d",
        "\u0645\u0631",
        "\u05d0",
    ),
    *("\U0001f469\u200d\U0001f680", "\U0001f3f3\ufe0f\u200d\U0001f308", "\U0001f1e9\U0001f1ea"),
    *(
        "\U0001f44d\U0001f3fd",
        "#\ufe0f\u20e3",
        "...",
        "!?",
        "//",
        "/\n",
        "_",
        "-",
        "\u2014",
        "$",
        "\u20ac",
    ),
    *("\x00", "\x01", "\x7f", "\u200b", "\u200d", "\ufeff", "\ufffd", "\ufdd0", "\U0010ffff"),
    *(
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|",
        "<tool_call>",
        "http://a.b/c?d=1",
        "x_1 = f(y)",
    ),
    *(
        "\u2581",
        "\u2581\u2581",
        "<s>",
        "</s>",
        "<0x0A>",
        "bab",
        "aaaa",
        "\u4f60",
        "\u0441\u043b\u043e\u0432\u043e",
    ),
]
BLOCKS = [(0, 0x80), (0x80, 0x250), (0x250, 0x800), (0x800, 0x2000), (0x2000, 0x3100)]
BLOCKS += [(0x3100, 0xD800), (0xE000, 0x10000), (0x10000, 0x20000), (0x1F000, 0x1FB00)]
BLOCKS += [(0x20000, 0x32400), (0xE0000, 0xE0200), (0xE000, 0x110000)]


def strings(rng: random.Random, n: int, left_out: set[str]) -> Iterator[str]:
    """Yield strings of pieces, characters of one block, and runs."""
    for _ in range(n):
        parts = []
        for _ in range(rng.randrange(1, 16)):
            kind = rng.random()
            if kind < 0.5:
                parts.append(rng.choice(PIECES))
            elif kind < 0.9:
                start, stop = rng.choice(BLOCKS)
                parts.append(
                    "".join(chr(rng.randrange(start, stop)) for _ in range(rng.randrange(4)))
                )
            else:
                parts.append(rng.choice(PIECES) * rng.randrange(1, 8))
        text = "".join(parts)
        yield text if left_out.isdisjoint(text) else "".join(c for c in text if c not in left_out)


def nfc_contradictions() -> set[str]:
    """Return the characters for which tokenizers' NFC is not the standard's, alone or not."""
    nfc = tokenizers.normalizers.NFC()
    document = json.loads(Tokenizer.example_json()) | {"normalizer": {"type": "NFC"}}
    bare = Tokenizer.from_json(json.dumps(document))
    found = set()
    for c in map(chr, (*range(0xD800), *range(0xE000, 0x110000))):
        for context in (c, "a" + c, c + "\u0301", "\u0f71" + c, "a\u0315" + c, "a" + c + "\u0315"):
            if bare.decode(bare.encode(context)) != nfc.normalize_str(context):
                found.add(c)
                break
    return found


def ranges(characters: set[str]) -> str:
    """Return code points as ranges."""
    out: list[list[int]] = []
    for point in sorted(map(ord, characters)):
        if out and out[-1][1] == point - 1:
            out[-1][1] = point
        else:
            out.append([point, point])
    return ", ".join(f"{a:04X}" if a == b else f"{a:04X}-{b:04X}" for a, b in out)


def everything(ours: Tokenizer, oracle: Any) -> tuple[Callable[[str], Any], Callable[[str], Any]]:
    """Return what gives ids, offsets and the decoded text of a string, from both."""

    def found(text: str) -> Any:
        ids, offsets = ours.encode_offsets(text)
        return ids.tolist(), [tuple(pair) for pair in offsets.tolist()], ours.decode(ids)

    def expected(text: str) -> Any:
        encoding = oracle.encode(text, add_special_tokens=False)
        ids = encoding.ids
        return ids, encoding.offsets, oracle.decode(ids, skip_special_tokens=False)

    return found, expected


def pairs(
    folder: Path, also: list[Path]
) -> Iterator[tuple[str, bool, Callable[[str], Any], Callable[[str], Any]]]:
    """Yield name, whether it normalises, and what gives ours and the reference's of a text."""
    texts = {
        f"{pipeline}, {words}": json.dumps(document(pipeline, words))
        for pipeline in PIPELINES
        for words in ("words", "across")
    }
    for name, text in (texts | {str(path): path.read_text("utf-8") for path in also}).items():
        oracle = tokenizers.Tokenizer.from_str(text)
        yield name, False, *everything(Tokenizer.from_json(text), oracle)
    for name in ("qwen2.5/tokenizer.json", "tokenizers/gpt-neox/20B_tokenizer.json"):
        oracle = tokenizers.Tokenizer.from_file(str(folder / name))
        ours = Tokenizer.from_file(folder / name)
        yield (
            name,
            True,
            lambda text, ours=ours: ours.encode(text).tolist(),
            lambda text, oracle=oracle: oracle.encode(text).ids,
        )
    for name in ("r50k_base", "cl100k_base", "o200k_base"):
        path = folder / "tokenizers" / "tiktoken" / f"{name}.tiktoken"
        lines = (line.split() for line in path.read_bytes().split(b"\n") if line)
        encoding = tiktoken.Encoding(
            name,
            pat_str=ENCODINGS[name].pattern,
            mergeable_ranks={base64.b64decode(token): int(rank) for token, rank in lines},
            special_tokens=ENCODINGS[name].special,
        )
        ours = Tokenizer.from_file(path)
        yield (
            name,
            False,
            lambda text, ours=ours: ours.encode(text).tolist(),
            lambda text, e=encoding: e.encode(text, allowed_special="all"),
        )


def main() -> int:
    """Compare; 1 when anything differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--strings", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--also", type=Path, nargs="*", default=[])
    args = parser.parse_args()
    left_out = nfc_contradictions()
    print(f"tokenizers' NFC contradicts the standard at {len(left_out)} characters:")
    print(ranges(left_out))
    failures = 0
    for name, normalises, ours, theirs in pairs(args.folder, args.also):
        rng = random.Random(args.seed)
        wrong = 0
        for text in strings(rng, args.strings, left_out if normalises else set()):
            if ours(text) != theirs(text):
                wrong += 1
                if wrong <= 5:
                    print(f"{name}: {text!r}\n  ours   {ours(text)}\n  theirs {theirs(text)}")
        print(f"{name}: {args.strings} strings, {wrong} differ", flush=True)
        failures += wrong
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
