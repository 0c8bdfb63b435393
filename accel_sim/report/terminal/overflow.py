"""An overflow report on the terminal."""

from rich.console import Group
from rich.text import Text

from accel_sim.analysis.overflow import LayerOverflow, OverflowReport, WidthVerdict
from accel_sim.report.terminal.fitted import Cell, Column, FittedTable, Side
from accel_sim.report.terminal.style import count, facts, headline, page, samples

_MOST_WIDTH_COLUMNS = 6  # more widths than this are told in the summary alone
_LEGEND = "✓ no input can overflow it   ~ not proved, held everything observed   ✗ observed values do not fit"


def overflow_page(report: OverflowReport) -> Group:
    """Headline, layers, what each width is worth."""
    return page(
        headline(report.provenance),
        Text("exact range of every partial sum, in every order, over all inputs of the grid", "dim"),
        overflow_table(report),
        Text(_LEGEND, "dim") if 0 < len(report.accumulators) <= _MOST_WIDTH_COLUMNS else None,
        facts(_summary(report)),
    )


def overflow_table(report: OverflowReport) -> FittedTable:
    """One row per layer with accumulators."""
    watched = any(layer.observed for layer in report.layers)
    widths = report.accumulators if len(report.accumulators) <= _MOST_WIDTH_COLUMNS else ()
    columns = [Column("Layer", Side.NAME), Column("Operator", Side.LEFT, keep=1), Column("Terms", keep=2)]
    columns += [Column("Lowest", keep=3), Column("Highest", keep=3), Column("safe"), Column("L1"), Column("type")]
    columns += [Column("seen")] if watched else []
    columns += [Column(str(bits)) for bits in widths]
    return FittedTable(tuple(columns), [_row(layer, watched=watched, judged=bool(widths)) for layer in report.layers])


def _row(layer: LayerOverflow, *, watched: bool, judged: bool) -> list[Cell]:
    seen: list[Cell] = [_observed(layer)] if watched else []
    verdicts: list[Cell] = [_mark(verdict) for verdict in layer.verdicts] if judged else []
    return [*_figures(layer), *seen, *verdicts]


def _figures(layer: LayerOverflow) -> list[str]:
    bound = layer.bound
    l1 = "" if bound.l1_bits is None else str(bound.l1_bits)
    extremes = [count(bound.terms), count(bound.minimum), count(bound.maximum)]
    return [layer.name, layer.op, *extremes, str(bound.safe_bits), l1, str(bound.type_bits)]


def _observed(layer: LayerOverflow) -> str:
    return str(layer.observed.bits) if layer.observed else ""


def _mark(verdict: WidthVerdict) -> Text:
    if verdict.proved:
        return Text("✓", "green")
    if verdict.observed_fit is False:
        return Text("✗", "red")
    return Text("~", "yellow")


def _summary(report: OverflowReport) -> list[tuple[str, str]]:
    if report.safe_bits is None:
        return [("verdict", "this network has no accumulators")]
    rows = [("safe", f"{report.safe_bits} bits: no input can overflow any accumulator of this network")]
    if report.observed_bits is not None:
        rows.append(("seen", f"{report.observed_bits} bits held everything observed in {samples(report.samples)}"))
    rows += [(f"{bits} bits", _worth(report, bits)) for bits in report.accumulators]
    return rows


def _worth(report: OverflowReport, bits: int) -> str:
    unproved = report.unproved(bits)
    if not unproved:
        return "proved safe in every layer"
    text = f"proved in {len(report.layers) - len(unproved)} of {len(report.layers)} layers"
    if not report.samples:
        return text
    exceeded = [layer for layer in unproved if layer.observed and layer.observed.bits > bits]
    return f"{text}; observed values exceed it in {len(exceeded)}"
