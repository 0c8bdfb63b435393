"""Row sweeps: one cycle of every PE of the grid.

Each comes in three forms: for sums of 32 bits that cannot overflow, as loops and, wherever kernels are compiled, as
vector code (`_vectors`) with equal results; and for sums of any width, every addition checked, in 64-bit registers.
`sweep_down`, `sweep_resting` and `shift_loads` choose by element type when the kernel that calls them is compiled.
"""

import numpy as np
from numba import types
from numba.extending import overload

from accel_kernels import _vectors, _vectors_stream
from accel_kernels._jit import kernel
from accel_kernels._types import Array, Int64
from accel_kernels.gemm_watch_int64 import add, overflows


@kernel
def sweep_down_loops(inputs: Array, offset: Int64, weights: Array, sums: Array, low: Array, high: Array) -> None:
    """One cycle of all PEs whose sums move down: sums[i + 1, j] = sums[i, j] + inputs[i, offset + j] * weights[i, j].

    Operands:
        inputs: int16 [R, window]. weights: int16 [R, lanes].
        sums: int32 [R + 1, lanes]; row 0 is what enters at the top, row i + 1 the register of row i. No sum overflows.
        low, high: int32 [lanes]; extremes of each column's sums, widened.
    """
    lanes = weights.shape[1]
    for i in range(weights.shape[0] - 1, -1, -1):
        x, w = inputs[i, offset : offset + lanes], weights[i]
        above, below = sums[i], sums[i + 1]
        for j in range(lanes):
            v = np.int32(np.int64(above[j]) + np.int64(x[j]) * np.int64(w[j]))
            below[j] = v
            low[j] = min(low[j], v)
            high[j] = max(high[j], v)


@kernel
def sweep_down_checked(
    inputs: Array,
    offset: Int64,
    weights: Array,
    sums: Array,
    low: Array,
    high: Array,
    events: Array,
    bits: Int64,
    policy: Int64,
) -> None:
    """As `sweep_down_loops` with int64 sums of `bits` bits that wrap or saturate; events [lanes] counts overflows."""
    lanes = weights.shape[1]
    for i in range(weights.shape[0] - 1, -1, -1):
        x, w = inputs[i, offset : offset + lanes], weights[i]
        above, below = sums[i], sums[i + 1]
        for j in range(lanes):
            product = np.int64(x[j]) * np.int64(w[j])
            v = add(above[j], product, bits, policy)
            events[j] += np.int64(overflows(above[j], product, bits))
            below[j] = v
            low[j] = min(low[j], v)
            high[j] = max(high[j], v)


@kernel
def sweep_resting_loops(
    inputs: Array, offset: Int64, weights: Array, below: Int64, sums: Array, low: Array, high: Array
) -> None:
    """One cycle of all PEs whose sums rest: sums[i, j] += inputs[i, offset + j] * weights[below + i, j].

    Operands:
        inputs: int16 [R, length]. weights: int16 [window, lanes]; row below + i holds the registers of row i.
        sums: int32 [R, lanes]. No sum overflows. low, high: int32 [lanes].
    """
    lanes = sums.shape[1]
    for i in range(sums.shape[0]):
        x, w, p = inputs[i, offset : offset + lanes], weights[below + i], sums[i]
        for j in range(lanes):
            v = np.int32(np.int64(p[j]) + np.int64(x[j]) * np.int64(w[j]))
            p[j] = v
            low[j] = min(low[j], v)
            high[j] = max(high[j], v)


@kernel
def sweep_resting_checked(
    inputs: Array,
    offset: Int64,
    weights: Array,
    below: Int64,
    sums: Array,
    low: Array,
    high: Array,
    events: Array,
    bits: Int64,
    policy: Int64,
) -> None:
    """As `sweep_resting_loops` with int64 sums of `bits` bits that wrap or saturate; counts overflows."""
    lanes = sums.shape[1]
    for i in range(sums.shape[0]):
        x, w, p = inputs[i, offset : offset + lanes], weights[below + i], sums[i]
        for j in range(lanes):
            product = np.int64(x[j]) * np.int64(w[j])
            events[j] += np.int64(overflows(p[j], product, bits))
            p[j] = add(p[j], product, bits, policy)
            low[j] = min(low[j], p[j])
            high[j] = max(high[j], p[j])


