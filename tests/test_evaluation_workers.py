"""Executors: threads, processes and a Dask cluster give the serial run's bits, deaths included."""

import gc
import os
import signal
import weakref
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pandas as pd
import pytest
from fakes import BigramModel

import pyqtf
from pyqtf.evaluation import evaluate as module
from pyqtf.evaluation import workers

NAMES = ["stories-80k", "stories-1.2m"]
STORIES = pyqtf.bundled.stories()[:30]


def same(found, expected):
    pd.testing.assert_frame_equal(
        found.drop(columns="seconds"), expected.drop(columns="seconds"), check_exact=True
    )
    assert (found["seconds"] > 0).all()


def processes(n):
    return ProcessPoolExecutor(n, mp_context=get_context("spawn"))


@pytest.fixture(scope="module")
def serial():
    return pyqtf.evaluate(NAMES, STORIES, progress=False)


@pytest.fixture(autouse=True)
def small_tasks(monkeypatch):
    monkeypatch.setattr(module, "TASK_TOKENS", 250)


class Watched(Executor):
    """Passes tasks on; kills a process when a number of them is done."""

    def __init__(self, inner, kill_at=None, pid=None):
        self.inner, self.kill_at, self.pid = inner, kill_at, pid
        self.n_submitted = self.n_done = 0
        self.killed_with = None

    def submit(self, fn, /, *args, **kwargs):
        self.n_submitted += 1
        future = self.inner.submit(fn, *args, **kwargs)
        future.add_done_callback(self._count)
        return future

    def _count(self, future):
        self.n_done += 1
        if self.n_done == self.kill_at:
            self.killed_with = self.n_submitted - self.n_done
            os.kill(self.pid(), signal.SIGKILL)


def test_threads_give_the_same_bits(serial):
    with ThreadPoolExecutor(3) as pool:
        watched = Watched(pool)
        same(pyqtf.evaluate(NAMES, STORIES, progress=False, executor=watched), serial)
    assert watched.n_submitted > 2 * 10, "the stories are cut into several tasks"


def test_processes_give_the_same_bits_and_tokens(serial):
    with processes(2) as pool:
        same(pyqtf.evaluate(NAMES, STORIES, progress=False, executor=pool), serial)
        tokens = pyqtf.evaluate_tokens(NAMES[0], STORIES, progress=False, executor=pool)
    expected = pyqtf.evaluate_tokens(NAMES[0], STORIES, progress=False)
    pd.testing.assert_frame_equal(tokens, expected, check_exact=True)


def test_loaded_models_are_sent(serial):
    models = [pyqtf.load(NAMES[0]), BigramModel()]
    with processes(1) as pool:
        found = pyqtf.evaluate(models, STORIES, progress=False, executor=pool)
    same(found, pyqtf.evaluate(models, STORIES, progress=False))


def test_a_folder_is_found_from_a_workers_own_place(tmp_path, monkeypatch):
    from random_models import write_model

    write_model(tmp_path / "model", max_position_embeddings=512, vocab_size=256)
    monkeypatch.chdir(tmp_path)
    with ProcessPoolExecutor(
        1, mp_context=get_context("spawn"), initializer=os.chdir, initargs=("/",)
    ) as pool:
        found = pyqtf.evaluate("model", ["A cat sat."], progress=False, executor=pool)
    same(found, pyqtf.evaluate("model", ["A cat sat."], progress=False))


def test_receipts_and_cache_are_those_of_a_serial_run(tmp_path):
    with processes(1) as pool:
        done = list(
            module.iter_scores(NAMES, STORIES, progress=False, cache=tmp_path, executor=pool)
        )
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    again = list(module.iter_scores(NAMES, STORIES, progress=False, cache=tmp_path))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert [one.receipt for one in done] == [one.receipt for one in again]


