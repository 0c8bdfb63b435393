"""Convolutions and pools of one dimension: every byte as ONNX Runtime gives it."""

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from conformance.harness import differences, lower, run_levels
from oracles import onnx_models
from oracles.onnx_builder import INT8, Grid, ModelBuilder

F = np.float32
_TYPES = ("uint8", "int8", "int16")
_SHAPE = (2, 4, 21)
_CONVOLUTIONS = {
    "plain": {},
    "strided": {"strides": [3], "pads": [2, 1]},
    "dilated": {"dilations": [2], "pads": [0, 4]},
    "depthwise": {"group": 4, "kernel_shape": [3]},
    "same": {"auto_pad": "SAME_LOWER", "strides": [2]},
}
_POOLS = {
    "MaxPool": {"kernel_shape": [3], "strides": [2], "pads": [1, 1], "ceil_mode": 1},
    "AveragePool": {"kernel_shape": [4], "strides": [3], "pads": [0, 2], "count_include_pad": 1},
    "GlobalAveragePool": {},
    "GlobalMaxPool": {},
}


class Line(ModelBuilder):
    """A model of one operator on codes of one type."""

    def __init__(self, codes: str, seed: int) -> None:
        super().__init__(21)
        self.rng, self.limits = np.random.default_rng(seed), np.iinfo(codes)
        self.x_grid, self.y_grid = self.grid(0.05), self.grid(0.1)
        x = self.rng.integers(self.limits.min, self.limits.max, _SHAPE, codes, endpoint=True)
        self.x = self.quantized_input("x", x, self.x_grid)

    def grid(self, scale: float) -> Grid:
        zero = 0 if self.limits.bits > 8 else int(self.rng.integers(self.limits.min, self.limits.max))
        return Grid(F(scale * 256 / (1 << self.limits.bits)), zero, self.limits.dtype)

    def weights(self, shape: tuple[int, ...], axis: int) -> list[str]:
        """Weights with a scale per channel, and a bias."""
        scales = self.rng.uniform(0.005, 0.02, shape[axis]).astype(F)
        codes = self.rng.integers(-127, 128, shape).astype(INT8)
        bias = self.rng.integers(-999, 999, shape[axis]).astype(np.int32)
        zeros = np.zeros(scales.shape, INT8)
        return [
            self.dequantize(self.constant(codes), scales, zeros, axis=axis),
            self.dequantize(self.constant(bias), self.x_grid.scale * scales, np.zeros(scales.shape, np.int32), axis=0),
        ]


def assert_equal(model: Line, result: str, grid: Grid) -> None:
    model.quantized_output(result, grid)
    data = model.serialize()
    graph, program = lower(data, "onnxruntime")
    assert not differences(onnx_models.run_ort(data, model.inputs), run_levels(graph, program, model.inputs).outputs)


@pytest.mark.parametrize("codes", _TYPES)
@pytest.mark.parametrize("name", _CONVOLUTIONS)
def test_convolutions(name, codes):
    model, attributes = Line(codes, 1), _CONVOLUTIONS[name]
    shape = (8, 4 // attributes.get("group", 1), 3)
    result = model.node("Conv", [model.x, *model.weights(shape, 0)], **attributes)
    assert_equal(model, model.node("Relu", [result]), model.y_grid)


@pytest.mark.parametrize("codes", ["uint8", "int8"])
def test_transposed_convolution(codes):
    model = Line(codes, 2)
    weights, bias = model.weights((4, 5, 3), 1)
    result = model.node("ConvTranspose", [model.x, weights, bias], strides=[2], pads=[1, 0], output_padding=[1])
    assert_equal(model, result, model.y_grid)


@pytest.mark.parametrize("codes", _TYPES)
@pytest.mark.parametrize("name", _POOLS)
def test_pools(name, codes):
    model = Line(codes, 3)
    assert_equal(model, model.node(name, [model.x], **_POOLS[name]), model.x_grid if "Max" in name else model.y_grid)


def test_integer_operator_and_a_transpose():
    """QLinearConv, and steps that keep the order of axes between them."""
    model = Line("uint8", 4)
    weights = model.constant(model.rng.integers(-127, 128, (6, 4, 5)).astype(INT8))
    codes = model.quantize(model.x, model.x_grid)
    numbers = [F(0.01), INT8.type(0), model.y_grid.scale, model.y_grid.zero]
    operands = [codes, model.constant(model.x_grid.scale), model.constant(model.x_grid.zero), weights]
    made = model.node("QLinearConv", [*operands, *(model.constant(v) for v in numbers)], pads=[2, 2])
    turned = model.node("Transpose", [model.dequantize(made, model.y_grid.scale, model.y_grid.zero)], perm=[0, 2, 1])
    assert_equal(model, turned, model.y_grid)
