"""A debug report on the terminal."""

from itertools import pairwise

import numpy as np
from rich.console import Group
from rich.text import Text

from accel_sim.analysis.debug.flow import ChannelRanges, DebugReport
from accel_sim.analysis.debug.quantizers import Kind, Score
from accel_sim.report.terminal.fitted import Cell, Column, FittedTable, Side
from accel_sim.report.terminal.style import decibel, page, percent, samples

_MOST_TRIALS = 12
_MOST_CHANNELS = 12
_PLOT_WIDTH = 56


def debug_page(report: DebugReport) -> Group:
    """The flow of figure 9 from top to bottom."""
    return page(
        Text(f"{report.model}   recipe {report.recipe} · {samples(report.samples)}", "bold"),
        _overview(report),
        Text(verdict_text(report)),
        Text(
            f"each quantizer alone, the noisiest {min(_MOST_TRIALS, len(report.trials))} of {len(report.trials)}", "dim"
        ),
        _trials(report),
        *(_box_plots(ranges) for ranges in report.channels[:1]),
        Text("cures, the best first", "dim") if report.cures else None,
        _cures(report) if report.cures else None,
        Text(suggestion_text(report)) if report.cures else None,
    )


def _columns(report: DebugReport, *names: Column) -> tuple[Column, ...]:
    labelled = [Column("accuracy")] if report.floating.accuracy is not None else []
    return (*names, Column("signal/noise dB"), Column("agrees with float"), *labelled)


def _figures(score: Score) -> list[Cell]:
    labelled: list[Cell] = [] if score.accuracy is None else [percent(score.accuracy)]
    return [decibel(score.signal_to_noise_db), percent(score.agreement), *labelled]


def _overview(report: DebugReport) -> FittedTable:
    rows = {
        "float": report.floating,
        "32-bit quantizers": report.wide,
        "all quantizers": report.everything,
        "weights only": report.weights,
        "activations only": report.activations,
    }
    table: list[list[Cell]] = [[name, *_figures(score)] for name, score in rows.items()]
    return FittedTable(_columns(report, Column("Network", Side.LEFT)), table)


def verdict_text(report: DebugReport) -> str:
    """What the flow found, as a phrase."""
    if not report.is_sane:
        return "sanity check failed: the network differs from the float one even with 32-bit quantizers"
    kind = "weights" if report.worse_kind is Kind.WEIGHTS else "activations"
    return f"sanity check passed; most of the noise comes from the {kind}"


def suggestion_text(report: DebugReport) -> str:
    """The cure that helps most, and its effect; that none helps, or "" where none was tried."""
    best, before = report.suggestion, report.everything
    if best is None:
        return "no change of the recipe that was tried helps" if report.cures else ""
    text = f"suggested: {best.change}: {_effect(before.signal_to_noise_db, best.score.signal_to_noise_db, 'dB')}"
    if before.accuracy is None or best.score.accuracy is None:
        return f"{text}, agreement {percent(before.agreement)} to {percent(best.score.agreement)}"
    return f"{text}, accuracy {percent(before.accuracy)} to {percent(best.score.accuracy)}"


def _effect(before: float, after: float, unit: str) -> str:
    return f"from {decibel(before)} to {decibel(after)} {unit}"


def _trials(report: DebugReport) -> FittedTable:
    columns = _columns(report, Column("Quantizer", Side.NAME), Column("of", Side.LEFT), Column("bits"))
    rows: list[list[Cell]] = [
        [t.quantizer.name, t.quantizer.kind.value, str(t.quantizer.bits), *_figures(t.score)]
        for t in report.trials[:_MOST_TRIALS]
    ]
    return FittedTable(columns, rows)


def _cures(report: DebugReport) -> FittedTable:
    columns = _columns(report, Column("Change of the recipe", Side.LEFT), Column("against", Side.LEFT, keep=1))
    rows: list[list[Cell]] = [[cure.change, cure.reason, *_figures(cure.score)] for cure in report.cures]
    return FittedTable(columns, rows)


def _box_plots(ranges: ChannelRanges) -> Group:
    """Figure 5: a line per channel, the widest and the narrowest of them."""
    low, high = min((*ranges.minimum, 0.0)), max((*ranges.maximum, 0.0))
    width = np.subtract(ranges.maximum, ranges.minimum)
    order = np.argsort(-width, kind="stable")
    half = _MOST_CHANNELS // 2
    shown = order if len(order) <= _MOST_CHANNELS else np.concatenate([order[:half], order[-half:]])
    lines = [Text(f"weights of {ranges.node} by channel, from {low:.3g} to {high:.3g}", "dim")]
    for channel in shown:
        five = [
            ranges.minimum[channel],
            ranges.first_quartile[channel],
            ranges.median[channel],
            ranges.third_quartile[channel],
            ranges.maximum[channel],
        ]
        lines.append(Text(f"{channel:5} {_box(five, low, high)}"))
    return Group(*lines)


def _box(five: list[float], low: float, high: float) -> str:
    """`├──▒▒│▒▒──┤`: minimum, quartiles, median, maximum."""
    span = (high - low) or 1.0
    at = [round((value - low) / span * (_PLOT_WIDTH - 1)) for value in five]
    line = [" "] * _PLOT_WIDTH
    for (start, end), mark in zip(pairwise(at), "─▒▒─", strict=True):
        line[start : end + 1] = mark * (end + 1 - start)
    line[at[0]], line[at[4]], line[at[2]] = "├", "┤", "│"
    return "".join(line)
