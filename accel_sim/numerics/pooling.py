"""Average pooling and means of codes."""

from abc import abstractmethod
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from accel_sim.numerics.floats import dequantize_float32, quantize_float32
from accel_sim.numerics.integers import (
    Integers,
    apply_scale_32,
    clamp,
    divide_half_away,
    is_int64,
    reciprocal_scale,
    unbounded,
)
from accel_sim.numerics.requantization import Requantization, TieRule, as_int64, divide
from accel_sim.records import dataclass


@dataclass(frozen=True)
class AverageRecipe:
    """Root of the recipes that turn a window of codes into one code."""

    def apply(self, window: Integers, count: Integers) -> Integers:
        """Codes [...] from windows [..., n] whose first `count` elements are valid, in row-major order of the window.

        Elements past the valid ones are 0 and do not count. With count_include_pad the caller passes input zero points
        for the padding and the full count. A FloatAverage by columns takes whole windows, with input zero points where
        no pixel is. int64 for an integer array, Python ints for Python ints.
        """
        codes = self._codes(window.astype(np.int64) if is_int64(window) else window, unbounded(count))
        return codes.astype(np.int64) if is_int64(window) else unbounded(codes)

    @abstractmethod
    def _codes(self, window: Integers, count: Integers) -> Integers:
        """See `apply`. An int64 window may be summed as it is; the sum joins `count`, which is of Python ints."""


@dataclass(frozen=True)
class TruncatingAverage(AverageRecipe):
    """TFLite AVERAGE_POOL_2D: the raw codes' sum over the count, half away from zero, clamped; grids are equal.

    (sum > 0 ? sum + count/2 : sum - count/2) / count with C's divisions: for an odd count no halves exist.
    """

    low: int
    high: int

    def _codes(self, window: Integers, count: Integers) -> Integers:
        return clamp(divide_half_away(unbounded(window.sum(axis=-1)), count), self.low, self.high)


@dataclass(frozen=True)
class ReciprocalAverage(AverageRecipe):
    """TOSA AVG_POOL2D: apply_scale_32(sum(x - zi), reciprocal_scale(count)) + zo, clamped; single rounding."""

    input_zero_point: int
    zero_point: int
    low: int
    high: int

    def _codes(self, window: Integers, count: Integers) -> Integers:
        scales = np.array([reciprocal_scale(int(n)) for n in np.ravel(count)], object).reshape(*np.shape(count), 2)
        total = unbounded(window.sum(axis=-1)) - count * self.input_zero_point
        scaled = apply_scale_32(total, scales[..., 0], scales[..., 1], double_round=False)
        return clamp(scaled + self.zero_point, self.low, self.high)


@dataclass(frozen=True)
class FloatAverage(AverageRecipe):
    """ONNX Runtime QLinearAveragePool: f32 dequantize, f32 sum, / count, rint(f32(y / so) + zo).

    AveragePool left in float has zero_point 0, limits without the zero point, and adds it as `offset`: to the integer.

    Attributes:
        columns: 0: one addition after the other in row-major order. Otherwise the window's columns: each is added up
            from the top, then their sums from the left (MLAS).
    """

    input_scale: float
    input_zero_point: int
    scale: float
    zero_point: int
    low: int
    high: int
    offset: int = 0
    columns: int = 0

    def _codes(self, window: Integers, count: Integers) -> Integers:
        counts = as_int64(count)
        real = dequantize_float32(as_int64(window), self.input_scale, self.input_zero_point)
        if self.columns:
            rows = real.reshape(*real.shape[:-1], -1, self.columns)
            real = _one_by_one([rows[..., i, :] for i in range(rows.shape[-2])])
        else:
            real = np.where(np.arange(real.shape[-1]) < counts[..., None], real, np.float32(0))
        total = _one_by_one([real[..., i] for i in range(real.shape[-1])])
        average = total / counts.astype(np.float32)
        multiple = average / np.float32(self.scale) + np.float32(self.zero_point)
        return np.clip(np.rint(multiple), self.low, self.high).astype(np.int64) + self.offset


@dataclass(frozen=True)
class RationalAverage(AverageRecipe):
    """sum(x - zi) * numerator / (denominator * count), exactly, rounded once."""

    input_zero_point: int
    numerator: int
    denominator: int
    ties: TieRule
    zero_point: int
    low: int
    high: int

    def _codes(self, window: Integers, count: Integers) -> Integers:
        total = unbounded(window.sum(axis=-1)) - count * self.input_zero_point
        scaled = divide(total * self.numerator, count * self.denominator, self.ties)
        return clamp(scaled + self.zero_point, self.low, self.high)


@dataclass(frozen=True)
class MeanRecipe:
    """Root of the recipes of a reduction over a fixed number of elements."""

    def apply(self, elements: Integers) -> Integers:
        """Codes [...] from elements [..., n], the reduced ones last, in row-major order of the reduced axes.

        int64 for an integer array, Python ints for Python ints.
        """
        codes = self._codes(elements.astype(np.int64) if is_int64(elements) else elements)
        return codes.astype(np.int64) if is_int64(elements) else unbounded(codes)

    @abstractmethod
    def _codes(self, elements: Integers) -> Integers:
        """See `apply`."""


