"""The PE grid with its registers: stepped until all folds are done, or cycle by cycle for who watches the registers."""

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_kernels import step_grid as kernels
from accel_kernels.gemm_watch_int64 import SATURATES, WRAPS
from accel_kernels.step_adder_tree import step_adder_tree
from accel_kernels.step_resting_sums import step_resting_sums
from accel_kernels.step_stationary import IDLE, step_stationary
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
    begins: Int64s = field(init=False)

    def __post_init__(self) -> None:
        rows, columns = self.config.rows, self.config.columns
        self._lanes, self._span = kernels.lanes_of(columns), kernels.span_of(rows, columns)
        self._progress = kernels.new_progress(rows, columns)
        self.begins = np.zeros(len(self.folds), np.int64)
        narrow = self.products.safe and self.config.dataflow is not Dataflow.ADDER_TREE
        self._sum_type = np.dtype(np.int32) if narrow else np.dtype(np.int64)
        limits = np.iinfo(np.int32 if narrow else np.int64)
        self._low = np.full(self._lanes, limits.max, self._sum_type)
        self._high = np.full(self._lanes, limits.min, self._sum_type)
        self._events = np.zeros(self._lanes, np.int64)
        self._place_operands()
        self._place_registers()

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
        return self._results.swapaxes(1, 2) if swapped else self._results

    def record(self) -> Int64s:
        """Smallest and largest value that any accumulator of the grid has held, and overflow events."""
        own = slice(self.config.columns)  # lanes beyond are idle, and hold what memory held
        return np.array([self._low[own].min(), self._high[own].max(), self._events[own].sum()], np.int64)

    def step(self, cycles: int = _UNTIL_DONE) -> None:
        """Step by a number of cycles, at most until all is done."""
        if not len(self.folds):
            self._progress[kernels.FINISHED] = 1
        elif self.config.dataflow is Dataflow.ADDER_TREE:
            self._step_adder_tree(cycles)
        elif self.config.dataflow is Dataflow.OUTPUT_STATIONARY:
            self._step_resting_sums(cycles)
        else:
            self._step_stationary(cycles)

    def registers(self) -> Registers:
        """The registers as the last cycle left them."""
        rows, columns = self.config.rows, self.config.columns
        if self.config.dataflow is Dataflow.ADDER_TREE:
            weights = self._resting[:, :columns].copy()
            return Registers(self._inputs.copy(), weights, None, self._sums[:columns].copy())
        offset = int(self._progress[kernels.OFFSET]) + 1  # the window has moved on to the next cycle
        inputs = self._inputs[:, offset : offset + columns].copy()
        shadow = self._shadow[:, :columns].copy() if self.config.shadow_registers else None
        if self.config.dataflow is Dataflow.OUTPUT_STATIONARY:
            weights = self._resting[offset : offset + rows, :columns].copy()
            return Registers(inputs, weights, shadow, self._sums[:, :columns].copy())
        return Registers(inputs, self._resting[:, :columns].copy(), shadow, self._sums[1:, :columns].copy())

    def _place_operands(self) -> None:
        products = self.products
        if self.config.dataflow is Dataflow.INPUT_STATIONARY:
            self._streams, self._rests = products.weights, products.inputs
            self._starts = np.ascontiguousarray(products.starts[:, :, None])
        else:
            self._streams, self._rests = products.inputs, products.weights
            self._starts = np.ascontiguousarray(products.starts[:, None, :])
        shape = (len(self._streams), self._streams.shape[1], self._rests.shape[1])
        self._results = np.zeros(shape, self._sum_type)
        if self.config.dataflow in (Dataflow.WEIGHT_STATIONARY, Dataflow.INPUT_STATIONARY) and len(self.folds):
            self._streams = _sliced(self._streams, int(self.folds[:, kernels.K].max()))

    def _place_registers(self) -> None:
        rows, lanes = self.config.rows, self._lanes
        window = kernels.window_length(rows, self.config.columns)
        held = int(self.products.starts.flat[0]) if self.products.starts.size else 0
        operands = self._streams.dtype
        if self.config.dataflow is Dataflow.ADDER_TREE:
            self._inputs = np.zeros(rows, np.int64)
            self._resting = np.zeros((rows, lanes), np.int64)
            self._sums = np.zeros(lanes, np.int64)
            return
        self._inputs = _registers((rows, window), operands)
        shadow_rows = rows if self.config.shadow_registers else 0
        if self.config.dataflow is Dataflow.OUTPUT_STATIONARY:
            self._resting = np.zeros((window, lanes), operands)
            self._sums = np.full((rows, lanes), held, self._sum_type)
            self._shadow = np.zeros((shadow_rows, lanes), self._sum_type)
            return
        self._resting = _registers((rows, lanes), operands)
        self._shadow = _registers((shadow_rows, lanes), operands)
        self._sums = _registers((rows + 1, lanes), self._sum_type, held)  # idle slots carry what an accumulator holds
        self._loads = np.full((1, window), IDLE, np.int16)
        self._arriving = _registers((rows + self.config.columns, lanes), operands)
        self._memory = _registers((*self._memory_shape(), lanes), self._sum_type)

    def _memory_shape(self) -> tuple[int, int]:
        """Slots and rows of the accumulator memory: slots for all folds whose sums are in the grid at one time."""
        lengths = self.folds[:, kernels.STREAM] if len(self.folds) else np.ones(1, np.int64)
        depth = self.config.rows + self.config.columns
        apart = max(int(lengths.min()), self.config.rows)
        slots = min(2 + -(-(int(lengths.max()) + depth) // apart), len(self.folds) + 1)
        return slots, int(lengths.max()) + self.config.columns - 1

    def _policy(self) -> int:
        return SATURATES if self.products.accumulator.policy is OverflowPolicy.SATURATE else WRAPS

    def _step_stationary(self, cycles: int) -> None:
        step_stationary(
            self.folds,
            self.begins,
            self._streams,
            self._rests,
            self._starts,
            self.config.columns,
            self._inputs,
            self._resting,
            self._shadow,
            self._sums,
            self._loads,
            self._arriving,
            self._memory,
            self._results,
            self._low,
            self._high,
            self._events,
            self.products.accumulator.bits,
            self._policy(),
            self._progress,
            self._span,
            cycles,
        )

    def _step_resting_sums(self, cycles: int) -> None:
        step_resting_sums(
            self.folds,
            self.begins,
            self._streams,
            self._rests,
            self._starts,
            self.config.columns,
            self._inputs,
            self._resting,
            self._shadow,
            self._sums,
            self._results,
            self._low,
            self._high,
            self._events,
            self.products.accumulator.bits,
            self._policy(),
            self._progress,
            self._span,
            cycles,
        )

    def _step_adder_tree(self, cycles: int) -> None:
        step_adder_tree(
            self.folds,
            self.begins,
            self._streams,
            self._rests,
            self._starts,
            self.config.columns,
            self._inputs,
            self._resting,
            self._sums,
            self._results,
            self._low,
            self._high,
            self._events,
            self.products.accumulator.bits,
            self._policy(),
            self._progress,
            cycles,
        )


def _registers(shape: tuple[int, ...], dtype: np.dtype[np.generic], value: int = 0) -> NDArray[Any]:
    """An array that begins where a vector does: rows of whole vectors then lie in one line of the cache each."""
    registers = aligned(prod(shape) * dtype.itemsize).view(dtype).reshape(shape)
    if value:
        registers[...] = value
    return registers


def _sliced(streams: Array, size: int) -> Array:
    """[products, length, K] -> [products * slices, length, size]: the reduction in slices, the last filled with 0."""
    products, length, depth = streams.shape
    slices = -(-depth // size)
    padded = np.zeros((products, length, slices * size), streams.dtype)
    padded[:, :, :depth] = streams
    return np.ascontiguousarray(
        padded.reshape(products, length, slices, size).transpose(0, 2, 1, 3).reshape(products * slices, length, size)
    )
