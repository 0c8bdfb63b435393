"""Figure 5: the weights of a layer, channel by channel, as boxes."""

from collections.abc import Sequence

from matplotlib.ticker import MaxNLocator

from accel_sim.records import dataclass
from accel_sim.report.html.axes import scale_y
from accel_sim.report.html.canvas import canvas
from accel_sim.report.html.figures import Figure, Tone

_HEIGHT = 250.0
_BOX = 0.66


@dataclass(frozen=True)
class Box:
    """Minimum, quartiles and maximum of one channel."""

    minimum: float
    first_quartile: float
    median: float
    third_quartile: float
    maximum: float

    @property
    def text(self) -> str:
        """Its five numbers."""
        five = (self.minimum, self.first_quartile, self.median, self.third_quartile, self.maximum)
        return " · ".join(f"{value:.4g}" for value in five)


def boxes(title: str, alt: str, channels: Sequence[Box]) -> Figure:
    """One box per channel: whiskers from minimum to maximum, the box between the quartiles, a line at the median.

    Args:
        title: of the figure.
        alt: what one sees, in a sentence.
        channels: at least one.
    """
    places = [float(i) for i in range(len(channels))]
    with canvas(_HEIGHT) as drawing:
        axes = drawing.axes[0]
        lows, highs = [c.minimum for c in channels], [c.maximum for c in channels]
        axes.vlines(places, lows, highs, colors=Tone.SOFT.light, linewidth=_whisker(len(channels)))
        heights = [c.third_quartile - c.first_quartile for c in channels]
        starts = [c.first_quartile for c in channels]
        bars = axes.bar(places, heights, _BOX, starts, color=Tone.FIRST.light)
        for i, (channel, bar) in enumerate(zip(channels, bars, strict=True)):
            drawing.hint(bar, f"channel {i}\n{channel.text}")
        left, right = ([p + sign * _BOX / 2 for p in places] for sign in (-1, 1))
        axes.hlines([c.median for c in channels], left, right, colors=Tone.SECOND.light, linewidth=1.2)
        axes.axhline(0, color=Tone.MUTED.light, linewidth=0.8)
        axes.set_xlim(-0.6, len(channels) - 0.4)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=16, integer=True))
        axes.set_xlabel("output channel")
        axes.set_ylabel("weights")
        scale_y(axes, "linear")
        return drawing.finish(title, alt)


def _whisker(count: int) -> float:
    return 1.2 if count <= 128 else 0.5
