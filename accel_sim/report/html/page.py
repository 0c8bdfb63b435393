"""A report as a page: what it is made of, and the template that turns it into one self-contained file."""

import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from accel_sim.records import dataclass
from accel_sim.report.html.figures import Figure, variables


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        heading: its name. text: aligned to the left, as names are; numbers are aligned to the right.
        wide: may be broken into several lines.
    """

    heading: str
    text: bool = False
    wide: bool = False


LAYER_COLUMN = Column("Layer", text=True, wide=True)


@dataclass(frozen=True)
class Cell:
    """A cell that is more than a string.

    Attributes:
        text: what it says.
        share: 0 to 1, drawn as a bar behind the text.
        mark: a class of the style sheet ("good", "warn", "bad", "heat"), or "".
        title: the whole of what `text` shortens.
    """

    text: str
    share: float | None = None
    mark: str = ""
    title: str = ""


Row = tuple[str | Cell, ...]


@dataclass(frozen=True)
class Table:
    """Rows under columns; `caption` says what they are, and `folded` hides them until asked for, but on paper."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    folded: bool = False


@dataclass(frozen=True)
class Tile:
    """One figure of the summary: a name, a value, and what it means; `mark` as of a cell."""

    name: str
    value: str
    note: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Section:
    """A part of a page, with what it says first, its figures and its tables."""

    title: str
    note: str = ""
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()

    @property
    def anchor(self) -> str:
        """Its name in the address of a link."""
        return "-".join(self.title.lower().split())


@dataclass(frozen=True)
class Page:
    """A report.

    Attributes:
        kind: of report, as a phrase. subject: the network. about: what the figures depend on, as a line.
        verdict: the report in a sentence; `mark` as of a cell.
        tiles: the summary. sections: those that apply.
    """

    kind: str
    subject: str
    about: str
    verdict: str
    mark: str
    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...]


def present(*sections: Section | None) -> tuple[Section, ...]:
    """The sections that have something to say."""
    return tuple(s for s in sections if s is not None and (s.figures or s.tables))


def named(name: str, full: str) -> str | Cell:
    """A name, and the whole of it where it is shortened."""
    return name if name == full else Cell(name, title=full)


def facts(caption: str, pairs: Iterable[tuple[str, str]], *, folded: bool = False) -> Table:
    """Names and values as a table."""
    return Table(caption, (Column("", text=True), Column("", text=True, wide=True)), tuple(pairs), folded)


def render(page: Page) -> str:
    """The page as HTML. Everything in it is escaped but the drawings, which escape themselves."""
    template, style = _template()
    svgs = {figure.title: Markup(figure.themed) for section in page.sections for figure in section.figures}
    text = template.render(page=page, svgs=svgs, style=Markup(style), light=_css(dark=False), dark=_css(dark=True))
    return text.encode("utf-8", "replace").decode()


def _css(*, dark: bool) -> Markup:
    return Markup("; ").join(Markup("{}: {}").format(name, value) for name, value in variables(dark=dark).items())


def _breakable(text: object) -> Markup:
    """A text whose lines may end behind what separates the parts of a name, sooner than inside a word."""
    return Markup(re.sub(r"(?<=[/_])(?=\w)", "<wbr>", escape(text)))


@cache
def _template() -> tuple[Template, str]:
    environment = Environment(
        loader=PackageLoader("accel_sim.report.html", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    environment.tests["cell"] = lambda value: isinstance(value, Cell)
    return environment.get_template("page.html"), (files("accel_sim.report.html") / "page.css").read_text("utf-8")
