"""Means and variances of every tensor of a network without data (3.1, 3.3): eq 18-19 and 28 for whole graphs.

1. Behind a layer whose batch norm was folded, before its activation: the batch norm's shift and scale.
2. Behind any other linear layer: W E[x] + b and W^2 Var[x], with inputs taken as independent.
3. A clamp: the moments of a clipped normal (eq 28).
4. Additions and subtractions: means and variances add. Concatenation, pooling and what moves values: the same operator
   on means and on variances; that is exact for moves, and an upper bound of the variance for averages.

Both are arrays of the tensor's shape, so zero padding counts at borders.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from accel_sim.ir import (
    NO_ACTIVATION,
    Activation,
    Add,
    AveragePool2D,
    BatchNorm,
    Clip,
    Concat,
    Conv2D,
    DepthToSpace,
    FullyConnected,
    GlobalAveragePool2D,
    Graph,
    MaxPool2D,
    Mean,
    Node,
    Pad,
    Reshape,
    ResizeNearest,
    Slice,
    SpaceToDepth,
    Subtract,
    Transpose,
    TransposeConv2D,
)
from accel_sim.quantization.affine_grid import F64
from accel_sim.quantization.bias_correction import tap_means
from accel_sim.quantization.convolution_rows import Window
from accel_sim.quantization.layers import LINEAR, Layer
from accel_sim.quantization.normal_moments import Moments, batchnorm_moments, clipped_moments
from accel_sim.records import dataclass
from accel_sim.reference import evaluate_float
from accel_sim.transforms.rewriting import Uses

_MOVES = (
    AveragePool2D, Concat, DepthToSpace, GlobalAveragePool2D, MaxPool2D, Mean, Pad, Reshape, ResizeNearest, Slice,
    SpaceToDepth, Transpose,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class TensorMoments:
    """What is known of one tensor; each array has its shape.

    Attributes:
        before: moments of what the operator makes, before its fused clamp.
        after: moments of the tensor.
        activation: the clamp between the two.
    """

    before: Moments
    after: Moments
    activation: Activation


def batchnorm_statistics(graph: Graph, folded: Graph) -> dict[str, Moments]:
    """By node of the folded graph: mean and variance of what it makes before its activation, [Co] each.

    Args:
        graph: with batch norms.
        folded: the same after folding and before activations were fused, so that results keep their names.
    """
    makers = Uses.of(folded).producer
    found = {}
    for node in graph.nodes:
        maker = makers.get(node.outputs[0])
        if isinstance(node.op, BatchNorm) and maker is not None and isinstance(maker.op, LINEAR):
            gamma, beta = (graph.operand(node, i).constant.astype(np.float64) for i in (1, 2))
            found[maker.name] = batchnorm_moments(beta, gamma)
    return found


def propagated_moments(
    graph: Graph, statistics: Mapping[str, Moments], inputs: Mapping[str, Moments]
) -> dict[str, TensorMoments]:
    """The moments of every tensor that rules 1 to 4 reach.

    Args:
        graph: float, in canonical form.
        statistics: of rule 1, by node.
        inputs: of the network's inputs, each of the tensor's shape.
    """
    known = {n: TensorMoments(m, m, NO_ACTIVATION) for n, m in inputs.items()}
    for node in graph.nodes:
        before = _before(graph, node, statistics, known)
        if before is not None:
            activation = getattr(node.op, "activation", NO_ACTIVATION)
            known[node.outputs[0]] = TensorMoments(before, clamped(before, activation), activation)
    return known


def clamped(moments: Moments, activation: Activation) -> Moments:
    """Rule 3, for moments whose last axis is the channels'."""
    if activation.is_identity:
        return moments
    shape = moments.mean.shape
    flat = Moments(moments.mean.ravel(), moments.variance.ravel())
    high = np.broadcast_to(np.asarray(activation.high, np.float64), shape).ravel()
    made = clipped_moments(flat, activation.low, high)
    return Moments(made.mean.reshape(shape), made.variance.reshape(shape))


