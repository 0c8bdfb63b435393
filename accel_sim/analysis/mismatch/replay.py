"""Counterfactual replay: each layer simulated on the machine's own operands, each differing code given its cause.

For every node and sample: the machine's codes, the teacher-forced simulation, and the freely running one. A chain of
evaluators (`causes/chains`) leads from the machine's code to the exact value, from there over the bias to the
teacher-forced simulation, and, operands being the last rule to be changed, to the freely running one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from accel_sim.analysis.causes.accumulators import MATRIX_OPERATORS
from accel_sim.analysis.causes.cause import (
    Attribution,
    Cause,
    CauseTally,
    Codes,
    Step,
    attribute,
    unexplained,
)
from accel_sim.analysis.causes.chains import LayerSample, layer_graph
from accel_sim.analysis.causes.double_rounding import DoubleRoundingCount
from accel_sim.analysis.causes.simulation import SimulationType, within_rounding_errors
from accel_sim.analysis.mismatch.report import FirstDifference, MismatchCounter, MismatchReport, OwnMismatch, codes_of
from accel_sim.hardware import AccumulatorConfig
from accel_sim.ir import Graph, Node
from accel_sim.numerics import Profile
from accel_sim.records import dataclass
from accel_sim.reference import evaluate_fake_quant

Array = NDArray[Any]
Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class Device:
    """What computed the codes: the arithmetic, and whether its accumulators are plain (32 bits that wrap)."""

    profile: Profile
    plain_accumulators: bool = True

    @classmethod
    def of(cls, profile: Profile, accumulator: AccumulatorConfig) -> "Device":
        """The device of a profile on accumulators of some width and policy."""
        return cls(profile, accumulator == AccumulatorConfig())


@dataclass(frozen=True, eq=False)
class Difference:
    """Differing elements of one node in one sample: flat numbers, codes on both sides, causes."""

    elements: Codes
    machine: Codes
    simulated: Codes
    attribution: Attribution


@dataclass(frozen=True, eq=False)
class Sides:
    """Codes of some elements: the device's, the other side's on the same operands, the other side's running freely."""

    mine: Codes
    own: Codes
    free: Codes

    @property
    def at_fault(self) -> NDArray[np.bool_]:
        """Which differ on the same operands."""
        return np.asarray(self.mine != self.own)


@dataclass(frozen=True, eq=False)
class Tallies:
    """Causes of what differs on the same operands, and of what differs freely."""

    own: CauseTally = field(default_factory=CauseTally)
    free: CauseTally = field(default_factory=CauseTally)


def explain(
    elements: Codes, sides: Sides, steps: Sequence[Step], odd: NDArray[np.bool_], tallies: Tallies
) -> Difference | None:
    """Count the causes of some elements.

    Args:
        elements: flat numbers.
        sides: codes that differ in at least one of the two comparisons.
        steps: the chain of the elements at fault, from the device to the other side.
        odd: which of these the chain does not account for.
        tallies: where causes are counted.

    Returns:
        What differs freely; None where nothing does.
    """
    fault, mine = sides.at_fault, sides.mine
    if fault.any():
        tallies.own.add(unexplained(attribute(mine[fault], steps), odd))
    differs = mine != sides.free
    if not differs.any():
        return None
    chain = [(cause, _filled(mine, fault, codes)[differs]) for cause, codes in steps]
    found = attribute(mine[differs], [*chain, (Cause.INHERITED, sides.free[differs])])
    found = unexplained(found, _filled(np.zeros(len(mine), bool), fault, odd)[differs])
    tallies.free.add(found)
    return Difference(elements[differs], mine[differs], sides.free[differs], found)


def _filled(values: NDArray[Scalar], where: NDArray[np.bool_], replacement: NDArray[Scalar]) -> NDArray[Scalar]:
    filled = values.copy()
    filled[where] = replacement
    return filled


