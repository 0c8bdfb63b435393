"""Constants in place of weights that a file does not have: enough for the time of a network, which needs shapes alone.

A weight is missing where its file beside the model is, where an initializer has a shape and no data, and where a graph
input without an initializer is read in the place of a weight or bias (also behind a DequantizeLinear) and nowhere else.
Weights whose values say what the network is (shapes, indices: integers of 64 bits) have no stand-in.
"""

from collections.abc import Iterable
from math import prod
from typing import Any

import numpy as np

from accel_sim.frontend.onnx.model import Array, RawNode, RawValue

_WEIGHTS = {
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "ConvInteger": (1,),
    "QLinearConv": (3, 8),
    "Gemm": (1, 2),
    "MatMul": (1,),
    "MatMulInteger": (1,),
    "QLinearMatMul": (3,),
    "com.microsoft.QGemm": (3, 6),
    "BatchNormalization": (1, 2, 3, 4),
    "PRelu": (1,),
}
"""Operands of operators that are weights where they are constant."""

_CARRIERS = frozenset({"DequantizeLinear", "QuantizeLinear", "Identity", "Transpose"})


def stand_in(dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array | None:
    """A constant of this type and shape; None where there is no stand-in.

    Integers are 0. Real numbers are 1 / the products of one output, so that no activation grows.
    """
    if dtype.kind == "b" or (dtype.kind in "iu" and dtype.itemsize == 8):
        return None
    products = prod(shape[1:]) if len(shape) > 1 else 1
    value = 1 / max(products, 1) if dtype.kind == "f" else 0
    return np.broadcast_to(np.array(value, dtype), shape)


def inputs_that_are_weights(nodes: Iterable[RawNode], inputs: Iterable[RawValue]) -> list[RawValue]:
    """Graph inputs with a type and a shape that are read in places of weights alone, in order."""
    readers: dict[str, list[tuple[RawNode, int]]] = {}
    for node in nodes:
        for place, name in enumerate(node.inputs):
            readers.setdefault(name, []).append((node, place))

    def is_weight(name: str, depth: int = 0) -> bool:
        found = readers.get(name, [])
        return bool(found) and all(
            place in _WEIGHTS.get(node.op_type, ())
            or (node.op_type in _CARRIERS and place == 0 and depth < 4 and is_weight(node.outputs[0], depth + 1))
            for node, place in found
        )

    return [v for v in inputs if v.dtype is not None and v.shape and None not in v.shape and is_weight(v.name)]
