"""A comparison with the fake-quant simulation as a page: where codes differ, by how much, and why."""

from collections.abc import Sequence

from accel_sim.analysis.causes.cause import Cause, CauseCount
from accel_sim.analysis.mismatch.report import HISTOGRAM_END, Histogram, MismatchReport, OwnMismatch, TensorMismatch
from accel_sim.report.html.about import about_line, about_section
from accel_sim.report.html.columns import columns, difference, histogram
from accel_sim.report.html.figures import SERIES_TONES, Figure, Series, Tone
from accel_sim.report.html.page import (
    LAYER_COLUMN,
    Cell,
    Column,
    Page,
    Row,
    Section,
    Table,
    Tile,
    facts,
    named,
    present,
)
from accel_sim.report.terminal.causes import first_fact, main_cause
from accel_sim.report.terminal.fitted import distinguishing
from accel_sim.report.terminal.style import count, decibel, percent, samples

Part = TensorMismatch | OwnMismatch
_MOST_CAUSES = 6  # told apart by colour; the rest is one part of the column
_BANDS = ((1, 1, "1"), (2, 2, "2"), (3, 7, "3 to 7"), (8, HISTOGRAM_END - 1, "8 to 15"), (HISTOGRAM_END, None, "more"))
_BAND_TONES = (Tone.SOFT, Tone.FIRST, Tone.FOURTH, Tone.SECOND, Tone.BAD)


def mismatch_page(report: MismatchReport) -> Page:
    """Summary, layers, causes, sizes of differences, double rounding, the first difference, provenance."""
    layers = report.layers
    return Page(
        kind="Integer machine against fake-quant simulation",
        subject=report.provenance.model,
        about=about_line(report.provenance, f"simulation in {report.simulation}"),
        verdict=_verdict(report),
        mark="good" if report.identical else "bad" if report.explained and report.unexplained else "warn",
        tiles=tuple(_tiles(report)),
        sections=present(
            network_section(layers, explained=report.explained),
            causes_section(layers, "the simulation"),
            sizes_section(layers, report.outputs),
            _double_rounding(report),
            _first(report),
            about_section(report.provenance, report.samples),
        ),
    )


def _verdict(report: MismatchReport) -> str:
    first = report.first_differing
    if first is None:
        return "Every code of every layer is the same."
    whole = sum(layer.elements for layer in report.layers)
    number = report.layers.index(first) + 1
    text = f"{percent(report.differing / whole)} of all codes differ, first in layer {number} ({first.op})."
    if report.explained:
        text += f" Unexplained: {report.unexplained:,}."
    return text


def _tiles(report: MismatchReport) -> list[Tile]:
    whole = sum(layer.elements for layer in report.layers)
    tiles = [Tile("codes compared", f"{whole:,}", f"{len(report.layers)} layers, {samples(report.samples)}")]
    tiles.append(Tile("differ, running freely", f"{report.differing:,}", percent(report.differing / max(whole, 1))))
    if report.explained:
        own = sum(layer.own.differing for layer in report.layers if layer.own)
        tiles.append(Tile("layers' own differences", f"{own:,}", f"{percent(own / max(whole, 1))}, on equal operands"))
        unexplained = report.unexplained
        tiles.append(Tile("unexplained", f"{unexplained:,}", "without a cause", "bad" if unexplained else "good"))
    for output in report.outputs[:1]:
        tiles.append(Tile("output codes that differ", percent(output.share), f"by at most {output.largest_lsb:,} LSB"))
    if report.top1_agreement is not None:
        tiles.append(Tile("top-1 agreement", percent(report.top1_agreement), "machine with simulation"))
    if report.accuracy is not None:
        note = f"simulation {percent(report.accuracy.simulated)}"
        tiles.append(Tile("top-1 accuracy", percent(report.accuracy.machine), note))
    return tiles


