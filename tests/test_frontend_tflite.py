"""What a TFLite file becomes: layouts, padding, grids, names, float ends, folded constants."""

import hashlib

import numpy as np
import pytest
from oracles import tflite_models
from oracles.tflite_models import ModelBuilder, options

from accel_sim import frontend, ir
from accel_sim.ir import ElementType, QuantParams

REAL_FILES = {
    "ad01_int8.tflite": 10,
    "kws_ref_model.tflite": 13,
    "mobilenet_v1_0.25_128_quant.tflite": 31,
    "pretrainedResnet.tflite": 16,
    "pretrainedResnet_quant.tflite": 16,
    "vww_96_int8.tflite": 31,
}


def convolution(operator="CONV_2D", *, x=(1, 5, 6, 2), w=(3, 2, 3, 2), y=(1, 3, 3, 3), kind="int8", axis=0, **fields):
    """One convolution with weights 0, 1, 2, ... and a bias; scales 0.5 and 1/8, 1/16, ... per channel."""
    model = ModelBuilder()
    channels = w[axis]
    scales = 2.0 ** -(3.0 + np.arange(channels))
    weights = np.arange(np.prod(w)).reshape(w) % 8
    a = model.tensor(x, "int8", 0.5, 3, name="x")
    b = model.tensor(w, kind, scales, 0, data=weights, axis=axis, name="w")
    c = model.tensor((channels,), "int32", 0.5 * scales, 0, data=np.arange(channels), name="b")
    d = model.tensor(y, "int8", 0.25, -4, name="y")
    name = "DepthwiseConv2D" if operator.startswith("D") else "Conv2D"
    base = {"strideH": 2, "strideW": 2, "dilationHFactor": 1, "dilationWFactor": 1}
    model.op(operator, [a, b, c], [d], options(name, **(base | fields)))
    return frontend.load(model.build([a], [d])), weights


def test_convolution_has_explicit_padding_and_ohwi_weights():
    graph, weights = convolution(fusedActivationFunction=3)
    (node,) = graph.nodes
    assert node.op == ir.Conv2D((2, 2), padding=ir.Padding2D(0, 1, 0, 1), activation=ir.RELU6)
    assert node.inputs == ("x", "w", "b")
    assert (graph.inputs, graph.outputs, graph.source) == (("x",), ("y",), ir.ModelFormat.TFLITE)
    np.testing.assert_array_equal(graph.tensors["w"].constant, weights)
    assert graph.tensors["w"].quant == QuantParams((1 / 8, 1 / 16, 1 / 32), (0, 0, 0), axis=0)
    assert graph.tensors["b"].quant == QuantParams((1 / 16, 1 / 32, 1 / 64), (0, 0, 0), 32, axis=0)
    assert graph.tensors["x"].quant == QuantParams.per_tensor(0.5, 3)


def test_channels_of_the_weights_give_the_groups():
    graph, _ = convolution(x=(1, 5, 6, 6), w=(9, 2, 3, 2), y=(1, 3, 3, 9))
    assert graph.nodes[0].op.groups == 3


def test_depthwise_weights_become_ohwi_and_remember_the_files_order():
    graph, weights = convolution("DEPTHWISE_CONV_2D", w=(1, 2, 3, 6), y=(1, 3, 3, 6), axis=3, depthMultiplier=3)
    stored = graph.tensors["w"]
    assert graph.nodes[0].op.groups == 2
    assert (stored.shape, stored.quant.axis) == ((6, 2, 3, 1), 0)
    np.testing.assert_array_equal(stored.to_file_layout(stored.constant), weights)


def test_int4_weights_unpack_the_low_nibble_first():
    graph, weights = convolution(kind="int4")
    stored = graph.tensors["w"]
    assert (stored.element, stored.quant.bits, stored.quant.low) == (ElementType.INT8, 4, -8)
    np.testing.assert_array_equal(stored.constant, weights)


@pytest.mark.parametrize(("padding", "size", "top"), [(0, 8, 0), (0, 7, 1), (1, 10, 0)])
def test_transposed_convolution_pads_as_the_output_asks(padding, size, top):
    model = ModelBuilder()
    shape = model.tensor((4,), "int32", data=[1, size, size, 3])
    w = model.tensor((3, 3, 3, 2), "int8", 0.5, 0, data=np.ones((3, 3, 3, 2)))
    x, y = model.tensor((1, 4, 4, 2), "int8", 0.5), model.tensor((1, size, size, 3), "int8", 0.5)
    model.op("TRANSPOSE_CONV", [shape, w, x], [y], options("TransposeConv", padding=padding, strideH=2, strideW=2))
    op = frontend.load(model.build([x], [y])).nodes[0].op
    assert (op.strides, op.padding.top, op.padding.left) == ((2, 2), top, top)


