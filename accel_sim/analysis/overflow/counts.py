"""Overflow counted: what each accumulator structure does to a network on given inputs.

    event        an addition whose exact result does not fit its stage
    persistent   of an output: its exact final sum does not fit the last stage
    transient    of an output: it has events, but its exact final sum fits

The order of the additions is the dataflow's (accel_sim/sim/README.md); the definitions are those of
`accel_sim.numerics.accumulators`. Every structure is a run of its own: later layers see what earlier ones made of their
sums, as on a device.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from accel_sim.analysis.provenance import Provenance
from accel_sim.numerics.accumulators import AccumulatorStructure
from accel_sim.program import Program
from accel_sim.program.geometry import MatrixCommand, is_depthwise, matrix_operands
from accel_sim.records import dataclass
from accel_sim.sim.batch import Progress
from accel_sim.sim.counting import CommandCounts, CountedRun, count
from accel_sim.sim.offences import Offence, first_offence

Array = NDArray[np.generic]
Int64s = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LayerCounts:
    """The overflow of one layer.

    Attributes:
        name, op: the graph node and its operator.
        outputs: accumulators over all samples.
        applies: its products go through all stages of the structure, and not to the last one at once.
        proved: no input can make it overflow; nothing was counted, and all counts are 0.
        channel_events, channel_persistent, channel_transient: int64 [channels]: additions; outputs; outputs.
        first: the first offence; None without one, or where it was not looked for.
    """

    name: str
    op: str
    outputs: int
    applies: bool
    proved: bool
    channel_events: Int64s
    channel_persistent: Int64s
    channel_transient: Int64s
    first: Offence | None

    @property
    def channels(self) -> int:
        """Output channels."""
        return len(self.channel_events)

    @property
    def events(self) -> int:
        """Additions that did not fit."""
        return int(self.channel_events.sum())

    @property
    def persistent(self) -> int:
        """Outputs whose exact sum does not fit."""
        return int(self.channel_persistent.sum())

    @property
    def transient(self) -> int:
        """Outputs with events whose exact sum fits."""
        return int(self.channel_transient.sum())


@dataclass(frozen=True, eq=False)
class StructureCounts:
    """The overflow of a network on one accumulator structure.

    Attributes:
        structure: of the accumulators.
        layers: those that have accumulators, in order of execution.
        outputs: name in the file -> codes, first axis all samples; None where they were not asked for.
    """

    structure: AccumulatorStructure
    layers: tuple[LayerCounts, ...]
    outputs: Mapping[str, Array] | None

    @property
    def events(self) -> int:
        """Additions that did not fit."""
        return sum(layer.events for layer in self.layers)

    @property
    def persistent(self) -> int:
        """Outputs whose exact sum does not fit."""
        return sum(layer.persistent for layer in self.layers)

    @property
    def transient(self) -> int:
        """Outputs with events whose exact sum fits."""
        return sum(layer.transient for layer in self.layers)

    @property
    def outputs_counted(self) -> int:
        """Accumulators of all layers over all samples."""
        return sum(layer.outputs for layer in self.layers)

    @property
    def layers_applied(self) -> int:
        """Layers whose products go through all stages."""
        return sum(layer.applies for layer in self.layers)

    @property
    def layers_proved(self) -> int:
        """Layers that no input can make overflow."""
        return sum(layer.proved for layer in self.layers)


@dataclass(frozen=True, eq=False)
class OverflowCounts:
    """The overflow of a network.

    Attributes:
        provenance: what was run.
        samples: how many.
        structures: in the order in which they were asked for.
    """

    provenance: Provenance
    samples: int
    structures: tuple[StructureCounts, ...]


def count_structures(
    program: Program,
    provenance: Provenance,
    inputs: Mapping[str, Array],
    structures: Iterable[AccumulatorStructure],
    *,
    outputs: bool = False,
    offences: bool = True,
    threads: int | None = None,
    progress: Progress | None = None,
) -> OverflowCounts:
    """Count the overflow of a program on several accumulator structures.

    Args:
        program: from the compiler.
        provenance: what the report is about.
        inputs: by name, as for `Machine.run`.
        structures: one run each.
        outputs: whether to keep the network's outputs.
        offences: whether to look for first offences.
        threads: as for `Machine.run`.
        progress: told of samples done, over all structures.

    Raises:
        InputError: wrong or no inputs. ProgramError: what the machine does not have.
    """
    wanted, found, samples = tuple(structures), [], 0
    for done, structure in enumerate(wanted):
        advance = _shifted(progress, done, len(wanted))
        run = count(program, inputs, structure, threads=threads, progress=advance)
        samples = run.samples
        layers = tuple(_layer(program, inputs, structure, run, c, offences=offences) for c in run.commands)
        found.append(StructureCounts(structure, layers, run.outputs if outputs else None))
    return OverflowCounts(provenance, samples, tuple(found))


def _shifted(progress: Progress | None, done: int, runs: int) -> Progress | None:
    """Progress of one run of several."""
    if progress is None:
        return None
    return lambda samples, total: progress(done * total + samples, runs * total)


def _layer(
    program: Program,
    inputs: Mapping[str, Array],
    structure: AccumulatorStructure,
    run: CountedRun,
    counts: CommandCounts,
    *,
    offences: bool,
) -> LayerCounts:
    command: MatrixCommand = program.commands[counts.index]  # type: ignore[assignment]  # only those have accumulators
    x, w = matrix_operands(command)
    first = None
    if offences and counts.first_sample is not None:
        first = first_offence(program, inputs, structure, counts.index, counts.first_sample)
    persistent = counts.persistent
    return LayerCounts(
        name=command.layer,
        op=command.op,
        outputs=command.output_to.size * run.samples,
        applies=structure.applies_to(x.dtype, w.dtype, depthwise=is_depthwise(command)),
        proved=counts.proved,
        channel_events=counts.events,
        channel_persistent=persistent,
        channel_transient=counts.affected - persistent,
        first=first,
    )
