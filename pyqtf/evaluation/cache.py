"""Losses that were computed before, kept on disk so that an interrupted run can go on.

One file per model. Its name holds a digest of everything that would change a number: the model's
name, size, storage, calibration, vocabulary and fingerprint, pyqtf's version, the instruction set,
and the bits of the losses the model gives for a fixed probe, so that weights changed in place are
noticed too.
Inside, a loss is found by the ids it belongs to; a story that is edited, or tokenised in another
way, has other ids and is scored anew.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyqtf._files import locked, remove_leftovers, write_atomically
from pyqtf.evaluation.interface import LanguageModel
from pyqtf.evaluation.losses import TokenLosses
from pyqtf.evaluation.receipt import calibration_of, isa_of
from pyqtf.evaluation.workers import probe

_FORMAT = 1
# Parts of an identity that say where numbers were made; the probe follows from them.
_PLACES = ("isa", "pyqtf", "probe")
_DIGEST_SIZE = hashlib.sha256().digest_size


@dataclass(frozen=True, eq=False)
class Entry:
    """Losses of one sequence (whole, without alternatives) and the seconds they took."""

    losses: TokenLosses
    seconds: float


def key(ids: NDArray[np.int32]) -> str:
    """Name of a sequence of ids in the cache."""
    return hashlib.sha256(np.ascontiguousarray(ids, dtype="<i4").tobytes()).hexdigest()


class Cache:
    """Finished losses of one model.

    Parameters
    ----------
    folder : path
        Where the files of all models lie; made if it is missing.
    model : LanguageModel
        The model the losses belong to.

    Raises
    ------
    OSError
        The folder can't be made.

    Warns
    -----
    UserWarning
        The model's file is damaged, so what it held is computed again; or there is none yet, but
        one that another instruction set or version of pyqtf wrote, which is not mixed in.
    """

    def __init__(self, folder: str | Path, model: LanguageModel) -> None:
        identity = _identity(model)
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        safe = re.sub(r"[^A-Za-z0-9._-]+", "_", model.name)[:80]
        if Path(folder).exists() and not Path(folder).is_dir():
            raise NotADirectoryError(f"cache is {folder}, which is a file; expected a folder")
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.path = Path(folder) / f"{safe}-{digest[:20]}.losses"
        self._identity = identity
        self._entries = self._read()
        if not self._entries:
            self._notice_others(safe)

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, ids: NDArray[np.int32]) -> Entry | None:
        """The entry of a sequence, or None."""
        entry = self._entries.get(key(ids))
        return entry if entry is not None and len(entry.losses) == len(ids) - 1 else None

    def put(self, new: Mapping[str, Entry]) -> None:
        """Add entries and write the file, whole or not at all.

        What another process wrote meanwhile is kept.
        """
        with locked(self.path.parent) as alone:
            if alone:
                remove_leftovers(self.path)
            self._entries = {**self._read(), **self._entries, **new}
            write_atomically(self.path, _pack(self._identity, self._entries))

    def _read(self) -> dict[str, Entry]:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        try:
            return _unpack(self._identity, data)
        except ValueError as error:
            warnings.warn(
                f"{self.path} is damaged ({error}); its losses are computed again", stacklevel=4
            )
            return {}

    def _notice_others(self, name: str) -> None:
        """Say that stories were finished elsewhere and why they count for nothing here."""
        for path in sorted(self.path.parent.glob(f"{escape(name)}-*.losses")):
            try:
                header = _header(path.read_bytes())
            except (OSError, ValueError):
                continue
            there = header["identity"]
            ours = {**self._identity, **{field: there.get(field) for field in _PLACES}}
            unlike = [f for f in _PLACES[:2] if there.get(f) != self._identity[f]]
            if there == ours and unlike:
                warnings.warn(
                    f"{path.parent} holds {len(header['keys'])} stories of {there['name']} "
                    f"({there['quant']}) with {_named(there, unlike)}, and this is "
                    f"{_named(self._identity, unlike)}: they are scored again, so that numbers "
                    "of one table are made alike",
                    stacklevel=4,
                )


def _named(identity: Mapping[str, object], fields: Iterable[str]) -> str:
    return " and ".join(f"{field} {identity[field]}" for field in fields)


def _identity(model: LanguageModel) -> dict[str, object]:
    import pyqtf

    return {
        "format": _FORMAT,
        "name": model.name,
        "n_params": model.n_params,
        "quant": model.quant,
        "calibration": calibration_of(model),
        "weights": getattr(model, "fingerprint", ""),
        "vocab_size": model.config.vocab_size,
        "pyqtf": pyqtf.__version__,
        "isa": isa_of(model),
        "probe": probe(model),
    }


def _pack(identity: dict[str, object], entries: Mapping[str, Entry]) -> bytes:
    """Digest of the rest, one line of JSON, then the three arrays of all entries."""
    header = {
        "identity": identity,
        "keys": list(entries),
        "lengths": [len(e.losses) for e in entries.values()],
        "seconds": [e.seconds for e in entries.values()],
    }
    parts = [e.losses for e in entries.values()]
    arrays = (
        *(np.asarray(p.nll, "<f8") for p in parts),
        *(np.asarray(p.rank, "<i8") for p in parts),
        *(np.asarray(p.entropy, "<f8") for p in parts),
    )
    content = json.dumps(header).encode() + b"\n" + b"".join(a.tobytes() for a in arrays)
    return hashlib.sha256(content).digest() + content


def _header(data: bytes) -> dict[str, Any]:
    """What a file is about, once its checksum is seen to be right."""
    digest, content = data[:_DIGEST_SIZE], data[_DIGEST_SIZE:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError("its checksum is wrong")
    header: dict[str, Any] = json.loads(content.split(b"\n", 1)[0])
    return header


def _unpack(identity: dict[str, object], data: bytes) -> dict[str, Entry]:
    header = _header(data)
    body = data[_DIGEST_SIZE:].split(b"\n", 1)[1]
    if header["identity"] != identity:
        raise ValueError("it belongs to another model")
    n = sum(header["lengths"])
    nll = np.frombuffer(body, "<f8", n)
    rank = np.frombuffer(body, "<i8", n, offset=8 * n)
    entropy = np.frombuffer(body, "<f8", n, offset=16 * n)
    entries = {}
    start = 0
    for name, length, seconds in zip(
        header["keys"], header["lengths"], header["seconds"], strict=True
    ):
        part = slice(start, start + length)
        start += length
        no_ids, no_logprobs = np.empty((length, 0), np.int64), np.empty((length, 0), np.float32)
        losses = TokenLosses(nll[part], rank[part], entropy[part], no_ids, no_logprobs)
        entries[name] = Entry(losses, seconds)
    return entries
