"""A systolic grid with a resting operand, stepped cycle by cycle: weight_stationary and input_stationary.

PE (i, j) holds a resting operand (row = reduction element, column = output channel, or output pixel where inputs rest).
In each cycle it takes the streaming operand of its left neighbour and the partial sum from above, and hands the operand
to the right and sum + operand * resting operand down. Streaming vectors enter skewed: element i in row i, i cycles
late.

The sums *are* the accumulators: what enters at the top of a column is the accumulator's value, read from the
accumulator memory (the start value, bias, for the first fold of a reduction), and what leaves at the bottom is written
back. So an accumulator sees its products one by one, k ascending, as everywhere else. Between two accumulators the read
port keeps the last value and streaming operands are 0: such a slot carries a value through and changes nothing.

The resting operand of a fold shifts in from the top, one row per cycle, column j j cycles late, the last row first; a
load counter moves along to the right (LOADS: rows seen by a column; row i shifts while it is at least i). With shadow
registers it shifts into those while the fold before streams, and PE (i, j) takes it over with its first vector. The
next fold starts when its operand is loaded and the stream has ended; without shadow registers the load begins when all
sums have left. Nothing here knows the closed forms of the cycle model.
"""

import numpy as np

from accel_kernels._jit import kernel
from accel_kernels._types import Array, Int64
from accel_kernels.step_grid import (
    ACROSS_FROM,
    BATCH,
    CURRENT,
    FINISHED,
    FIRST,
    K_FROM,
    LAST,
    LOAD_END,
    LOADED,
    NEXT,
    OFFSET,
    OLDEST,
    POSITION,
    REAL_ACROSS,
    REAL_STREAM,
    SLICE,
    STREAM,
    STREAM_FROM,
    SUMS,
    TIME,
    K,
    rebase,
)
from accel_kernels.step_sweeps import shift_loads, stream_down, sweep_down

IDLE = -1
"""Load counter of a column that is not being loaded."""


