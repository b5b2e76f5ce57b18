"""Which perplexity? How each tool cuts a text into windows, and how it averages them.

A perplexity belongs to its protocol: what the model reads at once, which tokens are scored, and
how the losses are averaged. The protocols here give the numbers of the tools they are named
after, on the same text and the same weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Window:
    """What a model reads at once.

    Attributes
    ----------
    ids : int32 [w]
        The tokens, an added first token included.
    first : int
        The first of them that is scored, at least 1; the others to the end are scored too.
    weight : float
        How much the mean loss of this window counts.
    """

    ids: Ids
    first: int
    weight: float

    @property
    def n_scored(self) -> int:
        """Number of tokens that are scored."""
        return len(self.ids) - self.first


@dataclass(frozen=True)
class Protocol:
    """How a text becomes one perplexity: exp(sum(weight * mean loss) / sum(weight)) over windows.

    Attributes
    ----------
    name : str
        One of `PROTOCOLS`.
    window : int or None
        Most tokens of the text in a window; None for as many as the model can read.
    stride : int or None
        How far the window moves; None where the name settles it.
    prefix : {"none", "bos", "eos"}
        Token put before a window, so that the text's first token can be scored.
    averaging : str
        In words, for the receipt.
    remainder : {"kept", "dropped"}
        What happens to a last piece that fills no window.
    """

    name: str
    window: int | None
    stride: int | None
    prefix: str
    averaging: str
    remainder: str

    def windows(self, ids: Ids, *, limit: int, prefix_id: int | None = None) -> list[Window]:
        """Cut a text.

        Parameters
        ----------
        ids : int32 [T]
            The text's tokens, without any added one.
        limit : int
            The model's `max_position_embeddings`.
        prefix_id : int, optional
            The token that `prefix` names.

        Returns
        -------
        list of Window

        Raises
        ------
        ValueError
            The window or stride is out of range, the prefix token is missing, or the text is too
            short or (for "per-story") too long.

        Examples
        --------
        >>> windows = GPTQ.change(window=4).windows(np.arange(10, dtype=np.int32), limit=100)
        >>> [(w.ids.tolist(), w.first, w.weight) for w in windows]
        [([0, 1, 2, 3], 1, 4), ([4, 5, 6, 7], 1, 4)]
        """
        if self.prefix != "none" and prefix_id is None:
            raise ValueError(
                f"protocol {self.name} puts the {self.prefix} token before the text, and this "
                "tokenizer has none"
            )
        size = limit if self.window is None else self.window
        if not 2 <= size <= limit:
            raise ValueError(
                f"window is {self.window}; this model can read 2 to {limit} tokens at once"
            )
        if self.stride is not None and not 1 <= self.stride <= size:
            raise ValueError(f"stride is {self.stride}; expected 1 to {size}, the window")
        found = _CUT[self.name](ids, size, self.stride, prefix_id)
        if not found:
            raise ValueError(
                f"the text has {len(ids)} tokens, too few for protocol {self.name} with a window "
                f"of {size}"
            )
        longest = max(len(window.ids) for window in found)
        if longest > limit:
            raise ValueError(
                f"protocol {self.name} has the model read {longest} tokens at once here, and this "
                f"model can read {limit}; "
                + (
                    f"choose a window of at most {limit - 1}"
                    if self.name == "lm-eval"
                    else "use a protocol with windows, such as hf-stride"
                )
            )
        return found

    def change(
        self,
        *,
        window: int | None = None,
        stride: int | None = None,
        prefix: str | None = None,
    ) -> Protocol:
        """Return the same protocol with another window, stride or prefix.

        Raises
        ------
        ValueError
            The protocol has no window or stride, or knows no such prefix.

        Examples
        --------
        >>> HF_STRIDE.change(stride=256).stride
        256
        """
        if window is not None and self.name == "per-story":
            raise ValueError("protocol per-story has no window: every story is read whole")
        if stride is not None and self.stride is None:
            raise ValueError(f"protocol {self.name} has no stride of its own to change")
        if prefix is not None and prefix not in _PREFIXES[self.name]:
            raise ValueError(
                f"prefix is {prefix!r}; protocol {self.name} takes "
                f"{' or '.join(_PREFIXES[self.name])}"
            )
        return replace(
            self,
            window=self.window if window is None else window,
            stride=self.stride if stride is None else stride,
            prefix=self.prefix if prefix is None else prefix,
        )


_PREFIXES = {
    "per-story": ("none", "bos", "eos"),
    "hf-stride": ("none",),
    "gptq": ("none",),
    "llama.cpp": ("none", "bos"),
    "lm-eval": ("bos", "eos"),
}

PER_STORY = Protocol("per-story", None, None, "none", "all scored tokens alike", "kept")
"""Every story alone; its first token is not scored."""

HF_STRIDE = Protocol(
    "hf-stride", None, 512, "none", "windows, each by its new tokens less one", "kept"
)
"""The sliding window of the transformers documentation on perplexity: each window scores the
tokens that the one before did not reach, with what stands before them in the window as context.
Its mean loss is weighted by the number of new tokens less one, in later windows too."""

GPTQ = Protocol("gptq", 2048, None, "none", "windows alike", "dropped")
"""The perplexity of GPTQ, AWQ and their kin ("gptq-2048"): windows that don't overlap, each
scoring all but its first token; exp of the mean of their means. The last, shorter piece is left
out."""

LLAMA_CPP = Protocol("llama.cpp", 512, None, "none", "all scored tokens alike", "dropped")
"""llama-perplexity: windows that don't overlap, of which the second half is scored. With `prefix`
"bos", for models whose GGUF file says so (Llama, not Qwen2), that token takes the place of each
window's first one."""

