"""The PE grid with its registers: stepped until all folds are done, or cycle by cycle for who watches the registers."""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_kernels import step_adder_tree as adder_tree
from accel_kernels import step_grid as kernels
from accel_kernels import step_resting_sums as resting_sums
from accel_kernels import step_stationary as stationary
from accel_kernels.gemm_watch_int64 import SATURATES, WRAPS
from accel_kernels.step_down import Registers as MovingSums
from accel_kernels.step_streams import turn_streams
from accel_sim.hardware import Dataflow, GridConfig, OverflowPolicy
from accel_sim.sim.memory import Array, aligned
from accel_sim.sim.multiply_accumulate import Accumulator
from accel_sim.sim.stepped.folds import Folds

Int64s = NDArray[np.int64]

_UNTIL_DONE = 1 << 60


@dataclass(frozen=True)
class Products:
    """What a grid computes: for each product b, inputs[b] @ weights[b].T + starts[b].

    Attributes:
        inputs: int16 (safe) or int32 [products, M, K], relative to the zero point.
        weights: same type [products, N, K], relative to their zero points.
        starts: int64 [products, N]: what accumulators begin with; fits them.
        accumulator: its width and policy.
        safe: no partial sum in any order leaves the accumulator, which has at most 32 bits; operands are int16.
    """

    inputs: Array
    weights: Array
    starts: Int64s
    accumulator: Accumulator
    safe: bool


@dataclass(frozen=True)
class Registers:
    """What the registers of the grid hold after a cycle; arrays [R, C], copies.

    Attributes:
        inputs: the operand that moves right; of an adder tree [R].
        resting: the operand in the PE: resting, or, where sums rest, the weight that moves down.
        shadow: the second register; None without shadow registers and in an adder tree.
        sums: partial sums or accumulators; of an adder tree [C]: the sums that the trees give.
    """

    inputs: Array
    resting: Array
    shadow: Array | None
    sums: Array


