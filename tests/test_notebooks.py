"""The notebooks' cells: what a student gets, what the solution adds, and both switches.

`tests/run_notebooks.py` runs them in Jupyter's own kernel and compares their numbers.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from fake_hub import FakeHub, run_child
from random_models import write_model

import pyqtf

FOLDER = Path(__file__).parent.parent / "notebooks"
STUDENT, SOLUTION = FOLDER / "u10_scaling.ipynb", FOLDER / "solutions" / "u10_scaling.ipynb"
OWN = {"exercise", "answer"}


def cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def source(cell):
    return "".join(cell["source"])


def tags(cell):
    return set(cell["metadata"].get("tags", []))


@pytest.fixture(scope="module")
def solved():
    """The solution's compute_perplexity."""
    (cell,) = (cell for cell in cells(SOLUTION) if tags(cell) == {"exercise"})
    names = {"np": np}
    exec(source(cell), names)
    return names["compute_perplexity"]


def test_the_notebooks_differ_in_exercises_and_answers_only():
    student, solution = cells(STUDENT), cells(SOLUTION)
    assert len(student) == len(solution)
    for a, b in zip(student[1:], solution[1:], strict=True):
        assert (a["cell_type"], a["id"], tags(a)) == (b["cell_type"], b["id"], tags(b))
        assert (source(a) == source(b)) == (not tags(a) & OWN)
    answers = [source(cell) for cell in student if tags(cell) == {"answer"}]
    assert len(answers) > 8
    assert set(answers) == {"*Your answer:*", "*Your conclusion:*"}


@pytest.mark.parametrize("path", [STUDENT, SOLUTION], ids=["student", "solution"])
def test_a_notebook_is_kept_without_outputs(path):
    for cell in cells(path):
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None


@pytest.mark.parametrize("path", [STUDENT, SOLUTION], ids=["student", "solution"])
def test_the_badge_opens_this_notebook_and_the_first_cell_installs_the_same_repository(path):
    head, install = source(cells(path)[0]), source(cells(path)[1])
    address = r"colab\.research\.google\.com/github/(\w+/\w+)/blob/main/([\w/.]+)\)"
    repository, file = re.search(address, head).groups()
    assert FOLDER.parent / file == path
    assert f"git+https://github.com/{repository}\n" in install


@pytest.mark.parametrize("quant", ["f32", "q8"])
@pytest.mark.parametrize("context", ["", "Tom had a red kite. "])
def test_a_students_own_function_agrees_to_a_millionth(solved, quant, context):
    model = pyqtf.load("stories-500k", quant=quant)
    for story in pyqtf.bundled.stories()[:10]:
        expected = pyqtf.compute_perplexity(model, model.tokenizer, story["text"], context)
        mine = solved(model, model.tokenizer, story["text"], context)
        assert mine == pytest.approx(expected, rel=1e-6)


# Runs the cells as a script, with the switch on and the two addresses answered from here.
QWEN = """
import io, json, urllib.request
import pyqtf
notebook, stories = {paths!r}
texts = [{{"row": {{"text": text}}}} for text in json.load(open(stories, encoding="utf-8"))[:4]]
asked = []
def urlopen(address):
    asked.append(address)
    return io.StringIO(json.dumps({{"rows": texts}}))
urllib.request.urlopen = urlopen
bundled = pyqtf.bundled.stories
pyqtf.bundled.stories = lambda which: bundled(which)[:4]
code = ["".join(cell["source"]) for cell in json.load(open(notebook, encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"]
code = "\\n\\n".join(code).replace("    %pip", "    pass #").replace('"bundled"  #', '"qwen2.5"  #')
names = {{"__name__": "__main__"}}
exec(compile(code, notebook, "exec"), names)
print(json.dumps({{
    "models": names["summary"]["model_name"].tolist(), "solved": [bool(names["check"]),
    bool(names["check_context"])], "notes": names["fit"].notes, "template": names["template"],
    "chats": names["chats"][["model_name", "context"]].values.tolist(), "asked": asked,
    "spoiled": sorted(set(names["spoiled"]["version"])),
}}))
"""


def test_with_the_switch_on_it_reads_qwen_from_the_hub(data_dir, tmp_path):
    hub = FakeHub()
    sizes = {"Qwen2.5-0.5B": 16, "Qwen2.5-1.5B": 24, "Qwen2.5-3B": 32, "Qwen2.5-0.5B-Instruct": 16}
    for seed, (name, hidden) in enumerate(sizes.items()):
        folder = write_model(
            tmp_path / name, seed=seed, hidden_size=hidden, intermediate_size=32,
            vocab_size=151936, max_position_embeddings=2048, tie_word_embeddings=True,
        )  # fmt: skip
        kind = "Qwen2.5-0.5B-Instruct" if "Instruct" in name else "Qwen2.5-0.5B"
        for file in ("tokenizer.json", "tokenizer_config.json"):
            origin = data_dir / "qwen2.5" / file.replace("_config", f"_config.{kind}")
            (folder / file).write_bytes(origin.read_bytes())
        hub.push(f"Qwen/{name}", folder)
    stories = data_dir / "tinystories" / "train_first50.json"
    script = QWEN.format(paths=[str(SOLUTION), str(stories)])
    try:
        done = run_child(hub.url, tmp_path / "home", script)
    finally:
        hub.close()
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert found["models"] == list(sizes)[:3]
    assert found["solved"] == [True, True]
    assert any("no interval" in note for note in found["notes"])
    assert "<|im_start|>" in found["template"] and "{%" in found["template"]
    assert found["chats"] == [[name, context] for name in ("Qwen2.5-0.5B", "Qwen2.5-0.5B-Instruct")
                              for context in ("none", "prompt", "chat")]  # fmt: skip
    assert len(found["spoiled"]) == 5
    (address,) = found["asked"]
    assert "dataset=roneneldan/TinyStories&config=default&split=train&offset=0&length=50" in address
