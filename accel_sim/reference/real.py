"""Graphs on real numbers: the float evaluator, and the fake-quant simulation of an integer graph (fig 4b).

Both are one evaluator: every operator is its textbook function on dequantized constants; fake-quant puts a quantizer
(eq 7) behind each tensor that has a grid, float leaves it out.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_sim.ir import Graph, QuantParams
from accel_sim.reference.movement import MOVEMENTS, move
from accel_sim.reference.real_context import FloatType, Reals, RealSite, to_reals
from accel_sim.reference.real_operators import ELEMENTWISE
from accel_sim.reference.real_windows import WINDOWED
from accel_sim.reference.samples import Arrays, by_samples

Quantizer = Callable[[Reals, QuantParams], Reals]

_OPERATORS = {**ELEMENTWISE, **WINDOWED}


def evaluate_float(graph: Graph, inputs: Mapping[str, NDArray[Any]], dtype: FloatType = np.float32) -> Arrays:
    """Every tensor of a graph as real numbers, nothing quantized but constants that already are.

    Args:
        graph: float, or integer (then constants are dequantized and activations stay real).
        inputs: by tensor name, in stored layout: reals (float dtypes) or codes (integer dtypes). The first axis is any
            multiple of the graph's.
        dtype: float32 or float64.

    Returns:
        Reals of every input and computed tensor in stored layout, in `dtype`; indices (ArgMax) as integers.

    Raises:
        InputError: a missing input or a wrong shape.
    """
    return by_samples(graph, inputs, partial(_evaluate, graph, dtype, None))


def evaluate_fake_quant(graph: Graph, inputs: Mapping[str, NDArray[Any]], dtype: FloatType = np.float32) -> Arrays:
    """Every tensor of an integer graph as frameworks simulate it: float operators between quantizers (fig 4b).

    Weights and biases are dequantized; behind every tensor with a grid stands eq 7, s * (clamp(round(x / s) + z) - z)
    with halves to even, computed in `dtype`. Arguments and errors as for `evaluate_float`.

    Returns:
        Reals on the grid of every input and computed tensor in stored layout, in `dtype`: their codes are
        round(x / s) + z. Tensors without a grid hold raw accumulators at s_x * s_w, or indices.
    """
    return by_samples(graph, inputs, partial(_evaluate, graph, dtype, fake_quantized))


def fake_quantized(x: Reals, q: QuantParams) -> Reals:
    """eq 7 in x's type, halves to even."""
    scale, zero_point = q.broadcast(x.ndim)
    step = scale.astype(x.dtype)
    with np.errstate(over="ignore"):
        multiple = np.rint(x / step)
    return np.asarray(np.clip(multiple, q.low - zero_point, q.high - zero_point).astype(x.dtype) * step)


def _evaluate(graph: Graph, dtype: FloatType, quantizer: Quantizer | None, inputs: Arrays) -> Arrays:
    values: Arrays = {}
    for name, array in inputs.items():
        q = graph.tensors[name].quant
        is_real = array.dtype.kind == "f"
        values[name] = _quantized(array.astype(dtype) if is_real else to_reals(array, q, dtype), q, quantizer)
    for node in graph.nodes:
        result = graph.result(node)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            y = _evaluate_node(RealSite(graph, node, dtype, values))
        values[result.name] = _quantized(y, result.quant, quantizer)
    return values


def _evaluate_node(site: RealSite) -> Reals:
    op = site.node.op
    if type(op) in MOVEMENTS:
        return move(site.graph, site.node, site.real(0))
    return np.asarray(_OPERATORS[type(op)](site, op))


def _quantized(x: Reals, q: QuantParams | None, quantizer: Quantizer | None) -> Reals:
    return x if q is None or quantizer is None else quantizer(x, q)
