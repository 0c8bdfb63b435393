"""Vectorized searches for the minimum of a function of one variable, one problem per channel."""

import math
from collections.abc import Callable

import numpy as np

from accel_sim.quantization.affine_grid import F64

VectorFunction = Callable[[F64], F64]
"""Maps one argument per channel [C] to one value per channel [C]."""

_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


def scan(function: VectorFunction, candidates: F64) -> tuple[F64, F64, F64]:
    """The best of candidates [n, C] (ascending along n) and its neighbours: (below, best, above), each [C]."""
    values = np.stack([function(row) for row in candidates])
    best = values.argmin(axis=0)
    channel = np.arange(candidates.shape[1])
    below, above = np.maximum(best - 1, 0), np.minimum(best + 1, candidates.shape[0] - 1)
    return candidates[below, channel], candidates[best, channel], candidates[above, channel]


def golden_section(function: VectorFunction, low: F64, high: F64, steps: int) -> F64:
    """Arguments [C] that minimize a unimodal function on [low, high]: the bracket shrinks by 0.618 per step."""
    a, b = low.copy(), high.copy()
    left, right = b - _GOLDEN * (b - a), a + _GOLDEN * (b - a)
    f_left, f_right = function(left), function(right)
    for _ in range(steps):
        keep_left = f_left <= f_right
        a, b = np.where(keep_left, a, left), np.where(keep_left, right, b)
        probe = np.where(keep_left, b - _GOLDEN * (b - a), a + _GOLDEN * (b - a))
        f_probe = function(probe)
        left, right = np.where(keep_left, probe, right), np.where(keep_left, left, probe)
        f_left, f_right = np.where(keep_left, f_probe, f_right), np.where(keep_left, f_left, f_probe)
    return np.where(f_left <= f_right, left, right)


def convex_integer(function: VectorFunction, low: F64, high: F64) -> F64:
    """Whole numbers [C] in [low, high] that minimize a convex function: bisection on its differences."""
    a, b = low.copy(), high.copy()
    while (a < b).any():
        middle = np.floor((a + b) / 2.0)
        falling = function(np.minimum(middle + 1.0, high)) < function(middle)
        a, b = np.where(falling & (a < b), middle + 1.0, a), np.where(falling, b, np.minimum(middle, b))
    return a
