"""Two writers on one cache, killed again and again at random moments."""

import multiprocessing
import random
import signal
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from fakes import BigramModel

from pyqtf._files import locked, remove_leftovers, write_atomically
from pyqtf.evaluation import evaluate as module
from pyqtf.evaluation.cache import Cache, Entry, key
from pyqtf.evaluation.evaluate import evaluate

STORIES = [f"Story {i} is about a cat. " + "It ran. " * (i % 7) for i in range(240)]
FORK = multiprocessing.get_context("fork")
N_KILLS = 60


def write(folder, stories):
    """A run that saves after every story; a damaged file ends it with an error."""
    warnings.simplefilter("error")
    evaluate(BigramModel(), stories, progress=False, cache=folder)


def in_the_cache(folder):
    """What another process may read at this moment."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return set(Cache(folder, BigramModel())._entries)


def test_killed_writers_lose_and_spoil_nothing(tmp_path, monkeypatch):
    expected = evaluate(BigramModel(), STORIES, progress=False)
    monkeypatch.setattr(module, "_SAVE_EVERY_SECONDS", -1.0)
    monkeypatch.setattr("pyqtf.evaluation.batches.BATCH_TOKENS", 1)
    chance = random.Random(0)
    orders = (STORIES, STORIES[::-1])
    writers = [None, None]
    n_killed, seen = 0, set()
    while n_killed < N_KILLS:
        for i, order in enumerate(orders):
            if writers[i] is None or not writers[i].is_alive():
                assert writers[i] is None or writers[i].exitcode in (0, -signal.SIGKILL)
                writers[i] = FORK.Process(target=write, args=(tmp_path, order))
                writers[i].start()
        time.sleep(chance.uniform(0, 0.05))
        victim = writers[chance.randrange(2)]
        if victim.is_alive():
            victim.kill()
            victim.join()
            n_killed += victim.exitcode == -signal.SIGKILL
        now = in_the_cache(tmp_path)
        assert seen <= now, "what was once there stays"
        seen = now
        if len(seen) == len(STORIES):
            for writer in writers:
                writer.join()
            next(tmp_path.glob("*.losses")).unlink()
            seen = set()
    for writer in writers:
        writer.kill()
        writer.join()
    model = BigramModel()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = evaluate(model, STORIES, progress=False, cache=tmp_path)
    pd.testing.assert_frame_equal(
        found.drop(columns="seconds"), expected.drop(columns="seconds"), check_exact=True
    )
    Cache(tmp_path, model).put({})
    assert [path.suffix for path in tmp_path.iterdir()] == [".losses"], "no leftovers"


def test_writers_wait_for_each_other(tmp_path, monkeypatch):
    """Whoever reads first writes first, so that both processes' entries are kept."""
    ids = [np.arange(2, 5 + i, dtype=np.int32) for i in range(2)]
    losses = BigramModel().token_losses(ids)
    caches = [Cache(tmp_path, BigramModel()) for _ in ids]
    read = Cache._read

    def slowly(self):
        found = read(self)
        time.sleep(0.3)
        return found

    monkeypatch.setattr(Cache, "_read", slowly)
    tasks = [
        FORK.Process(target=cache.put, args=({key(one): Entry(loss, 1.0)},))
        for cache, one, loss in zip(caches, ids, losses, strict=True)
    ]
    for process in tasks:
        process.start()
    for process in tasks:
        process.join()
    assert in_the_cache(tmp_path) == {key(one) for one in ids}


def test_a_lock_keeps_others_out_until_its_process_dies(tmp_path):
    ready, taken = FORK.Event(), FORK.Event()

    def hold():
        with locked(tmp_path):
            ready.set()
            time.sleep(600)

    def wait():
        with locked(tmp_path) as alone:
            assert alone
            taken.set()

    holder, waiter = FORK.Process(target=hold), FORK.Process(target=wait)
    holder.start()
    assert ready.wait(60)
    waiter.start()
    assert not taken.wait(0.2)
    holder.kill()
    assert taken.wait(60)
    waiter.join()


@pytest.mark.parametrize("name", ["a.bin", "[a-z]*.bin"])
def test_only_leftovers_of_that_file_go(tmp_path, name):
    path = tmp_path / name
    write_atomically(path, "kept")
    kept = {name, ".b.bin.0123456789ab.part", f"{name}.part"}
    for other in kept - {name}:
        (tmp_path / other).touch()
    (tmp_path / f".{name}.0123456789ab.part").touch()
    remove_leftovers(path)
    assert {file.name for file in tmp_path.iterdir()} == kept
