"""How often each 95 % interval holds the truth, over thousands of simulated experiments.

    python benchmarks/coverage.py [--runs 20000] [--results results.csv]

Stories are drawn with replacement from real results (by default the largest bundled model on the
bundled stories; or the results.csv of a run of `pyqtf scaling`, or a JSON list of rows with
`sum_nll` and `n_scored`), whose own figure is then the truth; or they are made with log-normal
lengths that go with their loss. For the exponent of the scaling law, losses of models on a known
law are scattered by 0.5 %.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import fdtri, stdtrit

import pyqtf
from pyqtf.evaluation.scaling_forms import fit_form, huber, profile_law

N_STORIES = 50
LAW = (1.2, 60.0, 0.34)
SCATTER = 0.005


def real_stories(path: str | None) -> tuple[np.ndarray, np.ndarray, str]:
    """NLL [n] and scored tokens [n] of real stories under one model."""
    if path is None:
        name = pyqtf.bundled.names()[-1]
        df = pyqtf.evaluate(name, pyqtf.bundled.stories(), progress=False)
    elif path.endswith(".json"):
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        df = pd.DataFrame(found["rows"] if isinstance(found, dict) else found)
        df = df.rename(columns={"sum_nll": "nll"})
        name = Path(path).stem
    else:
        df = pd.read_csv(path)
        name = df["model_name"].iloc[-1]
        df = df[df["model_name"] == name]
    return df["nll"].to_numpy(float), df["n_scored"].to_numpy(float), f"{name}, {len(df)} stories"


def log_normal(rng: np.random.Generator, runs: int, sigma: float) -> tuple[np.ndarray, ...]:
    """Losses and sizes [runs, n] of stories whose loss grows with their length, and the truth."""
    noise = rng.standard_normal((2, runs, N_STORIES))
    sizes = 170 * np.exp(sigma * noise[0])
    losses = sizes * (2 + 0.15 * noise[0] + 0.3 * noise[1])
    # E[L] / E[T] for log-normal T: the mean of the first noise under weights T is sigma.
    return losses, sizes, np.array(2 + 0.15 * sigma)


def t_coverage(losses: np.ndarray, sizes: np.ndarray, truth: float) -> float:
    """Of the clustered t interval, by the formula of `clustered_mean`."""
    n = sizes.shape[1]
    mean = losses.sum(axis=1) / sizes.sum(axis=1)
    squares = ((losses - mean[:, None] * sizes) ** 2).sum(axis=1)
    reach = stdtrit(n - 1, 0.975) * np.sqrt(n / (n - 1) * squares) / sizes.sum(axis=1)
    return float((np.abs(mean - truth) <= reach).mean())


def bootstrap_coverage(
    rng: np.random.Generator, losses: np.ndarray, sizes: np.ndarray, truth: float
) -> float:
    """Of the percentile bootstrap's interval, with 1,000 draws each."""
    n, held = sizes.shape[1], 0
    for loss, size in zip(losses, sizes, strict=True):
        drawn = rng.integers(0, n, (1000, n))
        low, high = np.quantile(loss[drawn].sum(axis=1) / size[drawn].sum(axis=1), [0.025, 0.975])
        held += low <= truth <= high
    return held / len(losses)


def alpha_coverage(rng: np.random.Generator, k: int, runs: int) -> float:
    """Of the profile-F interval for the exponent, with k models."""
    sizes = np.geomspace(3e4, 3e6, k)
    floor, scale, alpha = LAW
    law = floor + scale / sizes**alpha
    losses = law * np.exp(SCATTER * rng.standard_normal((runs, k)))
    # An interval holds alpha exactly when alpha's profile is below the limit.
    minimum = huber(fit_form("law", sizes, losses, math.inf).residuals, math.inf)
    here, _ = profile_law(np.full((runs, 1), alpha), sizes, losses, math.inf)
    return float((here[:, 0] <= minimum * (1 + fdtri(1, k - 3, 0.95) / (k - 3))).mean())


def three_models() -> str:
    """What a fit through three models says of alpha's interval."""
    sizes = np.array([494e6, 1544e6, 3086e6])
    summary = pd.DataFrame(
        {
            "model_name": ["0.5B", "1.5B", "3B"],
            "quant": "f32",
            "n_params": sizes,
            "n_params_non_embedding": sizes,
            "n_stories": N_STORIES,
            "n_scored": 8335,
            "n_bytes": 36000,
            "mean_nll": LAW[0] + LAW[1] / sizes ** LAW[2],
        }
    )
    fit = pyqtf.fit_scaling_law(summary)
    if not math.isnan(fit.alpha_low):
        return f"{fit.alpha_low} to {fit.alpha_high}"
    return "none: " + " ".join(note for note in fit.notes if "interval" in note)


def main() -> None:
    """Simulate and print a line for each interval."""
    parser = argparse.ArgumentParser(description="Coverage of pyqtf's 95 % intervals")
    parser.add_argument("--runs", type=int, default=20_000, help="experiments (%(default)s)")
    parser.add_argument("--results", metavar="FILE", help="results.csv, or JSON of rows")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    few = max(1, args.runs // 10)  # the slow ones
    loss, size, source = real_stories(args.results)
    drawn = rng.integers(0, len(loss), (args.runs, N_STORIES))
    truth = loss.sum() / size.sum()
    rows = [(f"t, real stories ({source})", t_coverage(loss[drawn], size[drawn], truth), args.runs)]
    boot = bootstrap_coverage(rng, loss[drawn[:few]], size[drawn[:few]], truth)
    rows.append(("bootstrap, real stories", boot, few))
    for sigma in (0.4, 0.8, 1.2):
        losses, sizes, there = log_normal(rng, args.runs, sigma)
        name = f"log-normal lengths, sigma {sigma}"
        rows.append((f"t, {name}", t_coverage(losses, sizes, float(there)), args.runs))
        boot = bootstrap_coverage(rng, losses[:few], sizes[:few], float(there))
        rows.append((f"bootstrap, {name}", boot, few))
    for k in range(4, 9):
        rows.append((f"profile-F for alpha, {k} models", alpha_coverage(rng, k, few), few))
    width = max(len(name) for name, _, _ in rows)
    for name, covered, runs in rows:
        error = math.sqrt(covered * (1 - covered) / runs)
        print(f"{name:<{width}}  {100 * covered:5.1f} % ± {100 * error:.1f}  ({runs:,} runs)")
    print(f"{'alpha, 3 models':<{width}}  {three_models()}")


if __name__ == "__main__":
    main()
