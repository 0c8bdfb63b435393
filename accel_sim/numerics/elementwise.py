"""Element-wise add, subtract, multiply, minimum and maximum of codes on different grids (2.3.3)."""

from abc import abstractmethod
from dataclasses import dataclass
from enum import Enum

from accel_sim.numerics.integers import Integers
from accel_sim.numerics.requantization import Requantization, Rounding, TieRule


class BinaryKind(Enum):
    """The real function of two operands."""

    ADD = "add"
    SUBTRACT = "subtract"
    MULTIPLY = "multiply"
    MINIMUM = "minimum"
    MAXIMUM = "maximum"


@dataclass(frozen=True)
class ElementwiseRecipe:
    """Root of the recipes of y = f(a, b) on codes."""

    @abstractmethod
    def apply(self, a: Integers, b: Integers) -> Integers:
        """Codes of y for codes a, b of equal shape."""


@dataclass(frozen=True)
class FixedPointSum(ElementwiseRecipe):
    """TFLite ADD / SUB: both operands shifted left, rescaled to a common scale, added, rescaled to the output.

    y = output(wrap32(rescale((a - a_zero_point) << left_shift) +- rescale((b - b_zero_point) << left_shift)));
    rescale multiplies by multiplier * 2^(shift - 31) rounding as `rounding`.
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


@dataclass(frozen=True)
class FusedFloatSum(ElementwiseRecipe):
    """ONNX Runtime QLinearAdd: rint(fma(a, a_ratio, fma(b, b_ratio, constant))), saturated to [low, high]; float32."""

    a_ratio: float
    b_ratio: float
    constant: float
    low: int
    high: int


@dataclass(frozen=True)
class Product(ElementwiseRecipe):
    """output((a - za) * (b - zb)): the product requantized like an accumulator (TFLite MUL, TOSA, paper)."""

    a_zero_point: int
    b_zero_point: int
    output: Requantization


@dataclass(frozen=True)
class FloatProduct(ElementwiseRecipe):
    """ONNX Runtime QLinearMul: rint(f32(f32((a - za)(b - zb)) * ratio) + zp), the zero point inside the rounding."""

    a_zero_point: int
    b_zero_point: int
    ratio: float
    zero_point: int
    low: int
    high: int


@dataclass(frozen=True)
class FloatBinary(ElementwiseRecipe):
    """Both operands dequantized f32((q - z) * s), the function in float32, quantized rint(f32(y / s)) + z.

    What ONNX Runtime does with operators that it leaves in float between DequantizeLinear and QuantizeLinear.
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


@dataclass(frozen=True)
class CodeExtremum(ElementwiseRecipe):
    """Minimum or maximum of codes that lie on one grid."""

    kind: BinaryKind
