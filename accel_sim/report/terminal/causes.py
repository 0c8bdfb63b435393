"""Causes of differing codes on the terminal."""

from collections.abc import Sequence

from rich.text import Text

from accel_sim.analysis.causes.cause import Cause, CauseCount
from accel_sim.analysis.mismatch.report import FirstDifference, MismatchReport, OwnMismatch
from accel_sim.report.terminal.fitted import Column, FittedTable, Side
from accel_sim.report.terminal.style import bar, count, percent

_COLUMNS = (
    Column("Cause", Side.TEXT),
    Column("Layer's own"),
    Column("Share"),
    Column("", Side.LEFT, keep=1),
    Column("Freely"),
    Column("Share"),
    Column("", Side.LEFT, keep=1),
)


def cause_table(own: Sequence[CauseCount], free: Sequence[CauseCount]) -> FittedTable | None:
    """One row per cause or pair: teacher-forced and freely; None where nothing differs."""
    alone, freely = ({item.causes: item.count for item in counts} for counts in (own, free))
    if not alone and not freely:
        return None
    keys = dict.fromkeys([*(item.causes for item in own), *(item.causes for item in free)])
    totals = sum(alone.values()), sum(freely.values())
    rows = [
        [
            CauseCount(causes, 0).label,
            *_figures(alone.get(causes, 0), totals[0]),
            *_figures(freely.get(causes, 0), totals[1]),
        ]
        for causes in keys
    ]
    return FittedTable(_COLUMNS, rows)


def _figures(number: int, whole: int) -> list[str | Text]:
    if not number:
        return ["0", "", ""]
    return [count(number), percent(number / whole), bar(number / whole, 8)]


def main_cause(own: OwnMismatch | None) -> str:
    """The most frequent cause of a layer's own differences, and how many others there are."""
    if own is None or not own.causes:
        return ""
    others = len(own.causes) - 1
    return own.causes[0].label + (f", {others} more" if others else "")


def rounding_fact(report: MismatchReport) -> list[tuple[str, str]]:
    """Predicted and measured rate of double rounding, over all layers that round twice."""
    found = [(layer.own.double_rounding, layer.elements) for layer in report.layers if layer.own]
    twice = [(rates, elements) for rates, elements in found if rates is not None]
    total = sum(elements for _, elements in twice)
    if not total:
        return []
    predicted = sum(rates.predicted * elements for rates, elements in twice) / total
    measured = sum(rates.measured * elements for rates, elements in twice) / total
    return [("double rounding", f"2^-(r+1) predicts {percent(predicted)} of roundings, {percent(measured)} measured")]


def first_fact(first: FirstDifference | None) -> list[tuple[str, str]]:
    """The first differing code, why, and where on the accelerator."""
    if first is None:
        return []
    causes = CauseCount(first.causes, 1).label
    where = (
        f"sample {first.sample}, element {list(first.index)}: {first.machine}, simulated {first.simulated}: {causes}"
    )
    return [("first code", where), *_place_fact(first)]


def _place_fact(first: FirstDifference) -> list[tuple[str, str]]:
    place = first.place
    if place is None:
        return []
    text = f"command {place.command}, cycles {place.cycle_first:,} to {place.cycle_last:,}"
    if place.tile is not None:
        text += f", tile {place.tile}, PE row {place.pe_row} column {place.pe_column}"
        text += f", done by grid cycle {place.grid_cycle:,}"
    return [("computed in", text)]


def unexplained_fact(number: int) -> list[tuple[str, str]]:
    """Differing codes without a cause."""
    return [("unexplained", f"{number:,}" + (f" ({Cause.UNEXPLAINED.label}: a defect)" if number else ""))]
