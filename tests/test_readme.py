"""What README.md shows is what runs."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("code", BLOCKS, ids=lambda code: code.splitlines()[-1])
def test_python_blocks_run(code):
    exec(compile(code, "README.md", "exec"), {})


def test_perplexity_by_hand_is_the_librarys(capsys):
    (code,) = [block for block in BLOCKS if "log_z" in block]
    exec(compile(code, "README.md", "exec"), {})
    library, by_hand = map(float, capsys.readouterr().out.split())
    assert by_hand == pytest.approx(library, rel=1e-6)


def test_schema_names_every_column():
    from pyqtf.evaluation.evaluate import RESULT_COLUMNS, TOKEN_COLUMNS

    for column in (*RESULT_COLUMNS, *TOKEN_COLUMNS):
        assert f"`{column}`" in README