LM_EVAL = Protocol("lm-eval", None, None, "eos", "all tokens alike", "kept")
"""lm-evaluation-harness, loglikelihood_rolling: every token is scored; the first behind a token of
its own, each later window with one token of context (more in the last). The harness prints
perplexity by word and by byte."""

PROTOCOLS = {
    protocol.name: protocol for protocol in (PER_STORY, HF_STRIDE, GPTQ, LLAMA_CPP, LM_EVAL)
}


def get_protocol(protocol: str | Protocol) -> Protocol:
    """Return a protocol by name; "gptq-2048" says the window in the name.

    Raises
    ------
    ValueError
        There is none of that name.

    Examples
    --------
    >>> get_protocol("gptq-2048").window
    2048
    """
    if isinstance(protocol, Protocol):
        return protocol
    name = "gptq" if protocol == "gptq-2048" else protocol
    if name not in PROTOCOLS:
        raise ValueError(f"protocol is {protocol!r}; expected one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def _per_story(ids: Ids, size: int, stride: int | None, prefix: int | None) -> list[Window]:
    text = _after(prefix, ids)
    return [Window(text, 1, len(text) - 1)] if len(text) > 1 else []


def _hf_stride(ids: Ids, size: int, stride: int | None, prefix: int | None) -> list[Window]:
    windows: list[Window] = []
    step, end_before = stride or size, 0
    for begin in range(0, len(ids), step):
        end = min(begin + size, len(ids))
        new = end - end_before
        if end - begin > 1:
            windows.append(Window(ids[begin:end], max(1, end - begin - new), new - 1))
        end_before = end
        if end == len(ids):
            break
    return windows


def _gptq(ids: Ids, size: int, stride: int | None, prefix: int | None) -> list[Window]:
    starts = range(0, len(ids) - size + 1, size)
    return [Window(ids[start : start + size], 1, size) for start in starts]


def _llama_cpp(ids: Ids, size: int, stride: int | None, prefix: int | None) -> list[Window]:
    text = _after(prefix, ids)
    windows: list[Window] = []
    if len(text) < 2 * size:  # llama-perplexity asks for two windows
        return windows
    for start in range(0, len(text) - size + 1, size):
        chunk = text[start : start + size].copy()
        if prefix is not None:
            chunk[0] = prefix
        windows.append(Window(chunk, size // 2 + 1, size - size // 2 - 1))
    return windows


def _lm_eval(ids: Ids, size: int, stride: int | None, prefix: int | None) -> list[Window]:
    text = _after(prefix, ids)
    if len(text) < 2:
        return []
    windows = [Window(text[: size + 1], 1, min(size, len(ids)))]
    for end in range(2 * size, len(ids) + size, size):
        # Positions in `text` are one further than in `ids`; the last window reaches back.
        stop = min(end, len(ids)) + 1
        new = stop - 1 - (end - size)
        windows.append(Window(text[stop - size - 1 : stop], size + 1 - new, new))
    return windows


def _after(prefix: int | None, ids: Ids) -> Ids:
    return ids if prefix is None else np.concatenate([[np.int32(prefix)], ids]).astype(np.int32)


_CUT: dict[str, Callable[[Ids, int, int | None, int | None], list[Window]]] = {
    "per-story": _per_story,
    "hf-stride": _hf_stride,
    "gptq": _gptq,
    "llama.cpp": _llama_cpp,
    "lm-eval": _lm_eval,
}
