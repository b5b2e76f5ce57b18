"""What tiktoken files don't say: split patterns and special tokens, by the encoding's name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pyqtf import _core
from pyqtf.tokenizer import patterns


@dataclass(frozen=True)
class Encoding:
    """What goes with a tiktoken file."""

    pattern: str
    special: dict[str, int]
    bos: str | None = None
    eos: str | None = "<|endoftext|>"


def _llama3() -> Encoding:
    named = {0: "begin_of_text", 1: "end_of_text", 6: "start_header_id", 7: "end_header_id"}
    named[9] = "eot_id"
    special, reserved = {}, 0
    for i in range(256):
        name = named.get(i, f"reserved_special_token_{reserved}")
        reserved += i not in named
        special[f"<|{name}|>"] = 128000 + i
    return Encoding(patterns.LLAMA3, special, bos="<|begin_of_text|>", eos="<|end_of_text|>")


_FILL = {"<|fim_prefix|>": 100258, "<|fim_middle|>": 100259, "<|fim_suffix|>": 100260}
ENCODINGS = {
    "r50k_base": Encoding(patterns.GPT2, {"<|endoftext|>": 50256}),
    "p50k_base": Encoding(patterns.GPT2, {"<|endoftext|>": 50256}),
    "cl100k_base": Encoding(
        patterns.CL100K, {"<|endoftext|>": 100257, **_FILL, "<|endofprompt|>": 100276}
    ),
    "o200k_base": Encoding(patterns.O200K, {"<|endoftext|>": 199999, "<|endofprompt|>": 200018}),
    "llama3": _llama3(),
}


def read_tiktoken(path: Path, name: str | None) -> tuple[_core.Tokenizer, Encoding]:
    """Return the tables of a tiktoken file and what its encoding's name adds."""
    name = name or ("llama3" if path.name == "tokenizer.model" else path.stem)
    if name not in ENCODINGS:
        raise ValueError(
            f"{name!r} is not an encoding that is known; pass encoding=, one of "
            f"{', '.join(ENCODINGS)}"
        )
    data = path.read_bytes()
    if path.name == "tokenizer.model" and b"\x00" in data[:4096]:
        raise ValueError("this is a SentencePiece model, expected a tokenizer.json in its place")
    encoding = ENCODINGS[name]
    core = _core.Tokenizer(data, encoding.pattern)
    for token, token_id in encoding.special.items():
        core.add_special(token, token_id)
    return core, encoding
