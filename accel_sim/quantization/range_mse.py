"""MSE range setting: the range that minimizes the squared quantization error (eq 16).

    argmin over (q_min, q_max) of || V - V^(q_min, q_max) ||_F^2.

Symmetric grids have one unknown, the scale s. The error is piecewise quadratic in s: while no value changes its code,
E(s) = sum v^2 - 2 s A + s^2 B with A = sum v k, B = sum k^2, least at s = A / B where E = sum v^2 - A^2 / B. Codes
change only where v / s crosses a half, s = |v| / (k + 1/2). Sorting these breakpoints and cumulating A and B gives the
largest A^2 / B, which is the *global* minimum; that is done where breakpoints are few. Otherwise E is smooth in the
large: a geometric scan, a fine scan around its best, and a golden section on the exact error.

Asymmetric grids have two unknowns, the scale s and the zero point z. For a fixed s, values inside the window round to
the same multiple of s whatever z is, and what is clipped on each side is convex in z, so E is convex in z: bisection
finds the best z exactly, and the search for s is as above with that z.

Power-of-two grids: every exponent is tried.
"""

import numpy as np
from numpy.typing import NDArray

from accel_sim.quantization.affine_grid import (
    F64,
    AffineGrid,
    GridScheme,
    channels_first,
    grid_of_range,
    require_finite,
    stored_scale,
)
from accel_sim.quantization.histogram import Histogram
from accel_sim.quantization.line_search import VectorFunction, convex_integer, golden_section, scan
from accel_sim.quantization.squared_error import DirectError, GridError, error_of

_OCTAVES = 20  # an optimal range narrower than 2^-20 of the min-max range would need millions of values per outlier
_FINE = 32
_GOLDEN_STEPS = 18
_EXACT_BREAKPOINTS = 1 << 21


def mse_grid(values: NDArray[np.floating], scheme: GridScheme, axis: int | None = None) -> AffineGrid:
    """The grid of least squared error for an array, for all values or per index of `axis`; never worse than min-max.

    Raises:
        QuantizationError: no values, or values that are NaN or infinite.
    """
    require_finite(values, "MSE range")
    channels = channels_first(values, axis)
    if scheme.is_symmetric and not scheme.power_of_two and _breakpoint_count(channels, scheme) <= _EXACT_BREAKPOINTS:
        return _symmetric_grid(_exact_scale(channels, scheme), scheme)
    return _searched_grid(channels, scheme)


