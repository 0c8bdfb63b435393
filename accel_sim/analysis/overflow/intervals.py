"""Intervals of codes: what a tensor can hold, and what tables make of that. `interval_propagation` carries them on."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_sim.analysis.overflow.bounds import InputKind, InputRange
from accel_sim.analysis.overflow.dot_products import DotProducts
from accel_sim.ir import Graph, QuantParams, Tensor
from accel_sim.records import dataclass

Ends = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Interval:
    """The codes of a tensor: [low[c], high[c]] for each index c of its last axis.

    Attributes:
        low, high: int64 [C]; C = 1 for a tensor without axes.
    """

    low: Ends
    high: Ends

    @classmethod
    def of_type(cls, tensor: Tensor) -> "Interval":
        """Every code of the grid, or of the element type."""
        q = tensor.quant
        info = np.iinfo(tensor.element.dtype.name)
        low, high = (q.low, q.high) if q else (int(info.min), int(info.max))
        channels = tensor.shape[-1] if tensor.shape else 1
        return cls(np.full(channels, low, np.int64), np.full(channels, high, np.int64))

    @classmethod
    def of_codes(cls, low: NDArray[Any], high: NDArray[Any]) -> "Interval":
        """The hull over all axes but the last."""
        lows, highs = (np.reshape(a, (-1, a.shape[-1] if a.ndim else 1)) for a in (low, high))
        return cls(lows.min(axis=0).astype(np.int64), highs.max(axis=0).astype(np.int64))

    def joined(self, other: "Interval") -> "Interval":
        """The hull of both."""
        return Interval(np.minimum(self.low, other.low), np.maximum(self.high, other.high))

    def centred(self, tensor: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Both ends with the tensor's zero point subtracted."""
        zero = tensor.quant.zero_point[0] if tensor.quant else 0
        return tuple((self.low - zero).tolist()), tuple((self.high - zero).tolist())


Intervals = Mapping[str, Interval]


def input_range(products: DotProducts, kind: InputKind, intervals: Intervals) -> InputRange:
    """The operands of a layer as intervals say."""
    low, high = intervals[products.x.name].centred(products.x)
    if products.input_channels is None or (len(set(low)) == 1 and len(set(high)) == 1):
        low, high = (min(low),), (max(high),)
    magnitude = max(abs(min(low)), abs(max(high)))
    if products.knows_weights:
        return InputRange(kind, low, high, magnitude)
    other_low, other_high = intervals[products.w.name].centred(products.w)
    return InputRange(kind, low, high, magnitude, (min(other_low), max(other_high)))


def image(table: NDArray[np.int64], x: QuantParams, interval: Interval) -> Interval:
    """The extremes of a table over an interval."""
    pairs, index = np.unique(np.stack([interval.low, interval.high]), axis=1, return_inverse=True)
    parts = [table[low - x.low : high - x.low + 1] for low, high in pairs.T]
    low, high = (np.array([extreme(p) for p in parts], np.int64) for extreme in (np.min, np.max))
    return Interval(low[index.reshape(-1)], high[index.reshape(-1)])


def image_of_pairs(table: NDArray[np.int64], a: QuantParams, b: QuantParams, ends: Ends) -> Interval:
    """The extremes of a table of pairs over rectangles [a_low, a_high] x [b_low, b_high], ends int64 [4, C]."""
    rectangles, index = np.unique(ends, axis=1, return_inverse=True)
    offsets = np.array([[a.low], [a.low - 1], [b.low], [b.low - 1]])
    parts = [table[first:last, left:right] for first, last, left, right in (rectangles - offsets).T]
    low, high = (np.array([extreme(p) for p in parts], np.int64) for extreme in (np.min, np.max))
    return Interval(low[index.reshape(-1)], high[index.reshape(-1)])


def observed(graph: Graph, tensors: Mapping[str, NDArray[Any]]) -> dict[str, Interval]:
    """The hull of codes that were seen, by tensor name in stored layout, and constants."""
    constants = {n: t.constant for n, t in graph.tensors.items() if t.is_constant and t.element.dtype.kind in "iu"}
    return {name: Interval.of_codes(codes, codes) for name, codes in {**constants, **tensors}.items()}
