"""Cycles of an ONNX network whose weights are missing."""

from accel_sim.analysis.choices import Hardware, resolve_hardware, resolve_profile
from accel_sim.analysis.provenance import Provenance
from accel_sim.analysis.samples import random_inputs
from accel_sim.ir import Graph
from accel_sim.program import Program
from accel_sim.records import dataclass
from accel_sim.sim.result import RunResult


@dataclass(frozen=True)
class Weightless:
    """A network of known shapes.

    Attributes:
        graph: with something in place of each weight.
        missing: the weights' names.
    """

    graph: Graph
    missing: tuple[str, ...]

    @property
    def phrase(self) -> str:
        """What a report says instead of where its data came from."""
        names = ", ".join(self.missing[:3]) + (", ..." if len(self.missing) > 3 else "")
        grids = ", taken for symmetric int8" if is_float(self.graph) else ""
        count = "1 weight is" if len(self.missing) == 1 else f"{len(self.missing)} weights are"
        return f"cycles only: {count} missing ({names}){grids}; nothing was computed"


def is_float(graph: Graph) -> bool:
    """Whether a network computes real numbers."""
    return any(graph.tensors[name].element.is_float for node in graph.nodes for name in node.outputs)


def time_weightless(
    network: Weightless, hardware: Hardware, profile: str | None = None
) -> tuple[Program, tuple[Provenance, RunResult]]:
    """Cycles, traffic and energy of a network without weights; a float one as int8, weights symmetric per channel.

    Returns:
        The program, which has no meaning but its time; what a report needs.

    Raises:
        CompileError: nodes that cannot be lowered, tiles that fit no memory.
    """
    from accel_sim.compiler import compile_graph
    from accel_sim.sim.topology import time_only

    graph, config = _as_integers(network.graph), resolve_hardware(hardware)
    program = compile_graph(graph, config, resolve_profile(profile, graph))
    result = time_only(program.commands, config, [port.operand for port in program.outputs])
    about = Provenance(network.graph.name, network.graph.sha256, program.profile, config, network.phrase)
    return program, (about, result)


def _as_integers(graph: Graph) -> Graph:
    """A float network on int8 grids; their values matter to no cycle."""
    if not is_float(graph):
        return graph
    from accel_sim.quantization import get_recipe, quantize_with_report

    return quantize_with_report(graph, random_inputs(graph), get_recipe("minmax", ())).graph
