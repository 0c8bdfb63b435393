"""Where requantization recipes step from code to code, for `line`."""

from functools import cached_property, singledispatch

import numpy as np
from numpy.typing import NDArray

from accel_sim.numerics.requantization import (
    FixedPointRequantization,
    FloatRequantization,
    Requantization,
    Rounding,
)
from accel_sim.records import dataclass

Reals = NDArray[np.float64]
Int64s = NDArray[np.int64]


@dataclass(frozen=True)
class Steps:
    """What C columns of a layer make of accumulators.

    Attributes:
        codes: float64 [S, 1]: codes of the type in order, without a gap; all but the lowest, or some of them.
        thresholds: float64 [S, C]: the smallest accumulator whose code is at least that: exact where it is below 2^22
            in magnitude, else less than 2 off or beyond 2^24.
        scale: float64 [C]: the slopes.
        low, high: float64 [C]: what accumulators may be.
        limits: lowest and highest code of the type.
    """

    codes: Reals
    thresholds: Reals
    scale: Reals
    low: Reals
    high: Reals
    limits: tuple[int, int]

    def of(self, columns: Int64s) -> "Steps":
        """Those of some columns."""
        if len(columns) == len(self.scale):
            return self
        fields = self.scale[columns], self.low[columns], self.high[columns]
        return Steps(self.codes, self.thresholds[:, columns], *fields, self.limits)

    def split(self, place: int) -> tuple["Steps", "Steps"]:
        """For accumulators below 0, and for all others: the first `place` steps are at 0 or below, the rest above."""
        below = np.minimum(self.low, -1), np.full(len(self.high), -1.0)
        above = np.zeros(len(self.low)), np.maximum(self.high, 0)
        return (
            Steps(self.codes[:place], self.thresholds[:place], self.scale, *below, self.limits),
            Steps(self.codes[place:], self.thresholds[place:], self.scale, *above, self.limits),
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
        first, last = np.full(len(self.scale), self.codes[0, 0] - 1), np.full(len(self.scale), self.codes[-1, 0])
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
            least[some] = np.where(self._met, part, -np.inf).max(axis=0)
            most[some] = np.where(self._met, part, np.inf).min(axis=0) + scale[some]
        first, last = self.ends
        at_low = np.where(first > self.limits[0], first - 0.5 - self.low * scale, -np.inf)
        at_high = np.where(last < self.limits[1], last + 0.5 - self.high * scale, np.inf)
        return np.maximum(least, at_low), np.minimum(most, at_high)

    @cached_property
    def _some(self) -> Int64s:
        """Columns whose accumulators do not meet all steps."""
        return np.flatnonzero((self.thresholds[0] <= self.low) | (self.thresholds[-1] > self.high))

    @cached_property
    def _met(self) -> NDArray[np.bool_]:
        """Of these, which steps they meet: [S, some]."""
        thresholds = self.thresholds[:, self._some]
        return (thresholds > self.low[self._some]) & (thresholds <= self.high[self._some])


@dataclass(frozen=True)
class Columns:
    """The columns of a layer, each kind once.

    Attributes:
        recipe: of the layer.
        dtype: of its codes, int8 or uint8.
        fields: float64 [fields, D]: what is different about D kinds of columns.
        low, high: float64 [D]: what accumulators may be.
        kinds: int64 [C]: the kind of each column.
    """

    recipe: Requantization
    dtype: str
    fields: Reals
    low: Reals
    high: Reals
    kinds: Int64s

    def steps(self, first: int = 0, last: int | None = None) -> Steps:
        """Of some kinds."""
        info, some = np.iinfo(self.dtype), slice(first, last)
        codes = np.arange(info.min + 1, info.max + 1, dtype=np.float64)[:, None]
        with np.errstate(over="ignore"):
            scale, thresholds = _thresholds(self.recipe, self.fields[:, some], codes - self.recipe.zero_point)
        return Steps(codes, thresholds, scale, self.low[some], self.high[some], (int(info.min), int(info.max)))


def columns_of(recipe: Requantization, dtype: str, low: Int64s, high: Int64s) -> Columns | None:
    """The columns of a layer; None of recipes whose steps are not known.

    Args:
        recipe: of the layer.
        dtype: of its codes, int8 or uint8.
        low: the least accumulator of each column, [C].
        high: the largest.
    """
    info, fields = np.iinfo(dtype), _fields(recipe)
    whole = {*recipe.low} == {info.min} and {*recipe.high} == {info.max} and info.min <= recipe.zero_point <= info.max
    if fields is None or not whole:
        return None
    count = max(map(len, fields))
    rows = np.array([np.resize(np.array(field, np.float64), count) for field in fields])
    keys = rows[0] if len(rows) == 1 else 64 * rows[0] - rows[1]
    _, places, kind = np.unique(keys, return_index=True, return_inverse=True)
    kinds = np.resize(kind, len(low))
    least, most = np.full(len(places), np.inf), np.full(len(places), -np.inf)
    np.minimum.at(least, kinds, low)
    np.maximum.at(most, kinds, high)
    return Columns(recipe, dtype, rows[:, places], least, most, kinds)


@singledispatch
def _fields(recipe: Requantization) -> tuple[tuple[float, ...], ...] | None:
    """What differs from column to column; the second one is from -31 to -1."""
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