def network_section(layers: Sequence[TensorMismatch], *, explained: bool) -> Section:
    """Layers with the share of codes that differ."""
    most = max((layer.share for layer in layers), default=0.0) or 1.0
    names = distinguishing([layer.node for layer in layers])
    heads = [Column("#"), LAYER_COLUMN, Column("Operator", text=True), Column("Codes")]
    heads += [Column("Differ"), Column("Share"), Column("Largest"), Column("SQNR, dB")]
    heads += [Column("Own"), Column("Most frequent own cause", text=True, wide=True)] if explained else []
    rows = tuple(_row(i, names[i], layer, most, explained=explained) for i, layer in enumerate(layers))
    caption = "Layers in order of execution. Both sides run freely" + (
        "; own: on the machine's operands" if explained else ""
    )
    return Section("Network", tables=(Table(caption, tuple(heads), rows),))


def _row(i: int, name: str, layer: TensorMismatch, most: float, *, explained: bool) -> Row:
    row: list[str | Cell] = [str(i + 1), named(name, layer.node), layer.op, count(layer.elements)]
    row += [count(layer.differing), Cell(percent(layer.share), layer.share / most)]
    row += [f"{layer.largest_lsb:,}", decibel(layer.sqnr_db)]
    if explained:
        row += [count(layer.own.differing) if layer.own else "", main_cause(layer.own)]
    return tuple(row)


def causes_section(layers: Sequence[TensorMismatch], other: str, within: str = "") -> Section | None:
    """Why codes differ, per layer and in all; None where nothing differs or causes were not looked for.

    Args:
        layers: in order of execution.
        other: what the machine is compared with.
        within: of the titles, where a page has several such sections.
    """
    own = _totals([layer.own for layer in layers if layer.own])
    free = _totals(layers)
    if not own and not free:
        return None
    keys = list(dict.fromkeys([*own, *free]))
    shown = sorted(keys, key=lambda causes: -max(own.get(causes, 0), free.get(causes, 0)))[:_MOST_CAUSES]
    figures = []
    if own:
        parts = [layer.own for layer in layers]
        alt = f"one column per layer: share of codes that differ from {other} on equal operands, by cause"
        figures.append(_stacked(f"Own differences by cause{within}", alt, layers, parts, shown))
    alt = f"one column per layer: share of codes that differ from {other}, both running freely, by cause"
    figures.append(_stacked(f"Differences running freely, by cause{within}", alt, layers, list(layers), shown))
    note = "A layer's own differences arise on equal operands; running freely, it inherits those of earlier layers too."
    return Section(f"Causes{within}", note, tuple(figures), (_cause_table(keys, own, free),))


def _totals(parts: Sequence[Part]) -> dict[tuple[Cause, ...], int]:
    """Cause or pair -> how many codes, most frequent first."""
    found: dict[tuple[Cause, ...], int] = {}
    for part in parts:
        for item in part.causes:
            found[item.causes] = found.get(item.causes, 0) + item.count
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _stacked(
    title: str,
    alt: str,
    layers: Sequence[TensorMismatch],
    parts: Sequence[Part | None],
    shown: Sequence[tuple[Cause, ...]],
) -> Figure:
    tones = dict(zip(shown, SERIES_TONES, strict=False))
    tones |= {(Cause.INHERITED,): Tone.REST, (Cause.UNEXPLAINED,): Tone.BAD}
    series = [Series(_label(causes), tuple(_of(part, [causes]) for part in parts), tones[causes]) for causes in shown]
    others = tuple(_of(part, None, shown) for part in parts)
    series = [s for s in [*series, Series("other", others, Tone.SOFT)] if any(s.values)]
    names = [layer.node for layer in layers]
    return columns(title, alt, names, series, y_label="share of codes", scale="percent")


def _of(
    part: Part | None, wanted: Sequence[tuple[Cause, ...]] | None, unwanted: Sequence[tuple[Cause, ...]] = ()
) -> float:
    """Share of a layer's codes that these causes account for; None: all causes that are not unwanted."""
    if part is None or not part.elements:
        return 0.0
    chosen = [i.count for i in part.causes if (i.causes not in unwanted if wanted is None else i.causes in wanted)]
    return sum(chosen) / part.elements


def _label(causes: tuple[Cause, ...]) -> str:
    return CauseCount(causes, 0).label


