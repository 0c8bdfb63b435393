"""Overflow counted: a program run on accumulators of any structure, every addition that does not fit noted.

Commands whose weights prove that no input makes any stage overflow run on the fast path and cost nothing.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from accel_sim.numerics.accumulators import AccumulatorStructure
from accel_sim.program import Command, Convolve, MatrixMultiply, Program, TransposeConvolve
from accel_sim.records import dataclass
from accel_sim.sim.batch import Progress
from accel_sim.sim.machine import Machine
from accel_sim.sim.memory import Array

Int64s = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CommandCounts:
    """Overflow of the accumulators of one command.

    Attributes:
        index: of the command.
        proved: no input can make it overflow, so nothing was counted.
        events, affected, persistent: int64 [channels]: additions that did not fit, outputs with any, outputs whose
            exact sum does not fit the last stage.
        first_sample: the first sample with an event; None without.
    """

    index: int
    proved: bool
    events: Int64s
    affected: Int64s
    persistent: Int64s
    first_sample: int | None


@dataclass(frozen=True, eq=False)
class CountedRun:
    """What a counting run gives back.

    Attributes:
        commands: those with accumulators, in order of execution.
        outputs: of the network on these accumulators, as in RunResult.
        samples: how many were run.
    """

    commands: tuple[CommandCounts, ...]
    outputs: Mapping[str, Array]
    samples: int


def count(
    program: Program,
    inputs: Mapping[str, Array],
    structure: AccumulatorStructure,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> CountedRun:
    """Run a program on accumulators of a structure and count what overflows.

    Args:
        program: from the compiler.
        inputs: as for `Machine.run`.
        structure: in place of the hardware's accumulators.
        threads: as for `Machine.run`.
        progress: as for `Machine.run`.

    Raises:
        InputError, ProgramError: as `Machine.run`.
    """
    machine = Machine(program.hardware)
    result, tallies = machine.count(program, inputs, structure, threads=threads, progress=progress)
    commands = tuple(
        _counts(index, command, tallies.get(index))
        for index, command in enumerate(program.commands)
        if has_accumulators(command)
    )
    return CountedRun(commands, result.outputs, result.samples)


def has_accumulators(command: Command) -> bool:
    """Whether a command sums products of integers."""
    return isinstance(command, Convolve | TransposeConvolve | MatrixMultiply) and command.float_accumulation is None


def _counts(index: int, command: Command, tally: "tuple[Int64s, int | None] | None") -> CommandCounts:
    assert isinstance(command, Convolve | TransposeConvolve | MatrixMultiply)
    if tally is None:
        nothing = np.zeros(command.output_to.shape[-1], np.int64)
        return CommandCounts(index, True, nothing, nothing, nothing, None)  # noqa: FBT003 - proved
    events, affected, persistent = tally[0]
    return CommandCounts(index, False, events, affected, persistent, tally[1])  # noqa: FBT003 - proved
