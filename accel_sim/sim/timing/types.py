"""What the cycle model says about one command."""

from collections.abc import Mapping
from dataclasses import field

from accel_sim.records import dataclass

TRAFFIC = (
    "dram_read",
    "dram_write",
    "weight_sram_read",
    "weight_sram_write",
    "activation_sram_read",
    "activation_sram_write",
    "accumulator_sram_read",
    "accumulator_sram_write",
)
"""The keys of `CommandTiming.traffic`."""

STALLS = ("latency", "load", "store", "sram")
"""The causes of stalls: DRAM's latency, operands that arrive late, results that leave late, on-chip memories' ports."""


def stalls_by_cause(total: int, shares: Mapping[str, float]) -> dict[str, int]:
    """`total` stall cycles split in proportion to `shares`, in whole cycles that add up to it."""
    whole = sum(shares.values())
    if not whole:
        return {"load": total} if total else {}
    seen, before, split = 0.0, 0, {}
    for cause, share in shares.items():
        seen += share
        end = round(total * min(seen / whole, 1.0))
        split[cause], before = end - before, end
    return {cause: cycles for cause, cycles in split.items() if cycles}


@dataclass(frozen=True)
class CommandTiming:
    """Time and cost of one command.

    Attributes:
        cycles: from start to end, stalls included.
        stall_cycles: of these, those in which grid or vector unit waited for memories; all of them in a pure transfer.
        macs: multiply-accumulates of the command's arithmetic, those on padding included.
        utilization: macs / (cycles * PEs), 0 to 1; None where the command does not use the grid.
        traffic: bytes by memory and direction, keys as in TRAFFIC.
        energy_pj: picojoule.
        grid_cycles: of the PE grid alone, without transfers and post-processing; None where the command does not use
            it.
        stalls: stall_cycles by cause, keys as in STALLS; empty where the model of time does not tell causes.
        prefetchable_cycles: of the stall cycles, those that wait for weights of the first tile.
    """

    cycles: int
    stall_cycles: int
    macs: int
    utilization: float | None
    traffic: Mapping[str, int]
    energy_pj: float
    grid_cycles: int | None = None
    stalls: Mapping[str, int] = field(default_factory=dict)
    prefetchable_cycles: int = 0

    @property
    def compute_cycles(self) -> int:
        """Cycles in which grid or vector unit worked, filling and draining included."""
        return self.cycles - self.stall_cycles
