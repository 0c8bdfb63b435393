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
registers it shifts into those while the fold before streams, and PE (i, j) takes it over with its first vector, told
by a token that moves right and down with that. The next fold starts when its operand is loaded and the stream has
ended; without shadow registers the load begins when all sums have left. Nothing here knows the closed forms of the
cycle model.

The sequencer counts vectors and rows, and decides when a count ends. Between two decisions all PEs go DEPTH cycles in a
sweep, and sweep follows sweep, as long as no operand or sum that comes into the grid or its memory meanwhile is needed
meanwhile: a fold's operands and sums are there as many cycles before it needs them as the stream before it is longer
than the grid's rows. Else they go one cycle.
"""

import numpy as np

from accel_kernels._jit import lean_kernel, part
from accel_kernels._types import Array, Int64
from accel_kernels.step_down import DEPTH, Registers, sweep_down
from accel_kernels.step_grid import (
    ACROSS_FROM,
    AHEAD,
    APART,
    BATCH,
    CLOSE,
    CURRENT,
    ENTERED,
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
    Watch,
    Work,
    rebase,
)
from accel_kernels.step_loads import COLUMNS, send, shift_loads
from accel_kernels.step_ports import read_port, write_port

IDLE = -1
"""Load counter of a column that is not being loaded."""


@lean_kernel
def step_stationary(
    work: Work, grid: Registers, watch: Watch, columns: Int64, progress: Array, span: Int64, cycles: Int64
) -> None:
    """Step the grid by `cycles` cycles, or until all folds are done.

    Operands:
        work: streams are int16 or int32 [slices, most K of a fold, length], a product's tiles of the reduction one
            after the other, the last vector first; rests [products, across, K]; starts [products, length or 1, across
            or 1].
        columns: C. R is the number of rows of `grid.resting`.
    """
    rows, lanes = grid.resting.shape
    shadowed = grid.shadow.shape[0] > 0
    count, depth = work.folds.shape[0], rows + columns
    margin = grid.inputs.shape[1] - span - lanes - rows
    limit = progress[TIME] + cycles
    while progress[TIME] < limit and progress[FINISHED] == 0:
        time, current, upcoming = progress[TIME], progress[CURRENT], progress[NEXT]
        length = work.folds[current, STREAM] if current >= 0 else np.int64(0)
        left = _starts_at(work, current, rows, shadowed) + length + depth - 2 if current >= 0 else time
        if upcoming == count and time >= left:  # all sums have left
            progress[FINISHED] = 1
            break
        if upcoming < count and progress[LOADED] == rows and progress[POSITION] == length:
            _begin(work, grid, upcoming, columns, progress)
            current, upcoming, length = upcoming, upcoming + 1, work.folds[upcoming, STREAM]
            left = _starts_at(work, current, rows, shadowed) + length + depth - 2
        loads = upcoming < count and (shadowed or time >= left)
        if loads and progress[LOADED] == 0:
            _send(work, upcoming, rows, columns, time, grid.arriving)
            progress[LOAD_END] = time + depth - 1
            if not shadowed:
                work.begins[upcoming] = time

        undecided = max(length - progress[POSITION], rows - progress[LOADED]) if loads else left - time
        undecided = min(undecided, limit - time, progress[OFFSET] - margin + 1)
        _run(work, grid, watch, columns, progress, undecided, np.int64(loads))
        if progress[OFFSET] < margin:
            rebase(grid.inputs, span)
            rebase(grid.loads, span)
            rebase(grid.takes, span)
            progress[OFFSET] += span


@part()
def _starts_at(work: Work, fold: Int64, rows: Int64, shadowed: Int64) -> Int64:
    """The cycle in which a fold's first vector enters."""
    return work.begins[fold] if shadowed else work.begins[fold] + rows


@part()
def _begin(work: Work, grid: Registers, fold: Int64, columns: Int64, progress: Array) -> None:
    """A fold begins to stream."""
    rows, time = grid.resting.shape[0], progress[TIME]
    if grid.shadow.shape[0] > 0:
        work.begins[fold] = time
        grid.takes[0, progress[OFFSET]] = 1
    if work.folds[fold, FIRST]:
        _preload(work.folds[fold], work.starts, columns, grid.memory[work.folds[fold, SUMS] % grid.memory.shape[0]])
    apart = work.folds[fold - 1, STREAM] - rows if fold > 0 else np.int64(0)
    if apart < AHEAD:  # operands and sums arrive so soon before they are needed
        progress[CLOSE], progress[APART] = time + rows + columns + AHEAD, apart
    progress[CURRENT], progress[POSITION], progress[ENTERED] = fold, 0, 0
    progress[NEXT], progress[LOADED] = fold + 1, 0


