"""What the figures of a report depend on: model, arithmetic, data, accelerator and versions."""

import math
import platform
from dataclasses import fields, is_dataclass
from enum import Enum
from importlib.metadata import version
from typing import Any

from accel_sim.analysis.provenance import Provenance
from accel_sim.hardware import AcceleratorConfig
from accel_sim.report.html.page import Cell, Column, Row, Section, Table, facts
from accel_sim.report.terminal.style import samples
from accel_sim.version import __version__

_SHOWN_DIGITS = 12


def about_line(provenance: Provenance, *more: str) -> str:
    """Profile, hardware and inputs in one line."""
    parts = [f"profile {provenance.profile}"]
    if provenance.hardware is not None:
        parts.append(f"hardware {provenance.hardware.name}")
    return " · ".join([*parts, *more, *([provenance.inputs] if provenance.inputs else [])])


def about_section(provenance: Provenance, count: int) -> Section:
    """Everything needed to make the report again.

    Args:
        provenance: of the report.
        count: of samples; 0 where none was run.
    """
    pairs = [("model", provenance.model)]
    if provenance.sha256:
        pairs.append(("model file, SHA-256", provenance.sha256))
    pairs += [("arithmetic profile", provenance.profile)]
    pairs += [("inputs", provenance.inputs)] if provenance.inputs else []
    pairs += [("samples", samples(count))] if count else []
    tables = [facts("What the figures depend on", [*pairs, *_versions()])]
    if provenance.hardware is not None:
        tables.append(hardware_table(provenance.hardware))
    return Section("Provenance", tables=tuple(tables))


def versions_table() -> Table:
    """The versions of what computed a report."""
    return facts("What the figures depend on", _versions())


def _versions() -> list[tuple[str, str]]:
    found = {"accel-sim": __version__, "Python": platform.python_version()}
    found |= {name: version(name) for name in ("numpy", "numba", "matplotlib")}
    return [(f"version of {name}", number) for name, number in found.items()]


def hardware_table(config: AcceleratorConfig) -> Table:
    """Every key of an accelerator, as its TOML file names it."""
    rows: list[Row] = [("description", config.description, ""), ("source", config.source, "")]
    rows += [row for row in _keys(config, "") if row[0] not in ("name", "description", "source")]
    shown = tuple(row for row in rows if row[1] != "")
    return Table(
        f"Accelerator {config.name}", (Column("Key", text=True), Column("Value", text=True, wide=True), _UNIT), shown
    )


_UNIT = Column("Unit", text=True)


def _keys(part: Any, prefix: str) -> list[Row]:
    rows: list[Row] = []
    for field in fields(part):
        value = getattr(part, field.name)
        if is_dataclass(value):
            rows += _keys(value, f"{prefix}{field.name}.")
        else:
            rows.append((f"{prefix}{field.name}", _value(value), field.metadata.get("unit", "")))
    return rows


def _value(value: object) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return "unlimited" if math.isinf(value) else f"{value:.{_SHOWN_DIGITS}g}"
    return str(value)


def digest(text: str) -> Cell:
    """A digest, its beginning shown."""
    return Cell(f"{text[:16]}…", title=text)
