"""Real numbers to codes and back, at the ends of a network, in fused activations and in padding (eq 4 to 7)."""

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from accel_sim.ir import Activation, QuantParams
from accel_sim.numerics.floats import round_half_away
from accel_sim.numerics.profiles import Arithmetic, Profile, refuse

_HALF_AWAY = {Arithmetic.FIXED_DOUBLE, Arithmetic.FIXED_SINGLE, Arithmetic.TOSA, Arithmetic.FLOAT64}
_TFLITE = {Arithmetic.FIXED_DOUBLE, Arithmetic.FIXED_SINGLE}
_MOST_STEPS = 1 << 31


def quantize_real(profile: Profile, values: NDArray[np.floating], q: QuantParams) -> NDArray[np.int64]:
    """eq 4: codes of real numbers, saturated to the grid.

    Half away from zero on f32(x / s) (TFLite QUANTIZE, and where TFLite's conversion to int32 is undefined, beyond
    2^31, the saturated code); half to even on f32(x / s) (ONNX QuantizeLinear); half to even (paper) or half up
    (power_of_two) on the exact quotient of the float64 values.

    Args:
        profile: its `boundary` rule decides.
        values: any shape; the channel axis is `q.axis`. No NaN.
        q: the grid.

    Returns:
        int64 codes of the same shape.
    """
    scale, zero_point = q.broadcast(np.ndim(values))
    return _round_quotient(profile.boundary, np.asarray(values), scale, zero_point, q.low, q.high)


def dequantize(codes: NDArray[np.integer], q: QuantParams) -> NDArray[np.float32]:
    """eq 6: f32(s * (q - z)), rounded once. Shape kept; the channel axis is `q.axis`."""
    scale, zero_point = q.broadcast(np.ndim(codes))
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(scale * (np.asarray(codes, np.int64) - zero_point)).astype(np.float32)


def pad_code(profile: Profile, value: float, q: QuantParams) -> int:
    """The code that pads with a real value; 0.0 is the zero point exactly (2.2)."""
    return int(quantize_real(profile, np.array([value], np.float32), q)[0])


def activation_bounds(
    profile: Profile, activation: Activation, q: QuantParams
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The codes (low, high) between which a fused activation clamps (2.3.2), one value or one per channel.

    TFLite: q(v) = zp + round_half_away(f32(v / s)) (CalculateActivationRangeQuantized); the other profiles as they
    quantize at the boundary. Bounds are limited to the grid, so low <= high.

    Raises:
        UnsupportedByProfileError: a bound of 2^31 steps and more, which TFLite refuses behind an operator and converts
            to an undefined int32 in RELU6 and RELU_N1_TO_1.
    """
    highs = activation.high if isinstance(activation.high, tuple) else (activation.high,)
    low = _bound(profile, activation.low, q)
    return (low,), tuple(max(_bound(profile, high, q), low) for high in highs)


def _bound(profile: Profile, value: float, q: QuantParams) -> int:
    if math.isinf(value):
        return q.low if value < 0 else q.high
    if profile.boundary in _TFLITE and abs(value) / q.scale[0] >= _MOST_STEPS:
        raise refuse(profile, "activation bound", f"{value:g} at scale {q.scale[0]:g}", "is below 2^31 steps")
    return pad_code(profile, value, q)


def _round_quotient(
    rule: Arithmetic,
    values: NDArray[np.floating],
    scale: NDArray[np.float64],
    zero_point: NDArray[np.int64],
    low: int,
    high: int,
) -> NDArray[np.int64]:
    least, most = low - zero_point, high - zero_point
    if rule in (Arithmetic.EXACT, Arithmetic.SHIFT):
        offset = _exact_quotient(values, scale, least, most, half_up=rule is Arithmetic.SHIFT)
    else:
        with np.errstate(over="ignore", under="ignore"):
            quotient = _real32(values) / _real32(scale)
        limited = np.clip(quotient, _real32(least), _real32(most))  # at most 17 bits: float32 holds them
        offset = (round_half_away(limited) if rule in _HALF_AWAY else np.rint(limited)).astype(np.int64)
    codes: NDArray[np.int64] = offset + zero_point
    return codes


def _real32(values: NDArray[np.generic]) -> NDArray[np.float32]:
    return np.asarray(values, np.float32)


def _exact_quotient(
    values: NDArray[np.floating],
    scale: NDArray[np.float64],
    least: NDArray[np.int64],
    most: NDArray[np.int64],
    *,
    half_up: bool,
) -> NDArray[np.int64]:
    """The exact quotient, rounded and limited.

    The double quotient q of float32 numbers is off by less than 2^-35 in the codes' range, and an exact quotient that
    is no tie lies at least 2^-26 away from one (numerator and denominator have 24 bits). So away from ties the double
    decides, and near ties (or where a scale is no float32 number) Python's fractions do.
    """
    with np.errstate(over="ignore", under="ignore"):
        quotient = np.clip(np.asarray(values, np.float64) / scale, least - 1.0, most + 1.0)
    doubled = np.floor(quotient + 0.5).astype(np.int64)
    doubtful = np.abs(quotient - np.floor(quotient) - 0.5) < 2.0**-28
    scales = np.broadcast_to(scale, quotient.shape)
    rounded = np.atleast_1d(doubled)
    for index in zip(*np.nonzero(np.atleast_1d(doubtful)), strict=True):
        exact = Fraction(float(np.atleast_1d(values)[index])) / Fraction(float(np.atleast_1d(scales)[index]))
        rounded[index] = math.floor(exact + Fraction(1, 2)) if half_up else round(exact)
    return np.clip(rounded.reshape(quotient.shape), least, most)
