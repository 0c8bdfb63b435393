"""A matrix product with a constant matrix is a fully connected layer.

1. MatMul(a, b) with constant float b [K, N] (or [N, K] with transpose_b) and a not transposed becomes
   FullyConnected(a, b^T): frameworks that write dense layers as MatMul get a bias, folding and per-channel weights.
2. If an Add of a constant [N] alone reads the product, the constant becomes the bias.
"""

import numpy as np

from accel_sim.ir import Add, FullyConnected, Graph, MatMul, Node
from accel_sim.transforms.rewriting import Uses, float_constant, fresh_tensor_name, replaced


def matmul_to_fully_connected(graph: Graph) -> Graph:
    """The same float function with dense layers as FullyConnected."""
    for name in [n.name for n in graph.nodes if isinstance(n.op, MatMul)]:
        graph = _convert(graph, next(n for n in graph.nodes if n.name == name))
    return graph


def _convert(graph: Graph, node: Node) -> Graph:
    op, matrix = node.op, graph.operand(node, 1)
    if not isinstance(op, MatMul) or op.transpose_a or not _is_dense(graph, node):
        return graph
    values = np.asarray(matrix.constant, np.float32)
    weights = float_constant(fresh_tensor_name(graph, f"{matrix.name}.rows"), values if op.transpose_b else values.T)
    add = _bias_add(graph, node, weights.shape[0])
    if add is None:  # rule 1
        dense = Node(node.name, FullyConnected(), (node.inputs[0], weights.name, ""), node.outputs)
        return replaced(graph, {node.name: (dense,)}, (weights,))
    total, bias = add  # rule 2
    activation = total.op.activation if isinstance(total.op, Add) else FullyConnected().activation
    dense = Node(node.name, FullyConnected(activation), (node.inputs[0], weights.name, bias), total.outputs)
    return replaced(graph, {node.name: (dense,), total.name: ()}, (weights,))


def _is_dense(graph: Graph, node: Node) -> bool:
    a, matrix = graph.operand(node, 0), graph.operand(node, 1)
    return not a.is_constant and matrix.is_constant and matrix.element.is_float and len(matrix.shape) == 2


def _bias_add(graph: Graph, node: Node, channels: int) -> tuple[Node, str] | None:
    """The Add of rule 2 and the name of its constant."""
    total = Uses.of(graph).sole_reader(node.outputs[0])
    if total is None or not isinstance(total.op, Add):
        return None
    others = [n for n in total.inputs if n != node.outputs[0]]
    constant = graph.tensors[others[0]] if len(others) == 1 else None
    if constant is None or not constant.is_constant or constant.shape != (channels,):
        return None
    return (total, constant.name) if graph.result(total).shape == graph.result(node).shape else None
