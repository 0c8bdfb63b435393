"""From commands to layers: what a RunResult says of each."""

from collections.abc import Iterable, Mapping, Sequence

from accel_sim.program import Command, Convolve, MatrixMultiply, TransposeConvolve
from accel_sim.program.geometry import multiply_accumulates
from accel_sim.records import dataclass
from accel_sim.sim.preparation import Record
from accel_sim.sim.result import LayerResult
from accel_sim.sim.timing.types import CommandTiming


@dataclass(frozen=True)
class CommandReport:
    """One command of a run; timing and record are None where the level or the command has none."""

    command: Command
    timing: CommandTiming | None
    record: Record | None


def layer_results(reports: Sequence[CommandReport], processing_elements: int) -> tuple[LayerResult, ...]:
    """The commands' reports by layer, in the order in which layers first appear."""
    layers: dict[str, list[CommandReport]] = {}
    for report in reports:
        layers.setdefault(report.command.layer, []).append(report)
    return tuple(_layer(name, parts, processing_elements) for name, parts in layers.items())


def _layer(name: str, parts: Sequence[CommandReport], processing_elements: int) -> LayerResult:
    macs = sum(_macs(part.command) for part in parts)
    records = [part.record for part in parts if part.record is not None and part.record[0] <= part.record[1]]
    timings = [part.timing for part in parts if part.timing is not None]
    cycles = sum(t.cycles for t in timings) if timings else None
    on_grid = any(t.utilization is not None for t in timings)
    return LayerResult(
        name=name,
        op=parts[0].command.op,
        macs=macs,
        cycles=cycles,
        stall_cycles=sum(t.stall_cycles for t in timings) if timings else None,
        utilization=macs / (cycles * processing_elements) if on_grid and cycles else None,
        traffic=_summed(t.traffic for t in timings),
        energy_pj=sum(t.energy_pj for t in timings) if timings else None,
        accumulator_min=min((int(r[0]) for r in records), default=None),
        accumulator_max=max((int(r[1]) for r in records), default=None),
        overflow_events=sum(int(r[2]) for r in records) if records else None,
        grid_cycles=sum(t.grid_cycles or 0 for t in timings) if on_grid else None,
        stalls=_summed(t.stalls for t in timings),
    )


def _macs(command: Command) -> int:
    if isinstance(command, Convolve | TransposeConvolve | MatrixMultiply):
        return multiply_accumulates(command)
    return 0


def _summed(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Counts by name, added up."""
    total: dict[str, int] = {}
    for part in parts:
        for name, count in part.items():
            total[name] = total.get(name, 0) + count
    return total
