"""A run on the terminal: what each layer cost, the totals, the outputs."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.text import Text

from accel_sim.analysis.roofline import Bound, Roofline
from accel_sim.program import Port
from accel_sim.report.run_report import RunReport
from accel_sim.report.terminal.fitted import Column, FittedTable, Side
from accel_sim.report.terminal.style import (
    bar,
    count,
    facts,
    headline,
    page,
    percent,
    samples,
    scaled,
    short_count,
    size_bytes,
)
from accel_sim.sim.result import LayerResult

_SHOWN_CODES = 12
_BOUNDS = {Bound.COMPUTE: "grid", Bound.MEMORY: "DRAM"}
_Cell = Callable[[LayerResult], str | Text]
_OUTPUT_COLUMNS = (
    Column("Output", Side.NAME),
    Column("Type", Side.LEFT),
    Column("Scale"),
    Column("Zero point"),
    Column("Codes", Side.LEFT, keep=1),
)


def run_page(report: RunReport) -> Group:
    """Headline, layers, totals, outputs."""
    return page(
        headline(report.provenance, f"level {report.result.level.value}"),
        _layers(report),
        facts(totals(report)),
        *([_outputs(report)] if report.result.outputs else []),
    )


def _layers(report: RunReport) -> FittedTable:
    columns = _columns(report)
    cells = columns.values()
    return FittedTable(tuple(columns), [[cell(layer) for cell in cells] for layer in report.result.layers])


def _columns(report: RunReport) -> dict[Column, _Cell]:
    """The columns for which the level of the run has figures."""
    layers, cycles = report.result.layers, report.result.cycles
    columns: dict[Column, _Cell] = {
        Column("Layer", Side.NAME): lambda layer: layer.name,
        Column("Operator", Side.LEFT, keep=2): lambda layer: layer.op,
        Column("MACs", keep=3): lambda layer: short_count(layer.macs),
    }
    if cycles:
        longest = max((layer.cycles or 0 for layer in layers), default=0) or 1
        columns[Column("Cycles")] = lambda layer: count(layer.cycles)
        columns[Column("Time", Side.LEFT, keep=1)] = lambda layer: bar((layer.cycles or 0) / longest, 8)
        columns[Column("Stalled")] = lambda layer: _stalled(layer)
        columns[Column("PE use")] = lambda layer: percent(layer.utilization)
        points = report.roofline.layers if report.roofline else ()
        bounds = {point.name: _BOUNDS[point.bound] for point in points}
        columns[Column("Bound", Side.LEFT, keep=1)] = lambda layer: bounds.get(layer.name, "")
    if any(layer.accumulator_min is not None for layer in layers):
        columns[Column("Acc. min", keep=4)] = lambda layer: count(layer.accumulator_min)
        columns[Column("Acc. max", keep=4)] = lambda layer: count(layer.accumulator_max)
    if any(layer.overflow_events for layer in layers):
        columns[Column("Overflows")] = lambda layer: count(layer.overflow_events)
    return columns


def _stalled(layer: LayerResult) -> str:
    return percent((layer.stall_cycles or 0) / layer.cycles) if layer.cycles else ""


def totals(report: RunReport) -> list[tuple[str, str]]:
    """The network's figures as names and values."""
    sums, result, hardware = report.totals, report.result, report.provenance.hardware
    rows = [("MACs", f"{sums.macs:,} per sample, {samples(result.samples)}")]
    if result.cycles is not None:
        rows.append(("cycles", f"{result.cycles:,} per sample{_time(report)}"))
    if result.cycles and sums.stall_cycles is not None:
        share = percent(sums.stall_cycles / result.cycles)
        rows.append(("stalled", f"{sums.stall_cycles:,} cycles, {share}{_causes(sums.stalls, sums.stall_cycles)}"))
    if sums.utilization is not None and hardware is not None:
        rows.append(("PE use", f"{percent(sums.utilization)} of {hardware.grid.rows} x {hardware.grid.columns}"))
    if report.roofline is not None and report.roofline.layers:
        rows.append(("roofline", _roof(report.roofline)))
    if sums.traffic:
        rows += _traffic(sums.traffic)
    if sums.energy_pj is not None:
        rows.append(("energy", f"{scaled(sums.energy_pj * 1e-12, 'J')} per sample"))
    if sums.overflow_events is not None:
        rows.append(("overflows", f"{sums.overflow_events:,} additions that did not fit"))
    return rows


def _traffic(traffic: dict[str, int]) -> list[tuple[str, str]]:
    """Bytes moved off the chip, and to and from all memories on it."""
    rows = []
    for title, is_meant in (("DRAM", "dram".__eq__), ("SRAM", "dram".__ne__)):
        read, written = (
            sum(n for name, n in traffic.items() if name.endswith(verb) and is_meant(name.removesuffix(verb)))
            for verb in ("_read", "_write")
        )
        rows.append((title, f"{size_bytes(read)} read, {size_bytes(written)} written, per sample"))
    return rows


def _causes(stalls: dict[str, int], total: int) -> str:
    """What the cycles waited for, the most first; nothing where some layers do not tell."""
    if not total or sum(stalls.values()) != total:
        return ""
    ordered = sorted(stalls.items(), key=lambda item: -item[1])
    return f" ({', '.join(f'{name} {cycles:,}' for name, cycles in ordered)})"


def _roof(roof: Roofline) -> str:
    """How many layers each limit binds, and where the two meet."""
    bound = sum(layer.bound is Bound.MEMORY for layer in roof.layers)
    return (
        f"{bound} of {len(roof.layers)} layers bound by DRAM: fewer than {roof.ridge_intensity:.4g} operations a byte"
    )


def _time(report: RunReport) -> str:
    hardware, cycles = report.provenance.hardware, report.result.cycles
    if hardware is None or not cycles:
        return ""
    return f", {scaled(cycles / (hardware.clock_mhz * 1e6), 's')} at {hardware.clock_mhz:g} MHz"


def _outputs(report: RunReport) -> FittedTable:
    rows = []
    for name, codes in report.result.outputs.items():
        grid = _grid(report.result.ports.get(name))
        rows.append([name, f"{codes.dtype}{list(codes.shape)}", *grid, _first(codes)])
    return FittedTable(_OUTPUT_COLUMNS, rows)


def _grid(port: Port | None) -> tuple[str, str]:
    if port is None or port.quant is None:
        return "", ""
    return f"{port.quant.scale[0]:.6g}", str(port.quant.zero_point[0])


def _first(codes: NDArray[np.generic]) -> str:
    values = " ".join(str(v) for v in codes.reshape(-1)[:_SHOWN_CODES])
    return f"{values} …" if codes.size > _SHOWN_CODES else values
