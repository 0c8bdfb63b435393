"""QDQ networks of int8 activations with float ends: ONNX Runtime computes them on uint8 codes, mostly."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

pytest.importorskip("onnxruntime")

from oracles import onnx_int8, onnx_models
from oracles.onnx_builder import INT8, Grid, ModelBuilder
from oracles.onnx_draw import Draw

import accel_sim
from accel_sim.frontend import load
from accel_sim.ir import ElementType, Graph, Requantize
from accel_sim.numerics import ONNXRUNTIME
from accel_sim.reference import evaluate_integer

SEED = 512
F = np.float32
GRID = Grid(F(0.05), 3, INT8)
OTHER = Grid(F(0.1), -7, INT8)
IMAGE = (1, 16, 5, 6)
WINDOW = {"kernel_shape": [2, 2]}


def generator(index: int) -> np.random.Generator:
    return np.random.default_rng([SEED, index])


def evaluated(graph: Graph, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    stored = {n: graph.tensors[n].from_file_layout(np.asarray(inputs[n])) for n in graph.inputs}
    values = evaluate_integer(graph, stored, ONNXRUNTIME)
    return {n: graph.tensors[n].to_file_layout(values[n]) for n in graph.outputs}


def assert_as_onnx_runtime(case: onnx_models.Case) -> Graph:
    graph, expected = load(case.model), onnx_models.expected(case)
    for name, codes in evaluated(graph, dict(case.inputs)).items():
        assert graph.tensors[name].element.dtype == expected[name].dtype
        np.testing.assert_array_equal(codes, expected[name], err_msg=f"{case.operator}, {name}")
    return graph


@pytest.mark.parametrize("operator", onnx_int8.OPERATORS)
def test_every_operator(operator: str, models: int) -> None:
    for index in range(models):
        assert_as_onnx_runtime(onnx_int8.case(operator, generator(index)))


def test_networks_with_shared_values(models: int) -> None:
    for index in range(4 * models):
        assert_as_onnx_runtime(onnx_int8.chain(generator(index)))


def test_machine_computes_the_same(models: int) -> None:
    for index in range(models):
        case = onnx_int8.chain(generator(index))
        program = accel_sim.compile(load(case.model), "edge-16x16", "onnxruntime")
        made, expected = accel_sim.run(program, case.inputs, "functional").outputs, onnx_models.expected(case)
        for name, codes in expected.items():
            np.testing.assert_array_equal(made[name], codes, err_msg=f"model {index}, {name}")


# --- the rule, one small network after the other -----------------------------------------------------------------


def begin(draw: Draw, *, float_ends: bool = True) -> tuple[ModelBuilder, str]:
    model = ModelBuilder(13, float_ends=float_ends)
    return model, model.quantized_input("x", draw.codes(GRID, IMAGE), GRID)


def pooled(model: ModelBuilder, value: str) -> str:
    return model.node("AveragePool", [value], **WINDOW)


def chained(draw: Draw) -> ModelBuilder:
    model, x = begin(draw)
    middle = model.dequantize(model.quantize(pooled(model, x), OTHER, "m"), OTHER.scale, OTHER.zero)
    model.quantized_output(pooled(model, middle), GRID)
    return model


def shared_input(draw: Draw) -> ModelBuilder:
    model, x = begin(draw)
    model.quantized_output(pooled(model, x), OTHER)
    model.quantized_output(model.node("Sigmoid", [x]), GRID, "z")
    return model


def twice_the_same_operand(draw: Draw) -> ModelBuilder:
    model, x = begin(draw)
    model.quantized_output(model.node("Add", [x, x]), OTHER)
    return model


def constant_operand(draw: Draw) -> ModelBuilder:
    model, x = begin(draw)
    constant = model.quantized_constant(draw.codes(OTHER, (16, 1, 1)), OTHER)
    model.quantized_output(model.node("Add", [x, constant]), GRID)
    return model


def codes_at_the_input(draw: Draw) -> ModelBuilder:
    model, x = begin(draw, float_ends=False)
    model.float_ends = True
    model.quantized_output(pooled(model, x), OTHER)
    return model


def codes_at_the_output(draw: Draw) -> ModelBuilder:
    model, x = begin(draw)
    model.float_ends = False
    model.quantized_output(pooled(model, x), OTHER)
    return model


def value_inside_is_an_output_too(draw: Draw) -> ModelBuilder:
    model, x = begin(draw)
    names = [model.quantize(pooled(model, x), OTHER), model.constant(OTHER.scale), model.constant(OTHER.zero)]
    model.output(model.node("DequantizeLinear", names, outputs=["m"]), F)
    model.output_grids["m"] = OTHER
    model.quantized_output(model.node("Mul", ["m", "m"]), GRID)
    return model


def codes_are_moved(draw: Draw) -> ModelBuilder:
    model = ModelBuilder(13, float_ends=True)
    codes = model.quantize(model.input("x", GRID.dequantize(draw.codes(GRID, IMAGE))), GRID)
    moved = model.dequantize(model.node("MaxPool", [codes], **WINDOW), GRID.scale, GRID.zero)
    model.quantized_output(pooled(model, moved), OTHER)
    return model


def floats_are_moved(draw: Draw) -> ModelBuilder:
    model, x = begin(draw)
    turned = model.node("Transpose", [x], perm=[0, 1, 3, 2], outputs=["m"])
    model.quantized_output(pooled(model, turned), OTHER)
    return model


def zero_point_not_stated(draw: Draw) -> ModelBuilder:
    grid = GRID._replace(zero_point=0)
    model = ModelBuilder(21)
    x = model.input("x", grid.dequantize(draw.codes(grid, IMAGE)))
    codes = model.node("QuantizeLinear", [x, model.constant(grid.scale)], output_dtype=onnx.TensorProto.INT8)
    model.float_ends = True
    value = model.node("DequantizeLinear", [codes, model.constant(grid.scale)])
    model.quantized_output(pooled(model, value), OTHER)
    return model


def sums_alone(draw: Draw) -> ModelBuilder:
    model, x = begin(draw)
    weights = Grid(F(2.0**-6), 0, INT8)
    w = model.quantized_constant(draw.codes(weights, (16, 16, 1, 1)), weights)
    model.quantized_output(model.node("Conv", [x, w]), OTHER)
    return model


def global_average_between_types(draw: Draw) -> ModelBuilder:
    model, x = begin(draw)
    model.quantized_output(model.node("GlobalAveragePool", [x]), OTHER)
    model.quantized_output(model.node("LeakyRelu", [x], alpha=0.5), GRID, "z")
    return model


def global_average_between_sums(draw: Draw) -> ModelBuilder:
    model, x = begin(draw)
    constant = model.quantized_constant(draw.codes(OTHER, (16, 1, 1)), OTHER)
    mean = model.node("GlobalAveragePool", [x])
    mean = model.dequantize(model.quantize(mean, OTHER, "m"), OTHER.scale, OTHER.zero)
    model.quantized_output(model.node("Mul", [mean, constant]), GRID)
    return model


def softmax_between_types(draw: Draw) -> ModelBuilder:
    model, x = begin(draw)
    model.quantized_output(model.node("Softmax", [x], axis=1), Grid(F(1 / 200), -128, INT8))
    model.quantized_output(model.node("LeakyRelu", [x], alpha=0.5), GRID, "z")
    return model


RULE: dict[Callable[[Draw], ModelBuilder], set[str]] = {
    chained: {"x/uint8", "m/uint8", "y/uint8"},
    shared_input: {"y/uint8"},
    twice_the_same_operand: {"y/uint8"},
    constant_operand: {"x/uint8", "y/uint8"},
    codes_at_the_input: {"y/uint8"},
    codes_at_the_output: {"x/uint8"},
    value_inside_is_an_output_too: {"x/uint8", "y/uint8"},
    codes_are_moved: {"y/uint8"},
    floats_are_moved: {"x/uint8", "m/uint8", "y/uint8"},
    zero_point_not_stated: {"y/uint8"},
    sums_alone: set(),
    global_average_between_types: {"y/uint8"},
    global_average_between_sums: {"x/uint8", "m/uint8", "y/uint8"},
    softmax_between_types: {"y/uint8"},
}


@pytest.mark.parametrize("build", RULE, ids=lambda build: build.__name__)
def test_values_are_unsigned_where_onnx_runtime_has_them_so(build: Callable[[Draw], ModelBuilder]) -> None:
    for index in range(12):
        graph = assert_as_onnx_runtime(
            onnx_models.made_by(build.__name__, build, onnx_int8.SignedDraw(generator(index)))
        )
        unsigned = {n for n, t in graph.tensors.items() if t.element is ElementType.UINT8}
        assert {n for n in unsigned if "/axes" not in n} == RULE[build]


def test_inputs_and_outputs_stay_the_files_int8_codes() -> None:
    case = onnx_models.made_by("chained", chained, onnx_int8.SignedDraw(generator(0)))
    graph = load(case.model)
    assert {n: graph.tensors[n].element for n in ("x", "y")} == {"x": ElementType.INT8, "y": ElementType.INT8}
    assert (graph.tensors["x"].quant.zero_point, graph.tensors["x/uint8"].quant.zero_point) == ((3,), (131,))
    assert [type(n.op) for n in graph.nodes].count(Requantize) == 2
    codes = GRID.codes_of(case.inputs["x"])
    by_codes, by_floats = evaluated(graph, {"x": codes}), evaluated(graph, dict(case.inputs))
    np.testing.assert_array_equal(by_codes["y"], by_floats["y"])
    values = evaluate_integer(graph, {"x": graph.tensors["x"].from_file_layout(codes)}, ONNXRUNTIME)
    np.testing.assert_array_equal(values["x/uint8"].astype(int), values["x"].astype(int) + 128)
    np.testing.assert_array_equal(values["y/uint8"].astype(int), values["y"].astype(int) + 128)


def test_network_of_the_quantizer_of_onnx_runtime(tmp_path: Path) -> None:
    """Pools and sums of every kind, quantized with QInt8 activations."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    draw = onnx_int8.SignedDraw(generator(1))
    model = ModelBuilder(13)
    samples = draw.rng.normal(size=(4, *IMAGE)).astype(F)
    x = model.input("x", samples[0])
    weights = [model.constant(draw.rng.normal(size=(16, 16, 1, 1)).astype(F)) for _ in range(2)]
    left = pooled(model, model.node("Relu", [model.node("Conv", [x, weights[0]])]))
    right = model.node("Sigmoid", [model.node("Conv", [left, weights[1]])])
    value = model.node("Mul", [right, model.constant(draw.rng.normal(size=(16, 1, 1)).astype(F))])
    model.output(model.node("GlobalAveragePool", [pooled(model, value)], outputs=["y"]), F)
    onnx.save(model.model(), tmp_path / "float.onnx")

    class Reader(quantization.CalibrationDataReader):
        left = iter([{"x": s} for s in samples])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.left, None)

    quantization.quantize_static(
        tmp_path / "float.onnx", tmp_path / "int8.onnx", Reader(), activation_type=quantization.QuantType.QInt8
    )
    content = (tmp_path / "int8.onnx").read_bytes()
    graph = load(content)
    grid = graph.tensors["y"].quant
    for sample in samples:
        expected = onnx_models.run_ort(content, {"x": sample})["y"]
        codes = Grid(F(grid.scale[0]), grid.zero_point[0], INT8).codes_of(expected)
        np.testing.assert_array_equal(evaluated(graph, {"x": sample})["y"], codes)
