"""Topological order of the nodes that the outputs need."""

from collections.abc import Sequence

from accel_sim.errors import Fault
from accel_sim.frontend.onnx.model import RawNode

_MADE = "a value is an input, a constant, or made by a node"


def in_order(
    nodes: tuple[RawNode, ...], outputs: Sequence[str], ready: set[str]
) -> tuple[tuple[RawNode, ...], list[Fault]]:
    """The nodes that `outputs` need, each after those it reads, and the faults that prevent it.

    Args:
        nodes: in any order; every value is made by at most one.
        outputs: value names to reach.
        ready: inputs and constants.

    Returns:
        The ordered nodes, and a fault for each value that nobody makes and each node on a cycle.
    """
    maker = {name: node for node in nodes for name in node.outputs if name}
    faults = [Fault("outputs", name, _MADE) for name in sorted(set(outputs) - ready - set(maker))]
    ordered: list[RawNode] = []
    done: set[int] = set()
    entered: set[int] = set()
    stack = [maker[name] for name in reversed(outputs) if name in maker]
    # Depth first, without recursion: a node is entered, waits for its makers, and is then appended.
    while stack:
        node = stack[-1]
        if id(node) in done:
            stack.pop()
            continue
        waiting = []
        for name in filter(None, node.inputs):
            if name in ready:
                continue
            if name not in maker:
                if id(node) not in entered:
                    faults.append(Fault(node.where, name, _MADE))
            elif id(maker[name]) not in done:
                waiting.append(maker[name])
        if id(node) in entered or not waiting:
            if waiting:
                faults.append(Fault(node.where, ", ".join(w.name for w in waiting[:3]), "a graph has no cycles"))
            stack.pop()
            done.add(id(node))
            ordered.append(node)
            continue
        entered.add(id(node))
        stack.extend(waiting)
    position = {id(node): index for index, node in enumerate(nodes)}
    return (tuple(ordered) if faults else _in_file_order(ordered, position)), faults


def _in_file_order(ordered: list[RawNode], position: dict[int, int]) -> tuple[RawNode, ...]:
    """The file's own order where it is topological already, else the order found."""
    by_file = sorted(ordered, key=lambda n: position[id(n)])
    made: set[str] = set()
    own = {name for node in ordered for name in node.outputs if name}
    for node in by_file:
        if any(name in own and name not in made for name in node.inputs):
            return tuple(ordered)
        made.update(node.outputs)
    return tuple(by_file)