@kernel
def shift_loads_loops(chain: Array, loads: Array, offset: Int64, arriving: Array, cycle: Int64) -> None:
    """The resting operands that are on their way move down one row: row i's where its column has loaded i rows.

    Operands:
        chain: int16 or int32 [R, lanes]. loads: int16 [1, window]; load counters of the columns at offset and on.
        arriving: as chain [.., lanes]; the top row takes row `cycle`.
    """
    for i in range(chain.shape[0] - 1, -1, -1):
        above, here = (chain[i - 1] if i > 0 else arriving[cycle]), chain[i]
        for j in range(chain.shape[1]):
            here[j] = above[j] if loads[0, offset + j] >= i else here[j]


@kernel
def sweep_down_vectors(inputs: Array, offset: Int64, weights: Array, sums: Array, low: Array, high: Array) -> None:
    """As `sweep_down_loops`; lanes are a multiple of `_vectors.WIDTH`."""
    for column in range(0, weights.shape[1], _vectors.WIDTH):
        _vectors.sweep_down(inputs, offset, weights, sums, low, high, column)


@kernel
def sweep_resting_vectors(
    inputs: Array, offset: Int64, weights: Array, below: Int64, sums: Array, low: Array, high: Array
) -> None:
    """As `sweep_resting_loops`; lanes are a multiple of `_vectors.WIDTH`."""
    for column in range(0, sums.shape[1], _vectors.WIDTH):
        _vectors.sweep_resting(inputs, offset, weights, below, sums, low, high, column)


@kernel
def shift_loads_vectors(chain: Array, loads: Array, offset: Int64, arriving: Array, cycle: Int64) -> None:
    """As `shift_loads_loops` for int16; lanes are a multiple of `_vectors.WIDTH`."""
    for column in range(0, chain.shape[1], _vectors.WIDTH):
        _vectors.shift_down(chain, loads, offset, arriving, cycle, column)


def sweep_down(
    inputs: Array,
    offset: Int64,
    weights: Array,
    sums: Array,
    low: Array,
    high: Array,
    events: Array,
    bits: Int64,
    policy: Int64,
) -> None:
    """`sweep_down_loops` for int32 sums, `sweep_down_checked` for int64."""
    if sums.dtype == np.int32:
        sweep_down_loops(inputs, offset, weights, sums, low, high)
    else:
        sweep_down_checked(inputs, offset, weights, sums, low, high, events, bits, policy)


@overload(sweep_down)
def _compiled_sweep_down(inputs, offset, weights, sums, low, high, events, bits, policy):  # type: ignore[no-untyped-def] # numba compares with lambdas
    if sums.dtype == types.int32:
        return lambda inputs, offset, weights, sums, low, high, events, bits, policy: sweep_down_vectors(
            inputs, offset, weights, sums, low, high
        )
    return lambda inputs, offset, weights, sums, low, high, events, bits, policy: sweep_down_checked(
        inputs, offset, weights, sums, low, high, events, bits, policy
    )


def sweep_resting(
    inputs: Array,
    offset: Int64,
    weights: Array,
    below: Int64,
    sums: Array,
    low: Array,
    high: Array,
    events: Array,
    bits: Int64,
    policy: Int64,
) -> None:
    """`sweep_resting_loops` for int32 sums, `sweep_resting_checked` for int64."""
    if sums.dtype == np.int32:
        sweep_resting_loops(inputs, offset, weights, below, sums, low, high)
    else:
        sweep_resting_checked(inputs, offset, weights, below, sums, low, high, events, bits, policy)


@overload(sweep_resting)
def _compiled_sweep_resting(inputs, offset, weights, below, sums, low, high, events, bits, policy):  # type: ignore[no-untyped-def] # numba compares with lambdas
    if sums.dtype == types.int32:
        return lambda inputs, offset, weights, below, sums, low, high, events, bits, policy: sweep_resting_vectors(
            inputs, offset, weights, below, sums, low, high
        )
    return lambda inputs, offset, weights, below, sums, low, high, events, bits, policy: sweep_resting_checked(
        inputs, offset, weights, below, sums, low, high, events, bits, policy
    )