@kernel
def step_stationary(
    folds: Array,
    begins: Array,
    streams: Array,
    rests: Array,
    starts: Array,
    columns: Int64,
    inputs: Array,
    resting: Array,
    shadow: Array,
    sums: Array,
    loads: Array,
    arriving: Array,
    memory: Array,
    results: Array,
    low: Array,
    high: Array,
    events: Array,
    bits: Int64,
    policy: Int64,
    progress: Array,
    span: Int64,
    cycles: Int64,
) -> None:
    """Step the grid by `cycles` cycles, or until all folds are done.

    Operands:
        folds: int64 [F, FIELDS]. begins: int64 [F]; gets the cycle in which each fold's stream begins; without shadow
            registers, its load.
        streams: int16 or int32 [slices, length, most K of a fold]; a product's tiles of the reduction one after the
            other. rests: same type [products, across, K].
        starts: int64 [products, length or 1, across or 1]; what accumulators begin with; fits them.
        columns: C. R is the number of rows of `resting`.
        results: [products, length, across]; gets finished accumulators, in the type of `sums`.

    Registers (see `step_grid` for windows):
        inputs: same type as the streams, [R, window]. resting: same type [R, lanes].
        shadow: the same, or [0, lanes] without shadow registers. loads: int16 [1, window].
        sums: int32, where no sum can overflow, or int64 [R + 1, lanes]; row 0 is the read port above the grid.
        arriving: [R + C, lanes]; row t mod (R + C) holds what the load path hands to the top row in cycle t.
        memory: accumulator memory, as `sums`: [slots, length + C - 1, lanes]; the value of vector m for column j is in
            row m + j. Slots are enough for all folds whose sums are in the grid.

    Watching:
        low, high: as `sums`, [lanes]. events: int64 [lanes].
        bits, policy: of the accumulators; unused where sums are int32.
    """
    rows = resting.shape[0]
    shadowed = shadow.shape[0] > 0
    count, depth = folds.shape[0], rows + columns
    limit = progress[TIME] + cycles
    while progress[TIME] < limit and progress[FINISHED] == 0:
        time, offset = progress[TIME], progress[OFFSET]
        current = progress[CURRENT]
        length = folds[current, STREAM] if current >= 0 else np.int64(0)
        left = current < 0 or time >= _starts_at(begins, current, rows, shadowed) + length + depth - 2  # all sums have
        upcoming = progress[NEXT]
        if upcoming == count and left:
            progress[FINISHED] = 1
            break

        loaded = upcoming < count and progress[LOADED] == rows
        if loaded and progress[POSITION] == length:
            current, length = upcoming, folds[upcoming, STREAM]
            left = False
            if shadowed:
                begins[current] = time
            if folds[current, FIRST]:
                _preload(folds[current], starts, columns, memory[_slot(folds, current, memory)])
            upcoming += 1
            progress[CURRENT], progress[POSITION], progress[NEXT], progress[LOADED] = current, 0, upcoming, 0

        loads[0, offset] = IDLE
        if upcoming < count and progress[LOADED] < rows and (shadowed or left):
            if progress[LOADED] == 0:
                _send(folds[upcoming], rests, rows, columns, time, arriving)
                progress[LOAD_END] = time + depth - 1
                if not shadowed:
                    begins[upcoming] = time
            loads[0, offset] = progress[LOADED]
            progress[LOADED] += 1

        if current >= 0 and progress[POSITION] < length:
            _enter(folds, current, progress[POSITION], streams, inputs, offset)
            progress[POSITION] += 1

        oldest = progress[OLDEST]
        for fold in range(oldest, current + 1):
            s = time - _starts_at(begins, fold, rows, shadowed)
            length = folds[fold, STREAM]
            if shadowed and s < depth - 1:
                _take_over(resting, shadow, s, columns)
            if s < length + columns - 1:
                slot = _slot(folds, fold, memory)
                for j in range(max(0, s - length + 1), min(columns, s + 1)):
                    sums[0, j] = memory[slot, s, j]

        sweep_down(inputs, offset, resting, sums, low, high, events, bits, policy)
        if time < progress[LOAD_END]:
            shift_loads(shadow if shadowed else resting, loads, offset, arriving, time % depth)

        for fold in range(oldest, current + 1):
            s = time - _starts_at(begins, fold, rows, shadowed) - (rows - 1)
            length = folds[fold, STREAM]
            if 0 <= s < length + columns - 1:
                slot = _slot(folds, fold, memory)
                for j in range(max(0, s - length + 1), min(columns, s + 1)):
                    memory[slot, s, j] = sums[rows, j]
            if s >= length + columns - 2:
                if folds[fold, LAST]:
                    _collect(folds[fold], memory[_slot(folds, fold, memory)], results)
                progress[OLDEST] = fold + 1

        progress[TIME] += 1
        progress[OFFSET] -= 1
        s = progress[TIME] - _starts_at(begins, progress[OLDEST], rows, shadowed) if current >= 0 else np.int64(0)
        steady = min(limit - progress[TIME], progress[OFFSET] - max(rows, columns) + 1)
        if current >= 0:
            steady = min(steady, folds[current, REAL_STREAM] - progress[POSITION])
            if depth == 2 and steady > 0:
                steady -= 1  # a single PE: the last sum leaves in the cycle of the last vector, and ends the fold above
        waits = upcoming == count or progress[LOADED] == rows
        if (
            waits
            and progress[TIME] >= progress[LOAD_END]
            and progress[OLDEST] == current
            and s >= depth - 1
            and steady > 0
        ):
            passed = _stream(
                steady, folds, current, s, streams, inputs, progress[OFFSET], resting, sums, memory, low, high
            )
            for t in range(passed):
                loads[0, progress[OFFSET] - t] = IDLE
            progress[TIME] += passed
            progress[OFFSET] -= passed
            progress[POSITION] += passed
        if progress[OFFSET] < max(rows, columns) - 1:
            rebase(inputs, span)
            rebase(loads, span)
            progress[OFFSET] += span


@kernel
def _starts_at(begins: Array, fold: Int64, rows: Int64, shadowed: Int64) -> Int64:
    """The cycle in which a fold's first vector enters."""
    return begins[fold] if shadowed else begins[fold] + rows


@kernel
def _slot(folds: Array, fold: Int64, memory: Array) -> Int64:
    return folds[fold, SUMS] % memory.shape[0]


