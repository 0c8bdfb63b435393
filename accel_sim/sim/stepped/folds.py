"""The folds of a matrix command in the sequencer's order: what comes to rest in the PE grid, and what streams.

The walk is that of `timing/matrix`: batch of a MatrixMultiply, block of output pixels, group (and phase of a transposed
convolution), tile of output channels, tile of the reduction. With weights that are asymmetric a group has one more
column, the column of ones of eq 13, which takes its time; it is idle, because the grid's operands are already relative
to their zero points.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from accel_kernels import step_grid as fields
from accel_sim.hardware import Dataflow, GridConfig
from accel_sim.program import MatrixMultiply, Tiling
from accel_sim.program.geometry import MatrixCommand, MatrixShape, matrix_shape, weight_zero_points
from accel_sim.records import dataclass
from accel_sim.sim.preparation import refusal

Folds = NDArray[np.int64]
"""[F, FIELDS] of `accel_kernels.step_grid`."""


@dataclass(frozen=True)
class FoldTable:
    """The folds of a command; `tiles`: the index of the first fold of each tile."""

    fields: Folds
    tiles: NDArray[np.int64]


def folds_of(command: MatrixCommand, grid: GridConfig) -> FoldTable:
    """All folds of a command.

    Raises:
        ProgramError: tiles that are larger than what rests in the grid at once.
    """
    shape = matrix_shape(command)
    check_tiling(command.tiling, shape, grid)
    columns = shape.columns + any(weight_zero_points(command))
    tiles = [list(_tile_folds(*tile, shape, grid)) for tile in _tiles(command, shape, columns)]
    table = np.array([fold for tile in tiles for fold in tile], np.int64).reshape(-1, fields.FIELDS)
    slices = -(-shape.reduction // command.tiling.reduction)
    table[:, fields.SLICE] = table[:, fields.BATCH] * slices + table[:, fields.K_FROM] // command.tiling.reduction
    table[1:, fields.SUMS] = np.cumsum(table[1:, fields.FIRST])
    sizes = np.array([len(tile) for tile in tiles], np.int64)
    return FoldTable(table, np.cumsum(sizes) - sizes)


def check_tiling(tiling: Tiling, shape: MatrixShape, grid: GridConfig) -> None:
    """A tile fills the grid once (see `Tiling`); where outputs are stationary, block after block of its rows does.

    Raises:
        ProgramError: it is larger.
    """
    limits = {"reduction": grid.rows, "columns": grid.columns}
    if grid.dataflow is Dataflow.INPUT_STATIONARY:
        limits = {"reduction": grid.rows, "rows": grid.columns}
    elif grid.dataflow is Dataflow.OUTPUT_STATIONARY:
        limits = {"columns": grid.columns}
        if tiling.reduction < shape.reduction:
            limits["rows"] = grid.rows  # sums stay in the grid until the reduction has passed
    for name, limit in limits.items():
        if getattr(tiling, name) > limit:
            rule = f"is at most {limit}: what the grid holds at once"
            raise refusal(f"tiling.{name}", str(getattr(tiling, name)), rule)


Interval = tuple[int, int]
"""(first, size)."""


def intervals(extent: int, size: int) -> list[Interval]:
    """An axis cut into pieces of `size`, the last one smaller."""
    return [(first, min(size, extent - first)) for first in range(0, extent, size)]


def _tiles(
    command: MatrixCommand, shape: MatrixShape, columns: int
) -> Iterator[tuple[int, Interval, Interval, Interval]]:
    """Product, rows, columns and reduction of each tile."""
    outer = range(shape.batches) if isinstance(command, MatrixMultiply) else range(1)
    inner = range(1) if isinstance(command, MatrixMultiply) else range(shape.batches)
    tiling = command.tiling
    column_tiles, reduction_tiles = intervals(columns, tiling.columns), intervals(shape.reduction, tiling.reduction)
    for batch in outer:
        for rows in intervals(shape.rows, tiling.rows):
            for group in inner:
                for n in column_tiles:
                    for k in reduction_tiles:
                        yield batch + group, rows, n, k


def _tile_folds(
    product: int, rows: Interval, columns: Interval, k: Interval, shape: MatrixShape, grid: GridConfig
) -> Iterator[tuple[int, ...]]:
    """The folds of a tile, fields as in `accel_kernels.step_grid`."""
    (m, m_size), (n, n_size) = rows, columns
    real = max(min(n_size, shape.columns - n), 0)
    first = int(k[0] == 0)
    ends = (*k, first, int(sum(k) == shape.reduction), 0, 0)
    if grid.dataflow is Dataflow.OUTPUT_STATIONARY:
        for i, size in intervals(m_size, grid.rows):
            yield (product, m + i, k[1], size, n, real, *ends)
    elif grid.dataflow is Dataflow.INPUT_STATIONARY:
        yield (product, n, n_size, real, m, m_size, *ends)
    else:
        yield (product, m, m_size, m_size, n, real, *ends)
