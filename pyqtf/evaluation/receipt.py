"""What a number depends on: the protocol, which must match, and the provenance, which is shown."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from pyqtf.evaluation.interface import LanguageModel, Tokenizer
from pyqtf.evaluation.protocol import Protocol

Value = str | int | None

# Digests of vocabularies, which take a second for a large one, while their tokenizer lives.
_digests: WeakKeyDictionary[Tokenizer, str] = WeakKeyDictionary()


class ProtocolMismatchError(ValueError):
    """Two numbers were made by different protocols, so they don't compare."""


@dataclass(frozen=True)
class Receipt:
    """Everything that decides a perplexity.

    Attributes
    ----------
    protocol : mapping of str to value
        Fields that must be equal before two numbers may be compared: ``protocol``, ``tokenizer``
        (digest of its vocabulary), ``prefix`` (token put before the text), ``first_token``
        ("scored" or "not scored"), ``context`` (number and digest of its tokens, which are encoded
        apart from the text's; or "none"), ``window``, ``stride``,
        ``remainder``, ``averaging``, ``text`` (digest), ``ids`` (digest of the tokens that the
        text was cut into: of one vocabulary, tokenizers of other merges, split patterns or
        normalisation differ here if they do in this text, whatever files they came from).
    provenance : mapping of str to value
        Fields that may differ: ``model``, ``weights`` (fingerprint before quantisation),
        ``quant``, ``calibration`` (number of texts and tokens and their digest, or "none"),
        ``pyqtf``, ``isa``, ``chat_template`` (digest, or "none").
    """

    protocol: Mapping[str, Value]
    provenance: Mapping[str, Value]

    def check_comparable(self, other: Receipt) -> None:
        """Raise ProtocolMismatchError, naming every field of the protocol that differs.

        Examples
        --------
        >>> a = Receipt({"protocol": "gptq", "window": 2048}, {"isa": "avx2"})
        >>> b = Receipt({"protocol": "gptq", "window": 512}, {"isa": "avx2"})
        >>> a.check_comparable(b)
        Traceback (most recent call last):
        ...
        pyqtf.evaluation.receipt.ProtocolMismatchError: these numbers don't compare: window is \
2048 for one and 512 for the other
        """
        fields = unlike(self.protocol, other.protocol)
        if fields:
            raise ProtocolMismatchError(f"these numbers don't compare: {'; '.join(fields)}")

    def differences(self, other: Receipt) -> list[str]:
        """Sentences on where the provenance differs; not an error.

        Examples
        --------
        >>> Receipt({}, {"isa": "avx2"}).differences(Receipt({}, {"isa": "baseline"}))
        ['isa is avx2 for one and baseline for the other']
        """
        return unlike(self.provenance, other.provenance)

    def to_json(self) -> str:
        """As JSON, for a file beside the numbers."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Receipt:
        """Read what `to_json` wrote.

        Raises
        ------
        ValueError
            `text` is no receipt.

        Examples
        --------
        >>> receipt = Receipt({"protocol": "gptq"}, {"isa": "avx2"})
        >>> Receipt.from_json(receipt.to_json()) == receipt
        True
        """
        try:
            found = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"this is no receipt: {error}") from None
        parts = {"protocol", "provenance"}
        if not isinstance(found, dict) or set(found) != parts:
            raise ValueError("this is no receipt: expected an object of 'protocol', 'provenance'")
        return cls(found["protocol"], found["provenance"])


def make_receipt(
    model: LanguageModel,
    texts: Sequence[str],
    sequences: Sequence[NDArray[np.integer]],
    protocol: Protocol,
    *,
    tokenizer: Tokenizer | None = None,
    context: NDArray[np.int32] | None = None,
) -> Receipt:
    """Receipt of a number that `model` gives for `texts` by `protocol`.

    `sequences` are the ids of each text, `tokenizer` is another one than the model's, and `context`
    the ids that stood before the text.
    """
    before = np.empty(0, np.int32) if context is None else context
    return Receipt(
        protocol={
            "tokenizer": tokenizer_digest(tokenizer or model.tokenizer),
            **protocol_fields(protocol, model.config.max_position_embeddings, before),
            "text": digest(texts),
            "ids": digest(ids.astype("<i4").tobytes() for ids in sequences),
        },
        provenance=provenance(model),
    )


def protocol_fields(
    protocol: Protocol, limit: int | None, context: NDArray[np.int32]
) -> dict[str, Value]:
    """Fields of a receipt that follow from the protocol alone.

    `limit` is the most tokens that the model reads, and `context` the ids before the text.
    """
    window = protocol.window
    if window is None and protocol.name != "per-story":
        window = limit
    of_prefix = protocol.prefix != "none" and protocol.name != "llama.cpp"
    return {
        "protocol": protocol.name,
        "prefix": protocol.prefix,
        "first_token": "scored" if of_prefix or len(context) else "not scored",
        "context": _context(context),
        "window": window,
        "stride": protocol.stride,
        "remainder": protocol.remainder,
        "averaging": protocol.averaging,
    }


def _context(ids: NDArray[np.int32]) -> str:
    """Its length, digest, and how the boundary to the text is tokenised."""
    if not len(ids):
        return "none"
    return f"{len(ids)} tokens {digest([str(ids.tolist())])}, encoded apart"


def provenance(model: LanguageModel) -> dict[str, Value]:
    """Where a model's numbers come from."""
    import pyqtf

    template = getattr(model.tokenizer, "chat_template", None)
    return {
        "model": model.name,
        "weights": getattr(model, "fingerprint", None),
        "quant": model.quant,
        "calibration": calibration_of(model),
        "pyqtf": pyqtf.__version__,
        "isa": isa_of(model),
        "chat_template": "none" if template is None else digest([json.dumps(template)]),
    }


