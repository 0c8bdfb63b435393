"""What became of a certificate's check, on the terminal."""

from collections.abc import Sequence

from rich.console import Group
from rich.text import Text

from accel_sim.errors import Fault
from accel_sim.ir import Graph
from accel_sim.report.terminal.style import facts, page

_SHOWN = 40


def check_page(graph: Graph, source: str, faults: Sequence[Fault]) -> Group:
    """The verdict, and where a certificate is wrong.

    Args:
        graph: the network that was checked against.
        source: of the certificate.
        faults: what is wrong in it.
    """
    title = Text(graph.name, style="bold")
    title.append(f"   certificate {source}", style="not bold")
    if not faults:
        return page(title, facts([("verdict", "every claim follows from the weights")]))
    lines = [f"{fault}" for fault in faults[:_SHOWN]]
    if len(faults) > _SHOWN:
        lines.append(f"... and {len(faults) - _SHOWN:,} more")
    verdict = f"{len(faults):,} claims do not hold" if len(faults) > 1 else "1 claim does not hold"
    return page(title, Text("\n".join(lines)), facts([("verdict", verdict)]))
