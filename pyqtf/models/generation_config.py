"""What ``generation_config.json`` says of generating: which tokens end a text."""

from __future__ import annotations

from pathlib import Path

from pyqtf.formats import FormatError
from pyqtf.formats.strict_json import read_object


def read_eos_ids(folder: Path) -> tuple[int, ...]:
    """Return the ids that end a text; none where the file doesn't say it, or isn't there.

    Parameters
    ----------
    folder : Path
        Of the model.

    Raises
    ------
    FormatError
        The file is no JSON object, or its ``eos_token_id`` is neither an id nor a list of ids.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> read_eos_ids(folder)
    ()
    >>> _ = (folder / "generation_config.json").write_text('{"eos_token_id": [7, 5]}')
    >>> read_eos_ids(folder)
    (7, 5)
    """
    path = folder / "generation_config.json"
    if not path.exists():
        return ()
    value = read_object(path).get("eos_token_id")
    ids = value if isinstance(value, list) else [] if value is None else [value]
    for token_id in ids:
        if type(token_id) is not int or not 0 <= token_id < 2**31:
            raise FormatError(
                f"{path}: 'eos_token_id' must be a token's id or a list of ids, got {value!r:.80}"
            )
    return tuple(ids)
