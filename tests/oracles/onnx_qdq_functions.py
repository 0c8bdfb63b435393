"""QDQ models of element-wise operators: binary arithmetic and functions of one value."""

from collections.abc import Callable
from typing import Any

import numpy as np
from oracles.onnx_builder import Grid, ModelBuilder
from oracles.onnx_draw import Draw
from oracles.onnx_qoperator import broadcast_shapes

Generator = Callable[[Draw], ModelBuilder]


def binary(operator: str) -> Generator:
    """`operator` on two inputs, one of which may be constant; Add may carry a Relu that its grid makes redundant."""

    def generate(draw: Draw) -> ModelBuilder:
        dtype, constant = draw.dtype(), draw.integer(0, 3)
        model = ModelBuilder(17, float_ends=draw.float_ends(dtype, operator))
        names = []
        for index, shape in enumerate(broadcast_shapes(draw)):
            grid = draw.grid(dtype)
            codes = draw.codes(grid, shape)
            if index == constant:
                names.append(model.quantized_constant(codes, grid))
            else:
                names.append(model.quantized_input(f"x{index}", codes, grid))
        value, output = model.node(operator, names), draw.grid(dtype)
        if operator == "Add" and draw.chance(0.3):
            value, output = model.node("Relu", [value]), output._replace(zero_point=output.low)
        model.quantized_output(value, output)
        return model

    return generate


def function(operator: str, *operands: Any, output_scale: float | None = None, **attributes: Any) -> Generator:
    """`operator` on one input with constant further operands."""

    def generate(draw: Draw) -> ModelBuilder:
        grid = draw.grid()
        model = ModelBuilder(17, float_ends=draw.float_ends(grid.dtype))
        x = model.quantized_input("x", draw.codes(grid, draw.image()), grid)
        y = model.node(operator, [x, *(model.constant(v) for v in operands)], **attributes)
        scale = output_scale if output_scale and draw.chance(0.6) else None
        if scale is None and draw.chance(0.5):
            scale = float(grid.scale)
        model.quantized_output(y, draw.grid(grid.dtype, scale))
        return model

    return generate


def leaky_relu(draw: Draw) -> ModelBuilder:
    return function("LeakyRelu", alpha=float(draw.pick((0.01, 0.25, 0.1, -0.3, 1.5))))(draw)


def softmax(draw: Draw) -> ModelBuilder:
    return function("Softmax", output_scale=1 / 256, axis=draw.integer(-4, 3))(draw)


def prelu(draw: Draw) -> ModelBuilder:
    grid = draw.grid()
    model = ModelBuilder(17, float_ends=draw.float_ends(grid.dtype))
    shape = draw.image()
    slope = Grid(draw.scale(), draw.grid(grid.dtype).zero_point, grid.dtype)
    slope_shape = draw.pick(((shape[1], 1, 1), (1, shape[1], 1, 1), (1,), (1, 1, 1)))
    names = [model.quantized_input("x", draw.codes(grid, shape), grid)]
    names.append(model.quantized_constant(draw.codes(slope, slope_shape), slope))
    model.quantized_output(model.node("PRelu", names), draw.grid(grid.dtype))
    return model


F = np.float32
GENERATORS: dict[str, Generator] = {
    "Add": binary("Add"),
    "Sub": binary("Sub"),
    "Mul": binary("Mul"),
    "Min": binary("Min"),
    "Max": binary("Max"),
    "Relu": function("Relu"),
    "Clip 0 6": function("Clip", F(0), F(6)),
    "Clip -1 1": function("Clip", F(-1), F(1)),
    "PRelu": prelu,
    "LeakyRelu": leaky_relu,
    "HardSwish": function("HardSwish"),
    "HardSigmoid": function("HardSigmoid", output_scale=1 / 256, alpha=1 / 6, beta=0.5),
    "Sigmoid": function("Sigmoid", output_scale=1 / 256),
    "Tanh": function("Tanh", output_scale=1 / 128),
    "Softmax": softmax,
}
