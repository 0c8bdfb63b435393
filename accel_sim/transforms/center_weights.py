"""Unsigned weights around the middle code are signed symmetric weights.

1. Constant 8-bit unsigned weights whose zero points are all 128 become signed codes w - 128 with zero point 0: the same
   real numbers and the same accumulators, without the data-dependent term of eq 13.

Files hold such weights because some processors multiply unsigned by unsigned exactly where unsigned by signed
saturates.
"""

from dataclasses import replace

import numpy as np

from accel_sim.ir import Conv2D, ElementType, FullyConnected, Graph, MatMul, Tensor, TransposeConv2D
from accel_sim.transforms.rewriting import rebuilt

_MIDDLE = 128


def center_weights(graph: Graph) -> Graph:
    """The same integer function with signed weights where rule 1 applies; constants with other readers stay."""
    weights: set[str] = set()
    others = set(graph.outputs)
    for node in graph.nodes:
        is_linear = isinstance(node.op, Conv2D | TransposeConv2D | FullyConnected | MatMul)
        for index, name in enumerate(node.inputs):
            (weights if is_linear and index == 1 else others).add(name)
    centered = [_centered(graph.tensors[n]) for n in weights - others if _is_centrable(graph.tensors[n])]
    return rebuilt(graph, graph.nodes, centered)


def _is_centrable(tensor: Tensor) -> bool:
    q = tensor.quant
    return tensor.is_constant and q is not None and (q.bits, q.signed) == (8, False) and set(q.zero_point) == {_MIDDLE}


def _centered(tensor: Tensor) -> Tensor:
    assert tensor.quant is not None
    codes = (tensor.constant.astype(np.int16) - _MIDDLE).astype(np.int8)
    grid = replace(tensor.quant, zero_point=(0,) * len(tensor.quant.zero_point), signed=True)
    return replace(tensor, element=ElementType.INT8, quant=grid, data=codes)
