"""Requantization recipes as epilogues of native steps."""

from functools import singledispatch

import numpy as np
from numpy.typing import NDArray

from accel_kernels import requantize_fixed as fixed
from accel_sim.numerics.requantization import (
    DoubleRequantization,
    FixedPointRequantization,
    FloatRequantization,
    RationalRequantization,
    Requantization,
    Rounding,
    ShiftRequantization,
)
from accel_sim.records import dataclass
from accel_sim.sim.native.rational import float64_rescaling
from accel_sim.sim.requantizers import fixed_point_table

Values = dict[str, NDArray[np.generic] | float]

_MOST_LEFT = 31
_EXACT_IN_FLOAT = 1 << 21

WIDEST = 1 << 47
"""What accumulators of 64 bits must stay below: products with 16-bit multipliers then fit, and float64 holds them."""


@dataclass(frozen=True)
class EpilogueChoice:
    """Kind and parameters of an epilogue (`accel_kernels.native.tables.EPILOGUE_FIELDS`, `PACKED_FIELDS`).

    Attributes:
        start: what biases have in addition to their own value, modulo 2^32: one for each column, or 0.
    """

    kind: str
    values: Values
    start: NDArray[np.int64] | int = 0


@singledispatch
def choose_epilogue(recipe: Requantization | None, channels: int) -> EpilogueChoice | None:
    """The epilogue that computes a recipe for accumulators of 32 bits; None where there is none."""
    return None


@choose_epilogue.register
def _(recipe: None, channels: int) -> EpilogueChoice:
    return EpilogueChoice("raw", {})


@choose_epilogue.register
def _(recipe: FloatRequantization, channels: int) -> EpilogueChoice | None:
    values = _limits(recipe)
    low, high = (np.asarray(values[name]) - recipe.zero_point for name in ("low", "high"))
    if max(np.abs(low).max(), np.abs(high).max()) > _EXACT_IN_FLOAT:
        return None
    return EpilogueChoice("float32", {**values, "scale": np.array(recipe.scale), "low": low, "high": high})


@choose_epilogue.register
def _(recipe: DoubleRequantization, channels: int) -> EpilogueChoice:
    return EpilogueChoice("float64", {**_limits(recipe), "scale": np.array(recipe.scale)})


@choose_epilogue.register
def _(recipe: RationalRequantization, channels: int) -> EpilogueChoice | None:
    return _rational(recipe, 1 << 31)


def _rational(recipe: RationalRequantization, reach: int) -> EpilogueChoice | None:
    rescaling = float64_rescaling(recipe, reach)
    if rescaling is None:
        return None
    low, high = (np.array(limit, np.float64) - recipe.zero_point for limit in (recipe.low, recipe.high))
    values: Values = {"scale": rescaling.scale, "low": low, "high": high, "zero_point": recipe.zero_point}
    if rescaling.divisor is None:
        return EpilogueChoice("rational", values)
    return EpilogueChoice("quotient", {**values, "divisor": rescaling.divisor})


@choose_epilogue.register
def _(recipe: FixedPointRequantization, channels: int) -> EpilogueChoice | None:
    multiplier, shift = np.array(recipe.multiplier), np.array(recipe.shift)
    right_only = shift.max() < 0 and shift.min() >= -_MOST_LEFT
    if recipe.rounding is Rounding.DOUBLE and right_only and multiplier.min() >= 0 and not recipe.saturating:
        values: Values = {"multiplier": multiplier, "right_but_one": -shift - 1}
        return EpilogueChoice("double", {**_limits(recipe), **values})
    count = max(len(recipe.multiplier), len(recipe.shift))
    table = fixed_point_table(recipe.multiplier, recipe.shift, recipe.rounding, count)
    if table[fixed.LEFT].max() > _MOST_LEFT:
        return None
    kind = "fixed_saturating" if recipe.saturating else "fixed"
    return EpilogueChoice(kind, {**_limits(recipe), **fixed_values(table)})


@choose_epilogue.register
def _(recipe: ShiftRequantization, channels: int) -> EpilogueChoice | None:
    fits = max(map(abs, recipe.multiplier)) < 1 << 31 and max(map(abs, recipe.addend)) < 1 << 61
    if not fits or not 0 <= recipe.shift <= 62:
        return None
    shifted: Values = {
        "multiplier": np.array(recipe.multiplier),
        "addend": np.array(recipe.addend),
        "right": recipe.shift,
    }
    return EpilogueChoice("shift", {**_limits(recipe), **shifted, "left": 0, "sign_addend": 0})


def choose_wide_epilogue(recipe: Requantization | None, reach: int) -> EpilogueChoice | None:
    """The epilogue for accumulators of 64 bits below `reach` in magnitude; None where there is none."""
    if reach > WIDEST:
        return None
    if isinstance(recipe, FixedPointRequantization):
        return choose_epilogue(recipe, 0) if recipe.rounding is Rounding.SINGLE_16BIT else None
    if isinstance(recipe, RationalRequantization):
        return _rational(recipe, WIDEST)
    return choose_epilogue(recipe, 0) if isinstance(recipe, DoubleRequantization | FloatRequantization) else None


def fixed_values(table: NDArray[np.int64]) -> Values:
    """The rows of a table of `requantize_fixed` that are parameters of the formula, by name."""
    rows = {
        "multiplier": fixed.MULTIPLIER,
        "left": fixed.LEFT,
        "right": fixed.RIGHT,
        "addend": fixed.ADDEND,
        "sign_addend": fixed.SIGN_ADDEND,
    }
    return {name: table[row] for name, row in rows.items()}


def _limits(recipe: Requantization) -> Values:
    return {"low": np.array(recipe.low), "high": np.array(recipe.high), "zero_point": recipe.zero_point}
