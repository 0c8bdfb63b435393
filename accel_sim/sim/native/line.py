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

What is free: `scale` is one of a few float32 neighbours of the true one; the heights that serve are an interval, and
(1.5 * 2^23 + shift) * scale modulo 1 comes anywhere as `shift` goes over some thousand integers. Small scales make the
interval narrow: about 2^-9 of the columns have none at a scale of 2^-10, half of them at 2^-12.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accel_sim.numerics.requantization import Requantization
from accel_sim.sim.native.line_steps import Steps, recipe_steps

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


def find_line(recipe: Requantization, dtype: str, low: Int64s, high: Int64s) -> Line | None:
    """The lines of a recipe; None where a column has none.

    Args:
        recipe: of a layer.
        dtype: of its codes, int8 or uint8.
        low: the least accumulator of each column, [C].
        high: the largest.
    """
    if max(-low.min(), high.max()) > _MOST_SUM:
        return None
    found = recipe_steps(recipe, dtype, low - 2, high + 2)
    if found is None or found[0].scale.max() > _MOST_SCALE:
        return None
    steps, columns = found
    line = _search(steps)
    return line.of(columns) if line is not None and proves(line, steps).all() else None


def proves(line: Line, steps: Steps) -> Flags:
    """Which lines [C] give the codes of a recipe with these steps for every accumulator that there may be."""
    least, most = steps.heights(line.scale.astype(np.float64))
    met = (line.height > least + _CLEAR) & (line.height < most - _CLEAR)
    exact = np.abs(line.shift) + steps.reach < _REACH
    (first, last), bottom, top = steps.ends, line.results(steps.low), line.results(steps.high)
    lowest, highest = steps.codes[0, 0] - 1, steps.codes[-1, 0]
    ends = ((first == lowest) | (bottom > first - 0.5 + _CLEAR)) & ((last == highest) | (top < last + 0.5 - _CLEAR))
    fits = (bottom > -_MOST_CODE) & (top < _MOST_CODE)
    whole = (line.scale > 0) & (line.offset >= 1 << 23) & (line.offset < 1 << 24)
    return np.asarray(met & exact & ends & fits & whole)


def _search(steps: Steps) -> Line | None:
    """Lines that meet all steps; None where a column has none among the neighbours of its scale."""
    scale = steps.scale.astype(np.float32)
    line = Line(np.zeros(len(scale), np.int64), scale.copy(), np.zeros(len(scale), np.float32))
    left = np.arange(len(scale))
    for neighbour in _NEIGHBOURS:
        tried = (scale[left].view(np.int32) + neighbour).astype(np.int32).view(np.float32)
        shift, offset, good = _heights(steps.of(left), tried)
        for target, values in ((line.shift, shift), (line.scale, tried), (line.offset, offset)):
            target[left[good]] = values[good]
        left = left[~good]
        if not len(left):
            return line
    return None


def _heights(steps: Steps, scale: NDArray[np.float32]) -> tuple[Int64s, NDArray[np.float32], Flags]:
    """(shift, offset, whether there are any) for columns with these scales."""
    wide = scale.astype(np.float64)
    least, most = steps.heights(wide)
    least, most = np.maximum(least, most - 1), np.minimum(most, least + 1)
    middle, room = (least + most) / 2, (most - least) / 2 - 2 * _CLEAR
    reach = _REACH - steps.reach
    shift, offset, good = np.zeros(len(scale), np.int64), np.zeros(len(scale), np.float32), np.zeros(len(scale), bool)
    left = np.flatnonzero((room > 0) & (reach > 0))
    start, each = (np.rint(_MIDDLE * wide) + middle) / wide, 1 / wide
    for first in range(0, _LONGEST, _TOGETHER):
        if not len(left):
            break
        turns = np.arange(first, first + _TOGETHER, dtype=np.float64)[:, None]
        turns = np.where(turns % 2 == 1, (turns + 1) / 2, -turns / 2)
        places = np.rint(start[left] + turns * each[left])
        places = np.clip(places, _MIDDLE - reach[left], _MIDDLE + reach[left])
        heights = places * wide[left] - middle[left]
        whole = np.rint(heights)
        close = np.abs(heights - whole) < room[left]
        which, every = close.argmax(axis=0), np.arange(len(left))
        now = close[which, every]
        here = left[now]
        shift[here], good[here] = (places[which, every][now] - _MIDDLE).astype(np.int64), True
        offset[here] = _MIDDLE - whole[which, every][now]
        left = left[~now]
    return shift, offset, good
