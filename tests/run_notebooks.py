"""Run the notebooks from top to bottom and compare their tables with stored ones.

``python tests/run_notebooks.py`` fails on an error and on a changed number; with ``--update`` it
stores the numbers of the notebook that students get. It needs ``pip install '.[notebook]'``.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden" / "u10_scaling.json"
NOTEBOOKS = {"u10_scaling.ipynb": False, "solutions/u10_scaling.ipynb": True}
TABLES = ("summary", "by_class", "contexts", "chats", "differences", "effects", "beside", "forms",
          "spoiled")  # fmt: skip
# Sums and exponentials of NumPy and SciPy may differ in their last bits from machine to machine.
TOLERANCE = 1e-6

# Runs behind the notebook's own cells, in the same kernel.
DUMP = f"""
import json
tables = {{}}
for name in {TABLES!r}:
    frame = globals()[name].drop(columns="tokens_per_second", errors="ignore")
    tables[name] = {{column: frame[column].tolist() for column in frame}}
print(json.dumps({{"tables": tables, "solved": bool(check) and bool(check_context)}}))
"""


def run(path: Path) -> dict[str, Any]:
    """Execute a notebook in an empty folder and return what DUMP prints."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    notebook.cells.append(nbformat.v4.new_code_cell(DUMP))
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(
            notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": folder}}
        ).execute()
    found: dict[str, Any] = json.loads(notebook.cells[-1].outputs[0]["text"])
    return found


def layout(tables: dict[str, dict[str, list[Any]]]) -> str:
    """JSON with one line a column, floats in ten digits."""
    parts = []
    for name, columns in tables.items():
        lines = [
            f"  {json.dumps(column)}: "
            + json.dumps([float(f"{x:.10g}") if isinstance(x, float) else x for x in values])
            for column, values in columns.items()
        ]
        parts.append(f" {json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def changes(found: Any, stored: Any, where: str) -> list[str]:
    """Where two trees of tables differ."""
    if isinstance(stored, dict) and isinstance(found, dict):
        if list(found) != list(stored):
            return [f"{where} has {', '.join(found)}; stored are {', '.join(stored)}"]
        return [c for key in stored for c in changes(found[key], stored[key], f"{where}.{key}")]
    if isinstance(stored, list) and isinstance(found, list) and len(found) == len(stored):
        pairs = enumerate(zip(found, stored, strict=True))
        return [c for i, (a, b) in pairs for c in changes(a, b, f"{where}[{i}]")]
    if isinstance(stored, float) and isinstance(found, float):
        close = math.isclose(found, stored, rel_tol=TOLERANCE, abs_tol=1e-12)
        same = close or (math.isnan(found) and math.isnan(stored))
    else:
        same = found == stored
    return [] if same else [f"{where} is {found!r}, stored is {stored!r}"]


def main() -> None:
    """Run both notebooks; exit with what changed."""
    wrong = []
    for name, solved in NOTEBOOKS.items():
        start = time.perf_counter()
        found = run(ROOT / "notebooks" / name)
        print(f"notebooks/{name}: {time.perf_counter() - start:.0f} s")
        if sys.argv[1:] == ["--update"] and not solved:
            GOLDEN.write_text(layout(found["tables"]), encoding="utf-8")
        stored = json.loads(GOLDEN.read_text(encoding="utf-8"))
        wrong += [f"{name}: {c}" for c in changes(found["tables"], stored, "tables")]
        if found["solved"] != solved:
            wrong.append(f"{name}: the exercises are {'' if found['solved'] else 'not '}solved")
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
