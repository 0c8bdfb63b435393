"""exp and sums of float32 as ONNX Runtime's softmax computes them, 16 lanes at a time.

Source: MLAS (MlasComputeSumExpF32Kernel and its AVX-512 form): a polynomial after Cody and Waite's reduction, whose
results are not the correctly rounded ones, and one running sum for each lane.
"""

import numpy as np
from numpy.typing import NDArray

from accel_sim.numerics.floats import fused_multiply_add

LANES = 16
LEAST_ARGUMENT = float.fromhex("-0x1.61814ap+6")
"""Smaller arguments are taken for this one: -88.376."""
LOG2_E, ROUNDING_BIAS = float.fromhex("0x1.715476p+0"), 1.5 * 2.0**23
"""Adding the bias, and subtracting it again, rounds to an integer."""
LOG_2_HIGH, LOG_2_LOW = float.fromhex("0x1.62e400p-1"), float.fromhex("0x1.7f7d1cp-20")
POLYNOMIAL = tuple(
    float.fromhex(c)
    for c in ("0x1.694p-10", "0x1.125edcp-7", "0x1.555b5ap-5", "0x1.55545p-3", "0x1.fffff6p-2", "0x1p+0", "0x1p+0")
)
"""Of r^6, ..., 1."""
_F = np.float32


def float_exponential(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """exp(x) for x <= 0: 2^m * p(x - m log 2), m = rint(x / log 2); each step one fused multiply-add."""
    limited = np.maximum(x, _F(LEAST_ARGUMENT))
    biased = fused_multiply_add(limited, _F(LOG2_E), _F(ROUNDING_BIAS))
    exponent: NDArray[np.float32] = biased - _F(ROUNDING_BIAS)
    reduced = fused_multiply_add(exponent, _F(-LOG_2_HIGH), limited)
    reduced = fused_multiply_add(exponent, _F(-LOG_2_LOW), reduced)
    total = np.full_like(reduced, _F(POLYNOMIAL[0]))
    for coefficient in POLYNOMIAL[1:]:
        total = fused_multiply_add(total, reduced, _F(coefficient))
    result: NDArray[np.float32] = np.ldexp(total, exponent.astype(np.int32))
    return result


def lane_sum(terms: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums [...] of the terms [..., n].

    Lane i adds up the terms i, i + 16, ... in turn. Lanes i and i + 8 are then added, of those eight neighbours, of
    these four neighbours, and the last two.
    """
    lanes = np.zeros((*terms.shape[:-1], LANES), np.float32)
    for first in range(0, terms.shape[-1], LANES):
        block = terms[..., first : first + LANES]
        lanes[..., : block.shape[-1]] += block
    eight = lanes[..., :8] + lanes[..., 8:]
    four = eight[..., 0::2] + eight[..., 1::2]
    two = four[..., 0::2] + four[..., 1::2]
    total: NDArray[np.float32] = two[..., 0] + two[..., 1]
    return total
