"""The roofline as a chart."""

import math
from collections.abc import Sequence

from accel_sim.analysis.roofline import Bound, Roofline, RooflineLayer
from accel_sim.report.html.axes import plain_number
from accel_sim.report.html.canvas import Canvas, canvas
from accel_sim.report.html.figures import Figure, Tone
from accel_sim.sim.result import LayerResult

_GROUPS = (
    (Bound.COMPUTE, "bound by the grid", Tone.FIRST, "o"),
    (Bound.MEMORY, "bound by DRAM", Tone.SECOND, "s"),
)


def roof_figure(roof: Roofline, layers: Sequence[LayerResult]) -> Figure:
    """What the layers achieve under the roof of grid and DRAM, both axes logarithmic.

    Args:
        roof: of a timed run, with at least one layer.
        layers: of the run, for their numbers.
    """
    numbers = {layer.name: i + 1 for i, layer in enumerate(layers)}
    points = [p for p in roof.layers if math.isfinite(p.operational_intensity)]
    with canvas(290.0) as drawing:
        axes = drawing.axes[0]
        axes.set_xscale("log")
        axes.set_yscale("log")
        _roof(drawing, roof, points)
        for bound, name, tone, marker in _GROUPS:
            shown = [p for p in points if p.bound is bound]
            for i, point in enumerate(shown):
                (dot,) = axes.plot(
                    [point.operational_intensity],
                    [point.achieved_per_cycle],
                    marker,
                    color=tone.light,
                    markeredgecolor=Tone.GROUND.light,
                    markeredgewidth=0.6,
                    markersize=7,
                    label=name if i == 0 else None,
                    zorder=3,
                )
                drawing.hint(dot, _told(point, numbers[point.name]))
        axes.set_xlabel("operations per DRAM byte")
        axes.set_ylabel("operations per cycle")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: plain_number(value))
            axis.set_minor_formatter("")
        axes.grid(visible=True, axis="x")
        drawing.legend()
        alt = f"{len(points)} layers as points below the roof: a slope that DRAM sets, then a level that the grid sets"
        return drawing.finish("Roofline", alt)


def _told(point: RooflineLayer, number: int) -> str:
    return (
        f"{number}. {point.name}\n{point.operational_intensity:.4g} operations per byte, "
        f"{point.achieved_per_cycle:.4g} of {point.attainable_per_cycle:.4g} operations per cycle"
    )


def _roof(drawing: Canvas, roof: Roofline, points: Sequence[RooflineLayer]) -> None:
    """The roof over the range of the layers, and past its own corner."""
    places = [p.operational_intensity for p in points]
    corner = [roof.ridge_intensity] if math.isfinite(roof.ridge_intensity) and roof.ridge_intensity > 0 else []
    low, high = min([*places, *corner], default=1.0) / 2, max([*places, *corner], default=1.0) * 2
    x = sorted({low, high, *corner})
    y = [min(roof.peak_per_cycle, i * roof.dram_bytes_per_cycle) for i in x]
    drawing.axes[0].plot(x, y, color=Tone.MUTED.light, linewidth=2, label="roof", zorder=2)
