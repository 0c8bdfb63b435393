"""What several charts say about their axes: ticks as people write numbers, layers by their numbers."""

from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator, NullLocator, SymmetricalLogLocator

from accel_sim.report.terminal.style import percent, scaled, size_bytes

LAYERS = "layer, by its number in the table"
_WIDEST_BAR = 52.0  # units; a network of three layers has no columns as wide as a page
_PLOT_WIDTH = 780.0
_STEPS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
Form = Callable[[float], str]


def byte_steps(largest: float) -> float:
    """The distance of ticks for bytes: a power of two of a binary unit, at most 6 of them up to `largest`."""
    unit = 1.0
    while largest / 6 > 512 * unit:
        unit *= 1024
    return next((step * unit for step in _STEPS if largest <= 6 * step * unit), 512 * unit)


def plain_number(value: float) -> str:
    """`0.5`, `12`, `1.5 M`."""
    return f"{value:g}" if abs(value) < 1000 else scaled(value, "").rstrip()


def percent_tick(value: float) -> str:
    """A share on an axis: `0.05 %`."""
    return f"{100 * value:.4g} %"


FORMS: dict[str, Form] = {"linear": plain_number, "percent": percent_tick, "counts": plain_number, "bytes": size_bytes}
EXACT: dict[str, Form] = {
    "linear": lambda v: f"{v:,.6g}",
    "percent": percent,
    "counts": lambda v: f"{v:,.0f}",
    "bytes": size_bytes,
}


def scale_y(axes: Axes, scale: str, form: Form | None = None) -> None:
    """Ticks of the y axis: "linear", "percent" (of 0 to 1), "bytes", or "counts" (0, then decades)."""
    shown = form or FORMS[scale]
    if scale == "counts":
        axes.set_yscale("symlog", linthresh=1.0)
        axes.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=1))
        axes.yaxis.set_minor_locator(NullLocator())
    elif scale == "bytes":
        axes.yaxis.set_major_locator(MultipleLocator(byte_steps(axes.get_ylim()[1])))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value)))


def layer_axis(axes: Axes, count: int) -> float:
    """Layers 1 to `count` along x; returns the width of a column, in layers."""
    axes.set_xlim(0.4, count + 0.6)
    axes.set_xlabel(LAYERS)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=20, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}" if 1 <= value <= count else ""))
    axes.tick_params(axis="x", length=0)
    return min(0.82, _WIDEST_BAR * count / _PLOT_WIDTH)
