"""What a float graph must be before it can be quantized. Every violation is found at once."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

import numpy as np

from accel_sim.errors import Fault
from accel_sim.ir import (
    Add,
    ArgMax,
    AveragePool2D,
    BatchNorm,
    Clip,
    Concat,
    Conv2D,
    DepthToSpace,
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
    Reshape,
    ResizeBilinear,
    ResizeNearest,
    Slice,
    Softmax,
    SpaceToDepth,
    Subtract,
    Tanh,
    Transpose,
    TransposeConv2D,
)
from accel_sim.quantization.recipe import Recipe

QUANTIZABLE = frozenset(
    {
        Add, ArgMax, AveragePool2D, BatchNorm, Clip, Concat, Conv2D, DepthToSpace, FullyConnected, GlobalAveragePool2D,
        HardSigmoid, HardSwish, LeakyRelu, Logistic, MatMul, Maximum, MaxPool2D, Mean, Minimum, Multiply, Pad, PRelu,
        Reshape, ResizeBilinear, ResizeNearest, Slice, Softmax, SpaceToDepth, Subtract, Tanh, Transpose,
        TransposeConv2D,
    }
)  # fmt: skip
"""The operators that have an integer form."""

_INPUT_RANGE = ("activations.input_range",)
_LINEAR = (Conv2D, TransposeConv2D, FullyConnected)


def graph_faults(graph: Graph) -> Iterator[Fault]:
    """Everything that keeps the graph from being quantized."""
    floats = [t for t in graph.activations() if t.element.is_float]
    if not floats:
        yield Fault("tensors", "all are integer", "a float graph is quantized, and once")
        return
    for tensor in graph.activations():
        if tensor.quant is not None:
            yield Fault(f"tensor {tensor.name!r}", tensor.element.value, "no tensor is quantized already")
    for name in graph.inputs:
        if not graph.tensors[name].element.is_float:
            yield Fault(f"input {name!r}", graph.tensors[name].element.value, "the inputs are float")
    for tensor in graph.tensors.values():
        if tensor.is_constant and tensor.element.is_float and not np.isfinite(tensor.constant).all():
            yield Fault(f"constant {tensor.name!r}", "NaN or infinite values", "weights are finite")
    for node in graph.nodes:
        if type(node.op) not in QUANTIZABLE:
            yield Fault(node.where, node.op.name, "has an integer form")
        elif isinstance(node.op, _LINEAR):
            for operand in graph.inputs_of(node)[1:]:
                if operand is not None and not operand.is_constant:
                    yield Fault(node.where, f"operand {operand.name!r}", "weights and bias are constants")


def recipe_faults(graph: Graph, recipe: Recipe, *, has_data: bool) -> Iterator[Fault]:
    """What a recipe asks for and this graph, or the lack of data, does not allow."""
    if recipe.data_steps and not has_data:
        rule = f"recipe {recipe.name!r} needs calibration data, for {', '.join(recipe.data_steps)}"
        others = "" if recipe.data_steps == _INPUT_RANGE else "choose recipe data-free and "
        cure = f"give typical inputs, or {others}set activations.input_range, such as [-1, 1]"
        yield Fault("calibration", "none", rule, cure)
    if recipe.needs_statistics and not any(isinstance(n.op, BatchNorm) for n in graph.nodes):
        cure = "quantize the network before its batch norms are folded, or choose a recipe that uses data"
        yield Fault("graph", "no batch norms", f"recipe {recipe.name!r} needs the statistics of batch norms", cure)
    for pattern in recipe.layers:
        if not any(fnmatchcase(name, pattern) for name in (*(n.name for n in graph.nodes), *graph.inputs)):
            yield Fault(f"layers.{pattern}", "no such node", "names at least one node or input of the graph")
