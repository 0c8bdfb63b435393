"""What a report is about: the model, the arithmetic, the machine and the data."""

from accel_sim.hardware import AcceleratorConfig
from accel_sim.records import dataclass


@dataclass(frozen=True)
class Provenance:
    """Everything that the figures of a report depend on.

    Attributes:
        model: the network's name. sha256: of the model file, "" for a graph that was built in memory.
        profile: name of the arithmetic profile.
        hardware: the machine, None for an analysis without one.
        inputs: where the data came from, as a phrase ("360 samples from digits.npz").
    """

    model: str
    sha256: str
    profile: str
    hardware: AcceleratorConfig | None
    inputs: str
