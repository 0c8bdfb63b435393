"""Bad ONNX files: one error names every node, value and rule; damaged bytes never cause anything but that error."""

import contextlib
import resource
import time
from importlib.resources import files

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("onnxruntime")

from oracles.onnx_builder import UINT8, Grid, ModelBuilder
from oracles.onnx_models import OPERATORS, case

from accel_sim.errors import AccelSimError, ModelError, UnsupportedModelError
from accel_sim.frontend.onnx import list_onnx, load_onnx

F = np.float32
GRID = Grid(F(0.05), 3, UINT8)
BUNDLED = files("accel_sim.demo_data").joinpath("digits_cnn.onnx").read_bytes()


def faults(model: ModelBuilder | onnx.ModelProto | bytes) -> str:
    data = model.serialize() if isinstance(model, ModelBuilder) else model
    data = data if isinstance(data, bytes) else data.SerializeToString()
    with pytest.raises(ModelError) as caught:
        load_onnx(data, "bad")
    return str(caught.value)


def floats(shape: tuple[int, ...], opset: int = 13) -> tuple[ModelBuilder, str]:
    model = ModelBuilder(opset)
    return model, model.input("x", np.zeros(shape, F))


def changed(change) -> str:
    """The fault of a small quantized convolution after `change(proto)`."""
    model = ModelBuilder(13)
    x = model.quantized_input("x", np.zeros((1, 2, 5, 5), np.uint8), GRID)
    w = model.quantized_constant(np.ones((3, 2, 3, 3), np.int8), Grid(F(0.1), 0, np.dtype(np.int8)))
    model.quantized_output(model.node("Conv", [x, w]), Grid(F(0.2), 9, UINT8))
    proto = model.model()
    change(proto)
    return faults(proto)


def constant(proto, name, array) -> None:
    target = next(t for t in proto.graph.initializer if t.name == name)
    target.CopyFrom(numpy_helper.from_array(np.asarray(array), name))


@pytest.mark.parametrize(
    "content", [b"", b"\x00", b"not a model", b"\x08\x07", bytes(100), BUNDLED[:1000], BUNDLED[:-9]]
)
def test_other_bytes_are_refused(content):
    assert "truncated, damaged, or neither TFLite nor ONNX" in faults(content) or "defined" in faults(content)


def test_every_fault_is_in_one_error():
    model, x = floats((1, 2, 4, 4))
    looped = model.node("NonMaxSuppression", [x])
    model.node("LSTM", [looped])
    wide = model.node("Conv", [x, model.constant(np.zeros((3, 5, 3, 3), F))])
    pooled = model.node("MaxPool", [wide], kernel_shape=[2, 2])
    bad = model.node("Reshape", [x, model.constant(np.array([7, -1]))])
    for name, value in (("a", looped), ("b", pooled), ("c", bad)):
        model.output(model.node("Relu", [value], outputs=[name]), F)
    with pytest.raises(UnsupportedModelError) as caught:
        load_onnx(model.serialize(), "bad")
    found = {(f.where, f.value) for f in caught.value.faults}
    assert ("node 'NonMaxSuppression_0' (NonMaxSuppression)", "NonMaxSuppression") in found
    assert any(where == "node 'Conv_2' (Conv)" for where, _ in found)
    assert any(where == "node 'Reshape_4' (Reshape)" and "[7, -1]" in value for where, value in found)
    assert not any("Relu" in where or "MaxPool" in where for where, _ in found)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("c0", F(np.nan), "a scale is positive and finite"),
        ("c0", F(np.inf), "a scale is positive and finite"),
        ("c0", F(0), "a scale is positive and finite"),
        ("c0", np.float64(0.1), "a scale is float32"),
        ("c1", np.int8(3), "a zero point has the type of the codes"),
        ("c1", np.int64(3), "a zero point is an 8, 16 or 32 bit integer"),
        ("c3", np.ones(2, F), "scales of convolution weights lie on axis 0"),
        ("c3", np.ones(5, F), "one scale per index of axis"),
        ("c2", np.ones((3, 4, 3, 3), np.int8), "weights take the operand's 2 channels"),
        ("c2", np.ones((3, 2, 9, 9), np.int8), "a window fits into the padded image"),
        ("c2", np.ones((3, 2, 3), np.int8), "Weights have 4 axes"),
    ],
)
def test_values_out_of_range(name, value, rule):
    message = changed(lambda proto: constant(proto, name, value))
    assert rule in message
    assert "node '" in message


