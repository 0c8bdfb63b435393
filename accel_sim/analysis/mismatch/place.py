"""Where on the accelerator an element of a tensor is computed: command, tile, processing element, cycle.

The sequencer's walk is that of the cycle model (`timing/matrix`): outermost the batch of a matrix product, then
blocks of `tiling.rows` output pixels, groups, tiles of `tiling.columns` output channels, tiles of `tiling.reduction`.
The element is finished in the last reduction tile of its block and column tile. Inside a tile of m pixels, k reduction
elements and n channels on a grid of R rows and C columns, the finished sum leaves the grid

- weight stationary, adder tree: from column (channel in tile) mod C, at the bottom of its partial sums, row
  (k - 1) mod R of the last fold;
- input stationary: from column (pixel in tile) mod C, the same row;
- output stationary: from where it rests: row (pixel in tile) mod R, column (channel in tile) mod C.

The cycle given is the one by which the whole tile is done, in grid time of its command. A transposed convolution walks
phases instead of pixels, and operators off the grid stream through the vector unit: for these only the command and its
cycles are told.
"""

from collections.abc import Sequence

import numpy as np

from accel_sim.analysis.mismatch.report import Place
from accel_sim.hardware import AcceleratorConfig, Dataflow
from accel_sim.program import Convolve, MatrixMultiply, Program, written_by
from accel_sim.program.geometry import matrix_shape, weight_zero_points
from accel_sim.sim.timing.commands import time_program
from accel_sim.sim.timing.matrix import matrix_grid_time


def place_of(program: Program, tensor: str, index: Sequence[int]) -> Place | None:
    """The place of one element; None where no command writes the tensor.

    Args:
        program: tiled for its hardware.
        tensor: a computed tensor.
        index: of the element, in the stored layout of one sample.
    """
    numbers = [i for i, c in enumerate(program.commands) if written_by(c).name == tensor]
    if not numbers:
        return None
    number = numbers[-1]
    cycles = [timing.cycles for timing in time_program(program, program.hardware)]
    first = sum(cycles[:number])
    place = Place(number, first, first + cycles[number] - 1)
    command = program.commands[number]
    if not isinstance(command, Convolve | MatrixMultiply):
        return place
    shape = program.as_tensor(written_by(command)).shape
    flat = int(np.ravel_multi_index(tuple(index), shape)) if shape else 0
    return _on_grid(place, command, program.hardware, flat)


def _on_grid(place: Place, command: Convolve | MatrixMultiply, hardware: AcceleratorConfig, flat: int) -> Place:
    tile, row, column, terms = _tile(command, flat)
    time = matrix_grid_time(command, hardware)
    done = time.before + int(time.tiles[: tile + 1].sum())
    pe_row, pe_column = _processing_element(hardware, row, column, terms)
    return Place(place.command, place.cycle_first, place.cycle_last, tile, pe_row, pe_column, done)


def _tile(command: Convolve | MatrixMultiply, flat: int) -> tuple[int, int, int, int]:
    """Number of the finishing tile; pixel and channel inside it; reduction elements of it."""
    shape, tiling = matrix_shape(command), command.tiling
    width = shape.columns * (1 if isinstance(command, MatrixMultiply) else shape.batches)
    pixel, channel = divmod(flat, width)
    group, channel = divmod(channel, shape.columns)
    batch, pixel = divmod(pixel, shape.rows)
    blocks = -(-shape.rows // tiling.rows)
    groups = 1 if isinstance(command, MatrixMultiply) else shape.batches
    columns = -(-(shape.columns + any(weight_zero_points(command))) // tiling.columns)
    parts = -(-shape.reduction // tiling.reduction)
    walk = ((batch * blocks + pixel // tiling.rows) * groups + group) * columns + channel // tiling.columns
    terms = shape.reduction - (parts - 1) * tiling.reduction
    return walk * parts + parts - 1, pixel % tiling.rows, channel % tiling.columns, terms


def _processing_element(hardware: AcceleratorConfig, pixel: int, channel: int, terms: int) -> tuple[int, int]:
    grid = hardware.grid
    if grid.dataflow is Dataflow.OUTPUT_STATIONARY:
        return pixel % grid.rows, channel % grid.columns
    moving = pixel if grid.dataflow is Dataflow.INPUT_STATIONARY else channel
    return (terms - 1) % grid.rows, moving % grid.columns
