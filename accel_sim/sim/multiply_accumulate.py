"""Multiply-accumulate: which kernel gives the exact accumulators of a matrix command, and watches them if asked.

A bound decides. With q the weights of an output channel (zero points subtracted), inputs in [low, high] that include 0,
and the bias b, every partial sum in every order lies in [b + sum min(q low, q high), b + sum max(q low, q high)]. Where
this range fits the accumulator, nothing can overflow.
"""

from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_kernels import (
    gemm_watch_extremes,
    gemm_watch_int64,
    gemm_watch_saturate_int32,
    gemm_watch_tree,
    gemm_watch_wrap_int32,
    gemm_wrap,
)
from accel_kernels.lanes import STEPS, pack_lanes
from accel_sim.hardware import Dataflow, GridConfig, OverflowPolicy
from accel_sim.program import Tiling
from accel_sim.records import dataclass
from accel_sim.sim.memory import Array

Int64s = NDArray[np.int64]
Span = tuple[int, int]
"""Smallest and largest value."""

_INT16 = (-(1 << 15), (1 << 15) - 1)


class Kernel(Enum):
    """The arithmetic behind a product."""

    EXACT = "exact"
    """Sums in any order, wrapped to 32 bits or held in 64."""
    EXTREMES = "extremes"
    """Addition by addition in 32-bit lanes that cannot overflow."""
    LANES32 = "lanes32"
    """Addition by addition in accumulators of at most 30 bits."""
    LANES64 = "lanes64"
    """Addition by addition in accumulators of any width."""
    TREES = "trees"
    """As LANES64, where one addition takes the exact sum of several products."""
    STRUCTURE = "structure"
    """An accumulator of any stages, overflow counted channel by channel (`structured`)."""


