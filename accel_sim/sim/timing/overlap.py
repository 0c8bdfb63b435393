"""Overlap between layers: a command's first weights are fetched while the command before still computes.

Weights depend on nothing that the network computes, and the half of the weight memory that a command does not use is
free when it runs its last tiles. So, where memories are double-buffered, the load of the first tile's weights hides in
those cycles of the command before in which DRAM is idle:

    saved = min(cycles of the first tile's weights, cycles of the command before - its DRAM bytes / bandwidth)

Inputs must wait: the command before has written them only at its end.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from accel_sim.hardware import AcceleratorConfig
from accel_sim.sim.timing.types import CommandTiming, stalls_by_cause


def overlap_layers(timings: Sequence[CommandTiming], hardware: AcceleratorConfig) -> tuple[CommandTiming, ...]:
    """The timings of commands in order, each without what the one before hides of it."""
    hidden = [0, *(_idle_cycles(timing, hardware) for timing in timings[:-1])]
    return tuple(
        _earlier(timing, min(timing.prefetchable_cycles, idle)) for timing, idle in zip(timings, hidden, strict=False)
    )


def _idle_cycles(timing: CommandTiming, hardware: AcceleratorConfig) -> int:
    """Cycles in which DRAM moves nothing."""
    moved = timing.traffic["dram_read"] + timing.traffic["dram_write"]
    return max(timing.cycles - math.ceil(moved / hardware.memory.transfer_bytes_per_cycle), 0)


def _earlier(timing: CommandTiming, saved: int) -> CommandTiming:
    if not saved:
        return timing
    cycles, stall = timing.cycles - saved, timing.stall_cycles - saved
    shares = {**timing.stalls, "load": max(timing.stalls.get("load", 0) - saved, 0)}
    return replace(
        timing,
        cycles=cycles,
        stall_cycles=stall,
        stalls=stalls_by_cause(stall, shares),
        utilization=None if timing.utilization is None else timing.utilization * timing.cycles / cycles,
    )
