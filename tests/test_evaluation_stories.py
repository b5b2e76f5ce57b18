"""Stories from every kind of file, and errors that say what to do."""

import json

import pandas as pd
import pytest

from pyqtf.evaluation.stories import as_stories, read_stories

TEXTS = ["A cat sat.\nIt purred.", 'She said, "Zoë, naïve?" 🐈', "NA"]


def write(path, data):
    path.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8"))
    return path


def texts(stories):
    return [story["text"] for story in stories]


@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_text_files(tmp_path, bom, newline):
    blank = bom + "\n\n  \n".join(TEXTS) + "\n\n\n"
    marked = bom + "\n<|endoftext|>\n".join(["One.\n\nStill one.", *TEXTS]) + "\n<|endoftext|>\n"
    for content, expected in ((blank, TEXTS), (marked, ["One.\n\nStill one.", *TEXTS])):
        path = write(tmp_path / "s.txt", content.replace("\n", newline))
        assert texts(read_stories(path)) == expected


def test_json_and_jsonl(tmp_path):
    dicts = [{"text": text, "genre": "tale"} for text in TEXTS]
    for items in (TEXTS, dicts):
        expected = as_stories(items)
        path = write(tmp_path / "s.json", json.dumps(items))
        assert read_stories(path) == expected
        path = write(tmp_path / "s.jsonl", "\n\n".join(map(json.dumps, items)) + "\n")
        assert read_stories(path) == expected


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tables_carry_their_columns(tmp_path, ending):
    frame = pd.DataFrame({"genre": ["a", "b", None], "text": TEXTS, "n": [1, 2, 3]})
    path = tmp_path / f"s.{ending}"
    frame.to_csv(path, index=False) if ending == "csv" else frame.to_parquet(path)
    stories = read_stories(path)
    assert texts(stories) == TEXTS  # "NA" is a story, not a missing value
    assert [story["n"] for story in stories] == [1, 2, 3]
    assert stories[1]["genre"] == "b"


def test_endings_are_read_in_any_case(tmp_path):
    assert len(read_stories(write(tmp_path / "S.TXT", "a\n\nb"))) == 2


def test_real_stories(data_dir):
    path = data_dir / "tinystories" / "train_first50.json"
    stories = read_stories(path)
    assert texts(stories) == json.loads(path.read_text(encoding="utf-8"))
    assert len(stories) == 50


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("s.txt", b"A caf\xe9 here", r"s\.txt is not UTF-8: byte 0xe9 at offset 5"),
        ("s.json", b'["\xff"]', "not UTF-8: byte 0xff at offset 2"),
        ("s.jsonl", b'"a"\n"\xff"', "not UTF-8: byte 0xff at offset 5"),
        ("s.csv", b"text\n\xff", "not UTF-8: byte 0xff at offset 5"),
        ("s.txt", "\n \n", "holds no stories"),
        ("s.json", "[]", "holds no stories"),
        ("s.json", "[1,", "not JSON: .*line 1"),
        ("s.json", '{"text": "a"}', "JSON dict; expected a list"),
        ("s.json", '["a", {"story": "b"}]', "story 1 of .* has no 'text'; it has: story"),
        ("s.json", '["a", "b", " \\n"]', "story 2 of .* is empty"),
        ("s.jsonl", '"a"\n{"text": }', "line 2 of .* is not JSON"),
        ("s.csv", "story,genre\na,b\n", "no column 'text'; its columns are: story, genre"),
        ("s.csv", "", "not CSV"),
        ("s.csv", "text,n,text\na,1,b\n", r"s\.csv has 2 columns 'text', .*: rename the others"),
        ("s.csv", '\n\n"text",text,"text"\r\n"a\n",1,b\n', "has 3 columns 'text'"),
        ("s.csv", "text,n\na,1\n,2\n", "story 1 of .* is empty"),
        ("s.csv", 'text\n"a', "not CSV"),
        ("s.csv", "text,genre\nA cat, it sat.,fable\n", "more fields than its first line"),
        ("s.csv", "genre,text\nfable,A cat, it sat.\n", "more fields than its first line"),
        ("s.csv", "text\nA cat, it sat.\n", "more fields than its first line"),
        ("s.csv", "text,genre\na,b\nA cat, it sat.,fable\n", "not CSV.*line 3"),
        ("s.parquet", b"PAR1 no", "not a parquet file"),
        ("s.pdf", "x", r"ends in '\.pdf'; expected one of \.txt, \.json"),
        ("stories", "x", "has no ending; expected one of"),
    ],
)
def test_files_that_are_refused(tmp_path, name, content, words):
    with pytest.raises(ValueError, match=words):
        read_stories(write(tmp_path / name, content))


@pytest.mark.parametrize("content", ["[1]", '["a", null]', '[{"text": 3}]'])
def test_stories_that_are_no_text(tmp_path, content):
    with pytest.raises(TypeError, match=r"story [01] of"):
        read_stories(write(tmp_path / "s.json", content))


def test_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_stories(tmp_path / "none.txt")
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(FileNotFoundError, match="is a folder"):
        read_stories(tmp_path / "folder.txt")


@pytest.mark.parametrize("given", ["one story", b"x", {"text": "a"}, 5])
def test_what_is_no_list_of_stories(given):
    with pytest.raises(TypeError, match="expected a list"):
        as_stories(given)


def test_dataframes_without_text_name_their_columns():
    with pytest.raises(ValueError, match="its columns are: story"):
        as_stories(pd.DataFrame({"story": ["a"]}))
    with pytest.raises(ValueError, match="stories has 2 columns 'text'"):
        as_stories(pd.DataFrame([["a", "b"]], columns=["text", "text"]))


def test_other_columns_may_be_there_twice(tmp_path):
    path = write(tmp_path / "s.csv", "text,text.1,n,n\rA cat.,b,1,2\r")
    assert read_stories(path) == [{"text": "A cat.", "text.1": "b", "n": 1, "n.1": 2}]


def test_a_comma_at_the_end_of_every_row_shifts_no_column(tmp_path):
    path = write(tmp_path / "s.csv", "text,genre\nA cat.,fable,\nA dog.,news,\n")

    stories = read_stories(path)

    assert stories == [
        {"text": "A cat.", "genre": "fable"},
        {"text": "A dog.", "genre": "news"},
    ]