def test_a_worker_opens_a_model_once_and_holds_one(monkeypatch):
    opened, most = [], 0
    alive = weakref.WeakSet()
    load = pyqtf.load

    def counted(name, *, quant=None):
        nonlocal most
        model = load(name, quant=quant)
        opened.append(model.name)
        alive.add(model)
        gc.collect()
        most = max(most, len(alive))
        return model

    monkeypatch.setattr(pyqtf, "load", counted)
    with ThreadPoolExecutor(3) as pool:
        pyqtf.evaluate(NAMES, STORIES, progress=False, executor=pool)
    assert opened == NAMES
    assert most == 1
    gc.collect()
    assert not len(alive), "nothing keeps a model when the run is over"


class TurnsInto(BigramModel):
    """Another model when it arrives."""

    def __reduce__(self):
        return BigramModel, (self.name, self.n_params, 1.0, 99)


class Stays(BigramModel):
    def __reduce__(self):
        raise TypeError("it is bolted down")


def test_a_worker_with_other_bits_is_refused():
    with processes(1) as pool, pytest.raises(RuntimeError, match="computes other losses with bi"):
        pyqtf.evaluate(TurnsInto(), STORIES, progress=False, executor=pool)


def test_a_model_that_does_not_travel_is_named():
    with processes(1) as pool, pytest.raises(TypeError, match=r"bigram can't be sent .*bolted"):
        pyqtf.evaluate(Stays(), STORIES, progress=False, executor=pool)


def test_errors_come_back_from_workers(tmp_path):
    with processes(1) as pool:
        with pytest.raises(FileNotFoundError, match="no-such-model"):
            pyqtf.evaluate("no-such-model", STORIES, progress=False, executor=pool)
        with pytest.raises(ValueError, match=r"story 1: .*can read at once"):
            pyqtf.evaluate(NAMES[0], ["A cat.", "cat " * 9999], progress=False, executor=pool)


def test_a_dead_process_is_named_and_its_run_goes_on(tmp_path, serial):
    with processes(2) as pool:
        watched = Watched(pool, 15, lambda: next(iter(pool._processes)))
        with pytest.raises(RuntimeError, match=r"a worker of the executor died .* goes on from"):
            pyqtf.evaluate(NAMES, STORIES, progress=False, cache=tmp_path, executor=watched)
    assert watched.killed_with > 0
    with processes(2) as pool:
        again = Watched(pool)
        found = pyqtf.evaluate(NAMES, STORIES, progress=False, cache=tmp_path, executor=again)
    same(found, serial)
    whole = Watched(ThreadPoolExecutor(1))
    pyqtf.evaluate(NAMES, STORIES, progress=False, executor=whole)
    assert again.n_submitted <= whole.n_submitted - 10, "finished batches are not scored again"


def test_interrupting_cancels_what_has_not_begun():
    class Stopping(Watched):
        def _count(self, future):
            super()._count(future)
            if future.cancelled():
                cancelled.append(future)

    cancelled = []
    ids = [pyqtf.load(NAMES[0]).tokenizer.encode(story["text"]) for story in STORIES]
    with ThreadPoolExecutor(1) as pool:
        batches = [[i] for i in range(len(ids))]
        done = workers.scored_batches(pyqtf.load(NAMES[1]), ids, batches, Stopping(pool))
        next(done)
        done.close()
    assert len(cancelled) > 0


def test_a_dask_cluster_survives_the_death_of_a_worker(serial):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        before = client.run(os.getpid)
        n_tasks = Watched(ThreadPoolExecutor(1))
        pyqtf.evaluate(NAMES, STORIES, progress=False, executor=n_tasks)
        watched = Watched(
            client.get_executor(), n_tasks.n_submitted * 3 // 4, lambda: min(before.values())
        )
        found = pyqtf.evaluate(NAMES, STORIES, progress=False, executor=watched)
        client.wait_for_workers(2)
        after = client.run(os.getpid)
    same(found, serial)
    assert watched.killed_with > 0, "tasks were still out when the worker died"
    assert min(before.values()) not in after.values()