def _cause_table(
    keys: Sequence[tuple[Cause, ...]], own: dict[tuple[Cause, ...], int], free: dict[tuple[Cause, ...], int]
) -> Table:
    heads = ("Layers' own", "Share"), ("Freely", "Share")
    columns_ = (Column("Cause", text=True, wide=True), *(Column(name) for pair in heads for name in pair))
    totals = [sum(found.values()) for found in (own, free)]
    rows: list[Row] = []
    for causes in keys:
        row: list[str | Cell] = [_label(causes)]
        for found, whole in zip((own, free), totals, strict=True):
            number = found.get(causes, 0)
            row += [count(number), Cell(percent(number / whole), number / whole) if number else ""]
        rows.append(tuple(row))
    return Table("Codes that differ, each with one cause or one pair of causes", columns_, tuple(rows))


def sizes_section(
    layers: Sequence[TensorMismatch], outputs: Sequence[TensorMismatch], within: str = ""
) -> Section | None:
    """By how much codes differ: in all, and as depth grows; None where nothing differs."""
    sets: dict[str, list[Part]] = {
        "layers' own": [layer.own for layer in layers if layer.own],
        "running freely": list(layers),
    }
    counts = [(name, _merged([p.histogram for p in parts])) for name, parts in sets.items()]
    counts.append(("network's outputs", _merged([output.histogram for output in outputs])))
    counts = [(name, found) for name, found in counts if found]
    if not counts:
        return None
    alt = "how many codes differ by how many steps of their grid, on a logarithmic axis"
    figures = [histogram(f"Differences in LSB{within}", alt, counts, HISTOGRAM_END), _bands(layers, within)]
    every = sorted({d for _, found in counts for d in found})
    heads = (Column("Difference, LSB"), *(Column(name) for name, _ in counts))
    rows = tuple((difference(d, HISTOGRAM_END), *(count(found.get(d, 0)) for _, found in counts)) for d in every)
    table = Table("Differences in LSB, as a table", heads, rows, folded=True)
    return Section(f"Differences{within}", "", tuple(figures), (table,))


def _merged(histograms: Sequence[Histogram]) -> dict[int, int]:
    found: dict[int, int] = {}
    for one in histograms:
        for value, number in one:
            found[value] = found.get(value, 0) + number
    return found


def _bands(layers: Sequence[TensorMismatch], within: str) -> Figure:
    """Off by N, layer after layer."""
    parts = []
    for (low, high, name), tone in zip(_BANDS, _BAND_TONES, strict=True):
        values = tuple(
            sum(n for d, n in layer.histogram if low <= abs(d) <= (high or abs(d))) / max(layer.elements, 1)
            for layer in layers
        )
        if any(values):
            parts.append(Series(f"off by {name}", values, tone))
    alt = "one column per layer: share of codes that differ by 1, by 2, and by more, both sides running freely"
    names = [layer.node for layer in layers]
    return columns(f"Off by N as depth grows{within}", alt, names, parts, y_label="share of codes", scale="percent")


def _double_rounding(report: MismatchReport) -> Section | None:
    rates = [layer.own.double_rounding if layer.own else None for layer in report.layers]
    if not any(rates):
        return None
    measured = Series("measured", tuple(r.measured if r else None for r in rates), Tone.SOFT)
    predicted = Series("predicted, 2^-(r+1)", tuple(r.predicted if r else None for r in rates), Tone.SECOND)
    names = [layer.node for layer in report.layers]
    figure = columns(
        "Double rounding, predicted and measured",
        "one column per layer: share of accumulators that two roundings and one round differently; a line: predicted",
        names,
        [measured],
        y_label="share of roundings",
        scale="percent",
        levels=predicted,
    )
    heads = (Column("#"), LAYER_COLUMN, Column("Predicted"), Column("Measured"))
    shown = distinguishing(names)
    rows = tuple(
        (str(i + 1), named(shown[i], names[i]), f"{100 * r.predicted:.4f} %", f"{100 * r.measured:.4f} %")
        for i, r in enumerate(rates)
        if r is not None
    )
    note = "Two roundings after one another differ from a single one about once in 2^(r+1), for a right shift of r."
    table = Table("Rates of double rounding, as a table", heads, rows, folded=True)
    return Section("Double rounding", note, (figure,), (table,))


def _first(report: MismatchReport) -> Section | None:
    if report.first is None:
        return None
    pairs = [("layer", report.first.node), ("operator", report.first.op), *first_fact(report.first)]
    return Section("First difference", tables=(facts("In order of execution, of samples, of elements", pairs),))
