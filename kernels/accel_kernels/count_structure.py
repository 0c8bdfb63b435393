"""Products accumulated in an accumulator of any structure, with overflow counted channel by channel.

A structure is a table int64 [stages, 3] of (bits, policy, terms before it spills; 0 in the last one), as
`accel_sim.numerics.accumulators` specifies it. Products are added in `order`, int64 [T]: their indices, ABSENT for an
addition of 0. Counts are int64 [3, channels]: events, outputs with events, outputs whose exact sum does not fit the
last stage.
"""

import numpy as np

from accel_kernels._jit import kernel
from accel_kernels._types import Array, Int64
from accel_kernels.gemm_watch_int64 import add, narrow, overflows
from accel_kernels.integers import clamp, wrap, wrap32
from accel_kernels.lanes import note

ABSENT = -1
BITS, POLICY, TERMS = 0, 1, 2
EVENTS, AFFECTED, PERSISTENT, COUNTS = 0, 1, 2, 3
MOST_PLAIN_BITS = 62
"""Up to this width the sum of what a stage holds and one term cannot leave int64."""

# Rows of the state, before those of the stages: the term to be added, the exact sum, the times it has left int64
# upwards less downwards, events of this output, smallest and largest value of the last stage.
_TERM, _EXACT, _CARRY, _SEEN, _LOW, _HIGH, _STATE = 0, 1, 2, 3, 4, 5, 6


@kernel
def count_structure(
    panel: Array,
    rows: Int64,
    weights: Array,
    bias: Array,
    zeros: Array,
    offset: Int64,
    order: Array,
    tree: Int64,
    stages: Array,
    column: Int64,
    accumulators: Array,
    record: Array,
    counts: Array,
) -> None:
    """accumulators[i, column + n] = what the structure makes of bias[n] and all panel[i, k] * weights[k, n].

    Operands:
        panel: [at least rows, at least K] int16 or int32. weights: int32 [K, N]. Both relative to their zero points.
        bias: int64 [N].
        zeros, offset: int64 [N] and a number that make codes of weights and panel, where the structure has raw codes;
            the last stage then starts with the bias less what they add to the sum. 0 where it has not.
        order: int64 [T]. tree: products that are summed before they are added; 1 for structures of several stages.
        accumulators: int32 (values wrap) or int64 [at least rows, at least column + N].
        record: int64 [3 or more], see the package. counts: int64 [3, at least column + N].
    """
    size = bias.size
    state = np.zeros((_STATE + stages.shape[0], size), np.int64)
    taken = np.zeros(stages.shape[0], np.int64)
    sums = np.zeros(size, np.int64)
    _begin(state, stages)
    if offset != 0:
        for k in range(weights.shape[0]):
            for n in range(size):
                sums[n] += np.int64(weights[k, n])
    has_zeros = zeros.any()
    for i in range(rows):
        total = np.int64(0)
        if has_zeros:
            for k in range(weights.shape[0]):
                total += np.int64(panel[i, k]) + offset
        for n in range(size):
            state[_TERM, n] = bias[n] - offset * sums[n] - zeros[n] * total
        _start(state, stages, taken)
        t = 0
        while t < order.size:
            k = order[t]
            if k == ABSENT:
                state[_TERM, :] = 0
            else:
                _products(state, panel[i], weights, zeros, offset, k)
            for more in range(t + 1, min(t + tree, order.size)):
                x = np.int64(panel[i, order[more]]) + offset
                for n in range(size):
                    state[_TERM, n] += x * (np.int64(weights[order[more], n]) + zeros[n])
            t += tree
            _feed(state, stages, taken)
        _finish(state, stages, taken)
        _store(state, stages, accumulators[i, column : column + size], counts, column)
    if rows > 0:
        note(record, state[_LOW], state[_HIGH], 0)


@kernel
def count_structure_depthwise(
    panel: Array,
    rows: Int64,
    weights: Array,
    bias: Array,
    zeros: Array,
    offset: Int64,
    order: Array,
    tree: Int64,
    stages: Array,
    accumulators: Array,
    record: Array,
    counts: Array,
) -> None:
    """As `count_structure` for panels [rows, T, C] and weights [T, C]: each channel has its own operands."""
    size = bias.size
    state = np.zeros((_STATE + stages.shape[0], size), np.int64)
    taken = np.zeros(stages.shape[0], np.int64)
    _begin(state, stages)
    for i in range(rows):
        for n in range(size):
            state[_TERM, n] = bias[n]
            for k in range(weights.shape[0]):
                exact = np.int64(panel[i, k, n]) * np.int64(weights[k, n])
                raw = (np.int64(panel[i, k, n]) + offset) * (np.int64(weights[k, n]) + zeros[n])
                state[_TERM, n] += exact - raw
        _start(state, stages, taken)
        t = 0
        while t < order.size:
            state[_TERM, :] = 0
            for more in range(t, min(t + tree, order.size)):
                k = order[more]
                if k != ABSENT:
                    for n in range(size):
                        x, w = np.int64(panel[i, k, n]) + offset, np.int64(weights[k, n]) + zeros[n]
                        state[_TERM, n] += x * w
            t += tree
            _feed(state, stages, taken)
        _finish(state, stages, taken)
        _store(state, stages, accumulators[i], counts, 0)
    if rows > 0:
        note(record, state[_LOW], state[_HIGH], 0)


