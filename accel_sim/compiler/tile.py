"""How matrix commands are cut: tiles fill the grid, and fit the on-chip memories.

A tile takes as much of each operand as the grid holds at rest; the operand that streams is as long as the memories
allow, because loading the grid is paid for once per tile (`Tiling` says which axis is which):

====================  ==============================  ============================  ===========================
dataflow              rows (M)                        reduction (K)                 columns (N)
====================  ==============================  ============================  ===========================
adder_tree,           what accumulators and inputs    the grid's rows               the grid's columns
weight_stationary     allow
output_stationary     grid's rows, or a multiple      all, or what weights allow    the grid's columns
                      while inputs allow
input_stationary      the grid's columns              the grid's rows               what accumulators and
                                                                                    weights allow
====================  ==============================  ============================  ===========================

A memory's half counts where memories are double-buffered. Blocks are whole rows of the output image where more than one
row fits, so that a block shares no input row with the next but the kernel's overlap.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from accel_sim.errors import CompileError, Fault
from accel_sim.hardware import AcceleratorConfig, Dataflow
from accel_sim.program import Command, Convolve, MatrixMultiply, Tiling, TransposeConvolve
from accel_sim.program.geometry import (
    MatrixCommand,
    block_input_bytes,
    matrix_operands,
    matrix_shape,
    pixel_grid,
    weight_zero_points,
)
from accel_sim.records import dataclass


def tile(commands: Sequence[Command], hardware: AcceleratorConfig) -> tuple[Command, ...]:
    """The commands, each matrix command with the tiling for this hardware.

    Raises:
        CompileError: every layer whose smallest tile does not fit the memories.
    """
    faults: list[Fault] = []
    tiled = [
        _tile(command, hardware, faults)
        if isinstance(command, Convolve | TransposeConvolve | MatrixMultiply)
        else command
        for command in commands
    ]
    if faults:
        raise CompileError(f"hardware {hardware.name!r}", faults)
    return tuple(tiled)


@dataclass(frozen=True)
class _Room:
    """Elements that the part of each memory in use holds, for one command."""

    inputs: int
    weights: int
    sums: int


def _tile(command: MatrixCommand, hardware: AcceleratorConfig, faults: list[Fault]) -> MatrixCommand:
    room = _room(command, hardware)
    tiling = choose_tiling(command, hardware, room)
    shape = matrix_shape(command)
    if min(shape.rows, shape.reduction, shape.columns) > 0:
        faults += _misfits(command, hardware, tiling, room)
    return replace(command, tiling=tiling)


def choose_tiling(command: MatrixCommand, hardware: AcceleratorConfig, room: _Room) -> Tiling:
    """The tiling of one command; every number at least 1, even where the memories hold less.

    Of the blocks that the accumulators hold, the one with the least of max(grid cycles, transfer cycles) by a rough
    count, then the least traffic, then the largest.
    """
    grid, shape = hardware.grid, matrix_shape(command)
    columns = shape.columns + any(weight_zero_points(command))  # a column of ones sums the inputs (eq 13)
    reduction, most, step = min(shape.reduction, grid.rows), shape.rows, 1
    if grid.dataflow is Dataflow.OUTPUT_STATIONARY:
        columns, step = min(columns, grid.columns), grid.rows
        fold = min(shape.rows, grid.rows)
        reduction = min(shape.reduction, room.weights // max(columns, 1), room.inputs // max(fold, 1))
        if reduction < shape.reduction:  # sums stay in the grid until the reduction has passed
            most = fold
    elif grid.dataflow is Dataflow.INPUT_STATIONARY:
        most = min(most, grid.columns)
        columns = min(columns, room.sums // max(most, 1), room.weights // max(reduction, 1))
    else:
        columns = min(columns, grid.columns)
        most = min(most, room.sums // max(columns, 1), room.inputs // max(reduction, 1))
    rests = grid.dataflow is Dataflow.INPUT_STATIONARY
    rows = [most] if rests else _candidate_rows(command, most, step)
    tilings = [Tiling(max(n, 1), max(reduction, 1), max(columns, 1)) for n in rows]
    return min(tilings, key=lambda tiling: _cost(command, hardware, room, tiling))


def _candidate_rows(command: MatrixCommand, most: int, step: int) -> list[int]:
    """Sizes of a block: the most, whole rows of the image, multiples of `step`; each halved again and again."""
    width = _image_width(command)
    in_rows = [n * width for n in _halvings(most // width)] if width else []
    in_steps = [n * step for n in _halvings(min(most, width or most) // step)]
    whole = [most] if most == matrix_shape(command).rows or not in_rows + in_steps else []
    return whole + in_rows + in_steps


def _halvings(n: int) -> list[int]:
    """n, n/2, n/4, ... 1, rounded down."""
    return [n >> k for k in range(n.bit_length())]


def _cost(command: MatrixCommand, hardware: AcceleratorConfig, room: _Room, tiling: Tiling) -> tuple[float, float, int]:
    """Rough cycles, DRAM bytes, and the block with its sign turned, for comparing tilings of one command."""
    shape, grid, memory = matrix_shape(command), hardware.grid, hardware.memory
    blocks, column_tiles = -(-shape.rows // tiling.rows), -(-shape.columns // tiling.columns)
    tiles = shape.batches * column_tiles * -(-shape.reduction // tiling.reduction)  # of a block
    last = shape.rows - (blocks - 1) * tiling.rows
    if grid.dataflow is Dataflow.OUTPUT_STATIONARY:
        folds = (blocks - 1) * -(-tiling.rows // grid.rows) + -(-last // grid.rows)
        cycles = tiles * tiling.reduction * folds
    else:
        load = 0 if grid.dataflow is Dataflow.ADDER_TREE else grid.rows
        cycles = tiles * ((blocks - 1) * max(tiling.rows, load) + max(last, load))
    x, w = matrix_operands(command)
    weights = w.size_bytes * (1 if w.size_bytes <= memory.weight_sram_bytes or tiles == 1 else blocks)
    read = _inputs_read(command, tiling.rows)
    if read > room.inputs:
        inputs = shape.batches * shape.rows * shape.reduction * column_tiles * np.dtype(x.dtype).itemsize
    else:
        partial = tiling.rows < _image_width(command)
        inputs = blocks * read * np.dtype(x.dtype).itemsize if partial else x.size_bytes
    traffic = weights + inputs
    return max(cycles, traffic / memory.transfer_bytes_per_cycle), traffic, -tiling.rows


def _image_width(command: MatrixCommand) -> int:
    """Pixels of a row of the output image; 0 where there is no image."""
    return 0 if isinstance(command, MatrixMultiply) else pixel_grid(command)[1]


def _inputs_read(command: MatrixCommand, rows: int) -> int:
    """Input elements of the largest of the first, second and last block of that many rows."""
    total = matrix_shape(command).rows
    item = np.dtype(matrix_operands(command)[0].dtype).itemsize
    firsts = {first for first in (0, rows, (total - 1) // rows * rows) if 0 <= first < total}
    return max((block_input_bytes(command, first, min(first + rows, total) - 1) for first in firsts), default=0) // item


def _room(command: MatrixCommand, hardware: AcceleratorConfig) -> _Room:
    memory = hardware.memory
    inputs, weights = (np.dtype(operand.dtype).itemsize for operand in matrix_operands(command))
    accumulator = hardware.accumulator.size_bytes * (2 if command.wide_accumulator else 1)
    return _Room(
        memory.activation_sram_bytes // memory.buffers // inputs,
        memory.weight_sram_bytes // memory.buffers // weights,
        memory.accumulator_sram_bytes // memory.buffers // accumulator,
    )


def _misfits(command: MatrixCommand, hardware: AcceleratorConfig, tiling: Tiling, room: _Room) -> list[Fault]:
    """What of the chosen tile a memory cannot hold."""
    rows = min(tiling.rows, hardware.grid.rows) if hardware.grid.dataflow is Dataflow.OUTPUT_STATIONARY else tiling.rows
    needs = (
        ("memory.activation_sram_bytes", rows * tiling.reduction, room.inputs, "inputs"),
        ("memory.weight_sram_bytes", tiling.reduction * tiling.columns, room.weights, "weights"),
        ("memory.accumulator_sram_bytes", rows * tiling.columns, room.sums, "accumulators"),
    )
    where = f"node {command.layer!r} ({command.op})"
    return [
        Fault(where, f"{need} {what} in a tile", f"at most {have} fit {key}", "enlarge the memory or shrink the grid")
        for key, need, have, what in needs
        if need > have
    ]
