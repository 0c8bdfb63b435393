"""A run as a page: what each layer cost, where the time and the energy go, what the accumulators held."""

import hashlib
from collections.abc import Callable

import numpy as np

from accel_sim.report.html.about import about_line, about_section, digest
from accel_sim.report.html.columns import columns
from accel_sim.report.html.figures import SERIES_TONES, Figure, Series, Tone
from accel_sim.report.html.page import LAYER_COLUMN, Cell, Column, Page, Row, Section, Table, Tile, named, present
from accel_sim.report.html.ranges import Ranges, ranges
from accel_sim.report.html.roofs import roof_figure
from accel_sim.report.run_report import RunReport
from accel_sim.report.terminal.fitted import distinguishing
from accel_sim.report.terminal.style import count, percent, samples, scaled, size_bytes
from accel_sim.sim.result import LayerResult

_Cell = Callable[[LayerResult], str | Cell]


def run_page(report: RunReport) -> Page:
    """Summary, layers, time, traffic, energy, accumulators, outputs, provenance."""
    result = report.result
    return Page(
        kind="Run on the simulated accelerator",
        subject=report.provenance.model,
        about=about_line(report.provenance, f"level {result.level.value}"),
        verdict=_verdict(report),
        mark="bad" if report.totals.overflow_events else "good",
        tiles=tuple(_tiles(report)),
        sections=present(
            _network(report),
            _time(report),
            _traffic(report),
            _energy(report),
            _accumulators(report),
            _outputs(report),
            about_section(report.provenance, result.samples),
        ),
    )


def _names(report: RunReport) -> list[str]:
    return [layer.name for layer in report.result.layers]


def _verdict(report: RunReport) -> str:
    result, sums = report.result, report.totals
    text = f"{len(result.layers)} layers, {scaled(sums.macs, '').rstrip()} multiply-accumulates per sample"
    if sums.overflow_events is None:
        return text
    events = f"{sums.overflow_events:,} additions did not fit" if sums.overflow_events else "no addition overflowed"
    return f"{text}; {events} the accumulators" if sums.overflow_events else f"{text}; {events}"


def _tiles(report: RunReport) -> list[Tile]:
    result, sums, hardware = report.result, report.totals, report.provenance.hardware
    tiles = [Tile("multiply-accumulates", scaled(sums.macs, "").rstrip(), f"{sums.macs:,} per sample")]
    if result.cycles is not None:
        time = scaled(result.cycles / (hardware.clock_mhz * 1e6), "s") if hardware else ""
        tiles.append(Tile("cycles", scaled(result.cycles, "").rstrip(), f"{result.cycles:,} per sample"))
        if hardware and result.cycles:
            tiles.append(Tile("time", time, f"per sample at {hardware.clock_mhz:g} MHz"))
    if sums.utilization is not None and hardware is not None:
        grid = f"of {hardware.grid.rows} x {hardware.grid.columns} processing elements"
        tiles.append(Tile("utilization", percent(sums.utilization), grid))
    if result.cycles and sums.stall_cycles is not None:
        note = f"{sums.stall_cycles:,} cycles waiting for memory"
        tiles.append(Tile("stalled", percent(sums.stall_cycles / result.cycles), note))
    if sums.traffic:
        moved = sum(n for name, n in sums.traffic.items() if name.startswith("dram"))
        tiles.append(Tile("DRAM traffic", size_bytes(moved), "read and written, per sample"))
    if sums.energy_pj is not None:
        tiles.append(Tile("energy", scaled(sums.energy_pj * 1e-12, "J"), "per sample"))
    if sums.overflow_events is not None:
        mark = "bad" if sums.overflow_events else "good"
        tiles.append(Tile("overflows", f"{sums.overflow_events:,}", f"in {samples(result.samples)}", mark))
    return tiles


def _network(report: RunReport) -> Section:
    cells = _cells(report)
    names = distinguishing(_names(report))
    rows: list[Row] = [
        (str(i + 1), named(name, layer.name), *(cell(layer) for cell in cells.values()))
        for i, (name, layer) in enumerate(zip(names, report.result.layers, strict=True))
    ]
    heads = (Column("#"), LAYER_COLUMN, *cells)
    return Section("Network", tables=(Table("Layers in order of execution, per sample", heads, tuple(rows)),))


def _cells(report: RunReport) -> dict[Column, _Cell]:
    """The columns for which the level of the run has figures."""
    layers = report.result.layers
    cells: dict[Column, _Cell] = {Column("Operator", text=True): lambda layer: layer.op}
    most = max((layer.macs for layer in layers), default=0) or 1
    cells[Column("MACs")] = lambda layer: Cell(count(layer.macs), layer.macs / most)
    if report.result.cycles:
        longest = max((layer.cycles or 0 for layer in layers), default=0) or 1
        cells[Column("Cycles")] = lambda layer: Cell(count(layer.cycles), (layer.cycles or 0) / longest)
        cells[Column("Stalled")] = lambda layer: _share(layer.stall_cycles, layer.cycles)
        cells[Column("PE use")] = lambda layer: Cell(percent(layer.utilization), layer.utilization or 0.0)
    if any(layer.traffic for layer in layers):
        cells[Column("DRAM bytes")] = lambda layer: count(_dram(layer)) if layer.traffic else ""
    if any(layer.energy_pj is not None for layer in layers):
        cells[Column("Energy")] = lambda layer: "" if layer.energy_pj is None else scaled(layer.energy_pj * 1e-12, "J")
    if any(layer.overflow_events for layer in layers):
        cells[Column("Overflows")] = lambda layer: Cell(
            count(layer.overflow_events), mark="bad" if layer.overflow_events else ""
        )
    return cells