def shift_loads(chain: Array, loads: Array, offset: Int64, arriving: Array, cycle: Int64) -> None:
    """`shift_loads_loops`, whatever the element type."""
    shift_loads_loops(chain, loads, offset, arriving, cycle)


@overload(shift_loads)
def _compiled_shift_loads(chain, loads, offset, arriving, cycle):  # type: ignore[no-untyped-def] # numba compares with lambdas
    if chain.dtype == types.int16:
        return lambda chain, loads, offset, arriving, cycle: shift_loads_vectors(chain, loads, offset, arriving, cycle)
    return lambda chain, loads, offset, arriving, cycle: shift_loads_loops(chain, loads, offset, arriving, cycle)


@kernel
def enter_vectors(streams: Array, first: Int64, real: Int64, inputs: Array, offset: Int64, count: Int64) -> None:
    """The first `real` elements of `count` vectors from element `first` on go to the skew registers."""
    flat = streams.reshape(-1)
    for i in range(real):
        for t in range(count):
            inputs[i, offset - i - t] = flat[first + t * streams.shape[2] + i]


@kernel
def stream_down_vectors(
    cycles: Int64,
    streams: Array,
    first: Int64,
    real: Int64,
    inputs: Array,
    offset: Int64,
    weights: Array,
    sums: Array,
    memory: Array,
    read: Int64,
    write: Int64,
    low: Array,
    high: Array,
) -> Int64:
    """`cycles` cycles in which a vector enters, an accumulator for every column is read and one is written; cycles.

    Operands:
        streams: int16 [slices, length, depth]; the first vector begins at element `first`; `real` elements of it enter.
        memory: int32 [slots, rows, lanes]; the first row that is read begins at element `read`, the first that is
            written at `write`.
        The others as `sweep_down_loops`.
    """
    lanes, depth = weights.shape[1], streams.shape[2]
    together = _vectors_stream.DEPTH
    swept = cycles // together * together if weights.shape[0] > together else 0
    if swept > 0:
        enter_vectors(streams, first, real, inputs, offset, together)
    for t in range(0, swept, together):
        source, target, vector = read + t * lanes, write + t * lanes, first + (t + together) * depth
        if t + together < swept:
            _vectors_stream.sweep_entering(
                streams, vector, real, inputs, offset - t, weights, sums, memory, source, target, low, high, 0
            )
        else:
            _vectors_stream.sweep_entered(
                streams, vector, real, inputs, offset - t, weights, sums, memory, source, target, low, high, 0
            )
        for column in range(_vectors.WIDTH, lanes, _vectors.WIDTH):
            _vectors_stream.sweep_entered(
                streams, vector, real, inputs, offset - t, weights, sums, memory, source, target, low, high, column
            )
    for t in range(swept, cycles):
        source, target, vector = read + t * lanes, write + t * lanes, first + t * depth
        _vectors.sweep_first_columns(
            streams, vector, real, inputs, offset - t, weights, sums, memory, source, target, low, high, 0
        )
        for column in range(_vectors.WIDTH, lanes, _vectors.WIDTH):
            _vectors.sweep_other_columns(
                streams, vector, real, inputs, offset - t, weights, sums, memory, source, target, low, high, column
            )
    return cycles


def stream_down(
    cycles: Int64,
    streams: Array,
    first: Int64,
    real: Int64,
    inputs: Array,
    offset: Int64,
    weights: Array,
    sums: Array,
    memory: Array,
    read: Int64,
    write: Int64,
    low: Array,
    high: Array,
) -> Int64:
    """`stream_down_vectors` where there is vector code for the element types; else nothing: 0 cycles."""
    return 0


@overload(stream_down)
def _compiled_stream_down(cycles, streams, first, real, inputs, offset, weights, sums, memory, read, write, low, high):  # type: ignore[no-untyped-def] # numba compares with lambdas
    if sums.dtype == types.int32:
        return lambda cycles, streams, first, real, inputs, offset, weights, sums, memory, read, write, low, high: (
            stream_down_vectors(
                cycles, streams, first, real, inputs, offset, weights, sums, memory, read, write, low, high
            )
        )
    return lambda cycles, streams, first, real, inputs, offset, weights, sums, memory, read, write, low, high: 0
