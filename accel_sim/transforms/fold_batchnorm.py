"""Batch normalization folding (2.3.1): no BatchNorm is left in the graph.

At inference a batch norm is the affine map a * x + c with a = gamma / sqrt(variance + epsilon) and
c = beta - a * mean (eq 9). The rules, tried in this order:

1. Forward, into the linear layer that makes x (eq 10-12): W~[k] = a[k] W[k] and b~[k] = a[k] b[k] + c[k].
   Only where nobody else reads x and the layer has no activation of its own.
2. Backward, into the convolution or fully connected layer that alone reads the result:
   W'[k, i] = W[k, i] a[i] and b'[k] = b[k] + sum_i W[k, i] c[i]. A padded convolution pads with 0 after the batch norm,
   which no bias can express: the rule then applies only where c is 0.
3. What is left becomes a 1x1 depthwise convolution with weights a and bias c: still one multiply and one add, but an
   operator that integer hardware has.

All of it is computed in float64 and rounded once to float32. The result of a folded layer keeps the name of the batch
norm's output.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault, GraphError
from accel_sim.ir import (
    BatchNorm,
    Conv2D,
    ElementType,
    FullyConnected,
    Graph,
    Node,
    Padding2D,
    Reshape,
    Tensor,
    TransposeConv2D,
)
from accel_sim.records import dataclass
from accel_sim.transforms.rewriting import (
    Uses,
    float_constant,
    fresh_node_name,
    fresh_tensor_name,
    replaced,
)

_LINEAR = (Conv2D, TransposeConv2D, FullyConnected)
_PARAMETERS = ("gamma", "beta", "mean", "variance")


@dataclass(frozen=True)
class _Affine:
    """A batch norm as the map scale * x + shift, float64 [C]."""

    scale: NDArray[np.float64]
    shift: NDArray[np.float64]


def fold_batchnorm(graph: Graph) -> Graph:
    """The same float function without BatchNorm operators.

    Raises:
        GraphError: listing every batch norm whose parameters are not constant, not finite, or have
            variance + epsilon <= 0.
    """
    batchnorms = [n for n in graph.nodes if isinstance(n.op, BatchNorm)]
    faults = [fault for node in batchnorms for fault in _parameter_faults(graph, node)]
    if faults:
        raise GraphError(f"graph {graph.name!r}", faults)
    for node in batchnorms:
        graph = _fold(graph, node.name)
    return graph


def _fold(graph: Graph, name: str) -> Graph:
    node = next(n for n in graph.nodes if n.name == name)
    affine, uses = _affine(graph, node), Uses.of(graph)
    return (
        _forward(graph, uses, node, affine) or _backward(graph, uses, node, affine) or _depthwise(graph, node, affine)
    )


def _forward(graph: Graph, uses: Uses, node: Node, affine: _Affine) -> Graph | None:
    """Rule 1."""
    linear = uses.producer.get(node.inputs[0])
    if linear is None or not isinstance(linear.op, _LINEAR) or not linear.op.activation.is_identity:
        return None
    if uses.sole_reader(node.inputs[0]) is None or not _has_constant_weights(graph, linear):
        return None
    weights = _float64(graph.operand(linear, 1))
    if weights.shape[0] != affine.scale.size:
        return None
    scaled = weights * affine.scale.reshape(-1, *(1,) * (weights.ndim - 1))  # eq 11
    bias = _bias(graph, linear) * affine.scale + affine.shift  # eq 12, with the bias the layer already had
    folded, constants = _with_weights(graph, linear, scaled, bias)
    return replaced(graph, {linear.name: (replace(folded, outputs=node.outputs),), node.name: ()}, constants)


def _backward(graph: Graph, uses: Uses, node: Node, affine: _Affine) -> Graph | None:
    """Rule 2."""
    linear = uses.sole_reader(node.outputs[0])
    if linear is None or not isinstance(linear.op, Conv2D | FullyConnected) or linear.inputs[0] != node.outputs[0]:
        return None
    if not _has_constant_weights(graph, linear):
        return None
    if isinstance(linear.op, Conv2D) and linear.op.padding != Padding2D() and np.any(affine.shift):
        return None
    weights = _float64(graph.operand(linear, 1))
    if isinstance(linear.op, FullyConnected) and weights.shape[1] % affine.scale.size:
        return None
    scale, shift = (_per_weight(linear, weights, v) for v in (affine.scale, affine.shift))
    bias = _bias(graph, linear) + (weights * shift).sum(axis=tuple(range(1, weights.ndim)))
    folded, constants = _with_weights(graph, linear, weights * scale, bias)
    moved = replace(folded, inputs=(node.inputs[0], *folded.inputs[1:]))
    return replaced(graph, {node.name: (), linear.name: (moved,)}, constants)


def _per_weight(linear: Node, weights: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The value of the input channel that each weight multiplies, broadcast against the weights."""
    if isinstance(linear.op, FullyConnected):  # a row of K is one or more pixels of C channels
        return np.tile(values, weights.shape[1] // values.size)[np.newaxis, :]
    groups = getattr(linear.op, "groups", 1)
    per_group = values.reshape(groups, -1)
    return np.repeat(per_group, weights.shape[0] // groups, axis=0)[:, np.newaxis, np.newaxis, :]


def _depthwise(graph: Graph, node: Node, affine: _Affine) -> Graph:
    """Rule 3. A tensor of another rank than 4 is reshaped to [N, pixels, 1, C] and back."""
    channels = affine.scale.size
    weights = float_constant(
        fresh_tensor_name(graph, f"{node.outputs[0]}.scale"), affine.scale.reshape(channels, 1, 1, 1)
    )
    bias = float_constant(fresh_tensor_name(graph, f"{node.outputs[0]}.shift"), affine.shift)
    convolution = Node(node.name, Conv2D(groups=channels), (node.inputs[0], weights.name, bias.name), node.outputs)
    x = graph.operand(node, 0)
    if len(x.shape) == 4:
        return replaced(graph, {node.name: (convolution,)}, (weights, bias))
    image = (
        (x.shape[0], x.size // max(1, x.shape[0] * channels), 1, channels) if len(x.shape) > 1 else (1, 1, 1, channels)
    )
    before = Tensor(fresh_tensor_name(graph, f"{x.name}.image"), image, ElementType.FLOAT32)
    after = Tensor(fresh_tensor_name(graph, f"{node.outputs[0]}.image"), image, ElementType.FLOAT32)
    nodes = (
        Node(fresh_node_name(graph, f"{node.name}.to_image"), Reshape(), (x.name,), (before.name,)),
        replace(convolution, inputs=(before.name, weights.name, bias.name), outputs=(after.name,)),
        Node(fresh_node_name(graph, f"{node.name}.from_image"), Reshape(), (after.name,), node.outputs),
    )
    return replaced(graph, {node.name: nodes}, (weights, bias, before, after))


def _affine(graph: Graph, node: Node) -> _Affine:
    """eq 9 as an affine map."""
    gamma, beta, mean, variance = (_float64(graph.operand(node, i)) for i in range(1, 5))
    scale = gamma / np.sqrt(variance + _epsilon(node))
    return _Affine(scale, beta - scale * mean)


def _with_weights(
    graph: Graph, linear: Node, weights: NDArray[np.float64], bias: NDArray[np.float64]
) -> tuple[Node, tuple[Tensor, Tensor]]:
    """The layer with other weights and bias under fresh names: another layer may share the old ones."""
    old = graph.operand(linear, 1)
    w = float_constant(fresh_tensor_name(graph, f"{old.name}.folded"), weights, old.file_axes)
    b = float_constant(fresh_tensor_name(graph, f"{linear.name}.bias.folded"), bias)
    return replace(linear, inputs=(linear.inputs[0], w.name, b.name)), (w, b)


def _has_constant_weights(graph: Graph, linear: Node) -> bool:
    bias = graph.optional(linear, 2)
    return graph.operand(linear, 1).is_constant and (bias is None or bias.is_constant)


def _bias(graph: Graph, linear: Node) -> NDArray[np.float64]:
    bias = graph.optional(linear, 2)
    return np.zeros(graph.operand(linear, 1).shape[0]) if bias is None else _float64(bias)


def _float64(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.constant.astype(np.float64)


def _epsilon(node: Node) -> float:
    op: Any = node.op
    return float(op.epsilon)


def _parameter_faults(graph: Graph, node: Node) -> Iterator[Fault]:
    values = {}
    for index, label in enumerate(_PARAMETERS, 1):
        tensor = graph.operand(node, index)
        if not tensor.is_constant:
            yield Fault(node.where, f"{label} {tensor.name!r}", "the parameters of a batch norm are constants")
        elif not np.isfinite(_float64(tensor)).all():
            yield Fault(node.where, f"{label} {tensor.name!r}", "the parameters of a batch norm are finite")
        else:
            values[label] = _float64(tensor)
    if "variance" in values and (values["variance"] + _epsilon(node) <= 0).any():
        yield Fault(node.where, f"{values['variance'].min():g}", "variance + epsilon is positive")
