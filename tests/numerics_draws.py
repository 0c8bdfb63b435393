"""Hypothesis strategies for arithmetic: a quarter of what they draw is ties and extremes."""

import numpy as np
from hypothesis import strategies as st

from accel_sim.ir import QuantParams

INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1
EXTREMES = (INT32_MIN, INT32_MIN + 1, -1, 0, 1, INT32_MAX - 1, INT32_MAX)


def often(rare, usual):
    """`rare` in a quarter of the cases."""
    return st.integers(0, 3).flatmap(lambda k: rare if k == 0 else usual)


def int32s():
    return often(st.sampled_from(EXTREMES), st.integers(INT32_MIN, INT32_MAX))


def scales(low=-12, high=2):
    """float32 scales, a quarter of them powers of two."""
    powers = st.integers(low, high).map(lambda k: 2.0**k)
    others = st.floats(low, high).map(lambda e: float(np.float32(2.0**e)))
    return often(powers, others)


@st.composite
def grids(draw, bits=8, low=-8, high=0, signed=None):
    """Per-tensor grids; a quarter of the zero points lie at the ends or in the middle."""
    is_signed = draw(st.booleans()) if signed is None else signed
    bottom = -(1 << (bits - 1)) if is_signed else 0
    top = bottom + (1 << bits) - 1
    zero = draw(often(st.sampled_from((bottom, (bottom + top + 1) // 2, top)), st.integers(bottom, top)))
    return QuantParams.per_tensor(draw(scales(low, high)), zero, bits=bits, signed=is_signed)


def power_of_two_grids(bits=8):
    """Grids of the power-of-two quantizer (2.2.2)."""
    bottom, top = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return st.builds(
        lambda k, z: QuantParams.per_tensor(2.0**k, z, bits=bits), st.integers(-8, 2), st.integers(bottom, top)
    )
