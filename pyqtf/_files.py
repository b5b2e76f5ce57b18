"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked(folder: str | os.PathLike[str]) -> Iterator[bool]:
    """Keep other processes that do the same out of a folder; a lock dies with its process.

    Yields whether there is a lock: some systems (Windows, some network folders) have none.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, locked(folder) as alone:
    ...     assert alone in (True, False)
    """
    if fcntl is None:
        yield False
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            alone = True
        except OSError:
            alone = False
        yield alone
    finally:
        os.close(descriptor)


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Delete what `atomic_write` left of `path` in processes that were killed.

    Only for who knows that no other process is writing `path`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (Path(folder) / ".a.bin.0123456789ab.part").touch()
    ...     remove_leftovers(Path(folder) / "a.bin")
    ...     list(Path(folder).iterdir())
    []
    """
    path = Path(path)
    for file in path.parent.glob(f".{escape(path.name)}.*.part"):
        file.unlink(missing_ok=True)


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for writing that takes its name only when the block ends without an error.

    Until then it is a temporary file in the same folder; whoever reads `path`, even after a crash
    or a full disk, finds the old file or the new one.

    Raises
    ------
    OSError
        `path` is a folder; its folder is missing, can't be written or is full. Nothing is left
        behind.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_write(Path(folder) / "a.bin") as out:
    ...         _ = out.write(b"one")
    ...     (Path(folder) / "a.bin").read_bytes()
    b'one'
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; expected the name of a file to write")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"can't write {path}: there is no folder {path.parent}")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(temporary)):
            error.filename = str(path)  # that of the temporary file says nothing to anybody
        raise


def write_atomically(path: str | Path, data: str | bytes) -> None:
    """Write `data` (str as UTF-8) to `path` in one step.

    Raises
    ------
    OSError
        As `atomic_write`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(Path(folder) / "a.txt", "one")
    ...     (Path(folder) / "a.txt").read_text()
    'one'
    """
    with atomic_write(path) as file:
        file.write(data.encode("utf-8") if isinstance(data, str) else data)
