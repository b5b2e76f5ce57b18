"""The vocabulary inside a GGUF file."""

from __future__ import annotations

import json
import struct
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from pyqtf.tokenizer import patterns
from pyqtf.tokenizer._files import byte_level_json

# The split patterns by the name in tokenizer.ggml.pre.
_SPLITS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("gpt-2", "phi-2", "mpt", "olmo", "jais", "dolma"), (patterns.GPT2,)),
    **dict.fromkeys(
        ("starcoder", "refact", "smollm", "codeshell", "command-r"), (patterns.DIGIT, patterns.GPT2)
    ),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen", "stablelm2"), (patterns.QWEN2,)),
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "dbrx"), (patterns.LLAMA3,)),
    "gpt-4o": (patterns.O200K,),
    "tekken": (patterns.TEKKEN,),
    "deepseek-v3": patterns.DEEPSEEK,
    "deepseek-coder": patterns.DEEPSEEK_CODER,
}
_NFC = ("qwen2", "deepseek-r1-qwen")
_IGNORE_MERGES = ("llama-bpe", "llama3", "llama-v3", "tekken", "gpt-4o")
_FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q"}
_FORMATS[12] = "d"
_STRING, _ARRAY = 8, 9
_CONTROL, _USER_DEFINED = 3, 4


class _Reader:
    """Reads little-endian values one after the other."""

    def __init__(self, data: mmap) -> None:
        self.data = data
        self.at = 0

    def numbers(self, form: str) -> tuple[Any, ...]:
        size = struct.calcsize(f"<{form}")
        if size > len(self.data) - self.at:
            raise ValueError(f"the file ends inside its metadata, at byte {len(self.data)}")
        found = struct.unpack_from(f"<{form}", self.data, self.at)
        self.at += size
        return found

    def string(self) -> str:
        (length,) = self.numbers("Q")
        start = self.at
        if length > len(self.data) - start:
            raise ValueError(f"the file ends inside a string of {length} bytes")
        self.at += length
        return self.data[start : self.at].decode("utf-8")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            item, count = self.numbers("IQ")
            if item == _STRING:
                return [self.string() for _ in range(min(count, len(self.data)))]
            if item in _FORMATS and count <= len(self.data):
                return list(self.numbers(f"{count}{_FORMATS[item]}"))
            raise ValueError(f"an array of {count} items of type {item}")
        if kind not in _FORMATS:
            raise ValueError(f"a value of type {kind}")
        return self.numbers(_FORMATS[kind])[0]


def _metadata(path: Path) -> dict[str, Any]:
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        reader = _Reader(data)
        magic, version, _, count = reader.numbers("4sIQQ")
        if magic != b"GGUF" or version not in (2, 3):
            raise ValueError(f"expected GGUF version 2 or 3, got {magic!r} version {version}")
        found = {}
        for _ in range(min(count, len(data))):
            name = reader.string()
            found[name] = reader.value(reader.numbers("I")[0])
        return found


def _template(metadata: dict[str, Any], tokens: list[str]) -> dict[str, Any] | None:
    before = metadata.get("tokenizer.ggml.add_bos_token", False)
    behind = metadata.get("tokenizer.ggml.add_eos_token", False)
    if not before and not behind:
        return None
    single: list[dict[str, Any]] = [{"Sequence": {"id": "A", "type_id": 0}}]
    special = {}
    for wanted, name, place in ((before, "bos", 0), (behind, "eos", len(single) + 1)):
        if wanted:
            token_id = metadata.get(f"tokenizer.ggml.{name}_token_id", -1)
            if not 0 <= token_id < len(tokens):
                raise ValueError(f"it adds a {name} token, but its id is {token_id}")
            token = tokens[token_id]
            single.insert(place, {"SpecialToken": {"id": token, "type_id": 0}})
            special[token] = {"id": token, "ids": [token_id], "tokens": [token]}
    return {"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": special}


def read_gguf(path: Path) -> tuple[bytes, str | None, str | None, str | None]:
    """Return a GGUF file's vocabulary as a ``tokenizer.json``, BOS, EOS and the chat template.

    Raises
    ------
    ValueError
        The file is broken, or its vocabulary is not byte-level BPE with a known split.
    """
    try:
        metadata = _metadata(path)
    except (ValueError, OverflowError, MemoryError) as error:
        raise ValueError(f"not a GGUF file that can be read: {error}") from None
    model, pre = (metadata.get(f"tokenizer.ggml.{name}") for name in ("model", "pre"))
    if model != "gpt2" or pre not in _SPLITS:
        raise ValueError(
            f"its vocabulary is of model {model!r} and pre-tokeniser {pre!r}, expected "
            f"'gpt2' and one of {', '.join(_SPLITS)}"
        )
    tokens: list[str] = metadata.get("tokenizer.ggml.tokens", [])
    kinds: list[int] = metadata.get("tokenizer.ggml.token_type", [1] * len(tokens))
    if len(kinds) != len(tokens):
        raise ValueError(f"{len(tokens)} tokens, but {len(kinds)} token types")
    merges = [merge.split(" ", 1) for merge in metadata.get("tokenizer.ggml.merges", [])]
    added = [i for i, kind in enumerate(kinds) if kind in (_CONTROL, _USER_DEFINED)]
    if len(set(tokens)) < len(tokens):
        raise ValueError("its vocabulary has a token twice")
    apart = set(added)
    vocab = {token: i for i, token in enumerate(tokens) if i not in apart}
    document = byte_level_json(
        vocab, [(merge[0], merge[-1]) for merge in merges], _SPLITS[pre], nfc=pre in _NFC
    )
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    document["added_tokens"] = [
        {"id": i, "content": tokens[i], **flags, "special": kinds[i] == _CONTROL} for i in added
    ]
    document["post_processor"] = _template(metadata, tokens)
    document["model"]["ignore_merges"] = pre in _IGNORE_MERGES

    def named(name: str) -> str | None:
        token_id = metadata.get(f"tokenizer.ggml.{name}_token_id")
        return tokens[token_id] if isinstance(token_id, int) and token_id < len(tokens) else None

    template = metadata.get("tokenizer.chat_template")
    return json.dumps(document).encode(), named("bos"), named("eos"), template
