"""Products of float matrices: compiled code adds in the order that it promises, whatever the shapes and strides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_kernels import matmul_float
from accel_kernels.matmul_float import TERMS, product

SIZES = st.one_of(st.integers(1, 40), st.sampled_from([TERMS - 1, TERMS, TERMS + 1, 2 * TERMS + 3]))


def in_order(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The promise, written down once more: one number at a time."""
    total = np.zeros((a.shape[0], b.shape[1]), a.dtype)
    for first in range(0, a.shape[1], TERMS):
        block = np.zeros_like(total)
        for k in range(first, min(first + TERMS, a.shape[1])):
            block = block + np.outer(a[:, k], b[k])
        total = total + block
    return total


@given(
    st.tuples(st.integers(1, 40), SIZES, st.integers(1, 70)),
    st.sampled_from([np.float32, np.float64]),
    st.tuples(st.booleans(), st.booleans()),
    st.integers(0, 2**32 - 1),
)
def test_sums_are_in_order(shape: tuple[int, int, int], dtype: type, turned: tuple[bool, bool], seed: int) -> None:
    rows, terms, columns = shape
    generator = np.random.default_rng(seed)
    a = generator.normal(size=(rows, terms)) * 2.0 ** generator.integers(-30, 30, (rows, terms))
    b = generator.normal(size=(terms, columns)) * 2.0 ** generator.integers(-30, 30, (terms, columns))
    a, b = (np.array(m, dtype, order="F" if t else "C") for m, t in zip((a, b), turned, strict=True))
    want = in_order(a, b)
    for got in (product(a, b), matmul_float._plain(a, b), product(a[::-1], b[:, ::-1])[::-1, ::-1]):
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, want)


def test_threads_and_crowded_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(1)
    a = generator.normal(size=(301, 1024)).astype(np.float32)  # rows 4096 bytes apart
    b = generator.normal(size=(1024, 100)).astype(np.float32)
    want = in_order(a, b)
    for threads in (1, 2, 3):
        monkeypatch.setattr(matmul_float.os, "cpu_count", lambda count=threads: count)
        np.testing.assert_array_equal(product(a, b), want)
