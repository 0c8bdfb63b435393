"""Softmax on codes."""

from abc import abstractmethod

import numpy as np

from accel_sim.numerics.float_exponential import float_exponential, lane_sum
from accel_sim.numerics.floats import dequantize_float32, quantize_float32
from accel_sim.numerics.gemmlowp import exp_on_negative_values, reciprocal
from accel_sim.numerics.integers import (
    Integers,
    bit_length,
    clamp,
    is_int64,
    multiply_double_round,
    rounding_divide_by_power_of_two,
    saturating_rounding_doubling_high_mul,
    unbounded,
    where,
    wrap32,
)
from accel_sim.numerics.interpolated import exponential_table, interpolate, reciprocal_table
from accel_sim.numerics.requantization import as_int64
from accel_sim.records import dataclass


@dataclass(frozen=True)
class SoftmaxRecipe:
    """Root of the recipes of softmax along the last axis."""

    def apply(self, x: Integers) -> Integers:
        """Codes [..., n] for codes [..., n]; int64 for an integer array, Python ints for Python ints."""
        codes = self._codes(x.astype(np.int64) if is_int64(x) else x)
        return codes.astype(np.int64) if is_int64(x) else unbounded(codes)

    @abstractmethod
    def _codes(self, x: Integers) -> Integers:
        """See `apply`."""


@dataclass(frozen=True)
class FixedPointSoftmax(SoftmaxRecipe):
    """TFLite int8 / uint8 softmax in gemmlowp fixed point: Q5.26 differences, Q12.19 sum, reciprocal by Newton.

    ::

        d = x - max(x)
        e = exp_on_negative_values(SRDHM(wrap32(d << left_shift), multiplier))   # Q5.26 -> Q0.31
        (r, k) = reciprocal(sum of RDPOT(e, 12) over d >= diff_min)              # Q12.19
        y = low + RDPOT(SRDHM(r, e), k + 31 - output_bits), clamped;  low where d < diff_min

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

    def _codes(self, x: Integers) -> Integers:
        difference = x - x.max(axis=-1, keepdims=True)
        counts = difference >= self.diff_min
        near = where(counts, difference, 0)
        scaled = saturating_rounding_doubling_high_mul(wrap32(near * (1 << self.left_shift)), self.multiplier)
        exponential = exp_on_negative_values(scaled, 5)
        terms = where(counts, rounding_divide_by_power_of_two(exponential, 12), 0)
        inverse, exponent = reciprocal(terms.sum(axis=-1, keepdims=True), 12)
        share = saturating_rounding_doubling_high_mul(inverse, exponential)
        codes = rounding_divide_by_power_of_two(share, exponent + (31 - self.output_bits)) + self.low
        return where(counts, clamp(codes, self.low, self.high), self.low)


@dataclass(frozen=True)
class TableSoftmax16(SoftmaxRecipe):
    """TFLite int16 softmax: 513-entry interpolated tables of exp and of 1 / (1 + x) (`interpolated.py`).

    ::

        e = exponential_table(saturate16(MBQM2(x - max(x), multiplier, shift) + 32767))
        total = sum(e);  h = 32 - bit_length(total)
        r = reciprocal_table(saturate16((((total << (h-1)) + 2^13) >> 14) - (2^15 + 2^16)))
        y = clamp((e * r + 2^(30-h)) >> (31-h), 0, 32767)
    """

    multiplier: int
    shift: int

    def _codes(self, x: Integers) -> Integers:
        difference = x - x.max(axis=-1, keepdims=True)
        argument = multiply_double_round(difference, self.multiplier, self.shift) + 32767
        exponential = interpolate(exponential_table(), clamp(argument, -32768, 32767))
        total = exponential.sum(axis=-1, keepdims=True)
        headroom = 32 - bit_length(total)
        shifted = (total * (1 << (headroom - 1)) + (1 << 13)) >> 14
        inverse = interpolate(reciprocal_table(), clamp(shifted - ((1 << 15) + (1 << 16)), -32768, 32767))
        right = 31 - headroom
        return clamp((exponential * inverse + (1 << (right - 1))) >> right, 0, 32767)


@dataclass(frozen=True)
class FloatTableSoftmax(SoftmaxRecipe):
    """ONNX Runtime QLinearSoftmax: a float32 table of exp aligned to the maximum, float32 running sum, double quotient.

    ::

        e = exponentials[255 - (max(x) - x)]
        y = clamp(rint(f64(f64(e * output_scale) / sequential f32 sum of e)) + zero_point, low, high)

    Attributes:
        exponentials: 256 float32 values, the last for the maximum.
        output_scale: floor(1 / y_scale) as float32.
    """

    exponentials: tuple[float, ...]
    output_scale: float
    zero_point: int
    low: int
    high: int

    def _codes(self, x: Integers) -> Integers:
        codes = as_int64(x)
        table = np.array(self.exponentials, np.float32)
        e = table[len(table) - 1 - (codes.max(axis=-1, keepdims=True) - codes)]
        total = np.cumsum(e, axis=-1, dtype=np.float32)[..., -1:]
        share = np.rint(e.astype(np.float64) * self.output_scale / total)
        return (
            np.clip(share, self.low - self.zero_point, self.high - self.zero_point).astype(np.int64) + self.zero_point
        )


@dataclass(frozen=True)
class LaneSoftmax(SoftmaxRecipe):
    """ONNX Runtime Softmax left in float32: dequantize, exponentials of what lies below the maximum, quantize.

    ::

        e = float_exponential(f32(real - largest real))
        y = QuantizeLinear(f32(e * f32(1 / lane_sum(e))))
    """

    input_scale: float
    input_zero_point: int
    scale: float
    zero_point: int
    low: int
    high: int

    def _codes(self, x: Integers) -> Integers:
        real = dequantize_float32(as_int64(x), self.input_scale, self.input_zero_point)
        e = float_exponential(real - real.max(axis=-1, keepdims=True))
        share = np.float32(1) / lane_sum(e)
        return quantize_float32(e * share[..., None], self.scale, self.zero_point, self.low, self.high)


@dataclass(frozen=True)
class RealSoftmax(SoftmaxRecipe):
    """exp((x - max) * s * beta) / sum, correctly rounded exponentials in double, sequential sum, half to even.

    ::

        y = clamp(rint(f64(f64(e / sequential f64 sum of e) / scale)) + zero_point, low, high)

    Attributes:
        exponentials: by max - x, double, correctly rounded.
    """

    exponentials: tuple[float, ...]
    scale: float
    zero_point: int
    low: int
    high: int

    def _codes(self, x: Integers) -> Integers:
        codes = as_int64(x)
        e = np.array(self.exponentials)[codes.max(axis=-1, keepdims=True) - codes]
        total = np.cumsum(e, axis=-1)[..., -1:]
        multiple = np.clip(e / total / self.scale, self.low - self.zero_point, self.high - self.zero_point)
        return np.rint(multiple).astype(np.int64) + self.zero_point
