"""What a schedule is made of: stretches of work of the accelerator's units, and what memories hold."""

from collections.abc import Mapping
from dataclasses import field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from accel_sim.records import dataclass

Cycles = NDArray[np.int64]
Floats = NDArray[np.float64]


class Unit(Enum):
    """A part of the accelerator that is busy or idle."""

    DMA = "DMA"
    WEIGHT_SRAM = "weight SRAM"
    ACTIVATION_SRAM = "activation SRAM"
    ACCUMULATOR_SRAM = "accumulator SRAM"
    GRID = "grid"
    POST_PROCESSING = "post-processing"
    VECTOR = "vector unit"


@dataclass(frozen=True)
class Span:
    """A stretch of work, [start, end) in cycles from the command's start; `size_bytes` where it moves bytes."""

    unit: Unit
    name: str
    start: int
    end: int
    size_bytes: int = 0


@dataclass(frozen=True)
class Schedule:
    """One command in time.

    Attributes:
        cycles: from start to end, as CommandTiming has it.
        spans: per unit in order, not overlapping.
        occupancy: bytes that a memory holds from a cycle on: (cycle, bytes) in order, 0 at the end.
    """

    cycles: int
    spans: tuple[Span, ...]
    occupancy: Mapping[Unit, tuple[tuple[int, int], ...]] = field(default_factory=dict)


def whole_cycles(times: Floats | float) -> Cycles:
    """Times rounded up to cycles, but for the last bits of sums of fractions; monotonic, and exact for n + time."""
    return np.ceil(np.round(np.asarray(times, np.float64), 6)).astype(np.int64)
