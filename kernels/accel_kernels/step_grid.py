"""The PE grid stepped cycle by cycle: what the steppers of all dataflows share.

A grid of R x C processing elements is held in arrays whose last axis are the columns, rounded up to BLOCK (`lanes`).
Values that move one register to the right in each cycle (streaming inputs, load counters) lie in a long row, and a
window over it moves one element to the left instead: at offset o, column j's register is element o + j. What waits left
of the window are the skew registers at the edge of the grid, and before them the stream: row i's operand is written i
elements before the window and comes into it i cycles later. When the window reaches the left end, `rebase` moves the
row's contents right by a span. Values that move down one register per cycle lie in the rows of a tall array in the
same manner.

`progress` (int64) is the sequencer's state between calls; its fields are TIME to APART.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accel_kernels._jit import part
from accel_kernels._types import Array, Int64

BLOCK = 32
"""Columns that are computed together; unused ones of the last block rest."""

BATCH, STREAM_FROM, STREAM, REAL_STREAM, ACROSS_FROM, REAL_ACROSS = range(6)
K_FROM, K, FIRST, LAST, SUMS, SLICE, FIELDS = range(6, 13)
"""Fields of a fold.

BATCH: which product. STREAM_FROM, STREAM, REAL_STREAM: first vector of the streaming operand, vectors, and how many of
them are real (others are idle: a column of ones). ACROSS_FROM, REAL_ACROSS: first column of the resting operand, real
columns. K_FROM, K: reduction elements. FIRST, LAST: whether the fold begins and ends its accumulators' reduction. SUMS:
which set of accumulators, counted up. SLICE: number of the tile of the reduction, counted over all products.

Where the reduction streams (output_stationary), STREAM_FROM and REAL_STREAM are the pixels in the grid's rows.
"""

_LINE = 16
"""int32 in a line of a cache."""

AHEAD = 64
"""Vectors of a stream that are written to the rows under the windows at a time, before they enter."""

TIME, CURRENT, POSITION, NEXT, LOADED, LOAD_END, OLDEST, OFFSET, FINISHED, ENTERED = range(10)
CLOSE, APART, PROGRESS = range(10, 13)
"""Fields of `progress`.

TIME: the cycle. CURRENT, POSITION: the fold that streams, and how many of its vectors have entered. NEXT, LOADED,
LOAD_END: the fold whose operand is loaded, how many of its rows have entered, when the last column has it. OLDEST: the
first fold whose sums have not all left. OFFSET: the window. FINISHED: whether all is done. ENTERED: how many of the
current fold's vectors are written to the rows under the windows. CLOSE, APART: until when what two folds do to the same
registers is as few as APART cycles apart.
"""


class Work(NamedTuple):
    """What a grid computes.

    Attributes:
        folds: int64 [F, FIELDS]. begins: int64 [F]; gets the cycle in which each fold's stream begins; where operands
            rest without shadow registers, its load.
        streams, rests: operands, int16 (where no sum can overflow) or int32; shapes as each stepper says.
        starts: int64 [products, length or 1, across or 1]; what accumulators begin with; fits them.
        results: [products, length, across]; gets finished accumulators, in the type of the sums.
    """

    folds: Array
    begins: Array
    streams: Array
    rests: Array
    starts: Array
    results: Array


class Watch(NamedTuple):
    """What is recorded of every sum, and what sums are.

    Attributes:
        low, high: as the sums [lanes]; extremes. events: int64 [lanes]; overflows.
        bits, policy: of the accumulators; unused where sums are int32.
    """

    low: Array
    high: Array
    events: Array
    bits: Int64
    policy: Int64


def lanes_of(columns: int) -> int:
    """Columns rounded up to whole blocks."""
    return -(-columns // BLOCK) * BLOCK


def margin_of(rows: int, columns: int) -> int:
    """Elements left of a window: skew registers, and what waits before them."""
    return max(rows, columns) + AHEAD + BLOCK


def span_of(rows: int, columns: int) -> int:
    """Cycles between two moves of the rows under the windows; nothing that moves is overwritten."""
    return margin_of(rows, columns) + lanes_of(columns) + rows + 2 * _LINE


def window_length(rows: int, columns: int) -> int:
    """Length of a row with a window: margin, span, lanes, and as many rows, at least.

    It is an odd number of the cache's lines: rows then lie in different sets of it.
    """
    least = margin_of(rows, columns) + span_of(rows, columns) + lanes_of(columns) + rows
    return 2 * _LINE * -(-(least - _LINE) // (2 * _LINE)) + _LINE


def new_progress(rows: int, columns: int) -> NDArray[np.int64]:
    """The sequencer before the first cycle."""
    progress = np.zeros(PROGRESS, np.int64)
    progress[CURRENT] = -1
    progress[OFFSET] = margin_of(rows, columns) + span_of(rows, columns)
    return progress


@part()
def rebase(rows: Array, span: Int64) -> None:
    """Move the contents of each row right by span: rows [n, length]; what lies past the end is no longer needed.

    What is left free holds 0. At most `span` elements remain.
    """
    for i in range(rows.shape[0]):
        free, kept = rows[i, :span], rows[i, span:]
        for j in range(kept.size):
            kept[j] = free[j]
        for j in range(span):
            free[j] = 0


@part()
def rebase_down(rows: Array, span: Int64) -> None:
    """As `rebase` for a tall array [length, lanes]."""
    for i in range(rows.shape[0] - span - 1, -1, -1):
        for j in range(rows.shape[1]):
            rows[span + i, j] = rows[i, j]