@part()
def _run(
    work: Work, grid: Registers, watch: Watch, columns: Int64, progress: Array, cycles: Int64, loads: Int64
) -> None:
    """Cycles in which the sequencer decides nothing: the current fold streams, or has streamed.

    Where the next fold's operand `loads`, its rows follow one another.
    """
    rows, shadowed, current = grid.resting.shape[0], grid.shadow.shape[0] > 0, progress[CURRENT]
    length = work.folds[current, STREAM] if current >= 0 else np.int64(0)
    end = progress[TIME] + cycles
    while progress[TIME] < end:
        time, offset = progress[TIME], progress[OFFSET]
        loading = time < progress[LOAD_END]
        together = 1
        if rows > DEPTH and (shadowed or not loading):
            most = min(end - time, progress[APART] if time < progress[CLOSE] else AHEAD)
            together = max(most // DEPTH * DEPTH, 1)
        if current >= 0:
            _enter(work, grid.inputs, together, progress)
        for c in range(together):
            counts = loads and progress[LOADED] < rows
            grid.loads[0, offset - c] = progress[LOADED] if counts else IDLE
            progress[LOADED] += np.int64(counts)
        _sweep(work, grid, watch, columns, progress, together)
        if loading and shadowed:
            shift_loads(grid.shadow, grid.loads, offset, grid.arriving, time, together)
        elif loading:
            shift_loads(grid.resting, grid.loads, offset, grid.arriving, time, together)
        progress[TIME] += together
        progress[OFFSET] -= together
        progress[POSITION] = min(length, progress[POSITION] + together)
        _retire(work, grid, columns, progress)


@part()
def _sweep(work: Work, grid: Registers, watch: Watch, columns: Int64, progress: Array, together: Int64) -> None:
    """Cycles of all PEs, and of the accumulator memory's ports."""
    rows, slots, current = grid.resting.shape[0], grid.memory.shape[0], progress[CURRENT]
    shadowed = grid.shadow.shape[0] > 0
    top, bottom = grid.ports[0, :together], grid.ports[1, :together]
    taking, reads, writes = False, True, True
    for fold in range(progress[OLDEST], current + 1):
        s, length = progress[TIME] - _starts_at(work, fold, rows, shadowed), work.folds[fold, STREAM]
        taking |= shadowed and s < rows + columns - 1
        slot = work.folds[fold, SUMS] % slots
        if columns - 1 <= s <= length - together:  # in all of its columns, as vectors are
            top, reads = grid.memory[slot, s : s + together], False
        s -= rows - 1
        if columns - 1 <= s <= length - together:
            bottom, writes = grid.memory[slot, s : s + together], False
    if reads:
        _read(work, grid, columns, progress, top)
    sweep_down(grid, progress[OFFSET], top, bottom, watch, taking)
    if writes:
        for fold in range(progress[OLDEST], current + 1):
            s = progress[TIME] - _starts_at(work, fold, rows, shadowed) - (rows - 1)
            slot, length = work.folds[fold, SUMS] % slots, work.folds[fold, STREAM]
            if -together < s < length + columns - 1:
                write_port(grid.memory, slot, s, length, columns, bottom)


@part()
def _read(work: Work, grid: Registers, columns: Int64, progress: Array, top: Array) -> None:
    """What the read port gives: of each fold that has to do with it, and else what it gave last."""
    rows, shadowed = grid.resting.shape[0], grid.shadow.shape[0] > 0
    for c in range(top.shape[0]):
        for j in range(top.shape[1]):
            top[c, j] = grid.sums[0, j]
    for fold in range(progress[OLDEST], progress[CURRENT] + 1):
        s, length = progress[TIME] - _starts_at(work, fold, rows, shadowed), work.folds[fold, STREAM]
        if s < length + columns - 1:
            slot = work.folds[fold, SUMS] % grid.memory.shape[0]
            read_port(grid.memory, slot, s, length, columns, grid.sums[0], top)


@part()
def _retire(work: Work, grid: Registers, columns: Int64, progress: Array) -> None:
    """Folds whose sums have all left the grid; those that end a reduction have results."""
    rows, shadowed = grid.resting.shape[0], grid.shadow.shape[0] > 0
    while progress[OLDEST] <= progress[CURRENT]:
        fold = work.folds[progress[OLDEST]]
        start = _starts_at(work, progress[OLDEST], rows, shadowed)
        if progress[TIME] < start + fold[STREAM] + rows + columns - 2:
            break
        if fold[LAST]:
            _collect(fold, grid.memory[fold[SUMS] % grid.memory.shape[0]], work.results)
        progress[OLDEST] += 1


@part()
def _enter(work: Work, inputs: Array, together: Int64, progress: Array) -> None:
    """The current fold's next vectors are in the rows under the windows, which hold 0 wherever none is."""
    fold = work.folds[progress[CURRENT]]
    real, entered = fold[REAL_STREAM], progress[ENTERED]
    if entered >= min(real, progress[POSITION] + together):
        return
    until = min(real, progress[POSITION] + AHEAD)
    last = work.streams.shape[2] - fold[STREAM_FROM] - until  # streams lie in memory last vector first, as rows do
    first = progress[OFFSET] + progress[POSITION] - until + 1
    for i in range(fold[K]):
        source = work.streams[fold[SLICE], i, last : last + until - entered]
        target = inputs[i, first - i : first - i + source.size]
        for m in range(source.size):
            target[m] = source[m]
    progress[ENTERED] = until


@part()
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


@part()
def _send(work: Work, fold: Int64, rows: Int64, columns: Int64, time: Int64, arriving: Array) -> None:
    """Row r of the resting operand reaches the top of column j in cycle time + j + rows - 1 - r."""
    fields = work.folds[fold]
    for j in range(0, columns, COLUMNS):
        real = min(fields[REAL_ACROSS] - j, columns - j, COLUMNS)
        across = fields[ACROSS_FROM] + j
        send(work.rests[fields[BATCH]], across, real, fields[K_FROM], fields[K], arriving, time + j, rows, j)


@part()
def _collect(fold: Array, held: Array, results: Array) -> None:
    """Finished accumulators leave the accumulator memory."""
    for m in range(fold[REAL_STREAM]):
        row = results[fold[BATCH], fold[STREAM_FROM] + m, fold[ACROSS_FROM] : fold[ACROSS_FROM] + fold[REAL_ACROSS]]
        for j in range(row.size):
            row[j] = held[m + j, j]