def mse_grid_of_histogram(histogram: Histogram, scheme: GridScheme) -> AffineGrid:
    """The grid of least squared error for the values that a histogram has seen.

    Each bin counts as a point at its mean, or as several where a grid may be finer than a bin.

    Raises:
        QuantizationError: no values.
    """
    per_bin = max(1, 8 * scheme.steps // histogram.bins)
    points, counts = histogram.atoms(per_bin)
    return _searched_grid(points[None, :], scheme, counts)


def mean_squared_error(values: NDArray[np.floating], grid: AffineGrid, axis: int | None = None) -> F64:
    """Mean of (v - v^)^2 for a grid, float64 [1] or [C]."""
    channels = channels_first(values, axis)
    error = DirectError(channels, grid.scheme)(grid.scale, grid.zero_point.astype(np.float64))
    return np.asarray(error / channels.shape[1])


def _searched_grid(channels: F64, scheme: GridScheme, weights: F64 | None = None) -> AffineGrid:
    covering = grid_of_range(channels.min(axis=1), channels.max(axis=1), scheme)
    error = error_of(channels, scheme, weights)
    if scheme.is_symmetric:
        zero = covering.zero_point.astype(np.float64)
        scale = _best_scale(lambda s: error(s, zero), covering.scale, scheme)
        return _symmetric_grid(scale, scheme)
    window = _ZeroPoints(error, channels, scheme)
    scale = stored_scale(_best_scale(lambda s: error(s, window.best(s)), covering.scale, scheme), scheme)
    zero = window.best(scale)
    searched = AffineGrid(scale, zero.astype(np.int64), scheme)
    return _better(error, searched, covering)


def _symmetric_grid(scale: F64, scheme: GridScheme) -> AffineGrid:
    return AffineGrid(stored_scale(scale, scheme), np.zeros(scale.shape, np.int64), scheme)


def _better(error: GridError, a: AffineGrid, b: AffineGrid) -> AffineGrid:
    """Channel by channel the grid with the smaller error, `a` where equal."""
    take_a = error(a.scale, a.zero_point.astype(np.float64)) <= error(b.scale, b.zero_point.astype(np.float64))
    return AffineGrid(np.where(take_a, a.scale, b.scale), np.where(take_a, a.zero_point, b.zero_point), a.scheme)


def _best_scale(error: VectorFunction, covering: F64, scheme: GridScheme) -> F64:
    """The scale of least error between 2^-20 of the covering scale and slightly above it, per channel."""
    if scheme.power_of_two:
        return scan(error, covering * 2.0 ** np.arange(-_OCTAVES, 1)[:, None])[1]
    coarse = covering * 2.0 ** np.append(np.arange(-2 * _OCTAVES, 1) / 2.0, 0.1)[:, None]
    below, _, above = scan(error, coarse)
    fine = below + (above - below) * np.linspace(0.0, 1.0, _FINE + 1)[:, None]
    below, best, above = scan(error, fine)
    refined = golden_section(error, below, above, _GOLDEN_STEPS)
    choices = np.stack([covering, best, refined])
    errors = np.stack([error(s) for s in choices])
    return np.asarray(choices[errors.argmin(axis=0), np.arange(covering.size)], np.float64)


class _ZeroPoints:
    """The best zero point for given scales."""

    def __init__(self, error: GridError, channels: F64, scheme: GridScheme) -> None:
        self._error, self._scheme = error, scheme
        self._low = np.minimum(channels.min(axis=1), 0.0)
        self._high = np.maximum(channels.max(axis=1), 0.0)

    def best(self, scale: F64) -> F64:
        """Zero points [C] of least error: between the window that ends at the maximum and the one at the minimum."""
        at_low = np.rint(self._scheme.low - self._low / scale)
        at_high = np.rint(self._scheme.high - self._high / scale)
        codes = (self._scheme.low, self._scheme.high)
        first, last = np.clip(np.minimum(at_low, at_high), *codes), np.clip(np.maximum(at_low, at_high), *codes)
        return convex_integer(lambda z: self._error(scale, z), first, last)


def _breakpoint_count(channels: F64, scheme: GridScheme) -> int:
    return channels.size * max(-scheme.low, scheme.high)


_EXACT_BLOCK = 1 << 20


def _exact_scale(channels: F64, scheme: GridScheme) -> F64:
    """Scales [C] of the global minimum, by enumeration of the breakpoints of channels [C, K]."""
    per_channel = max(1, _breakpoint_count(channels, scheme) // channels.shape[0])
    rows = max(1, _EXACT_BLOCK // per_channel)
    parts = [_exact_block(channels[i : i + rows], scheme) for i in range(0, channels.shape[0], rows)]
    scale = np.concatenate(parts)
    covering = grid_of_range(channels.min(axis=1), channels.max(axis=1), scheme).scale
    return np.where(scale > 0, scale, covering)


def _exact_block(values: F64, scheme: GridScheme) -> F64:
    magnitude = np.abs(values)[:, :, None]
    code = np.arange(max(-scheme.low, scheme.high))  # crossing |v| / (k + 1/2) takes the code from k to k + 1
    reachable = code < np.where(values < 0, -scheme.low, scheme.high)[:, :, None]
    breakpoints = np.where(reachable, magnitude / (code + 0.5), 0.0)
    gains = np.where(reachable, magnitude, 0.0) + np.zeros(code.size)
    norms = np.where(reachable, 2.0 * code + 1.0, 0.0)
    flat = values.shape[0], -1
    order = np.argsort(-breakpoints.reshape(flat), axis=1, kind="stable")
    a = np.cumsum(np.take_along_axis(gains.reshape(flat), order, 1), axis=1)
    b = np.cumsum(np.take_along_axis(norms.reshape(flat), order, 1), axis=1)
    usable = np.where(b > 0, a * a / np.maximum(b, 1.0), 0.0)
    best = usable.argmax(axis=1)[:, None]
    chosen_a, chosen_b = np.take_along_axis(a, best, 1)[:, 0], np.take_along_axis(b, best, 1)[:, 0]
    return np.asarray(chosen_a / np.maximum(chosen_b, 1.0))
