"""A mismatch report on the terminal."""

from rich.console import Group
from rich.text import Text

from accel_sim.analysis.mismatch.report import MismatchReport, TensorMismatch
from accel_sim.report.terminal.causes import (
    cause_table,
    first_fact,
    main_cause,
    rounding_fact,
    unexplained_fact,
)
from accel_sim.report.terminal.fitted import Column, FittedTable, Side, distinguishing, shorten
from accel_sim.report.terminal.style import bar, count, decibel, facts, headline, page, percent

_COLUMNS = (
    Column("Layer", Side.NAME),
    Column("Operator", Side.LEFT, keep=2),
    Column("Codes", keep=3),
    Column("Differing"),
    Column("Share"),
    Column("", Side.LEFT, keep=1),
    Column("Largest"),
    Column("SQNR dB", keep=4),
)
_OWN_COLUMNS = (Column("Own", keep=5), Column("Own cause", Side.TEXT, keep=5))


def mismatch_page(report: MismatchReport) -> Group:
    """Headline, layers, causes, outputs, the verdict."""
    about = f"integer machine against fake-quant simulation in {report.simulation}, both running freely"
    if report.explained:
        about += "; own: both fed the machine's operands"
    return page(
        headline(report.provenance),
        Text(about, "dim"),
        mismatch_table(report),
        cause_table(report.own_causes, report.causes) if report.explained else None,
        facts(_summary(report)),
    )


def mismatch_table(report: MismatchReport) -> FittedTable:
    """One row per computed tensor."""
    most = max((layer.share for layer in report.layers), default=0.0) or 1.0
    if not report.explained:
        return FittedTable(_COLUMNS, [_row(layer, most) for layer in report.layers])
    rows = [[*_row(layer, most), *_own(layer)] for layer in report.layers]
    return FittedTable((*_COLUMNS, *_OWN_COLUMNS), rows)


def _own(layer: TensorMismatch) -> list[str | Text]:
    own = layer.own
    return [count(own.differing) if own else "", main_cause(own)]


def _row(layer: TensorMismatch, most: float) -> list[str | Text]:
    figures: list[str | Text] = ["0", "", "", "", "∞"]
    if layer.differing:
        lsb = f"{layer.largest_lsb:,} LSB"
        drawn = bar(layer.share / most, 8)
        figures = [count(layer.differing), percent(layer.share), drawn, lsb, decibel(layer.sqnr_db)]
    return [layer.node, layer.op, count(layer.elements), *figures]


def _summary(report: MismatchReport) -> list[tuple[str, str]]:
    rows = []
    for output in report.outputs:
        figures = f"{output.differing:,} of {output.elements:,} codes differ ({percent(output.share)})"
        if output.differing:
            figures += f", by at most {output.largest_lsb:,} LSB, SQNR {decibel(output.sqnr_db)} dB"
        if output.top1_agreement is not None:
            figures += f", top-1 agreement {percent(output.top1_agreement)}"
        rows.append((f"output {shorten(output.tensor, 24)}", figures))
    first = report.first_differing
    verdict = (
        f"first difference in {_name(report, first)} ({first.op})" if first else "every code of every layer is the same"
    )
    rows += _accuracy(report)
    if report.explained:
        rows += [*rounding_fact(report), *first_fact(report.first), *unexplained_fact(report.unexplained)]
    return [*rows, ("verdict", verdict)]


def _accuracy(report: MismatchReport) -> list[tuple[str, str]]:
    if report.accuracy is None:
        return []
    sides = f"machine {percent(report.accuracy.machine)}, fake-quant {percent(report.accuracy.simulated)}"
    return [("top-1 accuracy", sides)]


def _name(report: MismatchReport, layer: TensorMismatch) -> str:
    """The layer as the table names it."""
    names = distinguishing([other.node for other in report.layers])
    return shorten(names[report.layers.index(layer)], 60)
