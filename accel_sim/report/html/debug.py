"""The debugging flow of figure 9 as a page: where a quantized network loses accuracy, and what helps."""

from accel_sim.analysis.debug.flow import ChannelRanges, Cure, DebugReport, Trial
from accel_sim.analysis.debug.quantizers import Kind, Score
from accel_sim.report.html.about import versions_table
from accel_sim.report.html.boxes import Box, boxes
from accel_sim.report.html.columns import columns
from accel_sim.report.html.figures import Figure, Series, Tone
from accel_sim.report.html.page import Cell, Column, Page, Row, Section, Table, Tile, present
from accel_sim.report.terminal.debug import suggestion_text, verdict_text
from accel_sim.report.terminal.style import decibel, percent, samples

_MOST_COLUMNS = 400  # quantizers of the figure; the table has all
_QUIET_DB = 100.0


def debug_page(report: DebugReport) -> Page:
    """Summary, the steps of the flow, quantizers, channels, cures, versions."""
    return Page(
        kind="Debugging of a quantized network",
        subject=report.model,
        about=f"recipe {report.recipe} · {samples(report.samples)}",
        verdict=f"{_sentence(verdict_text(report))} {_sentence(suggestion_text(report))}".strip(),
        mark="good" if report.is_sane else "bad",
        tiles=tuple(_tiles(report)),
        sections=present(_flow(report), _quantizers(report), _channels(report), _cures(report), _about()),
    )


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _tiles(report: DebugReport) -> list[Tile]:
    tiles = [
        Tile("32-bit quantizers", _ratio(report.wide), "sanity check", "good" if report.is_sane else "bad"),
        Tile("all quantizers", _ratio(report.everything), f"{percent(report.everything.agreement)} agree with float"),
        Tile("weights only", _ratio(report.weights)),
        Tile("activations only", _ratio(report.activations)),
    ]
    if report.suggestion is not None:
        tiles.append(Tile("suggested", _ratio(report.suggestion.score), report.suggestion.change, "good"))
    return tiles


def _ratio(score: Score) -> str:
    return f"{decibel(score.signal_to_noise_db)} dB"


def _flow(report: DebugReport) -> Section:
    steps = {
        "float": report.floating,
        "quantizers of 32 bits: equal to float?": report.wide,
        "all quantizers at their width": report.everything,
        "only the weights'": report.weights,
        "only the activations'": report.activations,
    }
    rows = tuple((name, *_figures(score)) for name, score in steps.items())
    return Section("Flow", tables=(Table("Figure 9, step by step", _columns(report, Column("Step", text=True)), rows),))


def _quantizers(report: DebugReport) -> Section | None:
    if not report.trials:
        return None
    heads = _columns(report, Column("Quantizer", text=True, wide=True), Column("of", text=True), Column("Bits"))
    rows: list[Row] = [
        (t.quantizer.name, t.quantizer.kind.value, f"{t.quantizer.bits}", *_figures(t.score)) for t in report.trials
    ]
    table = Table("Each quantizer alone at its width, all others off; the noisiest first", heads, tuple(rows))
    return Section("Quantizers", figures=(_noise(report.trials[:_MOST_COLUMNS]),), tables=(table,))


def _noise(trials: tuple[Trial, ...]) -> Figure:
    """Signal to noise of each quantizer, hanging from the top: the taller, the worse."""
    names = [f"{t.quantizer.name} ({t.quantizer.kind.value})" for t in trials]
    loud = [max(0.0, _QUIET_DB - min(t.score.signal_to_noise_db, _QUIET_DB)) for t in trials]

    def of(kind: Kind) -> tuple[float | None, ...]:
        return tuple(v if t.quantizer.kind is kind else None for t, v in zip(trials, loud, strict=True))

    parts = [Series("weights", of(Kind.WEIGHTS), Tone.FIRST), Series("activations", of(Kind.ACTIVATION), Tone.SECOND)]
    alt = "one column per quantizer, the noisiest first: how far its noise stands above a signal to noise of 100 dB"
    return columns(
        "Noise of each quantizer alone",
        alt,
        names,
        parts,
        y_label="noise, dB below the signal",
        x_label="quantizer, by its rank in the table",
        form=lambda v: f"{_QUIET_DB - v:.1f} dB".replace(f"{_QUIET_DB:.1f}", f"≥ {_QUIET_DB:.0f}"),
    )


def _channels(report: DebugReport) -> Section | None:
    figures = tuple(_box_figure(ranges) for ranges in report.channels)
    return Section("Channels", "Weights of the layers whose weights make most noise (figure 5).", figures)


def _box_figure(ranges: ChannelRanges) -> Figure:
    five = (ranges.minimum, ranges.first_quartile, ranges.median, ranges.third_quartile, ranges.maximum)
    alt = "a box per output channel: channels of very different width share one grid badly"
    return boxes(f"Weights of {ranges.node}", alt, [Box(*values) for values in zip(*five, strict=True)])


def _cures(report: DebugReport) -> Section | None:
    if not report.cures:
        return None
    names = Column("Change of the recipe", text=True, wide=True), Column("Against", text=True, wide=True)
    heads = _columns(report, *names)
    before = report.everything.signal_to_noise_db
    rows = tuple(_cure(cure, before) for cure in report.cures)
    caption = "The network quantized with each change alone, the best first"
    return Section("Cures", tables=(Table(caption, heads, rows),))


def _cure(cure: Cure, before: float) -> Row:
    ratio, *others = _figures(cure.score)
    mark = "good" if cure.score.signal_to_noise_db > before else "bad"
    return (cure.change, cure.reason, Cell(str(ratio), mark=mark), *others)


def _columns(report: DebugReport, *names: Column) -> tuple[Column, ...]:
    labelled = [Column("Accuracy")] if report.floating.accuracy is not None else []
    return (*names, Column("Signal / noise, dB"), Column("Agrees with float"), *labelled)


def _figures(score: Score) -> Row:
    labelled = () if score.accuracy is None else (percent(score.accuracy),)
    return (decibel(score.signal_to_noise_db), percent(score.agreement), *labelled)


def _about() -> Section:
    return Section("Provenance", tables=(versions_table(),))
