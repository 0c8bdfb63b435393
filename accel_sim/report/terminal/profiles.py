"""A comparison of profiles on the terminal."""

from rich.console import Group
from rich.text import Text

from accel_sim.analysis.mismatch.profiles import ProfilePair, ProfileReport
from accel_sim.report.terminal.causes import cause_table, unexplained_fact
from accel_sim.report.terminal.fitted import Column, FittedTable, Side
from accel_sim.report.terminal.style import count, facts, headline, page, percent

_PAIR_COLUMNS = (
    Column("From", Side.LEFT),
    Column("To", Side.LEFT),
    Column("Output codes", keep=2),
    Column("Share"),
    Column("Top-1 agrees", keep=1),
    Column("All codes"),
    Column("First differing layer", Side.NAME, keep=3),
    Column("Why", Side.TEXT),
)


def profiles_page(report: ProfileReport) -> Group:
    """Headline, the matrix, the pairs, their causes."""
    parts: list[Text | FittedTable | None] = []
    for pair in report.pairs:
        table = cause_table(pair.own_causes, pair.causes)
        if table is not None:
            parts += [Text(f"{pair.left} against {pair.right}", "bold"), table]
    unexplained = sum(pair.unexplained for pair in report.pairs)
    return page(
        headline(report.provenance),
        Text("share of output codes that differ between two profiles, each running the network freely", "dim"),
        matrix_table(report),
        pair_table(report),
        *parts,
        facts(unexplained_fact(unexplained)),
    )


def matrix_table(report: ProfileReport) -> FittedTable:
    """Profiles against profiles: share of output codes that differ."""
    columns = (Column("", Side.LEFT), *(Column(name) for name in report.profiles))
    return FittedTable(columns, [[a, *(_cell(report, a, b) for b in report.profiles)] for a in report.profiles])


def _cell(report: ProfileReport, a: str, b: str) -> str:
    pair = report.pair(a, b)
    return "" if a == b or pair is None else percent(pair.share)


def pair_table(report: ProfileReport) -> FittedTable:
    """One row per pair."""
    return FittedTable(_PAIR_COLUMNS, [_row(pair) for pair in report.pairs])


def _row(pair: ProfilePair) -> list[str | Text]:
    first = next((layer.node for layer in pair.layers if layer.differing), "")
    why = ", ".join(item.label for item in pair.own_causes)
    differing = sum(output.differing for output in pair.outputs)
    figures = [count(differing), percent(pair.share), percent(pair.top1_agreement), count(pair.differing)]
    return [pair.left, pair.right, *figures, first, why]
