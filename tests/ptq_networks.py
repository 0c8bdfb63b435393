"""A network of inverted residuals whose channels differ much, and data for it."""

import numpy as np
from float_graphs import FloatGraph

from accel_sim.ir import (
    RELU6,
    Activation,
    Clip,
    Conv2D,
    FullyConnected,
    GlobalAveragePool2D,
    Graph,
    Padding2D,
    Reshape,
)
from accel_sim.quantization.layers import Layer, layers_of
from accel_sim.reference import evaluate_float
from accel_sim.transforms import run_passes

SAME, NO_PADDING = Padding2D(1, 1, 1, 1), Padding2D()


def inverted_residual(activation: Activation = RELU6, seed: int = 0) -> Graph:
    """Expansion, depthwise, projection (a triple), weights whose channels differ a thousandfold, and a head."""
    g = FloatGraph(seed)
    spread = np.exp(np.random.default_rng(seed).uniform(-3.5, 3.5, 12)).reshape(12, 1, 1, 1)
    x = g.input("x", (1, 6, 6, 4))
    names = []
    for weights, groups, padding in (((12, 1, 1, 4), 1, Padding2D()), ((12, 3, 3, 1), 12, SAME)):
        w = g.constant(np.random.default_rng(seed + groups).normal(0, 1, weights) * spread)
        y = g.op(Conv2D(padding=padding, groups=groups), x, w, g.normal(12), shape=(1, 6, 6, 12))
        x = g.op(Clip(activation), y, shape=(1, 6, 6, 12))
        names.append(x)
    x = g.op(Conv2D(), x, g.normal(5, 1, 1, 12), g.normal(5), shape=(1, 6, 6, 5))
    x = g.op(GlobalAveragePool2D(), x, shape=(1, 1, 1, 5))
    x = g.op(Reshape(), x, shape=(1, 5))
    return run_passes(g.graph(g.op(FullyConnected(), x, g.normal(3, 5), g.normal(3), shape=(1, 3), name="y")))


def data(count: int = 20, seed: int = 3) -> np.ndarray:
    """For `inverted_residual`, in the file's layout."""
    return np.random.default_rng(seed).normal(0, 2, (count, 4, 6, 6)).astype(np.float32)


def outputs(graph: Graph, inputs: np.ndarray) -> np.ndarray:
    return evaluate_float(graph, {"x": graph.tensors["x"].from_file_layout(inputs)}, np.float64)[graph.outputs[0]]


def convolutions(graph: Graph) -> list[Layer]:
    return [layer for layer in layers_of(graph).values() if isinstance(layer.node.op, Conv2D)]
