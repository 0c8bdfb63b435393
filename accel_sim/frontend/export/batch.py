"""Whether a graph treats the samples of a batch alike, so that the file may leave the batch's size open.

A graph is written for the batch that it has, mostly 1. If every activation has a first axis of length 1, and every
operator works on each index of that axis alone, then the file's first axis is symbolic.
"""

from accel_sim.frontend.export.emit_window import resize_scales
from accel_sim.ir import (
    ArgMax,
    Concat,
    Graph,
    MatMul,
    Mean,
    Node,
    Pad,
    ResizeBilinear,
    ResizeNearest,
    Slice,
    Softmax,
    Tensor,
    Transpose,
)


def has_free_batch(graph: Graph) -> bool:
    """Whether the first axis of every activation is a batch of 1 that no operator looks across."""
    return all(t.shape[:1] == (1,) for t in graph.activations()) and all(_is_samplewise(graph, n) for n in graph.nodes)


def _is_samplewise(graph: Graph, node: Node) -> bool:
    activations = [t for t in graph.inputs_of(node) if t is not None and not t.is_constant]
    if not activations:
        return False
    results = [graph.tensors[n] for n in node.outputs]
    if not _keeps_axis(node, activations, results) or not _is_aligned(node, activations):
        return False
    if isinstance(node.op, ResizeNearest | ResizeBilinear):
        return resize_scales(node.op, activations[0], results[0]) is not None
    return True


def _keeps_axis(node: Node, activations: list[Tensor], results: list[Tensor]) -> bool:
    rank = len(activations[0].shape)
    match node.op:
        case Mean(axes=axes):
            return 0 not in axes
        case Softmax(axis=axis) | ArgMax(axis=axis) | Concat(axis=axis):
            return axis % rank != 0
        case Transpose(permutation=permutation):
            return permutation[0] == 0
        case Pad(before=before, after=after):
            return before[0] == after[0] == 0
        case Slice(begin=begin, strides=strides):
            return begin[0] == 0 and strides[0] == 1 and results[0].shape[0] == 1
    return True


def _is_aligned(node: Node, activations: list[Tensor]) -> bool:
    """Whether the first axes of several operands are the same batch, and a matrix product does not reduce it."""
    if len({len(t.shape) for t in activations}) > 1:
        return False
    return not isinstance(node.op, MatMul) or len(activations) == 1 or len(activations[0].shape) > 2
