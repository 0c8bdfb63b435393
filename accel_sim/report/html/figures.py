"""A figure: vector graphics whose colours are CSS variables, so that one drawing serves light, dark and paper.

The drawing library knows literal colours only. Each `Tone` has a colour that means nothing but itself; in a page the
variable of that name replaces it (`themed`), and in a file of its own rules of style do (`svg_document`).
"""

import re
from collections.abc import Mapping
from enum import Enum
from html import escape

from accel_sim.records import dataclass


class Tone(Enum):
    """What a colour is for: (name of its variable, on white, on black)."""

    FIRST = ("c1", "#2563c9", "#6ea8ff")
    SECOND = ("c2", "#d9730d", "#ff9f45")
    THIRD = ("c3", "#0d8f7b", "#3ecfb6")
    FOURTH = ("c4", "#7d4fc4", "#b795f5")
    FIFTH = ("c5", "#c9366b", "#ff7ba8")
    SIXTH = ("c6", "#8c7a00", "#d8c33c")
    SEVENTH = ("c7", "#3f86a8", "#83c4e3")
    REST = ("rest", "#8b95a5", "#7d8796")
    PALE = ("pale", "#c9d6ea", "#2f4160")
    SOFT = ("soft", "#8fb2e3", "#47699c")
    BAD = ("bad", "#c62828", "#ff7a70")
    INK = ("ink", "#1d2733", "#e6ebf2")
    MUTED = ("muted", "#5a6675", "#a3afbd")
    LINE = ("line", "#dfe4ea", "#333d4a")
    GROUND = ("ground", "#fefefe", "#151a21")

    @property
    def variable(self) -> str:
        """The CSS variable, `--c1`."""
        return f"--{self.value[0]}"

    @property
    def light(self) -> str:
        """The colour on white; also what the drawing library is given."""
        return self.value[1]

    @property
    def dark(self) -> str:
        """The colour on black."""
        return self.value[2]


_VARIABLES = {tone.light: tone.variable for tone in Tone}
_COLOR = re.compile(f"(fill|stroke): ({'|'.join(_VARIABLES)})")
SERIES_TONES = (Tone.FIRST, Tone.SECOND, Tone.THIRD, Tone.FOURTH, Tone.FIFTH, Tone.SIXTH, Tone.SEVENTH)
"""Tones of series, in the order in which they are given away."""


@dataclass(frozen=True)
class Series:
    """Values of one kind, one per place on the x axis; None where there is none."""

    name: str
    values: tuple[float | None, ...]
    tone: Tone = Tone.FIRST


@dataclass(frozen=True)
class Figure:
    """A drawing.

    Attributes:
        title: a phrase. alt: what one sees, in a sentence, for those who cannot.
        svg: one <svg> element with literal colours of `Tone`, no width and no height of its own.
        width, height: of its coordinates.
    """

    title: str
    alt: str
    svg: str
    width: float
    height: float

    @property
    def themed(self) -> str:
        """The <svg> for a page that defines the variables of `Tone`."""
        return _COLOR.sub(lambda match: f"{match[1]}: var({_VARIABLES[match[2]]})", self.svg)


def variables(*, dark: bool) -> Mapping[str, str]:
    """CSS variables and their values."""
    return {tone.variable: tone.dark if dark else tone.light for tone in Tone}


_DOCUMENT = """\
<?xml version="1.0" encoding="utf-8"?>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" \
viewBox="0 -34 {width:g} {height:g}" width="{width:g}" height="{height:g}">
<style>
text {{ font-family: system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif }}
@media (prefers-color-scheme: dark) {{
{dark}
}}
</style>
<rect x="0" y="-34" width="{width:g}" height="{height:g}" style="fill: {ground}"/>
<text x="8" y="-12" style="font-size: 15px; font-weight: 600; fill: {ink}">{title}</text>
<svg x="0" y="0" width="{width:g}" height="{inner:g}">
{svg}
</svg>
</svg>
"""


def svg_document(figure: Figure) -> str:
    """A figure as an SVG file of its own, with its title; colours are literal, those of a dark screen override them."""
    rules = [
        f'[style*="{part}: {tone.light}"] {{ {part}: {tone.dark} !important }}'
        for tone in Tone
        for part in ("fill", "stroke")
    ]
    return _DOCUMENT.format(
        width=figure.width,
        height=figure.height + 34,
        inner=figure.height,
        dark="\n".join(rules),
        ground=Tone.GROUND.light,
        ink=Tone.INK.light,
        title=escape(figure.title),
        svg=figure.svg,
    )
