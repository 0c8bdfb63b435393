"""What accumulators cost, as a section of a page: curves against width, a table, counts by layer, first offences."""

from collections.abc import Sequence

from accel_sim.analysis.overflow.curve import CurvePoint, OverflowCurve
from accel_sim.analysis.overflow.report import OverflowReport
from accel_sim.numerics.accumulators import OverflowPolicy
from accel_sim.report.html.curves import Mark, Panel, curves
from accel_sim.report.html.figures import Figure, Series, Tone
from accel_sim.report.html.page import LAYER_COLUMN, Cell, Column, Row, Section, Table, named
from accel_sim.report.terminal.fitted import distinguishing
from accel_sim.report.terminal.overflow_curve import applied_text, first_offence
from accel_sim.report.terminal.style import count, percent, samples

_TONES = {OverflowPolicy.WRAP: Tone.FIRST, OverflowPolicy.SATURATE: Tone.SECOND}


def curve_section(report: OverflowReport) -> Section | None:
    """None where nothing was counted."""
    curve = report.curve
    if curve is None:
        return None
    note = (
        f"Counted on {samples(curve.samples)}, every layer on that accumulator, later ones on what earlier ones gave. "
        "Persistent: outputs whose exact sum does not fit. Transient: outputs of which only a partial sum does not."
    )
    tables = [_table(curve)]
    tables += [table for table in (_offences(curve), _by_layer(curve)) if table]
    figure = _figure(report, curve)
    return Section("Consequence", note, (figure,) if figure else (), tuple(tables))


def _figure(report: OverflowReport, curve: OverflowCurve) -> Figure | None:
    """Curves of plain accumulators; None for fewer than two widths."""
    sides = {policy: curve.plain(policy) for policy in OverflowPolicy}
    widths = sorted({bits for side in sides.values() for bits in side})
    if len(widths) < 2:
        return None

    def series(value: str) -> tuple[Series, ...]:
        return tuple(
            Series(
                "wraps" if policy is OverflowPolicy.WRAP else "saturates",
                tuple(_value(side.get(bits), value) for bits in widths),
                _TONES[policy],
            )
            for policy, side in sides.items()
            if side
        )

    top = "accuracy" if curve.accuracy is not None else "agreement"
    proved = tuple(1 - len(report.unproved(bits)) / max(len(report.layers), 1) for bits in widths)
    panels = [Panel(_answer(curve), series(top), "percent")] if _value(curve.points[0], top) is not None else []
    panels += [
        Panel("wrong output codes", series("differing"), "percent"),
        Panel("persistent outputs", series("persistent"), "counts"),
        Panel("transient outputs", series("transient"), "counts"),
        Panel("layers proved safe", (Series("proved", proved, Tone.THIRD),), "percent"),
    ]
    marks = [Mark(bits, f"{bits} bits {text}") for bits, text in _marks(report) if widths[0] <= bits <= widths[-1]]
    alt = "lines over the accumulators' width: answers, wrong codes, outputs that overflow, layers that are proved safe"
    return curves(
        "Accumulator width and its price", alt, x=widths, x_label="width of all accumulators, bits", panels=panels,
        marks=marks,
    )  # fmt: skip


def _marks(report: OverflowReport) -> list[tuple[int, str]]:
    found = [(report.observed_bits, "held everything observed"), (report.safe_bits, "are proved safe")]
    return [(bits, text) for bits, text in found if bits is not None]


def _answer(curve: OverflowCurve) -> str:
    return "top-1 accuracy" if curve.accuracy is not None else "top-1 agreement"


def _value(point: CurvePoint | None, name: str) -> float | None:
    if point is None:
        return None
    value = getattr(point.counts, name) if name in ("persistent", "transient") else getattr(point, name)
    return None if value is None else float(value)


def _table(curve: OverflowCurve) -> Table:
    heads = [Column("Accumulator", text=True), Column("Layers proved")]
    heads += [Column(name) for name in ("Events", "Persistent", "Transient", "Wrong codes")]
    heads += [Column(_answer(curve).capitalize())]
    rows = tuple(_row(point) for point in _ordered(curve))
    known = f" With 32 bits that wrap: {percent(curve.accuracy)} right." if curve.accuracy is not None else ""
    scope = [f" {point.structure.name} {text}." for point in curve.staged if (text := applied_text(point.counts))]
    return Table(f"What each accumulator costs.{known}{''.join(scope)}", tuple(heads), rows)


def _ordered(curve: OverflowCurve) -> Sequence[CurvePoint]:
    wrap, saturate = (curve.plain(policy) for policy in OverflowPolicy)
    plain = [side[bits] for bits in sorted({*wrap, *saturate}) for side in (wrap, saturate) if bits in side]
    return [*plain, *curve.staged]


def _row(point: CurvePoint) -> Row:
    counts = point.counts
    share = counts.layers_proved / max(len(counts.layers), 1)
    proved = Cell(f"{counts.layers_proved} of {len(counts.layers)}", share, "good" if point.proved else "")
    figures = (count(counts.events), count(counts.persistent), count(counts.transient), percent(point.differing))
    top = point.accuracy if point.accuracy is not None else point.agreement
    name = Cell(point.structure.name, title=point.structure.description)
    return (name, proved, *figures, "" if top is None else Cell(percent(top), top))


def _offences(curve: OverflowCurve) -> Table | None:
    """The first output that overflows, with its operands."""
    rows: list[Row] = []
    for point in _ordered(curve):
        text = first_offence(point.counts.layers)
        if text:
            rows.append((point.structure.name, text))
    heads = (Column("Accumulator", text=True), Column("What happened", text=True, wide=True))
    return Table("The first output that overflows", heads, tuple(rows)) if rows else None


def _by_layer(curve: OverflowCurve) -> Table | None:
    """Events of each layer, of accumulators that have any."""
    rows: list[Row] = []
    for point in _ordered(curve):
        names = distinguishing([layer.name for layer in point.counts.layers])
        for i, layer in enumerate(point.counts.layers):
            if layer.events:
                touched = int((layer.channel_events > 0).sum())
                figures = map(count, (layer.outputs, layer.events, layer.persistent, layer.transient))
                channels = f"{touched:,} of {len(layer.channel_events):,}"
                rows.append((point.structure.name, str(i + 1), named(names[i], layer.name), *figures, channels))
    heads = [Column("Accumulator", text=True), Column("#"), LAYER_COLUMN, Column("Outputs"), Column("Events")]
    heads += [Column(name) for name in ("Persistent", "Transient", "Channels")]
    return Table("Events of each layer", tuple(heads), tuple(rows), folded=True) if rows else None