def test_missing_initializer():
    assert "a value is an input, a constant, or made by a node" in changed(lambda p: p.graph.initializer.pop(2))


def test_value_defined_twice():
    assert "defined twice" in changed(lambda p: p.graph.node.add().CopyFrom(p.graph.node[0]))


def test_cycle():
    def tie(proto):
        proto.graph.node[0].input[0] = "y"

    assert "a graph has no cycles" in changed(tie)


@pytest.mark.parametrize("dimension", [1 << 40, (1 << 63) - 1])
def test_huge_input(dimension):
    def grow(proto):
        proto.graph.input[0].type.tensor_type.shape.dim[2].dim_value = dimension

    assert "fits memory" in changed(grow)


def test_unknown_size():
    def forget(proto):
        proto.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"

    assert "every axis but the first has a fixed length" in changed(forget)


def test_huge_constant_is_not_computed():
    model, x = floats((1, 4))
    big = model.node("ConstantOfShape", [model.constant(np.array([1 << 20, 1 << 20]))])
    model.output(model.node("MatMul", [x, big], outputs=["y"]), F)
    assert "a computed constant has at most" in faults(model)


def test_unquantized_middle_names_the_cure():
    model = ModelBuilder(13)
    x = model.quantized_input("x", np.zeros((1, 2, 4, 4), np.uint8), GRID)
    model.quantized_output(model.node("Sigmoid", [model.node("Tanh", [x])]), GRID)
    message = faults(model)
    assert "node 'Tanh_1' (Tanh)" in message
    assert "put QuantizeLinear and DequantizeLinear behind this node" in message


def interpolated(model: ModelBuilder, x: str) -> str:
    """Grids do not pass through an interpolation, from neither side."""
    scales = model.constant(np.array([1, 1, 2, 2], F))
    return model.node("Resize", [model.node("Tanh", [x]), "", scales], mode="linear")


def padded(model: ModelBuilder, x: str) -> str:
    """The filling lies between two codes."""
    pads = model.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1]))
    return model.node("Sigmoid", [model.node("Pad", [x, pads, model.constant(F(0.37))])])


def clipped(model: ModelBuilder, x: str) -> str:
    """The bound that is fused lies between two codes."""
    pooled = model.node("MaxPool", [x], kernel_shape=[2, 2])
    return model.node("Sigmoid", [model.node("Clip", [pooled, model.constant(F(0)), model.constant(F(0.37))])])


@pytest.mark.parametrize("part", [interpolated, padded, clipped], ids=lambda p: p.__name__)
def test_a_grid_is_handed_on_only_where_values_lie_on_it(part):
    model = ModelBuilder(13)
    x = model.quantized_input("x", np.zeros((1, 2, 4, 4), np.uint8), GRID)
    model.quantized_output(part(model, x), GRID)
    assert "a result inside an integer network is quantized before it is used" in faults(model)


def test_floats_that_are_pooled_before_they_are_quantized_are_no_codes():
    """The pooled values may be quantized in two places, but their mean is one of floats."""
    model, x = floats((1, 2, 8, 8))
    pooled = model.node("MaxPool", [model.node("MaxPool", [x], kernel_shape=[2, 2])], kernel_shape=[2, 2])
    mean = model.node("ReduceMean", [pooled], axes=[2, 3])
    values = [model.dequantize(model.quantize(v, GRID), GRID.scale, GRID.zero) for v in (pooled, mean)]
    model.quantized_output(model.node("Mul", values), GRID)
    assert "a quantized value is read through DequantizeLinear only" in faults(model)


