"""Simulation mismatch: the machine's integers against the float fake-quantized simulation, layer by layer.

Two comparisons. Both sides running *freely*: each layer reads what its own side computed before, so a difference that
one layer makes is seen again, changed, in the layers after it. And *teacher-forced* (`OwnMismatch`): the simulation of
each layer reads what the machine computed before, so that what differs is the layer's own fault.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from accel_sim.analysis.causes.cause import Cause, CauseCount, total
from accel_sim.analysis.provenance import Provenance
from accel_sim.ir import Graph, Tensor
from accel_sim.records import dataclass

Array = NDArray[np.generic]
Histogram = tuple[tuple[int, int], ...]
"""(difference in codes, how often), differences ascending, 0 left out; the ends hold everything at or beyond them."""
HISTOGRAM_END = 16


@dataclass(frozen=True)
class DoubleRounding:
    """How often two roundings give another integer than one, before zero point and clamp.

    Attributes:
        predicted: mean over output channels of 2^-(r+1), r the right shift of the second rounding; 0 where r is 0.
        measured: share of the layer's accumulators, over all samples.
    """

    predicted: float
    measured: float


@dataclass(frozen=True)
class OwnMismatch:
    """What a layer adds by itself: both sides fed the machine's own operands (teacher-forced).

    Attributes:
        elements, differing, largest_lsb, sqnr_db: as in TensorMismatch.
        histogram: of machine minus simulation.
        causes: of every differing code; their counts sum to `differing`.
        double_rounding: None where the profile rounds once.
    """

    elements: int
    differing: int
    largest_lsb: int
    sqnr_db: float
    histogram: Histogram = ()
    causes: tuple[CauseCount, ...] = ()
    double_rounding: DoubleRounding | None = None

    @property
    def share(self) -> float:
        """Share of codes that differ, 0 to 1."""
        return self.differing / self.elements if self.elements else 0.0


@dataclass(frozen=True)
class Place:
    """Where on the accelerator a code was computed.

    Attributes:
        command: number of the command in the program, from 0.
        cycle_first, cycle_last: cycles, from the start of the sample, between which the command ran.
        tile: number of the tile that finished the sum, in the order of the command's walk; None off the PE grid.
        pe_row, pe_column: the processing element from which the finished sum left the grid; None off the grid.
        grid_cycle: cycle of the command's grid time, stalls not counted, by which that tile is done; None off the grid.
    """

    command: int
    cycle_first: int
    cycle_last: int
    tile: int | None = None
    pe_row: int | None = None
    pe_column: int | None = None
    grid_cycle: int | None = None


@dataclass(frozen=True)
class FirstDifference:
    """The first code that differs, in order of execution, then of samples, then of elements.

    Attributes:
        node, op, tensor: where it is.
        sample: from 0. index: in the stored layout of one sample.
        machine, simulated: the two codes.
        causes: the cause, or the pair.
        place: on the accelerator; None where the compiler made no command for the node.
    """

    node: str
    op: str
    tensor: str
    sample: int
    index: tuple[int, ...]
    machine: int
    simulated: int
    causes: tuple[Cause, ...]
    place: Place | None = None


@dataclass(frozen=True)
class Accuracy:
    """Top-1 accuracy against labels, 0 to 1."""

    machine: float
    simulated: float


@dataclass(frozen=True)
class TensorMismatch:
    """Codes of one computed tensor: integer machine against fake-quant simulation.

    Attributes:
        node, op: the graph node that makes the tensor, and its operator.
        tensor: its name.
        elements: codes compared, over all samples.
        differing: of these, those that differ.
        largest_lsb: the largest difference, in codes.
        sqnr_db: signal-to-quantization-noise ratio of the dequantized values, signal = fake-quant, noise = difference;
            infinite without any difference.
        top1_agreement: for a vector of scores per sample, the share of samples whose largest score is at the same
            index on both sides; None for other tensors.
        histogram: of machine minus simulation.
        causes: of every differing code, differences inherited from earlier layers among them; their counts sum to
            `differing`. Empty where causes were not asked for.
        own: teacher-forced; None where causes were not asked for.
    """

    node: str
    op: str
    tensor: str
    elements: int
    differing: int
    largest_lsb: int
    sqnr_db: float
    top1_agreement: float | None = None
    histogram: Histogram = ()
    causes: tuple[CauseCount, ...] = ()
    own: OwnMismatch | None = None

    @property
    def share(self) -> float:
        """Share of codes that differ, 0 to 1."""
        return self.differing / self.elements if self.elements else 0.0


@dataclass(frozen=True)
class MismatchReport:
    """Where and how much the integers of the machine differ from the fake-quant simulation.

    Attributes:
        provenance: what was compared.
        simulation: floating-point type of the fake-quant simulation, "float32" or "float64".
        samples: how many were compared.
        layers: one per computed tensor, in order of execution.
        outputs: those of `layers` that are outputs of the network, in the file's order.
        first: the first differing code; None without one, or where causes were not asked for.
        accuracy: of both sides; None without labels.
    """

    provenance: Provenance
    simulation: str
    samples: int
    layers: tuple[TensorMismatch, ...]
    outputs: tuple[TensorMismatch, ...]
    first: FirstDifference | None = None
    accuracy: Accuracy | None = None

    @property
    def explained(self) -> bool:
        """Whether causes were looked for."""
        return any(layer.own is not None for layer in self.layers)

    @property
    def causes(self) -> tuple[CauseCount, ...]:
        """Causes of all differing codes of both sides running freely."""
        return total(layer.causes for layer in self.layers)

    @property
    def own_causes(self) -> tuple[CauseCount, ...]:
        """Causes of all codes that differ teacher-forced."""
        return total(layer.own.causes for layer in self.layers if layer.own)

    @property
    def unexplained(self) -> int:
        """Differing codes whose cause was not found, teacher-forced and freely; a defect where it is not 0."""
        counts = (*self.causes, *self.own_causes)
        return sum(item.count for item in counts if Cause.UNEXPLAINED in item.causes)

    @property
    def differing(self) -> int:
        """Codes that differ, over all layers."""
        return sum(layer.differing for layer in self.layers)

    @property
    def identical(self) -> bool:
        """Whether every code of every layer is the same."""
        return self.differing == 0

    @property
    def first_differing(self) -> TensorMismatch | None:
        """The first layer, in order of execution, in which codes differ."""
        return next((layer for layer in self.layers if layer.differing), None)

    @property
    def top1_agreement(self) -> float | None:
        """Top-1 agreement of the first output that holds scores."""
        return next((o.top1_agreement for o in self.outputs if o.top1_agreement is not None), None)


def grid_of(tensor: Tensor, rank: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Scale and zero point of a tensor, shaped to broadcast; 1 and 0 without a grid."""
    q = tensor.quant
    return q.broadcast(rank) if q else (np.ones((1,) * rank), np.zeros((1,) * rank, np.int64))


