"""What a user chooses by name: the accelerator, the arithmetic, the level of detail; and the defaults."""

import os

from accel_sim.compiler import default_profile
from accel_sim.errors import Fault, InputError
from accel_sim.hardware import AcceleratorConfig, load_hardware
from accel_sim.ir import Graph
from accel_sim.numerics.profiles import Profile, get_profile
from accel_sim.sim.result import Level

Hardware = AcceleratorConfig | str | os.PathLike[str]
DEFAULT_ACCUMULATORS = (16, 20, 24, 32)
"""Widths that an overflow analysis judges, in bits."""


def resolve_hardware(hardware: Hardware) -> AcceleratorConfig:
    """A configuration as it is, or from a preset's name or a TOML file."""
    return hardware if isinstance(hardware, AcceleratorConfig) else load_hardware(hardware)


def resolve_profile(profile: str | Profile | None, graph: Graph) -> Profile:
    """A profile as it is, by name, or the default of the graph's format."""
    if isinstance(profile, Profile):
        return profile
    return default_profile(graph) if profile is None else get_profile(profile)


def resolve_level(level: str | Level) -> Level:
    """A level as it is, or by name."""
    if isinstance(level, Level):
        return level
    try:
        return Level(level)
    except ValueError:
        names = ", ".join(known.value for known in Level)
        raise InputError("level", [Fault("level", repr(level), f"is one of {names}")]) from None
