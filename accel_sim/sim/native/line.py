"""Requantization as one multiply-add in float32, proven for each column: for the ending `accel_kernels.native.line`.

A recipe is a step function of the accumulator, with at most 255 steps between the lowest and the highest code of 8
bits. So is the straight line

    code(a) = saturated low 16 bits of fma(x, scale, offset)         x: the float32 whose bits are START + shift + a

START are the bits of 1.5 * 2^23, around which the float32 numbers are the integers: x is 1.5 * 2^23 + shift + a there,
and further away another number, but never a smaller one for a larger a. `offset` brings the result near 1.5 * 2^23
too, so the multiply-add rounds once, to an integer, and a code with its zero point is in the lowest bits.

Neither function ever falls. So they are equal for all accumulators from `low` to `high` if they are equal at both ends,
and on both sides of every step of the recipe between them. With t the smallest accumulator whose code is q or more:

    (t - 1) * scale + height < q - 1/2 < t * scale + height
    height = (1.5 * 2^23 + shift) * scale + offset - 1.5 * 2^23

gemmlowp's two roundings take halves away from zero, so their steps below 0 lie up to two accumulators higher than one
line has them. Two lines do, one below 0 and one from 0 on (the ending "bent").

What is free: `scale` is one of a few float32 neighbours of the true one; the heights that serve are an interval, and
(1.5 * 2^23 + shift) * scale modulo 1 comes anywhere as `shift` goes over some thousand integers. Small scales make the
interval narrow: of columns with two roundings 3 in 100 have none at a scale of 2^-10, 10 at 2^-11. A product that is
rounded to float32 first has steps off the line: 2 in 100 at 2^-7, 13 at 2^-9.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from accel_sim.numerics.requantization import Requantization
from accel_sim.records import dataclass
from accel_sim.sim.native.line_steps import Steps, columns_of

Reals = NDArray[np.float64]
Int64s = NDArray[np.int64]
Flags = NDArray[np.bool_]

START = 0x4B400000
_MIDDLE = 12582912.0
"""1.5 * 2^23."""
_REACH = (1 << 22) - 2
"""What an accumulator and its shift may be together in magnitude where x must be exact."""
_MOST_SUM = 1 << 24
_MOST_SCALE = 0.25
_MOST_BITS = 0x7F000000
_MOST_CODE = 32000.0
"""What no result may exceed in magnitude, so that it fits 16 bits."""
_CLEAR = 2.0**-30
"""By how much results keep clear of halves: far more than float64 rounds here."""
_ANY = 1 << 31
_FIRST_COLUMNS, _COLUMNS = 16, 512
_NEIGHBOURS = (0, 1, -1, 2, -2, 3, -3)
_TOGETHER, _LONGEST = 64, 1 << 11
"""Heights that are tried: at once, and at most."""


@dataclass(frozen=True)
class Line:
    """A line for each of C columns: shift, int64; scale and offset, float32."""

    shift: Int64s
    scale: NDArray[np.float32]
    offset: NDArray[np.float32]

    def of(self, columns: Int64s) -> "Line":
        """Those of some columns, in any order."""
        return Line(self.shift[columns], self.scale[columns], self.offset[columns])

    @property
    def height(self) -> Reals:
        """Of an accumulator of 0: float64 [C], exact."""
        return (_MIDDLE + self.shift) * self.scale.astype(np.float64) + (self.offset.astype(np.float64) - _MIDDLE)

    def results(self, sums: Reals) -> Reals:
        """Of accumulators [C], before the rounding; infinite where the bits are no positive number's."""
        bits = START + self.shift + sums
        inside = (bits > 0) & (bits < _MOST_BITS)
        x = np.where(inside, bits, START).astype(np.int32).view(np.float32).astype(np.float64)
        return np.where(inside, x * self.scale + (self.offset.astype(np.float64) - _MIDDLE), np.inf)


def find_line(recipe: Requantization, dtype: str, low: Int64s, high: Int64s, most: int = _ANY) -> Line | None:
    """The lines of a recipe; None where a column has none, or more columns differ than are worth the time.

    Args:
        recipe: of a layer.
        dtype: of its codes, int8 or uint8.
        low: the least accumulator of each column, [C].
        high: the largest.
        most: different columns, at most.
    """
    lines = _find(recipe, dtype, low, high, most, lambda steps: (steps,))
    return None if lines is None else lines[0]


def find_bent_line(
    recipe: Requantization, dtype: str, low: Int64s, high: Int64s, most: int = _ANY
) -> list[Line] | None:
    """As `find_line`: lines for accumulators below 0, and for all others, with the same slopes."""
    info = np.iinfo(dtype)
    if not info.min < recipe.zero_point < info.max:
        return None
    return _find(recipe, dtype, low, high, most, lambda steps: steps.split(recipe.zero_point - int(info.min)))


