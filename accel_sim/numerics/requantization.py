"""Requantization: from an accumulator to a code of the output grid (figure 2).

A recipe is what the hardware's requantizer is loaded with: integers (or the float scale of runtimes that requantize in
floating point), already derived from the grids by a profile. `apply` is the specification, on unbounded integers; the
kernels compute the same numbers and are tested against it. Per-channel fields have one value, or one per channel of the
last axis.
"""

from abc import abstractmethod
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

import numpy as np

from accel_sim.numerics.integers import (
    Integers,
    clamp,
    divide_half_even,
    divide_half_up,
    multiply_16bit,
    multiply_double_round,
    multiply_single_round,
    unbounded,
    wrap32,
)


class Rounding(Enum):
    """How the product accumulator x multiplier is brought back to an integer."""

    DOUBLE = "double"
    """SRDHM then RDPOT: two roundings, ties up, then away from zero (TFLite, CMSIS-NN)."""
    SINGLE = "single"
    """One rounding, ties to plus infinity (TOSA, ruy)."""
    SINGLE_16BIT = "single_16bit"
    """One rounding of the product with a multiplier reduced to 16 bits (TFLite int64 accumulators)."""


class TieRule(Enum):
    """Where an exact half goes."""

    HALF_EVEN = "half_even"
    HALF_UP = "half_up"


def _per_channel(values: tuple[int, ...]) -> Integers:
    """One value as a plain int, several as an object array along the last axis."""
    return values[0] if len(values) == 1 else unbounded(np.array(values, object))


@dataclass(frozen=True)
class Requantization:
    """Root of the recipes.

    Attributes:
        zero_point: of the output grid.
        low, high: clamp of the output code, activation included; one value or one per channel.
    """

    zero_point: int
    low: tuple[int, ...]
    high: tuple[int, ...]

    @abstractmethod
    def scaled(self, accumulators: Integers) -> Integers:
        """The accumulators on the output scale, rounded, before zero point and clamp."""

    def apply(self, accumulators: Integers) -> Integers:
        """Codes for accumulators [..., C] (unbounded integers)."""
        codes = self.scaled(accumulators) + self.zero_point
        return clamp(codes, _per_channel(self.low), _per_channel(self.high))


@dataclass(frozen=True)
class FixedPointRequantization(Requantization):
    """acc * multiplier * 2^(shift - 31), rounded as `rounding` says; multiplier is int32, a positive shift is left.

    Source: TFLite MultiplyByQuantizedMultiplier; TOSA RESCALE (shift there = 31 - shift here). The sum with the zero
    point wraps to 32 bits before the clamp, as int32 arithmetic does.
    """

    multiplier: tuple[int, ...]
    shift: tuple[int, ...]
    rounding: Rounding

    def scaled(self, accumulators: Integers) -> Integers:
        """See the class."""
        multiply = {
            Rounding.DOUBLE: multiply_double_round,
            Rounding.SINGLE: multiply_single_round,
            Rounding.SINGLE_16BIT: multiply_16bit,
        }[self.rounding]
        return multiply(accumulators, _per_channel(self.multiplier), _per_channel(self.shift))

    def apply(self, accumulators: Integers) -> Integers:
        """See the class."""
        codes = wrap32(wrap32(self.scaled(accumulators)) + self.zero_point)
        return clamp(codes, _per_channel(self.low), _per_channel(self.high))


@dataclass(frozen=True)
class ShiftRequantization(Requantization):
    """(acc * multiplier + addend) >> shift, floor shift; the addend carries rounding and bias (Deeploy)."""

    multiplier: tuple[int, ...]
    addend: tuple[int, ...]
    shift: int

    def scaled(self, accumulators: Integers) -> Integers:
        """See the class."""
        return (accumulators * _per_channel(self.multiplier) + _per_channel(self.addend)) >> self.shift


@dataclass(frozen=True)
class FloatRequantization(Requantization):
    """rint(clamp(f32(f32(acc) * scale), low - zp, high - zp)) + zp, all in float32, ties to even (ONNX Runtime, MLAS).

    Attributes:
        scale: float32 values, held exactly.
    """

    scale: tuple[float, ...]

    def scaled(self, accumulators: Integers) -> Integers:
        """See the class. Clamps before rounding, so the result always fits."""
        acc = np.asarray(accumulators, object).astype(np.int64).astype(np.float32)
        product = acc * np.array(self.scale, np.float32)
        low = (np.array(self.low) - self.zero_point).astype(np.float32)
        high = (np.array(self.high) - self.zero_point).astype(np.float32)
        return np.rint(np.clip(product, low, high)).astype(np.int64).astype(object)


@dataclass(frozen=True)
class DoubleRequantization(Requantization):
    """round_half_away(double(acc) * scale), product in double (LiteRT >= 1.3 FULLY_CONNECTED)."""

    scale: tuple[float, ...]

    def scaled(self, accumulators: Integers) -> Integers:
        """See the class. C's double -> int32 conversion saturates here as the clamp that follows would."""
        product = np.asarray(accumulators, object).astype(np.float64) * np.array(self.scale, np.float64)
        rounded = np.copysign(np.floor(np.abs(product) + 0.5), product)
        return np.clip(rounded, -(2.0**31), 2.0**31 - 1).astype(np.int64).astype(object)


@dataclass(frozen=True)
class RationalRequantization(Requantization):
    """acc * numerator / denominator, exactly, rounded once (the white paper read literally).

    Attributes:
        numerator, denominator: positive integers of any size: the exact real scale s_w * s_x / s_y.
        ties: where halves go.
    """

    numerator: tuple[int, ...]
    denominator: tuple[int, ...]
    ties: TieRule = TieRule.HALF_EVEN

    def scaled(self, accumulators: Integers) -> Integers:
        """See the class."""
        divide = divide_half_even if self.ties is TieRule.HALF_EVEN else divide_half_up
        return divide(accumulators * _per_channel(self.numerator), _per_channel(self.denominator))


def exact_ratio(numerators: tuple[float, ...], denominator: float) -> Fraction:
    """The product of float numerators over a float denominator as an exact fraction."""
    ratio = Fraction(1)
    for value in numerators:
        ratio *= Fraction(value)
    return ratio / Fraction(denominator)
