"""Accumulators of any structure: which engine computes a matrix command, and the one that counts overflow.

A command gets the structure's stages that apply to it. Where weights prove that no input makes any stage overflow, or
where nothing is counted and a single stage of 32 bits (64 for wide commands) wraps, the exact engine computes it.
What goes to the requantizer has 32 bits (64 for wide commands): wider accumulators wrap there.
"""

import numpy as np
from numpy.typing import NDArray

from accel_kernels.count_safe import add_safe_rows
from accel_kernels.count_structure import ABSENT, COUNTS, count_structure, count_structure_depthwise
from accel_kernels.lanes import STEPS
from accel_sim.hardware import OverflowPolicy
from accel_sim.numerics.accumulators import AccumulatorStructure
from accel_sim.records import dataclass
from accel_sim.sim.memory import Array
from accel_sim.sim.multiply_accumulate import Accumulator, Kernel, MultiplyAccumulate, Span, choose
from accel_sim.sim.preparation import Context

Int64s = NDArray[np.int64]

RECORD = 3
"""Entries of a record before its counts."""


@dataclass(frozen=True, eq=False)
class StructureEngine:
    """Products of panels and weights, accumulated in a structure; used as MultiplyAccumulate.

    Attributes:
        structure: as the command has it.
        accumulator: what values are stored as.
        depth: K. tree: products that an adder tree sums before they are added.
        offset, zeros: zero points, of the input and int64 [channels] of the weights, where products are of raw codes.
        watched: whether extremes of partial sums are wanted. If not, rows that cannot overflow are only added up.
    """

    structure: AccumulatorStructure
    accumulator: Accumulator
    depth: int
    tree: int
    offset: int
    zeros: Int64s
    watched: bool

    kernel = Kernel.STRUCTURE
    operands = np.dtype(np.int32)
    """Element type of panels: one for all, as each more is compiled."""

    @property
    def counted(self) -> int:
        """Channels whose overflow is counted."""
        return len(self.zeros)

    @property
    def phased(self) -> bool:
        """Whether it matters which taps of a transposed convolution meet in a pixel."""
        return self.tree > 1 or len(self.structure.stages) > 1

    @property
    def panel_columns(self) -> int:
        """Columns that a panel must have."""
        return -(-self.depth // STEPS) * STEPS

    def pack(self, weights: NDArray[np.generic]) -> Array:
        """Weights [N, K], zero points subtracted, as the kernel reads them."""
        return np.ascontiguousarray(weights.T, np.int32)

    def multiply(
        self, panel: Array, rows: int, packed: Array, bias: Int64s, column: int, accumulators: Array, record: Int64s
    ) -> None:
        """As `MultiplyAccumulate.multiply`; counts are kept in the record."""
        zeros = self.zeros[column : column + len(bias)]
        arguments = self.offset, self.order(), self.products_per_term, self._stages(), column
        for some in self._unsafe(panel, rows, packed, bias, column, accumulators):
            held = accumulators[some], record, self._counts(record)
            count_structure(panel[some], some.stop - some.start, packed, bias, zeros, *arguments, *held)
        self._sum_up(record)

    def _unsafe(
        self, panel: Array, rows: int, packed: Array, bias: Int64s, column: int, accumulators: Array
    ) -> list[slice]:
        """Runs of rows that may overflow; the sums of all others are put down."""
        if self.watched or self.offset or self.zeros.any() or len(self.structure.stages) > 1:
            return [slice(0, rows)]
        safe = np.zeros(rows, np.bool_)
        add_safe_rows(panel, rows, packed, bias, self.structure.final.bits, column, accumulators, safe)
        ends = np.flatnonzero(np.diff(np.concatenate([[True], safe, [True]])))
        return [slice(first, last) for first, last in ends.reshape(-1, 2).tolist()]

    def multiply_depthwise(
        self, panel: Array, rows: int, weights: Array, bias: Int64s, accumulators: Array, record: Int64s
    ) -> None:
        """As `MultiplyAccumulate.multiply_depthwise`; counts are kept in the record."""
        arguments = (self.offset, self.order(), self.products_per_term, self._stages(), accumulators, record)
        count_structure_depthwise(panel, rows, weights, bias, self.zeros, *arguments, self._counts(record))
        self._sum_up(record)

    @property
    def products_per_term(self) -> int:
        """Products that an adder tree sums before they are added."""
        return self.tree if len(self.structure.stages) == 1 else 1

    def order(self) -> Int64s:
        """Places of products along K, in the order in which they are added; ABSENT: 0 is added."""
        if len(self.structure.stages) == 1:
            return np.arange(self.depth, dtype=np.int64)
        return np.array([ABSENT if k is None else k for k in self.structure.order(self.depth)], np.int64)

    def _stages(self) -> Int64s:
        rows = [(s.bits, int(s.policy is OverflowPolicy.SATURATE), s.terms or 0) for s in self.structure.stages]
        return np.array(rows, np.int64)

    def _counts(self, record: Int64s) -> Int64s:
        return counts_of(record)

    def _sum_up(self, record: Int64s) -> None:
        record[2] = counts_of(record)[0].sum()


Engine = MultiplyAccumulate | StructureEngine


def counts_of(record: Int64s) -> Int64s:
    """int64 [3, channels] of a record: see `accel_kernels.count_structure`."""
    return record[RECORD:].reshape(COUNTS, -1)


@dataclass(frozen=True)
class Ranges:
    """What a command's operands may be: inputs, and weights relative to their zero points.

    Attributes:
        inputs, weights: of all operands. sums: of every partial sum in every order. bias: of what sums start with.
        rows: weights [N, K] where they are known.
        starts: int64 [N], the bias. input_zero: of the inputs. zeros: int64 [N], of the weights.
    """

    inputs: Span
    weights: Span
    sums: Span
    bias: Span
    rows: NDArray[np.generic] | None
    starts: Int64s
    input_zero: int
    zeros: Int64s


def choose_engine(
    context: Context, types: tuple[str, str], depth: int, ranges: Ranges, *, tree: int, wide: bool, depthwise: bool
) -> Engine:
    """The engine of a command on the context's accumulators.

    Args:
        context: what is prepared.
        types: element types of inputs and weights.
        depth: K.
        ranges: of the operands.
        tree: `products_per_addition`.
        wide: whether the command accumulates in 64 bits.
        depthwise: whether its groups have one input and one output channel.
    """
    structure = context.structure.for_command(*types, depthwise=depthwise, wide=wide)
    final, held = structure.final, Accumulator(64 if wide else 32, OverflowPolicy.WRAP)
    classic = len(structure.stages) == 1 and (final.bits <= 32 or wide)
    spans = ranges.inputs, ranges.weights, ranges.sums, ranges.bias
    if classic and context.counted is None:
        accumulator = Accumulator(final.bits, final.policy)
        return choose(accumulator, depth, *spans, tree=tree, watching=context.watching)
    if not context.watching and _is_safe(structure, depth, ranges):
        return choose(held, depth, *spans, tree=tree, watching=False)
    raw = structure.raw_codes
    zeros = ranges.zeros if raw else np.zeros_like(ranges.zeros)
    return StructureEngine(structure, held, depth, tree, ranges.input_zero if raw else 0, zeros, context.watching)


def _is_safe(structure: AccumulatorStructure, depth: int, ranges: Ranges) -> bool:
    """Whether no input can make any stage overflow, in any order of the products."""
    final = structure.final
    if not structure.raw_codes:
        if not (final.holds(ranges.sums[0]) and final.holds(ranges.sums[1])):
            return False
    elif not _holds_raw(structure, ranges):
        return False
    inputs = ranges.inputs
    offset = ranges.input_zero if structure.raw_codes else 0
    low, high = min(inputs[0] + offset, 0), max(inputs[1] + offset, 0)
    terms = 1
    for stage in structure.stages[:-1]:
        terms = min(terms * (stage.terms or 1), depth)
        least, most = _largest_sums(ranges, terms, low, high, raw=structure.raw_codes)
        if not (stage.holds(least) and stage.holds(most)):
            return False
    return True


def _largest_sums(ranges: Ranges, terms: int, low: int, high: int, *, raw: bool) -> Span:
    """The range of sums of any `terms` products."""
    if ranges.rows is None:
        zero = ranges.zeros if raw else np.zeros(1, np.int64)
        ends = ranges.weights[0] + int(zero.min(initial=0)), ranges.weights[1] + int(zero.max(initial=0))
        products = [a * b for a in (low, high) for b in ends]
        return terms * min(*products, 0), terms * max(*products, 0)
    rows = ranges.rows.astype(np.int64)
    rows = rows + ranges.zeros[:, np.newaxis] if raw else rows
    most = np.sort(np.maximum(rows * low, rows * high), axis=1)[:, -terms:].sum(axis=1)
    least = np.sort(np.minimum(rows * low, rows * high), axis=1)[:, :terms].sum(axis=1)
    return min(int(least.min(initial=0)), 0), max(int(most.max(initial=0)), 0)


def _holds_raw(structure: AccumulatorStructure, ranges: Ranges) -> bool:
    """Whether the last stage holds every sum of raw codes; not told where weights are computed or asymmetric."""
    if ranges.rows is None or ranges.zeros.any():
        return False
    rows, zero = ranges.rows.astype(np.int64), ranges.input_zero
    low, high = ranges.inputs[0] + zero, ranges.inputs[1] + zero
    start = ranges.starts - zero * rows.sum(axis=1)
    least = start + np.minimum(np.minimum(rows * low, rows * high), 0).sum(axis=1)
    most = start + np.maximum(np.maximum(rows * low, rows * high), 0).sum(axis=1)
    return structure.final.holds(int(least.min(initial=0))) and structure.final.holds(int(most.max(initial=0)))
