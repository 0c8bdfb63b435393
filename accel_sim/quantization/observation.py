"""What calibration data does in a network, over a stream of samples and in memory that does not grow with it.

A tensor is seen by the observer that its range setting method needs (3.1): extremes, a histogram, or, for the results
of a classifier, the rows themselves, of which at most `MOST_ROWS` are kept.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault, QuantizationError
from accel_sim.ir import Graph
from accel_sim.quantization.affine_grid import AffineGrid, GridScheme, grid_of_range
from accel_sim.quantization.calibration import Sample
from accel_sim.quantization.float_runner import FloatRunner
from accel_sim.quantization.histogram import Histogram
from accel_sim.quantization.range_cross_entropy import cross_entropy_grid
from accel_sim.quantization.range_mse import mse_grid_of_histogram
from accel_sim.quantization.range_percentile import percentile_grid_of_histogram
from accel_sim.records import dataclass

Progress = Callable[[str, int, int | None], None]
"""Called with what is being done, how much of it is done, and how much there is where that is known."""

MOST_ROWS = 1024
"""Rows of logits that the cross-entropy method works with."""


@dataclass(frozen=True)
class MinMax:
    """The smallest and the largest value that a tensor took (eq 14-15); not finite if any value was not."""

    low: float
    high: float

    @classmethod
    def of(cls, values: NDArray[np.generic]) -> "MinMax":
        """Of an array; [0, 0] of an empty one."""
        return cls(float(values.min()), float(values.max())) if values.size else cls(0.0, 0.0)

    def joined(self, other: "MinMax") -> "MinMax":
        """The smallest range that holds both."""
        return MinMax(min(self.low, other.low), max(self.high, other.high))

    @property
    def is_finite(self) -> bool:
        """Whether both ends are numbers."""
        return math.isfinite(self.low) and math.isfinite(self.high)


class Observer(Protocol):
    """Sees one tensor, batch by batch, and knows its range in the end."""

    range: MinMax | None
    """Of all values so far."""

    def add(self, values: NDArray[np.floating], seen: MinMax) -> None:
        """See a batch, whose extremes are known."""

    def grid(self, scheme: GridScheme) -> AffineGrid:
        """The grid of a scheme for what was seen."""


class ExtremesObserver:
    """eq 14-15."""

    def __init__(self) -> None:
        self.range: MinMax | None = None

    def add(self, values: NDArray[np.floating], seen: MinMax) -> None:
        """See a batch, whose extremes are known."""
        self.range = seen if self.range is None else self.range.joined(seen)

    def grid(self, scheme: GridScheme) -> AffineGrid:
        """The grid of a scheme for what was seen."""
        assert self.range is not None
        return grid_of_range(self.range.low, self.range.high, scheme)


class HistogramObserver(ExtremesObserver):
    """eq 16, or percentiles where `percent` is given."""

    def __init__(self, percent: float | None = None) -> None:
        super().__init__()
        self._histogram, self._percent = Histogram.empty(), percent

    def add(self, values: NDArray[np.floating], seen: MinMax) -> None:
        """See a batch, whose extremes are known."""
        super().add(values, seen)
        self._histogram = self._histogram.with_values(values)

    def grid(self, scheme: GridScheme) -> AffineGrid:
        """The grid of a scheme for what was seen."""
        if not self._histogram.count:
            return super().grid(scheme)
        if self._percent is not None:
            return percentile_grid_of_histogram(self._histogram, scheme, self._percent)
        return mse_grid_of_histogram(self._histogram, scheme)


class LogitsObserver(ExtremesObserver):
    """eq 17, on the first rows; never narrower than they need."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[NDArray[np.floating]] = []
        self._count = 0

    def add(self, values: NDArray[np.floating], seen: MinMax) -> None:
        """See a batch, whose extremes are known."""
        super().add(values, seen)
        taken = values.reshape(-1, values.shape[-1])[: MOST_ROWS - self._count]
        self._rows.append(taken.copy())
        self._count += len(taken)

    def grid(self, scheme: GridScheme) -> AffineGrid:
        """The grid of a scheme for what was seen."""
        return cross_entropy_grid(np.concatenate(self._rows), scheme)


def observe(
    runner: FloatRunner,
    samples: Iterable[Sample],
    observers: Mapping[str, Observer],
    *,
    total: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Show all samples to the observers of the named tensors.

    Args:
        runner: of a float graph.
        samples: inputs, at least one.
        observers: by name of an input or computed tensor.
        total: number of samples, if known; passed on to `progress`.
        progress: called after every few samples.

    Raises:
        QuantizationError: every tensor with NaN or infinite values, at the first samples that have any.
    """
    done = 0
    for group in groups(samples, runner.samples_at_once):
        bad: dict[str, MinMax] = {}
        for name, values in runner.tensors(stacked(group)):
            if name in observers:
                seen = MinMax.of(values)
                if seen.is_finite:
                    observers[name].add(np.asarray(values, np.float32), seen)
                else:
                    bad[name] = seen
        first, done = done + 1, done + len(group)
        _refuse_infinite(runner.graph, bad, f"samples {first} to {done}")
        if progress is not None:
            progress("activation ranges", done, total)


def groups(samples: Iterable[Sample], size: int) -> Iterator[list[Sample]]:
    """The samples in lists of `size`, the last one shorter."""
    stream = iter(samples)
    while group := list(itertools.islice(stream, size)):
        yield group


def stacked(group: list[Sample]) -> Sample:
    """Several samples as one, joined along the first axis."""
    return group[0] if len(group) == 1 else {n: np.concatenate([s[n] for s in group]) for n in group[0]}


def _refuse_infinite(graph: Graph, bad: Mapping[str, MinMax], where: str) -> None:
    faults = [
        Fault(f"tensor {name!r}", f"[{found.low}, {found.high}] on {where}", "activations are finite")
        for name, found in bad.items()
    ]
    if faults:
        raise QuantizationError(f"graph {graph.name!r} on the calibration data", faults)
