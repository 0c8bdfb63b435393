"""Quantization with the plainest recipe, a small network, and its faults."""

import numpy as np
import pytest
from float_graphs import FloatGraph

from accel_sim.errors import QuantizationError
from accel_sim.ir import (
    RELU,
    Clip,
    Conv2D,
    Graph,
    QuantParams,
)
from accel_sim.quantization import (
    quantize_with_report,
)


def quantize(graph: Graph, calibration, recipe="minmax", **options) -> Graph:
    """Ranges by minimum and maximum where a test does not say otherwise."""
    return quantize_with_report(graph, calibration, recipe, **options).graph


def small_graph() -> Graph:
    """x -> convolution with ReLU -> y, channels 3 -> 2."""
    g = FloatGraph()
    x = g.input("x", (1, 4, 4, 3))
    y = g.op(Conv2D(), x, g.normal(2, 1, 1, 3), g.normal(2), shape=(1, 4, 4, 2))
    return g.graph(g.op(Clip(RELU), y, shape=(1, 4, 4, 2), name="y"))


def images(count: int = 2, seed: int = 0) -> np.ndarray:
    """For `small_graph`, in the file's layout."""
    return np.random.default_rng(seed).normal(0, 1, (count, 3, 4, 4)).astype(np.float32)


def faults_of(*args, **options) -> str:
    with pytest.raises(QuantizationError) as caught:
        quantize(*args, **options)
    return str(caught.value)


def grids(graph: Graph) -> dict[str, QuantParams | None]:
    return {t.name: t.quant for t in graph.tensors.values()}
