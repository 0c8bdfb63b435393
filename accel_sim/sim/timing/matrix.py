"""Time of matrix commands: convolution, transposed convolution, matrix product.

The sequencer walks, outermost first: batch of a MatrixMultiply, block of `tiling.rows` output pixels, group, tile of
`tiling.columns` output channels, tile of `tiling.reduction`. For each tile:

- grid cycles: `timing/grid`. Each group of a convolution is a product of its own, so a depthwise convolution uses one
  column of the grid at a time.
- asymmetric weights (a weight zero point that is not 0): the data-dependent term of eq 13 needs the sum of each input
  vector. The grid computes it as one more output channel whose weights are all 1, for each group; post-processing
  subtracts zero point times sum, which takes its multiplier a second time. The terms of the input's zero point are
  constants: they are in the bias and cost nothing.
- post-processing of a finished tile: ceil(outputs / post_processing_lanes) cycles (twice that for asymmetric weights),
  while results leave the grid; the tile takes as long as the slower of the two, or as the ports of an on-chip memory
  need for it (`timing/sram`).

DRAM traffic follows from what stays on chip:

- weights: read once if they all fit the weight memory together (or are a single tile), else again for each block; as
  tiles padded to the grid where memory.whole_weight_tiles says so. Bias comes with them.
- inputs: if the image rows that a block reads (all channels) fit the activation memory's half, a block reads the rows
  that the block before has not, during that block; else each tile reads its m x k elements.
- outputs: written once.

Sums of a block stay in the accumulator memory; the tiler made it fit.
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from accel_sim.hardware import AcceleratorConfig, Dataflow
from accel_sim.program import Convolve, MatrixMultiply, Operand, Region, TransposeConvolve
from accel_sim.program.geometry import (
    MatrixCommand,
    blocks_input_bytes,
    matrix_operands,
    matrix_shape,
    multiply_accumulates,
    weight_zero_points,
)
from accel_sim.records import dataclass
from accel_sim.sim.timing.energy import multiply_pj, traffic_pj
from accel_sim.sim.timing.grid import GridTime, ceil_divide, grid_time
from accel_sim.sim.timing.sram import tile_port_cycles
from accel_sim.sim.timing.transfers import elapsed
from accel_sim.sim.timing.types import TRAFFIC, CommandTiming

Integers = NDArray[np.int64]


def time_matrix(command: MatrixCommand, hardware: AcceleratorConfig) -> CommandTiming:
    """Cycles, traffic and energy of one matrix command."""
    walk = TileWalk(command, hardware)
    if not walk.m.size:  # a tensor without elements
        return CommandTiming(0, 0, 0, 0.0, dict.fromkeys(TRAFFIC, 0), 0.0, 0)
    grid = grid_time(hardware.grid, walk.m, walk.k, walk.n, walk.finished)
    busy = walk.busy_cycles(grid)
    waiting = int((busy - np.maximum(grid.tiles, walk.post_processing_cycles)).sum())
    spent = elapsed(hardware.memory, walk.load_bytes, busy, walk.store_bytes)
    cycles = spent.cycles + grid.before + grid.after
    macs = multiply_accumulates(command)
    traffic = walk.traffic()
    return CommandTiming(
        cycles,
        spent.stall_cycles + waiting,
        macs,
        macs / (cycles * hardware.grid.size) if cycles else 0.0,
        traffic,
        walk.arithmetic_pj(macs) + traffic_pj(hardware, traffic),
        grid.total,
        {**spent.stalls, "sram": waiting} if waiting else spent.stalls,
        walk.prefetchable_cycles(),
    )


def matrix_grid_time(command: MatrixCommand, hardware: AcceleratorConfig) -> GridTime:
    """Grid cycles of each tile of a command."""
    walk = TileWalk(command, hardware)
    if not walk.m.size:
        return GridTime(walk.m, 0, 0)
    return grid_time(hardware.grid, walk.m, walk.k, walk.n, walk.finished)


def _parts(extent: int, size: int) -> Integers:
    """`extent` cut into pieces of `size`, the last one smaller."""
    whole, rest = divmod(extent, size)
    return np.array([size] * whole + [rest] * (rest > 0), np.int64)


@dataclass(frozen=True)
class TileWalk:
    """The tiles of a command in the sequencer's order; arrays [tiles]."""

    command: MatrixCommand
    hardware: AcceleratorConfig

    @cached_property
    def _asymmetric(self) -> bool:
        return any(weight_zero_points(self.command))

    @cached_property
    def _axes(self) -> tuple[Integers, Integers, Integers, Integers]:
        """Sizes of the outer batches (all 1), blocks, column tiles of every group, reduction tiles."""
        shape, tiling = matrix_shape(self.command), self.command.tiling
        products = isinstance(self.command, MatrixMultiply)
        columns = _parts(shape.columns + self._asymmetric, tiling.columns)
        return (
            np.ones(shape.batches if products else 1, np.int64),
            _parts(shape.rows, tiling.rows),
            np.tile(columns, 1 if products else shape.batches),
            _parts(shape.reduction, tiling.reduction),
        )

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Outer batches, blocks, column tiles of every group, reduction tiles."""
        return tuple(axis.size for axis in self._axes)

    def _spread(self, values: NDArray[np.generic], axis: int) -> Integers:
        """A value for each index of one axis, repeated over the others, in the order of the walk."""
        shape = [1, 1, 1, 1]
        shape[axis] = -1
        return np.ascontiguousarray(np.broadcast_to(values.reshape(shape), self.counts)).ravel()

    @cached_property
    def m(self) -> Integers:
        """Output pixels of each tile."""
        return self._spread(self._axes[1], 1)

    @cached_property
    def n(self) -> Integers:
        """Grid columns that each tile needs, the column of ones included."""
        return self._spread(self._axes[2], 2)

    @cached_property
    def k(self) -> Integers:
        """Reduction elements of each tile."""
        return self._spread(self._axes[3], 3)

    @cached_property
    def finished(self) -> NDArray[np.bool_]:
        """Whether the tile is the last of its reduction."""
        last = np.arange(self.counts[3]) == self.counts[3] - 1
        return self._spread(last, 3).astype(bool)

    @cached_property
    def channels(self) -> Integers:
        """Output channels of each tile: its columns without the column of ones, which is a group's last."""
        columns = self._axes[2].copy()
        if self._asymmetric and columns.size:
            tiles = -(-(matrix_shape(self.command).columns + 1) // self.command.tiling.columns)
            columns[tiles - 1 :: tiles] -= 1
        return self._spread(columns, 2)

    @cached_property
    def outputs(self) -> Integers:
        """Results that each tile finishes."""
        return np.where(self.finished, self.m * self.channels, 0)

    @cached_property
    def post_processing_cycles(self) -> Integers:
        """Cycles of the post-processing unit in each tile."""
        work = self.outputs * (2 if self._asymmetric else 1)
        return -(-work // self.hardware.vector.post_processing_lanes)

    @cached_property
    def load_bytes(self) -> NDArray[np.float64]:
        """DRAM bytes that must have arrived before each tile, beyond what earlier tiles needed."""
        return self.weight_bytes() + self._input_bytes()

    @cached_property
    def store_bytes(self) -> NDArray[np.float64]:
        """DRAM bytes that each tile writes."""
        return (self.outputs * _item(self.command.output_to)).astype(np.float64)

    def _stored_weights(self) -> Integers:
        """Weights that DRAM holds of each tile."""
        if not self.hardware.memory.whole_weight_tiles:
            return self.k * self.channels
        grid = self.hardware.grid
        return ceil_divide(self.k, grid.rows) * ceil_divide(self.channels, grid.columns) * grid.size

    def weight_bytes(self) -> NDArray[np.float64]:
        """DRAM bytes of weights and bias that must have arrived before each tile."""
        weights = matrix_operands(self.command)[1]
        size = self._stored_weights() * _item(weights)
        if not isinstance(self.command, MatrixMultiply) and self.command.bias is not None:
            first = self._spread(np.arange(self.counts[3]) == 0, 3)
            size += first * self.channels * _item(self.command.bias)
        fits = size.reshape(self.counts)[:1, :1].sum() <= self.hardware.memory.weight_sram_bytes
        if fits or self.counts[2] * self.counts[3] == 1:
            size = size * (self._spread(np.arange(self.counts[1]), 1) == 0)
            if _shared(weights):
                size = size * (self._spread(np.arange(self.counts[0]), 0) == 0)
        return size.astype(np.float64)

    def prefetchable_cycles(self) -> int:
        """Cycles, rounded down, of the first tile's weights, if the network does not compute them."""
        memory = self.hardware.memory
        if not memory.double_buffered or matrix_operands(self.command)[1].region is not Region.CONSTANTS:
            return 0
        return int(self.weight_bytes()[0] / memory.transfer_bytes_per_cycle)

    def _input_bytes(self) -> NDArray[np.float64]:
        held, new = blocks_input_bytes(self.command)
        memory = self.hardware.memory
        if max(held) > memory.activation_sram_bytes // memory.buffers:
            return (self.m * self.k * _item(matrix_operands(self.command)[0])).astype(np.float64)
        tiles = self.counts[2] * self.counts[3]
        blocks = np.tile(np.array(new, np.float64), self.counts[0])
        arriving = np.zeros(self.m.size)
        arriving[0] = blocks[0]
        # The next block's rows arrive while this block's tiles run; what comes during tile t, tile t + 1 waits for.
        arriving[1 : 1 + tiles * (blocks.size - 1)] += np.repeat(blocks[1:] / tiles, tiles)
        return arriving

    @cached_property
    def accessed(self) -> dict[str, Integers]:
        """Bytes that grid and post-processing move in each tile, by memory; "finished": of the accumulators."""
        x, w = matrix_operands(self.command)
        grid, accumulator = self.hardware.grid, accumulator_bytes(self.command, self.hardware)
        weights, sums = self.k * self.channels, self.m * self.n
        if grid.dataflow is Dataflow.OUTPUT_STATIONARY:
            weights = weights * -(-self.m // grid.rows)
        elif grid.dataflow is Dataflow.INPUT_STATIONARY:
            weights = weights * -(-self.m // grid.columns)
        finished = sums * self.finished
        touched = finished if grid.dataflow is Dataflow.OUTPUT_STATIONARY else sums
        return {
            "weight": weights * _item(w),
            "activation": self.m * self.k * _item(x),
            "accumulator": touched * accumulator,
            "finished": finished * accumulator,
        }

    def busy_cycles(self, grid: GridTime) -> Integers:
        """Cycles of each tile: the longest of the grid's, post-processing's and the memories' ports'."""
        moved = self.accessed
        accessed = {name: moved[name] for name in ("weight", "activation")}
        accessed["accumulator"] = 2 * moved["accumulator"] + moved["finished"]
        filled = {"weight": self.weight_bytes(), "activation": self._input_bytes()}
        ports = tile_port_cycles(self.hardware.memory, accessed, filled)
        return np.maximum(np.maximum(grid.tiles, self.post_processing_cycles), ports)

    def traffic(self) -> dict[str, int]:
        """Bytes by memory and direction."""
        inputs, weights = self._input_bytes().sum(), self.weight_bytes().sum()
        moved = {name: int(sizes.sum()) for name, sizes in self.accessed.items()}
        return {
            "dram_read": round(inputs + weights),
            "dram_write": round(self.store_bytes.sum()),
            "weight_sram_read": moved["weight"],
            "weight_sram_write": round(weights),
            "activation_sram_read": moved["activation"],
            "activation_sram_write": round(inputs),
            "accumulator_sram_read": moved["accumulator"] + moved["finished"],
            "accumulator_sram_write": moved["accumulator"],
        }

    def arithmetic_pj(self, macs: int) -> float:
        """Multiplications and additions: of the products, of the input sums (eq 13), of post-processing."""
        energy = self.hardware.energy
        x, w = matrix_operands(self.command)
        outputs, terms = int(self.outputs.sum()), 2 if self._asymmetric else 1
        input_sums = int((self.m * self.k).sum()) if self._asymmetric else 0
        return (
            macs * (multiply_pj(energy, 8 * _item(x), 8 * _item(w)) + energy.int32_add_pj)
            + input_sums * energy.int32_add_pj
            + outputs * terms * (energy.int32_multiply_pj + 2 * energy.int32_add_pj)
        )


def _item(operand: Operand) -> int:
    return np.dtype(operand.dtype).itemsize


def _shared(weights: Operand) -> bool:
    """Whether all batches of a MatrixMultiply use the same second operand."""
    return all(extent == 1 for extent in weights.shape[:-2])


def accumulator_bytes(command: Convolve | TransposeConvolve | MatrixMultiply, hardware: AcceleratorConfig) -> int:
    """Bytes of one accumulator of a command."""
    return hardware.accumulator.size_bytes * (2 if command.wide_accumulator else 1)
