"""The golden integer evaluator of a graph (fig 4a): the bytes that hardware must produce.

Operator by operator, by the recipes of `accel_sim.numerics` alone; nothing is tiled, scheduled or fused.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_sim.arithmetic import quantize_real, unsupported_reason
from accel_sim.errors import Fault, GraphError
from accel_sim.ir import (
    Add,
    AveragePool2D,
    Clip,
    Concat,
    Conv2D,
    FullyConnected,
    GlobalAveragePool2D,
    Graph,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Logistic,
    MatMul,
    Maximum,
    MaxPool2D,
    Mean,
    Minimum,
    Multiply,
    Pad,
    PRelu,
    Requantize,
    RequantShift,
    ResizeBilinear,
    Softmax,
    Subtract,
    Tanh,
    TransposeConv2D,
)
from accel_sim.numerics import Profile, UnsupportedByProfileError
from accel_sim.numerics.accumulators import AccumulatorStructure
from accel_sim.reference import integer_elementwise, integer_matrix, integer_pooling
from accel_sim.reference.integer_context import Codes, Site
from accel_sim.reference.movement import MOVEMENTS, move
from accel_sim.reference.samples import Arrays, by_samples

_OPERATORS: dict[type, Callable[[Site, Any], Codes]] = {
    Conv2D: integer_matrix.conv_2d,
    TransposeConv2D: integer_matrix.transpose_conv_2d,
    FullyConnected: integer_matrix.fully_connected,
    MatMul: integer_matrix.mat_mul,
    MaxPool2D: integer_pooling.max_pool_2d,
    AveragePool2D: integer_pooling.average_pool_2d,
    GlobalAveragePool2D: integer_pooling.global_average_pool_2d,
    Mean: integer_pooling.mean,
    Softmax: integer_pooling.softmax,
    Concat: integer_elementwise.concat,
    Pad: integer_elementwise.pad,
    PRelu: integer_elementwise.prelu,
    Requantize: integer_elementwise.requantize,
    RequantShift: integer_elementwise.requant_shift,
    ResizeBilinear: integer_elementwise.resize_bilinear,
    **dict.fromkeys((Add, Subtract, Multiply, Minimum, Maximum), integer_elementwise.binary),
    **dict.fromkeys((Clip, HardSigmoid, HardSwish, LeakyRelu, Logistic, Tanh), integer_elementwise.unary),
}


def evaluate_integer(
    graph: Graph,
    inputs: Mapping[str, NDArray[Any]],
    profile: Profile,
    accumulators: AccumulatorStructure | None = None,
) -> Arrays:
    """Every tensor of an integer graph, as the profile's device computes it.

    Args:
        graph: no float activations.
        inputs: by tensor name, in stored layout; codes, or reals, which the profile quantizes. The first axis is any
            multiple of the graph's.
        profile: the arithmetic.
        accumulators: of the device, added to in the order of systolic dataflows; None for those of the profile's
            software: 32 bits (or 64) that wrap.

    Returns:
        Codes of every input and computed tensor in stored layout, in the tensor's element type. Tensors without a grid
        hold raw accumulators or indices.

    Raises:
        GraphError: a node that needs a grid has none, or the profile has no arithmetic for it.
        InputError: a missing input or a wrong shape.
    """
    return by_samples(graph, inputs, partial(_evaluate, graph, profile, accumulators))


def _evaluate(graph: Graph, profile: Profile, accumulators: AccumulatorStructure | None, inputs: Arrays) -> Arrays:
    values = {name: _as_codes(graph, name, array, profile) for name, array in inputs.items()}
    for node in graph.nodes:
        result = graph.result(node)
        codes = _evaluate_node(Site(graph, node, profile, values, accumulators))
        values[result.name] = np.array(codes, result.element.dtype, order="C")
    return values


def _as_codes(graph: Graph, name: str, array: NDArray[Any], profile: Profile) -> NDArray[Any]:
    tensor = graph.tensors[name]
    if array.dtype.kind == "f" and tensor.quant is not None:
        array = quantize_real(profile, array, tensor.quant)
    return array.astype(tensor.element.dtype)


def _evaluate_node(site: Site) -> Codes:
    op = site.node.op
    tensors = [*site.graph.inputs_of(site.node), site.result]
    reason = unsupported_reason(site.profile, op, (t.quant for t in tensors if t is not None and t.quant is not None))
    if reason is None and any(t is not None and t.element.is_float for t in tensors):
        reason = "an integer graph holds no float tensors"
    if reason is not None:
        raise GraphError(site.node.where, [Fault("grids", site.profile.name, reason)])
    try:
        if type(op) in MOVEMENTS:
            x = site.codes(0) if site.result.quant is None else site.on_result_grid(0)
            return move(site.graph, site.node, x)
        return _OPERATORS[type(op)](site, op)
    except UnsupportedByProfileError as error:
        raise GraphError(f"{site.node.where}, profile {site.profile.name!r}", error.faults) from error
