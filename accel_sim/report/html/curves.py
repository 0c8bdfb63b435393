"""Charts of figures against a width, a depth, an intensity: lines, and where something begins to hold."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from accel_sim.records import dataclass
from accel_sim.report.html.axes import EXACT, scale_y
from accel_sim.report.html.canvas import Canvas, canvas
from accel_sim.report.html.figures import Figure, Series, Tone

_HEIGHT = 240.0
_STYLES = (("-", "o"), ("--", "s"), (":", "^"), ("-.", "D"))  # lines that lie on each other, or are printed in grey


@dataclass(frozen=True)
class Panel:
    """One chart of several with the same x.

    Attributes:
        y_label: with its unit.
        series: values at each x.
        scale: "linear", "percent" (of 0 to 1), or "counts" (0, then decades).
    """

    y_label: str
    series: tuple[Series, ...]
    scale: str = "linear"


@dataclass(frozen=True)
class Mark:
    """A place on the x axis that has a name."""

    x: float
    label: str


def curves(
    title: str,
    alt: str,
    *,
    x: Sequence[float],
    x_label: str,
    panels: Sequence[Panel],
    marks: Sequence[Mark] = (),
) -> Figure:
    """Lines over x, in one panel or several below one another.

    Args:
        title: of the figure.
        alt: what one sees, in a sentence.
        x: places, ascending.
        x_label: with its unit.
        panels: from above.
        marks: vertical lines through all panels, named in the first.
    """
    with canvas(*[_HEIGHT if i == 0 else 0.75 * _HEIGHT for i in range(len(panels))]) as drawing:
        for axes, panel in zip(drawing.axes, panels, strict=True):
            _lines(drawing, axes, panel, x)
        for i, mark in enumerate(marks):
            _mark(drawing, mark, i)
        last = drawing.axes[-1]
        last.set_xlabel(x_label)
        last.xaxis.set_major_locator(MaxNLocator(nbins=20, integer=all(float(v).is_integer() for v in x)))
        drawing.legend()
        return drawing.finish(title, alt)


def _lines(drawing: Canvas, axes: Axes, panel: Panel, x: Sequence[float]) -> None:
    form = EXACT[panel.scale]
    for i, series in enumerate(panel.series):
        line, marker = _STYLES[i % len(_STYLES)]
        shown = [(a, b) for a, b in zip(x, series.values, strict=True) if b is not None]
        places, values = [a for a, _ in shown], [b for _, b in shown]
        axes.plot(places, values, line, color=series.tone.light, linewidth=1.8, label=series.name, zorder=3)
        for place, value in shown:
            (point,) = axes.plot([place], [value], marker, color=series.tone.light, markersize=5, zorder=4)
            drawing.hint(point, f"{series.name} at {place:g}: {form(value)}")
    axes.set_ylabel(panel.y_label)
    scale_y(axes, panel.scale)
    if panel.scale == "counts":
        axes.set_ylim(bottom=0)
    if panel.scale == "percent":
        low, high = axes.get_ylim()
        flat = all(value == panel.series[0].values[0] for line in panel.series for value in line.values)
        axes.set_ylim(*((-0.04, 1.04) if flat else (max(low, -0.04), min(high, 1.04))))


def _mark(drawing: Canvas, mark: Mark, number: int) -> None:
    """A line through all panels, named in the first; names step up, and cover the lines of others that they cross."""
    for axes in drawing.axes:
        axes.axvline(mark.x, color=Tone.MUTED.light, linewidth=1, dashes=(4, 3), zorder=2)
    drawing.axes[0].annotate(
        mark.label,
        (mark.x, 0.02 + 0.09 * number),
        xycoords=("data", "axes fraction"),
        xytext=(4, 0),
        textcoords="offset points",
        color=Tone.MUTED.light,
        fontsize=11,
        verticalalignment="bottom",
        bbox={"facecolor": Tone.GROUND.light, "edgecolor": "none", "pad": 1},
    )
