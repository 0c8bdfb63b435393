"""What each layer's accumulators sum: the weights of its output channels against inputs of a known range.

A layer with accumulators is a convolution, a transposed convolution, a fully connected layer or a matrix product. The
other operators (pooling, means, element-wise) add on the vector unit in a width that cannot overflow.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accel_sim.ir import Conv2D, FullyConnected, Graph, MatMul, Node, Tensor, TransposeConv2D

Weights = NDArray[np.int64]
Split = Callable[[Node, Weights], list[Weights]]


@dataclass(frozen=True)
class CodeRange:
    """The codes of an operand after its zero point is subtracted: integers in [low, high], low <= 0 <= high.

    Attributes:
        low, high: smallest and largest value.
        magnitude_bits: n with |value| <= 2^n for all codes of the type: N - 1_signed in the literature's formulas.
    """

    low: int
    high: int
    magnitude_bits: int

    @classmethod
    def of(cls, tensor: Tensor) -> "CodeRange":
        """The range of a tensor's grid; of its element type, with zero point 0, where it has no grid."""
        q = tensor.quant
        if q is None:
            info = np.iinfo(tensor.element.dtype.name)
            return cls(int(info.min), int(info.max), info.bits - (info.min < 0))
        symmetric_signed = q.signed and q.is_symmetric
        return cls(q.low - max(q.zero_point), q.high - min(q.zero_point), q.bits - symmetric_signed)


@dataclass(frozen=True, eq=False)
class DotProducts:
    """The sums of one layer, one per output channel: bias + sum of terms `weight * input`.

    Attributes:
        node: the layer.
        terms: products of one sum (K), the most that any output element has.
        inputs: range of the data operand.
        weights: range of the weight operand by its type alone.
        positive, negative: int64 [subsets, channels]: sum of the positive (negative) weights that meet in one output
            element. A transposed convolution with stride has a subset of its weights for each residue of the output
            position; other layers have one. Empty second axis (channels = 0) where no operand is constant.
        bias: as many Python ints as channels, or one 0 where no operand is constant.
    """

    node: Node
    terms: int
    inputs: CodeRange
    weights: CodeRange
    positive: Weights
    negative: Weights
    bias: tuple[int, ...]

    @property
    def knows_weights(self) -> bool:
        """Whether one operand is constant, so that more than its type is known."""
        return bool(self.positive.shape[1])


def dot_products(graph: Graph) -> Iterator[DotProducts]:
    """Every layer of an integer graph that has accumulators, in order of execution."""
    for node in graph.nodes:
        match node.op:
            case Conv2D() | FullyConnected():
                yield _weighted(graph, node, _rows)
            case TransposeConv2D():
                yield _weighted(graph, node, _residues)
            case MatMul():
                yield _matrix_product(graph, node)


def _weighted(graph: Graph, node: Node, split: Split) -> DotProducts:
    x, w, b = graph.operand(node, 0), graph.operand(node, 1), graph.optional(node, 2)
    channels = w.shape[0]
    bias = (0,) * channels if b is None else tuple(int(v) for v in b.constant.reshape(-1))
    if not w.is_constant:
        return _unknown(node, x, w, w.size // max(channels, 1), bias)
    subsets = split(node, _centred(w))
    return DotProducts(
        node,
        terms=max(s.shape[1] for s in subsets),
        inputs=CodeRange.of(x),
        weights=CodeRange.of(w),
        positive=np.stack([np.maximum(s, 0).sum(1) for s in subsets]),
        negative=np.stack([np.minimum(s, 0).sum(1) for s in subsets]),
        bias=bias,
    )


def _matrix_product(graph: Graph, node: Node) -> DotProducts:
    a, b = graph.operand(node, 0), graph.operand(node, 1)
    assert isinstance(node.op, MatMul)
    if b.is_constant:
        x, w, reduced = a, b, -1 if node.op.transpose_b else -2
    elif a.is_constant:
        x, w, reduced = b, a, -2 if node.op.transpose_a else -1
    else:
        return _unknown(node, a, b, a.shape[-2 if node.op.transpose_a else -1], (0,))
    rows = np.moveaxis(_centred(w), reduced if len(w.shape) > 1 else 0, -1)
    rows = rows.reshape(-1, rows.shape[-1])
    return DotProducts(
        node,
        terms=rows.shape[1],
        inputs=CodeRange.of(x),
        weights=CodeRange.of(w),
        positive=np.maximum(rows, 0).sum(1)[np.newaxis],
        negative=np.minimum(rows, 0).sum(1)[np.newaxis],
        bias=(0,) * len(rows),
    )


def _unknown(node: Node, x: Tensor, w: Tensor, terms: int, bias: tuple[int, ...]) -> DotProducts:
    nothing = np.zeros((1, 0), np.int64)
    return DotProducts(node, terms, CodeRange.of(x), CodeRange.of(w), nothing, nothing, bias)


def _centred(w: Tensor) -> Weights:
    """Weights with their zero points subtracted (eq 13), int64 of the stored shape."""
    codes = w.constant.astype(np.int64)
    return codes if w.quant is None else codes - w.quant.broadcast(codes.ndim)[1]


def _rows(_: Node, w: Weights) -> list[Weights]:
    """All weights of a channel meet in each of its output elements."""
    return [w.reshape(len(w), -1)]


def _residues(node: Node, w: Weights) -> list[Weights]:
    """Taps p meet in one output row when p * dilation has the same residue modulo the stride; columns alike."""
    assert isinstance(node.op, TransposeConv2D)
    taps = [
        (np.arange(size) * dilation) % stride
        for size, dilation, stride in zip(w.shape[1:3], node.op.dilations, node.op.strides, strict=True)
    ]
    return [
        w[:, taps[0] == r][:, :, taps[1] == c].reshape(len(w), -1)
        for r in np.unique(taps[0])
        for c in np.unique(taps[1])
    ]