def _find(
    recipe: Requantization,
    dtype: str,
    low: Int64s,
    high: Int64s,
    most: int,
    split: Callable[[Steps], tuple[Steps, ...]],
) -> list[Line] | None:
    """Lines for each part that accumulators are split into; some columns after the other, as one may have none.

    Accumulators may be a little more than they may, as far as thresholds are not exact.
    """
    if max(-low.min(), high.max()) > _MOST_SUM:
        return None
    columns = columns_of(recipe, dtype, low - 2, high + 2)
    if columns is None or columns.fields.shape[1] > most:
        return None
    ends = [0, _FIRST_COLUMNS, *range(_COLUMNS, columns.fields.shape[1] + _COLUMNS, _COLUMNS)]
    groups = []
    for first, last in pairwise(ends):
        if first < columns.fields.shape[1]:
            lines = _search(split(columns.steps(first, last)))
            if lines is None:
                return None
            groups.append(lines)
    return [_joined(lines).of(columns.kinds) for lines in zip(*groups, strict=True)]


def _joined(lines: tuple[Line, ...]) -> Line:
    return Line(*(np.concatenate([getattr(line, name) for line in lines]) for name in ("shift", "scale", "offset")))


def proves(line: Line, steps: Steps) -> Flags:
    """Which lines [C] give the codes of a recipe with these steps for every accumulator that there may be."""
    least, most = steps.heights(line.scale.astype(np.float64))
    met = (line.height > least + _CLEAR) & (line.height < most - _CLEAR)
    exact = np.abs(line.shift) + steps.reach < _REACH
    (first, last), bottom, top = steps.ends, line.results(steps.low), line.results(steps.high)
    lowest, highest = steps.limits
    ends = ((first == lowest) | (bottom > first - 0.5 + _CLEAR)) & ((last == highest) | (top < last + 0.5 - _CLEAR))
    fits = (bottom > -_MOST_CODE) & (top < _MOST_CODE)
    whole = (line.scale > 0) & (line.offset >= 1 << 23) & (line.offset < 1 << 24)
    return np.asarray(met & exact & ends & fits & whole)


def _search(parts: tuple[Steps, ...]) -> list[Line] | None:
    """For each part of the accumulators proven lines, of the same slopes; None where a column has none."""
    scale = parts[0].scale.astype(np.float32)
    if scale.max() > _MOST_SCALE:
        return None
    lines = [Line(np.zeros(len(scale), np.int64), scale.copy(), np.zeros(len(scale), np.float32)) for _ in parts]
    left = np.arange(len(scale))
    for neighbour in _NEIGHBOURS:
        tried = (scale[left].view(np.int32) + neighbour).astype(np.int32).view(np.float32)
        found = [_heights(part.of(left), tried) for part in parts]
        good = np.logical_and.reduce([fits for _, _, fits in found])
        for line, (shift, offset, _) in zip(lines, found, strict=True):
            for target, values in ((line.shift, shift), (line.scale, tried), (line.offset, offset)):
                target[left[good]] = values[good]
        left = left[~good]
        if not len(left):
            return lines if all(proves(*pair).all() for pair in zip(lines, parts, strict=True)) else None
    return None


def _heights(steps: Steps, scale: NDArray[np.float32]) -> tuple[Int64s, NDArray[np.float32], Flags]:
    """(shift, offset, whether there are any) for columns with these scales."""
    wide = scale.astype(np.float64)
    least, most = steps.heights(wide)
    least = np.where(np.isinf(least) & np.isinf(most), -0.5, least)  # without a step any height will do
    least = np.maximum(least, np.where(np.isinf(most), least, most) - 1)
    most = np.minimum(most, least + 1)
    middle, room = (least + most) / 2, (most - least) / 2 - 2 * _CLEAR
    reach = _REACH - steps.reach - 1
    x = _places(wide, middle, room, reach)
    height = x * wide - middle
    offset = _MIDDLE - np.rint(height)
    good = (room > 0) & (reach > 0) & (np.abs(height - np.rint(height)) < room)
    return (x - _MIDDLE).astype(np.int64), offset.astype(np.float32), good


def _places(scale: Reals, middle: Reals, room: Reals, reach: Reals) -> Reals:
    """Integers within `reach` of 1.5 * 2^23 whose product with the scale is, but for an integer, nearly `middle`: [C].

    Of the integers next to (n + middle) / scale, the first that is near enough; any other one where none is.
    """
    start, each = (np.rint(_MIDDLE * scale - middle) + middle) / scale, 1 / scale
    x = np.clip(np.rint(start), _MIDDLE - reach, _MIDDLE + reach)
    left = np.flatnonzero((room > 0) & (np.abs(start - np.rint(start)) > room * each) & (reach > each))
    for first in range(1, _LONGEST, _TOGETHER):
        if not len(left):
            break
        turns = np.arange(first, first + _TOGETHER)
        turns = np.where(turns % 2, (turns + 1) / 2, -turns / 2)[:, None]
        places = start[left] + turns * each[left]
        whole = np.rint(places)
        places -= whole
        close = np.abs(places, out=places) < 0.99 * room[left] * each[left]
        which, every = close.argmax(axis=0), np.arange(len(left))
        now = close[which, every]
        x[left[now]] = whole[which, every][now]
        left = left[~now]
    x[np.abs(x - _MIDDLE) > reach] = _MIDDLE
    return x
