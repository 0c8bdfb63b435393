"""Weights in the order in which micro-kernels read them."""

import numpy as np
from numpy.typing import NDArray

from accel_kernels.native.tier import Tier

_ALIGNMENT = 64


def pack_weights(weights: NDArray[np.generic], tier: Tier, *, quads: bool) -> NDArray[np.uint8]:
    """[N, K] weights as tiles of columns; in a tile, group after group of K, the columns of a group side by side.

    A group holds 4 int8 (`quads`) or 2 int16. A tile has `tier.columns` columns, the last one half as many where that
    is enough; what does not exist is 0.

    Returns:
        The bytes, aligned to a vector register.
    """
    each, dtype = (4, np.int8) if quads else (2, np.int16)
    count, depth = weights.shape
    codes = tier.codes if quads else each
    groups = -(-depth // codes) * (codes // each)
    widths = [tier.lanes if count - n <= tier.lanes else tier.columns for n in range(0, count, tier.columns)]
    packed = aligned_bytes(sum(widths) * groups * 4)
    place = 0
    for tile, width in enumerate(widths):
        part = weights[tile * tier.columns : (tile + 1) * tier.columns]
        padded = np.zeros((width, groups * each), dtype)
        padded[: len(part), :depth] = part
        target = packed[place : place + width * groups * 4].view(dtype).reshape(groups, width, each)
        target[...] = padded.reshape(width, groups, each).transpose(1, 0, 2)
        place += width * groups * 4
    return packed


def aligned_bytes(size: int) -> NDArray[np.uint8]:
    """Zeroed bytes at an address that is a multiple of a vector register's, with as many to spare behind."""
    raw = np.zeros(size + 2 * _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + size]


def aligned_copy(array: NDArray[np.generic]) -> NDArray[np.uint8]:
    """The bytes of an array in such memory."""
    content = np.ascontiguousarray(array).view(np.uint8).ravel()
    copy = aligned_bytes(len(content))
    copy[:] = content
    return copy
