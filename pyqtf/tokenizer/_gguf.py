"""The vocabulary inside a GGUF file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyqtf.tokenizer import patterns
from pyqtf.tokenizer._files import byte_level_json
from pyqtf.tokenizer._metaspace import is_metaspace, metaspace_json, puts_space, scores_of

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
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED, _BYTE = 1, 2, 3, 4, 5, 6


_IS_BYTE = re.compile("<0x[0-9A-F]{2}>")


class _Values:
    """The metadata under ``tokenizer.ggml``, with errors that name the key."""

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        self._metadata = metadata

    def get(self, name: str) -> Any:
        return self._metadata.get(f"tokenizer.ggml.{name}")

    def strings(self, name: str) -> list[str]:
        values = [] if self.get(name) is None else self.get(name)
        if not isinstance(values, list) or not all(isinstance(text, str) for text in values):
            raise ValueError(f"tokenizer.ggml.{name} is {values!r:.80}, expected a list of strings")
        return values

    def kinds(self, n_tokens: int) -> list[int]:
        kinds = self.get("token_type")
        if kinds is None:
            return [_NORMAL] * n_tokens
        if not isinstance(kinds, np.ndarray) or kinds.dtype.kind not in "iu":
            raise ValueError(f"tokenizer.ggml.token_type is {kinds!r:.80}, expected integers")
        if len(kinds) != n_tokens:
            raise ValueError(f"{n_tokens} tokens, but {len(kinds)} token types")
        found: list[int] = kinds.tolist()
        return found

    def scores(self, n_tokens: int) -> NDArray[np.floating[Any]]:
        scores = self.get("scores")
        if not isinstance(scores, np.ndarray) or scores.dtype.kind != "f":
            raise ValueError(f"tokenizer.ggml.scores is {scores!r:.80}, expected numbers")
        if len(scores) != n_tokens or not np.isfinite(scores).all():
            raise ValueError(f"{n_tokens} tokens, but {np.isfinite(scores).sum()} finite scores")
        return scores

    def token_id(self, name: str, n_tokens: int) -> int | None:
        """Return the id of the bos or eos token, None where there is none."""
        value = self.get(f"{name}_token_id")
        if value is None:
            return None
        if not isinstance(value, np.integer):
            raise ValueError(f"the {name} token's id is {value!r:.80}, expected an integer")
        if not 0 <= value < n_tokens:
            raise ValueError(f"the {name} token is unknown: its id is {value}, of {n_tokens}")
        return int(value)

    def flag(self, name: str, missing: bool = False) -> bool:
        value = self.get(name)
        if value is not None and not isinstance(value, bool):
            raise ValueError(f"tokenizer.ggml.{name} is {value!r:.80}, expected true or false")
        return missing if value is None else value


def _template(values: _Values, tokens: list[str], adds_bos: bool) -> dict[str, Any] | None:
    before, behind = values.flag("add_bos_token", adds_bos), values.flag("add_eos_token")
    if not before and not behind:
        return None
    single: list[dict[str, Any]] = [{"Sequence": {"id": "A", "type_id": 0}}]
    special = {}
    for wanted, name, place in ((before, "bos", 0), (behind, "eos", len(single) + 1)):
        if wanted:
            token_id = values.token_id(name, len(tokens))
            if token_id is None:
                raise ValueError(f"it adds a {name} token, but doesn't say which")
            token = tokens[token_id]
            single.insert(place, {"SpecialToken": {"id": token, "type_id": 0}})
            special[token] = {"id": token, "ids": [token_id], "tokens": [token]}
    return {"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": special}


class Vocabulary(NamedTuple):
    """A GGUF file's tokenizer: a ``tokenizer.json``, and what stands in files beside it."""

    json: bytes
    special: dict[str, str | None]  # bos_token, eos_token and chat_template


