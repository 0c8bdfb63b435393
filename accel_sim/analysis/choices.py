"""What a user chooses by name: the accelerator, the arithmetic, the level of detail; and the defaults."""

import os

from accel_sim.arguments import choice_faults, number_faults, wrong_kind
from accel_sim.compiler import default_profile
from accel_sim.errors import InputError
from accel_sim.hardware import AcceleratorConfig, load_hardware
from accel_sim.ir import Graph
from accel_sim.numerics.profiles import Profile, get_profile
from accel_sim.program import Program
from accel_sim.sim.result import Level

Hardware = AcceleratorConfig | str | os.PathLike[str]
DEFAULT_ACCUMULATORS = (16, 20, 24, 32)
"""Widths that an overflow analysis judges, in bits."""
MOST_THREADS = 1024
"""More than any machine that this runs on has; a larger number is a mistake."""
_LEVELS = {level.value: level for level in Level}


def check_graph(graph: object) -> None:
    """TypeError where something else than a network is given for one."""
    if not isinstance(graph, Graph):
        raise wrong_kind("graph", graph, "is a Graph (accel_sim.load and accel_sim.quantize make one)")


def check_program(program: object) -> None:
    """TypeError where something else than a compiled network is given for one."""
    if not isinstance(program, Program):
        raise wrong_kind("program", program, "is a Program (accel_sim.compile makes one of a Graph)")


def check_threads(threads: object) -> None:
    """InputError where a number of threads is none."""
    if threads is not None:
        faults = number_faults({"threads": (threads, 1, MOST_THREADS)})
        if faults:
            raise InputError("threads", faults)


def resolve_hardware(hardware: Hardware) -> AcceleratorConfig:
    """A configuration as it is, or from a preset's name or a TOML file."""
    if not isinstance(hardware, AcceleratorConfig | str | os.PathLike):
        raise wrong_kind("hardware", hardware, "is a preset's name, the path of a TOML file, or an AcceleratorConfig")
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
    raise InputError("level", choice_faults("level", level, _LEVELS))
