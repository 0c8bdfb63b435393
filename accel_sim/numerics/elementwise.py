"""Element-wise add, subtract, multiply, minimum and maximum of codes on different grids (2.3.3)."""

from abc import abstractmethod
from enum import Enum

import numpy as np

from accel_sim.numerics.floats import dequantize_float32, fused_multiply_add, quantize_float32
from accel_sim.numerics.integers import (
    Integers,
    clamp,
    is_int64,
    multiply_double_round,
    multiply_single_round,
    unbounded,
    where,
    wrap32,
)
from accel_sim.numerics.requantization import Requantization, Rounding, TieRule, as_int64, divide
from accel_sim.records import dataclass


class BinaryKind(Enum):
    """The real function of two operands."""

    ADD = "add"
    SUBTRACT = "subtract"
    MULTIPLY = "multiply"
    MINIMUM = "minimum"
    MAXIMUM = "maximum"


@dataclass(frozen=True)
class ElementwiseRecipe:
    """Root of the recipes of y = f(a, b) on codes of at most 16 bits."""

    def apply(self, a: Integers, b: Integers) -> Integers:
        """Codes of y for codes a, b (broadcast); int64 for integer arrays, Python ints for Python ints.

        Integer arrays are computed in int64 where that is proved exact (`_int64_suffices`).
        """
        machine = is_int64(a) or is_int64(b)
        if machine and not self._int64_suffices:
            a, b = unbounded(a), unbounded(b)
        elif machine:
            a, b = as_int64(a), as_int64(b)
        codes = self._codes(a, b)
        return codes.astype(np.int64) if machine else _as_python(codes)

    @property
    def _int64_suffices(self) -> bool:
        """Whether no intermediate value of codes of 16 bits leaves int64."""
        return True

    @abstractmethod
    def _codes(self, a: Integers, b: Integers) -> Integers:
        """See `apply`."""


def _as_python(codes: Integers) -> Integers:
    return unbounded(codes) if isinstance(codes, np.ndarray) else int(codes)


@dataclass(frozen=True)
class FixedPointSum(ElementwiseRecipe):
    """TFLite ADD / SUB: both operands shifted left, rescaled to a common scale, added, rescaled to the output.

    y = output(wrap32(rescale((a - a_zero_point) << left_shift) +- rescale((b - b_zero_point) << left_shift)));
    rescale multiplies by multiplier * 2^(shift - 31) rounding as `rounding`. The shifted operands wrap to 32 bits.
    TOSA has left_shift 0: its operands' shifts hold it.
    """

    left_shift: int
    a_zero_point: int
    a_multiplier: int
    a_shift: int
    b_zero_point: int
    b_multiplier: int
    b_shift: int
    subtract: bool
    rounding: Rounding
    output: Requantization

    def _codes(self, a: Integers, b: Integers) -> Integers:
        left = self._rescaled(a - self.a_zero_point, self.a_multiplier, self.a_shift)
        right = self._rescaled(b - self.b_zero_point, self.b_multiplier, self.b_shift)
        return self.output.apply(wrap32(left - right if self.subtract else left + right))

    def _rescaled(self, x: Integers, multiplier: int, shift: int) -> Integers:
        multiply = multiply_double_round if self.rounding is Rounding.DOUBLE else multiply_single_round
        return wrap32(multiply(wrap32(x * (1 << self.left_shift)), multiplier, shift))


@dataclass(frozen=True)
class RationalSum(ElementwiseRecipe):
    """((a - za) * a_numerator + (b - zb) * b_numerator) / denominator, rounded once; subtract: b_numerator < 0."""

    a_zero_point: int
    a_numerator: int
    b_zero_point: int
    b_numerator: int
    denominator: int
    ties: TieRule
    zero_point: int
    low: int
    high: int

    @property
    def _int64_suffices(self) -> bool:
        largest = (abs(self.a_numerator) + abs(self.b_numerator)) << 16
        return 2 * largest + 2 * self.denominator < 1 << 63

    def _codes(self, a: Integers, b: Integers) -> Integers:
        total = (a - self.a_zero_point) * self.a_numerator + (b - self.b_zero_point) * self.b_numerator
        return clamp(divide(total, self.denominator, self.ties) + self.zero_point, self.low, self.high)


