"""What every integer operator needs: the graph, the profile, codes, and operands brought onto one grid."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_sim.arithmetic import derive_requantize, derive_table
from accel_sim.errors import Fault, GraphError
from accel_sim.ir import Graph, Node, QuantParams, Requantize, Tensor
from accel_sim.numerics import Profile
from accel_sim.numerics.accumulators import AccumulatorStructure
from accel_sim.records import dataclass

Codes = NDArray[np.int64]
Array = NDArray[Any]


@dataclass(frozen=True)
class Site:
    """One node to evaluate.

    Attributes:
        graph, node, profile: what is evaluated, and how.
        values: every tensor computed so far, as stored.
        accumulators: the device's; None for those of the software: 32 bits (or 64) that wrap.
    """

    graph: Graph
    node: Node
    profile: Profile
    values: Mapping[str, Array]
    accumulators: AccumulatorStructure | None = None

    def has(self, index: int) -> bool:
        """Whether operand `index` is present."""
        return self.graph.optional(self.node, index) is not None

    def tensor(self, index: int) -> Tensor:
        """Operand `index`."""
        return self.graph.operand(self.node, index)

    def codes(self, index: int) -> Codes:
        """The codes of operand `index`, int64."""
        tensor = self.tensor(index)
        return (tensor.constant if tensor.is_constant else self.values[tensor.name]).astype(np.int64)

    def centred(self, index: int) -> Codes:
        """Codes minus zero points, per tensor or per channel; without a grid the codes themselves."""
        q = self.tensor(index).quant
        codes = self.codes(index)
        return codes if q is None else codes - q.broadcast(codes.ndim)[1]

    def grid(self, index: int) -> QuantParams:
        """The grid of operand `index`; GraphError where it has none."""
        return self._required(self.tensor(index))

    @property
    def result(self) -> Tensor:
        """The first result."""
        return self.graph.result(self.node)

    @property
    def result_grid(self) -> QuantParams:
        """The grid of the first result; GraphError where it has none."""
        return self._required(self.result)

    def on_result_grid(self, index: int) -> Codes:
        """The codes of operand `index`, requantized where its grid is not the result's."""
        x, y = self.tensor(index).quant, self.result.quant
        codes = self.codes(index)
        if x is None or y is None or (x.same_grid(y) and x.bits == y.bits and x.signed == y.signed):
            return codes
        return requantized(self.profile, codes, x, y)

    def _required(self, tensor: Tensor) -> QuantParams:
        if tensor.quant is None:
            raise GraphError(self.node.where, [Fault(tensor.name, "no grid", "this operator needs quantized operands")])
        return tensor.quant


def requantized(profile: Profile, codes: Codes, x: QuantParams, y: QuantParams) -> Codes:
    """Codes of grid x on grid y: by table, or by arithmetic where codes have more than 16 bits."""
    if x.bits > 16:
        arithmetic: Codes = derive_requantize(profile, x, y).apply(codes - x.zero_point[0])
        return arithmetic
    return derive_table(profile, Requantize(), x, y)[codes - x.low]