@dataclass(frozen=True)
class Accumulator:
    """An accumulator of one stage."""

    bits: int
    policy: OverflowPolicy

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The type that holds its values."""
        return np.dtype(np.int32 if self.bits <= 32 else np.int64)

    def holds(self, span: Span) -> bool:
        """Whether all values of a range fit."""
        return -(1 << (self.bits - 1)) <= span[0] and span[1] < 1 << (self.bits - 1)


@dataclass(frozen=True)
class MultiplyAccumulate:
    """Products of panels and weights, accumulated.

    Attributes:
        accumulator: see Accumulator.
        kernel: the arithmetic.
        operands: element type of panels and weights, int16 or int32.
        depth: K, the products of an accumulator.
        tree: products that are summed before they are added to the accumulator.
    """

    accumulator: Accumulator
    kernel: Kernel
    operands: np.dtype[np.generic]
    depth: int
    tree: int = 1

    counted = 0
    """Channels whose overflow is counted: nothing counts here."""

    @property
    def phased(self) -> bool:
        """Whether it matters which taps of a transposed convolution meet in a pixel."""
        return self.kernel is Kernel.TREES

    @property
    def panel_columns(self) -> int:
        """Columns that a panel must have: K rounded up; what stands in the columns past K does not matter."""
        return -(-self.depth // STEPS) * STEPS

    def pack(self, weights: NDArray[np.generic]) -> Array:
        """Weights [N, K], zero points subtracted, as the kernel reads them."""
        narrowed = weights.astype(self.operands)
        if self.kernel is not Kernel.EXACT:
            return pack_lanes(narrowed)
        packed = np.zeros((len(narrowed), self.panel_columns), self.operands)
        packed[:, : self.depth] = narrowed
        return packed

    def multiply(
        self, panel: Array, rows: int, packed: Array, bias: Int64s, column: int, accumulators: Array, record: Int64s
    ) -> None:
        """accumulators[i, column + n] = bias[n] + sum over k of panel[i, k] * weights[n, k]; watched in the record."""
        bits, saturates = self.accumulator.bits, self.accumulator.policy is OverflowPolicy.SATURATE
        if self.kernel is Kernel.EXACT:
            exact = gemm_wrap.gemm_wrap32 if self.accumulator.dtype == np.int32 else gemm_wrap.gemm_wrap64
            exact(panel, rows, packed, bias, column, accumulators)
        elif self.kernel is Kernel.EXTREMES:
            gemm_watch_extremes.gemm_watch_extremes(panel, rows, packed, bias, column, accumulators, record)
        elif self.kernel is Kernel.TREES:
            gemm_watch_tree.gemm_watch_tree(
                panel, rows, packed, bias, self.tree, bits, int(saturates), column, accumulators, record
            )
        elif self.kernel is Kernel.LANES64:
            gemm_watch_int64.gemm_watch_int64(
                panel, rows, packed, bias, bits, int(saturates), column, accumulators, record
            )
        elif saturates:
            gemm_watch_saturate_int32.gemm_watch_saturate(panel, rows, packed, bias, bits, column, accumulators, record)
        else:
            gemm_watch_wrap_int32.gemm_watch_wrap(panel, rows, packed, bias, bits, column, accumulators, record)

    def multiply_depthwise(
        self, panel: Array, rows: int, weights: Array, bias: Int64s, accumulators: Array, record: Int64s
    ) -> None:
        """accumulators[i, c] = bias[c] + sum over t of panel[i, t, c] * weights[t, c]; watched in the record."""
        bits, saturates = self.accumulator.bits, self.accumulator.policy is OverflowPolicy.SATURATE
        if self.kernel is Kernel.EXACT:
            exact = gemm_wrap.depthwise_wrap32 if self.accumulator.dtype == np.int32 else gemm_wrap.depthwise_wrap64
            exact(panel, rows, weights, bias, accumulators)
        elif self.kernel is Kernel.EXTREMES:
            gemm_watch_extremes.depthwise_watch_extremes(panel, rows, weights, bias, accumulators, record)
        elif self.kernel is Kernel.TREES:
            gemm_watch_tree.depthwise_watch_tree(
                panel, rows, weights, bias, self.tree, bits, int(saturates), accumulators, record
            )
        elif self.kernel is Kernel.LANES64:
            gemm_watch_int64.depthwise_watch_int64(
                panel, rows, weights, bias, bits, int(saturates), accumulators, record
            )
        elif saturates:
            gemm_watch_saturate_int32.depthwise_watch_saturate(panel, rows, weights, bias, bits, accumulators, record)
        else:
            gemm_watch_wrap_int32.depthwise_watch_wrap(panel, rows, weights, bias, bits, accumulators, record)


def code_span(dtype: str, zero_point: int) -> Span:
    """What x - zero_point may be, for any code x of the type; 0 included, as padding is 0."""
    limits = np.iinfo(dtype)
    return min(int(limits.min) - zero_point, 0), max(int(limits.max) - zero_point, 0)


def sum_span(weights: NDArray[Any], bias: Int64s, inputs: Span) -> Span:
    """The range of every partial sum of every output channel, for weights [N, K], bias [N] and inputs in a range."""
    if not len(bias):
        return 0, 0
    positive = np.maximum(weights, 0).sum(axis=1, dtype=np.int64).astype(object)
    negative = np.minimum(weights, 0).sum(axis=1, dtype=np.int64).astype(object)
    start = bias.astype(object)
    low = start + positive * inputs[0] + negative * inputs[1]
    high = start + positive * inputs[1] + negative * inputs[0]
    return int(low.min()), int(high.max())


def products_per_addition(grid: GridConfig, tiling: Tiling) -> int:
    """How many products an accumulator takes at once: a tile's where trees add them, else one after the other."""
    return min(tiling.reduction, grid.rows) if grid.dataflow is Dataflow.ADDER_TREE else 1


def choose(
    accumulator: Accumulator,
    depth: int,
    inputs: Span,
    weights: Span,
    sums: Span,
    bias: Span,
    *,
    tree: int,
    watching: bool,
) -> MultiplyAccumulate:
    """The kernel for given ranges of the operands and of every partial sum, and `products_per_addition`."""
    narrow = _within(inputs, _INT16) and _within(weights, _INT16)
    operands = np.dtype(np.int16 if narrow else np.int32)
    kernel = _kernel(accumulator, inputs, weights, sums, bias, narrow=narrow, watching=watching)
    if tree > 1 and kernel is not Kernel.EXACT:
        kernel = Kernel.TREES
    return MultiplyAccumulate(accumulator, kernel, operands, depth, tree)


def _kernel(
    accumulator: Accumulator, inputs: Span, weights: Span, sums: Span, bias: Span, *, narrow: bool, watching: bool
) -> Kernel:
    safe = accumulator.holds(sums)
    plain = accumulator.policy is OverflowPolicy.WRAP and accumulator.bits in (32, 64)
    if not watching and (safe or plain):
        return Kernel.EXACT
    if narrow and safe and accumulator.bits <= 32:
        return Kernel.EXTREMES
    product = max(map(abs, inputs)) * max(map(abs, weights))
    if narrow and accumulator.bits <= 30 and product < 1 << 30 and max(map(abs, bias)) < 1 << 62:
        return Kernel.LANES32
    return Kernel.LANES64


def _within(span: Span, outer: Span) -> bool:
    return outer[0] <= span[0] and span[1] <= outer[1]
