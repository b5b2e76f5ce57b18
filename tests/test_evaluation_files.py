"""Files appear whole or not at all."""

import os
import stat

import pytest

from pyqtf._files import write_atomically


def test_new_and_replaced_files(tmp_path):
    path = tmp_path / "a.txt"
    write_atomically(path, "Zoë\n")
    assert path.read_bytes() == "Zoë\n".encode()
    write_atomically(path, b"\x00")
    assert path.read_bytes() == b"\x00"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    path = tmp_path / "a.txt"
    write_atomically(path, "old")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, full)
    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*/a.txt'$"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "usual").write_text("")
    write_atomically(tmp_path / "ours", "")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "ours")}
    assert len(modes) == 1


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a.txt: there is no folder .*none$"):
        write_atomically(tmp_path / "none" / "a.txt", "x")


def test_a_folder_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (tmp_path, "", "."):
        with pytest.raises(IsADirectoryError, match="is a folder; expected the name of a file"):
            write_atomically(name, "x")
    assert not list(tmp_path.iterdir())


def test_an_error_names_the_file_that_was_asked_for(tmp_path, monkeypatch):
    def refuse(self, *args):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(PermissionError, match=r"Permission denied: '.*/a.txt'$"):
        write_atomically(tmp_path / "a.txt", "x")
