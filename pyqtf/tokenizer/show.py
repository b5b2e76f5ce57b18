"""Tokens for people to look at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pyqtf.tokenizer.tokenizer import Tokenizer

# ANSI backgrounds that black letters stand out on.
_COLOURS = (43, 46, 42, 45, 47)


def find_tokenizer(name_or_path: str | None) -> Tokenizer:
    """Open the tokenizer of a model, or a file; by default pyqtf's own.

    Parameters
    ----------
    name_or_path : str, optional
        A tokenizer's file, or a model as `pyqtf.load` takes it; of a model on the hub nothing but
        the config and the tokenizer is downloaded.

    Raises
    ------
    FileNotFoundError, PermissionError, ConnectionError, pyqtf.formats.FormatError
        It is not there, or not to be had.
    """
    from pyqtf import bundled, sources
    from pyqtf.formats import hub
    from pyqtf.formats.safetensors import is_safetensors
    from pyqtf.models.saved import read_header

    names = bundled.names()
    if name_or_path is None or name_or_path in names:
        return Tokenizer.from_file(bundled.path(names[0]).parent)
    if is_safetensors(name_or_path):
        header = read_header(name_or_path)
        return Tokenizer.from_json(header.tokenizer.tobytes(), **header.special)
    if name_or_path and Path(name_or_path).exists():
        return Tokenizer.from_file(name_or_path)
    model = sources.find_on_hub(name_or_path)
    return Tokenizer.from_file(hub.fetch_file(model) if model.file else hub.fetch_small(model))


def piece(token: bytes) -> str:
    r"""Return the text of one token with everything invisible but the space escaped.

    Examples
    --------
    >>> piece(b" caf\xc3\xa9\n"), piece(b"\xe4\xbd")
    (' café\\n', '\\xe4\\xbd')
    """
    text = token.decode("utf-8", "backslashreplace")
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def token_lines(tokenizer: Tokenizer, text: str | bytes, *, colour: bool = False) -> Iterator[str]:
    r"""Yield a line for each token, its id and its piece, and one that counts them.

    Examples
    --------
    >>> tokenizer = Tokenizer.from_json(Tokenizer.example_json())
    >>> for line in token_lines(tokenizer, "the é"):
    ...     print(line)
       257  'the'
       220  ' '
       127  '\xc3'
       102  '\xa9'
    4 tokens, 5 characters, 6 bytes; 1.50 bytes a token
    """
    data = text.encode() if isinstance(text, str) else text
    ids = tokenizer.encode(data)
    for i, token_id in enumerate(ids.tolist()):
        shown = piece(tokenizer.token_bytes(token_id))
        if colour:
            shown = f"\x1b[30;{_COLOURS[i % len(_COLOURS)]}m{shown}\x1b[0m"
        yield f"{token_id:6d}  '{shown}'"
    n_characters = len(data.decode("utf-8"))
    rate = f"; {len(data) / ids.size:.2f} bytes a token" if ids.size else ""
    yield f"{ids.size} tokens, {n_characters} characters, {len(data)} bytes{rate}"
