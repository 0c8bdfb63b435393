"""Tables of the exact real function, rounded once: half to even (paper) or half up (power_of_two)."""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from accel_sim.arithmetic.boundary import activation_bounds
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
from accel_sim.numerics.profiles import Arithmetic, Profile, refuse
from accel_sim.numerics.transcendental import hyperbolic_tangent, logistic

Real = Callable[[Fraction], Fraction]


def exact_table(
    profile: Profile, rule: Arithmetic, op: Operator, x: QuantParams, y: QuantParams, slope: PReluSlope | None
) -> NDArray[np.int64]:
    """See `derive_table`. Scales count as the exact numbers that they are."""
    if rule is Arithmetic.SHIFT and not (x.is_power_of_two and y.is_power_of_two):
        raise refuse(profile, "scales", f"{x.scale[0]}, {y.scale[0]}", "are powers of two")
    function = _real_function(op, slope)
    activation = op.activation if isinstance(op, Clip | Concat) else None
    (low,), (high,) = activation_bounds(profile, activation, y) if activation else ((y.low,), (y.high,))
    s_in, s_out = Fraction(x.scale[0]), Fraction(y.scale[0])
    codes = []
    for code in range(x.low, x.high + 1):
        multiple = function(s_in * (code - x.zero_point[0])) / s_out
        rounded = round(multiple) if rule is Arithmetic.EXACT else math.floor(multiple + Fraction(1, 2))
        codes.append(min(max(rounded + y.zero_point[0], low), high))
    return np.array(codes, np.int64)


def _real_function(op: Operator, slope: PReluSlope | None) -> Real:
    match op:
        case Logistic():
            return logistic
        case Tanh():
            return hyperbolic_tangent
        case HardSwish():
            return lambda v: v * _limited(v + 3, 6) / 6
        case HardSigmoid():
            alpha, beta = Fraction(op.alpha), Fraction(op.beta)
            return lambda v: _limited(alpha * v + beta, 1)
        case LeakyRelu():
            return _leaky(Fraction(op.alpha))
        case PRelu():
            assert slope is not None
            return _leaky(Fraction(slope.scale) * (slope.code - slope.zero_point))
        case Clip() | Concat() | Requantize():
            return lambda v: v
    raise AssertionError(op)


def _limited(v: Fraction, high: int) -> Fraction:
    return min(max(v, Fraction(0)), Fraction(high))


def _leaky(alpha: Fraction) -> Real:
    return lambda v: v if v >= 0 else alpha * v
