"""What accumulators cost, on the terminal: a row for each, and the first output that came out wrong."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from accel_sim.analysis.overflow.counts import LayerCounts, StructureCounts
from accel_sim.analysis.overflow.curve import CurvePoint, OverflowCurve
from accel_sim.numerics.accumulators import OverflowPolicy
from accel_sim.report.terminal.fitted import Cell, Column, FittedTable, Side, distinguishing
from accel_sim.report.terminal.style import facts, percent, samples, short_count
from accel_sim.sim.offences import Offence

_MOST_OPERANDS = 4


def curve_parts(curve: OverflowCurve) -> tuple[RenderableType | None, ...]:
    """A table, what its columns mean, the first offences."""
    judged = "right" if curve.accuracy is not None else "same answer"
    legend = (
        f"counted on {samples(curve.samples)}, all layers on that accumulator. events: additions that did not fit; "
        "persistent: outputs whose exact sum does not fit; transient: outputs of which only a partial sum did not; "
        "wrong: codes of the network's outputs"
    )
    found = _offences(curve)
    scope = [(point.structure.name, text) for point in curve.staged if (text := applied_text(point.counts))]
    parts = (facts(pairs) if pairs else None for pairs in (scope, found))
    return (Text(legend, "dim"), curve_table(curve, judged), *parts)


def applied_text(counts: StructureCounts) -> str | None:
    """Which layers a structure is not meant for; None where it is meant for all."""
    applied, total = counts.layers_applied, len(counts.layers)
    if applied == total:
        return None
    kinds = " x ".join(kind or "any type" for kind in (counts.structure.inputs, counts.structure.weights))
    depthwise = "" if counts.structure.depthwise else ", not depthwise"
    return f"is meant for {applied} of {total} layers ({kinds}{depthwise}): the others add in its last stage alone"


def curve_table(curve: OverflowCurve, judged: str) -> FittedTable:
    """A row for each accumulator: plain ones by width, wrapping and saturating, then others."""
    columns = [Column("Accumulator", Side.LEFT), Column("proved", keep=1), Column("events")]
    columns += [Column("persistent"), Column("transient"), Column("wrong"), Column(judged)]
    wrap, saturate = (curve.plain(policy) for policy in OverflowPolicy)
    points = [side[bits] for bits in dict.fromkeys([*wrap, *saturate]) for side in (wrap, saturate) if bits in side]
    return FittedTable(tuple(columns), [_row(point) for point in [*points, *curve.staged]])


def _row(point: CurvePoint) -> list[Cell]:
    counts = point.counts
    proved = Text("✓", "green") if point.proved else Text(f"{counts.layers_proved} of {len(counts.layers)}")
    figures = [short_count(n) or "0" for n in (counts.events, counts.persistent, counts.transient)]
    top = point.accuracy if point.accuracy is not None else point.agreement
    return [point.structure.name, proved, *figures, percent(point.differing), percent(top)]


def _offences(curve: OverflowCurve) -> list[tuple[str, str]]:
    """The first output that overflows, where it was looked for: of each policy's widest that does, of all others."""
    found = []
    widest = [
        max((bits for bits, point in curve.plain(policy).items() if point.counts.events), default=0)
        for policy in OverflowPolicy
    ]
    shown = [curve.plain(policy)[bits] for policy, bits in zip(OverflowPolicy, widest, strict=True) if bits]
    for point in [*shown, *curve.staged]:
        text = first_offence(point.counts.layers)
        if text:
            found.append((point.structure.name, text))
    return found


def first_offence(layers: Sequence[LayerCounts]) -> str | None:
    """The first output that overflows: where, at which product, what was held, what was added; None without one."""
    names = distinguishing([layer.name for layer in layers])
    found = ((name, layer.first) for name, layer in zip(names, layers, strict=True) if layer.first is not None)
    return next((_offence_text(name, first) for name, first in found), None)


def _offence_text(name: str, first: Offence) -> str:
    place = ", ".join(map(str, (*first.position, first.channel)))
    pairs = [f"{a} x {b}" for a, b in first.operands]
    if len(pairs) > _MOST_OPERANDS:
        pairs = [*pairs[:_MOST_OPERANDS], f"... {len(pairs)} products"]
    term = f"{first.term:,}" + (f" ({' + '.join(pairs)})" if pairs else "")
    when = "the bias" if first.step < 0 else f"product {first.step}"
    where = f"first in {name}, sample {first.sample}, output [{place}], {when}, stage {first.stage + 1}"
    return f"{where}: {first.before:,} + {term} = {first.exact:,} became {first.after:,}"
