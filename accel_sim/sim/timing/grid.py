"""Cycles of the PE grid: closed forms per dataflow.

A *fold* is one residence of operands in the grid of R rows and C columns, for a tile of m output pixels, k reduction
elements and n output channels:

====================  ======================  =========  ====  ====  =======
dataflow              folds of a tile         stream     load  swap  drain
====================  ======================  =========  ====  ====  =======
adder_tree            ceil(k/R) ceil(n/C)     m          0     0     0
weight_stationary     ceil(k/R) ceil(n/C)     m          R     R     R+C-2
input_stationary      ceil(k/R) ceil(m/C)     n          R     R     R+C-2
output_stationary     ceil(m/R) ceil(n/C)     k          0     R     R+C-2
====================  ======================  =========  ====  ====  =======

- stream: cycles in which operands enter; load: shifting the resting operand in, a row per cycle, before them; drain:
  the skew across rows and columns until the last sum has left.
- Without shadow registers a fold takes load + stream + drain, and folds follow one another. These are SCALE-Sim's
  closed forms: weight_stationary ceil(K/R) ceil(N/C) (2R+C+M-2), output_stationary ceil(M/R) ceil(N/C) (R+C+K-2),
  input_stationary ceil(K/R) ceil(M/C) (2R+C+N-2). Its "Total Cycles" is one less: the last cycle's number, from 0.
- With shadow registers the next fold's resting operand (or this fold's finished sums) moves while the grid streams:
  folds follow each other every max(stream, swap) cycles; one load comes before the first, one drain after the last.
- The adder tree meets one input vector with one weight tile in each cycle (figure 1).
- Where the reduction of an output-stationary fold is cut for memory, its parts stream one after the other into the same
  accumulators: the parts share one drain.
"""

import numpy as np
from numpy.typing import NDArray

from accel_sim.hardware import Dataflow, GridConfig
from accel_sim.records import dataclass

Cycles = NDArray[np.int64]


@dataclass(frozen=True)
class GridTime:
    """Grid cycles of a sequence of tiles.

    Attributes:
        tiles: cycles of each tile, in order.
        before: cycles before the first tile; after: cycles after the last.
    """

    tiles: Cycles
    before: int
    after: int

    @property
    def total(self) -> int:
        """Cycles of all tiles, from the first to the last."""
        return self.before + int(self.tiles.sum()) + self.after


def folds_per_tile(grid: GridConfig, m: Cycles, k: Cycles, n: Cycles) -> Cycles:
    """How often operands come to rest in the grid for each tile."""
    if grid.dataflow is Dataflow.OUTPUT_STATIONARY:
        return ceil_divide(m, grid.rows) * ceil_divide(n, grid.columns)
    across = m if grid.dataflow is Dataflow.INPUT_STATIONARY else n
    return ceil_divide(k, grid.rows) * ceil_divide(across, grid.columns)


def grid_time(grid: GridConfig, m: Cycles, k: Cycles, n: Cycles, finished: NDArray[np.bool_]) -> GridTime:
    """Cycles of the tiles m x k x n (arrays of equal shape [tiles]); `finished`: the tile ends its reduction."""
    folds = folds_per_tile(grid, m, k, n)
    stream = {Dataflow.OUTPUT_STATIONARY: k, Dataflow.INPUT_STATIONARY: n}.get(grid.dataflow, m)
    if grid.dataflow is Dataflow.ADDER_TREE:
        return GridTime(folds * stream, 0, 0)
    rests = grid.dataflow is not Dataflow.OUTPUT_STATIONARY
    load, drain = grid.rows if rests else 0, grid.rows + grid.columns - 2
    if not grid.shadow_registers:
        ends = np.where(finished | rests, drain, 0)
        return GridTime(folds * (load + stream + ends), 0, 0)
    swap = np.where(finished | rests, grid.rows, 0)
    cycles = folds * np.maximum(stream, swap)
    if cycles.size:  # nothing follows the last fold
        cycles[-1] -= max(int(swap[-1]) - int(stream[-1]), 0)
    return GridTime(cycles, load, drain)


def ceil_divide(a: Cycles, b: int) -> Cycles:
    """a / b rounded up."""
    return -(-a // b)
