"""Golden vectors on the terminal: what was written."""

from rich.console import Group
from rich.text import Text

from accel_sim.report.terminal.fitted import Column, FittedTable, Side
from accel_sim.report.terminal.style import count, headline, page, samples
from accel_sim.report.vectors import GoldenVectors


def vectors_page(vectors: GoldenVectors) -> Group:
    """The arrays of a layer; manifest.json has how the result comes from them."""
    columns = (Column("Array", Side.NAME), Column("Type", Side.LEFT), Column("Shape", Side.LEFT), Column("Words"))
    rows = [
        [name, words.dtype, " x ".join(map(str, words.shape)), count(words.count)]
        for name, words in vectors.arrays.items()
    ]
    return page(
        headline(vectors.provenance, samples(vectors.samples)),
        Text(f"layer {vectors.command.layer} ({vectors.command.op})"),
        FittedTable(columns, rows),
    )
