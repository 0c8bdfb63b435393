"""Recipes of softmax."""

import math
from fractions import Fraction

import numpy as np

from accel_sim.ir import QuantParams, Softmax
from accel_sim.numerics.multipliers import quantize_multiplier
from accel_sim.numerics.profiles import Arithmetic, Profile, refuse
from accel_sim.numerics.softmax import (
    FixedPointSoftmax,
    FloatTableSoftmax,
    LaneSoftmax,
    RealSoftmax,
    SoftmaxRecipe,
    TableSoftmax16,
)
from accel_sim.numerics.transcendental import exponential

_INTEGER_BITS = 5  # of the scaled differences
_FIXED = {Arithmetic.FIXED_DOUBLE, Arithmetic.FIXED_SINGLE, Arithmetic.TOSA}


def softmax_grid(profile: Profile, x: QuantParams, y: QuantParams) -> QuantParams:
    """The grid on which the profile's softmax writes its codes; where it is not y, a Requantize follows.

    TFLite's kernels know these only: the unit interval at the lowest code, 1/256 or 1/65536, and 1/32768 at 0 for int16
    operands. TOSA 1.0 has no softmax; its profile computes TFLite's.
    """
    if profile.softmax not in _FIXED:
        return y
    if x.bits > 8:
        return QuantParams.per_tensor(1 / 32768, bits=16)
    if y.bits > 8:
        return QuantParams.per_tensor(1 / 65536, -32768, bits=16)
    return QuantParams.per_tensor(1 / 256, -128 if y.signed else 0, signed=y.signed)


def derive_softmax(profile: Profile, op: Softmax, x: QuantParams, y: QuantParams, length: int) -> SoftmaxRecipe:
    """The recipe of softmax over `length` elements; its codes lie on `softmax_grid(profile, x, y)`.

    `length` matters to ONNX Runtime alone, which aligns its table so that the sum cannot overflow. It has an integer
    kernel for 8-bit codes of one type and leaves all others in float32.
    """
    if profile.softmax in _FIXED:
        return _sixteen_bits(op, x) if x.bits > 8 else _fixed_point(profile, op, x, softmax_grid(profile, x, y))
    if profile.softmax is Arithmetic.FLOAT32:
        one_type = max(x.bits, y.bits) <= 8 and x.signed == y.signed
        return _float_table(x, y, length) if one_type else _in_float32(op, x, y)
    return _real(op, x, y)


def _fixed_point(profile: Profile, op: Softmax, x: QuantParams, grid: QuantParams) -> FixedPointSoftmax:
    """TFLite PreprocessSoftmaxScaling, which checks that its multiplier is above 1, and CalculateInputRadius."""
    fraction = 1 << (31 - _INTEGER_BITS)
    real = float(np.float32(op.beta)) * x.scale[0] * fraction
    if not real > 1:
        value = f"{x.scale[0]:g}, beta {op.beta:g}"
        raise refuse(profile, "Softmax input scale", value, f"scale times beta is above 1/{fraction}")
    multiplier, left_shift = quantize_multiplier(min(real, (1 << 31) - 1.0))
    radius = ((1 << _INTEGER_BITS) - 1) * fraction / 2.0**left_shift
    return FixedPointSoftmax(multiplier, left_shift, -math.floor(radius), grid.low, grid.high, grid.bits)


def _sixteen_bits(op: Softmax, x: QuantParams) -> TableSoftmax16:
    scale = float(np.float32(x.scale[0]) * np.float32(op.beta))
    return TableSoftmax16(*quantize_multiplier(scale / (10.0 / 65535.0)))


def _float_table(x: QuantParams, y: QuantParams, length: int) -> FloatTableSoftmax:
    """exp((i - 255) * s + a) in double, stored as float32; a raises the maximum to just below overflow of the sum.

    a = max(0, log(float32 max / length) - 5), every step in float32 (onnxruntime qlinear_softmax.cc). It knows no beta.
    Codes near ties need all of it: of 10,080,000, 5 differ with a in double, more with a
    table aligned to 1.
    """
    largest = float(np.finfo(np.float32).max / np.float32(length))
    headroom = max(0.0, float(np.float32(math.log(largest)) - np.float32(5)))
    arguments = [(i - 255) * x.scale[0] + headroom for i in range(256)]
    table = tuple(float(np.float32(float(exponential(Fraction(a))))) for a in arguments)
    output_scale = float(np.floor(np.float32(1) / np.float32(y.scale[0])))
    return FloatTableSoftmax(table, output_scale, y.zero_point[0], y.low, y.high)


def _in_float32(op: Softmax, x: QuantParams, y: QuantParams) -> LaneSoftmax:
    scale = float(np.float32(x.scale[0]) * np.float32(op.beta))
    return LaneSoftmax(scale, x.zero_point[0], y.scale[0], y.zero_point[0], y.low, y.high)


def _real(op: Softmax, x: QuantParams, y: QuantParams) -> RealSoftmax:
    step = Fraction(x.scale[0]) * Fraction(op.beta)
    table = tuple(float(exponential(-step * difference)) for difference in range(1 << x.bits))
    return RealSoftmax(table, y.scale[0], y.zero_point[0], y.low, y.high)
