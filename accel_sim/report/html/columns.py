"""Charts of layers: one column per layer, its parts stacked; and of the differences of codes."""

from collections.abc import Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator

from accel_sim.report.html.axes import EXACT, LAYERS, Form, layer_axis, scale_y
from accel_sim.report.html.canvas import Canvas, canvas
from accel_sim.report.html.figures import SERIES_TONES, Figure, Series, Tone

_HEIGHT = 250.0
_LEAST_BAR = 0.6  # where a logarithmic axis begins: a single event is seen


def columns(
    title: str,
    alt: str,
    layers: Sequence[str],
    series: Sequence[Series],
    *,
    y_label: str,
    x_label: str = LAYERS,
    scale: str = "linear",
    form: Form | None = None,
    levels: Series | None = None,
) -> Figure:
    """One column per layer.

    Args:
        title: of the figure.
        alt: what one sees, in a sentence.
        layers: names, told where a pointer rests.
        series: parts of the columns, from below; one value per layer.
        y_label: with its unit.
        x_label: what the columns are, if not layers.
        scale: "linear", "percent" or "bytes".
        form: how a value is written; that of the scale by default.
        levels: drawn as a short line across each column.
    """
    with canvas(_HEIGHT) as drawing:
        axes = drawing.axes[0]
        width = layer_axis(axes, len(layers))
        _stack(drawing, layers, series, width, form or EXACT[scale])
        if levels is not None:
            places = [i + 1 for i, value in enumerate(levels.values) if value is not None]
            heights = [value for value in levels.values if value is not None]
            reach = width / 2 + 0.06
            axes.hlines(
                heights,
                [p - reach for p in places],
                [p + reach for p in places],
                colors=levels.tone.light,
                linewidth=2,
                label=levels.name,
            )
        axes.set_ylim(bottom=0)
        axes.set_ylabel(y_label)
        axes.set_xlabel(x_label)
        scale_y(axes, scale, form)
        if len(series) > 1 or levels is not None or series[0].name not in title.lower():
            drawing.legend()
        return drawing.finish(title, alt)


def _stack(drawing: Canvas, layers: Sequence[str], series: Sequence[Series], width: float, form: Form) -> None:
    below = np.zeros(len(layers))
    edge = 0.6 if len(layers) <= 80 else 0.0  # a gap between parts, where there is room for it
    for part in series:
        heights = np.array([value or 0.0 for value in part.values])
        shown = np.flatnonzero(heights).tolist()
        bars = drawing.axes[0].bar(
            [layer + 1 for layer in shown],
            heights[shown],
            width,
            below[shown],
            color=part.tone.light,
            edgecolor=Tone.GROUND.light,
            linewidth=edge,
            label=part.name,
        )
        for layer, bar in zip(shown, bars, strict=True):
            drawing.hint(bar, f"{layer + 1}. {layers[layer]}\n{part.name}: {form(heights[layer])}")
        below += heights


def histogram(title: str, alt: str, counts: Sequence[tuple[str, dict[int, int]]], end: int) -> Figure:
    """How often codes differ by how much.

    Args:
        title: of the figure.
        alt: what one sees, in a sentence.
        counts: name of a set of codes, and difference -> how many; +-end hold everything beyond.
        end: the largest difference told by itself.
    """
    reach = min(end, max((abs(d) for _, found in counts for d in found), default=1))
    width = 0.8 / max(len(counts), 1)
    with canvas(_HEIGHT) as drawing:
        axes = drawing.axes[0]
        for i, (name, found) in enumerate(counts):
            places = sorted(found)
            left = [d - 0.4 + width * (i + 0.5) for d in places]
            tone = SERIES_TONES[i % len(SERIES_TONES)]
            bars = axes.bar(left, [found[d] for d in places], width * 0.94, color=tone.light, label=name)
            for d, bar in zip(places, bars, strict=True):
                drawing.hint(bar, f"{name}\n{difference(d, end)}: {found[d]:,} codes")
        axes.set_yscale("log", nonpositive="clip")
        axes.set_ylim(bottom=_LEAST_BAR)
        _difference_axis(drawing, reach, end)
        drawing.legend()
        return drawing.finish(title, alt)


def _difference_axis(drawing: Canvas, reach: int, end: int) -> None:
    axes = drawing.axes[0]
    axes.set_xlim(-reach - 0.6, reach + 0.6)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=17, integer=True, steps=[1, 2, 4, 5, 10]))
    axes.xaxis.set_major_formatter(lambda value, _: difference(round(value), end))
    axes.set_xlabel("difference, codes (LSB)")
    axes.set_ylabel("codes")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.yaxis.set_minor_locator(MaxNLocator(1))
    axes.tick_params(axis="y", which="minor", length=0, labelleft=False)


def difference(value: int, end: int) -> str:
    """`-3`, `0`, `+1`, `≥ 16`: the ends hold everything beyond them."""
    if abs(value) >= end:
        return f"≥ {end}" if value > 0 else f"≤ \N{MINUS SIGN}{end}"
    return f"{value:+d}".replace("-", "\N{MINUS SIGN}") if value else "0"
