"""The roofline of a run (S. Williams et al., "Roofline", CACM 2009): is a layer bound by the grid or by DRAM?

Operations are multiplications and additions, two for each multiply-accumulate. A layer of operational intensity I
(operations for each byte that it moves to and from DRAM) can at most do min(peak, I * bandwidth) operations per cycle;
the two limits meet at the ridge, peak / bandwidth.
"""

import math
from collections.abc import Iterable
from enum import Enum

from accel_sim.hardware import AcceleratorConfig
from accel_sim.records import dataclass
from accel_sim.sim.result import LayerResult


class Bound(Enum):
    """What limits a layer."""

    COMPUTE = "compute"
    MEMORY = "memory"


@dataclass(frozen=True)
class RooflineLayer:
    """Where a layer lies.

    Attributes:
        name: of the layer.
        operational_intensity: operations per DRAM byte; inf for a layer that moves none.
        attainable_per_cycle: operations per cycle under the roof. achieved_per_cycle: those that the run achieved.
        bound: which part of the roof is above the layer.
    """

    name: str
    operational_intensity: float
    attainable_per_cycle: float
    achieved_per_cycle: float
    bound: Bound


@dataclass(frozen=True)
class Roofline:
    """The roof, and the layers that use the grid.

    Attributes:
        peak_per_cycle: operations per cycle of all processing elements.
        dram_bytes_per_cycle: bandwidth.
        ridge_intensity: operations per byte where both limits meet.
        layers: those with multiply-accumulates, in order.
    """

    peak_per_cycle: float
    dram_bytes_per_cycle: float
    ridge_intensity: float
    layers: tuple[RooflineLayer, ...]


def roofline(layers: Iterable[LayerResult], hardware: AcceleratorConfig) -> Roofline:
    """The roofline of a timed run's layers."""
    peak, bandwidth = 2.0 * hardware.grid.size, hardware.memory.dram_bytes_per_cycle
    points = [_point(layer, peak, bandwidth) for layer in layers if layer.macs and layer.cycles]
    return Roofline(peak, bandwidth, peak / bandwidth, tuple(points))


def _point(layer: LayerResult, peak: float, bandwidth: float) -> RooflineLayer:
    moved = layer.traffic.get("dram_read", 0) + layer.traffic.get("dram_write", 0)
    operations = 2 * layer.macs
    intensity = operations / moved if moved else math.inf
    memory_roof = operations * bandwidth / moved if moved else math.inf
    bound = Bound.COMPUTE if memory_roof >= peak else Bound.MEMORY
    return RooflineLayer(layer.name, intensity, min(peak, memory_roof), operations / (layer.cycles or 1), bound)
