"""An overflow report on the terminal."""

from rich.console import Group
from rich.text import Text

from accel_sim.analysis.overflow.bounds import InputKind
from accel_sim.analysis.overflow.report import LayerOverflow, OverflowReport, WidthVerdict
from accel_sim.report.terminal.fitted import Cell, Column, FittedTable, Side
from accel_sim.report.terminal.overflow_curve import curve_parts
from accel_sim.report.terminal.style import count, facts, headline, page, samples

_PREMISES = (
    (InputKind.INTERVAL, "suffice for what any input of the network can lead to, by intervals from layer to layer"),
    (InputKind.CALIBRATED, "suffice for every combination of the codes that these inputs led to"),
)
_MOST_NAMES = 4
_MOST_WIDTH_COLUMNS = 6  # more widths than this are told in the summary alone
_CAPTION = (
    "Lowest, Highest, exact: every partial sum, in every order, over all inputs of the grid; 0-centred, L1, types: by "
    "coarser bounds; interval: exact, for what the layers before can give; calibrated: for what these inputs led to"
)
_LEGEND = "✓ no input can overflow it   ~ not proved, held everything observed   ✗ observed values do not fit"


def overflow_page(report: OverflowReport) -> Group:
    """Headline, layers, what each width is worth."""
    return page(
        headline(report.provenance),
        Text(_CAPTION, "dim"),
        overflow_table(report),
        Text(_LEGEND, "dim") if 0 < len(report.accumulators) <= _MOST_WIDTH_COLUMNS else None,
        *(curve_parts(report.curve) if report.curve else ()),
        facts(_summary(report)),
    )


def overflow_table(report: OverflowReport) -> FittedTable:
    """One row per layer with accumulators."""
    watched = any(layer.observed for layer in report.layers)
    widths = report.accumulators if len(report.accumulators) <= _MOST_WIDTH_COLUMNS else ()
    columns = [Column("Layer", Side.NAME), Column("Operator", Side.LEFT, keep=1), Column("Terms", keep=2)]
    columns += [Column("Lowest", keep=4), Column("Highest", keep=4), Column("exact"), Column("0-centred", keep=3)]
    columns += [Column("L1", keep=3), Column("types"), Column("interval")]
    columns += [Column("calibrated", keep=5)] if any(_calibrated(layer) for layer in report.layers) else []
    columns += [Column("seen")] if watched else []
    columns += [Column(str(bits)) for bits in widths]
    kinds = tuple(column.heading for column in columns)
    rows = [_row(layer, kinds, judged=bool(widths)) for layer in report.layers]
    return FittedTable(tuple(columns), rows)


def _row(layer: LayerOverflow, shown: tuple[str, ...], *, judged: bool) -> list[Cell]:
    cells: list[Cell] = [*_figures(layer)]
    cells += [_calibrated(layer)] if "calibrated" in shown else []
    cells += [_observed(layer)] if "seen" in shown else []
    cells += [_mark(verdict) for verdict in layer.verdicts] if judged else []
    return cells


def _figures(layer: LayerOverflow) -> list[str]:
    bound, interval = layer.bound, layer.range_of(InputKind.INTERVAL)
    extremes = [count(bound.terms), count(bound.minimum), count(bound.maximum)]
    bits = (bound.safe_bits, bound.zero_centred_bits, bound.l1_bits, bound.type_bits)
    shown = ["" if b is None else str(b) for b in (*bits, interval.exact_bits if interval else None)]
    return [layer.name, layer.op, *extremes, *shown]


def _calibrated(layer: LayerOverflow) -> str:
    known = layer.range_of(InputKind.CALIBRATED)
    return str(known.exact_bits) if known else ""


def _observed(layer: LayerOverflow) -> str:
    return str(layer.observed.bits) if layer.observed else ""


def _mark(verdict: WidthVerdict) -> Text:
    if verdict.proved:
        return Text("✓", "green")
    if verdict.observed_fit is False:
        return Text("✗", "red")
    return Text("~", "yellow")


def _summary(report: OverflowReport) -> list[tuple[str, str]]:
    floats = [("in float32", _in_float(report))] if report.in_float else []
    if report.safe_bits is None:
        return [("verdict", "this network has no accumulators"), *floats]
    rows = [*floats, ("safe", f"{report.safe_bits} bits: no input can overflow any accumulator of this network")]
    for kind, text in _PREMISES:
        bits = report.proved_bits(kind)
        if bits is not None and bits < report.safe_bits:
            rows.append((kind.value, f"{bits} bits {text}"))
    if report.observed_bits is not None:
        rows.append(("seen", f"{report.observed_bits} bits held everything observed in {samples(report.samples)}"))
    rows += [(f"{bits} bits", _worth(report, bits)) for bits in report.accumulators]
    return rows


def _in_float(report: OverflowReport) -> str:
    """The layers that have no integer accumulators, in a sentence."""
    names, few = report.in_float, report.in_float[:_MOST_NAMES]
    more = f" and {len(names) - len(few)} more" if len(names) > len(few) else ""
    layers = "layer has" if len(names) == 1 else "layers have"
    return f"{len(names)} {layers} no integer accumulators, as the profile adds in float32: {', '.join(few)}{more}"


def _worth(report: OverflowReport, bits: int) -> str:
    unproved = report.unproved(bits)
    if not unproved:
        return "proved safe in every layer"
    text = f"proved in {len(report.layers) - len(unproved)} of {len(report.layers)} layers"
    if not report.samples:
        return text
    exceeded = [layer for layer in unproved if layer.observed and layer.observed.bits > bits]
    return f"{text}; observed values exceed it in {len(exceeded)}"
