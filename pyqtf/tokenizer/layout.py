"""How ``tokenizer(...)`` lays ids out: cut to a length, padded, as rows or as one array."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Options of apply_chat_template that are no variables of the template.
CHAT_OPTIONS = frozenset(
    {
        *("continue_final_message", "return_assistant_tokens_mask", "tokenizer_kwargs"),
        "sanitize_control_tokens",
    }
)
# Options of transformers that ask for nothing when they are None, False or 0.
_LEFT_OUT = CHAT_OPTIONS | {
    *("text_pair", "pair", "text_target", "text_pair_target", "stride", "is_split_into_words"),
    *("pad_to_multiple_of", "return_token_type_ids", "return_overflowing_tokens", "verbose"),
    *("return_special_tokens_mask", "return_length", "clean_up_tokenization_spaces"),
}


def refuse_options(call: str, options: Mapping[str, Any]) -> None:
    """Raise TypeError for the first option that asks for something; none of them is known here."""
    for name, value in options.items():
        nothing = value is None or (isinstance(value, (bool, int)) and not value)
        if not (nothing and name in _LEFT_OUT):
            raise TypeError(f"{call}: pyqtf has no option {name}={value!r:.80}; leave it out")


class Encoding(dict[str, Any]):
    """What ``tokenizer(...)`` returns: a dict whose entries are attributes, too.

    Examples
    --------
    >>> Encoding(input_ids=[3, 4]).input_ids
    [3, 4]
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"there is no {name!r} here, only {', '.join(self)}") from None


@dataclass(frozen=True)
class Layout:
    """The options of ``tokenizer(...)`` that lay ids out.

    Parameters
    ----------
    padding
        True or ``"longest"``: fill every text up to the longest; ``"max_length"``: up to
        `max_length`; False or ``"do_not_pad"``: not at all.
    truncation
        True, ``"longest_first"`` or ``"only_first"``: cut texts to `max_length` at their end, the
        template's tokens kept; False or ``"do_not_truncate"``: don't. None does when `max_length`
        is given without `padding`, as in transformers.
    max_length
        In tokens.
    padding_side
        ``"right"`` or ``"left"``.
    return_tensors
        ``"np"``: one int64 array [texts, T] for each entry; None: a row for each text.

    Raises
    ------
    ValueError
        An option has another value, or lacks the one that it needs.
    """

    padding: bool | str = False
    truncation: bool | str | None = None
    max_length: int | None = None
    padding_side: str = "right"
    return_tensors: str | None = None

    def __post_init__(self) -> None:
        _check("padding", self.padding, (True, False, "longest", "max_length", "do_not_pad"))
        _check("padding_side", self.padding_side, ("right", "left"))
        cuts = (True, False, None, "longest_first", "only_first", "do_not_truncate")
        _check("truncation", self.truncation, cuts)
        if self.return_tensors not in (None, "np"):
            raise ValueError(
                f"return_tensors={self.return_tensors!r}: pyqtf makes NumPy arrays; pass "
                "return_tensors='np' and, for torch, torch.from_numpy(found['input_ids'])"
            )
        length = self.max_length
        if length is not None and (
            isinstance(length, bool) or not isinstance(length, (int, np.integer)) or length < 1
        ):
            raise ValueError(f"max_length={length!r}: expected a number of tokens, 1 or more")
        if length is None and self.padding == "max_length":
            raise ValueError("padding='max_length' needs max_length=, a number of tokens")
        if length is None and self.truncation not in (None, False, "do_not_truncate"):
            raise ValueError(
                f"truncation={self.truncation!r} needs max_length=, a number of tokens"
            )

    @property
    def pads(self) -> bool:
        """Whether shorter texts are filled up."""
        return self.padding not in (False, "do_not_pad")

    @property
    def limit(self) -> int | None:
        """The most tokens of a text, None for all."""
        if self.truncation is None:
            return None if self.pads else self.max_length
        return None if self.truncation in (False, "do_not_truncate") else self.max_length

    def cut(self, row: NDArray[Any], around: tuple[int, int]) -> NDArray[Any]:
        """Return a row [T, ...] at the limit, keeping what the template put `around` the text."""
        if self.limit is None or len(row) <= self.limit:
            return row
        before, behind = around
        if self.limit < before + behind:
            raise ValueError(
                f"max_length={self.limit}: the tokenizer alone adds {before + behind} tokens"
            )
        return np.concatenate([row[: self.limit - behind], row[len(row) - behind :]])

    def arrange(self, rows: list[NDArray[Any]], filler: int) -> Any:
        """Return rows [T, ...] padded with `filler`, as one array where that was asked for."""
        longest = max((len(row) for row in rows), default=0)
        width = self.max_length if self.padding == "max_length" and self.max_length else longest
        if self.pads:
            rows = [self._pad(row, max(0, width - len(row)), filler) for row in rows]
        if self.return_tensors is None:
            return rows
        lengths = sorted({len(row) for row in rows})
        if len(lengths) > 1:
            raise ValueError(
                f"return_tensors='np': the texts have {lengths[0]} to {lengths[-1]} tokens, which "
                "is no array; pass padding=True"
            )
        return np.stack(rows).astype(np.int64) if rows else np.zeros((0, 0), np.int64)

    def _pad(self, row: NDArray[Any], n: int, filler: int) -> NDArray[Any]:
        fill = np.full((n, *row.shape[1:]), filler, row.dtype)
        return np.concatenate([row, fill] if self.padding_side == "right" else [fill, row])


def _check(name: str, value: object, known: Iterable[object]) -> None:
    # 0 == False and 1 == True, so types count, too.
    if not any(type(value) is type(other) and value == other for other in known):
        raise ValueError(
            f"{name}={value!r:.80}: expected one of {', '.join(repr(other) for other in known)}"
        )
