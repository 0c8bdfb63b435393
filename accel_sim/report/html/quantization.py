"""A quantization report as a page: what was done, in which order, and what it did to every layer's error."""

import math

from accel_sim.quantization.quantization_report import LayerQuality, QuantizationReport, Step, median_decibels
from accel_sim.report.html.about import versions_table
from accel_sim.report.html.curves import Panel, curves
from accel_sim.report.html.figures import SERIES_TONES, Figure, Series
from accel_sim.report.html.page import LAYER_COLUMN, Column, Page, Row, Section, Table, Tile, named, present
from accel_sim.report.terminal.fitted import distinguishing
from accel_sim.report.terminal.style import decibel, percent, samples


def quantization_page(report: QuantizationReport) -> Page:
    """Summary, steps, layers, versions."""
    stages = _medians(report)
    verdict = f"{len(report.layers)} layers with weights, {len(report.steps)} steps."
    return Page(
        kind="Post-training quantization",
        subject=report.model,
        about=f"recipe {report.recipe} · {_measured(report)}",
        verdict=verdict,
        mark="good",
        tiles=tuple(Tile(name, f"{decibel(value)} dB", "median of the layers") for name, value in stages),
        sections=present(_steps(report), _layers(report), Section("Provenance", tables=(versions_table(),))),
    )


def _measured(report: QuantizationReport) -> str:
    return f"errors measured on {samples(report.samples)}" if report.stages else "errors not measured: no data"


def _medians(report: QuantizationReport) -> list[tuple[str, float]]:
    found = []
    for i, name in enumerate(report.stages):
        found.append((name, median_decibels({layer.node: layer.signal_to_noise_db[i] for layer in report.layers})))
    return [(name, value) for name, value in found if not math.isnan(value)]


def _steps(report: QuantizationReport) -> Section:
    heads = (Column("Step", text=True), Column("What it did", text=True, wide=True))
    rows = [row for step in report.steps for row in _step(step)]
    return Section("Steps", tables=(Table("In the order in which they were done", heads, tuple(rows)),))


def _step(step: Step) -> list[Row]:
    return [(step.name, step.summary), *(("", note) for note in step.notes)]


def _layers(report: QuantizationReport) -> Section | None:
    if not report.layers:
        return None
    rounded = any(layer.gain != 1.0 for layer in report.layers)
    names = distinguishing([layer.node for layer in report.layers])
    heads = [Column("#"), LAYER_COLUMN, Column("Operator", text=True), Column("Weights", text=True)]
    heads += [Column(f"{stage}, dB") for stage in report.stages]
    heads += [Column("AdaRound's error"), Column("Unsettled")] if rounded else []
    rows = tuple(_row(i, names[i], layer, rounded=rounded) for i, layer in enumerate(report.layers))
    note = "Signal to noise of each layer's result against the float network, after each step, with all before it."
    return Section("Layers", note, _figure(report), (Table("Layers", tuple(heads), rows),))


def _row(index: int, name: str, layer: LayerQuality, *, rounded: bool) -> Row:
    ratios = ["" if math.isnan(value) else decibel(value) for value in layer.signal_to_noise_db]
    figures = [f"{layer.gain:.2f} of nearest", percent(layer.unsettled)] if rounded else []
    return (f"{index + 1}", named(name, layer.node), layer.operator, layer.weights, *ratios, *figures)


def _figure(report: QuantizationReport) -> tuple[Figure, ...]:
    if not report.stages:
        return ()
    series = []
    for i, name in enumerate(report.stages):
        values = [layer.signal_to_noise_db[i] for layer in report.layers]
        series.append(
            Series(name, tuple(v if math.isfinite(v) else None for v in values), SERIES_TONES[i % len(SERIES_TONES)])
        )
    alt = "a line per step over the layers: the higher, the nearer to the float network"
    x = [float(i + 1) for i in range(len(report.layers))]
    panel = Panel("signal to noise, dB", tuple(series))
    return (curves("Error of each layer", alt, x=x, x_label="layer, by its number in the table", panels=[panel]),)
