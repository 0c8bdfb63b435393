"""Tables in float32: dequantize, the function, quantize.

ONNX Runtime fills 256-entry tables so for QLinearLeakyRelu, QLinearSigmoid and QLinearConcat, and computes every
operator that it leaves between DequantizeLinear and QuantizeLinear so. TFLite fills its int8 tables (LOGISTIC, TANH) in
float32 too, but divides by a reciprocal and rounds half away from zero.
"""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from accel_sim.arithmetic.table_slope import PReluSlope
from accel_sim.ir import (
    Clip,
    Concat,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Logistic,
    Operator,
    PRelu,
    QuantParams,
    Requantize,
    Tanh,
)
from accel_sim.numerics.floats import dequantize_float32, quantize_float32, round_half_away
from accel_sim.numerics.profiles import Arithmetic, Profile
from accel_sim.numerics.rational_functions import rational_logistic, rational_tanh
from accel_sim.numerics.transcendental import exponential, hyperbolic_tangent

_F = np.float32
Float32s = NDArray[np.float32]


def float32_table(
    profile: Profile, rule: Arithmetic, op: Operator, x: QuantParams, y: QuantParams, slope: PReluSlope | None
) -> NDArray[np.int64]:
    """See `derive_table` (ONNX Runtime)."""
    codes = np.arange(x.low, x.high + 1, dtype=np.int64)
    if isinstance(op, Concat | Requantize) and x == y:
        return codes
    with np.errstate(over="ignore", under="ignore"):
        values = dequantize_float32(codes, x.scale[0], x.zero_point[0])
        return quantize_float32(_onnxruntime_function(values, op, slope), y.scale[0], y.zero_point[0], y.low, y.high)


def _onnxruntime_function(v: Float32s, op: Operator, slope: PReluSlope | None) -> Float32s:
    match op:
        case Logistic():
            return rational_logistic(v)
        case Tanh():
            return rational_tanh(v)
    return real_function(v, op, slope)


def reciprocal_table(op: Operator, x: QuantParams, y: QuantParams) -> NDArray[np.int64]:
    """round_half_away(f32(f * f32(1 / s_y))) + z_y, saturated (TFLite LUTPopulate)."""
    codes = np.arange(x.low, x.high + 1, dtype=np.int64)
    with np.errstate(over="ignore", under="ignore"):
        real = real_function(dequantize_float32(codes, x.scale[0], x.zero_point[0]), op, None)
        multiple = round_half_away(real * (_F(1) / _F(y.scale[0])))
    return np.clip(multiple.astype(np.float64) + y.zero_point[0], y.low, y.high).astype(np.int64)


def divided_table(op: Operator, x: QuantParams, y: QuantParams) -> NDArray[np.int64]:
    """round_half_away(f32(f / s_y)) + z_y, saturated (the lowering of TFLite to TOSA's TABLE)."""
    codes = np.arange(x.low, x.high + 1, dtype=np.int64)
    with np.errstate(over="ignore", under="ignore"):
        real = real_function(dequantize_float32(codes, x.scale[0], x.zero_point[0]), op, None)
        multiple = round_half_away(real / _F(y.scale[0]))
    return np.clip(multiple.astype(np.float64) + y.zero_point[0], y.low, y.high).astype(np.int64)


def real_function(v: Float32s, op: Operator, slope: PReluSlope | None) -> Float32s:
    """The operator on float32 numbers, one rounding per operation (logistic and tanh: as TFLite computes them)."""
    match op:
        case Logistic():
            return _F(1) / (_F(1) + _exp(-v))
        case Tanh():
            return np.array([float(hyperbolic_tangent(Fraction(float(t)))) for t in v]).astype(_F)
        case HardSwish():
            return _hard_sigmoid(v, 1 / 6, 0.5) * v
        case HardSigmoid():
            return _hard_sigmoid(v, op.alpha, op.beta)
        case LeakyRelu():
            return np.where(v >= 0, v, v * _F(op.alpha))
        case PRelu():
            assert slope is not None
            return np.where(v >= 0, v, _F(slope.scale) * _F(slope.code - slope.zero_point) * v)
        case Clip() | Concat():
            high = op.activation.high
            assert not isinstance(high, tuple)
            return np.minimum(np.maximum(v, _F(op.activation.low)), _F(high))
    return v


def _hard_sigmoid(v: Float32s, alpha: float, beta: float) -> Float32s:
    result: Float32s = np.minimum(np.maximum(v * _F(alpha) + _F(beta), _F(0)), _F(1))
    return result


def _exp(v: Float32s) -> Float32s:
    """exp rounded to float32; above float32's range infinity, whose reciprocal is 0."""
    with np.errstate(over="ignore", under="ignore"):
        return np.array([float(exponential(Fraction(float(t)))) for t in v]).astype(_F)
