"""exp, logistic and tanh to 40 digits, so that no byte depends on the CPU or its mathematical library.

Arguments are exact rationals; results are rationals whose error is below 10^-40, from Python's decimal arithmetic,
which is the same everywhere. `float(result)` is the correctly rounded double (but for one argument in about 10^20,
whose double is off by one unit).
"""

from decimal import Context, Decimal
from fractions import Fraction

_CONTEXT = Context(prec=60, Emin=-999999, Emax=999999)
_FAR = 500  # exp(-500) < 10^-217: beyond it no grid of float32 scale tells the value from that at 500


def exponential(x: Fraction) -> Fraction:
    """exp(x), |x| limited to 500."""
    near = max(min(x, Fraction(_FAR)), Fraction(-_FAR))
    quotient = _CONTEXT.divide(Decimal(near.numerator), Decimal(near.denominator))
    return Fraction(_CONTEXT.exp(quotient))


def logistic(x: Fraction) -> Fraction:
    """1 / (1 + exp(-x))."""
    e = exponential(-abs(x))
    return 1 / (1 + e) if x >= 0 else e / (1 + e)


def hyperbolic_tangent(x: Fraction) -> Fraction:
    """tanh(x)."""
    e = exponential(-2 * abs(x))
    magnitude = (1 - e) / (1 + e)
    return magnitude if x >= 0 else -magnitude


def exp_double(x: float) -> float:
    """The double nearest to exp(x)."""
    return float(exponential(Fraction(x)))
