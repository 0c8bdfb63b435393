"""The time of commands that have no data."""

from collections.abc import Iterable, Sequence

from accel_sim.hardware import AcceleratorConfig
from accel_sim.program import Command, Operand
from accel_sim.sim.layers import CommandReport, layer_results
from accel_sim.sim.result import Level, RunResult
from accel_sim.sim.timing.commands import time_commands


def time_only(commands: Sequence[Command], hardware: AcceleratorConfig, kept: Iterable[Operand] = ()) -> RunResult:
    """Cycles, traffic and energy without a run: no samples, no outputs, no accumulators.

    `kept` are the tensors that leave the network.
    """
    timings = time_commands(commands, hardware, kept)
    reports = [CommandReport(command, timing, None) for command, timing in zip(commands, timings, strict=True)]
    return RunResult(
        outputs={},
        ports={},
        layers=layer_results(reports, hardware.grid.size),
        samples=0,
        level=Level.CYCLE,
        cycles=sum(timing.cycles for timing in timings),
    )
