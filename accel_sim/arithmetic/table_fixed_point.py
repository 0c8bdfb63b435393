"""Tables of TFLite's fixed-point kernels, and of TOSA's RESCALE and TABLE."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from accel_sim.arithmetic.boundary import activation_bounds
from accel_sim.arithmetic.derive_requantization import fixed_point_requantization
from accel_sim.arithmetic.hard_swish import hard_swish
from accel_sim.arithmetic.table_float32 import divided_table, real_function, reciprocal_table
from accel_sim.arithmetic.table_slope import PReluSlope
from accel_sim.ir import (
    NO_ACTIVATION,
    Activation,
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
from accel_sim.numerics.floats import round_half_away
from accel_sim.numerics.interpolated import TABLE_UNITS, Grid16, interpolate, logistic_16, sample, tanh_16
from accel_sim.numerics.profiles import Arithmetic, Profile, refuse

Table = NDArray[np.int64]
_F = np.float32


def fixed_point_table(
    profile: Profile, rule: Arithmetic, op: Operator, x: QuantParams, y: QuantParams, slope: PReluSlope | None
) -> Table:
    """See `derive_table`.

    Where TFLite has no kernel for a type or a grid the nearest one stands in: HARD_SIGMOID and the 16-bit HARD_SWISH
    are filled like the float32 tables of LOGISTIC; the 16-bit LOGISTIC and TANH, whose result is at 1/32768, are
    requantized to another grid.
    """
    is_tosa = rule is Arithmetic.TOSA
    match op:
        case Requantize():
            return _rescaled(profile, rule, x, y, x.scale[0] / y.scale[0])
        case Concat():
            return _branch(profile, rule, op, x, y)
        case Clip():
            return _rescaled(profile, rule, x, y, _ratio(rule, x.scale[0], 1.0, y.scale[0]), op.activation)
        case LeakyRelu():
            return _two_slopes(profile, rule, x, y, _ratio(rule, x.scale[0], op.alpha, y.scale[0]), 1)
        case PRelu():
            assert slope is not None
            scale = _ratio(rule, x.scale[0], slope.scale, y.scale[0])
            return _two_slopes(profile, rule, x, y, scale, slope.code - slope.zero_point)
        case Logistic() | Tanh() if x.bits == 16 or (x.bits > 8 and not is_tosa):
            return _sixteen_bits(profile, rule, op, x, y)
        case HardSwish() if x.bits <= 8 and y.bits <= 8 and not is_tosa:
            return hard_swish(profile, x, y)
        case HardSwish() | HardSigmoid() | Logistic() | Tanh():
            return divided_table(op, x, y) if is_tosa else reciprocal_table(op, x, y)
    raise AssertionError(op)


def _ratio(rule: Arithmetic, s_in: float, factor: float, s_out: float) -> float:
    """s_in * factor / s_out: in float32 (TFLite), in double (TOSA's lowering)."""
    if rule is Arithmetic.TOSA:
        return s_in * factor / s_out
    with np.errstate(over="ignore", under="ignore"):
        return float(_F(s_in) * _F(factor) / _F(s_out))


def _centred(x: QuantParams) -> Table:
    return np.arange(x.low, x.high + 1, dtype=np.int64) - x.zero_point[0]


def _rescaled(
    profile: Profile,
    rule: Arithmetic,
    x: QuantParams,
    y: QuantParams,
    scale: float,
    activation: Activation = NO_ACTIVATION,
) -> Table:
    """x - z_x rescaled to y (TFLite QUANTIZE, RELU; TOSA RESCALE, CLAMP)."""
    low, high = activation_bounds(profile, activation, y)
    recipe = fixed_point_requantization(profile, rule, (scale,), y.zero_point[0], low, high)
    table: Table = recipe.apply(_centred(x))
    return table


def _two_slopes(
    profile: Profile, rule: Arithmetic, x: QuantParams, y: QuantParams, negative_scale: float, factor: int
) -> Table:
    """x where x >= 0, else negative_scale * factor * x, each rescaled by its own multiplier (LEAKY_RELU, PRELU)."""
    rescale = partial(fixed_point_requantization, profile, rule)
    bounds = (y.zero_point[0], (y.low,), (y.high,))
    v = _centred(x)
    positive = rescale((_ratio(rule, x.scale[0], 1.0, y.scale[0]),), *bounds).apply(v)
    return np.asarray(np.where(v >= 0, positive, rescale((negative_scale,), *bounds).apply(v * factor)))


def _branch(profile: Profile, rule: Arithmetic, op: Concat, x: QuantParams, y: QuantParams) -> Table:
    """One operand of a concatenation.

    A copy on equal grids (all that TFLite allows for int8 and int16). uint8 rescales in float32
    (ConcatenationWithScaling). Signed codes on different grids, which only other formats have, are requantized.
    """
    (low,), (high,) = activation_bounds(profile, op.activation, y)
    if x.same_grid(y):
        return np.clip(np.arange(x.low, x.high + 1, dtype=np.int64), low, high)
    if rule is Arithmetic.TOSA or x.signed or y.signed:
        return np.clip(_rescaled(profile, rule, x, y, x.scale[0] / y.scale[0]), low, high)
    with np.errstate(over="ignore", under="ignore"):
        scale = _F(x.scale[0]) * (_F(1) / _F(y.scale[0]))
        bias = _F(-x.zero_point[0]) * scale
        value = np.arange(x.low, x.high + 1).astype(_F) * scale + bias
    return np.clip(round_half_away(value).astype(np.float64) + y.zero_point[0], low, high).astype(np.int64)


def _sixteen_bits(profile: Profile, rule: Arithmetic, op: Logistic | Tanh, x: QuantParams, y: QuantParams) -> Table:
    """int16 LOGISTIC and TANH: integer arithmetic with an interpolated table, output scale 2^-15.

    TFLite has one table for every symmetric input; the lowering to TOSA samples the function at 513 points of the
    input's grid for TABLE.

    Raises:
        UnsupportedByProfileError: an input scale so large that TFLite's int32 multiplier is undefined.
    """
    natural = QuantParams.per_tensor(2.0**-15, 0, bits=16)
    codes = np.arange(x.low, x.high + 1, dtype=np.int64)
    if rule is Arithmetic.TOSA:
        table = _sampled(op, x, natural, codes)
    elif x.signed and x.is_symmetric:
        if x.scale[0] * TABLE_UNITS >= 1 << 31:
            raise refuse(profile, "input scale", f"{x.scale[0]:g}", f"times {TABLE_UNITS} is an int32 multiplier")
        function = logistic_16 if isinstance(op, Logistic) else tanh_16
        table = np.clip(function(codes, x.scale[0]), natural.low, natural.high)
    else:
        return reciprocal_table(op, x, y)
    if y == natural:
        return table
    onto_y = _rescaled(profile, rule, natural, y, natural.scale[0] / y.scale[0])
    return onto_y[table - natural.low]


def _sampled(op: Logistic | Tanh, x: QuantParams, y: QuantParams, codes: Table) -> Table:
    grid = Grid16(x.scale[0], x.zero_point[0] - (0 if x.signed else 32768))

    def function(v: float) -> float:
        return float(real_function(np.array([v], _F), op, None)[0])

    samples = sample(function, grid, Grid16(y.scale[0], y.zero_point[0]))
    table: Table = interpolate(samples, codes - (0 if x.signed else 32768))
    return table