def _before(
    graph: Graph, node: Node, statistics: Mapping[str, Moments], known: Mapping[str, TensorMoments]
) -> Moments | None:
    shape = graph.result(node).shape
    if node.name in statistics:  # rule 1
        found = statistics[node.name]
        return Moments(np.broadcast_to(found.mean, shape).copy(), np.broadcast_to(found.variance, shape).copy())
    operands = [_operand(graph, name, known) for name in node.inputs if name]
    if any(m is None for m in operands):
        return None
    moments = [m for m in operands if m is not None]
    if isinstance(node.op, Conv2D | TransposeConv2D | FullyConnected):  # rule 2
        squared = np.square(graph.operand(node, 1).constant.astype(np.float64))
        mean = _evaluated(graph, node, [m.mean for m in moments])
        no_bias = [np.zeros_like(m.mean) for m in moments[2:]]
        return Moments(mean, _evaluated(graph, node, [moments[0].variance, squared, *no_bias]))
    if isinstance(node.op, Add | Subtract):
        variance = sum((m.variance for m in moments), np.zeros(shape))
        return Moments(_evaluated(graph, node, [m.mean for m in moments]), np.broadcast_to(variance, shape).copy())
    if isinstance(node.op, Clip):
        return moments[0]
    if isinstance(node.op, _MOVES) and not getattr(node.op, "value", 0.0):
        mean, variance = (_evaluated(graph, node, [getattr(m, k) for m in moments]) for k in ("mean", "variance"))
        return Moments(mean, np.maximum(variance, 0.0))
    return None


def _operand(graph: Graph, name: str, known: Mapping[str, TensorMoments]) -> Moments | None:
    if name in known:
        return known[name].after
    tensor = graph.tensors[name]
    if not tensor.is_constant:
        return None
    values = tensor.constant.astype(np.float64)
    return Moments(values, np.zeros(values.shape))


def _evaluated(graph: Graph, node: Node, operands: list[F64]) -> F64:
    """The node's operator on other operands, in float64, without its clamp."""
    names = list(filter(None, node.inputs))
    op = replace(node.op, activation=NO_ACTIVATION) if hasattr(node.op, "activation") else node.op  # type: ignore[call-arg]
    data: dict[str, NDArray[np.float64]] = dict(zip(names, operands, strict=True))
    tensors = {n: graph.tensors[n] for n in node.outputs}
    inputs = [n for n in data if not graph.tensors[n].is_constant]
    for name in data:
        tensor = graph.tensors[name]
        tensors[name] = tensor if name in inputs else replace(tensor, data=data[name].astype(np.float32))
    single = replace(graph, nodes=(replace(node, op=op),), tensors=tensors, inputs=tuple(inputs), outputs=node.outputs)
    made = evaluate_float(single, {n: data[n] for n in inputs}, np.float64)[node.outputs[0]]
    return np.asarray(made, np.float64)


def seen_means(layer: Layer, mean: F64, output_shape: tuple[int, ...]) -> F64:
    """E[x] of each input channel [Ci], for a convolution tap by tap [kh, kw, Ci] with 0 beyond the border.

    Args:
        layer: a convolution or a fully connected layer.
        mean: of its input, of that tensor's shape.
        output_shape: of its result.
    """
    op = layer.node.op
    if not isinstance(op, Conv2D):
        return np.asarray(mean.reshape(-1, layer.weight.shape[-1]).mean(axis=0))
    return tap_means(mean.mean(axis=0), Window.of(op, layer.weight.shape), (output_shape[1], output_shape[2]))


def input_moments(low: float, high: float, shape: tuple[int, ...]) -> Moments:
    """Of an input known by its range alone: uniform on it."""
    return Moments(np.full(shape, (low + high) / 2.0), np.full(shape, (high - low) ** 2 / 12.0))