@pytest.mark.parametrize(
    ("indices", "rule"),
    [
        ([0, 1, 3], "indices lie one step apart"),
        ([1, 1], "indices lie one step apart"),
        (5, "indices lie inside the axis"),
        ([[0, 1]], "is a short vector of integers"),
    ],
)
def test_indices_that_are_no_slice_are_refused(indices, rule):
    model = ModelBuilder(13)
    x = model.quantized_input("x", np.zeros((1, 2, 5, 3), np.uint8), GRID)
    model.quantized_output(model.node("Gather", [x, model.constant(np.array(indices))], axis=2), GRID)
    assert rule in faults(model)


@pytest.mark.parametrize("axes", [[0], [1, 2], [0, 1, 2, 3]])
def test_maxima_over_axes_that_are_no_neighbours_are_refused(axes):
    """Stored are batch, height, width, channels."""
    model = ModelBuilder(13)
    x = model.quantized_input("x", np.zeros((1, 2, 5, 3), np.uint8), GRID)
    model.quantized_output(model.node("ReduceMax", [x], axes=axes), GRID)
    if axes == [1, 2]:
        assert "maxima are over neighbouring axes" in faults(model)
    else:
        load_onnx(model.serialize(), "good")


@pytest.mark.parametrize("count", [1, 2])
def test_a_transpose_between_grids_is_refused_where_another_one_may_cancel_it(count):
    """Of four such networks ONNX Runtime made one grid of two in all; with one Transpose it never did."""
    model = ModelBuilder(13)
    value, grids = model.quantized_input("x", np.zeros((1, 2, 4, 6), np.uint8), GRID), [Grid(F(0.06), 4, UINT8), GRID]
    for grid in grids[:count]:
        turned = model.node("Transpose", [value], perm=[0, 1, 3, 2])
        value = model.dequantize(model.quantize(turned, grid), grid.scale, grid.zero)
    model.quantized_output(model.node("GlobalAveragePool", [value]), GRID)
    if count == 1:
        load_onnx(model.serialize(), "good")
    else:
        text = faults(model)
        assert "(Transpose): scale 0.0500000007 zero point 3 to scale 0.0599999987 zero point 4" in text
        assert "quantize its result on its operand's grid" in text


def sliced(model, x, first, grid):
    values = model.node("Slice", [x, *(model.constant(np.array([v])) for v in (first, 8, 2, 2))])
    return model.dequantize(model.quantize(values, grid), grid.scale, grid.zero)


def test_an_input_whose_parts_are_quantized_on_different_grids_is_a_float():
    """As the slices of a Focus layer are, where each is calibrated alone."""
    for other in (GRID, Grid(F(0.06), 4, UINT8)):
        model, x = floats((1, 2, 8, 8))
        parts = [sliced(model, x, first, grid) for first, grid in ((0, GRID), (1, other))]
        model.quantized_output(model.node("Concat", parts, axis=1), GRID)
        if other == GRID:
            load_onnx(model.serialize(), "good")
        else:
            assert "input 'x': float: an input of an integer network is quantized" in faults(model)


def convolved(model):
    x = model.quantized_input("x", np.zeros((1, 2, 5, 5), np.uint8), GRID)
    w = model.quantized_constant(np.ones((3, 2, 1, 1), np.int8), Grid(F(0.1), 0, np.dtype(np.int8)))
    return model.node("Conv", [x, w])


def test_a_result_that_is_rounded_behind_one_reader_alone_is_a_float():
    """MaxPool's values may be rounded before it; Sigmoid's operand is the convolution itself."""
    model = ModelBuilder(13)
    result = convolved(model)
    pooled = model.node("MaxPool", [result], kernel_shape=[1, 1])
    sigmoid = model.node("Sigmoid", [result])
    values = [model.dequantize(model.quantize(v, GRID), GRID.scale, GRID.zero) for v in (pooled, sigmoid)]
    model.quantized_output(model.node("Mul", values), GRID)
    assert "(Conv): t2_0: a result inside an integer network is quantized before it is used" in faults(model)


