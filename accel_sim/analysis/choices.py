"""What a user chooses by name: the accelerator, the arithmetic, the level of detail; and the defaults."""

import os
from numbers import Integral

from accel_sim.compiler import default_profile
from accel_sim.errors import Fault, InputError
from accel_sim.hardware import AcceleratorConfig, load_hardware
from accel_sim.ir import Graph
from accel_sim.numerics.profiles import Profile, get_profile
from accel_sim.program import Program
from accel_sim.sim.result import Level

Hardware = AcceleratorConfig | str | os.PathLike[str]
DEFAULT_ACCUMULATORS = (16, 20, 24, 32)
"""Widths that an overflow analysis judges, in bits."""
_LEVELS = {level.value: level for level in Level}


def check_graph(graph: object) -> None:
    """TypeError where something else than a network is given for one."""
    if not isinstance(graph, Graph):
        raise TypeError(f"graph: {type(graph).__name__}: is a Graph (accel_sim.load and accel_sim.quantize make one)")


def check_program(program: object) -> None:
    """TypeError where something else than a compiled network is given for one."""
    if not isinstance(program, Program):
        raise TypeError(f"program: {type(program).__name__}: is a Program (accel_sim.compile makes one of a Graph)")


def check_threads(threads: object) -> None:
    """InputError where a number of threads is none."""
    if threads is not None and not (isinstance(threads, Integral) and int(threads) >= 1):
        raise InputError("threads", [Fault("threads", repr(threads), "is a whole number, at least 1, or None")])


def resolve_hardware(hardware: Hardware) -> AcceleratorConfig:
    """A configuration as it is, or from a preset's name or a TOML file."""
    if not isinstance(hardware, AcceleratorConfig | str | os.PathLike):
        kind = type(hardware).__name__
        raise TypeError(f"hardware: {kind}: is a preset's name, the path of a TOML file, or an AcceleratorConfig")
    return hardware if isinstance(hardware, AcceleratorConfig) else load_hardware(hardware)


def resolve_profile(profile: str | Profile | None, graph: Graph) -> Profile:
    """A profile as it is, by name, or the default of the graph's format."""
    check_graph(graph)
    if isinstance(profile, Profile):
        return profile
    return default_profile(graph) if profile is None else get_profile(profile)


def resolve_level(level: str | Level) -> Level:
    """A level as it is, or by name."""
    if isinstance(level, Level):
        return level
    if isinstance(level, str) and level in _LEVELS:
        return _LEVELS[level]
    raise InputError("level", [Fault("level", repr(level), f"is one of {', '.join(_LEVELS)}")])
