"""Accumulator overflow as a page: what is proved, what was observed, what each width is worth."""

from accel_sim.analysis.overflow.bounds import InputKind
from accel_sim.analysis.overflow.report import LayerOverflow, OverflowReport, WidthVerdict
from accel_sim.report.html.about import about_line, about_section
from accel_sim.report.html.figures import Tone
from accel_sim.report.html.overflow_curve import curve_section
from accel_sim.report.html.page import LAYER_COLUMN, Cell, Column, Page, Row, Section, Table, Tile, named, present
from accel_sim.report.html.ranges import Ranges, ranges
from accel_sim.report.terminal.fitted import distinguishing
from accel_sim.report.terminal.style import count, samples

_PREMISES = {
    InputKind.INTERVAL: "Interval: exact, for what any input of the network can lead to.",
    InputKind.CALIBRATED: "Calibrated: exact, for every combination of the codes that the given inputs led to.",
}
_MOST_WIDTHS = 6  # more than these are neither columns of the table nor lines of the figure


def overflow_page(report: OverflowReport) -> Page:
    """Summary, layers, ranges, widths, provenance."""
    widths = report.accumulators
    unproved = {bits: report.unproved(bits) for bits in widths}
    return Page(
        kind="Accumulator overflow",
        subject=report.provenance.model,
        about=about_line(report.provenance),
        verdict=_verdict(report),
        mark="good" if report.all_proved else "warn" if any(not layers for layers in unproved.values()) else "bad",
        tiles=tuple(_tiles(report)),
        sections=present(
            _network(report),
            _ranges(report),
            _widths(report),
            curve_section(report),
            about_section(report.provenance, report.samples),
        ),
    )


def _verdict(report: OverflowReport) -> str:
    if report.safe_bits is None:
        return "This network has no accumulators."
    text = f"{report.safe_bits} bits: no input can overflow any accumulator of this network."
    unproved = [bits for bits in report.accumulators if report.unproved(bits)]
    return f"{text} Not proved: {_runs(unproved)} bits." if unproved else text


def _runs(widths: list[int]) -> str:
    """`8, 14 to 22`."""
    runs: list[list[int]] = []
    for bits in widths:
        if runs and bits == runs[-1][-1] + 1:
            runs[-1].append(bits)
        else:
            runs.append([bits])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def _tiles(report: OverflowReport) -> list[Tile]:
    tiles = [Tile("layers with accumulators", f"{len(report.layers)}")]
    if report.in_float:
        tiles.append(Tile("layers in float32", f"{len(report.in_float)}", "without integer accumulators"))
    if report.safe_bits is not None:
        tiles.append(Tile("proved safe", f"{report.safe_bits} bits", "for every input", "good"))
    if report.observed_bits is not None:
        tiles.append(Tile("observed", f"{report.observed_bits} bits", f"held {samples(report.samples)}"))
    norms = [layer.bound.l1_bits for layer in report.layers]
    known = [bits for bits in norms if bits is not None]
    if known and len(known) == len(norms):
        tiles.append(Tile("L1 bound", f"{max(known)} bits", "from the weights' norms alone"))
    if report.layers:
        types = max(layer.bound.type_bits for layer in report.layers)
        tiles.append(Tile("data types", f"{types} bits", "from the number of terms alone"))
    return tiles


def _network(report: OverflowReport) -> Section | None:
    if not report.layers:
        return Section("Network", tables=_in_float(report)) if report.in_float else None
    known = [kind for kind in _PREMISES if any(layer.range_of(kind) for layer in report.layers)]
    watched = any(layer.observed for layer in report.layers)
    heads = [Column("#"), LAYER_COLUMN, Column("Operator", text=True), Column("Terms")]
    heads += [Column(name) for name in ("Lowest", "Highest", "Exact", "0\N{NON-BREAKING HYPHEN}centred", "L1", "Types")]
    heads += [Column(kind.value.capitalize()) for kind in known] + [Column("Observed")] * watched
    names = distinguishing([layer.name for layer in report.layers])
    most = max(layer.bound.type_bits for layer in report.layers)
    rows = []
    for i, layer in enumerate(report.layers):
        row: list[str | Cell] = [str(i + 1), named(names[i], layer.name), *_bounds(layer, most)]
        row += [bits_of(r.exact_bits if r else None) for r in map(layer.range_of, known)]
        row += [bits_of(layer.observed.bits if layer.observed else None)] * watched
        rows.append(tuple(row))
    caption = (
        "Narrowest safe widths, in bits. Lowest, highest, exact: of every partial sum, in every order, over all inputs"
    )
    note = " ".join(["0-centred, L1 and types are coarser bounds.", *(_PREMISES[kind] for kind in known)])
    tables = (Table(caption, tuple(heads), tuple(rows)), _by_range(report, names), *_in_float(report))
    return Section("Network", note, tables=tables)


