"""Tables and a picture of what peers.py measured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from pyqtf._files import atomic_write, write_atomically

Results = dict[str, Any]
TASKS = {
    "score": "scoring every token of a text of {tokens} tokens",
    "prefill": "reading a text of {tokens} tokens, no logits but the last",
    "decode": "writing {tokens} tokens one by one behind 100",
}


def processor() -> str:
    """Return the processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown processor"


def read_results(out: Path) -> Results:
    """Return what earlier runs left in a folder."""
    path = out / "results.json"
    if not path.exists():
        return {"processor": processor(), "rounds": [], "not_measured": []}
    results: Results = json.loads(path.read_text(encoding="utf-8"))
    if results["processor"] != processor():
        raise SystemExit(f"{path} is from another machine ({results['processor']})")
    return results


def interval(ratios: list[float]) -> tuple[float, float, float]:
    """Return the median and the ends of its 95 % bootstrap interval."""
    values = np.array(ratios)
    draws = np.random.default_rng(0).integers(0, len(values), (2000, len(values)))
    low, high = np.quantile(np.median(values[draws], axis=1), [0.025, 0.975])
    return float(np.median(values)), float(low), float(high)


def keys(results: Results) -> list[dict[str, Any]]:
    """Return the settings measured, in the order of their first round."""
    found: list[dict[str, Any]] = []
    for one in results["rounds"] + results["not_measured"]:
        if one["key"] not in found:
            found.append(one["key"])
    return found


def least(results: Results, key: dict[str, Any]) -> float:
    """Return the limit below which a round doesn't count: a share of the setting's highest."""
    same = [one for one in results["rounds"] if one["key"] == key]
    return float(key["steady"] * max((max(one["limit"]) for one in same), default=0.0))


def steady(results: Results, key: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a setting's rounds, without those in which the machine was slowed down."""
    bound = least(results, key)
    same = [one for one in results["rounds"] if one["key"] == key]
    return [one for one in same if min(one["limit"]) >= bound]


def rows(results: Results, key: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a table's rows: pyqtf's formats, the peers by speed, those without figures."""
    rounds = steady(results, key)
    names = {name for one in rounds for name in one["tools"]}
    ours = sorted((name for name in names if name.startswith("pyqtf ")), reverse=True)

    def row(name: str) -> dict[str, Any]:
        with_it = [one["tools"] for one in rounds if name in one["tools"]]
        last = with_it[-1][name]
        return {
            "tool": name,
            "version": last["version"],
            "tokens_per_second": key["tokens"] / median(one[name]["seconds"] for one in with_it),
            "peak_rss": max(one[name]["peak_rss"] for one in with_it),
            "loss": last.get("loss"),
            "rounds": len(with_it),
            "ratios": {
                mine: interval([one[name]["seconds"] / one[mine]["seconds"] for one in both])
                for mine in ours
                if (both := [one for one in with_it if mine in one]) and name not in ours
            },
        }

    yield from map(row, ours)
    peers = [row(name) for name in names - set(ours)]
    yield from sorted(peers, key=lambda one: -one["tokens_per_second"])
    for note in results["not_measured"]:
        if note["key"] == key and note["peer"] not in names:
            yield {"tool": note["peer"], "why": note["why"]}


def table(results: Results, key: dict[str, Any]) -> str:
    """Return one setting as Markdown."""
    rounds = steady(results, key)
    lines = [f"### {TASKS[key['task']].format(**key)}, {key['isa']}", ""]
    lines += [f"{key['shape']}, random weights; {results['processor']}, {key['threads']} threads."]
    if rounds:
        limits = [limit / 1e9 for one in rounds for limit in one["limit"]]
        what = "memory read, GB/s" if key["task"] == "decode" else "8-bit operations, G/s"
        lines += [f"The machine's limit ({what}): {median(limits):.0f} "
                  f"({min(limits):.0f} to {max(limits):.0f})."]  # fmt: skip
    if key["steady"]:
        lines += [f"Rounds in which it fell below {key['steady']:.0%} of the highest don't count."]
    found = list(rows(results, key))
    ours = [one["tool"] for one in found if one["tool"].startswith("pyqtf ")]
    head = ["tool", "version", "tokens/s", "peak MB", "mean loss", "rounds"]
    head += [f"{mine} is … × as fast" for mine in ours]
    lines += ["", f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for one in found:
        if "why" in one:
            cells = [one["tool"], f"not measured: {one['why']}", *[""] * (len(head) - 2)]
        else:
            loss = "" if one["loss"] is None else f"{one['loss']:.4f}"
            cells = [one["tool"], one["version"], f"{one['tokens_per_second']:.0f}",
                     f"{one['peak_rss'] / 1e6:.0f}", loss, str(one["rounds"])]  # fmt: skip
            cells += ["{:.2f} ({:.2f} to {:.2f})".format(*one["ratios"][mine])
                      if mine in one["ratios"] else "" for mine in ours]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write_report(out: Path, results: Results) -> None:
    """Write results.md and results.png."""
    tables = [table(results, key) for key in keys(results)]
    write_atomically(out / "results.md", "\n\n".join(tables) + "\n")
    draw(out / "results.png", results)


def draw(path: Path, results: Results) -> None:
    """Draw tokens a second, a panel for each setting."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    settings = [key for key in keys(results) if steady(results, key)]
    if not settings:
        return
    figure, axes = plt.subplots(
        len(settings), 1, figsize=(8, 3.2 * len(settings)), squeeze=False, layout="constrained"
    )
    for key, axis in zip(settings, axes[:, 0], strict=True):
        bars = [one for one in rows(results, key) if "why" not in one][::-1]
        colours = ["C0" if one["tool"].startswith("pyqtf ") else "C7" for one in bars]
        speeds = [one["tokens_per_second"] for one in bars]
        drawn = axis.barh([one["tool"] for one in bars], speeds, color=colours)
        axis.bar_label(drawn, [f"{speed:.0f}" for speed in speeds], padding=3)
        axis.set_xlabel("tokens/s")
        axis.set_title(f"{TASKS[key['task']].format(**key)}, {key['isa']}", loc="left", fontsize=9)
        axis.margins(x=0.1)
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=120)
    plt.close(figure)
