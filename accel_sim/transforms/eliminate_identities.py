"""Identity elimination: an operator that returns its operand unchanged is removed.

An operator is the identity if its operand and its result have the same shape, element type and grid, and

1. it is a Reshape, a Requantize, or a Concat of one operand without activation;
2. it is a Transpose whose permutation moves nothing;
3. it is a Slice with stride 1, or a Pad that adds nothing;
4. it is a Clip without bounds, or a pooling or nearest-neighbour resize of one pixel to one pixel.

The readers of the result then read the operand. If the result is a graph output, the operand takes its name, unless
the operand's own name is also part of the interface (an input, a constant, another output): then the operator stays.
"""

from dataclasses import replace

from accel_sim.ir import (
    AveragePool2D,
    Clip,
    Concat,
    Graph,
    MaxPool2D,
    Node,
    Pad,
    Padding2D,
    Requantize,
    Reshape,
    ResizeNearest,
    Slice,
    Transpose,
)
from accel_sim.transforms.rewriting import rebuilt


def eliminate_identities(graph: Graph) -> Graph:
    """The same function without operators that do nothing."""
    for name in [n.name for n in graph.nodes if _is_identity(graph, n)]:
        graph = _bypass(graph, next(n for n in graph.nodes if n.name == name))
    return graph


def _is_identity(graph: Graph, node: Node) -> bool:
    if not node.inputs or not node.inputs[0] or len(node.outputs) != 1:
        return False
    x, y = graph.operand(node, 0), graph.result(node)
    if (x.shape, x.element, x.quant) != (y.shape, y.element, y.quant):
        return False
    match node.op:
        case Reshape() | Requantize():  # rule 1
            return True
        case Concat(activation=activation):
            return len(node.inputs) == 1 and activation.is_identity
        case Transpose(permutation=permutation):  # rule 2
            return permutation == tuple(range(len(x.shape)))
        case Slice(strides=strides):  # rule 3: all of every axis, forwards
            return all(s == 1 for s in strides)
        case Pad(before=before, after=after):
            return not any(before) and not any(after)
        case Clip(activation=activation):  # rule 4
            return activation.is_identity
        case MaxPool2D(kernel=kernel, strides=strides) | AveragePool2D(kernel=kernel, strides=strides):
            unpadded = node.op.padding == Padding2D() and node.op.activation.is_identity
            return kernel == (1, 1) and strides == (1, 1) and unpadded
        case ResizeNearest(scale_y=scale_y, scale_x=scale_x):
            return scale_y in (0.0, 1.0) and scale_x in (0.0, 1.0)
    return False


def _bypass(graph: Graph, node: Node) -> Graph:
    operand, result = node.inputs[0], node.outputs[0]
    rest = [n for n in graph.nodes if n is not node]
    if result not in graph.outputs:
        return rebuilt(graph, [_renamed(n, result, operand) for n in rest])
    if graph.tensors[operand].is_constant or operand in graph.inputs or operand in graph.outputs:
        return graph
    return rebuilt(graph, [_renamed(n, operand, result) for n in rest])


def _renamed(node: Node, old: str, new: str) -> Node:
    if old not in node.inputs and old not in node.outputs:
        return node
    inputs, outputs = (tuple(new if n == old else n for n in names) for names in (node.inputs, node.outputs))
    return replace(node, inputs=inputs, outputs=outputs)
