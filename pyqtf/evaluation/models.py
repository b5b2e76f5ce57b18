"""The models that a caller names or gives."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING

from pyqtf.evaluation import workers
from pyqtf.evaluation.interface import LanguageModel

if TYPE_CHECKING:
    from pyqtf.calibration import Texts

Models = LanguageModel | str | Path | Iterable[LanguageModel | str | Path]


def as_models(models: Models) -> list[LanguageModel | str | Path]:
    """One or several models as a list, checked."""
    if isinstance(models, str | Path):
        return [models]
    if not isinstance(models, Iterable):
        return [_checked(models)]
    wanted = list(map(_checked, models))
    if not wanted:
        raise ValueError("no models given; expected at least one name, path or model")
    return wanted


def _checked(model: LanguageModel | str | Path) -> LanguageModel | str | Path:
    known = isinstance(model, str | Path) or hasattr(model, "token_losses")
    if not known or isinstance(model, type):
        raise TypeError(f"{model!r} is no model; expected a name, a path or a loaded model")
    return model


def open_model(
    model: LanguageModel | str | Path,
    quant: str | None,
    executor: Executor | None = None,
    calibration: Texts | None = None,
    *,
    progress: bool = False,
) -> LanguageModel:
    """Return a loaded model; the executor's workers hold it where there is one."""
    if not isinstance(model, str | Path):
        return model
    import pyqtf  # the facade is above this layer; only names need it

    if executor is None:
        opened: LanguageModel = pyqtf.load(
            model, quant=quant, calibration=calibration, progress=progress
        )
        return opened
    here = str(model) not in pyqtf.bundled.names() and Path(model).exists()
    # A worker is started in another folder.
    return workers.RemoteModel(str(Path(model).resolve() if here else model), quant, executor)
