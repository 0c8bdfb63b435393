"""From matplotlib's axes to a `Figure`: one look, the same bytes for the same data, nothing that reaches outside."""

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from typing import Any
from xml.etree import ElementTree

import matplotlib
import matplotlib.figure
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from accel_sim.report.html.figures import Figure, Tone

WIDTH = 860.0
"""Units of every figure's width; text is 12 of them high."""
_DPI = 72.0  # matplotlib's SVG unit: one unit of a figure is one unit of its coordinates
_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_FONT = re.compile(r"font(-family)?: ([^;]*?)'DejaVu Sans'[^;]*")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_LOOK: dict[Any, Any] = {  # Any: matplotlib types its own keys, and those of each version differ
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "accel-sim",  # names of clips and markers follow from what they draw
    "text.parse_math": False,  # a layer's name may hold a dollar
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same layout everywhere
    "font.size": 12.0,
    "axes.facecolor": "none",
    "axes.edgecolor": Tone.MUTED.light,
    "axes.labelcolor": Tone.MUTED.light,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": Tone.LINE.light,
    "grid.linewidth": 0.8,
    "xtick.color": Tone.MUTED.light,
    "ytick.color": Tone.MUTED.light,
    "xtick.labelsize": 11.0,
    "ytick.labelsize": 11.0,
    "text.color": Tone.INK.light,
    "legend.frameon": False,
    "legend.fontsize": 11.5,
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
}


@dataclass
class Canvas:
    """A figure in the making.

    Attributes:
        figure: matplotlib's. axes: one below the other.
        hints: what a pointer that rests on an artist is told, by the artist's gid.
    """

    figure: matplotlib.figure.Figure
    axes: tuple[Axes, ...]
    hints: dict[str, str] = field(default_factory=dict)

    def hint(self, artist: Artist, text: str) -> None:
        """Tell `text` where a pointer rests on `artist`."""
        gid = f"hint{len(self.hints)}"
        artist.set_gid(gid)
        self.hints[gid] = text

    def legend(self, columns: int = 4) -> None:
        """The names of all series above the axes, each once."""
        found: dict[str, Artist] = {}
        for axes in self.axes:
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                found.setdefault(label, handle)
        order = [
            label for first in range(columns) for label in list(found)[first::columns]
        ]  # it fills columns, not rows
        if found:
            self.figure.legend([found[label] for label in order], order, loc="outside upper left", ncols=columns)

    def finish(self, title: str, alt: str) -> Figure:
        """The drawing."""
        stream = StringIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing")  # measured as a box, drawn by the reader's own font
            self.figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
        width, height = (float(v) * _DPI for v in self.figure.get_size_inches())
        return Figure(title, alt, _cleaned(stream.getvalue(), title, alt, self.hints), width, height)


@contextmanager
def canvas(*heights: float) -> Iterator[Canvas]:
    """A figure of axes of these heights, one below the other with one x axis, in the look of all figures.

    Nothing of the user's own matplotlib settings reaches it.
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_LOOK)
        figure = matplotlib.figure.Figure(figsize=(WIDTH / _DPI, sum(heights) / _DPI), dpi=_DPI)
        grid = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)
        yield Canvas(figure, tuple(grid[:, 0]))


def _cleaned(text: str, title: str, alt: str, hints: Mapping[str, str]) -> str:
    """matplotlib's file as one element of a page: no metadata, no global style, names that no other figure has."""
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    root = ElementTree.fromstring(text)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith("metadata") or child.tag == f"{{{_SVG}}}style":
                parent.remove(child)
    _tell(root, hints)
    _rename(root, title)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-label", _printable(f"{title}: {alt}"))
    return ElementTree.tostring(root, encoding="unicode")


def _tell(root: ElementTree.Element, hints: Mapping[str, str]) -> None:
    for element in root.iter():
        text = hints.get(element.get("id", ""))
        if text is not None:
            told = ElementTree.Element(f"{{{_SVG}}}title")
            told.text = _printable(text)
            element.insert(0, told)


def _rename(root: ElementTree.Element, title: str) -> None:
    """Keep the names that are referred to, with a prefix made of the title; drop all others, and fonts by name."""
    prefix = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    href, text = f"{{{_XLINK}}}href", ElementTree.tostring(root, encoding="unicode")
    used = set(re.findall(r"#([A-Za-z_][\w.-]*)", text))
    for element in root.iter():
        name = element.attrib.pop("id", None)
        if name in used:
            element.set("id", f"{prefix}-{name}")
        if href in element.attrib:
            element.set(href, f"#{prefix}-{element.attrib[href][1:]}")
        if "clip-path" in element.attrib:
            element.set("clip-path", element.attrib["clip-path"].replace("url(#", f"url(#{prefix}-"))
        if "style" in element.attrib:
            element.set("style", _FONT.sub(r"font\1: \2sans-serif", element.attrib["style"]))


def _printable(text: str) -> str:
    """Text without the characters that no XML may hold."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
