"""The slope of a PReLU table."""

from accel_sim.records import dataclass


@dataclass(frozen=True)
class PReluSlope:
    """One slope of a PReLU: scale * (code - zero_point)."""

    code: int
    scale: float
    zero_point: int
