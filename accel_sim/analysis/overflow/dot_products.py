"""What each layer's accumulators sum: the weights of its output channels against inputs of a known range.

A layer with accumulators is a convolution, a transposed convolution, a fully connected layer or a matrix product. The
other operators (pooling, means, element-wise) add on the vector unit in a width that cannot overflow.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from accel_sim.analysis.overflow.taps import TapSets, all_taps, meeting_taps
from accel_sim.ir import Conv2D, FullyConnected, Graph, MatMul, Node, Tensor, TransposeConv2D
from accel_sim.records import dataclass

Weights = NDArray[np.int64]


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
        x, w: the computed operand and the other, which is constant where weights are known.
        terms: products of one sum (K), the most that any output element has.
        inputs: range of the data operand.
        weights: range of the weight operand by its type alone.
        rows: int64 [channels, K], zero points subtracted, as stored; [0, K] where no operand is constant.
        bias: as many Python ints as channels, or one 0 where no operand is constant.
        groups: of channels; those of a group read the same inputs.
        input_channels: int64 [groups, K], the index along the last axis of x that a term reads; None where a term may
            read any.
        taps: which terms meet in one output element: all, but at borders and in strided transposed convolutions.
    """

    node: Node
    x: Tensor
    w: Tensor
    terms: int
    inputs: CodeRange
    weights: CodeRange
    rows: Weights
    bias: tuple[int, ...]
    groups: int
    input_channels: Weights | None
    taps: TapSets

    @property
    def order(self) -> Weights:
        """int64 [K]: the terms in the order of accumulation, that of input pixels: transposed taps come last first."""
        order = np.arange(self.rows.shape[1])
        if not isinstance(self.node.op, TransposeConv2D):
            return order
        _, height, width, channels = self.w.shape
        return order.reshape(height, width, channels)[::-1, ::-1].reshape(-1)

    @property
    def knows_weights(self) -> bool:
        """Whether one operand is constant, so that more than its type is known."""
        return self.w.is_constant


def dot_products(graph: Graph) -> Iterator[DotProducts]:
    """Every layer of an integer graph that has accumulators, in order of execution."""
    for node in graph.nodes:
        if isinstance(node.op, Conv2D | FullyConnected | TransposeConv2D | MatMul):
            yield dot_products_of(graph, node)


def dot_products_of(graph: Graph, node: Node) -> DotProducts:
    """One layer that has accumulators."""
    return _matrix_product(graph, node) if isinstance(node.op, MatMul) else _weighted(graph, node)


def _weighted(graph: Graph, node: Node) -> DotProducts:
    x, w, b = graph.operand(node, 0), graph.operand(node, 1), graph.optional(node, 2)
    channels = w.shape[0]
    bias = (0,) * channels if b is None else tuple(int(v) for v in b.constant.reshape(-1))
    if not w.is_constant:
        return _unknown(node, x, w, w.size // max(channels, 1), bias)
    rows = centred(w).reshape(channels, -1)
    groups = node.op.groups if isinstance(node.op, Conv2D | TransposeConv2D) else 1
    if isinstance(node.op, Conv2D | TransposeConv2D):
        taps, per_group = meeting_taps(node.op, x.shape, w.shape, graph.result(node).shape), w.shape[3]
    else:
        taps, per_group = all_taps(rows.shape[1]), x.shape[-1] if x.shape else 1
    return DotProducts(
        node=node,
        x=x,
        w=w,
        terms=max(int(taken.sum()) for taken in taps.largest),
        inputs=CodeRange.of(x),
        weights=CodeRange.of(w),
        rows=rows,
        bias=bias,
        groups=groups,
        input_channels=_input_channels(rows.shape[1], groups, per_group),
        taps=taps,
    )


def _input_channels(terms: int, groups: int, per_group: int) -> Weights | None:
    """Terms walk the channels of their group innermost."""
    if per_group == 0 or terms % per_group:
        return None
    return np.arange(terms) % per_group + np.arange(groups)[:, np.newaxis] * per_group


def _matrix_product(graph: Graph, node: Node) -> DotProducts:
    a, b = graph.operand(node, 0), graph.operand(node, 1)
    assert isinstance(node.op, MatMul)
    a_by_terms, b_by_terms = not node.op.transpose_a, node.op.transpose_b
    if b.is_constant:
        x, w, reduced, by_terms = a, b, -1 if b_by_terms else -2, a_by_terms
    elif a.is_constant:
        x, w, reduced, by_terms = b, a, -1 if a_by_terms else -2, b_by_terms
    else:
        return _unknown(node, a, b, a.shape[-1 if a_by_terms else -2], (0,))
    rows = np.moveaxis(centred(w), reduced if len(w.shape) > 1 else 0, -1)
    rows = rows.reshape(-1, rows.shape[-1])
    terms = rows.shape[1]
    return DotProducts(
        node=node,
        x=x,
        w=w,
        terms=terms,
        inputs=CodeRange.of(x),
        weights=CodeRange.of(w),
        rows=rows,
        bias=(0,) * len(rows),
        groups=1,
        input_channels=_input_channels(terms, 1, terms) if by_terms and x.shape[-1] == terms else None,
        taps=all_taps(terms),
    )


def _unknown(node: Node, x: Tensor, w: Tensor, terms: int, bias: tuple[int, ...]) -> DotProducts:
    nothing = np.zeros((0, terms), np.int64)
    return DotProducts(
        node, x, w, terms, CodeRange.of(x), CodeRange.of(w), nothing, bias, 1, None, all_taps(terms)
    )  # fmt: skip


def centred(w: Tensor) -> Weights:
    """A constant with its zero points subtracted (eq 13), int64 of the stored shape."""
    codes = w.constant.astype(np.int64)
    return codes if w.quant is None else codes - w.quant.broadcast(codes.ndim)[1]