@kernel
def _stream(
    cycles: Int64,
    folds: Array,
    fold: Int64,
    s: Int64,
    streams: Array,
    inputs: Array,
    offset: Int64,
    resting: Array,
    sums: Array,
    memory: Array,
    low: Array,
    high: Array,
) -> Int64:
    """Cycles in which one fold alone streams through the whole grid; as many as were stepped.

    Vector s of the fold enters; the accumulators of row s are read and those of row s - (R - 1) written.
    """
    first = (folds[fold, SLICE] * streams.shape[1] + folds[fold, STREAM_FROM] + s) * streams.shape[2]
    row = _slot(folds, fold, memory) * memory.shape[1] + s
    read, write = row * memory.shape[2], (row - resting.shape[0] + 1) * memory.shape[2]
    return stream_down(
        cycles, streams, first, folds[fold, K], inputs, offset, resting, sums, memory, read, write, low, high
    )


@kernel
def _preload(fold: Array, starts: Array, columns: Int64, held: Array) -> None:
    """The accumulators of a fold begin; idle ones with the value of a real one."""
    last_stream, last_column = starts.shape[1] - 1, starts.shape[2] - 1
    own = starts[fold[BATCH]]
    real_stream, real_across = max(fold[REAL_STREAM] - 1, 0), max(fold[REAL_ACROSS] - 1, 0)
    for j in range(columns):
        column = min(fold[ACROSS_FROM] + min(j, real_across), last_column)
        held[0, j] = own[min(fold[STREAM_FROM], last_stream), column]
    if last_stream == 0:  # every vector begins with the same values
        for s in range(1, fold[STREAM] + columns - 1):
            for j in range(held.shape[1]):
                held[s, j] = held[0, j]
    else:
        for s in range(1, fold[STREAM] + columns - 1):
            for j in range(columns):
                vector = fold[STREAM_FROM] + min(max(s - j, 0), real_stream)
                held[s, j] = own[min(vector, last_stream), min(fold[ACROSS_FROM] + min(j, real_across), last_column)]


@kernel
def _send(fold: Array, rests: Array, rows: Int64, columns: Int64, time: Int64, arriving: Array) -> None:
    """Row r of the resting operand reaches the top of column j in cycle time + j + rows - 1 - r."""
    depth = arriving.shape[0]
    for j in range(columns):
        cycle = (time + j + rows - 1) % depth
        real = fold[K] if j < fold[REAL_ACROSS] else np.int64(0)
        around = min(rows, cycle + 1)  # rows that come before the ring begins anew
        if real == rows:
            operand = rests[fold[BATCH], fold[ACROSS_FROM] + j, fold[K_FROM] : fold[K_FROM] + rows]
            for r in range(around):
                arriving[cycle - r, j] = operand[r]
            for r in range(around, rows):
                arriving[depth + cycle - r, j] = operand[r]
        else:
            for r in range(rows):
                value = (
                    np.int64(rests[fold[BATCH], fold[ACROSS_FROM] + j, fold[K_FROM] + r]) if r < real else np.int64(0)
                )
                arriving[cycle - r if r < around else depth + cycle - r, j] = value


@kernel
def _enter(folds: Array, fold: Int64, position: Int64, streams: Array, inputs: Array, offset: Int64) -> None:
    """A vector of the stream enters the skew registers, which hold 0 wherever nothing enters."""
    real = folds[fold, K] if position < folds[fold, REAL_STREAM] else np.int64(0)
    part, vector = folds[fold, SLICE], folds[fold, STREAM_FROM] + position
    for i in range(real):
        inputs[i, offset - i] = streams[part, vector, i]


@kernel
def _take_over(resting: Array, shadow: Array, wave: Int64, columns: Int64) -> None:
    """The PEs that a fold's first vector reaches now take their next operand."""
    for i in range(max(0, wave - columns + 1), min(resting.shape[0], wave + 1)):
        resting[i, wave - i] = shadow[i, wave - i]


@kernel
def _collect(fold: Array, held: Array, results: Array) -> None:
    """Finished accumulators leave the accumulator memory."""
    for m in range(fold[REAL_STREAM]):
        row = results[fold[BATCH], fold[STREAM_FROM] + m, fold[ACROSS_FROM] : fold[ACROSS_FROM] + fold[REAL_ACROSS]]
        for j in range(row.size):
            row[j] = held[m + j, j]
