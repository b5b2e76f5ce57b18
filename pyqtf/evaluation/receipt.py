"""What a number depends on: the protocol, which must match, and the provenance, which is shown."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from pyqtf.evaluation.interface import LanguageModel, Tokenizer
from pyqtf.evaluation.protocol import Protocol


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
        ("scored" or "not scored"), ``context`` (digest, or "none"), ``window``, ``stride``,
        ``remainder``, ``averaging``, ``text`` (digest).
    provenance : mapping of str to value
        Fields that may differ: ``model``, ``weights`` (fingerprint before quantisation),
        ``quant``, ``pyqtf``, ``isa``, ``chat_template`` (digest, or "none").
    """

    protocol: Mapping[str, str | int | None]
    provenance: Mapping[str, str | int | None]

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
        unlike = _unlike(self.protocol, other.protocol)
        if unlike:
            raise ProtocolMismatchError(f"these numbers don't compare: {'; '.join(unlike)}")

    def differences(self, other: Receipt) -> list[str]:
        """Sentences on where the provenance differs; not an error.

        Examples
        --------
        >>> Receipt({}, {"isa": "avx2"}).differences(Receipt({}, {"isa": "baseline"}))
        ['isa is avx2 for one and baseline for the other']
        """
        return _unlike(self.provenance, other.provenance)

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


def make_receipt(model: LanguageModel, texts: Sequence[str], protocol: Protocol) -> Receipt:
    """Receipt of a number that `model` gives for `texts` by `protocol`."""
    window = protocol.window
    if window is None and protocol.name != "per-story":
        window = model.config.max_position_embeddings
    scored = protocol.prefix != "none" and protocol.name != "llama.cpp"
    return Receipt(
        protocol={
            "protocol": protocol.name,
            "tokenizer": tokenizer_digest(model.tokenizer),
            "prefix": protocol.prefix,
            "first_token": "scored" if scored else "not scored",
            "context": "none",
            "window": window,
            "stride": protocol.stride,
            "remainder": protocol.remainder,
            "averaging": protocol.averaging,
            "text": digest(texts),
        },
        provenance=provenance(model),
    )


def provenance(model: LanguageModel) -> dict[str, str | int | None]:
    """Where a model's numbers come from."""
    import pyqtf

    template = getattr(model.tokenizer, "chat_template", None)
    return {
        "model": model.name,
        "weights": getattr(model, "fingerprint", None),
        "quant": model.quant,
        "pyqtf": pyqtf.__version__,
        "isa": isa_of(model),
        "chat_template": "none" if template is None else digest([json.dumps(template)]),
    }


def isa_of(model: LanguageModel) -> str:
    """Instruction set that scores: this process's, or a worker's where the model is there."""
    from pyqtf import _core

    return getattr(model, "isa", "") or str(_core.cpu_info()["isa"])


def tokenizer_digest(tokenizer: Tokenizer) -> str:
    """Digest of a tokenizer's vocabulary: every token with its id."""
    vocab: dict[str, int] = getattr(tokenizer, "vocab", {})
    return digest(f"{index}\t{token}" for token, index in sorted(vocab.items()))


def digest(texts: Iterable[str]) -> str:
    """Twenty hexadecimal digits that stand for some texts in their order.

    Examples
    --------
    >>> digest(["a", "b"]) == digest(["ab"])
    False
    """
    hasher = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8")
        hasher.update(len(data).to_bytes(8, "little"))
        hasher.update(data)
    return hasher.hexdigest()[:20]


def _unlike(a: Mapping[str, str | int | None], b: Mapping[str, str | int | None]) -> list[str]:
    return [
        f"{name} is {a.get(name)} for one and {b.get(name)} for the other"
        for name in dict.fromkeys([*a, *b])
        if a.get(name) != b.get(name)
    ]
