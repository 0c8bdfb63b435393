"""Products of float32 or float64 matrices: the same bytes on every processor and on any number of threads.

A sum is made of blocks of TERMS products: each block is added up from 0 with k ascending, and blocks are added in
their order. A BLAS adds in an order of its own, which depends on the processor, and on threads.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from accel_kernels.native import compiled
from accel_kernels.native.objects import function

TERMS = 256
"""Products of a block: its rows of `b` stay in the first-level cache."""

_PANEL_BYTES = 1 << 19  # rows of `a` that are multiplied before the next ones: they stay in the second-level cache
_CROWDED = 1024  # bytes
_SHARED = 1 << 24  # products from which on threads share the rows

Real = TypeVar("Real", np.float32, np.float64)


def product(a: NDArray[Real], b: NDArray[Real]) -> NDArray[Real]:
    """a [M, K] @ b [K, N], both float32 or both float64, of any strides; a new array [M, N]."""
    if not compiled():
        return _plain(a, b)
    rows, columns = a.shape[0], b.shape[1]
    variant = "f32" if a.dtype == np.float32 else "f64"
    packed = _Packed(b, variant)
    out = np.zeros((rows, packed.columns), a.dtype)
    threads = (os.cpu_count() or 1) if a.size * columns >= _SHARED else 1
    cuts = [rows * part // threads for part in range(threads + 1)]
    parts = [slice(first, last) for first, last in pairwise(cuts) if last > first]
    if len(parts) > 1:
        list(_pool(threads).map(lambda part: packed.multiply(a[part], out[part]), parts))
    else:
        packed.multiply(a, out)
    return out if packed.columns == columns else np.ascontiguousarray(out[:, :columns])


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="products")


class _Packed:
    """A right operand as the step reads it: [tiles, K, columns of a tile], whole vectors."""

    def __init__(self, b: NDArray[Any], variant: str) -> None:
        from accel_kernels.native.float_products import lanes

        count, (terms, columns) = lanes(variant), b.shape
        self.columns = -(-columns // count) * count
        self._step, self._terms = function(f"float_products:{variant}", 10), terms
        self._tiles = np.zeros((-(-self.columns // (2 * count)), terms * 2 * count), b.dtype)
        pack = function(f"float_products:pack{8 * b.itemsize}", 7)
        for index, tile in enumerate(self._tiles):
            part = b[:, 2 * count * index : 2 * count * (index + 1)]
            width = min(2 * count, self.columns - 2 * count * index)
            pack(part.ctypes.data, *part.strides, *part.shape, tile.ctypes.data, width * b.itemsize)

    def multiply(self, a: NDArray[Any], out: NDArray[Any]) -> None:
        """out += a @ b, a panel of rows after the other, a block of terms after the other."""
        panel = max(1, _PANEL_BYTES // (TERMS * a.itemsize))
        for row in range(0, a.shape[0], panel):
            for first in range(0, self._terms, TERMS):
                self._block(_spread(a[row : row + panel, first : first + TERMS]), out[row : row + panel], first)

    def _block(self, a: NDArray[Any], out: NDArray[Any], first: int) -> None:
        item, tiles = a.itemsize, self._tiles
        whole = tiles.shape[1] // self._terms * item  # bytes of a row of a tile that is not narrow
        narrow = self.columns % (whole // item)
        wide = self.columns - narrow
        for start, width, row in ((0, wide, whole), (wide, narrow, narrow * item)):
            if width:
                self._step(
                    a.ctypes.data,
                    *a.strides,
                    tiles.ctypes.data + start // (whole // item) * tiles.strides[0] + first * row,
                    a.shape[1],
                    tiles.strides[0],
                    out.ctypes.data + start * item,
                    out.strides[0],
                    len(a),
                    width,
                )


def _spread(a: NDArray[Any]) -> NDArray[Any]:
    """Rows whose distance is a multiple of many cache lines would evict each other: a copy with another distance."""
    if a.strides[1] != a.itemsize or a.strides[0] % _CROWDED:
        return a
    copy = np.empty((a.shape[0], TERMS + 32), a.dtype)[:, : a.shape[1]]
    copy[...] = a
    return copy


def _plain(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """The same sums, with NumPy."""
    out = np.zeros((a.shape[0], b.shape[1]), a.dtype)
    for first in range(0, a.shape[1], TERMS):
        block = np.zeros_like(out)
        for k in range(first, min(first + TERMS, a.shape[1])):
            block += a[:, k, None] * b[k]
        out += block
    return out
