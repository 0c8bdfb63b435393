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
    groups = -(-depth // each)
    tiles = []
    for first in range(0, count, tier.columns):
        part = weights[first : first + tier.columns]
        width = tier.lanes if len(part) <= tier.lanes else tier.columns
        padded = np.zeros((width, groups * each), dtype)
        padded[: len(part), :depth] = part
        tiles.append(
            np.ascontiguousarray(padded.reshape(width, groups, each).transpose(1, 0, 2)).view(np.uint8).ravel()
        )
    return aligned_copy(np.concatenate(tiles) if tiles else np.zeros(0, np.uint8))


def aligned_copy(array: NDArray[np.generic]) -> NDArray[np.uint8]:
    """The bytes of an array at an address that is a multiple of a vector register's, with as many to spare behind."""
    content = np.ascontiguousarray(array).view(np.uint8).ravel()
    raw = np.zeros(len(content) + 2 * _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    raw[start : start + len(content)] = content
    return raw[start : start + len(content)]