@dataclass
class SteppedGrid:
    """A PE grid at work on the folds of one command.

    Attributes:
        config: rows, columns, dataflow, shadow registers.
        folds, products: the work.
    """

    config: GridConfig
    folds: Folds
    products: Products

    def __post_init__(self) -> None:
        rows, columns = self.config.rows, self.config.columns
        self._lanes, self._span = kernels.lanes_of(columns), kernels.span_of(rows, columns)
        self._progress = kernels.new_progress(rows, columns)
        narrow = self.products.safe and self.config.dataflow is not Dataflow.ADDER_TREE
        self._sum_type = np.dtype(np.int32) if narrow else np.dtype(np.int64)
        self._work, self._watch = self._placed_operands(), self._new_watch()
        self._registers = self._new_registers()

    @property
    def begins(self) -> Int64s:
        """The cycle in which each fold's stream begins; where operands rest without shadow registers, its load."""
        begins: Int64s = self._work.begins
        return begins

    @property
    def cycles(self) -> int:
        """Cycles stepped so far."""
        return int(self._progress[kernels.TIME])

    @property
    def finished(self) -> bool:
        """Whether all sums have left the grid."""
        return bool(self._progress[kernels.FINISHED])

    @property
    def results(self) -> Array:
        """Accumulators [products, M, N], where finished."""
        swapped = self.config.dataflow is Dataflow.INPUT_STATIONARY
        results: Array = self._work.results
        return results.swapaxes(1, 2) if swapped else results

    def record(self) -> Int64s:
        """Smallest and largest value that any accumulator of the grid has held, and overflow events."""
        own = slice(self.config.columns)  # lanes beyond are idle, and hold what memory held
        low, high, events = self._watch[:3]
        return np.array([low[own].min(), high[own].max(), events[own].sum()], np.int64)

    def step(self, cycles: int = _UNTIL_DONE) -> None:
        """Step by a number of cycles, at most until all is done."""
        grid, columns = self._registers, self.config.columns
        if not len(self.folds):
            self._progress[kernels.FINISHED] = 1
        elif isinstance(grid, adder_tree.Registers):
            adder_tree.step_adder_tree(self._work, grid, self._watch, self._progress, cycles)
        elif isinstance(grid, resting_sums.Registers):
            resting_sums.step_resting_sums(self._work, grid, self._watch, columns, self._progress, self._span, cycles)
        else:
            stationary.step_stationary(self._work, grid, self._watch, columns, self._progress, self._span, cycles)

    def registers(self) -> Registers:
        """The registers as the last cycle left them."""
        rows, columns, grid = self.config.rows, self.config.columns, self._registers
        if isinstance(grid, adder_tree.Registers):
            return Registers(grid.inputs.copy(), grid.weights[:, :columns].copy(), None, grid.trees[:columns].copy())
        offset = int(self._progress[kernels.OFFSET]) + 1  # the window has moved on to the next cycle
        inputs = grid.inputs[:, offset : offset + columns].copy()
        shadow = grid.shadow[:, :columns].copy() if self.config.shadow_registers else None
        if isinstance(grid, resting_sums.Registers):
            weights = grid.weights[offset : offset + rows, :columns].copy()
            return Registers(inputs, weights, shadow, grid.sums[:, :columns].copy())
        return Registers(inputs, grid.resting[:, :columns].copy(), shadow, grid.sums[1:, :columns].copy())

    def _placed_operands(self) -> kernels.Work:
        products, dataflow = self.products, self.config.dataflow
        streams, rests, starts = products.inputs, products.weights, products.starts[:, None, :]
        if dataflow is Dataflow.INPUT_STATIONARY:
            streams, rests, starts = products.weights, products.inputs, products.starts[:, :, None]
        results = np.zeros((len(streams), streams.shape[1], rests.shape[1]), self._sum_type)
        if dataflow in (Dataflow.WEIGHT_STATIONARY, Dataflow.INPUT_STATIONARY) and len(self.folds):
            streams = _sliced(streams, int(self.folds[:, kernels.K].max()))
        begins = np.zeros(len(self.folds), np.int64)
        return kernels.Work(self.folds, begins, streams, rests, np.ascontiguousarray(starts), results)

    def _new_watch(self) -> kernels.Watch:
        limits, accumulator = np.iinfo(self._sum_type), self.products.accumulator
        policy = SATURATES if accumulator.policy is OverflowPolicy.SATURATE else WRAPS
        low, high = (np.full(self._lanes, limit, self._sum_type) for limit in (limits.max, limits.min))
        return kernels.Watch(low, high, np.zeros(self._lanes, np.int64), accumulator.bits, policy)

    def _new_registers(self) -> adder_tree.Registers | resting_sums.Registers | MovingSums:
        rows, columns, lanes = self.config.rows, self.config.columns, self._lanes
        if self.config.dataflow is Dataflow.ADDER_TREE:
            return adder_tree.Registers(
                np.zeros(rows, np.int64), np.zeros((rows, lanes), np.int64), np.zeros(lanes, np.int64)
            )
        window, operands = kernels.window_length(rows, columns), self._work.rests.dtype
        held = int(self.products.starts.flat[0]) if self.products.starts.size else 0
        shadow_rows = rows if self.config.shadow_registers else 0
        if self.config.dataflow is Dataflow.OUTPUT_STATIONARY:
            return resting_sums.Registers(
                _array((rows, window), operands),
                _array((window, lanes), operands),
                _array((shadow_rows, lanes), self._sum_type),
                _array((rows, lanes), self._sum_type, held),
            )
        return MovingSums(
            inputs=_array((rows, window), np.dtype(np.int32)),
            resting=_array((rows, lanes), operands),
            shadow=_array((shadow_rows, lanes), operands),
            takes=_array((1, window), np.dtype(np.int32)),
            sums=_array((rows + 1, lanes), self._sum_type, held),  # idle slots carry what an accumulator holds
            loads=_array((1, window), np.dtype(np.int16), stationary.IDLE),
            arriving=_array((rows + columns, lanes), operands),
            memory=_array((*self._memory_shape(), lanes), self._sum_type),
            ports=_array((2, kernels.AHEAD, lanes), self._sum_type),
        )

    def _memory_shape(self) -> tuple[int, int]:
        """Slots and rows of the accumulator memory: slots for all folds whose sums are in the grid at one time."""
        lengths = self.folds[:, kernels.STREAM] if len(self.folds) else np.ones(1, np.int64)
        depth = self.config.rows + self.config.columns
        apart = max(int(lengths.min()), self.config.rows)
        slots = min(2 + -(-(int(lengths.max()) + depth) // apart), len(self.folds) + 1)
        return slots, int(lengths.max()) + self.config.columns - 1


def _array(shape: tuple[int, ...], dtype: np.dtype[np.generic], value: int = 0) -> NDArray[Any]:
    """An array that begins where a vector does: rows of whole vectors then lie in one line of the cache each."""
    array = aligned(prod(shape) * dtype.itemsize).view(dtype).reshape(shape)
    if value:
        array[...] = value
    return array


def _sliced(streams: Array, size: int) -> Array:
    """[products, length, K] -> [products * slices, size, length]: the reduction in slices, the last filled with 0.

    The last vector comes first.
    """
    products, length, depth = streams.shape
    slices, last = -(-depth // size), depth % size
    sliced = np.empty((products * slices, size, length), streams.dtype)
    if last:
        sliced[slices - 1 :: slices, last:] = 0
    turn_streams(np.ascontiguousarray(streams), sliced)
    return sliced
