"""Strided copies in their simplest form."""

from collections.abc import Sequence
from math import prod

from accel_sim.records import dataclass


@dataclass(frozen=True)
class StridedCopy:
    """extent, and for each axis the stride in elements on both sides."""

    extent: tuple[int, ...]
    input_strides: tuple[int, ...]
    output_strides: tuple[int, ...]

    @property
    def size(self) -> int:
        """Elements copied."""
        return prod(self.extent)

    @property
    def is_contiguous(self) -> bool:
        """Whether both sides are one run of neighbouring elements."""
        return len(self.extent) == 1 and self.input_strides == self.output_strides == (1,)


def dense_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Row-major strides in elements."""
    return tuple(prod(shape[i + 1 :]) for i in range(len(shape)))


def simplify(copy: StridedCopy) -> StridedCopy:
    """The same copy with axes of length 1 dropped and neighbours merged where both sides step evenly over them."""
    axes: list[tuple[int, int, int]] = []
    for n, a, b in zip(copy.extent, copy.input_strides, copy.output_strides, strict=True):
        if n == 1:
            continue
        if axes and axes[-1][1] == n * a and axes[-1][2] == n * b:
            axes[-1] = (axes[-1][0] * n, a, b)
        else:
            axes.append((n, a, b))
    extent, first, second = zip(*axes, strict=True) if axes else ((1,), (1,), (1,))
    return StridedCopy(extent, first, second)
