"""Epilogues that narrow several vectors at once (`accel_kernels.native.packed`), where their bounds hold."""

from functools import singledispatch

import numpy as np
from numpy.typing import NDArray

from accel_kernels.native.tables import PACKED_COLUMNS
from accel_kernels.native.tier import tier
from accel_sim.numerics.requantization import (
    FixedPointRequantization,
    FloatRequantization,
    Requantization,
    Rounding,
)
from accel_sim.sim.native.epilogue import EpilogueChoice, Values
from accel_sim.sim.native.line import START, find_bent_line, find_line
from accel_sim.sim.native.step import CODES

_MOST = 1 << 29
_MOST_RIGHT = 20
_SIGN = 1 << 31
LONGEST = 512 if tier().tiles else 256
"""Products of a sum at most, so that it makes a difference how sums become codes."""
_LEAST_ROWS = 150
"""Sums for each column whose lines are sought: that takes as long as lines save on a quarter of a million of them."""


def line_epilogue(
    recipe: Requantization, dtype: str, low: NDArray[np.int64], high: NDArray[np.int64], rows: int
) -> EpilogueChoice | None:
    """One multiply-add for each code (`line`), or two; None where they are not proven for all columns, or hardly gain.

    Args:
        recipe: of a layer.
        dtype: of its codes.
        low: the least accumulator of each column.
        high: the largest.
        rows: accumulators of each column.
    """
    if tier().lanes != PACKED_COLUMNS or dtype not in CODES:
        return None
    most = rows * len(low) // _LEAST_ROWS
    line = find_line(recipe, dtype, low, high, most)
    if line is not None:
        values: Values = {"scale": line.scale, "offset": line.offset}
        return EpilogueChoice(f"line_{CODES[dtype]}", values, START + line.shift)
    is_fixed = isinstance(recipe, FixedPointRequantization)
    lines = find_bent_line(recipe, dtype, low, high, most) if is_fixed else None
    if lines is None:
        return None
    below, above = lines  # results of the one differ from the other's offset by less than 2^21, far from other spacings
    start = START + above.shift
    values = {"scale": above.scale, "offset": above.offset, "start": start.astype(np.int32)}
    values |= {
        "shift": below.shift - above.shift,
        "step": above.offset.astype(np.int64) - below.offset.astype(np.int64),
    }
    return EpilogueChoice(f"bent_{CODES[dtype]}", values, start)


def pack_epilogue(recipe: Requantization, dtype: str, bound: int) -> EpilogueChoice | None:
    """The epilogue of a recipe that packs its codes; None where there is none.

    Args:
        recipe: of a layer.
        dtype: of its codes.
        bound: that no accumulator exceeds in magnitude.
    """
    if tier().lanes != PACKED_COLUMNS or dtype not in CODES or len(set(recipe.low)) > 1 or len(set(recipe.high)) > 1:
        return None
    info = np.iinfo(dtype)
    if not all(info.min <= code <= info.max for code in (recipe.zero_point, recipe.low[0], recipe.high[0])):
        return None
    limits: Values = {"zero_point": recipe.zero_point, "low": recipe.low[0], "high": recipe.high[0]}
    return _choose(recipe, CODES[dtype], limits, bound)


@singledispatch
def _choose(recipe: Requantization, codes: str, limits: Values, bound: int) -> EpilogueChoice | None:
    return None


@_choose.register
def _(recipe: FloatRequantization, codes: str, limits: Values, bound: int) -> EpilogueChoice | None:
    scale = np.array(recipe.scale, np.float32)
    if not (scale >= 0).all() or not (scale.astype(np.float64) * min(bound, _SIGN) < _SIGN - 256).all():
        return None
    return EpilogueChoice(f"packed_float32_{codes}", {**limits, "scale": scale})


@_choose.register
def _(recipe: FixedPointRequantization, codes: str, limits: Values, bound: int) -> EpilogueChoice | None:
    multiplier, right = np.array(recipe.multiplier, np.int64), -np.array(recipe.shift, np.int64)
    fits = right.min() >= 1 and right.max() <= _MOST_RIGHT and multiplier.min() >= 0
    if recipe.rounding is not Rounding.DOUBLE or recipe.saturating or not fits or bound > _MOST:
        return None
    start_of_zero = 2 * ((1 << (right - 1)) + (recipe.zero_point << right))
    values: dict[str, NDArray[np.generic]] = {
        "scale": multiplier * 2.0**-30,
        "start": (3 * (1 << 51) + start_of_zero + 1).astype(np.float64),
        "start_of_zero": start_of_zero.astype(np.int32),
        "right": right + 1,
    }
    return EpilogueChoice(f"packed_double_{codes}", {**limits, **values})
