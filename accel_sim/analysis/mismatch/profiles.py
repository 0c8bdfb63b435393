"""What changes when a model moves: the same network under several arithmetic profiles, compared pair by pair.

Freely: each profile's machine computes the whole network. Teacher-forced: the second profile's machine computes each
layer from the first one's operands. Causes as in `causes`: from the first profile rule by rule to exact arithmetic, and
back with the second profile's rules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_sim.analysis.causes.cause import Cause, CauseCount, Codes, Step, total
from accel_sim.analysis.causes.chains import LayerSample, layer_graph
from accel_sim.analysis.causes.forced_device import ForcedDevice
from accel_sim.analysis.mismatch.replay import Sides, Tallies, explain
from accel_sim.analysis.mismatch.report import MismatchCounter, OwnMismatch, TensorMismatch
from accel_sim.analysis.provenance import Provenance
from accel_sim.analysis.samples import sample_count
from accel_sim.compiler import compile_graph
from accel_sim.errors import Fault, InputError
from accel_sim.hardware import AcceleratorConfig, AccumulatorConfig
from accel_sim.ir import Graph, Node
from accel_sim.numerics import Profile
from accel_sim.records import dataclass
from accel_sim.reference.real_context import to_reals
from accel_sim.sim.machine import Machine
from accel_sim.sim.result import Level

Array = NDArray[Any]


@dataclass(frozen=True)
class ProfilePair:
    """Two profiles on one network.

    Attributes:
        left, right: their names; differences are left minus right.
        layers: one per computed tensor, in order of execution. outputs: those that are outputs of the network.
    """

    left: str
    right: str
    layers: tuple[TensorMismatch, ...]
    outputs: tuple[TensorMismatch, ...]

    @property
    def share(self) -> float:
        """Share of the outputs' codes that differ, 0 to 1."""
        return sum(o.differing for o in self.outputs) / max(1, sum(o.elements for o in self.outputs))

    @property
    def differing(self) -> int:
        """Codes that differ, over all layers."""
        return sum(layer.differing for layer in self.layers)

    @property
    def top1_agreement(self) -> float | None:
        """Top-1 agreement of the first output that holds scores."""
        return next((o.top1_agreement for o in self.outputs if o.top1_agreement is not None), None)

    @property
    def causes(self) -> tuple[CauseCount, ...]:
        """Of all codes that differ freely."""
        return total(layer.causes for layer in self.layers)

    @property
    def own_causes(self) -> tuple[CauseCount, ...]:
        """Of all codes that differ on the same operands."""
        return total(layer.own.causes for layer in self.layers if layer.own)

    @property
    def unexplained(self) -> int:
        """Differing codes whose cause was not found; a defect where it is not 0."""
        return sum(c.count for c in (*self.causes, *self.own_causes) if Cause.UNEXPLAINED in c.causes)


@dataclass(frozen=True)
class ProfileReport:
    """A matrix of differences.

    Attributes:
        provenance: what was compared; its profile names all of them.
        samples: how many were compared.
        profiles: names, in the order given.
        pairs: every two of them, the earlier one first.
    """

    provenance: Provenance
    samples: int
    profiles: tuple[str, ...]
    pairs: tuple[ProfilePair, ...]

    @property
    def identical(self) -> bool:
        """Whether all profiles give the same codes in every layer."""
        return not any(pair.differing for pair in self.pairs)

    def pair(self, a: str, b: str) -> ProfilePair | None:
        """The comparison of two profiles, in either order; None for a profile with itself."""
        return next((p for p in self.pairs if {p.left, p.right} == {a, b}), None)


