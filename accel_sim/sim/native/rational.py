"""Exact rational rescaling in float64, where that gives the same code for every accumulator.

The code is a step function of the accumulator: it grows where acc * n / d passes k + 1/2. So do

    rint(clamp(f64(acc) * s, low, high))                s = fl(n / d), or one of the numbers of float64 beside it
    rint(clamp(f64(acc) * f64(n) / f64(d), low, high))

since products, quotients and roundings of float64 are monotone. Two step functions agree everywhere when they agree on
both sides of every step. There the results, whose relative errors are below 2^-49, can only be wrong if the step lies
closer than that to an integer; those few are tried exactly. A step just beside an integer is met by the number above or
below fl(n / d); one on an integer that the product misses, whose n and d are small, by the quotient. Where both fail,
the recipe is no epilogue and is computed on more digits.
"""

import sys
from collections.abc import Callable
from functools import partial
from operator import mul

import numpy as np
from numpy.typing import NDArray

from accel_sim.numerics.integers import divide_half_even
from accel_sim.numerics.requantization import RationalRequantization, TieRule
from accel_sim.records import dataclass

Float64s = NDArray[np.float64]
Pair = tuple[int, int]
"""Numerator and denominator."""

_NEAR = 2.0**-48
_MOST_STEPS = 1 << 22
_MANTISSA = 53
_NEIGHBOURS = 3
"""Numbers on each side of fl(n / d) that are tried."""


@dataclass(frozen=True)
class Rescaling:
    """acc * scale, then / divisor if there is one; by channel."""

    scale: Float64s
    divisor: Float64s | None = None


def float64_rescaling(recipe: RationalRequantization, reach: int = 1 << 31) -> Rescaling | None:
    """The rescaling that gives the recipe's code for every accumulator up to `reach`; None where there is none."""
    count = max(len(recipe.numerator), len(recipe.denominator))
    pairs = [(_of(recipe.numerator, c), _of(recipe.denominator, c)) for c in range(count)]
    low, high = min(recipe.low) - recipe.zero_point, max(recipe.high) - recipe.zero_point
    distinct = dict.fromkeys(pairs)
    if recipe.ties is not TieRule.HALF_EVEN or (high - low) * len(distinct) >= _MOST_STEPS:
        return None
    if not all(_is_plain(pair) for pair in distinct):
        return None
    doubtful = {pair: _doubtful(pair, low, high, reach) for pair in distinct}
    scales = {pair: _product(pair, doubtful[pair]) for pair in distinct}
    if None not in scales.values():
        return Rescaling(np.array([scales[pair] for pair in pairs], np.float64))
    if all(_quotient_holds(pair, doubtful[pair], reach) for pair in distinct):
        return Rescaling(*(np.array(values, np.float64) for values in zip(*pairs, strict=True)))
    return None


def _of(values: tuple[int, ...], channel: int) -> int:
    return values[channel % len(values)]


def _is_plain(pair: Pair) -> bool:
    """Whether the quotient is a normal number of float64."""
    try:
        return sys.float_info.min < pair[0] / pair[1] < float("inf")
    except OverflowError:
        return False


def _doubtful(pair: Pair, low: int, high: int, reach: int) -> list[int]:
    """Accumulators beside every step that may lie too close to an integer."""
    n, d = pair
    if d & (d - 1) == 0 and _exact_product(n, reach):
        return []  # every product is exact
    places = (np.arange(low, high) + 0.5) / (n / d)
    nearest = np.rint(places)
    near = (np.abs(places - nearest) <= np.abs(places) * _NEAR) & (np.abs(places) <= reach)
    return [int(accumulator) + i for accumulator in nearest[near] for i in (-1, 0, 1)]


def _product(pair: Pair, doubtful: list[int]) -> float | None:
    """The number to multiply with; None where none is right."""
    scale = pair[0] / pair[1]
    neighbours = [scale]
    for limit in (np.inf, 0.0):
        number = scale
        for _ in range(_NEIGHBOURS):
            number = float(np.nextafter(number, limit))
            neighbours.append(number)
    return next((s for s in neighbours if _agrees(pair, doubtful, partial(mul, s))), None)


def _quotient_holds(pair: Pair, doubtful: list[int], reach: int) -> bool:
    n, d = pair
    if not _exact_product(n, reach) or d.bit_length() > _MANTISSA:
        return False
    return _agrees(pair, doubtful, lambda acc: float(acc * n) / float(d))


def _exact_product(numerator: int, reach: int) -> bool:
    """Whether float64 holds every accumulator times the numerator."""
    return numerator * reach < 1 << _MANTISSA


def _agrees(pair: Pair, doubtful: list[int], real: Callable[[int], float]) -> bool:
    return all(round(real(acc)) == int(divide_half_even(acc * pair[0], pair[1])) for acc in doubtful)
