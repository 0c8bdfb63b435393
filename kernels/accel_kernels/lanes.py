"""Lanes: blocks of output channels that the watching kernels step through side by side, and the record they keep."""

import numpy as np
from numpy.typing import NDArray

from accel_kernels._jit import kernel
from accel_kernels._types import Array, Int64

LANES = 32
"""Output channels of a block."""
STEPS = 4
"""Products that are added between two visits to memory."""

# A block's state is one array of five rows of LANES, so that the compiler sees that they do not overlap.
START, LOW, HIGH, EVENTS, STATE = LANES, 2 * LANES, 3 * LANES, 4 * LANES, 5 * LANES


_EMPTY = np.array([np.iinfo(np.int64).max, np.iinfo(np.int64).min, 0], np.int64)


def new_record(counts: int = 0) -> NDArray[np.int64]:
    """An empty record: minimum, maximum, overflow events; then so many counts."""
    return np.concatenate([_EMPTY, np.zeros(counts, np.int64)])


def reset_record(record: NDArray[np.int64]) -> None:
    """Make a record an empty one."""
    record[: len(_EMPTY)], record[len(_EMPTY) :] = _EMPTY, 0


def pack_lanes(weights: NDArray[np.generic]) -> NDArray[np.generic]:
    """[N, K] -> [blocks, K rounded up to STEPS, LANES], zeros where there is no weight."""
    n, k = weights.shape
    padded = np.zeros((-(-n // LANES) * LANES, -(-k // STEPS) * STEPS), weights.dtype)
    padded[:n, :k] = weights
    return np.ascontiguousarray(padded.reshape(-1, LANES, padded.shape[1]).transpose(0, 2, 1))


@kernel
def note(record: Array, low: Array, high: Array, offset: Int64) -> None:
    """Widen the record to the extremes `low` and `high`, which are held values + offset."""
    for lane in range(low.size):
        record[0] = min(record[0], np.int64(low[lane]) - offset)
        record[1] = max(record[1], np.int64(high[lane]) - offset)
