"""Values that get their grid from others: ONNX Runtime computes in float32 with them, or they are refused."""

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from conformance.harness import differences, lower, run_levels
from oracles import onnx_models
from oracles.onnx_builder import INT8, UINT8, Grid, ModelBuilder

from accel_sim.errors import AccelSimError

F = np.float32
GRID, OTHER = Grid(F(0.1), 116, UINT8), Grid(F(0.0235), 0, UINT8)
_SHAPE = (1, 8, 10, 9)
_MOVES = {
    "Min": lambda m, x: m.node("Min", [x, x]),
    "Flatten": lambda m, x: m.node("Reshape", [m.node("Flatten", [x]), m.constant(np.array(_SHAPE))]),
    "Relu": lambda m, x: m.node("Relu", [x]),
    "Reshape": lambda m, x: m.node("Reshape", [x, m.constant(np.array(_SHAPE))]),
    "MaxPool": lambda m, x: m.node("MaxPool", [x], kernel_shape=[1, 1]),
}
_KEEPS_A_PAIR = {"Reshape", "MaxPool"}


def assert_equal(model: ModelBuilder) -> None:
    data = model.serialize()
    graph, program = lower(data, "onnxruntime")
    expected = onnx_models.run_ort(data, model.inputs)
    assert not differences(expected, run_levels(graph, program, model.inputs).outputs)


def moved(name: str) -> tuple[ModelBuilder, str]:
    model, rng = ModelBuilder(17), np.random.default_rng(5)
    x = model.quantized_input("x", rng.integers(0, 256, _SHAPE).astype(np.uint8), GRID)
    return model, _MOVES[name](model, x)


@pytest.mark.parametrize("name", _MOVES)
def test_global_average_behind_a_move(name):
    for scale in np.linspace(0.05, 0.1, 12):  # some of whose averages are near ties
        model, value = moved(name)
        model.quantized_output(model.node("GlobalAveragePool", [value]), Grid(F(scale / 128), 7, UINT8))
        assert_equal(model)


@pytest.mark.parametrize("name", _MOVES)
def test_average_behind_a_move(name):
    model, value = moved(name)
    model.quantized_output(model.node("AveragePool", [value], kernel_shape=[3, 3]), OTHER)
    if name in _KEEPS_A_PAIR:
        assert_equal(model)
    else:
        with pytest.raises(AccelSimError, match="has a QuantizeLinear and a DequantizeLinear of its own"):
            lower(model.serialize(), "onnxruntime")


@pytest.mark.parametrize("name", _MOVES)
def test_convolution_behind_a_move(name):
    """Many sums near ties: integers and float32 round some of them otherwise."""
    model, value = moved(name)
    rng = np.random.default_rng(6)
    weights = model.quantized_constant(rng.integers(-127, 128, (64, 8, 3, 3)).astype(INT8), Grid(F(0.02), 0, INT8))
    model.quantized_output(model.node("Conv", [value, weights]), Grid(F(0.25), 128, UINT8))
    assert_equal(model)


def test_clamp_behind_a_pool_between_two_grids():
    """6 is no multiple of the first scale, and the highest code of the second."""
    model, value = moved("Min")
    pooled = model.node("MaxPool", [value], kernel_shape=[2, 2])
    clamped = model.node("Clip", [pooled, model.constant(F(0)), model.constant(F(6))])
    model.quantized_output(clamped, OTHER)
    assert_equal(model)


@pytest.mark.parametrize("operator", ["Add", "Mul"])
def test_results_beyond_int32_are_refused(operator):
    for scale, fits in ((1e-6, True), (1e-8, False)):
        model = ModelBuilder(17)
        names = [model.quantized_input(n, np.full((1, 9), 255, np.uint8), Grid(F(0.1), 0, UINT8)) for n in "ab"]
        model.quantized_output(model.node(operator, names), Grid(F(scale), 0, UINT8))
        if fits:
            assert_equal(model)
        else:
            with pytest.raises(AccelSimError, match="below 2"):
                lower(model.serialize(), "onnxruntime")