@dataclass(frozen=True)
class FusedFloatSum(ElementwiseRecipe):
    """ONNX Runtime QLinearAdd: rint(fma(a, a_ratio, fma(b, b_ratio, constant))), saturated to [low, high]; float32."""

    a_ratio: float
    b_ratio: float
    constant: float
    low: int
    high: int

    def _codes(self, a: Integers, b: Integers) -> Integers:
        inner = fused_multiply_add(_float32(b), np.float32(self.b_ratio), np.float32(self.constant))
        total = fused_multiply_add(_float32(a), np.float32(self.a_ratio), inner)
        return np.clip(np.rint(total), self.low, self.high).astype(np.int64)


@dataclass(frozen=True)
class Product(ElementwiseRecipe):
    """output((a - za) * (b - zb)): the product requantized like an accumulator (TFLite MUL, TOSA, paper)."""

    a_zero_point: int
    b_zero_point: int
    output: Requantization

    def _codes(self, a: Integers, b: Integers) -> Integers:
        return self.output.apply((a - self.a_zero_point) * (b - self.b_zero_point))


@dataclass(frozen=True)
class FloatProduct(ElementwiseRecipe):
    """ONNX Runtime QLinearMul: rint(f32(f32((a - za)(b - zb)) * ratio) + zp), the zero point inside the rounding."""

    a_zero_point: int
    b_zero_point: int
    ratio: float
    zero_point: int
    low: int
    high: int

    def _codes(self, a: Integers, b: Integers) -> Integers:
        product = _float32(a - self.a_zero_point) * _float32(b - self.b_zero_point)
        with np.errstate(over="ignore", under="ignore"):
            total = product * np.float32(self.ratio) + np.float32(self.zero_point)
        return np.clip(np.rint(total), self.low, self.high).astype(np.int64)


@dataclass(frozen=True)
class FloatBinary(ElementwiseRecipe):
    """Both operands dequantized f32((q - z) * s), the function in float32, quantized rint(f32(y / s)) + z.

    What ONNX Runtime does with operators that it leaves in float between DequantizeLinear and QuantizeLinear. y is
    limited to [clip_low, clip_high] before it is quantized.
    """

    kind: BinaryKind
    a_scale: float
    a_zero_point: int
    b_scale: float
    b_zero_point: int
    scale: float
    zero_point: int
    low: int
    high: int
    clip_low: float
    clip_high: float

    def _codes(self, a: Integers, b: Integers) -> Integers:
        function = {
            BinaryKind.ADD: np.add,
            BinaryKind.SUBTRACT: np.subtract,
            BinaryKind.MULTIPLY: np.multiply,
            BinaryKind.MINIMUM: np.minimum,
            BinaryKind.MAXIMUM: np.maximum,
        }[self.kind]
        left = dequantize_float32(as_int64(a), self.a_scale, self.a_zero_point)
        right = dequantize_float32(as_int64(b), self.b_scale, self.b_zero_point)
        with np.errstate(over="ignore", under="ignore"):
            real = function(left, right)
        clipped = np.clip(real, np.float32(self.clip_low), np.float32(self.clip_high))
        return quantize_float32(clipped, self.scale, self.zero_point, self.low, self.high)


@dataclass(frozen=True)
class CodeExtremum(ElementwiseRecipe):
    """Minimum or maximum of codes that lie on one grid."""

    kind: BinaryKind

    def _codes(self, a: Integers, b: Integers) -> Integers:
        return where(a < b, a, b) if self.kind is BinaryKind.MINIMUM else where(a > b, a, b)


def _float32(x: Integers) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.asarray(as_int64(x).astype(np.float32))
