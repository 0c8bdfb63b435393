"""A mismatch report on the terminal."""

from rich.console import Group
from rich.table import Table
from rich.text import Text

from accel_sim.analysis.mismatch import MismatchReport, TensorMismatch
from accel_sim.report.terminal.style import bar, count, decibel, facts, headline, page, percent, shorten, table


def mismatch_page(report: MismatchReport) -> Group:
    """Headline, layers, outputs, the verdict."""
    return page(
        headline(report.provenance),
        Text(f"integer machine against fake-quant simulation in {report.simulation}, both running freely", "dim"),
        mismatch_table(report),
        facts(_summary(report)),
    )


def mismatch_table(report: MismatchReport) -> Table:
    """One row per computed tensor."""
    made = table(
        "",
        Layer="left",
        Operator="left",
        Codes="right",
        Differing="right",
        Share="right",
        _="left",
        Largest="right",
        SQNR_dB="right",
    )
    most = max((layer.share for layer in report.layers), default=0.0) or 1.0
    for layer in report.layers:
        made.add_row(*_row(layer, most))
    return made


def _row(layer: TensorMismatch, most: float) -> list[str | Text]:
    figures: list[str | Text] = ["0", "", "", "", "∞"]
    if layer.differing:
        lsb = f"{layer.largest_lsb:,} LSB"
        figures = [
            count(layer.differing),
            percent(layer.share),
            bar(layer.share / most, 8),
            lsb,
            decibel(layer.sqnr_db),
        ]
    return [shorten(layer.node), layer.op, count(layer.elements), *figures]


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
    verdict = f"first difference in {first.node} ({first.op})" if first else "every code of every layer is the same"
    return [*rows, ("verdict", verdict)]
