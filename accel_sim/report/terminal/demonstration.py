"""The demonstration on the terminal."""

from rich.console import Group
from rich.text import Text

from accel_sim.report.demonstration import DemoLayer, DemoReport
from accel_sim.report.terminal.fitted import Cell, Column, FittedTable, Side
from accel_sim.report.terminal.run import totals
from accel_sim.report.terminal.style import bar, count, facts, headline, page, percent

_COLUMNS = (
    Column("Layer", Side.NAME),
    Column("Operator", Side.LEFT, keep=2),
    Column("Codes", keep=1),
    Column("Differing"),
    Column("Largest", keep=3),
    Column("Safe bits"),
    Column("Seen bits"),
    Column("Cycles"),
    Column("Time", Side.LEFT, keep=4),
    Column("PE use"),
)


def demonstration_page(report: DemoReport) -> Group:
    """Accuracies, one table of layers, totals."""
    longest = max((layer.result.cycles or 0 for layer in report.layers), default=0) or 1
    return page(
        headline(report.run.provenance),
        facts(_accuracies(report)),
        FittedTable(_COLUMNS, [_row(layer, longest) for layer in report.layers]),
        Text(_LEGEND, "dim"),
        facts([*totals(report.run), *_verdicts(report)]),
    )


_LEGEND = (
    "Differing: codes of the integer machine that the float32 fake-quant simulation gets wrong. Safe bits: accumulator "
    "width that no input can overflow, proved; seen bits: what these digits needed."
)


def _accuracies(report: DemoReport) -> list[tuple[str, str]]:
    accuracies = report.accuracies
    return [
        ("float network", percent(accuracies.floating)),
        ("fake-quant simulation", percent(accuracies.fake_quant)),
        ("integer machine", percent(accuracies.integer)),
    ]


def _row(layer: DemoLayer, longest: int) -> list[Cell]:
    result, mismatch, overflow = layer.result, layer.mismatch, layer.overflow
    cycles = result.cycles or 0
    return [
        result.name,
        result.op,
        count(mismatch.elements) if mismatch else "",
        count(mismatch.differing) if mismatch else "",
        f"{mismatch.largest_lsb} LSB" if mismatch and mismatch.differing else "",
        str(overflow.safe_bits) if overflow else "",
        str(overflow.observed.bits) if overflow and overflow.observed else "",
        count(cycles),
        bar(cycles / longest, 8),
        percent(result.utilization),
    ]


def _verdicts(report: DemoReport) -> list[tuple[str, str]]:
    agreement = report.mismatch.top1_agreement
    compared = sum(layer.elements for layer in report.mismatch.layers)
    differing = f"{report.mismatch.differing:,} of {compared:,} codes differ from the simulation"
    widths = f"{report.overflow.safe_bits} bits are proved safe, these digits needed {report.overflow.observed_bits}"
    return [
        ("mismatch", f"{differing}; top-1 agreement {percent(agreement)}"),
        ("accumulators", widths),
    ]