def _byte_level_json(values: _Values, vocab: dict[str, int]) -> dict[str, Any]:
    model, pre = values.get("model"), values.get("pre")
    model = model if isinstance(model, str) else None
    if model != "gpt2" or not isinstance(pre, str) or pre not in _SPLITS:
        raise ValueError(
            f"its vocabulary is of model {model!r:.80} and pre-tokeniser {pre!r:.80}, expected "
            f"'llama', or 'gpt2' and one of {', '.join(_SPLITS)}"
        )
    merges = [merge.split(" ", 1) for merge in values.strings("merges")]
    pairs = [(merge[0], merge[-1]) for merge in merges]
    document = byte_level_json(vocab, pairs, _SPLITS[pre], nfc=pre in _NFC)
    document["model"]["ignore_merges"] = pre in _IGNORE_MERGES
    return document


def _scored_json(values: _Values, vocab: dict[str, int]) -> dict[str, Any]:
    scores = values.scores(len(values.strings("tokens")))
    used = scores[np.fromiter(vocab.values(), np.int64, len(vocab))]
    if used.size > 512 and (used == used[0]).mean() > 0.9:
        raise ValueError(
            f"nearly all of its tokens have the score {used[0]:g}: the order of its merges was "
            "lost when it was written"
        )
    if values.flag("remove_extra_whitespaces"):
        raise ValueError("tokenizer.ggml.remove_extra_whitespaces is true, expected false")
    return metaspace_json(vocab, scores, space_prefix=values.flag("add_space_prefix", True))


def read_vocabulary(metadata: Mapping[str, Any]) -> Vocabulary:
    """Return the vocabulary in a GGUF file's metadata.

    Raises
    ------
    ValueError
        The metadata are broken, or the vocabulary is neither byte-level BPE with a known split nor
        SentencePiece's BPE.
    """
    values = _Values(metadata)
    tokens = values.strings("tokens")
    kinds = values.kinds(len(tokens))
    if len(set(tokens)) < len(tokens):
        raise ValueError("its vocabulary has a token twice")
    scored = values.get("model") == "llama"
    apart = (_CONTROL, _USER_DEFINED, _UNKNOWN) if scored else (_CONTROL, _USER_DEFINED)
    added = [i for i, kind in enumerate(kinds) if kind in apart]
    # The rows that pad the embedding to a round number are no tokens.
    out = {*added, *(i for i, kind in enumerate(kinds) if kind == _UNUSED)}
    vocab = {token: i for i, token in enumerate(tokens) if i not in out}
    document = _scored_json(values, vocab) if scored else _byte_level_json(values, vocab)
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    document["added_tokens"] = [
        {"id": i, "content": tokens[i], **flags, "special": kinds[i] != _USER_DEFINED}
        for i in added
    ]
    document["post_processor"] = _template(values, tokens, adds_bos=scored)

    def named(name: str) -> str | None:
        token_id = values.token_id(name, len(tokens))
        return None if token_id is None else tokens[token_id]

    template = metadata.get("tokenizer.chat_template")
    if template is not None and not isinstance(template, str):
        raise ValueError(f"tokenizer.chat_template is {template!r:.80}, expected a string")
    special = {"bos_token": named("bos"), "eos_token": named("eos"), "chat_template": template}
    return Vocabulary(json.dumps(document).encode(), special)


