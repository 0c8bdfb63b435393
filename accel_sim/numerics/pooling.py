"""Average pooling and means of codes."""

from abc import abstractmethod
from dataclasses import dataclass

from accel_sim.numerics.integers import Integers
from accel_sim.numerics.requantization import Requantization, TieRule


@dataclass(frozen=True)
class AverageRecipe:
    """Root of the recipes that turn a window of codes into one code."""

    @abstractmethod
    def apply(self, window: Integers, count: Integers) -> Integers:
        """Codes [...] from windows [..., n] whose first `count` elements are valid, in row-major order of the window.

        Elements past the valid ones are 0 and do not count. With count_include_pad the caller passes input zero points
        for the padding and the full count.
        """


@dataclass(frozen=True)
class TruncatingAverage(AverageRecipe):
    """TFLite AVERAGE_POOL_2D: the raw codes' sum over the count, half away from zero, clamped; grids are equal."""

    low: int
    high: int


@dataclass(frozen=True)
class ReciprocalAverage(AverageRecipe):
    """TOSA AVG_POOL2D: apply_scale_32(sum(x - zi), reciprocal_scale(count)) + zo, clamped; single rounding."""

    input_zero_point: int
    zero_point: int
    low: int
    high: int


@dataclass(frozen=True)
class FloatAverage(AverageRecipe):
    """ONNX Runtime QLinearAveragePool: f32 dequantize, sequential f32 sum, / count, rint(f32(y / so) + zo)."""

    input_scale: float
    input_zero_point: int
    scale: float
    zero_point: int
    low: int
    high: int


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


@dataclass(frozen=True)
class MeanRecipe:
    """Root of the recipes of a reduction over a fixed number of elements."""

    @abstractmethod
    def apply(self, elements: Integers) -> Integers:
        """Codes [...] from elements [..., n], the reduced ones last, in row-major order of the reduced axes."""


@dataclass(frozen=True)
class SumRequantization(MeanRecipe):
    """output(sum(x) - offset): TFLite MEAN, ONNX Runtime's global average pool, the paper; offset = n * zi."""

    offset: int
    output: Requantization


@dataclass(frozen=True)
class FloatMean(MeanRecipe):
    """ONNX Runtime's ReduceMean left in float between DequantizeLinear and QuantizeLinear."""

    input_scale: float
    input_zero_point: int
    scale: float
    zero_point: int
    low: int
    high: int