@pytest.mark.parametrize("bias_type", [0, 2])
def test_the_type_of_the_bias_tells_the_width_of_16_bit_accumulators(bias_type):
    model = ModelBuilder()
    x, y = model.tensor((2, 4), "int16", 0.5), model.tensor((2, 3), "int16", 0.5, name="y")
    w = model.tensor((3, 4), "int8", 0.25, 0, data=np.ones((3, 4)))
    model.op("FULLY_CONNECTED", [x, w, -1], [y], options("FullyConnected", quantizedBiasType=bias_type))
    graph = frontend.load(model.build([x], [y]))
    bias = graph.optional(graph.nodes[0], 2)
    if bias_type == 0:
        assert bias is None
    else:
        assert bias.element is ElementType.INT32
        assert bias.constant.tolist() == [0, 0, 0]


def test_a_bias_may_state_any_quantized_dimension():
    model = ModelBuilder()
    x, y = model.tensor((2, 4), "int8", 0.5), model.tensor((2, 3), "int8", 0.5)
    w = model.tensor((3, 4), "int8", 0.25, 0, data=np.ones((3, 4)))
    b = model.tensor((3,), "int32", [0.1, 0.1, 0.1], 0, data=[1, 2, 3], axis=7, name="b")
    model.op("FULLY_CONNECTED", [x, w, b], [y], options("FullyConnected"))
    bias = frontend.load(model.build([x], [y])).tensors["b"]
    assert (bias.constant.tolist(), bias.quant) == ([1, 2, 3], QuantParams.per_tensor(0.125, bits=32))


def float_ends(*, extra_quantize=False, integer_output=False):
    model = ModelBuilder()
    x, y = model.tensor((1, 4), "float32", name="x"), model.tensor((1, 4), "float32", name="y")
    a, b = model.tensor((1, 4), "int8", 0.5, 1, name="a"), model.tensor((1, 4), "int8", 0.25, 2, name="b")
    model.op("QUANTIZE", [x], [a])
    other = a
    if extra_quantize:
        other = model.tensor((1, 4), "int8", 0.5, 1, name="other")
        model.op("QUANTIZE", [x], [other])
    model.op("ADD", [a, other], [b], options("Add"))
    model.op("DEQUANTIZE", [b], [y])
    return frontend.load(model.build([x], [y, b] if integer_output else [y]))


@pytest.mark.parametrize("extra_quantize", [False, True])
def test_float_ends_are_stripped_and_keep_their_names(extra_quantize):
    graph = float_ends(extra_quantize=extra_quantize)
    (node,) = graph.nodes
    assert (node.inputs, node.outputs) == (("x", "x"), ("y",))
    assert graph.tensors["x"].quant == QuantParams.per_tensor(0.5, 1)
    assert graph.tensors["y"].quant == QuantParams.per_tensor(0.25, 2)
    assert graph.is_integer


def test_a_tensor_that_is_an_output_twice_is_copied():
    graph = float_ends(integer_output=True)
    assert graph.outputs == ("y", "b")
    assert [(n.op.name, n.inputs, n.outputs) for n in graph.nodes] == [
        ("Add", ("x", "x"), ("b",)),
        ("Reshape", ("b",), ("y",)),
    ]


@pytest.mark.parametrize("kind", ["float16", "int8"])
def test_dequantized_constants_are_folded(kind):
    model = ModelBuilder()
    x, y = model.tensor((1, 3), "float32"), model.tensor((1, 3), "float32")
    scale = 0.5 if kind == "int8" else None
    stored = model.tensor((3,), kind, scale, 1, data=[1, 2, 3])
    real = model.tensor((3,), "float32", name="c")
    model.op("DEQUANTIZE", [stored], [real])
    model.op("ADD", [x, real], [y], options("Add"))
    graph = frontend.load(model.build([x], [y]))
    assert [n.op.name for n in graph.nodes] == ["Add"]
    assert graph.tensors["c"].constant.tolist() == ([0, 0.5, 1] if kind == "int8" else [1, 2, 3])


