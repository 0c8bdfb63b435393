"""What a run tells: the result beside what it depends on, and the network's totals."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from accel_sim.analysis.provenance import Provenance
from accel_sim.analysis.roofline import Roofline, roofline
from accel_sim.records import dataclass
from accel_sim.sim.result import RunResult

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Totals:
    """Sums over the layers, per sample; None where the level does not model a figure.

    Attributes:
        macs: multiply-accumulates.
        stall_cycles: cycles in which the compute unit waited for memory.
        utilization: macs / (cycles * processing elements), 0 to 1.
        traffic: bytes by memory name.
        energy_pj: picojoule.
        overflow_events: over all samples.
        stalls: stall cycles by cause, of the layers whose model of time tells causes.
    """

    macs: int
    stall_cycles: int | None
    utilization: float | None
    traffic: dict[str, int]
    energy_pj: float | None
    overflow_events: int | None
    stalls: dict[str, int]


@dataclass(frozen=True)
class RunReport:
    """A run and its provenance."""

    provenance: Provenance
    result: RunResult

    @property
    def totals(self) -> Totals:
        """The network's figures."""
        layers = self.result.layers
        macs = sum(layer.macs for layer in layers)
        return Totals(
            macs=macs,
            stall_cycles=_sum(layer.stall_cycles for layer in layers),
            utilization=self._utilization(macs),
            traffic=_by_name(layer.traffic for layer in layers),
            energy_pj=_sum(layer.energy_pj for layer in layers),
            overflow_events=_sum(layer.overflow_events for layer in layers),
            stalls=_by_name(layer.stalls for layer in layers),
        )

    @property
    def roofline(self) -> Roofline | None:
        """Where the layers lie under the roof of grid and DRAM; None for a run without time."""
        hardware = self.provenance.hardware
        if self.result.cycles is None or hardware is None:
            return None
        return roofline(self.result.layers, hardware)

    def _utilization(self, macs: int) -> float | None:
        hardware = self.provenance.hardware
        if not self.result.cycles or hardware is None:
            return None
        return macs / (self.result.cycles * hardware.grid.size)


def _sum(values: Iterable[Number | None]) -> Number | None:
    """The sum of the known values; None where nothing is known."""
    known = [v for v in values if v is not None]
    return sum(known[1:], known[0]) if known else None


def _by_name(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for count in counts:
        for name, value in count.items():
            total[name] = total.get(name, 0) + value
    return total
