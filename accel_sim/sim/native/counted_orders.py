"""The orders in which counting steps read the weights of a group."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_kernels.native.count_blocks import NARROW, WIDE
from accel_kernels.native.tier import Tier, tier
from accel_sim.sim.memory import Bytes
from accel_sim.sim.native.step import pinned


def by_sign(weights: NDArray[np.generic], chosen: Tier) -> NDArray[np.int8]:
    """[N, K] as int8 [tiles, groups of 4, positive and negative, lanes, 4], flat; what does not exist is 0."""
    padded = _padded(weights, chosen.lanes, chosen.codes)
    halves = np.stack([np.maximum(padded, 0), np.minimum(padded, 0)])
    ordered = halves.reshape(2, padded.shape[0] // chosen.lanes, chosen.lanes, -1, 4).transpose(1, 3, 0, 2, 4)
    return ordered.astype(np.int8).ravel()


def segments(reduction: int) -> int:
    """Groups of 4 products of a segment, of which there are as many as lanes."""
    return -(-reduction // (4 * tier().lanes))


def in_segments(weights: NDArray[Any], lanes: int) -> Bytes:
    """[N, K] as int8 [N, groups of 4 in a segment, segments, 4], flat: as many segments as lanes."""
    groups = segments(weights.shape[1])
    padded = np.zeros((len(weights), lanes * groups * 4), np.int8)
    padded[:, : weights.shape[1]] = weights
    return pinned(padded.reshape(-1, lanes, groups, 4).transpose(0, 2, 1, 3))


def in_pairs(weights: NDArray[Any], lanes: int, shift: int) -> NDArray[np.uint8]:
    """[N, K], shifted, as int16 [tiles, pairs, columns of a tile, 2], flat: WIDE vectors each, or NARROW at the end."""
    found = []
    for part, columns in _tiles(weights, lanes):
        padded = _padded(part, columns, 2) << shift
        found.append(padded.reshape(columns, -1, 2).transpose(1, 0, 2).ravel())
    return np.concatenate(found).astype(np.int16).view(np.uint8)


def in_rows(weights: NDArray[Any], lanes: int, shift: int) -> NDArray[np.uint8]:
    """[N, K], shifted, as int16 [tiles, 1 + K, columns of a tile], flat, a row of zeros before the others."""
    found = []
    for part, columns in _tiles(weights, lanes):
        rows = np.zeros((1 + part.shape[1], columns), np.int32)
        rows[1:, : len(part)] = part.T
        found.append((rows << shift).ravel())
    return np.concatenate(found).astype(np.int16).view(np.uint8)


def _tiles(weights: NDArray[Any], lanes: int) -> Iterator[tuple[NDArray[Any], int]]:
    """Weights of WIDE vectors of columns, or fewer at the end; the columns that they are packed for."""
    for first in range(0, len(weights), WIDE * lanes):
        part = weights[first : first + WIDE * lanes]
        yield part, (WIDE if len(part) > NARROW * lanes else NARROW) * lanes


def _padded(weights: NDArray[np.generic], lanes: int, each: int) -> NDArray[np.int16]:
    n, k = weights.shape
    padded = np.zeros((-(-n // lanes) * lanes, -(-k // each) * each), np.int16)
    padded[:n, :k] = weights
    return padded