class ProfileComparison:
    """Compares profiles over any number of sample batches.

    Raises:
        InputError: fewer than two different profiles, or accumulators that are not plain. CompileError: a graph that
            a profile cannot compute.
    """

    def __init__(self, graph: Graph, hardware: AcceleratorConfig, profiles: Sequence[Profile]) -> None:
        _check(hardware, profiles)
        self._graph, self._profiles = graph, tuple(profiles)
        self._programs = {p.name: compile_graph(graph, hardware, p) for p in profiles}
        self._machine = Machine(hardware)
        forced = {
            (p.name, node.name): ForcedDevice(layer_graph(graph, node), hardware, p)
            for p in profiles[1:]
            for node in graph.nodes
        }
        self._pairs = [
            [_PairNode(graph, node, a, b, forced[b.name, node.name]) for node in graph.nodes]
            for a, b in combinations(profiles, 2)
        ]

    def check(self, inputs: Mapping[str, Array]) -> int:
        """The number of samples; InputError where there is none, or where inputs disagree."""
        count = sample_count(self._graph, inputs)
        if not count:
            raise InputError("inputs", [Fault("samples", "0", "there is at least one sample to compare")])
        return count

    def add(self, batch: Mapping[str, Array], *, threads: int | None = None) -> int:
        """Run and compare one batch, inputs in the file's layout; the number of its samples."""
        keep = dict.fromkeys((*self._graph.inputs, *(name for node in self._graph.nodes for name in node.outputs)))
        runs, samples = {}, 0
        for name, program in self._programs.items():
            result = self._machine.run(program, batch, Level.FUNCTIONAL, keep=keep, threads=threads)
            runs[name], samples = result.tensors, result.samples
        for nodes in self._pairs:
            for node in nodes:
                node.add(runs, samples)
        return samples

    def report(self, hardware: AcceleratorConfig, inputs: str, samples: int) -> ProfileReport:
        """The figures so far; `inputs` says where the data came from."""
        names = tuple(p.name for p in self._profiles)
        about = Provenance(self._graph.name, self._graph.sha256, ", ".join(names), hardware, inputs)
        pairs = []
        for nodes in self._pairs:
            layers = tuple(node.result() for node in nodes)
            by_tensor = {layer.tensor: layer for layer in layers}
            outputs = tuple(by_tensor[name] for name in self._graph.outputs if name in by_tensor)
            pairs.append(ProfilePair(nodes[0].left.name, nodes[0].right.name, layers, outputs))
        return ProfileReport(about, samples, names, tuple(pairs))


def _check(hardware: AcceleratorConfig, profiles: Sequence[Profile]) -> None:
    names = [p.name for p in profiles]
    faults = []
    if len(set(names)) < 2 or len(set(names)) != len(names):
        faults.append(Fault("profiles", ", ".join(names) or "none", "there are at least two, each named once"))
    if hardware.accumulator != AccumulatorConfig():
        rule = "profiles are compared on 32-bit accumulators that wrap, as their software has"
        value = f"{hardware.accumulator.bits} bits, {hardware.accumulator.overflow.value}"
        faults.append(Fault("accumulator", value, rule, "leave the accumulator as it is"))
    if faults:
        raise InputError("comparison of profiles", faults)


class _PairNode:
    """One node under two profiles."""

    def __init__(self, graph: Graph, node: Node, left: Profile, right: Profile, forced: ForcedDevice) -> None:
        self.left, self.right = left, right
        self._graph, self._node, self._forced = graph, node, forced
        self._result = graph.tensors[node.outputs[0]]
        is_output = self._result.name in graph.outputs
        self._free = MismatchCounter(node.name, node.op.name, self._result, is_output=is_output)
        self._own = MismatchCounter(node.name, node.op.name, self._result, is_output=False)
        self._tallies = Tallies()

    def add(self, runs: Mapping[str, Mapping[str, Array]], samples: int) -> None:
        """Compare one batch; runs: tensors by profile, stored layout."""
        mine, theirs = runs[self.left.name], runs[self.right.name]
        name = self._result.name
        fed = {n: mine[n] for n in self._forced.layer.inputs}
        forced = self._forced.run(fed, samples)
        self._free.add(mine[name], self._reals(theirs[name]))
        self._own.add(mine[name], self._reals(forced))
        codes = [a.astype(np.int64).reshape(samples, -1) for a in (mine[name], forced, theirs[name])]
        for k in range(samples):
            own, free = codes[0][k] != codes[1][k], codes[0][k] != codes[2][k]
            elements = np.flatnonzero(own | free)
            if elements.size:
                self._explain(_sample(self._forced.layer, fed, k, samples), elements, [c[k] for c in codes])

    def _explain(self, sample: LayerSample, elements: Codes, codes: Sequence[Codes]) -> None:
        sides = Sides(*(c[elements] for c in codes))
        fault = sides.at_fault
        steps: list[Step] = []
        odd = np.zeros(0, bool)
        if fault.any():
            there = sample.chain(self.left, elements[fault])
            back = sample.chain(self.right, elements[fault])
            steps = [*there.steps, *back.reversed_steps()]
            ends = (there.start == sides.mine[fault]) & (back.start == sides.own[fault])
            odd = ~(ends & (there.exact == back.exact))
        explain(elements, sides, steps, odd, self._tallies)

    def _reals(self, codes: Array) -> Array:
        return to_reals(codes, self._result.quant, np.float64)

    def result(self) -> TensorMismatch:
        """The figures so far."""
        t = self._own.result()
        causes = self._tallies.own.result()
        own = OwnMismatch(t.elements, t.differing, t.largest_lsb, t.sqnr_db, t.histogram, causes)
        return replace(self._free.result(), causes=self._tallies.free.result(), own=own)


def _sample(layer: Graph, operands: Mapping[str, Array], k: int, samples: int) -> LayerSample:
    return LayerSample(layer, {n: a.reshape(samples, *layer.tensors[n].shape)[k] for n, a in operands.items()})
