"""The hash of blocks against the definition in its header, written with whole numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyqtf import _core

P = 0x9E3779B97F4A7C15
MASK = 2**64 - 1
BLOCK = 2**20


def rotl(x: int, bits: int) -> int:
    return (x << bits | x >> (64 - bits)) & MASK


def hash_block(data: bytes) -> int:
    lanes = [(j + 1) * P & MASK for j in range(8)]
    words = np.frombuffer(data + bytes(-len(data) % 64), "<u8").tolist()
    for i, word in enumerate(words):
        lanes[i % 8] = rotl((lanes[i % 8] ^ word) * P & MASK, 31)
    digest = len(data)
    for lane in lanes:
        digest = rotl((digest ^ lane) * P & MASK, 29)
    return digest ^ digest >> 32


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_short_data(data):
    assert _core.hash_blocks(data).tolist() == ([hash_block(data)] if data else [])


@pytest.mark.parametrize("size", [BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 65])
def test_blocks(size):
    data = np.random.default_rng(0).integers(0, 256, size, np.uint8).tobytes()
    expected = [hash_block(data[i : i + BLOCK]) for i in range(0, size, BLOCK)]
    assert _core.hash_blocks(data).tolist() == expected


def test_every_bit_and_the_size_count():
    data = bytearray(range(200))
    whole = _core.hash_blocks(data)
    for bit in range(1600):
        data[bit // 8] ^= 1 << bit % 8
        assert _core.hash_blocks(data) != whole
        data[bit // 8] ^= 1 << bit % 8
    assert len({_core.hash_blocks(bytes(size)).item() for size in range(1, 200)}) == 199


def test_what_is_no_buffer_is_refused():
    with pytest.raises(TypeError):
        _core.hash_blocks("text")
    with pytest.raises(BufferError, match="contiguous"):
        _core.hash_blocks(memoryview(bytes(8))[::2])
