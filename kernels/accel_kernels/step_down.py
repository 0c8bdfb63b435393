"""Cycles of every PE of a grid whose sums move down.

Each comes as loops and, wherever kernels are compiled and no sum of 32 bits can overflow, as vector code with equal
results (`_vectors`, `_vectors_down`); sums of any width are checked at every addition, in 64-bit registers.
`sweep_down` chooses by element type when the kernel that calls it is compiled.
"""

from typing import NamedTuple

import numpy as np
from numba import types

from accel_kernels import _vectors, _vectors_down
from accel_kernels._jit import part
from accel_kernels._types import Array, Int64
from accel_kernels.gemm_watch_int64 import add, overflows
from accel_kernels.step_grid import Watch

DEPTH = _vectors_down.DEPTH
"""Cycles of a long sweep."""


class Registers(NamedTuple):
    """The registers of the grid, and the accumulator memory (see `step_grid` for windows).

    Attributes:
        inputs: int32 [R, window].
        resting: int16, where no sum can overflow, or int32 [R, lanes].
        shadow: the same, or [0, lanes] without shadow registers.
        takes: int32 [1, window]; the token of a fold's first vector; row i sees it i columns further right.
        sums: int32, where no sum can overflow, or int64 [R + 1, lanes]; row 0 is the read port above the grid, row
            i + 1 the register of row i.
        loads: int16 [1, window]; load counters.
        arriving: as `resting` [R + C, lanes]; row t mod (R + C) holds what the load path hands to the top row in
            cycle t.
        memory: accumulator memory, as `sums`: [slots, length + C - 1, lanes]; the value of vector m for column j is in
            row m + j. Slots are enough for all folds whose sums are in the grid.
        ports: as `sums` [2, AHEAD, lanes]; what passes the memory's read and write port in cycles that go together.
    """

    inputs: Array
    resting: Array
    shadow: Array
    takes: Array
    sums: Array
    loads: Array
    arriving: Array
    memory: Array
    ports: Array


def sweep_down_loops(grid: Registers, offset: Int64, top: Array, bottom: Array, watch: Watch, taking: Int64) -> None:
    """Cycles of all PEs: sums[i + 1, j] = sums[i, j] + inputs[i, offset + j] * resting[i, j].

    A PE that the token has reached first takes over the operand in its shadow register.

    Operands:
        grid: its sums do not overflow. offset: of the first cycle.
        top: [cycles, lanes]; what the read port gives in each cycle. bottom: the same; gets the lowest row's sums. A
            multiple of DEPTH cycles, if the grid has more rows than DEPTH, or a single one.
        taking: whether a token is in the grid.
    """
    inputs, resting, shadow, takes, sums = grid.inputs, grid.resting, grid.shadow, grid.takes, grid.sums
    low, high = watch.low, watch.high
    rows, lanes = resting.shape
    for c in range(top.shape[0]):
        at = offset - c
        for j in range(lanes):
            sums[0, j] = top[c, j]
        for i in range(rows - 1, -1, -1):
            for j in range(lanes):
                if taking and takes[0, at + i + j]:
                    resting[i, j] = shadow[i, j]
                v = np.int32(np.int64(sums[i, j]) + np.int64(inputs[i, at + j]) * np.int64(resting[i, j]))
                sums[i + 1, j] = v
                low[j] = min(low[j], v)
                high[j] = max(high[j], v)
        for j in range(lanes):
            bottom[c, j] = sums[rows, j]


def sweep_down_checked(grid: Registers, offset: Int64, top: Array, bottom: Array, watch: Watch, taking: Int64) -> None:
    """As `sweep_down_loops` with int64 sums, of as many bits as `watch` says, that wrap or saturate."""
    inputs, resting, shadow, takes, sums = grid.inputs, grid.resting, grid.shadow, grid.takes, grid.sums
    low, high, events, bits, policy = watch
    rows, lanes = resting.shape
    for c in range(top.shape[0]):
        at = offset - c
        for j in range(lanes):
            sums[0, j] = top[c, j]
        for i in range(rows - 1, -1, -1):
            for j in range(lanes):
                if taking and takes[0, at + i + j]:
                    resting[i, j] = shadow[i, j]
                product = np.int64(inputs[i, at + j]) * np.int64(resting[i, j])
                v = add(sums[i, j], product, bits, policy)
                events[j] += np.int64(overflows(sums[i, j], product, bits))
                sums[i + 1, j] = v
                low[j] = min(low[j], v)
                high[j] = max(high[j], v)
        for j in range(lanes):
            bottom[c, j] = sums[rows, j]


def sweep_down_vectors(grid: Registers, offset: Int64, top: Array, bottom: Array, watch: Watch, taking: Int64) -> None:
    """As `sweep_down_loops`; lanes are a multiple of `_vectors.WIDTH`."""
    inputs, resting, shadow, takes, sums = grid.inputs, grid.resting, grid.shadow, grid.takes, grid.sums
    low, high = watch.low, watch.high
    for at in range(0, resting.shape[1], _vectors.WIDTH):
        if top.shape[0] == 1:
            _vectors_down.sweep_short(inputs, offset, resting, shadow, takes, sums, top, bottom, low, high, 0, at)
        for c in range(0, top.shape[0] // DEPTH * DEPTH, DEPTH):
            if taking:
                _vectors_down.sweep_long_taking(
                    inputs, offset - c, resting, shadow, takes, sums, top, bottom, low, high, c, at
                )
            else:
                _vectors_down.sweep_long(
                    inputs, offset - c, resting, shadow, takes, sums, top, bottom, low, high, c, at
                )


@part(lambda grid, offset, top, *others: sweep_down_vectors if top.dtype == types.int32 else sweep_down_checked)
def sweep_down(grid: Registers, offset: Int64, top: Array, bottom: Array, watch: Watch, taking: Int64) -> None:
    """`sweep_down_loops` for int32 sums, `sweep_down_checked` for int64."""
    if top.dtype == np.int32:
        sweep_down_loops(grid, offset, top, bottom, watch, taking)
    else:
        sweep_down_checked(grid, offset, top, bottom, watch, taking)
