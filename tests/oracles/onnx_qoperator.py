"""Models of ONNX's integer operators: QLinear*, QGemm, ConvInteger, MatMulInteger, and plain operators on codes."""

from collections.abc import Callable

import numpy as np
from oracles.onnx_builder import INT8, UINT8, Grid, ModelBuilder
from oracles.onnx_draw import Draw, Weights
from oracles.onnx_window import window

CONTRIB = "com.microsoft"
Generator = Callable[[Draw], ModelBuilder]


def convolution_shape(draw: Draw) -> tuple[tuple[int, int, int, int], tuple[int, ...], int]:
    """Input shape NCHW, output and input channels of the weights, groups: plain, grouped or depthwise."""
    kind = draw.integer(0, 3)
    channels = draw.integer(1, 8)
    if kind == 0:
        groups, outputs = channels, channels * draw.integer(1, 2)
    elif kind == 1:
        groups = draw.integer(1, 3)
        channels, outputs = groups * draw.integer(1, 4), groups * draw.integer(1, 4)
    else:
        groups, outputs = 1, draw.integer(1, 9)
    return draw.image(channels, 3, 8), (outputs, channels // groups), groups


def weight_dtype(draw: Draw, activations: np.dtype) -> np.dtype:
    """ONNX Runtime pairs int8 activations with int8 weights only."""
    return INT8 if activations == INT8 else draw.dtype()


def parameters(model: ModelBuilder, grid: Grid) -> list[str]:
    return [model.constant(grid.scale), model.constant(grid.zero)]


def qlinear_conv(draw: Draw) -> ModelBuilder:
    model, grid = ModelBuilder(10), draw.grid()
    shape, channels, groups = convolution_shape(draw)
    attributes = window(draw, shape[2:])
    kernel = attributes["kernel_shape"]
    fan_in = channels[1] * kernel[0] * kernel[1]
    dtype = weight_dtype(draw, grid.dtype)
    weights = Weights(draw, (*channels, *kernel), 0, fan_in, grid, dtype=dtype, one_zero=True)
    output = draw.grid(grid.dtype, weights.output_scale)
    inputs = [model.input("x", draw.codes(grid, shape)), *parameters(model, grid)]
    inputs += [model.constant(v) for v in (weights.codes, weights.scale, weights.zero)]
    inputs += parameters(model, output)
    if weights.bias is not None:
        inputs.append(model.constant(weights.bias))
    model.output(model.node("QLinearConv", inputs, outputs=["y"], group=groups, **attributes), output.dtype)
    return model


def conv_integer(draw: Draw) -> ModelBuilder:
    model, grid = ModelBuilder(10), draw.grid(UINT8)
    shape, channels, groups = convolution_shape(draw)
    attributes = window(draw, shape[2:])
    weights = Weights(draw, (*channels, *attributes["kernel_shape"]), 0, 1, grid, one_zero=True)
    inputs = [model.input("x", draw.codes(grid, shape)), model.constant(weights.codes)]
    if draw.chance(0.7):
        inputs.append(model.constant(grid.zero))
        if draw.chance(0.5):
            inputs.append(model.constant(np.ravel(weights.zero)[0]))
    model.output(model.node("ConvInteger", inputs, outputs=["y"], group=groups, **attributes), np.int32)
    return model


def matrix_shapes(draw: Draw) -> tuple[tuple[int, ...], tuple[int, ...]]:
    rows, inner, columns = draw.integers(1, 9, 3)
    batch = draw.integers(1, 3, draw.integer(0, 2))
    return (*batch, rows, inner), (inner, columns)


def qlinear_matmul(draw: Draw) -> ModelBuilder:
    model, grid = ModelBuilder(10), draw.grid()
    left, right = matrix_shapes(draw)
    weights = Weights(draw, right, 1, right[0], grid, dtype=weight_dtype(draw, grid.dtype))
    output = draw.grid(grid.dtype, weights.output_scale)
    inputs = [model.input("x", draw.codes(grid, left)), *parameters(model, grid)]
    constant = weights.per_channel or draw.chance(0.5)
    inputs.append(model.constant(weights.codes) if constant else model.input("w", weights.codes))
    inputs += [model.constant(weights.scale), model.constant(weights.zero), *parameters(model, output)]
    model.output(model.node("QLinearMatMul", inputs, outputs=["y"]), output.dtype)
    return model


def matmul_integer(draw: Draw) -> ModelBuilder:
    model, grid = ModelBuilder(10), draw.grid()
    left, right = matrix_shapes(draw)
    weights = Weights(draw, right, 1, right[0], grid, dtype=weight_dtype(draw, grid.dtype))
    inputs = [model.input("x", draw.codes(grid, left))]
    constant = weights.per_channel or draw.chance(0.5)
    inputs.append(model.constant(weights.codes) if constant else model.input("w", weights.codes))
    inputs += [model.constant(grid.zero), model.constant(weights.zero)]
    model.output(model.node("MatMulInteger", inputs, outputs=["y"]), np.int32)
    return model


def qgemm(draw: Draw) -> ModelBuilder:
    model, grid = ModelBuilder(13), draw.grid()
    rows, inner, columns = draw.integers(1, 9, 3)
    transposed_left, transposed_right = draw.chance(0.2), draw.chance(0.5)
    shape = (columns, inner) if transposed_right else (inner, columns)
    axis = 0 if transposed_right else 1
    weights = Weights(draw, shape, axis, inner, grid, dtype=weight_dtype(draw, grid.dtype))
    output = draw.grid(grid.dtype, weights.output_scale)
    left = (inner, rows) if transposed_left else (rows, inner)
    inputs = [model.input("x", draw.codes(grid, left)), *parameters(model, grid)]
    inputs += [model.constant(v) for v in (weights.codes, weights.scale, weights.zero)]
    inputs += [model.constant(weights.bias) if weights.bias is not None else "", *parameters(model, output)]
    flags = {"transA": int(transposed_left), "transB": int(transposed_right)}
    model.output(model.node("QGemm", inputs, outputs=["y"], domain=CONTRIB, **flags), output.dtype)
    return model


def broadcast_shapes(draw: Draw) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes that broadcast: equal, per channel, per column, a scalar, or a vector pair."""
    full = draw.image()
    other = draw.pick((full, full, (1, full[1], 1, 1), (full[1], 1, 1), (full[3],), (1,), ()))
    return (other, full) if draw.chance(0.3) else (full, other)


def qlinear_binary(operator: str) -> Generator:
    def generate(draw: Draw) -> ModelBuilder:
        model, dtype = ModelBuilder(13), draw.dtype()
        inputs = []
        constant = draw.integer(0, 3)
        for index, shape in enumerate(broadcast_shapes(draw)):
            grid = draw.grid(dtype)
            codes = draw.codes(grid, shape)
            name = model.constant(codes) if index == constant else model.input(f"x{index}", codes)
            inputs += [name, *parameters(model, grid)]
        output = draw.grid(dtype)
        node = model.node(operator, inputs + parameters(model, output), outputs=["y"], domain=CONTRIB)
        model.output(node, dtype)
        return model

    return generate


def qlinear_concat(draw: Draw) -> ModelBuilder:
    model, dtype = ModelBuilder(13), draw.dtype()
    shape, axis = draw.image(), draw.integer(1, 3)
    output = draw.grid(dtype)
    inputs = parameters(model, output)
    for index in range(draw.integer(1, 4)):
        grid = output if draw.chance(0.3) else draw.grid(dtype)
        part = [draw.integer(1, 5) if i == axis else n for i, n in enumerate(shape)]
        inputs += [model.input(f"x{index}", draw.codes(grid, part)), *parameters(model, grid)]
    attributes = {"axis": axis - 4 if draw.chance(0.2) else axis}
    model.output(model.node("QLinearConcat", inputs, outputs=["y"], domain=CONTRIB, **attributes), dtype)
    return model


def qlinear_unary(operator: str) -> Generator:
    """One-input contrib operators: pools and functions."""

    def generate(draw: Draw) -> ModelBuilder:
        model, grid = ModelBuilder(13), draw.grid()
        shape = draw.image()
        attributes = unary_attributes(operator, draw, shape)
        output = draw.result_grid(grid, function_scale(operator, draw, grid))
        inputs = [model.input("x", draw.codes(grid, shape)), *parameters(model, grid), *parameters(model, output)]
        model.output(model.node(operator, inputs, outputs=["y"], domain=CONTRIB, **attributes), grid.dtype)
        return model

    return generate


def unary_attributes(operator: str, draw: Draw, shape: tuple[int, ...]) -> dict[str, object]:
    if operator == "QLinearAveragePool":
        attributes = window(draw, (shape[2], shape[3]), dilated=False, pooling=True)
        attributes["count_include_pad"] = draw.integer(0, 1)
        return attributes
    if operator == "QLinearLeakyRelu":
        return {"alpha": 0.01 if draw.chance(0.5) else float(draw.rng.uniform(-0.5, 1.5))}
    if operator == "QLinearSoftmax":
        return {"axis": draw.integer(-4, 3), "opset": 13}
    return {"channels_last": 0} if operator == "QLinearGlobalAveragePool" else {}


def function_scale(operator: str, draw: Draw, grid: Grid) -> float | None:
    """Outputs of bounded functions usually get the tight scale 1/256."""
    if operator in ("QLinearSigmoid", "QLinearSoftmax"):
        return 1 / 256 if draw.chance(0.6) else None
    return float(grid.scale) if draw.chance(0.5) else None


GENERATORS: dict[str, Generator] = {
    "QLinearConv": qlinear_conv,
    "QLinearMatMul": qlinear_matmul,
    "QGemm": qgemm,
    "QLinearAdd": qlinear_binary("QLinearAdd"),
    "QLinearMul": qlinear_binary("QLinearMul"),
    "QLinearConcat": qlinear_concat,
    "QLinearAveragePool": qlinear_unary("QLinearAveragePool"),
    "QLinearGlobalAveragePool": qlinear_unary("QLinearGlobalAveragePool"),
    "QLinearSigmoid": qlinear_unary("QLinearSigmoid"),
    "QLinearLeakyRelu": qlinear_unary("QLinearLeakyRelu"),
    "QLinearSoftmax": qlinear_unary("QLinearSoftmax"),
    "ConvInteger": conv_integer,
    "MatMulInteger": matmul_integer,
}
