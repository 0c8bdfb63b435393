"""What a run gives back."""

from collections.abc import Mapping
from dataclasses import field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from accel_sim.program import Port
from accel_sim.records import dataclass


class Level(Enum):
    """How closely the machine is simulated; all levels give the same bytes."""

    FUNCTIONAL = "functional"
    """Bytes only, by the fast kernels."""
    CYCLE = "cycle"
    """Bytes, time, traffic, energy, and accumulators watched at every addition."""
    STEPPED = "stepped"
    """As CYCLE, with every register of the PE grid stepped in every cycle."""

    @property
    def timed(self) -> bool:
        """Whether time is modelled, and accumulators are watched."""
        return self is not Level.FUNCTIONAL


@dataclass(frozen=True)
class LayerResult:
    """One layer of a run. Figures that a level does not model are None.

    Attributes:
        name, op: the graph node and its operator.
        macs: multiply-accumulates per sample that the layer's arithmetic needs.
        cycles: for one sample, stalls included.
        stall_cycles: of these, those in which the compute unit waited for memory.
        utilization: macs / (cycles * PEs), 0 to 1; None where the layer does not use the grid.
        traffic: bytes moved per sample, by memory name ("dram_read", "dram_write").
        energy_pj: per sample, picojoule.
        accumulator_min, accumulator_max: smallest and largest value that any accumulator held, at any addition, over
            all samples; None for layers without accumulators.
        overflow_events: additions over all samples whose exact result did not fit the accumulator.
        stalls: stall_cycles by cause ("latency", "load", "store"); empty where the model of time does not tell.
        grid_cycles: of the PE grid alone, for one sample, without transfers and post-processing; None where a
            layer does not use it.
    """

    name: str
    op: str
    macs: int
    cycles: int | None = None
    stall_cycles: int | None = None
    utilization: float | None = None
    traffic: Mapping[str, int] = field(default_factory=dict)
    energy_pj: float | None = None
    accumulator_min: int | None = None
    accumulator_max: int | None = None
    overflow_events: int | None = None
    grid_cycles: int | None = None
    stalls: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class RunResult:
    """The outcome of running a program.

    Attributes:
        outputs: name in the file -> codes, in the file's own layout; the first axis holds all samples.
        ports: name in the file -> its Port (grid of the codes).
        layers: in order of execution.
        samples: how many were run (multiples of the network's own batch).
        level: the level of detail.
        cycles: of one sample; None at the functional level.
        tensors: the tensors that were asked to be kept, by name, stored layout, first axis all samples.
    """

    outputs: Mapping[str, NDArray[np.generic]]
    ports: Mapping[str, Port]
    layers: tuple[LayerResult, ...]
    samples: int
    level: Level
    cycles: int | None
    tensors: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)
