"""The squared quantization error of an array as a function of the grid: ||V - V^(s, z)||^2 (eq 16), exactly.

Two evaluators compute the same number. `DirectError` quantizes every value. `SortedError` sorts once and keeps prefix
sums of n, v and v^2; a grid then costs one binary search per cell boundary, whatever the number of values, because
inside the cell of integer k

    sum (v - s k)^2 = sum v^2 - 2 s k sum v + n s^2 k^2.
"""

from typing import Protocol

import numpy as np

from accel_sim.quantization.affine_grid import F64, GridScheme


class GridError(Protocol):
    """sum_i weight_i (v_i - v^_i)^2 of each of C channels for grids (scale, zero point), one per channel."""

    channels: int

    def __call__(self, scale: F64, zero_point: F64) -> F64:
        """Errors [C] for scales [C] and zero points [C] (whole numbers as float64)."""


_BLOCK = 1 << 15  # elements quantized at a time, so that temporaries stay in cache


class DirectError:
    """Every value quantized: values [C, K], weights [K] (1 each where absent)."""

    def __init__(self, values: F64, scheme: GridScheme, weights: F64 | None = None) -> None:
        self.channels = values.shape[0]
        self._values, self._weights, self._scheme = values, weights, scheme

    def __call__(self, scale: F64, zero_point: F64) -> F64:
        """Errors [C] for scales [C] and zero points [C]."""
        error = np.zeros(self.channels)
        rows = max(1, _BLOCK // max(self._values.shape[1], 1))
        for first in range(0, self.channels, rows):
            part = slice(first, first + rows)
            for start in range(0, self._values.shape[1], _BLOCK):
                error[part] += self._block(part, slice(start, start + _BLOCK), scale[part], zero_point[part])
        return error * scale**2

    def _block(self, rows: slice, columns: slice, scale: F64, zero_point: F64) -> F64:
        steps = self._values[rows, columns] / scale[:, None]
        whole = np.rint(steps)
        low, high = self._scheme.low - zero_point[:, None], self._scheme.high - zero_point[:, None]
        np.clip(whole, low, high, out=whole)
        whole -= steps
        np.square(whole, out=whole)
        error: F64 = whole.sum(axis=1) if self._weights is None else (whole * self._weights[columns]).sum(axis=1)
        return error


class SortedError:
    """Prefix sums over the sorted values [K] of one channel, with weights [K] (1 each where absent)."""

    channels = 1

    def __init__(self, values: F64, scheme: GridScheme, weights: F64 | None = None) -> None:
        order = np.argsort(values, kind="stable")
        self._sorted, self._scheme = values[order], scheme
        weight = np.ones(values.size) if weights is None else weights[order]
        self._moments = np.zeros((3, values.size + 1))
        for power in range(3):
            np.cumsum(weight * self._sorted**power, out=self._moments[power, 1:])

    def __call__(self, scale: F64, zero_point: F64) -> F64:
        """The error [1] for one scale [1] and zero point [1]."""
        whole = np.arange(self._scheme.low, self._scheme.high + 1) - zero_point[0]
        cuts = np.searchsorted(self._sorted, scale[0] * (whole[:-1] + 0.5))
        ends = self._moments[:, np.concatenate([[0], cuts, [self._sorted.size]])]
        n, first, second = np.diff(ends, axis=1)
        real = scale[0] * whole
        return np.array([max(float((second - 2.0 * real * first + real**2 * n).sum()), 0.0)])


def error_of(values: F64, scheme: GridScheme, weights: F64 | None = None) -> GridError:
    """The cheaper evaluator for values [C, K]: prefix sums where one channel has many more values than cells.

    Beyond 10 bits prefix sums would lose the small errors by cancellation, so values are quantized directly.
    """
    if values.shape[0] == 1 and scheme.bits <= 10 and values.shape[1] > 4 * scheme.steps:
        return SortedError(values[0], scheme, weights)
    return DirectError(values, scheme, weights)
