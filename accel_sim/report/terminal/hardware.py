"""Accelerators on the terminal."""

from collections.abc import Iterable

from rich.console import Group

from accel_sim.hardware import AcceleratorConfig
from accel_sim.report.terminal.fitted import Column, FittedTable, Side
from accel_sim.report.terminal.style import facts, page, size_bytes

_COLUMNS = (
    Column("Preset", Side.LEFT),
    Column("Grid"),
    Column("Dataflow", Side.LEFT),
    Column("Accumulator", Side.LEFT, keep=2),
    Column("SRAM", keep=3),
    Column("Clock", keep=1),
)


def hardware_page(configurations: Iterable[AcceleratorConfig]) -> Group:
    """The presets in a table, then what each is."""
    listed = tuple(configurations)
    return page(
        FittedTable(_COLUMNS, [_row(config) for config in listed]),
        facts((config.name, config.description) for config in listed),
    )


def _row(config: AcceleratorConfig) -> list[str]:
    return [
        config.name,
        f"{config.grid.rows}x{config.grid.columns}",
        config.grid.dataflow.value,
        f"{config.accumulator.bits}-bit {config.accumulator.overflow.value}",
        size_bytes(_sram_bytes(config)),
        f"{config.clock_mhz:g} MHz",
    ]


def _sram_bytes(config: AcceleratorConfig) -> int:
    memory = config.memory
    return memory.weight_sram_bytes + memory.activation_sram_bytes + memory.accumulator_sram_bytes
