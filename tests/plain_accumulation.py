"""Accumulation in plain Python integers, one product at a time, as the docstrings of the commands say."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from accel_sim.program import Window


@dataclass
class PlainAccumulator:
    """One accumulator's history, shared by all accumulators of a command."""

    bits: int
    saturates: bool
    lowest: int | None = None
    highest: int | None = None
    events: int = 0
    values: dict[tuple[int, ...], int] = field(default_factory=dict)

    def add(self, key: tuple[int, ...], term: int) -> None:
        """Add a term to the accumulator of an output element."""
        exact = self.values.get(key, 0) + term
        half = 1 << (self.bits - 1)
        fits = -half <= exact < half
        self.events += not fits
        held = min(max(exact, -half), half - 1) if self.saturates else (exact + half) % (2 * half) - half
        self.values[key] = held
        self.lowest = held if self.lowest is None else min(self.lowest, held)
        self.highest = held if self.highest is None else max(self.highest, held)

    def array(self, shape: tuple[int, ...]) -> np.ndarray:
        """All accumulators, int64."""
        return np.array([self.values[key] for key in product(*map(range, shape))], np.int64).reshape(shape)


def convolve(
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray,
    window: Window,
    groups: int,
    shape: tuple[int, ...],
    acc: PlainAccumulator,
) -> np.ndarray:
    """x, w: int64, relative to their zero points; the loop nest of Convolve."""
    size = w.shape[0] // groups
    for n, oy, ox, co in product(*map(range, shape)):
        acc.add((n, oy, ox, co), int(bias[co]))
        for ky, kx, ci in product(range(w.shape[1]), range(w.shape[2]), range(w.shape[3])):
            iy = oy * window.strides[0] + ky * window.dilations[0] - window.pad_top
            ix = ox * window.strides[1] + kx * window.dilations[1] - window.pad_left
            if 0 <= iy < x.shape[1] and 0 <= ix < x.shape[2]:
                channel = co // size * w.shape[3] + ci
                acc.add((n, oy, ox, co), int(x[n, iy, ix, channel]) * int(w[co, ky, kx, ci]))
    return acc.array(shape)


def transpose_convolve(
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray,
    window: Window,
    groups: int,
    shape: tuple[int, ...],
    acc: PlainAccumulator,
) -> np.ndarray:
    """The loop nest of TransposeConvolve."""
    size = w.shape[0] // groups
    for key in product(*map(range, shape)):
        acc.add(key, int(bias[key[3]]))
    for (n, iy, ix), co, (ky, kx, ci) in product(_indices(x.shape[:3]), range(w.shape[0]), _indices(w.shape[1:])):
        oy = iy * window.strides[0] + ky * window.dilations[0] - window.pad_top
        ox = ix * window.strides[1] + kx * window.dilations[1] - window.pad_left
        if 0 <= oy < shape[1] and 0 <= ox < shape[2]:
            channel = co // size * w.shape[3] + ci
            acc.add((n, oy, ox, co), int(x[n, iy, ix, channel]) * int(w[co, ky, kx, ci]))
    return acc.array(shape)


def multiply(a: np.ndarray, b: np.ndarray, acc: PlainAccumulator) -> np.ndarray:
    """The loop nest of MatrixMultiply for a [..., M, K], b [..., K, N], relative to their zero points."""
    leading = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    shape = (*leading, a.shape[-2], b.shape[-1])
    left = np.broadcast_to(a, (*leading, *a.shape[-2:]))
    right = np.broadcast_to(b, (*leading, *b.shape[-2:]))
    for key in product(*map(range, shape)):
        *batch, m, n = key
        acc.add(key, 0)
        for k in range(a.shape[-1]):
            acc.add(key, int(left[(*batch, m, k)]) * int(right[(*batch, k, n)]))
    return acc.array(shape)


def _indices(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    return product(*map(range, shape))
