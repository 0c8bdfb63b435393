"""Exact real numbers at many elements: sums of integers times exact ratios, rounded by any rule.

A double decides wherever it is far enough from a tie; the few elements near one are decided by fractions.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from accel_sim.records import dataclass

Codes = NDArray[np.int64]
Doubles = NDArray[np.float64]

_RELATIVE_ERROR = 2.0**-48  # of the double sum, its products and its ratios, with room to spare
_LIMIT = 1 << 62  # results beyond it are clipped by every code range anyway


@dataclass(frozen=True, eq=False)
class Term:
    """values[i] * ratios[channel[i]]: integers int64 [D] and exact ratios, one or one per channel."""

    values: Codes
    ratios: tuple[Fraction, ...]
    channel: Codes

    @cached_property
    def products(self) -> Doubles:
        """In double."""
        table = np.array([float(r) for r in self.ratios])
        return np.asarray(self.values * (table[0] if len(table) == 1 else table[self.channel]))

    def exact(self, element: int) -> Fraction:
        """One element's product."""
        ratio = self.ratios[0 if len(self.ratios) == 1 else int(self.channel[element])]
        return int(self.values[element]) * ratio


@dataclass(frozen=True, eq=False)
class ExactReal:
    """A sum of terms, exactly."""

    terms: Sequence[Term]

    @cached_property
    def approximate(self) -> Doubles:
        """The value in double."""
        return np.asarray(sum(term.products for term in self.terms), np.float64)

    @cached_property
    def magnitude(self) -> Doubles:
        """The sum of the terms' magnitudes."""
        return np.asarray(sum(np.abs(term.products) for term in self.terms), np.float64)

    def half_even(self, exponent: Codes | int = 0, offset: int = 0) -> Codes:
        """value * 2^exponent + offset to the nearest integer, halves to even."""
        return self._rounded(exponent, offset, np.rint, round)

    def half_up(self, exponent: Codes | int = 0, offset: int = 0) -> Codes:
        """The same, halves to plus infinity."""
        return self._rounded(exponent, offset, lambda x: np.floor(x + 0.5), lambda x: math.floor(x + Fraction(1, 2)))

    def half_away(self, exponent: Codes | int = 0, offset: int = 0) -> Codes:
        """The same, halves away from zero."""
        return self._rounded(exponent, offset, _away, _away_exactly)

    def _rounded(
        self,
        exponent: Codes | int,
        offset: int,
        in_double: Callable[[Doubles], Doubles],
        exactly: Callable[[Fraction], int],
    ) -> Codes:
        power = np.broadcast_to(np.asarray(exponent, np.int64), self.approximate.shape)
        scaled = np.ldexp(self.approximate, power) + offset
        error = (np.ldexp(self.magnitude, power) + abs(offset)) * _RELATIVE_ERROR
        doubtful = np.abs(scaled - np.floor(scaled) - 0.5) <= error
        whole = np.clip(in_double(np.where(doubtful, 0.0, scaled)), -_LIMIT, _LIMIT).astype(np.int64)
        for i in np.flatnonzero(doubtful).tolist():
            exact = sum((term.exact(i) for term in self.terms), Fraction(0)) * Fraction(2) ** int(power[i]) + offset
            whole[i] = min(max(exactly(exact), -_LIMIT), _LIMIT)
        return whole


def _away(x: Doubles) -> Doubles:
    return np.sign(x) * np.floor(np.abs(x) + 0.5)


def _away_exactly(x: Fraction) -> int:
    whole = math.floor(abs(x) + Fraction(1, 2))
    return -whole if x < 0 else whole
