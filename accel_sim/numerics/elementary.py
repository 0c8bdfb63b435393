"""exp, log and tanh of arrays from operations that IEEE 754 fixes: the same bytes on every processor.

NumPy's own choose instructions by the processor and then differ in the last bit, and so do C libraries. Here nothing is
used but addition, multiplication, division, rounding to an integer and scaling by powers of two, in float64. Results
are within four units in the last place of float64, then rounded to the type of the argument.
`accel_sim.numerics.transcendental` has the same functions of single numbers, to 40 digits.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[Any]

_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10  # the first has 32 bits: n * it is exact
_LOG2_E = 1.44269504088896338700
_FACTORIALS = [float(np.prod(np.arange(1.0, n + 1.0))) for n in range(14)]
_FAR = 745.2  # exp(-745.2) rounds to 0, exp(745.2) is infinite
_TERMS = 12
_NEAR, _ODD = 0.5, range(19, 0, -2)


def exp(x: Reals) -> Reals:
    """e to the power of x, float32 or float64, of any shape."""
    wide = np.asarray(x, np.float64)
    near = np.clip(wide, -_FAR, _FAR)
    whole = np.rint(np.where(np.isnan(near), 0.0, near) * _LOG2_E)
    r = (near - whole * _LN2_HIGH) - whole * _LN2_LOW
    total = np.zeros_like(r)
    for factorial in reversed(_FACTORIALS):
        total = total * r + 1.0 / factorial
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.ldexp(total, whole.astype(np.int32)).astype(x.dtype))


def log(x: Reals) -> Reals:
    """The natural logarithm of x >= 0, float32 or float64, of any shape; -infinity of 0."""
    wide = np.asarray(x, np.float64)
    mantissa, exponent = np.frexp(np.where(np.isfinite(wide) & (wide > 0.0), wide, 1.0))
    low = mantissa < np.sqrt(0.5)
    mantissa, exponent = np.where(low, 2.0 * mantissa, mantissa), exponent - low
    f = (mantissa - 1.0) / (mantissa + 1.0)  # log m = 2 (f + f^3 / 3 + f^5 / 5 + ...)
    square, total = f * f, np.zeros_like(f)
    for term in reversed(range(_TERMS)):
        total = total * square + 1.0 / (2 * term + 1)
    result = exponent * _LN2_HIGH + (2.0 * f * total + exponent * _LN2_LOW)
    result = np.where(wide > 0.0, np.where(np.isfinite(wide), result, wide), np.where(wide == 0.0, -np.inf, np.nan))
    return np.asarray(result.astype(x.dtype))


def tanh(x: Reals) -> Reals:
    """The hyperbolic tangent, float32 or float64, of any shape."""
    wide = np.asarray(x, np.float64)
    e = exp(-2.0 * np.abs(wide))
    far = np.copysign((1.0 - e) / (1.0 + e), wide)
    small = np.where(np.abs(wide) < _NEAR, wide, 0.0)  # where 1 - e cancels: x / (1 + x^2 / (3 + x^2 / (5 + ...)))
    denominator = np.ones_like(small)
    for odd in _ODD:
        denominator = odd + small * small / denominator
    return np.asarray(np.where(np.abs(wide) < _NEAR, small / denominator, far).astype(x.dtype))
