"""Tables that stay readable where the terminal is narrow: names lose their middle, then whole columns go."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

_GAP = 2  # spaces between columns
_SHORTEST_NAME = 16


class Side(Enum):
    """How a column is set."""

    LEFT = "left"
    RIGHT = "right"
    NAME = "name"
    """To the left, and shortened in the middle: file formats put what tells layers apart at both ends."""


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
        """The table in the width that there is."""
        shown = self._shown(options.max_width)
        room = options.max_width - self._width(
            [i for i in shown if self.columns[i].side is not Side.NAME], gaps=len(shown)
        )
        names = [i for i in shown if self.columns[i].side is Side.NAME]
        lengths = dict(zip(names, _share(room, [self._natural(i) for i in names]), strict=True))
        table = Table(box=box.SIMPLE_HEAD, padding=(0, _GAP - 1, 0, 0), show_edge=False)
        for i in shown:
            to_right = self.columns[i].side is Side.RIGHT
            table.add_column(
                self.columns[i].heading, justify="right" if to_right else "left", no_wrap=True, header_style="dim"
            )
        for row in self.rows:
            table.add_row(*[shorten(str(row[i]), lengths[i]) if i in lengths else row[i] for i in shown])
        yield table

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
        return _SHORTEST_NAME if self.columns[column].side is Side.NAME else 1 << 30

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
        given[i] = max(min(wanted[i], (room - sum(given.values())) // (len(wanted) - rank)), 1)
    return [given[i] for i in range(len(wanted))]


def shorten(name: str, length: int) -> str:
    """A long name with its middle left out."""
    if len(name) <= length:
        return name
    head = (length - 1) // 3
    tail = length - 1 - head
    return f"{name[:head]}…{name[len(name) - tail :]}"