class NodeReplay:
    """Replays one node, sample by sample."""

    def __init__(self, graph: Graph, node: Node, device: Device, simulation: SimulationType) -> None:
        self.node = node
        self._layer = layer_graph(graph, node)
        self._result = graph.tensors[node.outputs[0]]
        self._device, self._simulation = device, simulation
        self._counter = MismatchCounter(node.name, node.op.name, self._result, is_output=False)
        self._tallies = Tallies()
        self._rounding = DoubleRoundingCount()

    def add(self, operands: Mapping[str, Array], machine: Array, simulated: Array) -> Difference | None:
        """Replay one sample.

        Args:
            operands: the machine's codes of the node's operands, in stored layout.
            machine: its codes of the result.
            simulated: the result of the freely running simulation, real numbers.

        Returns:
            The codes that differ from the freely running simulation; None without any.
        """
        sample = LayerSample(self._layer, operands)
        forced = evaluate_fake_quant(self._layer, operands, self._simulation)[self._result.name]
        self._counter.add(machine, forced)
        self._rounding.add(sample, self._device.profile)
        mine = machine.astype(np.int64).reshape(-1)
        own, free = (codes_of(self._result, values).reshape(-1) for values in (forced, simulated))
        elements = np.flatnonzero((mine != own) | (mine != free))
        if not elements.size:
            return None
        sides = Sides(mine[elements], own[elements], free[elements])
        fault = sides.at_fault
        steps, odd = self._steps(sample, elements[fault], sides.mine[fault], sides.own[fault])
        return explain(elements, sides, steps, odd, self._tallies)

    def _steps(
        self, sample: LayerSample, elements: Codes, mine: Codes, own: Codes
    ) -> tuple[list[Step], NDArray[np.bool_]]:
        """From the machine to the teacher-forced simulation; and which elements the chain does not account for."""
        if not elements.size:
            return [], np.zeros(0, bool)
        chain = sample.chain(self._device.profile, elements)
        odd = np.zeros(len(elements), bool)
        steps = list(chain.steps)
        if self._may_overflow:
            steps = [(Cause.ACCUMULATOR, chain.start), *steps]
        else:
            odd = chain.start != mine
        before, biased = chain.exact, sample.with_own_bias(elements)
        if biased is not None:
            steps.append((Cause.BIAS_QUANTIZATION, biased))
            before = biased
        steps.append((Cause.SIMULATION_FLOAT, own))
        moved = np.flatnonzero(before != own)
        if moved.size:
            fine = within_rounding_errors(sample, elements[moved], (before[moved], own[moved]), self._simulation)
            odd[moved] |= ~fine
        return steps, odd

    @property
    def _may_overflow(self) -> bool:
        return not self._device.plain_accumulators and isinstance(self.node.op, MATRIX_OPERATORS)

    def own(self) -> OwnMismatch:
        """What the node adds by itself, over all samples so far."""
        t = self._counter.result()
        rounding = self._rounding.result()
        return OwnMismatch(
            t.elements, t.differing, t.largest_lsb, t.sqnr_db, t.histogram, self._tallies.own.result(), rounding
        )

    @property
    def free(self) -> CauseTally:
        """Causes of what differs from the freely running simulation."""
        return self._tallies.free


class Replay:
    """Replays all nodes of a graph over any number of sample batches."""

    def __init__(self, graph: Graph, device: Device, simulation: SimulationType) -> None:
        self._graph = graph
        self._nodes = [NodeReplay(graph, node, device, simulation) for node in graph.nodes]
        self._first: dict[str, FirstDifference] = {}
        self._samples = 0

    def add(self, machine: Mapping[str, Array], simulated: Mapping[str, Array], samples: int) -> None:
        """Replay one batch.

        Args:
            machine: codes of every input and computed tensor, stored layout, first axis all samples.
            simulated: those of the freely running simulation, real numbers.
            samples: in the batch.
        """
        for replay in self._nodes:
            node, result = replay.node, replay.node.outputs[0]
            fed = [n for n in dict.fromkeys(node.inputs) if n and not self._graph.tensors[n].is_constant]
            for k in range(samples):
                operands = {name: self._sample(name, machine[name], k, samples) for name in fed}
                mine = self._sample(result, machine[result], k, samples)
                found = replay.add(operands, mine, self._sample(result, simulated[result], k, samples))
                if found is not None and node.name not in self._first:
                    self._first[node.name] = self._first_of(node, found, self._samples + k)
        self._samples += samples

    def _sample(self, name: str, array: Array, sample: int, samples: int) -> Array:
        return np.asarray(array.reshape(samples, *self._graph.tensors[name].shape)[sample])

    def _first_of(self, node: Node, found: Difference, sample: int) -> FirstDifference:
        shape = self._graph.tensors[node.outputs[0]].shape
        index = tuple(int(i) for i in np.unravel_index(int(found.elements[0]), shape)) if shape else ()
        machine, simulated = int(found.machine[0]), int(found.simulated[0])
        name, causes = node.outputs[0], found.attribution.of(0)
        return FirstDifference(node.name, node.op.name, name, sample, index, machine, simulated, causes)

    def first(self) -> FirstDifference | None:
        """The first differing code."""
        ordered: Sequence[FirstDifference | None] = [self._first.get(replay.node.name) for replay in self._nodes]
        return next((f for f in ordered if f is not None), None)

    def explained(self, report: MismatchReport) -> MismatchReport:
        """The report with causes."""
        by_tensor = {replay.node.outputs[0]: replay for replay in self._nodes}
        layers = {
            layer.tensor: replace(
                layer, causes=by_tensor[layer.tensor].free.result(), own=by_tensor[layer.tensor].own()
            )
            for layer in report.layers
        }
        outputs = tuple(layers[output.tensor] for output in report.outputs)
        return replace(report, layers=tuple(layers.values()), outputs=outputs, first=self.first())
