"""Tables that stay readable where the terminal is narrow: names lose their middle, texts wrap, then columns go.

Numbers are never cut: where nothing more can go, lines are longer than the terminal, which breaks them.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from enum import Enum
from itertools import takewhile

from rich import box
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
from rich.table import Table
from rich.text import Text

from accel_sim.records import dataclass

_GAP = 2  # spaces between columns
_SHORTEST_NAME = 16
_LEAST = 10  # characters of a name or a text, where not even the numbers have room


class Side(Enum):
    """How a column is set."""

    LEFT = "left"
    RIGHT = "right"
    NAME = "name"
    """To the left, reduced to what tells it from the other names, shortened in the middle."""
    TEXT = "text"
    """To the left, on several lines where it is long."""


@dataclass(frozen=True)
class Column:
    """A column; those with the lowest `keep` go first where there is no room, together; 0 never goes."""

    heading: str
    side: Side = Side.RIGHT
    keep: int = 0


Cell = str | Text


@dataclass(frozen=True)
class FittedTable:
    """Columns and rows; each row has a cell per column."""

    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Cell]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table in the width that there is, or in the one that it needs."""
        table, needed = _plain(self).fitted(options.max_width)
        yield from console.render(table, options.update(max_width=max(options.max_width, needed)))

    def fitted(self, width: int) -> tuple[Table, int]:
        """The table in at most `width` columns, where its numbers leave room for that; and the width that it needs."""
        shown = self._shown(width)
        flexible = [i for i in shown if self.columns[i].side in _FLEXIBLE]
        room = width - self._width([i for i in shown if i not in flexible], gaps=len(shown))
        lengths = dict(zip(flexible, _share(room, [self._natural(i) for i in flexible]), strict=True))
        needed = 0
        table = Table(box=box.SIMPLE_HEAD, padding=(0, _GAP - 1, 0, 0), show_edge=False)
        for i in shown:
            side, heading = self.columns[i].side, self.columns[i].heading
            justify: JustifyMethod = "right" if side is Side.RIGHT else "left"
            wrapped = lengths[i] if side is Side.TEXT else None
            table.add_column(
                heading, justify=justify, no_wrap=wrapped is None, width=wrapped, overflow="fold", header_style="dim"
            )
            needed += lengths.get(i, self._natural(i)) + _GAP
        cells = [self._set(i, lengths.get(i)) for i in shown]
        for row in zip(*cells, strict=True):
            table.add_row(*row)
        return table, needed

    def _set(self, column: int, length: int | None) -> list[Cell]:
        """The cells of a column."""
        cells = [row[column] for row in self.rows]
        if self.columns[column].side is not Side.NAME or length is None:
            return cells
        return list(shortened([str(cell) for cell in cells], length))

    def _shown(self, width: int) -> list[int]:
        """The columns that fit; equal ranks go together."""
        shown = list(range(len(self.columns)))
        for rank in sorted({column.keep for column in self.columns if column.keep}):
            if self._width(shown, gaps=len(shown)) <= width:
                break
            shown = [i for i in shown if self.columns[i].keep != rank]
        return shown

    def _width(self, columns: list[int], gaps: int) -> int:
        shortest = [min(self._natural(i), self._limit(i)) for i in columns]
        return sum(shortest) + _GAP * gaps

    def _limit(self, column: int) -> int:
        return _SHORTEST_NAME if self.columns[column].side in _FLEXIBLE else 1 << 30

    def _natural(self, column: int) -> int:
        return max(len(str(cell)) for cell in self._cells(column))

    def _cells(self, column: int) -> Iterator[Cell]:
        yield self.columns[column].heading
        for row in self.rows:
            yield row[column]


def _share(room: int, wanted: list[int]) -> list[int]:
    """Room for each of several names: what it wants, or an equal part of what is left."""
    given: dict[int, int] = {}
    for rank, i in enumerate(sorted(range(len(wanted)), key=lambda i: wanted[i])):
        share = (room - sum(given.values())) // (len(wanted) - rank)
        given[i] = min(wanted[i], max(share, _LEAST))
    return [given[i] for i in range(len(wanted))]


def shortened(names: Sequence[str], length: int) -> list[str]:
    """Names with their middles left out where they are long: so much of the end that different names stay different."""
    for head in (None, *range(length)):
        short = [shorten(name, length, head) for name in names]
        if len(set(short)) == len(set(names)):
            return short
    return [shorten(name, length) for name in names]


def shorten(name: str, length: int, head: int | None = None) -> str:
    """A long name with its middle left out, behind `head` characters; a third of them by default."""
    if len(name) <= length:
        return name
    head = (length - 1) // 3 if head is None else head
    tail = length - 1 - head
    return f"{name[:head]}…{name[len(name) - tail :]}"


_FLEXIBLE = (Side.NAME, Side.TEXT)


def _plain(table: FittedTable) -> FittedTable:
    """The table with reduced names."""
    columns = {
        i: distinguishing([str(row[i]) for row in table.rows])
        for i, column in enumerate(table.columns)
        if column.side is Side.NAME
    }
    rows = [[columns[i][r] if i in columns else cell for i, cell in enumerate(row)] for r, row in enumerate(table.rows)]
    return FittedTable(table.columns, rows)


def distinguishing(names: Sequence[str]) -> list[str]:
    """Names without what they share: converters join the names of fused layers by `;` below one common path.

    Of the parts of a name, the first that no other name has stands for it; then the common path goes.
    """
    parts = [name.split(";") for name in names]
    counts = Counter(part for own in {*names} for part in {*own.split(";")})
    chosen = [next((part for part in own if counts[part] == 1), name) for own, name in zip(parts, names, strict=True)]
    shared = _common_path([name.split("/")[:-1] for name in sorted({*chosen}) if "/" in name])
    return [name.removeprefix(shared) for name in chosen]


def _common_path(paths: Sequence[Sequence[str]]) -> str:
    """The folders that all paths begin with, with a slash at the end; nothing for a single path."""
    if len(paths) < 2:
        return ""
    steps = takewhile(lambda step: len(set(step)) == 1, zip(*paths, strict=False))
    return "".join(f"{step[0]}/" for step in steps)
