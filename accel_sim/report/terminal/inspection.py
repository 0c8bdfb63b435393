"""An inspection on the terminal."""

from rich.console import Group
from rich.text import Text

from accel_sim.report.inspection import InspectedOperator, Inspection
from accel_sim.report.terminal.fitted import Column, FittedTable, Side
from accel_sim.report.terminal.style import facts, headline, page


def inspection_page(inspection: Inspection) -> Group:
    """Headline, ports, operators, and everything unsupported."""
    provenance = inspection.provenance
    ports = [("input", text) for text in inspection.inputs] + [("output", text) for text in inspection.outputs]
    digest = [("format", inspection.format), ("SHA-256", provenance.sha256 or "of no file")]
    return page(
        headline(provenance),
        facts([*digest, *ports]),
        _operators(inspection.operators),
        _unsupported(inspection),
    )


def _operators(operators: tuple[InspectedOperator, ...]) -> FittedTable:
    columns = [Column("Node", Side.NAME), Column("Operator", Side.TEXT), Column("Result", Side.LEFT)]
    columns += [Column("Grids", Side.TEXT, keep=1), Column("Runs on", Side.LEFT)]
    rows = [(o.name, o.operator, _types(o), "; ".join(o.grids), o.runs_on) for o in operators]
    filled = [i for i in range(len(columns)) if i < 3 or any(row[i] for row in rows)]
    return FittedTable(tuple(columns[i] for i in filled), [[row[i] for i in filled] for row in rows])


def _types(operator: InspectedOperator) -> str:
    """The types and shapes of the results, without their names."""
    return ", ".join(text.rpartition(" ")[2] for text in operator.outputs)


def _unsupported(inspection: Inspection) -> Group | None:
    if not inspection.unsupported:
        return None
    count = len(inspection.unsupported)
    lines = [Text(f"unsupported: {count} rule{'s' * (count != 1)} broken", "bold red")]
    return Group(*lines, *[Text(f"  {fault}") for fault in inspection.unsupported])
