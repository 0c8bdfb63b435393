"""What an accumulator costs: events, and how the network's answers change, width by width and structure by structure.

Each structure is a run of its own: what one layer wraps or saturates, the layers after it read. Answers are compared
with those of plain 32-bit accumulators that wrap (64 bits where the software of a network accumulates in 64).
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from accel_sim.analysis.labels import labels_per_sample, top1
from accel_sim.analysis.overflow.counts import OverflowCounts, StructureCounts
from accel_sim.ir import Graph
from accel_sim.numerics.accumulators import AccumulatorStructure, OverflowPolicy, plain
from accel_sim.records import dataclass

Array = NDArray[np.generic]
REFERENCE = plain(32)
"""The accumulators that answers are compared with."""


@dataclass(frozen=True)
class CurvePoint:
    """A network on one kind of accumulator.

    Attributes:
        counts: events by layer and channel.
        agreement: share of samples whose largest score is where it is with the reference; None where the network's
            first output has one value only.
        accuracy: share of samples whose largest score is at their label; None without labels.
        differing: share of the outputs' codes that are not the reference's.
    """

    counts: StructureCounts
    agreement: float | None
    accuracy: float | None
    differing: float

    @property
    def structure(self) -> AccumulatorStructure:
        """The accumulator."""
        return self.counts.structure

    @property
    def proved(self) -> bool:
        """Whether no input can overflow it in any layer."""
        return self.counts.layers_proved == len(self.counts.layers)


@dataclass(frozen=True)
class OverflowCurve:
    """Accumulators against what they cost.

    Attributes:
        points: as asked for.
        samples: that were run.
        accuracy: with the reference; None without labels.
    """

    points: tuple[CurvePoint, ...]
    samples: int
    accuracy: float | None

    def plain(self, policy: OverflowPolicy) -> dict[int, CurvePoint]:
        """The plain accumulators of one policy by width, ascending."""
        found = {p.structure.final.bits: p for p in self.points if is_plain(p.structure, policy)}
        return dict(sorted(found.items()))

    @property
    def staged(self) -> tuple[CurvePoint, ...]:
        """All points that are not on the curve of plain accumulators."""
        return tuple(p for p in self.points if not any(is_plain(p.structure, policy) for policy in OverflowPolicy))


def is_plain(structure: AccumulatorStructure, policy: OverflowPolicy) -> bool:
    """Whether a structure is one register of a policy and nothing else."""
    return structure == plain(structure.final.bits, policy)


def overflow_curve(
    graph: Graph, counts: OverflowCounts, reference: StructureCounts, labels: Array | None
) -> OverflowCurve:
    """Judge the answers of every structure.

    Args:
        graph: the network.
        counts: of the structures, with outputs.
        reference: of the reference accumulator, with outputs.
        labels: checked; the class of each sample.
    """
    exact, classified = reference.outputs or {}, counts.samples * labels_per_sample(graph)
    classes = _classes(graph, exact, classified)
    points = []
    for item in counts.structures:
        found = _classes(graph, item.outputs or {}, classified)
        points.append(
            CurvePoint(
                item,
                None if classes is None or found is None else float(np.mean(found == classes)),
                None if labels is None or found is None else float(np.mean(found == labels)),
                _differing(exact, item.outputs or {}),
            )
        )
    accuracy = None if labels is None or classes is None else float(np.mean(classes == labels))
    return OverflowCurve(tuple(points), counts.samples, accuracy)


def _classes(graph: Graph, outputs: Mapping[str, Array], count: int) -> NDArray[np.int64] | None:
    scores = outputs[graph.outputs[0]]
    return top1(scores, count) if scores.size > count else None


def _differing(exact: Mapping[str, Array], outputs: Mapping[str, Array]) -> float:
    whole = sum(codes.size for codes in exact.values())
    return sum(int(np.count_nonzero(codes != outputs[name])) for name, codes in exact.items()) / max(whole, 1)
