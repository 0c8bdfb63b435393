"""Which taps of a kernel meet in one output: all, but at borders and in strided transposed convolutions."""

from collections.abc import Iterable
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

from accel_sim.ir import Conv2D, TransposeConv2D
from accel_sim.records import dataclass

Taken = NDArray[np.bool_]
_Taps = frozenset[int]


@dataclass(frozen=True, eq=False)
class TapSets:
    """The sets of terms that the output elements of a layer sum.

    Attributes:
        largest: those that no other contains; bool [K] each. Where inputs may be 0, no other set sums further.
        all: every one that occurs; bool [K] each.
        places: for each of `all`, an output row and column where it occurs.
    """

    largest: tuple[Taken, ...]
    all: tuple[Taken, ...]
    places: tuple[tuple[int, int], ...]

    def place_of(self, taken: Taken) -> tuple[int, int]:
        """An output row and column that sums exactly these terms."""
        return next(place for other, place in zip(self.all, self.places, strict=True) if np.array_equal(other, taken))


def all_taps(terms: int) -> TapSets:
    """Every output element sums all terms."""
    everything = (np.ones(terms, np.bool_),)
    return TapSets(everything, everything, ((0, 0),))


def meeting_taps(
    op: Conv2D | TransposeConv2D, x_shape: tuple[int, ...], w_shape: tuple[int, ...], y_shape: tuple[int, ...]
) -> TapSets:
    """The sets of a convolution's terms (ky, kx, ci), for shapes [N,H,W,Ci], [Co,kh,kw,Ci/groups], [N,Ho,Wo,Co]."""
    before = op.padding.top, op.padding.left
    axes = [
        _axis_sets(
            x_shape[1 + i],
            y_shape[1 + i],
            w_shape[1 + i],
            op.strides[i],
            op.dilations[i],
            before[i],
            transposed=isinstance(op, TransposeConv2D),
        )
        for i in (0, 1)
    ]
    largest = list(product(_largest(axes[0]), _largest(axes[1])))
    every = list(product(axes[0], axes[1]))
    places = tuple((axes[0][rows], axes[1][columns]) for rows, columns in every)
    return TapSets(_masks(largest, w_shape), _masks(every, w_shape), places)


def _axis_sets(
    size: int, output: int, kernel: int, stride: int, dilation: int, before: int, *, transposed: bool
) -> dict[_Taps, int]:
    """Along one axis: the sets of taps that meet in an output position, each with the first such position."""
    found: dict[_Taps, int] = {}
    for at in range(output):
        if transposed:
            positions = [(at + before - tap * dilation) for tap in range(kernel)]
            taps = (t for t, p in enumerate(positions) if p % stride == 0 and 0 <= p // stride < size)
        else:
            taps = (t for t in range(kernel) if 0 <= at * stride + t * dilation - before < size)
        found.setdefault(frozenset(taps), at)
    return found or {frozenset(range(kernel)): 0}


def _largest(sets: Iterable[_Taps]) -> list[_Taps]:
    sets = list(sets)
    return [s for s in sets if not any(s < other for other in sets)]


def _masks(pairs: list[tuple[_Taps, _Taps]], w_shape: tuple[int, ...]) -> tuple[Taken, ...]:
    _, height, width, channels = w_shape
    masks = []
    for rows, columns in pairs:
        mask = np.zeros((height, width, channels), np.bool_)
        mask[np.ix_(sorted(rows), sorted(columns))] = True
        masks.append(mask.reshape(prod(w_shape[1:])))
    return tuple(masks)