def vocabulary_metadata(
    text: bytes,
    n_rows: int,
    *,
    bos_token_id: int | None,
    eos_token_id: int | None,
    chat_template: str | None,
) -> dict[str, Any]:
    """Return the metadata that tell llama.cpp of a tokenizer.

    Parameters
    ----------
    text : bytes
        A ``tokenizer.json`` that pyqtf reads.
    n_rows : int
        Rows of the model's embedding; those that belong to no token are marked as unused.
    bos_token_id, eos_token_id, chat_template
        What stands in ``tokenizer_config.json``, None where it doesn't.

    Raises
    ------
    ValueError
        llama.cpp has no name for the way the tokenizer splits texts, it adds more to a text than a
        token on either side, or there are more tokens than rows.
    """
    document = json.loads(text)
    before, behind = _added_tokens(document.get("post_processor"))
    tokens = [f"[PAD{i}]" for i in range(n_rows)]
    kinds = np.full(n_rows, _UNUSED, np.int32)
    scored = is_metaspace(document)
    named = [
        (token, i, _BYTE if scored and _IS_BYTE.fullmatch(token) else _NORMAL)
        for token, i in document["model"]["vocab"].items()
    ]
    for token in document.get("added_tokens") or []:
        kind = _CONTROL if token.get("special") else _USER_DEFINED
        named.append((token["content"], token["id"], kind))
    for token, i, kind in named:
        if i >= n_rows:
            raise ValueError(f"the token {token!r:.80} has id {i}, but there are {n_rows} rows")
        tokens[i], kinds[i] = token, kind
    unknown = document["model"].get("unk_token")
    if scored and unknown in tokens:
        kinds[tokens.index(unknown)] = _UNKNOWN
    merges = document["model"].get("merges") or []
    own: dict[str, Any] = (
        {
            "model": "llama",
            "pre": "default",
            "scores": scores_of(document, n_rows),
            "add_space_prefix": puts_space(document),
        }
        if scored
        else {
            "model": "gpt2",
            "pre": _name_of_split(document),
            "merges": [merge if isinstance(merge, str) else " ".join(merge) for merge in merges],
        }
    )
    values = {
        **own,
        "tokens": tokens,
        "token_type": kinds,
        "bos_token_id": bos_token_id if before is None else before,
        "eos_token_id": eos_token_id if behind is None else behind,
        "add_bos_token": before is not None,
        "add_eos_token": behind is not None,
    }
    metadata = {f"tokenizer.ggml.{k}": value for k, value in values.items() if value is not None}
    if chat_template is not None:
        metadata["tokenizer.chat_template"] = chat_template
    return metadata


def _added_tokens(step: dict[str, Any] | None) -> tuple[int | None, int | None]:
    """Return the tokens that a ``post_processor`` puts before and behind a text."""
    steps = (step or {}).get("processors", [step or {}])
    templates = [part for part in steps if part.get("type") == "TemplateProcessing"]
    if not templates:
        return None, None
    pieces = [next(iter(piece.items())) for piece in templates[0]["single"]]
    kinds = tuple(kind for kind, _ in pieces)
    at = kinds.index("Sequence") if "Sequence" in kinds else 2
    special = [templates[0]["special_tokens"][p["id"]]["ids"] for k, p in pieces if k != "Sequence"]
    if len(templates) > 1 or at > 1 or len(kinds) > at + 2 or any(len(ids) != 1 for ids in special):
        raise ValueError(
            "a tokenizer that adds more to a text than a token on either side can't be written"
        )
    ids = [found[0] for found in special]
    return ids[0] if at else None, ids[-1] if len(kinds) > at + 1 else None


def _name_of_split(document: dict[str, Any]) -> str:
    """Return llama.cpp's name for the way a ``tokenizer.json`` splits texts."""
    step = document["pre_tokenizer"]
    splits: list[str] = []
    for part in step.get("pretokenizers", [step]):
        if part["type"] == "Split":
            splits.append(part["pattern"]["Regex"])
        elif part["type"] == "Digits" and part.get("individual_digits"):
            splits.append(patterns.DIGIT)
        elif part["type"] == "ByteLevel" and not part.get("add_prefix_space", True):
            splits += [patterns.GPT2] * part.get("use_regex", True)
        else:
            raise ValueError(f"llama.cpp has no name for the pre_tokenizer {part!r:.80}")
    facts = (
        tuple(splits),
        document.get("normalizer") is not None,
        bool(document["model"].get("ignore_merges")),
    )
    for name, known in _SPLITS.items():
        if facts == (known, name in _NFC, name in _IGNORE_MERGES):
            return name
    raise ValueError(f"llama.cpp has no name for the split patterns {splits!r:.200}")
