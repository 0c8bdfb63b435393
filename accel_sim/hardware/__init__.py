"""Accelerators: AcceleratorConfig, its presets and its TOML form."""

from accel_sim.hardware.config import (
    AcceleratorConfig,
    AccumulatorConfig,
    Dataflow,
    EnergyConfig,
    GridConfig,
    TimingConfig,
    TimingModel,
    VectorConfig,
)
from accel_sim.hardware.load import DEFAULT_HARDWARE, load_hardware, parse_hardware, preset_names
from accel_sim.hardware.memory import MemoryConfig, SramConfig
from accel_sim.hardware.schema import all_keys, to_toml
from accel_sim.hardware.structures import load_structure, parse_structure, resolve_structure, structure_names
from accel_sim.numerics.accumulators import OverflowPolicy

__all__ = [
    "DEFAULT_HARDWARE",
    "AcceleratorConfig",
    "AccumulatorConfig",
    "Dataflow",
    "EnergyConfig",
    "GridConfig",
    "MemoryConfig",
    "OverflowPolicy",
    "SramConfig",
    "TimingConfig",
    "TimingModel",
    "VectorConfig",
    "all_keys",
    "load_hardware",
    "load_structure",
    "parse_hardware",
    "parse_structure",
    "preset_names",
    "resolve_structure",
    "structure_names",
    "to_toml",
]
