"""Sums of two codes of 8 bits as one linear form, where that gives the same code for every pair there is.

A recipe rounds several times, at far more bits than a code has. Between two codes,

    y = clamp(((t + half + (t >> 31 where ties go away from zero)) >> shift) + zero_point),  t = floor(a A + b B + C)

with A and B of 30 bits differs from it at hardly any of the 65,536 pairs. All are tried; where one differs, there is no
such form, and the recipe is computed step by step.
"""

from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from accel_sim.numerics.elementwise import ElementwiseRecipe, FixedPointSum, RationalSum
from accel_sim.numerics.requantization import FixedPointRequantization

_LOW_BITS = 15
_LARGEST = (1 << 30) - 1
_MOST_BITS = 30


@lru_cache(maxsize=256)
def linear_sum(recipe: ElementwiseRecipe, a_dtype: str, b_dtype: str) -> Mapping[str, int] | None:
    """The parameters of the form (`BINARY_FIELDS["linear"]`); None where it does not hold for every pair of codes."""
    slopes = _slopes(recipe)
    if slopes is None:
        return None
    a_codes, b_codes = (np.arange(np.iinfo(d).min, np.iinfo(d).max + 1) for d in (a_dtype, b_dtype))
    a, b = np.meshgrid(a_codes, b_codes, indexing="ij")
    wanted = recipe.apply(a, b)
    for away in (0, -1):
        form = _form(recipe, *slopes, away)
        if form is not None and np.array_equal(_evaluated(form, a, b), wanted):
            return form
    return None


def _slopes(recipe: ElementwiseRecipe) -> tuple[Fraction, Fraction] | None:
    """How much the real result grows with each code."""
    if isinstance(recipe, RationalSum):
        return Fraction(recipe.a_numerator, recipe.denominator), Fraction(recipe.b_numerator, recipe.denominator)
    if not isinstance(recipe, FixedPointSum) or not isinstance(recipe.output, FixedPointRequantization):
        return None
    last = _factor(recipe.output.multiplier[0], recipe.output.shift[0] + recipe.left_shift)
    sign = -1 if recipe.subtract else 1
    a, b = _factor(recipe.a_multiplier, recipe.a_shift), sign * _factor(recipe.b_multiplier, recipe.b_shift)
    return a * last, b * last


def _factor(multiplier: int, shift: int) -> Fraction:
    return Fraction(multiplier) * Fraction(2) ** (shift - 31)


def _form(recipe: ElementwiseRecipe, a: Fraction, b: Fraction, away: int) -> dict[str, int] | None:
    assert isinstance(recipe, FixedPointSum | RationalSum)
    bits = _MOST_BITS
    while bits > _LOW_BITS and max(abs(a), abs(b)) * (1 << bits) > _LARGEST:
        bits -= 1
    if bits == _LOW_BITS:
        return None
    whole_a, whole_b = round(a * (1 << bits)), round(b * (1 << bits))
    start = -(recipe.a_zero_point * whole_a + recipe.b_zero_point * whole_b)
    output = recipe.output if isinstance(recipe, FixedPointSum) else recipe
    low, high = (np.asarray(limit).reshape(-1)[0].item() for limit in (output.low, output.high))
    mask, shift = (1 << _LOW_BITS) - 1, bits - _LOW_BITS
    return {
        "low_pair": _pair(whole_a & mask, whole_b & mask),
        "high_pair": _pair(whole_a >> _LOW_BITS, whole_b >> _LOW_BITS),
        "low_start": start & mask,
        "high_start": start >> _LOW_BITS,
        "half": 1 << (shift - 1),
        "away": away,
        "shift": shift,
        "zero_point": output.zero_point,
        "low": low,
        "high": high,
    }


def _pair(a: int, b: int) -> int:
    """Two int16 in an int32, the first one in its lower half."""
    return int(np.array([a, b], np.int16).view(np.int32)[0])


def _evaluated(form: Mapping[str, int], a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """The form for codes, in 64 bits; larger sums than int32 holds give limits that no code reaches."""
    (low_a, low_b), (high_a, high_b) = (
        np.array([form[name]], np.int32).view(np.int16).astype(np.int64) for name in ("low_pair", "high_pair")
    )
    low = a * low_a + b * low_b + form["low_start"]
    total = a * high_a + b * high_b + form["high_start"] + (low >> _LOW_BITS)
    if np.abs(total).max() >= 1 << 30:
        return np.full_like(total, np.iinfo(np.int64).min)
    rounded = (total + form["half"] + ((total >> 31) & form["away"])) >> form["shift"]
    codes: NDArray[np.int64] = np.clip(rounded + form["zero_point"], form["low"], form["high"])
    return codes
