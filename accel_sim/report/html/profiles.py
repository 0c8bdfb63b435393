"""A comparison of arithmetic profiles as a page: what changes when a network moves."""

from accel_sim.analysis.mismatch.profiles import ProfilePair, ProfileReport
from accel_sim.report.html.about import about_line, about_section
from accel_sim.report.html.mismatch import causes_section, network_section, sizes_section
from accel_sim.report.html.page import LAYER_COLUMN, Cell, Column, Page, Row, Section, Table, Tile, named, present
from accel_sim.report.terminal.fitted import distinguishing
from accel_sim.report.terminal.style import count, percent, samples


def profiles_page(report: ProfileReport) -> Page:
    """Summary, the matrix, layers, and for each pair that differs its causes and sizes."""
    unexplained = sum(pair.unexplained for pair in report.pairs)
    parts: list[Section | None] = [_matrix(report), _network(report)]
    for pair in report.pairs:
        within = f": {pair.left} against {pair.right}"
        parts.append(causes_section(pair.layers, pair.right, within))
        parts.append(sizes_section(pair.layers, pair.outputs, within))
    return Page(
        kind="One network under several arithmetics",
        subject=report.provenance.model,
        about=about_line(report.provenance),
        verdict=_verdict(report),
        mark="good" if report.identical else "bad" if unexplained else "warn",
        tiles=tuple(_tiles(report, unexplained)),
        sections=present(*parts, about_section(report.provenance, report.samples)),
    )


def _verdict(report: ProfileReport) -> str:
    if report.identical:
        return "All profiles give the same codes in every layer."
    worst = max(report.pairs, key=lambda pair: (pair.share, pair.differing))
    shares = f"{percent(worst.share)} of the output's codes, {worst.differing:,} of all"
    return f"{worst.left} and {worst.right} differ most: {shares}."


def _tiles(report: ProfileReport, unexplained: int) -> list[Tile]:
    identical = sum(not pair.differing for pair in report.pairs)
    tiles = [Tile("profiles", f"{len(report.profiles)}", ", ".join(report.profiles))]
    tiles.append(Tile("pairs that agree", f"{identical} of {len(report.pairs)}", "in every code of every layer"))
    agreements = [pair.top1_agreement for pair in report.pairs if pair.top1_agreement is not None]
    if agreements:
        tiles.append(Tile("top-1 agreement", percent(min(agreements)), "of the pair that agrees least"))
    tiles.append(Tile("unexplained", f"{unexplained:,}", "without a cause", "bad" if unexplained else "good"))
    return [*tiles, Tile("samples", f"{report.samples:,}", samples(report.samples).split(" ", 1)[1])]


def _matrix(report: ProfileReport) -> Section:
    most = max((pair.share for pair in report.pairs), default=0.0) or 1.0
    heads = (Column("", text=True), *(Column(name) for name in report.profiles))
    rows: list[Row] = []
    for a in report.profiles:
        pairs = [report.pair(a, b) for b in report.profiles]
        cells = [Cell(percent(p.share), p.share / most) if p else Cell("same", mark="none") for p in pairs]
        rows.append((a, *cells))
    table = Table("Share of the outputs' codes that differ, each profile running freely", heads, tuple(rows))
    return Section("Matrix", tables=(table, _pairs(report)))


def _network(report: ProfileReport) -> Section:
    """Layers with the share of codes in which each two profiles differ."""
    if len(report.pairs) == 1:
        return network_section(report.pairs[0].layers, explained=True)
    layers = report.pairs[0].layers
    names = distinguishing([layer.node for layer in layers])
    most = max((layer.share for pair in report.pairs for layer in pair.layers), default=0.0) or 1.0
    heads = [Column("#"), LAYER_COLUMN, Column("Operator", text=True), Column("Codes")]
    heads += [Column(f"{pair.left} / {pair.right}") for pair in report.pairs]
    rows: list[Row] = []
    for i, layer in enumerate(layers):
        shares = [pair.layers[i].share for pair in report.pairs]
        cells = [Cell(percent(share), share / most) for share in shares]
        rows.append((str(i + 1), named(names[i], layer.node), layer.op, count(layer.elements), *cells))
    caption = "Layers in order of execution: share of codes that differ, each profile running freely"
    return Section("Network", tables=(Table(caption, tuple(heads), tuple(rows)),))


def _pairs(report: ProfileReport) -> Table:
    heads = (
        Column("From", text=True),
        Column("To", text=True),
        Column("Output codes"),
        Column("Share"),
        Column("Top-1 agrees"),
        Column("All codes"),
        Column("First layer"),
        Column("Why", text=True, wide=True),
    )
    return Table("Every two profiles", heads, tuple(_pair(pair) for pair in report.pairs))


def _pair(pair: ProfilePair) -> Row:
    first = next((str(i + 1) for i, layer in enumerate(pair.layers) if layer.differing), "")
    why = ", ".join(f"{item.label} {item.count:,}" for item in pair.own_causes)
    outputs = sum(output.differing for output in pair.outputs)
    figures = (count(outputs), percent(pair.share), percent(pair.top1_agreement), count(pair.differing))
    return (pair.left, pair.right, *figures, first, why)
