"""A comparison from inputs to report: machine and simulation run, differences are counted and explained."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from accel_sim.analysis.labels import checked_labels, classes_of, label_vector, labels_per_sample, top1
from accel_sim.analysis.mismatch.place import place_of
from accel_sim.analysis.mismatch.replay import Device, Replay
from accel_sim.analysis.mismatch.report import Accuracy, FirstDifference, MismatchComparison, MismatchReport
from accel_sim.analysis.provenance import Provenance
from accel_sim.analysis.samples import sample_count, stored
from accel_sim.arguments import choice_faults
from accel_sim.compiler import compile_graph
from accel_sim.errors import Fault, InputError
from accel_sim.hardware import AcceleratorConfig
from accel_sim.ir import Graph
from accel_sim.numerics import Profile
from accel_sim.reference import evaluate_fake_quant
from accel_sim.sim.machine import Machine
from accel_sim.sim.result import Level, RunResult

Array = NDArray[np.generic]
SIMULATIONS: dict[str, type[np.float32] | type[np.float64]] = {"float32": np.float32, "float64": np.float64}


class Comparison:
    """The integers of a machine against the fake-quant simulation, over any number of sample batches.

    Raises:
        InputError: no such simulation. CompileError: a graph that the machine cannot run.
    """

    def __init__(
        self,
        graph: Graph,
        hardware: AcceleratorConfig,
        profile: Profile,
        simulation: str = "float32",
        *,
        explain: bool = True,
        labels: Array | None = None,
    ) -> None:
        faults = choice_faults("simulation", simulation, SIMULATIONS)
        if faults:
            raise InputError("simulation", faults)
        self._graph, self._simulation = graph, simulation
        self._program = compile_graph(graph, hardware, profile)
        self._machine = Machine(hardware)
        self._counts = MismatchComparison(graph)
        device = Device.of(profile, hardware.accumulator)
        self._replay = Replay(graph, device, SIMULATIONS[simulation]) if explain else None
        self._votes = None if labels is None else Votes(labels)

    def check(self, inputs: Mapping[str, Array]) -> int:
        """The number of samples.

        Raises:
            InputError: none, inputs that disagree, or another number of labels.
        """
        total = sample_count(self._graph, inputs)
        if not total:
            raise InputError("inputs", [Fault("samples", "0", "there is at least one sample to compare")])
        if self._votes:
            self._votes.check(total * labels_per_sample(self._graph), classes_of(self._graph))
        return total

    def add(self, batch: Mapping[str, Array], *, threads: int | None = None) -> int:
        """Run and compare one batch, inputs in the file's layout; the number of its samples."""
        result = self._machine.run(self._program, batch, Level.FUNCTIONAL, keep=self.tensors, threads=threads)
        self.add_result(batch, result)
        return result.samples

    @property
    def tensors(self) -> tuple[str, ...]:
        """What is compared, and the inputs: a run that keeps these can be added as it is."""
        return tuple(dict.fromkeys((*self._graph.inputs, *self._counts.tensors)))

    def add_result(self, batch: Mapping[str, Array], result: RunResult) -> None:
        """Compare what the same machine has made of a batch."""
        simulated = evaluate_fake_quant(self._graph, stored(self._graph, batch), SIMULATIONS[self._simulation])
        self._counts.add(result.tensors, simulated)
        if self._replay:
            self._replay.add(result.tensors, simulated, result.samples)
        if self._votes:
            name = self._graph.outputs[0]
            self._votes.add(result.tensors[name], simulated[name])

    def report(self, inputs: str, samples: int) -> MismatchReport:
        """The figures so far; `inputs` says where the data came from."""
        program = self._program
        about = Provenance(program.name, program.model_sha256, program.profile, program.hardware, inputs)
        report = self._counts.report(about, self._simulation, samples)
        if self._replay:
            report = self._replay.explained(report)
        return replace(
            report,
            first=self._placed(report.first),
            accuracy=self._votes.result() if self._votes else None,
        )

    def _placed(self, first: FirstDifference | None) -> FirstDifference | None:
        return first and replace(first, place=place_of(self._program, first.tensor, first.index))


class Votes:
    """Counts the samples whose largest score is at their label, on both sides."""

    def __init__(self, labels: Array) -> None:
        self._labels = label_vector(labels)
        self._seen = self._machine = self._simulated = 0

    def check(self, count: int, classes: int) -> None:
        """InputError where there are not as many labels, or where they are no class numbers."""
        checked_labels(self._labels, count, classes)

    def add(self, machine: Array, simulated: Array) -> None:
        """Count one batch of scores, first axis samples."""
        part = self._labels[self._seen : self._seen + len(machine)]
        self._seen += len(machine)
        self._machine += _right(machine, part)
        self._simulated += _right(simulated, part)

    def result(self) -> Accuracy:
        """The accuracies so far."""
        return Accuracy(self._machine / max(self._seen, 1), self._simulated / max(self._seen, 1))


def _right(scores: Array, labels: Array) -> int:
    return int(np.count_nonzero(top1(scores, len(labels)) == labels))
