"""A mismatch report on the terminal."""

from rich.console import Group
from rich.text import Text

from accel_sim.analysis.mismatch import MismatchReport, TensorMismatch
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
    Column("SQNR dB"),
)


def mismatch_page(report: MismatchReport) -> Group:
    """Headline, layers, outputs, the verdict."""
    return page(
        headline(report.provenance),
        Text(f"integer machine against fake-quant simulation in {report.simulation}, both running freely", "dim"),
        mismatch_table(report),
        facts(_summary(report)),
    )


def mismatch_table(report: MismatchReport) -> FittedTable:
    """One row per computed tensor."""
    most = max((layer.share for layer in report.layers), default=0.0) or 1.0
    return FittedTable(_COLUMNS, [_row(layer, most) for layer in report.layers])


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
    return [*rows, ("verdict", verdict)]


def _name(report: MismatchReport, layer: TensorMismatch) -> str:
    """The layer as the table names it."""
    names = distinguishing([other.node for other in report.layers])
    return shorten(names[report.layers.index(layer)], 60)
