"""What a float graph must be before it can be quantized. Every violation is found at once."""

from collections.abc import Iterator

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

QUANTIZABLE = frozenset(
    {
        Add, ArgMax, AveragePool2D, BatchNorm, Clip, Concat, Conv2D, DepthToSpace, FullyConnected, GlobalAveragePool2D,
        HardSigmoid, HardSwish, LeakyRelu, Logistic, MatMul, Maximum, MaxPool2D, Mean, Minimum, Multiply, Pad, PRelu,
        Reshape, ResizeBilinear, ResizeNearest, Slice, Softmax, SpaceToDepth, Subtract, Tanh, Transpose,
        TransposeConv2D,
    }
)  # fmt: skip
"""The operators that have an integer form."""

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