@pytest.mark.parametrize("pooled", [False, True])
def test_an_output_of_floats_that_are_quantized_elsewhere_is_refused(pooled):
    model = ModelBuilder(13)
    result = model.output(convolved(model), F)
    model.quantized_output(model.node("MaxPool", [result], kernel_shape=[1, 1]) if pooled else result, GRID)
    rule = "is quantized before it is used" if pooled else "a quantized value is read through DequantizeLinear only"
    assert rule in faults(model)


def test_a_filling_on_the_grid_is_handed_on():
    model = ModelBuilder(13)
    x = model.quantized_input("x", np.zeros((1, 2, 4, 4), np.uint8), GRID)
    pads = model.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1]))
    filling = model.constant(F(GRID.scale * F(7)))
    model.quantized_output(model.node("Sigmoid", [model.node("Pad", [x, pads, filling])]), GRID)
    assert load_onnx(model.serialize(), "good").outputs == ("y",)


def test_quantization_at_run_time_names_the_cure():
    model, x = floats((1, 4))
    codes, _, _ = model.node("DynamicQuantizeLinear", [x], outputs=3)
    model.output(codes, UINT8)
    assert "quantize statically" in faults(model)


def test_a_value_on_two_grids():
    model = ModelBuilder(13)
    x = model.quantized_input("x", np.zeros((1, 2, 4, 4), np.uint8), GRID)
    y = model.node("Tanh", [x])
    model.quantized_output(y, GRID, "a")
    model.quantized_output(y, Grid(F(0.1), 3, UINT8), "b")
    assert "a value is written and read on one grid" in faults(model)


def test_external_data_stays_in_the_directory(tmp_path):
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../secret")
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y])
    graph.initializer.append(tensor)
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]).SerializeToString()
    (tmp_path.parent / "secret").write_bytes(bytes(64))
    with pytest.raises(ModelError, match="inside the model's directory"):
        load_onnx(data, "bad", tmp_path)
    with pytest.raises(ModelError, match="given as bytes"):
        load_onnx(data, "bad")
    assert [o.operator for o in list_onnx(data)] == ["MatMul"]


@pytest.mark.parametrize("version", [1, 6, 24, 1 << 40])
def test_operator_set_out_of_range(version):
    def age(proto):
        proto.opset_import[0].version = version

    assert "the operator set is one of versions 7 to 23" in changed(age)


# --- damaged bytes: an error of ours or a graph, in bounded time and memory -------------------------------------------

Damage = st.tuples(
    st.floats(0, 1, exclude_max=True), st.integers(0, 255), st.sampled_from(["set", "cut", "drop", "flip"])
)


def damaged(content: bytes, damages) -> bytes:
    for place, value, kind in damages:
        at = int(place * len(content))
        if kind == "cut":
            content = content[:at]
        elif kind == "drop":
            content = content[:at] + content[at + 1 + value % 16 :]
        else:
            byte = value if kind == "set" else content[at] ^ (1 << value % 8)
            content = content[:at] + bytes([byte]) + content[at + 1 :]
        if not content:
            break
    return content


def attempt(content: bytes) -> None:
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for read in (lambda: load_onnx(content, "damaged"), lambda: list_onnx(content)):
        with contextlib.suppress(AccelSimError):
            read()
    assert time.monotonic() - began < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2 << 20  # kilobytes


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(Damage, min_size=1, max_size=4))
def test_damaged_network_never_escapes(damages):
    attempt(damaged(BUNDLED, damages))


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(OPERATORS), st.integers(0, 1 << 20), st.lists(Damage, min_size=1, max_size=3))
def test_damaged_operator_never_escapes(operator, seed, damages):
    attempt(damaged(case(operator, np.random.default_rng(seed)).model, damages))


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(damages=st.lists(Damage, min_size=1, max_size=3))
@pytest.mark.parametrize("name", ["cifar_resnet20_qop_s8s8_perchannel", "cifar_resnet20_qdq_u8s8_pertensor"])
def test_damaged_real_network_never_escapes(data, name, damages):
    attempt(damaged((data / f"onnx/{name}.onnx").read_bytes(), damages))
