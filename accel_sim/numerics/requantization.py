"""Requantization: from an accumulator to a code of the output grid (figure 2).

A recipe is what the hardware's requantizer is loaded with: integers (or the float scale of runtimes that requantize in
floating point), already derived from the grids by a profile. `apply` is the specification, on unbounded integers; the
kernels compute the same numbers and are tested against it. Per-channel fields have one value, or one per channel of the
last axis.

`apply` takes Python ints and object arrays, or an integer array: then it computes in int64 where every magnitude is
within `exact_limit`, the bound under which no intermediate value leaves int64, and on Python ints otherwise.
"""

from abc import abstractmethod
from enum import Enum
from fractions import Fraction
from math import prod

import numpy as np
from numpy.typing import NDArray

from accel_sim.numerics.floats import round_half_away
from accel_sim.numerics.integers import (
    INT32_MAX,
    INT32_MIN,
    Integers,
    clamp,
    divide_half_even,
    divide_half_up,
    is_int64,
    multiply_16bit,
    multiply_double_round,
    multiply_single_round,
    per_channel,
    within,
    wrap32,
)
from accel_sim.records import dataclass

_INT64_MAX = (1 << 63) - 1


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

    @property
    @abstractmethod
    def exact_limit(self) -> int:
        """Largest magnitude of an accumulator for which int64 arithmetic is exact."""

    @abstractmethod
    def scaled(self, accumulators: Integers) -> Integers:
        """The accumulators on the output scale, rounded, before zero point and clamp."""

    def apply(self, accumulators: Integers) -> Integers:
        """Codes for accumulators [..., C]; int64 for an integer array, Python ints for Python ints."""
        codes = self._clamped(self._offset(self.scaled(within(accumulators, self.exact_limit))))
        return codes.astype(np.int64) if is_int64(accumulators) else codes

    def _offset(self, scaled: Integers) -> Integers:
        return scaled + self.zero_point

    def _clamped(self, codes: Integers) -> Integers:
        return clamp(codes, per_channel(self.low, codes), per_channel(self.high, codes))


@dataclass(frozen=True)
class FixedPointRequantization(Requantization):
    """acc * multiplier * 2^(shift - 31), rounded as `rounding` says; multiplier is int32, a positive shift is left.

    Source: TFLite MultiplyByQuantizedMultiplier; TOSA RESCALE (shift there = 31 - shift here; of apply_scale_16: 15 -
    shift here, multiplier there = multiplier >> 16 here).

    Attributes:
        saturating: False: the scaled value and its sum with the zero point wrap to 32 bits before the clamp, as C's
            int32 arithmetic does; True (TOSA): the sum saturates, so only the scaled value is wrapped.
    """

    multiplier: tuple[int, ...]
    shift: tuple[int, ...]
    rounding: Rounding
    saturating: bool = False

    @property
    def exact_limit(self) -> int:
        """int32 accumulators, and 48-bit ones for the 16-bit multiplier: products stay below 2^62."""
        return 1 << 47 if self.rounding is Rounding.SINGLE_16BIT else 1 << 31

    def scaled(self, accumulators: Integers) -> Integers:
        """See the class."""
        multiply = {
            Rounding.DOUBLE: multiply_double_round,
            Rounding.SINGLE: multiply_single_round,
            Rounding.SINGLE_16BIT: multiply_16bit,
        }[self.rounding]
        shift = per_channel(self.shift, accumulators)
        return wrap32(multiply(accumulators, per_channel(self.multiplier, accumulators), shift))

    def _offset(self, scaled: Integers) -> Integers:
        return scaled + self.zero_point if self.saturating else wrap32(scaled + self.zero_point)


@dataclass(frozen=True)
class ShiftRequantization(Requantization):
    """(acc * multiplier + addend) >> shift, floor shift; the addend carries rounding and bias (Deeploy, 2.2.2)."""

    multiplier: tuple[int, ...]
    addend: tuple[int, ...]
    shift: int

    @property
    def exact_limit(self) -> int:
        """acc * multiplier + addend below 2^63."""
        return (_INT64_MAX - max(map(abs, self.addend))) // max(1, *map(abs, self.multiplier))

    def scaled(self, accumulators: Integers) -> Integers:
        """See the class."""
        product = accumulators * per_channel(self.multiplier, accumulators)
        return (product + per_channel(self.addend, accumulators)) >> self.shift


