"""Cycles of a network that is known by its shapes alone."""

import os
from pathlib import Path

from accel_sim.analysis.choices import Hardware, resolve_hardware
from accel_sim.analysis.provenance import Provenance
from accel_sim.sim.result import RunResult

NO_DATA = "cycles only: a topology has shapes and no weights; nothing was computed"


def time_topology(path: str | os.PathLike[str], hardware: Hardware) -> tuple[Provenance, RunResult]:
    """Cycles, traffic and energy of the layers of a SCALE-Sim topology file on an accelerator.

    Args:
        path: a CSV file (`frontend.topology`).
        hardware: a preset's name, a TOML file or a configuration.

    Raises:
        ModelError: not a topology; every wrong row is listed. CompileError: tiles that fit no memory.
    """
    from accel_sim.compiler.topology import compile_topology
    from accel_sim.frontend.topology import load_topology
    from accel_sim.sim.topology import time_only

    config = resolve_hardware(hardware)
    topology = load_topology(Path(path))
    result = time_only(compile_topology(topology, config), config)
    return Provenance(topology.name, topology.sha256, "none", config, NO_DATA), result


def is_topology(path: str | os.PathLike[str]) -> bool:
    """Whether a model's name is that of a topology file: models are known by their contents, CSV by its name."""
    return Path(path).suffix.lower() == ".csv"
