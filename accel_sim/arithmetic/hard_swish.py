"""TFLite's HARD_SWISH of 8-bit codes: a chain of 16-bit fixed-point operations (reference/hard_swish.h)."""

import numpy as np
from numpy.typing import NDArray

from accel_sim.ir import QuantParams
from accel_sim.numerics.integers import (
    clamp,
    divide_truncating,
    rounding_divide_by_power_of_two,
    saturate,
    saturating_rounding_doubling_high_mul,
    wrap,
)
from accel_sim.numerics.multipliers import quantize_multiplier
from accel_sim.numerics.profiles import Profile, refuse

_F = np.float32
_LONGEST_SHIFT = 15  # of a 16-bit number
_LARGEST_EXPONENT = 31  # of the gate: the source shifts an int32 by one bit less


def hard_swish(profile: Profile, x: QuantParams, y: QuantParams) -> NDArray[np.int64]:
    """Output codes by input code - x.low.

    The input at 7 more bits times ("relu-ish") the 16-bit number (clamp(x, -3, 3) / 3 + 1) / 2, whose scaling may
    overflow and saturates on purpose: what saturates lies beyond +-3.

    Raises:
        UnsupportedByProfileError: an output scale below 1/128 of the input's, or so far above it that the last shift is
            longer than 15 bits, where the mask of the source's rounding division is cut off; an input scale for which
            the gate's shift is longer than that, or overflows.
    """
    high_resolution = _F(_F(1.0) / _F(128.0)) * _F(x.scale[0])
    output, output_exponent = _reduced(float(high_resolution / _F(y.scale[0])))
    gate, gate_exponent = _reduced(float(high_resolution / (_F(3.0) / _F(32768.0))))
    if output_exponent > 0:
        raise refuse(profile, "HardSwish scales", f"{x.scale[0]} to {y.scale[0]}", "the ratio is at most 128")
    if -output_exponent > _LONGEST_SHIFT:
        raise refuse(profile, "HardSwish scales", f"{x.scale[0]} to {y.scale[0]}", "the ratio is at least 1/512")
    if not -_LONGEST_SHIFT <= gate_exponent <= _LARGEST_EXPONENT:
        raise refuse(profile, "HardSwish input scale", f"{x.scale[0]:g}", "times 256/3 lies in [2^-16, 2^31)")
    codes = np.arange(x.low, x.high + 1, dtype=np.int64)
    value = wrap((codes - x.zero_point[0]) * 128, 16)
    scaled = saturating_rounding_doubling_high_mul(value, output, 16)
    product = divide_truncating(_gate(value, gate, gate_exponent) * scaled, 1 << 15)
    table = rounding_divide_by_power_of_two(product, -output_exponent) + y.zero_point[0]
    return np.asarray(clamp(table, y.low, y.high), np.int64)


def _gate(value: NDArray[np.int64], multiplier: int, exponent: int) -> NDArray[np.int64]:
    """(clamp(x, -3, 3) / 3 + 1) / 2 in 1/32768."""
    gate = saturate(value << (exponent - 1), 16) if exponent > 0 else value
    gate = saturating_rounding_doubling_high_mul(gate, multiplier, 16)
    if exponent > 0:
        gate = saturate(gate << 1, 16)
    elif exponent < 0:
        gate = rounding_divide_by_power_of_two(gate, -exponent)
    return np.asarray((gate + (1 << 15)) >> 1, np.int64)


def _reduced(real: float) -> tuple[int, int]:
    """A multiplier of 16 bits and its exponent (DownScaleInt32ToInt16Multiplier)."""
    multiplier, shift = quantize_multiplier(real)
    return (0x7FFF if multiplier >= 0x7FFF << 16 else (multiplier + (1 << 15)) >> 16), shift