@dataclass(frozen=True)
class FloatRequantization(Requantization):
    """rint(clamp(f32(f32(acc) * scale), low - zp, high - zp)) + zp, all in float32, ties to even (ONNX Runtime, MLAS).

    Attributes:
        scale: float32 values, held exactly.
    """

    scale: tuple[float, ...]

    @property
    def exact_limit(self) -> int:
        """Any int64: its conversion to float32 rounds once."""
        return _INT64_MAX

    def scaled(self, accumulators: Integers) -> Integers:
        """See the class. Clamps before rounding, so the result always fits."""
        with np.errstate(over="ignore", under="ignore"):
            real = as_int64(accumulators).astype(np.float32) * _floats(self.scale, np.float32)
        return rint_clamped(real, self)


@dataclass(frozen=True)
class FloatGridRequantization(Requantization):
    """rint(clamp(f32(f32(f32(acc) * input_scale) / scale))) + zp: dequantize, then quantize, in float32.

    What ONNX Runtime does between DequantizeLinear and QuantizeLinear on two grids; acc is x - input zero point.
    """

    input_scale: float
    scale: float

    @property
    def exact_limit(self) -> int:
        """Any int64: its conversion to float32 rounds once."""
        return _INT64_MAX

    def scaled(self, accumulators: Integers) -> Integers:
        """See the class."""
        with np.errstate(over="ignore", under="ignore"):
            real = as_int64(accumulators).astype(np.float32) * np.float32(self.input_scale) / np.float32(self.scale)
        return rint_clamped(real, self)


@dataclass(frozen=True)
class DoubleRequantization(Requantization):
    """round_half_away(double(acc) * scale), product in double (LiteRT >= 1.3 FULLY_CONNECTED).

    A value that does not fit int32, which C leaves undefined, becomes INT32_MIN as x86 converts it; the sum with the
    zero point wraps to 32 bits.
    """

    scale: tuple[float, ...]

    @property
    def exact_limit(self) -> int:
        """Any int64: its conversion to double rounds once."""
        return _INT64_MAX

    def scaled(self, accumulators: Integers) -> Integers:
        """See the class."""
        rounded = round_half_away(as_int64(accumulators).astype(np.float64) * _floats(self.scale, np.float64))
        fits = (rounded >= INT32_MIN) & (rounded <= INT32_MAX)
        return np.where(fits, rounded, INT32_MIN).astype(np.int64)

    def _offset(self, scaled: Integers) -> Integers:
        return wrap32(scaled + self.zero_point)


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

    @property
    def exact_limit(self) -> int:
        """2 * acc * numerator + denominator below 2^63; negative where the denominator alone does not fit."""
        return (_INT64_MAX - 2 * max(self.denominator)) // (2 * max(self.numerator))

    def scaled(self, accumulators: Integers) -> Integers:
        """See the class."""
        numerator = per_channel(self.numerator, accumulators)
        return divide(accumulators * numerator, per_channel(self.denominator, accumulators), self.ties)


def divide(a: Integers, b: Integers, ties: TieRule) -> Integers:
    """a / b to the nearest integer. b > 0."""
    return divide_half_even(a, b) if ties is TieRule.HALF_EVEN else divide_half_up(a, b)


def as_int64(x: Integers) -> NDArray[np.int64]:
    """Integers as an int64 array; OverflowError where one does not fit."""
    return np.asarray(x, None if is_int64(x) else object).astype(np.int64)


def rint_clamped(real: NDArray[np.float32], grid: Requantization) -> NDArray[np.int64]:
    """Real multiples of the output scale, limited to the grid's codes minus its zero point, rounded half to even."""
    low = _floats(tuple(code - grid.zero_point for code in grid.low), np.float32)
    high = _floats(tuple(code - grid.zero_point for code in grid.high), np.float32)
    return np.rint(np.clip(real, low, high)).astype(np.int64)


def _floats(values: tuple[float, ...], dtype: type[np.floating]) -> NDArray[np.floating]:
    """One value as a scalar array, several along the last axis."""
    return np.array(values[0] if len(values) == 1 else values, dtype)


def exact_ratio(numerators: tuple[float, ...], denominator: float) -> Fraction:
    """The product of float numerators over a float denominator as an exact fraction."""
    return prod((Fraction(value) for value in numerators), start=Fraction(1)) / Fraction(denominator)
