"""The look of everything printed: numbers, bars, tables and headings."""

import math
import os
from collections.abc import Iterable
from io import StringIO

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from accel_sim.analysis.provenance import Provenance

UNATTENDED_WIDTH = 100  # columns, where the output is not a terminal
_EIGHTHS = " ▏▎▍▌▋▊▉"


def to_string(renderable: RenderableType, *, width: int | None = None, color: bool = False) -> str:
    """A renderable as text of `width` columns, more where numbers need them; of COLUMNS, the terminal, or 100."""
    stream = StringIO()
    console = Console(
        file=stream,
        width=width or _terminal_width(),
        force_terminal=color,
        color_system="standard" if color else None,
        legacy_windows=False,
        highlight=False,
        emoji=False,  # names are shown as they are
    )
    console.print(renderable, crop=False)
    lines = stream.getvalue().splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _terminal_width() -> int:
    wished = os.environ.get("COLUMNS", "")
    if wished.isascii() and wished.isdigit() and int(wished):
        return int(wished)
    for stream in (1, 2):
        try:
            return os.get_terminal_size(stream).columns or UNATTENDED_WIDTH
        except OSError:  # not a terminal
            continue
    return UNATTENDED_WIDTH


def page(*parts: RenderableType | None) -> Group:
    """Parts below one another, an empty line between; None is left out."""
    shown = [part for part in parts if part is not None]
    return Group(*[line for part in shown for line in (part, "")][:-1])


def headline(provenance: Provenance, *more: str) -> Text:
    """The model in bold and what its figures depend on; below, where the data came from."""
    text = Text(provenance.model, style="bold")
    about = [f"profile {provenance.profile}"]
    if provenance.hardware is not None:
        about.append(f"hardware {provenance.hardware.name}")
    text.append("   " + " · ".join([*about, *more]), style="not bold")
    if provenance.inputs:
        text.append(f"\n{provenance.inputs}", style="not bold dim")
    return text


def facts(pairs: Iterable[tuple[str, str]]) -> Table:
    """Names and values in two columns, without a frame."""
    grid = Table.grid(padding=(0, 2), pad_edge=False)
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    for name, value in pairs:
        grid.add_row(name, value)
    return grid


def bar(share: float, width: int = 12) -> Text:
    """A share, 0 to 1, as a horizontal bar of `width` characters in steps of an eighth."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, rest = divmod(eighths, 8)
    drawn = "█" * full + (_EIGHTHS[rest] if rest else "")
    return Text(drawn.ljust(width), style="cyan")


def count(value: int | None) -> str:
    """An exact integer with thousands separators; nothing for None."""
    return "" if value is None else f"{value:,}"


def percent(share: float | None) -> str:
    """A share as a percentage of two or three digits; what is not zero never looks like zero, nor 99.9996 like 100."""
    if share is None:
        return ""
    value = 100 * share
    if value in (0, 100):
        return f"{value:.0f} %"
    if value < 0.01:
        return "< 0.01 %"
    if value > 99.99:
        return "> 99.99 %"
    return f"{value:.2f} %" if value < 1 or value > 99 else f"{value:.1f} %"


def decibel(value: float) -> str:
    """A ratio in dB; identical tensors have no noise."""
    return "∞" if math.isinf(value) and value > 0 else f"{value:.1f}"


def samples(number: int) -> str:
    """`1 sample`, `360 samples`."""
    return f"{number:,} sample{'s' * (number != 1)}"


def short_count(value: int) -> str:
    """A count in four digits at most: `1.23 M`; nothing for 0."""
    return "" if not value else f"{value}" if value < 1000 else scaled(value, "").rstrip()


def size_bytes(value: float) -> str:
    """Bytes in binary units."""
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def scaled(value: float, unit: str, step: float = 1000.0) -> str:
    """A positive quantity with an SI prefix between pico and giga: `scaled(2.5e-4, "s")` is `250 µs`."""
    prefixes = ["p", "n", "µ", "m", "", "k", "M", "G", "T"]
    exponent = 4
    while value and abs(value) < 1 and exponent > 0:
        value, exponent = value * step, exponent - 1
    while abs(value) >= step and exponent < len(prefixes) - 1:
        value, exponent = value / step, exponent + 1
    return f"{value:.3g} {prefixes[exponent]}{unit}"
