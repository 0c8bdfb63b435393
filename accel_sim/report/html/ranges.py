"""Charts of accumulators: which values they hold, against what widths can hold."""

import math
from collections.abc import Sequence

from matplotlib.ticker import FuncFormatter, MultipleLocator

from accel_sim.records import dataclass
from accel_sim.report.html.axes import layer_axis
from accel_sim.report.html.canvas import Canvas, canvas
from accel_sim.report.html.figures import Figure, Tone

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_LABEL_SHARE = 0.06  # of the axis, that a label takes
Range = tuple[int, int]


@dataclass(frozen=True)
class Ranges:
    """Smallest and largest value of each layer's accumulators; None where nothing is known."""

    name: str
    values: tuple[Range | None, ...]
    tone: Tone


def ranges(title: str, alt: str, layers: Sequence[str], sets: Sequence[Ranges], widths: Sequence[int]) -> Figure:
    """Ranges per layer on a signed binary-logarithmic axis, wider sets behind narrower ones.

    Args:
        title: of the figure.
        alt: what one sees, in a sentence.
        layers: names, told where a pointer rests.
        sets: from the widest to the narrowest.
        widths: accumulators, in bits; a line at either end of what each can hold.
    """
    with canvas(300.0) as drawing:
        axes = drawing.axes[0]
        width = layer_axis(axes, len(layers))
        for i, part in enumerate(sets):
            _bars(drawing, layers, part, width * (1 - 0.22 * i))
        reach = max(_limits(sets), *(bits - 1 for bits in widths), 8.0) + 1.5
        axes.set_ylim(-reach, reach)
        axes.axhline(0, color=Tone.MUTED.light, linewidth=0.8)
        for group in _apart(sorted(widths), _LABEL_SHARE * 2 * reach):
            _widths(drawing, group)
        axes.yaxis.set_major_locator(MultipleLocator(8))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: power(value)))
        axes.set_ylabel("accumulator's value")
        drawing.legend()
        return drawing.finish(title, alt)


def _bars(drawing: Canvas, layers: Sequence[str], part: Ranges, width: float) -> None:
    known = [(i, r) for i, r in enumerate(part.values) if r is not None]
    low, high = [_place(r[0]) for _, r in known], [_place(r[1]) for _, r in known]
    spans = [b - a for a, b in zip(low, high, strict=True)]
    places = [i + 1 for i, _ in known]
    bars = drawing.axes[0].bar(places, spans, width, low, color=part.tone.light, label=part.name)
    for (i, (least, most)), bar in zip(known, bars, strict=True):
        drawing.hint(bar, f"{i + 1}. {layers[i]}\n{part.name}: {least:,} to {most:,}")


def _apart(widths: Sequence[int], distance: float) -> list[list[int]]:
    """Widths whose labels would lie on each other, together."""
    groups: list[list[int]] = []
    for bits in widths:
        if groups and bits - groups[-1][0] < distance:
            groups[-1].append(bits)
        else:
            groups.append([bits])
    return groups


def _widths(drawing: Canvas, group: list[int]) -> None:
    axes = drawing.axes[0]
    for bits in group:
        for end in (bits - 1, 1 - bits):
            axes.axhline(end, color=Tone.BAD.light, linewidth=1, dashes=(5, 3), zorder=3)
    name = f"{group[0]}" if len(group) == 1 else f"{group[0]} to {group[-1]}"
    axes.annotate(
        f"{name} bits",
        (1.0, (group[0] + group[-1]) / 2 - 1),
        xycoords=("axes fraction", "data"),
        xytext=(5, 0),
        textcoords="offset points",
        color=Tone.BAD.light,
        fontsize=11,
        verticalalignment="center",
        annotation_clip=False,
    )


def _place(value: int) -> float:
    """A value on the axis: the bits of its magnitude, with its sign; -2^(b-1) lies on the line of b bits."""
    bits = math.log2(abs(value) + 1)
    return bits if value >= 0 else -bits


def _limits(sets: Sequence[Ranges]) -> float:
    return max((abs(_place(v)) for part in sets for r in part.values if r is not None for v in r), default=0.0)


def power(exponent: float) -> str:
    """`2¹⁶`, `−2⁸`, `0` at the middle."""
    if not exponent:
        return "0"
    return ("\N{MINUS SIGN}" if exponent < 0 else "") + "2" + f"{abs(exponent):.0f}".translate(_SUPERSCRIPTS)