def codes_of(tensor: Tensor, reals: Array) -> NDArray[np.int64]:
    """The codes of fake-quantized real numbers, [samples * N, ...]."""
    scale, zero_point = grid_of(tensor, reals.ndim)
    codes: NDArray[np.int64] = np.rint(reals.astype(np.float64) / scale).astype(np.int64) + zero_point
    return codes


class MismatchCounter:
    """Collects the differences of one tensor over any number of sample batches."""

    def __init__(self, node: str, op: str, tensor: Tensor, *, is_output: bool) -> None:
        self._node, self._op, self._tensor = node, op, tensor
        self._is_output = is_output
        self._elements = self._differing = self._largest = 0
        self._signal = self._noise = 0.0
        self._agreeing = self._votes = 0
        self._histogram = np.zeros(2 * HISTOGRAM_END + 1, np.int64)

    def add(self, machine: Array, simulated: Array) -> None:
        """Count one batch.

        Args:
            machine: codes, any integer type, in row-major order of [samples * N, ...].
            simulated: fake-quantized real values (codes where the tensor has no grid), [samples * N, ...].
        """
        machine = machine.reshape(simulated.shape)
        scale, zero_point = grid_of(self._tensor, simulated.ndim)
        codes = codes_of(self._tensor, simulated)
        difference = machine.astype(np.int64) - codes
        limited = np.clip(difference[difference != 0], -HISTOGRAM_END, HISTOGRAM_END) + HISTOGRAM_END
        self._histogram += np.bincount(limited, minlength=self._histogram.size)
        self._elements += difference.size
        self._differing += int(np.count_nonzero(difference))
        self._largest = max(self._largest, int(np.abs(difference).max(initial=0)))
        self._signal += float(np.sum(((codes - zero_point) * scale) ** 2))
        self._noise += float(np.sum((difference * scale) ** 2))
        if self._is_output:
            self._vote(machine, codes)

    def _vote(self, machine: Array, codes: Array) -> None:
        scores = max(machine.shape[1:], default=1)
        if scores < 2 or machine.size != len(machine) * scores:
            return
        self._votes += len(machine)
        same = machine.reshape(len(machine), -1).argmax(1) == codes.reshape(len(machine), -1).argmax(1)
        self._agreeing += int(np.count_nonzero(same))

    def result(self) -> TensorMismatch:
        """The figures so far."""
        return TensorMismatch(
            node=self._node,
            op=self._op,
            tensor=self._tensor.name,
            elements=self._elements,
            differing=self._differing,
            largest_lsb=self._largest,
            sqnr_db=_decibel(self._signal, self._noise),
            top1_agreement=self._agreeing / self._votes if self._votes else None,
            histogram=tuple((int(i) - HISTOGRAM_END, int(self._histogram[i])) for i in np.flatnonzero(self._histogram)),
        )


def _decibel(signal: float, noise: float) -> float:
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


class MismatchComparison:
    """Compares all computed tensors of a graph over any number of sample batches."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._counters = {
            name: MismatchCounter(node.name, node.op.name, graph.tensors[name], is_output=name in graph.outputs)
            for node in graph.nodes
            for name in node.outputs
        }
        self._compared: set[str] = set()

    @property
    def tensors(self) -> tuple[str, ...]:
        """The names of the tensors to compare, in order of execution."""
        return tuple(self._counters)

    def add(self, machine: Mapping[str, Array], simulated: Mapping[str, Array]) -> None:
        """Count one batch of samples.

        Args:
            machine: codes by tensor name, stored layout; tensors that the compiler merged away may be missing.
            simulated: fake-quantized real values by tensor name, stored layout.
        """
        for name, counter in self._counters.items():
            if name in machine:
                counter.add(machine[name], simulated[name])
                self._compared.add(name)

    def report(self, provenance: Provenance, simulation: str, samples: int) -> MismatchReport:
        """The figures of everything added so far."""
        results = {name: c.result() for name, c in self._counters.items() if name in self._compared}
        outputs = tuple(results[name] for name in self._graph.outputs if name in results)
        return MismatchReport(provenance, simulation, samples, tuple(results.values()), outputs)
