"""What calibration data does in a network: the range of every tensor, over a stream of samples."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault, QuantizationError
from accel_sim.ir import Graph
from accel_sim.quantization.calibration import Sample
from accel_sim.quantization.float_runner import FloatRunner

Progress = Callable[[int, int | None], None]
"""Called with the samples done, and in all where that is known."""


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


def observe_ranges(
    graph: Graph,
    samples: Iterable[Sample],
    tensors: frozenset[str],
    *,
    total: int | None = None,
    progress: Progress | None = None,
) -> dict[str, MinMax]:
    """The ranges of the named tensors over all samples, in memory that does not grow with their number.

    Args:
        graph: a float graph.
        samples: inputs, at least one.
        tensors: names of inputs or computed tensors.
        total: number of samples, if known; passed on to `progress`.
        progress: called after every few samples.

    Raises:
        QuantizationError: every tensor with NaN or infinite values, at the first samples that have any.
    """
    runner = FloatRunner(graph)
    ranges: dict[str, MinMax] = {}
    done = 0
    for group in _groups(samples, runner.samples_at_once):
        seen: dict[str, MinMax] = {}
        for name, values in runner.tensors(_stacked(group)):
            if name in tensors:
                seen[name] = MinMax.of(values)
        first, done = done + 1, done + len(group)
        _refuse_infinite(graph, seen, f"samples {first} to {done}")
        ranges = {name: ranges[name].joined(found) if ranges else found for name, found in seen.items()}
        if progress is not None:
            progress(done, total)
    return ranges


def _groups(samples: Iterable[Sample], size: int) -> Iterator[list[Sample]]:
    """The samples in lists of `size`, the last one shorter."""
    stream = iter(samples)
    while group := list(itertools.islice(stream, size)):
        yield group


def _stacked(group: list[Sample]) -> Sample:
    """Several samples as one, joined along the first axis."""
    return group[0] if len(group) == 1 else {n: np.concatenate([s[n] for s in group]) for n in group[0]}


def _refuse_infinite(graph: Graph, seen: Mapping[str, MinMax], where: str) -> None:
    faults = [
        Fault(f"tensor {name!r}", f"[{found.low}, {found.high}] on {where}", "activations are finite")
        for name, found in seen.items()
        if not found.is_finite
    ]
    if faults:
        raise QuantizationError(f"graph {graph.name!r} on the calibration data", faults)
