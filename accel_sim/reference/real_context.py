"""What every operator on real numbers needs: the graph, the floating type, operands as reals."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_sim.ir import Graph, Node, QuantParams, Tensor
from accel_sim.records import dataclass

Reals = NDArray[Any]
FloatType = type[np.float32] | type[np.float64]


def to_reals(codes: NDArray[Any], q: QuantParams | None, dtype: FloatType) -> Reals:
    """eq 6 in `dtype`: s * (q - z); numbers without a grid as they are."""
    if q is None:
        return codes.astype(dtype)
    scale, zero_point = q.broadcast(codes.ndim)
    reals: Reals = (codes.astype(np.int64) - zero_point).astype(dtype) * scale.astype(dtype)
    return reals


@dataclass(frozen=True)
class RealSite:
    """One node to evaluate on real numbers.

    Attributes:
        graph, node: what is evaluated.
        dtype: float32, as frameworks compute, or float64.
        values: every tensor computed so far, as reals, in stored layout.
    """

    graph: Graph
    node: Node
    dtype: FloatType
    values: Mapping[str, Reals]

    def real(self, index: int) -> Reals:
        """Operand `index`: a computed value, or a constant dequantized."""
        tensor = self.graph.operand(self.node, index)
        if tensor.is_constant:
            return to_reals(tensor.constant, tensor.quant, self.dtype)
        return self.values[tensor.name]

    def reals(self) -> list[Reals]:
        """Every operand."""
        return [self.real(i) for i in range(len(self.node.inputs))]

    def bias(self, index: int = 2) -> Reals:
        """The bias at its own grid or, without one in an integer graph, at s_x * s_w; 0 where absent."""
        tensor = self.graph.optional(self.node, index)
        if tensor is None:
            return np.zeros(1, self.dtype)
        if tensor.quant is None and not tensor.element.is_float:
            return np.asarray(tensor.constant.astype(self.dtype) * self.natural_scale())
        return self.real(index)

    def natural_scale(self) -> Reals:
        """s_x * s_w, one value or one per output channel: what an accumulator's unit stands for (eq 3)."""
        grids = [self.graph.operand(self.node, i).quant for i in (0, 1)]
        scales = [np.ones(1) if q is None else q.scales for q in grids]
        return (scales[0] * scales[1]).astype(self.dtype)

    @property
    def is_raw(self) -> bool:
        """Whether the result is an integer without grid: an accumulator."""
        return self.result.quant is None and not self.result.element.is_float

    @property
    def result(self) -> Tensor:
        """The first result."""
        return self.graph.result(self.node)
