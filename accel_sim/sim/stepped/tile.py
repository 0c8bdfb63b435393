"""One tile of a layer in the stepped grid: between the tiles before and after it, as silicon would show it."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault, InputError
from accel_sim.hardware import Dataflow, GridConfig
from accel_sim.ir.text import first_name
from accel_sim.program import Program
from accel_sim.records import dataclass
from accel_sim.sim.memory import Array
from accel_sim.sim.preparation import Context
from accel_sim.sim.prepared import prepared
from accel_sim.sim.result import Level
from accel_sim.sim.samples import check_inputs
from accel_sim.sim.stepped.commands import grid_of
from accel_sim.sim.stepped.folds import Folds
from accel_sim.sim.stepped.grid import Products, SteppedGrid


@dataclass(frozen=True)
class TileWindow:
    """The cycles in which the grid has to do with one tile.

    Attributes:
        config: of the grid. folds, products: the whole command's work.
        tile: the chosen one. begins: int64 [tiles]: the cycle in which each tile's first operands enter.
        first, last: from the first row of its resting operand, or its first vector, to its last sum: [first, last).
    """

    config: GridConfig
    folds: Folds
    products: Products
    tile: int
    begins: NDArray[np.int64]
    first: int
    last: int

    def grid(self) -> SteppedGrid:
        """The grid as it is before cycle `first`."""
        grid = SteppedGrid(self.config, self.folds, self.products)
        if self.first:
            grid.step(self.first)
        return grid


def tile_window(program: Program, index: int, inputs: Mapping[str, Array], tile: int) -> TileWindow:
    """A tile of a command, with the operands of the first sample: the commands before it are run.

    Args:
        program: compiled.
        index: of a convolution or matrix product on integers.
        inputs: as for `Machine.run`.
        tile: counted in the order of the sequencer's walk, from 0.

    Raises:
        InputError: no such tile, or wrong inputs. ProgramError: what the machine does not have.
    """
    samples = check_inputs(program, inputs)
    ready = prepared(program, program.hardware, Level.FUNCTIONAL)
    worker = ready.worker()
    samples.place(0, worker.memory)
    worker.execute(0, index)
    context = Context(ready.constants, program.hardware, Level.STEPPED)
    grid, folds, time = grid_of(program.commands[index], context, worker.memory)
    _check_tile(program.commands[index].layer, tile, len(time.tiles))
    begins = time.before + np.cumsum(time.tiles) - time.tiles
    first, last = _cycles(program.hardware.grid, int(begins[tile]), int(time.tiles[tile]))
    return TileWindow(
        program.hardware.grid, folds.fields, grid.products, tile, begins, max(first, 0), min(last, time.total)
    )


def _check_tile(layer: str, tile: int, tiles: int) -> None:
    if not 0 <= tile < tiles:
        rule = f"is one of the layer's {tiles:,} tiles: 0 to {tiles - 1:,}" if tiles else "the layer has no elements"
        raise InputError(f"layer {first_name(layer)!r}", [Fault("tile", str(tile), rule)])


def _cycles(grid: GridConfig, begin: int, cycles: int) -> tuple[int, int]:
    """From the first load to the last sum of a tile whose vectors begin to enter at `begin`, for `cycles` cycles."""
    rests = grid.dataflow in (Dataflow.WEIGHT_STATIONARY, Dataflow.INPUT_STATIONARY)
    if grid.dataflow is Dataflow.ADDER_TREE or (rests and not grid.shadow_registers):  # cycles has load and drain
        return begin, begin + cycles
    return begin - (grid.rows if rests else 0), begin + cycles + grid.rows + grid.columns - 2