@kernel
def _products(state: Array, row: Array, weights: Array, zeros: Array, offset: Int64, k: Int64) -> None:
    x = np.int64(row[k]) + offset
    for n in range(zeros.size):
        state[_TERM, n] = x * (np.int64(weights[k, n]) + zeros[n])


@kernel
def _begin(state: Array, stages: Array) -> None:
    state[_LOW, :] = np.iinfo(np.int64).max
    state[_HIGH, :] = np.iinfo(np.int64).min


@kernel
def _start(state: Array, stages: Array, taken: Array) -> None:
    """Empty stages, and the terms added to the last one."""
    last = stages.shape[0] - 1
    for stage in range(last + 1):
        state[_STATE + stage, :] = 0
        taken[stage] = 0
    state[_EXACT, :] = 0
    state[_CARRY, :] = 0
    state[_SEEN, :] = 0
    _total(state)
    _add(state, stages, last, 1)


@kernel
def _feed(state: Array, stages: Array, taken: Array) -> None:
    """The terms enter the first stage."""
    _total(state)
    _add(state, stages, 0, 0)
    taken[0] += 1
    if taken[0] == stages[0, TERMS]:
        _spill(state, stages, taken, 0)


@kernel
def _finish(state: Array, stages: Array, taken: Array) -> None:
    """Every stage that holds something spills, first to last."""
    for stage in range(stages.shape[0] - 1):
        if taken[stage] > 0:
            _spill(state, stages, taken, stage)


@kernel
def _spill(state: Array, stages: Array, taken: Array, stage: Int64) -> None:
    """The contents of a stage become terms of the next, and so on as far as stages are full."""
    while True:
        state[_TERM, :] = state[_STATE + stage, :]
        state[_STATE + stage, :] = 0
        taken[stage] = 0
        stage += 1
        _add(state, stages, stage, np.int64(np.int64(stages[stage - 1, BITS] > MOST_PLAIN_BITS)))
        taken[stage] += 1
        if taken[stage] != stages[stage, TERMS]:
            return


@kernel
def _total(state: Array) -> None:
    """The terms added to the exact sum, in 128 bits."""
    for n in range(state.shape[1]):
        before, term = state[_EXACT, n], state[_TERM, n]
        total = before + term
        left = ((before ^ total) & (term ^ total)) < 0
        state[_CARRY, n] += np.int64(left) * (1 if term >= 0 else -1)
        state[_EXACT, n] = total


@kernel
def _add(state: Array, stages: Array, stage: Int64, large: Int64) -> None:
    """The terms, which may be as large as int64 where `large`, added to a stage."""
    bits, policy = stages[stage, BITS], stages[stage, POLICY]
    row = _STATE + stage
    if large != 0 or bits > MOST_PLAIN_BITS:
        for n in range(state.shape[1]):
            before, term = state[row, n], state[_TERM, n]
            state[_SEEN, n] += np.int64(overflows(before, term, bits))
            state[row, n] = add(before, term, bits, policy)
    elif policy == 1:
        limit = (np.int64(1) << (bits - 1)) - 1
        for n in range(state.shape[1]):
            exact = state[row, n] + state[_TERM, n]
            kept = clamp(exact, -limit - 1, limit)
            state[_SEEN, n] += np.int64(kept != exact)
            state[row, n] = kept
    else:
        for n in range(state.shape[1]):
            exact = state[row, n] + state[_TERM, n]
            kept = wrap(exact, 64 - bits)
            state[_SEEN, n] += np.int64(kept != exact)
            state[row, n] = kept
    if stage == stages.shape[0] - 1:
        for n in range(state.shape[1]):
            state[_LOW, n] = min(state[_LOW, n], state[row, n])
            state[_HIGH, n] = max(state[_HIGH, n], state[row, n])


@kernel
def _store(state: Array, stages: Array, accumulators: Array, counts: Array, column: Int64) -> None:
    last = stages.shape[0] - 1
    bits = stages[last, BITS]
    for n in range(state.shape[1]):
        value = state[_STATE + last, n]
        accumulators[n] = wrap32(value) if accumulators.itemsize == 4 else value
        seen, exact = state[_SEEN, n], state[_EXACT, n]
        fits = state[_CARRY, n] == 0 and narrow(exact, bits, 0) == exact
        counts[EVENTS, column + n] += seen
        counts[AFFECTED, column + n] += np.int64(seen > 0)
        counts[PERSISTENT, column + n] += np.int64(not fits)
