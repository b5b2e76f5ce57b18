"""Arrays of the core: memory of those that are gone serves later ones, and never two at once."""

from __future__ import annotations

import resource
import threading

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pyqtf import _core

# Around the sizes from which memory is aligned, and kept, and comes in huge pages.
ELEMENTS = st.sampled_from([1, 1023, 1024, 16_000, 16_384, 20_000, 40_000, 300_000, 1_100_000])


def made(n: int, fill: float) -> np.ndarray:
    """A new array of the core, filled."""
    out = _core.gelu(np.zeros((1, n), np.float32))
    out.fill(fill)
    return out


@given(st.lists(st.tuples(ELEMENTS, st.integers(0, 3)), max_size=60))
@settings(deadline=None, max_examples=30)
def test_arrays_in_use_share_no_memory(steps):
    alive: list[tuple[float, np.ndarray]] = []
    for i, (n, gone) in enumerate(steps):
        alive.append((i, made(n, i)))
        del alive[: gone if len(alive) > 3 else 0]
        for fill, array in alive:
            assert array.min() == array.max() == fill


def test_arrays_of_several_threads_share_no_memory():
    wrong = []

    def work(fill: float) -> None:
        for i in range(200):
            first, second = made(20_000 + 1000 * (i % 7), fill), made(40_000, -fill)
            if (first != fill).any() or (second != -fill).any():
                wrong.append(fill)

    threads = [threading.Thread(target=work, args=(float(i),)) for i in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_memory_of_an_array_that_is_gone_serves_the_next():
    x = np.ones((1, 10_000_000), np.float32)  # so large that malloc itself would keep nothing
    _core.gelu(x)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        _core.gelu(x)
    # Even in huge pages, each new piece of memory would be some 20 page faults.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 100


def test_large_arrays_start_on_a_cache_line_and_are_ordinary():
    array = made(300_000, 1)
    assert array.ctypes.data % 64 == 0
    assert array.flags.c_contiguous
    assert array.flags.writeable
    view = array[0, 10:20]
    del array
    made(300_000, 2)  # the view keeps its memory
    assert (view == 1).all()
