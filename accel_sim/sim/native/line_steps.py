"""Where requantization recipes step from code to code, for `line`."""

from dataclasses import dataclass
from functools import cached_property, singledispatch

import numpy as np
from numpy.typing import NDArray

from accel_sim.numerics.requantization import (
    FixedPointRequantization,
    FloatRequantization,
    Requantization,
    Rounding,
)

Reals = NDArray[np.float64]
Int64s = NDArray[np.int64]


@dataclass(frozen=True)
class Steps:
    """What C columns of a layer make of accumulators.

    Attributes:
        codes: float64 [S, 1]: every code of the type but the lowest, in order.
        thresholds: float64 [S, C]: the smallest accumulator whose code is at least that: exact where it is below 2^22
            in magnitude, else less than 2 off or beyond 2^24.
        scale: float64 [C]: the slopes.
        low, high: float64 [C]: what accumulators may be.
    """

    codes: Reals
    thresholds: Reals
    scale: Reals
    low: Reals
    high: Reals

    def of(self, columns: Int64s) -> "Steps":
        """Those of some columns."""
        if len(columns) == len(self.scale):
            return self
        return Steps(
            self.codes, self.thresholds[:, columns], self.scale[columns], self.low[columns], self.high[columns]
        )

    @cached_property
    def reach(self) -> Reals:
        """The largest magnitude of a threshold that accumulators lie on both sides of: [C]."""
        largest: Reals = np.maximum(-self.thresholds[0], self.thresholds[-1])
        some = self._some
        largest[some] = np.where(self._met, np.abs(self.thresholds[:, some]), 0).max(axis=0)
        return largest

    @cached_property
    def ends(self) -> tuple[Reals, Reals]:
        """The codes of the least and the largest accumulators: [C]."""
        lowest, count = self.codes[0, 0] - 1, len(self.codes)
        first, last = np.full(len(self.scale), lowest), np.full(len(self.scale), lowest + count)
        some = self._some
        first[some] += (self.thresholds[:, some] <= self.low[some]).sum(axis=0)
        last[some] -= (self.thresholds[:, some] > self.high[some]).sum(axis=0)
        return first, last

    def heights(self, scale: Reals) -> tuple[Reals, Reals]:
        """(least, most) for lines of these slopes: between them they meet every step that accumulators do; [C].

        They also give the codes of both ends, as long as they are straight so far. One of them may be infinite.
        """
        rest = self.codes - 0.5 - self.thresholds * scale
        least, most, some = rest.max(axis=0), rest.min(axis=0) + scale, self._some
        if len(some):
            part = rest[:, some]
            first, last = (end[some] for end in self.ends)
            at_low = np.where(first >= self.codes[0], first - 0.5 - self.low[some] * scale[some], -np.inf)[0]
            at_high = np.where(last < self.codes[-1], last + 0.5 - self.high[some] * scale[some], np.inf)[0]
            least[some] = np.maximum(np.where(self._met, part, -np.inf).max(axis=0), at_low)
            most[some] = np.minimum(np.where(self._met, part, np.inf).min(axis=0) + scale[some], at_high)
        return least, most

    @cached_property
    def _some(self) -> Int64s:
        """Columns whose accumulators do not meet all steps."""
        return np.flatnonzero((self.thresholds[0] <= self.low) | (self.thresholds[-1] > self.high))

    @cached_property
    def _met(self) -> NDArray[np.bool_]:
        """Of these, which steps they meet: [S, some]."""
        thresholds = self.thresholds[:, self._some]
        return (thresholds > self.low[self._some]) & (thresholds <= self.high[self._some])


def recipe_steps(recipe: Requantization, dtype: str, low: Int64s, high: Int64s) -> tuple[Steps, Int64s] | None:
    """(steps of all different columns, which one each column is); None of recipes whose steps are not known.

    Args:
        recipe: of a layer.
        dtype: of its codes, int8 or uint8.
        low: the least accumulator of each column, [C].
        high: the largest.
    """
    info, fields = np.iinfo(dtype), _fields(recipe)
    whole = {*recipe.low} == {info.min} and {*recipe.high} == {info.max} and info.min <= recipe.zero_point <= info.max
    if fields is None or not whole:
        return None
    count = max(map(len, fields))
    different, column = np.unique(np.stack([np.resize(f, count) for f in fields]), axis=1, return_inverse=True)
    columns = np.resize(column, len(low))
    least, most = np.full(different.shape[1], np.inf), np.full(different.shape[1], -np.inf)
    np.minimum.at(least, columns, low)
    np.maximum.at(most, columns, high)
    codes = np.arange(info.min + 1, info.max + 1, dtype=np.float64)[:, None]
    with np.errstate(over="ignore"):
        scale, thresholds = _thresholds(recipe, different, codes - recipe.zero_point)
    return Steps(codes, thresholds, scale, least, most), columns


@singledispatch
def _fields(recipe: Requantization) -> tuple[tuple[float, ...], ...] | None:
    """What differs from column to column."""
    return None


@_fields.register
def _(recipe: FloatRequantization) -> tuple[tuple[float, ...], ...] | None:
    return (recipe.scale,) if min(recipe.scale) > 0 else None


@_fields.register
def _(recipe: FixedPointRequantization) -> tuple[tuple[float, ...], ...] | None:
    known = recipe.rounding is Rounding.DOUBLE or recipe.rounding is Rounding.SINGLE
    shifts = known and max(recipe.shift) <= -1 and min(recipe.shift) >= -31
    return (recipe.multiplier, recipe.shift) if shifts and min(recipe.multiplier) >= 1 else None


@singledispatch
def _thresholds(recipe: Requantization, fields: Reals, codes: Reals) -> tuple[Reals, Reals]:
    """(slopes [C], thresholds [S, C]) of a recipe with these fields; codes are relative to the zero point."""
    raise TypeError(recipe)


@_thresholds.register
def _(recipe: FixedPointRequantization, fields: Reals, codes: Reals) -> tuple[Reals, Reals]:
    """A code of k or more needs a * m >= (2k - 1) * 2^(30 - shift), if it is rounded once.

    Of two roundings, x = floor(a * m / 2^31 + 1/2) is the first, and the second asks for x >= k * 2^-shift - half: so
    for 2^30 less in a * m. Where k is not positive, neither is x, from which 1 is taken if it is negative: so for 2^30
    more.
    """
    multiplier, shift = fields
    least = (2 * codes - 1) * np.exp2(-shift)
    if recipe.rounding is Rounding.DOUBLE:
        least -= np.where(codes > 0, 1.0, -1.0)
    thresholds = np.ceil(least * (2.0**30 / multiplier))
    rest = thresholds * multiplier - least * 2.0**30
    thresholds += rest < 0
    thresholds -= rest >= multiplier
    return multiplier * np.exp2(shift - 31), thresholds


@_thresholds.register
def _(recipe: FloatRequantization, fields: Reals, codes: Reals) -> tuple[Reals, Reals]:
    """The rounding of a product to float32 moves a step by less than one."""
    scale = fields[0].astype(np.float32)
    thresholds = np.ceil((codes - 0.5) / fields[0])
    reals = thresholds.astype(np.float32)
    before = np.rint((reals - 1) * scale) >= codes
    thresholds += np.rint(reals * scale) < codes
    thresholds -= before
    return fields[0], thresholds
