"""Real scales as an integer multiplier and a shift.

A pair (m, s) stands for the real number m * 2^(s - 31), m in [2^30, 2^31) (or 0): a positive s shifts to the left.
"""

import math

from accel_sim.numerics.integers import INT32_MAX


def quantize_multiplier(real: float) -> tuple[int, int]:
    """(m, s) nearest to a real scale, halves away from zero (TFLite QuantizeMultiplier, quantization_util.cc).

    A scale below 2^-32 becomes (0, 0), as in the source: every result is then 0.
    """
    multiplier, shift = _normalized(real, 31)
    return (0, 0) if shift < -31 else (multiplier, shift)


def single_round_multiplier(real: float) -> tuple[int, int]:
    """`quantize_multiplier` for single rounding, which has no shift above 30: larger scales saturate (same source)."""
    multiplier, shift = quantize_multiplier(real)
    return (INT32_MAX, 30) if shift > 30 else (multiplier, shift)


def tosa_multiplier(real: float) -> tuple[int, int]:
    """(m, s) for TOSA's apply_scale_32, whose shift is 31 - s and at most 62: smaller scales lose bits of m."""
    multiplier, shift = _normalized(real, 31)
    excess = max(31 - shift - 62, 0)
    return multiplier >> min(31, excess), max(shift, -31)


def tosa_multiplier_16(real: float) -> tuple[int, int]:
    """(m, s) for TOSA's apply_scale_16: m is a multiple of 2^16 whose high half is the 16-bit multiplier.

    The specification's shift is 15 - s, at most 62.
    """
    multiplier, shift = _normalized(real, 15)
    excess = max(15 - shift - 62, 0)
    return multiplier >> min(31, excess) << 16, max(shift, -47)


def _normalized(real: float, bits: int) -> tuple[int, int]:
    """(round_half_away(fraction * 2^bits), exponent) of a real number, the multiplier below 2^bits."""
    if real == 0.0:
        return 0, 0
    fraction, exponent = math.frexp(real)
    scaled = math.floor(abs(fraction) * (1 << bits) + 0.5)
    multiplier = -scaled if fraction < 0 else scaled
    return (multiplier // 2, exponent + 1) if multiplier == 1 << bits else (multiplier, exponent)