def test_arithmetic_on_shapes_is_folded():
    model = ModelBuilder()
    x, y = model.tensor((2, 3, 4), "int8", 0.5), model.tensor((2, 12), "int8", 0.5)
    shape, batch, new = (model.tensor(s, "int32") for s in ((3,), (), (2,)))
    zero, one = (model.tensor((1,), "int32", data=[v]) for v in (0, 1))
    rest = model.tensor((), "int32", data=12)
    model.op("SHAPE", [x], [shape])
    model.op("STRIDED_SLICE", [shape, zero, one, one], [batch], options("StridedSlice", shrinkAxisMask=1))
    model.op("PACK", [batch, rest], [new], options("Pack", valuesCount=2))
    model.op("RESHAPE", [x, new], [y])
    graph = frontend.load(model.build([x], [y]))
    assert [n.op for n in graph.nodes] == [ir.Reshape()]
    assert graph.result(graph.nodes[0]).shape == (2, 12)


def test_a_batch_that_is_open_before_a_run_is_the_stated_one():
    model = ModelBuilder()
    x, y = model.tensor((1, 4), "int8", 0.5, name="x"), model.tensor((1, 4), "int8", 0.5)
    model.op("RELU", [x], [y])

    def open_batch(file):
        for tensor in file.subgraphs[0].tensors:
            tensor.shapeSignature = np.array([-1, 4], np.int32)

    data = model.build([x], [y], open_batch)
    assert frontend.load(data).tensors["x"].shape == (1, 4)
    assert frontend.list_operators(data)[0].inputs == ("x int8[?,4]",)


def test_dropped_axes_and_parts_become_slices():
    model = ModelBuilder()
    x = model.tensor((4, 6), "int8", 0.5, name="x")
    row, parts = model.tensor((3,), "int8", 0.5, name="row"), [model.tensor((1,), "int8", 0.5) for _ in range(3)]
    begin, end, stride = (model.tensor((2,), "int32", data=v) for v in ([-1, 5], [0, -9], [1, -2]))
    axis = model.tensor((), "int32", data=0)
    model.op("STRIDED_SLICE", [x, begin, end, stride], [row], options("StridedSlice", shrinkAxisMask=1))
    model.op("SPLIT", [axis, row], parts, options("Split", numSplits=3))
    graph = frontend.load(model.build([x], parts))
    ops = [n.op for n in graph.nodes]
    assert ops[:2] == [ir.Slice((3, 5), (1, -2)), ir.Reshape()]
    assert ops[2:] == [ir.Slice((i,), (1,)) for i in range(3)]


def test_repeated_and_missing_names_are_made_unique():
    model = ModelBuilder()
    x, y, z = (model.tensor((1, 4), "int8", 0.5, name=n) for n in ("t", "t", "u"))
    model.op("RELU", [x], [y])
    model.op("RELU", [y], [z])
    graph = frontend.load(model.build([x], [z]))
    assert (graph.inputs, graph.nodes[0].outputs, graph.outputs) == (("t",), ("t #1",), ("u",))


@pytest.mark.parametrize("operator", tflite_models.OPERATORS)
def test_every_generated_model_loads_with_the_files_names_and_shapes(operator, models):
    for case in tflite_models.cases(operator, models, seed=101):
        graph = frontend.load(case.model)
        assert graph.inputs == tuple(case.inputs), case.note
        for name, codes in case.inputs.items():
            assert graph.tensors[name].shape == codes.shape, case.note
        expected = [t.shape for t in tflite_models.run_reference(case.model, case.inputs)]
        assert [graph.tensors[name].shape for name in graph.outputs] == expected, case.note


@pytest.mark.parametrize(("file", "operators"), REAL_FILES.items())
def test_real_files_load(data, file, operators):
    path = data / f"tflite/{file}"
    graph = frontend.load(path)
    assert len(graph.nodes) == len(frontend.list_operators(path)) == operators
    assert graph.is_integer == (file != "pretrainedResnet.tflite")
    assert graph.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_table_holds_every_operator_with_its_rules():
    table = {row.operator: row for row in frontend.supported_operators() if row.format == "TFLite"}
    assert set(table) == set(tflite_models.OPERATORS)
    for row in table.values():
        assert all(text.endswith(".") for text in row.constraints)
        assert all(hasattr(ir, name) for name in row.becomes)