@dataclass(frozen=True)
class SumRequantization(MeanRecipe):
    """output(sum(x) - offset): TFLite MEAN, ONNX Runtime's global average pool, the paper; offset = n * zi."""

    offset: int
    output: Requantization

    def _codes(self, elements: Integers) -> Integers:
        return self.output.apply(elements.sum(axis=-1) - self.offset)


class SumOrder(Enum):
    """In which order ONNX Runtime adds float32 elements; ReduceMean's follows from where the reduced axes lie.

    Axes are those of the file (NCHW), neighbours of one kind merged: K kept, R reduced.
    """

    ROWS = "rows"
    """R, KR: each output adds one contiguous row in packets of 4 (Eigen)."""
    GROUPS = "groups"
    """KRK: groups of 4, then 2, then 1 elements, each group sequentially, then the groups (MLAS)."""
    ROW_BLOCKS = "row_blocks"
    """RKR: contiguous rows as in ROWS, their sums added sequentially."""
    SEQUENTIAL = "sequential"
    """RK and everything else: one after the other."""
    LANES = "lanes"
    """GlobalAveragePool in float: packets of 4 in one accumulator, then the elements left over (MLAS)."""


@dataclass(frozen=True)
class FloatMean(MeanRecipe):
    """ONNX Runtime's ReduceMean or GlobalAveragePool left in float between DequantizeLinear and QuantizeLinear.

    The float32 sum depends on the order of the additions, which the file's layout decides: elements [..., n] are
    given in the *file's* axis order (NCHW), kept axes first, reduced axes last, both row-major. Then
    rint(f32(f32(sum / n) / scale)) + zero_point.

    Attributes:
        order: of the additions.
        row: length of a contiguous row (ROWS: n; ROW_BLOCKS: the last reduced axes' product).
    """

    input_scale: float
    input_zero_point: int
    scale: float
    zero_point: int
    low: int
    high: int
    order: SumOrder
    row: int

    def _codes(self, elements: Integers) -> Integers:
        real = dequantize_float32(as_int64(elements), self.input_scale, self.input_zero_point)
        flat = real.reshape(-1, real.shape[-1])
        total = np.array([self._sum(x, j, len(flat)) for j, x in enumerate(flat)], np.float32)
        average = (total / np.float32(real.shape[-1])).reshape(real.shape[:-1])
        return quantize_float32(average, self.scale, self.zero_point, self.low, self.high)

    def _sum(self, x: NDArray[np.float32], j: int, kept: int) -> np.float32:
        """The float32 sum of output j's elements x; `kept` outputs in all.

        A row that begins at element p of the tensor has (-p) % 4 elements before its first 16-byte boundary.
        """
        if self.order is SumOrder.GROUPS:
            return _grouped_sum(x)
        if self.order is SumOrder.LANES:
            return _lane_sum(x)
        if self.order is SumOrder.SEQUENTIAL:
            return _sequential_sum(x)
        total = np.float32(0)
        for i, row in enumerate(x.reshape(-1, self.row)):
            total = total + _packet_sum(row, -((i * kept + j) * self.row) % 4)
        return total


def _one_by_one(terms: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """float32 sums, element by element, in the order of the list."""
    total = np.zeros(terms[0].shape, np.float32)
    for term in terms:
        total = total + term
    return total


def _sequential_sum(x: NDArray[np.float32]) -> np.float32:
    return np.float32(np.cumsum(x, dtype=np.float32)[-1]) if len(x) else np.float32(0)


def _grouped_sum(x: NDArray[np.float32]) -> np.float32:
    """Groups of 4, then 2, then 1 elements."""
    sums, k = [], 0
    while k < len(x):
        size = 4 if len(x) - k >= 4 else 2 if len(x) - k >= 2 else 1
        sums.append(_sequential_sum(x[k : k + size]))
        k += size
    return _sequential_sum(np.array(sums, np.float32))


def _lane_sum(x: NDArray[np.float32]) -> np.float32:
    """Element i is added to lane i % 4 as long as four are left; then lanes (0 + 2) + (1 + 3), then the others."""
    whole = len(x) // 4 * 4
    lanes = np.zeros(4, np.float32)
    for packet in x[:whole].reshape(-1, 4):
        lanes = lanes + packet
    return _sequential_sum(np.concatenate([[(lanes[0] + lanes[2]) + (lanes[1] + lanes[3])], x[whole:]]))


def _packet_sum(x: NDArray[np.float32], start: int) -> np.float32:
    """Eigen's sum: packets of 4 from the first aligned element in two accumulators, then the unaligned ends."""
    start = min(start, len(x))
    packets = x[start : start + (len(x) - start) // 4 * 4].reshape(-1, 4)
    if not len(packets):
        return _sequential_sum(x)
    lanes = packets[0]
    if len(packets) > 1:
        paired = packets[: len(packets) // 2 * 2]
        lanes = np.cumsum(paired[0::2], axis=0)[-1] + np.cumsum(paired[1::2], axis=0)[-1]
        if len(packets) % 2:
            lanes = lanes + packets[-1]
    total = (lanes[0] + lanes[2]) + (lanes[1] + lanes[3])
    for value in (*x[:start], *x[start + packets.size :]):
        total = total + value
    return np.float32(total)
