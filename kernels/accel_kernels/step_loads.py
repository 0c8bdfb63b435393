"""The operands that come to rest in a grid: from their array to the load path, and down from row to row.

As loops, for any element type, and as vector code with equal results (`_vectors_shift`, `_vectors_send`).
"""

import numpy as np
from numba import types

from accel_kernels import _vectors, _vectors_send, _vectors_shift
from accel_kernels._jit import part
from accel_kernels._types import Array, Int64

COLUMNS = _vectors.WIDTH
"""Columns that are sent together."""
GROUP = _vectors_shift.TOGETHER
"""Cycles in which loaded operands move together."""


def send_loops(
    rests: Array,
    across: Int64,
    real: Int64,
    k: Int64,
    size: Int64,
    arriving: Array,
    time: Int64,
    rows: Int64,
    at: Int64,
) -> None:
    """Row r of the resting operand reaches the top of column at + j in cycle time + j + rows - 1 - r.

    Operands:
        rests: int16 or int32 [across, K]. across, k: where the operand begins in it.
        real, size: columns and rows of the operand; rows beyond, and columns to COLUMNS beyond, get 0.
        arriving: as rests [.., lanes], a ring; its row t modulo its length is for cycle t.
        time: not negative. rows: of the grid. at: the first column in the grid.
    """
    depth = arriving.shape[0]
    for j in range(COLUMNS):
        cycle = (time + j + rows - 1) % depth
        operand = rests[across + min(j, max(real - 1, 0)), k:]
        known = size if j < real else 0
        for r in range(rows):
            value = operand[r] if r < known else 0
            arriving[np.uint64(cycle if cycle >= 0 else cycle + depth), at + j] = value
            cycle -= 1


send_pieces = part()(send_loops)


def send_vectors(
    rests: Array,
    across: Int64,
    real: Int64,
    k: Int64,
    size: Int64,
    arriving: Array,
    time: Int64,
    rows: Int64,
    at: Int64,
) -> None:
    """As `send_loops` for int16: whole blocks of COLUMNS rows and columns transposed in registers."""
    if real < COLUMNS or size < rows or rows % COLUMNS != 0:
        send_pieces(rests, across, real, k, size, arriving, time, rows, at)
    else:
        _vectors_send.send_first(rests, across, k + rows - COLUMNS, arriving, time, at)
        for block in range(1, rows // COLUMNS):
            _vectors_send.send_block(
                rests, across, k + rows - COLUMNS * (block + 1), arriving, time + COLUMNS * block, at
            )
        _vectors_send.send_last(rests, across, k - COLUMNS, arriving, time + rows, at)


@part(lambda rests, *others: send_vectors if rests.dtype == types.int16 else send_loops)
def send(
    rests: Array,
    across: Int64,
    real: Int64,
    k: Int64,
    size: Int64,
    arriving: Array,
    time: Int64,
    rows: Int64,
    at: Int64,
) -> None:
    """`send_loops`, whatever the element type."""
    send_loops(rests, across, real, k, size, arriving, time, rows, at)


def shift_loads_loops(chain: Array, loads: Array, offset: Int64, arriving: Array, cycle: Int64, cycles: Int64) -> None:
    """The resting operands that are on their way move down one row: row i's where its column has loaded i rows.

    Operands:
        chain: int16 or int32 [R, lanes]. loads: int16 [1, window]; load counters of the columns at offset and on.
        arriving: as chain [.., lanes], a ring; in cycle t the top row takes row t modulo its length.
        cycle, cycles: the first one, at that offset, and how many; several only if between two loads of a column lie
            at least GROUP cycles, and R is larger.
    """
    for c in range(cycles):
        arrives = arriving[(cycle + c) % arriving.shape[0]]
        for i in range(chain.shape[0] - 1, -1, -1):
            above, here = (chain[i - 1] if i > 0 else arrives), chain[i]
            for j in range(chain.shape[1]):
                here[j] = above[j] if loads[0, offset - c + j] >= i else here[j]


def shift_loads_vectors(
    chain: Array, loads: Array, offset: Int64, arriving: Array, cycle: Int64, cycles: Int64
) -> None:
    """As `shift_loads_loops` for int16; lanes are a multiple of `_vectors.WIDTH`."""
    for column in range(0, chain.shape[1], _vectors.WIDTH):
        for c in range(0, cycles - GROUP + 1, GROUP):
            _vectors_shift.shift_several(chain, loads, offset - c, arriving, cycle + c, column)
        for c in range(cycles // GROUP * GROUP, cycles):
            _vectors_shift.shift_one(chain, loads, offset - c, arriving, cycle + c, column)


@part(lambda chain, *others: shift_loads_vectors if chain.dtype == types.int16 else shift_loads_loops)
def shift_loads(chain: Array, loads: Array, offset: Int64, arriving: Array, cycle: Int64, cycles: Int64) -> None:
    """`shift_loads_loops`, whatever the element type."""
    shift_loads_loops(chain, loads, offset, arriving, cycle, cycles)