def calibration_of(model: LanguageModel) -> str:
    """What a model's weights were calibrated with, or "none"."""
    return getattr(model, "calibration", None) or "none"


def isa_of(model: LanguageModel) -> str:
    """Instruction set that scores: this process's, or a worker's where the model is there."""
    from pyqtf import _core

    return getattr(model, "isa", "") or str(_core.cpu_info()["isa"])


def tokenizer_digest(tokenizer: Tokenizer) -> str:
    """Digest of a tokenizer's vocabulary: every token with its id."""
    if tokenizer not in _digests:
        vocab: dict[str, int] = getattr(tokenizer, "vocab", {})
        _digests[tokenizer] = digest(f"{index}\t{token}" for token, index in sorted(vocab.items()))
    return _digests[tokenizer]


def digest(parts: Iterable[str | bytes]) -> str:
    """Twenty hexadecimal digits that stand for some texts or bytes in their order.

    Examples
    --------
    >>> digest(["a", "b"]) == digest(["ab"])
    False
    """
    hasher = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8") if isinstance(part, str) else part
        hasher.update(len(data).to_bytes(8, "little"))
        hasher.update(data)
    return hasher.hexdigest()[:20]


def unlike(a: Mapping[str, Value], b: Mapping[str, Value]) -> list[str]:
    """Say of each field that differs what both hold.

    Examples
    --------
    >>> unlike({"window": 512}, {"window": 2048, "stride": 512})
    ['window is 512 for one and 2048 for the other', 'stride is None for one and 512 for the other']
    """
    return [
        f"{name} is {a.get(name)} for one and {b.get(name)} for the other"
        for name in dict.fromkeys([*a, *b])
        if a.get(name) != b.get(name)
    ]


def to_line(fields: Mapping[str, Value]) -> str:
    """One half of a receipt in a cell of a table; fields that are None are left out.

    Examples
    --------
    >>> to_line({"protocol": "gptq", "window": 2048, "stride": None})
    'protocol=gptq; window=2048'
    """
    return "; ".join(
        f"{name}={str(value).replace(';', ',')}"
        for name, value in fields.items()
        if value is not None
    )


def parse_line(line: str) -> dict[str, str]:
    """Read what `to_line` wrote; values are text.

    Examples
    --------
    >>> parse_line("protocol=gptq; window=2048")
    {'protocol': 'gptq', 'window': '2048'}
    """
    parts = (part.partition("=") for part in line.split("; ") if part)
    return {name: value for name, _, value in parts}
