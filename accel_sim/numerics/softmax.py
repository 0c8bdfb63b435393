"""Softmax on codes."""

from abc import abstractmethod
from dataclasses import dataclass

from accel_sim.numerics.integers import Integers


@dataclass(frozen=True)
class SoftmaxRecipe:
    """Root of the recipes of softmax along the last axis."""

    @abstractmethod
    def apply(self, x: Integers) -> Integers:
        """Codes [..., n] for codes [..., n]."""


@dataclass(frozen=True)
class FixedPointSoftmax(SoftmaxRecipe):
    """TFLite int8 / uint8 softmax in gemmlowp fixed point: Q5.26 differences, Q12.19 sum, reciprocal by Newton.

    Attributes:
        multiplier, left_shift: of the differences x - max.
        diff_min: differences below it give the lowest code.
        low, high: the output codes' range; output_bits: 8 or 16.
    """

    multiplier: int
    left_shift: int
    diff_min: int
    low: int
    high: int
    output_bits: int


@dataclass(frozen=True)
class TableSoftmax16(SoftmaxRecipe):
    """TFLite int16 softmax: 513-entry interpolated tables of exp and of 1 / (1 + x)."""

    multiplier: int
    shift: int


@dataclass(frozen=True)
class FloatTableSoftmax(SoftmaxRecipe):
    """ONNX Runtime QLinearSoftmax: a float32 table of exp aligned to the maximum, float32 running sum.

    Attributes:
        exponentials: 256 float32 values; entry 255 - (max - x) ... as the formula of the runtime indexes it.
        output_scale: floor(1 / y_scale) as float32.
    """

    exponentials: tuple[float, ...]
    output_scale: float
    zero_point: int
    low: int
    high: int


@dataclass(frozen=True)
class RealSoftmax(SoftmaxRecipe):
    """exp((x - max) * s * beta) / sum, correctly rounded exponentials in double, sequential sum, half to even.

    Attributes:
        exponentials: by max - x, double, correctly rounded.
    """

    exponentials: tuple[float, ...]
    scale: float
    zero_point: int
    low: int
    high: int
