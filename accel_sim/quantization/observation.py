"""What calibration data does in a network: the range of every tensor, sample by sample."""

import math
from collections.abc import Callable, Iterable, Mapping
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
        progress: called after every sample.

    Raises:
        QuantizationError: every tensor with NaN or infinite values, at the first sample that has any.
    """
    runner = FloatRunner(graph)
    ranges: dict[str, MinMax] = {}
    for number, sample in enumerate(samples, 1):
        seen: dict[str, MinMax] = {}
        for name, values in runner.tensors(sample):
            if name in tensors:
                seen[name] = MinMax.of(values)
        _refuse_infinite(graph, seen, number)
        ranges = {name: ranges[name].joined(found) if ranges else found for name, found in seen.items()}
        if progress is not None:
            progress(number, total)
    return ranges


def _refuse_infinite(graph: Graph, seen: Mapping[str, MinMax], number: int) -> None:
    faults = [
        Fault(f"tensor {name!r}", f"[{found.low}, {found.high}] on sample {number}", "activations are finite")
        for name, found in seen.items()
        if not found.is_finite
    ]
    if faults:
        raise QuantizationError(f"graph {graph.name!r} on the calibration data", faults)
