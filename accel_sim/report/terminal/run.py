"""A run on the terminal: what each layer cost, the totals, the outputs."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.table import Table
from rich.text import Text

from accel_sim.program import Port
from accel_sim.report.run_report import RunReport
from accel_sim.report.terminal.style import (
    bar,
    count,
    facts,
    headline,
    page,
    percent,
    scaled,
    shorten,
    size_bytes,
    table,
)
from accel_sim.sim.result import LayerResult

_SHOWN_CODES = 12


def run_page(report: RunReport) -> Group:
    """Headline, layers, totals, outputs."""
    return page(
        headline(report.provenance, f"level {report.result.level.value}"),
        _layers(report),
        facts(_totals(report)),
        _outputs(report),
    )


def _layers(report: RunReport) -> Table:
    columns = _columns(report)
    sides = {name: "left" if name in ("Layer", "Operator", "Time") else "right" for name in columns}
    made = table("", **sides)
    for layer in report.result.layers:
        made.add_row(*[cell(layer) for cell in columns.values()])
    return made


def _columns(report: RunReport) -> dict[str, Callable[[LayerResult], str | Text]]:
    """The columns for which the level of the run has figures."""
    layers, cycles = report.result.layers, report.result.cycles
    columns: dict[str, Callable[[LayerResult], str | Text]] = {
        "Layer": lambda layer: shorten(layer.name),
        "Operator": lambda layer: layer.op,
        "MACs": lambda layer: count(layer.macs) if layer.macs else "",
    }
    if cycles:
        longest = max((layer.cycles or 0 for layer in layers), default=0) or 1
        columns["Cycles"] = lambda layer: count(layer.cycles)
        columns["Time"] = lambda layer: bar((layer.cycles or 0) / longest, 8)
        columns["Stalled"] = lambda layer: percent((layer.stall_cycles or 0) / layer.cycles) if layer.cycles else ""
        columns["PE_use"] = lambda layer: percent(layer.utilization)
    if any(layer.accumulator_min is not None for layer in layers):
        columns["Accumulator_min"] = lambda layer: count(layer.accumulator_min)
        columns["max"] = lambda layer: count(layer.accumulator_max)
    if any(layer.overflow_events for layer in layers):
        columns["Overflows"] = lambda layer: count(layer.overflow_events)
    return columns


def _totals(report: RunReport) -> list[tuple[str, str]]:
    totals, result, hardware = report.totals, report.result, report.provenance.hardware
    rows = [("MACs", f"{totals.macs:,} per sample, {result.samples:,} samples")]
    if result.cycles is not None:
        rows.append(("cycles", f"{result.cycles:,} per sample{_time(report)}"))
    if result.cycles and totals.stall_cycles is not None:
        rows.append(("stalled", f"{totals.stall_cycles:,} cycles, {percent(totals.stall_cycles / result.cycles)}"))
    if totals.utilization is not None and hardware is not None:
        rows.append(("PE use", f"{percent(totals.utilization)} of {hardware.grid.rows} x {hardware.grid.columns}"))
    if totals.traffic:
        rows.append(("traffic", ", ".join(f"{name} {size_bytes(n)}" for name, n in totals.traffic.items())))
    if totals.energy_pj is not None:
        rows.append(("energy", f"{scaled(totals.energy_pj * 1e-12, 'J')} per sample"))
    if totals.overflow_events is not None:
        rows.append(("overflows", f"{totals.overflow_events:,} additions that did not fit"))
    return rows


def _time(report: RunReport) -> str:
    hardware, cycles = report.provenance.hardware, report.result.cycles
    if hardware is None or not cycles:
        return ""
    return f", {scaled(cycles / (hardware.clock_mhz * 1e6), 's')} at {hardware.clock_mhz:g} MHz"


def _outputs(report: RunReport) -> Table:
    made = table("", Output="left", Type="left", Scale="right", Zero_point="right", Codes="left")
    for name, codes in report.result.outputs.items():
        port = report.result.ports.get(name)
        made.add_row(shorten(name), f"{codes.dtype}{list(codes.shape)}", *_grid(port), _first(codes))
    return made


def _grid(port: Port | None) -> tuple[str, str]:
    if port is None or port.quant is None:
        return "", ""
    return f"{port.quant.scale[0]:.6g}", str(port.quant.zero_point[0])


def _first(codes: NDArray[np.generic]) -> str:
    values = " ".join(str(v) for v in codes.reshape(-1)[:_SHOWN_CODES])
    return f"{values} …" if codes.size > _SHOWN_CODES else values
