"""Exact rational rescaling as one product in float64, where that gives the same code for every accumulator.

The code is a step function of the accumulator: it grows where acc * n / d passes k + 1/2. So does

    rint(clamp(f64(acc) * fl(n / d), low, high))

since products and roundings of float64 are monotone. Both agree everywhere when they agree on both sides of every
step. There the product, whose relative error is below 2^-52, can only be wrong if the step lies closer than that to an
integer; those few are tried exactly. Where one is wrong, the recipe is no epilogue and is computed on more digits.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from accel_sim.numerics.integers import divide_half_even
from accel_sim.numerics.requantization import RationalRequantization, TieRule

_NEAR = 2.0**-50
_MOST_CODES = 1 << 10
_ACCUMULATORS = 1 << 31
_EXACT_BITS = 53 - 32


def float64_scales(recipe: RationalRequantization) -> NDArray[np.float64] | None:
    """The scale of each channel; None where the product in float64 is not the same for every accumulator."""
    steps = max(recipe.high) - min(recipe.low)
    if recipe.ties is not TieRule.HALF_EVEN or steps >= _MOST_CODES:
        return None
    count = max(len(recipe.numerator), len(recipe.denominator))
    pairs = [
        (recipe.numerator[c % len(recipe.numerator)], recipe.denominator[c % len(recipe.denominator)])
        for c in range(count)
    ]
    low, high = min(recipe.low) - recipe.zero_point, max(recipe.high) - recipe.zero_point
    try:
        scales = np.array([n / d for n, d in pairs])
    except OverflowError:
        return None
    if not (np.isfinite(scales) & (scales > np.finfo(np.float64).tiny)).all():
        return None
    wrong = (_differs(*pairs[channel], accumulator) for channel, accumulator in _doubtful(pairs, scales, low, high))
    return None if any(wrong) else scales


def _doubtful(
    pairs: list[tuple[int, int]], scales: NDArray[np.float64], low: int, high: int
) -> Iterator[tuple[int, int]]:
    """(channel, accumulator) beside every step that may lie too close to an integer."""
    halves = np.arange(low, high) + 0.5
    for channel, (n, d) in enumerate(pairs):
        if d & (d - 1) == 0 and n.bit_length() <= _EXACT_BITS:
            continue  # every product is exact
        places = halves / scales[channel]
        nearest = np.rint(places)
        near = (np.abs(places - nearest) <= np.abs(places) * _NEAR) & (np.abs(places) <= _ACCUMULATORS)
        for accumulator in nearest[near]:
            yield from ((channel, int(accumulator) + i) for i in (-1, 0, 1))


def _differs(n: int, d: int, accumulator: int) -> bool:
    return round(accumulator * (n / d)) != int(divide_half_even(accumulator * n, d))
