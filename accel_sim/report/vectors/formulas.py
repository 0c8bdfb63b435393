"""What the arrays mean: the arithmetic of a matrix command, line by line, in the names of the arrays.

Integers are unbounded unless a line says otherwise; `>>` and `//` round down, `wrapN` keeps the low N bits as two's
complement, `f32` rounds to IEEE 754 single precision, ties to even.
"""

from functools import singledispatch

from accel_sim.hardware import OverflowPolicy
from accel_sim.numerics.requantization import (
    DoubleRequantization,
    FixedPointRequantization,
    FloatGridRequantization,
    FloatRequantization,
    RationalRequantization,
    Requantization,
    Rounding,
    ShiftRequantization,
    TieRule,
)
from accel_sim.program import Convolve, MatrixMultiply, TransposeConvolve
from accel_sim.program.geometry import MatrixCommand

_SHIFTS = ["left, right = max(shift[co], 0), max(-shift[co], 0)"]
_CLAMP = "result = min(max(code, low[co]), high[co])"
_DOUBLE = [
    *_SHIFTS,
    "product = (wrap32(acc << left) * multiplier[co] + (1 << 30)) >> 31    # -2^31 * -2^31 gives 2^31 - 1",
    "scaled = product / 2^right to the nearest integer, ties away from zero",
]
_SINGLE = ["scaled = (acc * multiplier[co] + (1 << (30 - shift[co]))) >> (31 - shift[co])"]
_SIXTEEN = [
    "short = (multiplier[co] + 0x8000) >> 16 if multiplier[co] < 0x7fff0000 else 0x7fff",
    "scaled = (acc * short + (1 << (14 - shift[co]))) >> (15 - shift[co])",
]


@singledispatch
def accumulation(command: MatrixCommand) -> list[str]:
    """How the accumulators come about, in their order of additions."""
    raise TypeError(f"{type(command).__name__} has no accumulators")


@accumulation.register
def _(_command: Convolve) -> list[str]:
    return [
        "input [sample, n, iy, ix, ci], weights [co, ky, kx, ci of the group], accumulators and result [sample, n, oy, "
        "ox, co]",
        "acc = bias[co]    # 0 without bias",
        "for ky, kx, ci:    # group of co = co // (channels / groups)",
        "    iy, ix = oy * strides[0] + ky * dilations[0] - pad_top, ox * strides[1] + kx * dilations[1] - pad_left",
        "    if iy, ix lie inside the image:",
        "        acc += (input[n, iy, ix, group * group_channels + ci] - input_zero_point) "
        "* (weights[co, ky, kx, ci] - weight_zero_point[co])",
    ]


@accumulation.register
def _(_command: TransposeConvolve) -> list[str]:
    return [
        "input [sample, n, iy, ix, ci], weights [co, ky, kx, ci of the group], accumulators and result [sample, n, oy, "
        "ox, co]",
        "acc = bias[co]    # 0 without bias",
        "for iy, ix, ky, kx, ci with oy, ox = iy * strides[0] + ky * dilations[0] - pad_top, "
        "ix * strides[1] + kx * dilations[1] - pad_left:",
        "    acc += (input[n, iy, ix, group * group_channels + ci] - input_zero_point) "
        "* (weights[co, ky, kx, ci] - weight_zero_point[co])",
    ]


@accumulation.register
def _(command: MatrixMultiply) -> list[str]:
    a = "a[..., k, m]" if command.transpose_a else "a[..., m, k]"
    b = "b[..., co, k]" if command.transpose_b else "b[..., k, co]"
    return [
        "axes before the last two are batches, broadcast; accumulators and result [sample, ..., m, co]",
        f"acc = sum over k of ({a} - input_zero_point) * ({b} - weight_zero_point[co])",
    ]


def overflow(bits: int, overflow: OverflowPolicy, products_per_addition: int) -> list[str]:
    """What every addition does to an accumulator."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    each = (
        "each addition"
        if products_per_addition == 1
        else f"each addition of the exact sum of up to {products_per_addition} products"
    )
    kept = f"wrap{bits}" if overflow is OverflowPolicy.WRAP else f"limited to {low} .. {high}"
    return [f"after {each}: acc is {kept}"]


@singledispatch
def requantization(recipe: Requantization) -> list[str]:
    """From an accumulator to a result."""
    raise TypeError(f"no formula is known of {type(recipe).__name__}")


@requantization.register
def _(recipe: FixedPointRequantization) -> list[str]:
    steps = {Rounding.DOUBLE: _DOUBLE, Rounding.SINGLE: _SINGLE, Rounding.SINGLE_16BIT: _SIXTEEN}[recipe.rounding]
    total = "wrap32(scaled) + zero_point" if recipe.saturating else "wrap32(wrap32(scaled) + zero_point)"
    return [*steps, f"code = {total}", _CLAMP]


@requantization.register
def _(_recipe: ShiftRequantization) -> list[str]:
    return ["code = ((acc * multiplier[co] + addend[co]) >> shift) + zero_point", _CLAMP]


@requantization.register
def _(_recipe: FloatRequantization) -> list[str]:
    return [
        "real = f32(f32(acc) * f32(scale[co]))",
        "limited = min(max(real, low[co] - zero_point), high[co] - zero_point)",
        "result = limited to the nearest integer, ties to even, + zero_point",
    ]


@requantization.register
def _(_recipe: FloatGridRequantization) -> list[str]:
    return [
        "real = f32(f32(f32(acc) * f32(input_scale)) / f32(scale))",
        "limited = min(max(real, low[co] - zero_point), high[co] - zero_point)",
        "result = limited to the nearest integer, ties to even, + zero_point",
    ]


@requantization.register
def _(_recipe: DoubleRequantization) -> list[str]:
    return [
        "scaled = double(acc) * scale[co] to the nearest integer, ties away from zero; -2^31 where that is no int32",
        "code = wrap32(scaled + zero_point)",
        _CLAMP,
    ]


@requantization.register
def _(recipe: RationalRequantization) -> list[str]:
    ties = "even" if recipe.ties is TieRule.HALF_EVEN else "plus infinity"
    return [
        f"scaled = acc * numerator[co] / denominator[co] to the nearest integer, ties to {ties}",
        "code = scaled + zero_point",
        _CLAMP,
    ]