def _in_float(report: OverflowReport) -> tuple[Table, ...]:
    """The layers that have none."""
    rows: tuple[Row, ...] = tuple((named(name, name),) for name in report.in_float)
    caption = "No integer accumulators: the profile adds the products of these layers in float32"
    return (Table(caption, (LAYER_COLUMN,), rows),) if rows else ()


def _bounds(layer: LayerOverflow, most: int) -> Row:
    bound = layer.bound
    figures = (count(bound.terms), count(bound.minimum), count(bound.maximum))
    coarser = (bound.zero_centred_bits, bound.l1_bits, bound.type_bits)
    return (layer.op, *figures, Cell(str(bound.safe_bits), bound.safe_bits / most), *map(bits_of, coarser))


def bits_of(bits: int | None) -> str:
    """A width, or nothing."""
    return "" if bits is None else str(bits)


def _by_range(report: OverflowReport, names: list[str]) -> Table:
    """Every bound for every range of inputs."""
    heads = [Column("#"), LAYER_COLUMN, Column("Inputs", text=True), Column("Range of inputs"), Column("Lowest")]
    heads += [Column(name) for name in ("Highest", "Exact", "0\N{NON-BREAKING HYPHEN}centred", "L1", "Types")]
    rows: list[Row] = []
    for i, layer in enumerate(report.layers):
        for known in layer.ranges:
            inputs = f"{known.input_low:,} to {known.input_high:,}"
            widths = (known.exact_bits, known.zero_centred_bits, known.l1_bits, known.data_type_bits)
            row = (str(i + 1), named(names[i], layer.name), known.kind.value, inputs)
            rows.append((*row, count(known.minimum), count(known.maximum), *map(bits_of, widths)))
    return Table("Every bound for every range of inputs, zero point subtracted", tuple(heads), tuple(rows), folded=True)


def _mark(verdict: WidthVerdict) -> Cell:
    if verdict.proved:
        return Cell("✓", mark="good", title="no input can overflow it")
    if verdict.observed_fit is False:
        return Cell("✗", mark="bad", title="observed values do not fit")
    return Cell("~", mark="warn", title="not proved")


def _ranges(report: OverflowReport) -> Section | None:
    layers = report.layers
    if not layers:
        return None
    types = tuple((-(1 << layer.bound.type_bits - 1), (1 << layer.bound.type_bits - 1) - 1) for layer in layers)
    proved = tuple((layer.bound.minimum, layer.bound.maximum) for layer in layers)
    held = tuple((layer.observed.minimum, layer.observed.maximum) if layer.observed else None for layer in layers)
    sets = [
        Ranges("possible by data types", types, Tone.PALE),
        Ranges("reachable, by the weights", proved, Tone.SOFT),
    ]
    sets += [Ranges("observed", held, Tone.FIRST)] if any(held) else []
    widths = report.accumulators if len(report.accumulators) <= _MOST_WIDTHS else ()
    alt = "one bar per layer: values that an accumulator can reach and those observed, against what widths can hold"
    figure = ranges("Accumulator ranges against width", alt, [layer.name for layer in layers], sets, widths)
    return Section("Ranges", "The axis is binary-logarithmic on both sides of zero.", (figure,))


def _widths(report: OverflowReport) -> Section | None:
    """What each width is worth."""
    if not report.layers or not report.accumulators:
        return None
    rows: list[Row] = []
    for bits in report.accumulators:
        unproved = report.unproved(bits)
        channels = [v.channels_proved for layer in report.layers for v in layer.verdicts if v.bits == bits]
        every = sum(len(layer.bound.channel_min) for layer in report.layers)
        exceeded = [layer for layer in unproved if layer.observed and layer.observed.bits > bits]
        proved = len(report.layers) - len(unproved)
        share = proved / len(report.layers)
        mark = "good" if not unproved else "bad" if exceeded else "warn"
        row: list[str | Cell] = [f"{bits} bits", Cell(f"{proved} of {len(report.layers)}", share, mark)]
        row += [f"{sum(channels):,} of {every:,}", f"{len(exceeded)}" if report.samples else ""]
        rows.append(tuple(row))
    heads = (Column("Width", text=True), Column("Layers proved"), Column("Channels proved"), Column("Layers exceeded"))
    tables = [Table("What each width is worth", heads, tuple(rows))]
    tables += [_verdicts(report)] if len(report.accumulators) <= _MOST_WIDTHS else []
    return Section("Widths", tables=tuple(tables))


def _verdicts(report: OverflowReport) -> Table:
    """Each width on each layer."""
    heads = (Column("#"), LAYER_COLUMN, *(Column(f"{bits} bits") for bits in report.accumulators))
    names = distinguishing([layer.name for layer in report.layers])
    rows = tuple(
        (str(i + 1), named(names[i], layer.name), *map(_mark, layer.verdicts)) for i, layer in enumerate(report.layers)
    )
    caption = "✓ no input can overflow it, ~ not proved, ✗ observed values do not fit"
    return Table(caption, heads, rows)
