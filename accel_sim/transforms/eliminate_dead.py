"""Dead code elimination: a node stays only if a graph output depends on it."""

from accel_sim.ir import Graph
from accel_sim.transforms.rewriting import rebuilt


def eliminate_dead(graph: Graph) -> Graph:
    """The same function without nodes and constants that no output needs; inputs stay, used or not."""
    needed = set(graph.outputs)
    kept = []
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs):
            needed.update(filter(None, node.inputs))
            kept.append(node)
    return rebuilt(graph, reversed(kept))
