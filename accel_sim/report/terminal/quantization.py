"""A quantization report on the terminal."""

import math

from rich.console import Group
from rich.text import Text

from accel_sim.quantization.quantization_report import LayerQuality, QuantizationReport, Step
from accel_sim.report.terminal.fitted import Cell, Column, FittedTable, Side
from accel_sim.report.terminal.style import decibel, facts, page, percent, samples

_MOST_NOTES = 4  # of one step; the JSON report has all


def quantization_page(report: QuantizationReport) -> Group:
    """The steps in their order, then the layers."""
    return page(
        Text.assemble((report.model, "bold"), f"   recipe {report.recipe}"),
        facts([pair for step in report.steps for pair in _step(step)]),
        _legend(report),
        _layers(report) if report.stages else None,
    )


def _step(step: Step) -> list[tuple[str, str]]:
    notes = [("", note) for note in step.notes[:_MOST_NOTES]]
    more = len(step.notes) - _MOST_NOTES
    return [(step.name, step.summary), *notes, *([("", f"and {more} more")] if more > 0 else [])]


def _legend(report: QuantizationReport) -> Text:
    if not report.stages:
        return Text("errors of layers were not measured: no calibration data", "dim")
    return Text(f"signal to noise of each layer's result, in dB, after each step, on {samples(report.samples)}", "dim")


def _layers(report: QuantizationReport) -> FittedTable:
    rounded = any(layer.gain != 1.0 for layer in report.layers)
    columns = [Column("Layer", Side.NAME), Column("Operator", Side.LEFT, keep=1), Column("Weights", Side.LEFT, keep=2)]
    columns += [Column(stage) for stage in report.stages]
    columns += [Column("AdaRound's error", keep=3), Column("unsettled", keep=3)] if rounded else []
    return FittedTable(tuple(columns), [_row(layer, rounded=rounded) for layer in report.layers])


def _row(layer: LayerQuality, *, rounded: bool) -> list[Cell]:
    ratios = ["" if math.isnan(value) else decibel(value) for value in layer.signal_to_noise_db]
    figures = [f"{layer.gain:.2f} of nearest", percent(layer.unsettled)] if rounded else []
    return [layer.node, layer.operator, layer.weights, *ratios, *figures]