def _share(part: int | None, whole: int | None) -> str | Cell:
    share = (part or 0) / whole if whole else None
    return "" if share is None else Cell(percent(share), share)


def _dram(layer: LayerResult) -> int:
    return sum(n for name, n in layer.traffic.items() if name.startswith("dram"))


def _time(report: RunReport) -> Section | None:
    layers = report.result.layers
    if not report.result.cycles:
        return None
    reasons = list(report.totals.stalls) if _stalls_told(report) else []
    busy = tuple(float((layer.cycles or 0) - (layer.stall_cycles or 0)) for layer in layers)
    parts = [Series("computing", busy, Tone.FIRST)]
    if reasons:
        parts += [
            Series(f"stalled: {reason}", tuple(float(layer.stalls.get(reason, 0)) for layer in layers), tone)
            for reason, tone in zip(reasons, SERIES_TONES[1:], strict=False)
        ]
    elif any(layer.stall_cycles for layer in layers):
        parts.append(Series("stalled", tuple(float(layer.stall_cycles or 0) for layer in layers), Tone.SECOND))
    alt = "one column per layer: cycles of computing, and of waiting for memory on top"
    figures = [columns("Cycles per layer", alt, _names(report), parts, y_label="cycles per sample", form=_short)]
    if report.roofline is not None and report.roofline.layers:
        figures.append(roof_figure(report.roofline, report.result.layers))
    return Section("Time", _slowest(report), tuple(figures))


def _stalls_told(report: RunReport) -> bool:
    """Whether all cycles stalled have a reason."""
    sums = report.totals
    return bool(sums.stalls) and sum(sums.stalls.values()) == sums.stall_cycles


def _slowest(report: RunReport) -> str:
    layer = max(report.result.layers, key=lambda item: item.cycles or 0)
    number = report.result.layers.index(layer) + 1
    share = percent((layer.cycles or 0) / (report.result.cycles or 1))
    return f"Layer {number} ({layer.op}) takes longest: {share} of all cycles."


def _short(value: float) -> str:
    return scaled(value, "").rstrip() if value >= 1000 else f"{value:g}"


def _traffic(report: RunReport) -> Section | None:
    memories = [name for name, total in report.totals.traffic.items() if total]
    if not memories:
        return None
    layers = report.result.layers
    dram = [name for name in memories if name.startswith("dram")]
    figures = [
        _moved(f"{title} traffic per layer", names, layers)
        for title, names in (("DRAM", dram), ("On-chip memory", [n for n in memories if n not in dram]))
        if names
    ]
    return Section("Traffic", "", tuple(figures))


def _moved(title: str, names: list[str], layers: tuple[LayerResult, ...]) -> Figure:
    parts = [
        Series(
            name.replace("_", " ").replace("dram", "DRAM").replace("sram", "SRAM"),
            tuple(float(layer.traffic.get(name, 0)) for layer in layers),
            tone,
        )
        for name, tone in zip(names, SERIES_TONES, strict=False)
    ]
    alt = f"one column per layer: bytes per sample, {', '.join(part.name for part in parts)}"
    return columns(title, alt, [layer.name for layer in layers], parts, y_label="per sample", scale="bytes")


def _energy(report: RunReport) -> Section | None:
    layers = report.result.layers
    if not report.totals.energy_pj:
        return None
    values = tuple(None if layer.energy_pj is None else layer.energy_pj * 1e-12 for layer in layers)
    figure = columns(
        "Energy per layer",
        "one column per layer: energy of one sample",
        _names(report),
        [Series("energy", values)],
        y_label="per sample",
        form=lambda value: scaled(value, "J") if value else "0",
    )
    return Section("Energy", figures=(figure,))


def _accumulators(report: RunReport) -> Section | None:
    layers, hardware = report.result.layers, report.provenance.hardware
    held = tuple(
        None if a is None or b is None else (a, b)
        for a, b in ((layer.accumulator_min, layer.accumulator_max) for layer in layers)
    )
    if not any(held):
        return None
    bits = [] if hardware is None else [hardware.accumulator.bits]
    alt = "one bar per layer: smallest and largest value of any accumulator, against what the accumulators can hold"
    figure = ranges("Accumulator ranges", alt, _names(report), [Ranges("observed", held, Tone.FIRST)], bits)
    heads = (Column("#"), LAYER_COLUMN, Column("Smallest"), Column("Largest"), Column("Events"))
    names = distinguishing(_names(report))
    rows = tuple(
        (str(i + 1), named(names[i], layer.name), count(reach[0]), count(reach[1]), count(layer.overflow_events))
        for i, (layer, reach) in enumerate(zip(layers, held, strict=True))
        if reach is not None
    )
    note = f"Over {samples(report.result.samples)}, at every addition."
    return Section("Accumulators", note, (figure,), (Table("Values of the accumulators", heads, rows, folded=True),))


def _outputs(report: RunReport) -> Section | None:
    rows: list[Row] = []
    for name, codes in report.result.outputs.items():
        port = report.result.ports.get(name)
        grid = port.quant if port else None
        scale, zero = (f"{grid.scale[0]:.9g}", str(grid.zero_point[0])) if grid else ("", "")
        content = hashlib.sha256(np.ascontiguousarray(codes).tobytes()).hexdigest()
        rows.append((name, f"{codes.dtype}{list(codes.shape)}", scale, zero, digest(content)))
    if not rows:
        return None
    heads = ("Output", "Type"), ("Scale", "Zero point"), ("SHA-256 of the codes",)
    head = tuple(Column(name, text=i != 1, wide=name == "Output") for i, group in enumerate(heads) for name in group)
    return Section("Outputs", tables=(Table("Outputs of the network", head, tuple(rows)),))
