"""A cycle of every PE of a grid whose sums rest.

It comes in three forms: for sums of 32 bits that cannot overflow, as loops and, wherever kernels are compiled, as
vector code (`_vectors`) with equal results; and for sums of any width, every addition checked, in 64-bit registers.
`sweep_resting` chooses by element type when the kernel that calls it is compiled.
"""

import numpy as np
from numba import types

from accel_kernels import _vectors
from accel_kernels._jit import part
from accel_kernels._types import Array, Int64
from accel_kernels.gemm_watch_int64 import add, overflows
from accel_kernels.step_grid import Watch


def sweep_resting_loops(inputs: Array, offset: Int64, weights: Array, sums: Array, watch: Watch) -> None:
    """A cycle of all PEs whose sums rest: sums[i, j] += inputs[i, offset + j] * weights[offset + i, j].

    Operands:
        inputs: int16 [R, length]. weights: int16 [window, lanes]; row offset + i holds the registers of row i.
        sums: int32 [R, lanes]. No sum overflows.
        watch: low and high are int32.
    """
    low, high = watch.low, watch.high
    lanes = sums.shape[1]
    for i in range(sums.shape[0]):
        x, w, p = inputs[i, offset : offset + lanes], weights[offset + i], sums[i]
        for j in range(lanes):
            v = np.int32(np.int64(p[j]) + np.int64(x[j]) * np.int64(w[j]))
            p[j] = v
            low[j] = min(low[j], v)
            high[j] = max(high[j], v)


def sweep_resting_checked(inputs: Array, offset: Int64, weights: Array, sums: Array, watch: Watch) -> None:
    """As `sweep_resting_loops` with int64 sums, of as many bits as `watch` says, that wrap or saturate."""
    low, high, events, bits, policy = watch
    lanes = sums.shape[1]
    for i in range(sums.shape[0]):
        x, w, p = inputs[i, offset : offset + lanes], weights[offset + i], sums[i]
        for j in range(lanes):
            product = np.int64(x[j]) * np.int64(w[j])
            events[j] += np.int64(overflows(p[j], product, bits))
            p[j] = add(p[j], product, bits, policy)
            low[j] = min(low[j], p[j])
            high[j] = max(high[j], p[j])


def sweep_resting_vectors(inputs: Array, offset: Int64, weights: Array, sums: Array, watch: Watch) -> None:
    """As `sweep_resting_loops`; lanes are a multiple of `_vectors.WIDTH`."""
    for column in range(0, sums.shape[1], _vectors.WIDTH):
        _vectors.sweep_resting(inputs, offset, weights, offset, sums, watch.low, watch.high, column)


@part(
    lambda inputs, offset, weights, sums, *others: (
        sweep_resting_vectors if sums.dtype == types.int32 else sweep_resting_checked
    )
)
def sweep_resting(inputs: Array, offset: Int64, weights: Array, sums: Array, watch: Watch) -> None:
    """`sweep_resting_loops` for int32 sums, `sweep_resting_checked` for int64."""
    if sums.dtype == np.int32:
        sweep_resting_loops(inputs, offset, weights, sums, watch)
    else:
        sweep_resting_checked(inputs, offset, weights, sums, watch)
