"""Where the loss comes from: its mean and its share in each group of tokens."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyqtf.evaluation.columns import column_names, require_columns
from pyqtf.evaluation.confounds import token_features
from pyqtf.evaluation.statistics import clustered_mean


def loss_by(tokens: pd.DataFrame, by: str, *, level: float = 0.95) -> pd.DataFrame:
    """Mean loss of the tokens that share a value of a column, and how much of all loss they hold.

    Parameters
    ----------
    tokens : DataFrame
        What `pyqtf.evaluate_tokens` or `pyqtf.token_features` returns.
    by : str
        A column, for instance "kind", "dialogue" or one of your own.
    level : float
        Confidence level of the intervals.

    Returns
    -------
    DataFrame
        One row per model and value: ``model_name``, the column `by`, ``n_tokens``, ``n_stories``
        (stories that have such a token), ``mean_nll`` (nats per token) with ``low`` and ``high``
        (its interval clustered by story; NaN for one story), ``share_of_tokens`` and
        ``share_of_loss`` (of the model's). Models in the order given, values sorted.

    Raises
    ------
    ValueError
        A column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> df = pd.DataFrame({"model_name": "m", "story_idx": [0, 0, 1, 1], "nll": [4.0, 1, 2, 1],
    ...     "kind": ["name", "word"] * 2})
    >>> loss_by(df, "kind")[["kind", "mean_nll", "share_of_loss"]].values.tolist()
    [['name', 3.0, 0.75], ['word', 1.0, 0.25]]
    """
    needed = ("model_name", "story_idx", "nll", by)
    require_columns(tokens, needed, "the tokens have", f"there are: {column_names(tokens)}")
    rows = []
    for name, model in tokens.groupby("model_name", sort=False):
        total = float(model["nll"].sum())
        for value, group in model.groupby(by, observed=True):
            stories = group.groupby("story_idx")["nll"].agg(["sum", "size"])
            mean = clustered_mean(stories["sum"], stories["size"], level=level)
            rows.append(
                {
                    "model_name": name,
                    by: value,
                    "n_tokens": len(group),
                    "n_stories": mean.n,
                    "mean_nll": mean.value,
                    "low": mean.low,
                    "high": mean.high,
                    "share_of_tokens": len(group) / len(model),
                    "share_of_loss": float(group["nll"].sum()) / total,
                }
            )
    return pd.DataFrame(rows)


def token_classes(tokens: pd.DataFrame) -> pd.DataFrame:
    """Put every token into one class, by the rules of `pyqtf.token_features`.

    Parameters
    ----------
    tokens : DataFrame
        What `pyqtf.evaluate_tokens` returns.

    Returns
    -------
    DataFrame
        What `pyqtf.token_features` returns and the column ``token_class``: "word", "rest of a
        word" (a token that continues one), "new name", "name again", "number", "punctuation" or
        "space".

    Examples
    --------
    >>> import pandas as pd
    >>> df = pd.DataFrame({"model_name": "m", "story_idx": 0, "position": range(1, 7),
    ...     "token": [" saw", " Tom", ".", " Tom", " r", "an"], "nll": 1.0})
    >>> token_classes(df)["token_class"].tolist()
    ['word', 'new name', 'punctuation', 'name again', 'word', 'rest of a word']
    """
    features = token_features(tokens)
    kind, starts = features["kind"], features["starts_word"].to_numpy(bool)
    classes = kind.to_numpy(object).copy()
    classes[(kind == "name") & ~features["repeated"]] = "new name"
    classes[(kind == "name") & features["repeated"]] = "name again"
    classes[~starts & kind.isin(["word", "name"]).to_numpy()] = "rest of a word"
    return features.assign(token_class=classes)


def position_bins(positions: NDArray[np.integer]) -> NDArray[np.int64]:
    """First position of the bin of each: 1, 2-3, 4-7, 8-15, ...; every bin is twice the last.

    Examples
    --------
    >>> position_bins(np.array([0, 1, 2, 3, 4, 100])).tolist()
    [0, 1, 2, 2, 4, 64]
    """
    exponent = np.frexp(np.asarray(positions, np.float64))[1]
    return np.where(positions > 0, 2 ** np.maximum(exponent - 1, 0), 0).astype(np.int64)
