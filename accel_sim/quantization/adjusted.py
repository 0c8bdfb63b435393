"""The float network that an integer one stands for: what encodings, which hold grids alone, have to be read with.

Its weights are the numbers that the codes stand for, so that rounding them to nearest on their grid gives these codes
again, however they were found. Its biases are the corrected ones in float32: rounding them on the accumulator's grid
gives the integer ones.
"""

import numpy as np

from accel_sim.ir import Graph, Tensor
from accel_sim.quantization.affine_grid import F64
from accel_sim.quantization.layers import Change, changed, weighted_nodes


def adjusted_graph(floating: Graph, integer: Graph) -> Graph:
    """The float graph with the weights of its integer form.

    Args:
        floating: equalized, absorbed, biases corrected.
        integer: made from it.
    """
    made = {node.name: node for node in integer.nodes}
    weights = {n.name: integer.operand(made[n.name], 1) for n in weighted_nodes(floating)}
    return changed(floating, {name: Change(reals(tensor)) for name, tensor in weights.items()})


def reals(tensor: Tensor) -> F64:
    """What the codes of a constant stand for (eq 6)."""
    assert tensor.quant is not None
    scale, zero = tensor.quant.broadcast(len(tensor.shape))
    return np.asarray(scale * (tensor.constant.astype(np.int64) - zero), np.float64)
