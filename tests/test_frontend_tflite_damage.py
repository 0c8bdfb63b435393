"""Damaged and contradictory TFLite files: one error of ours that lists every fault; never a hang, never much memory."""

import resource
import struct
import sys
import time

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import tflite_models
from oracles.tflite_models import ModelBuilder, options

from accel_sim import frontend, ir
from accel_sim.errors import Fault, ModelError, UnsupportedModelError
from accel_sim.frontend.tflite.reader import read_model

GIB = 1 << 30


def faults(data, kind=ModelError):
    with pytest.raises(ModelError) as caught:
        frontend.load(data)
    assert type(caught.value) is kind
    return caught.value.faults


def two_relus(corrupt=None):
    """x -> RELU -> t -> RELU -> y, on one grid; tensors 0, 1, 2."""
    model = ModelBuilder()
    x, t, y = (model.tensor((1, 4), "int8", 0.5, 3, name=n) for n in "xty")
    model.op("RELU", [x], [t])
    model.op("RELU", [t], [y])
    return model.build([x], [y], corrupt)


def set_scale(*values):
    def corrupt(file):
        file.subgraphs[0].tensors[1].quantization.scale = np.array(values, np.float32)

    return corrupt


def set_zero_point(*values):
    def corrupt(file):
        file.subgraphs[0].tensors[1].quantization.zeroPoint = np.array(values, np.int64)

    return corrupt


def edit(path, value):
    """Set one attribute of the file: `edit("subgraphs.0.outputs", ...)`."""

    def corrupt(file):
        *steps, last = path.split(".")
        for step in steps:
            file = file[int(step)] if step.isdigit() else getattr(file, step)
        setattr(file, last, value)

    return corrupt


def array(*values):
    return np.array(values, np.int32)


CONTRADICTIONS = {
    "version": (edit("version", 2), "the schema version is 3"),
    "no operators": (edit("subgraphs.0.operators", []), "a model has at least one operator"),
    "no outputs": (edit("subgraphs.0.outputs", array()), "a model has at least one output"),
    "input number": (edit("subgraphs.0.inputs", array(-2)), "a tensor's number lies in [0, 3)"),
    "operand number": (edit("subgraphs.0.operators.0.inputs", array(3)), "a tensor's number lies in [-1, 3)"),
    "result number": (edit("subgraphs.0.operators.1.outputs", array(-1)), "a tensor's number lies in [0, 3)"),
    "input twice": (edit("subgraphs.0.inputs", array(0, 0)), "an input is listed once"),
    "cycle": (edit("subgraphs.0.operators.0.inputs", array(2)), "made by an earlier operator"),
    "made twice": (edit("subgraphs.0.operators.1.outputs", array(1)), "a tensor is made once"),
    "never made": (edit("subgraphs.0.inputs", array(2)), "made by an earlier operator"),
    "zero scale": (set_scale(0.0), "a scale is positive and finite"),
    "negative scale": (set_scale(-1.0), "a scale is positive and finite"),
    "infinite scale": (set_scale(np.inf), "a scale is positive and finite"),
    "scale not a number": (set_scale(np.nan), "a scale is positive and finite"),
    "zero point": (set_zero_point(128), "a zero point lies in [-128, 127]"),
    "zero points": (set_zero_point(1, 2), "there are as many as scales (1)"),
    "scales": (set_scale(0.5, 0.5), "one per index of axis 0 (1)"),
    "shape": (edit("subgraphs.0.tensors.1.shape", array(2, 4)), "the shape that the operands give: [1, 4]"),
    "input shape": (edit("subgraphs.0.tensors.0.shape", array(-1, 4)), "an input's shape is known"),
    "empty input": (edit("subgraphs.0.tensors.0.shape", array(0, 4)), "an input's shape is known"),
    "rank": (edit("subgraphs.0.tensors.0.shape", array(*[1] * 9)), "a tensor has at most 8 axes"),
    "size": (edit("subgraphs.0.tensors.0.shape", array(*[1 << 20] * 3)), "a tensor takes at most"),
    "type": (edit("subgraphs.0.tensors.0.type", 8), "an element is float32, int8"),
    "float16 activation": (edit("subgraphs.0.tensors.0.type", 1), "an element is float32, int8"),
    "unknown type": (edit("subgraphs.0.tensors.0.type", 99), "an element is float32, int8"),
    "state": (edit("subgraphs.0.tensors.0.isVariable", True), "a tensor holds no state"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_contradiction_is_named(name):
    corrupt, rule = CONTRADICTIONS[name]
    assert any(rule in fault.rule for fault in faults(two_relus(corrupt)))


def test_several_subgraphs_are_refused():
    def corrupt(file):
        file.subgraphs.append(file.subgraphs[0])

    assert faults(two_relus(corrupt))[0].value == "2 subgraphs"


def test_a_constant_of_the_wrong_size_is_refused():
    model = ModelBuilder()
    x, y = model.tensor((2, 4), "int8", 0.5), model.tensor((2, 3), "int8", 0.5)
    w = model.tensor((3, 4), "int8", 0.25, 0, data=np.ones((3, 3)), name="w")
    model.op("FULLY_CONNECTED", [x, w, -1], [y], options("FullyConnected"))
    (fault,) = faults(model.build([x], [y]))
    assert (fault.where, fault.value) == ("tensor 'w'", "9 bytes for int8[3, 4]")


def test_every_unsupported_operator_is_in_one_message():
    model = ModelBuilder()
    x, a, b, y = (model.tensor((1, 4), "int8", 0.5, 3, name=n) for n in "xaby")
    model.op("RELU", [x], [a])
    model.op("CUSTOM", [a], [b], custom="MyOwn")
    model.op("COS", [b], [y])
    data = model.build([x], [y])
    rule, cure = "this operator is not modelled", "the table of supported operators lists what is"
    assert faults(data, UnsupportedModelError) == (
        Fault("node 'b' (CUSTOM MyOwn)", "CUSTOM MyOwn", rule, cure),
        Fault("node 'y' (COS)", "COS", rule, cure),
    )
    assert [o.operator for o in frontend.list_operators(data)] == ["RELU", "CUSTOM MyOwn", "COS"]


def test_a_float_input_quantized_onto_two_grids_is_refused():
    model = ModelBuilder()
    x = model.tensor((1, 4), "float32", name="x")
    a, b, y = (model.tensor((1, 4), "int8", s, 3, name=n) for n, s in (("a", 0.5), ("b", 0.25), ("y", 1.0)))
    model.op("QUANTIZE", [x], [a])
    model.op("QUANTIZE", [x], [b])
    model.op("ADD", [a, b], [y], options("Add"))
    assert {f.value for f in faults(model.build([x], [y]), UnsupportedModelError)} == {"float32 to int8"}


def shared_scales(tensors, scales):
    """A file in which one vector of scales belongs to many tensors."""
    builder = flatbuffers.Builder(0)
    vector = builder.CreateNumpyVector(np.ones(scales, np.float32))
    schema.QuantizationParametersStart(builder)
    schema.QuantizationParametersAddScale(builder, vector)
    quantization = schema.QuantizationParametersEnd(builder)
    offsets = []
    for _ in range(tensors):
        schema.TensorStart(builder)
        schema.TensorAddQuantization(builder, quantization)
        offsets.append(schema.TensorEnd(builder))
    schema.SubGraphStartTensorsVector(builder, tensors)
    for offset in offsets:
        builder.PrependUOffsetTRelative(offset)
    vector = builder.EndVector()
    schema.SubGraphStart(builder)
    schema.SubGraphAddTensors(builder, vector)
    subgraph = schema.SubGraphEnd(builder)
    schema.ModelStartSubgraphsVector(builder, 1)
    builder.PrependUOffsetTRelative(subgraph)
    subgraphs = builder.EndVector()
    schema.BufferStart(builder)
    buffer = schema.BufferEnd(builder)
    schema.ModelStartBuffersVector(builder, 1)
    builder.PrependUOffsetTRelative(buffer)
    buffers = builder.EndVector()
    schema.ModelStart(builder)
    schema.ModelAddVersion(builder, 3)
    schema.ModelAddSubgraphs(builder, subgraphs)
    schema.ModelAddBuffers(builder, buffers)
    builder.Finish(schema.ModelEnd(builder), b"TFL3")
    return bytes(builder.Output())


def test_vectors_that_are_shared_a_thousand_times_are_refused_quickly():
    """Read in full, this file of 300 kB would take 2 GB."""
    data = shared_scales(tensors=5000, scales=50_000)
    assert len(data) < 400_000
    started = time.process_time()
    (fault,) = faults(data)
    assert "every offset of a flatbuffer lies inside the file" in fault.rule
    assert time.process_time() - started < 5


OTHER_FILES = {
    "empty": b"",
    "PNG": b"\x89PNG\r\n\x1a\n" + bytes(64),
    "ZIP": b"PK\x03\x04" + bytes(64),
    "JSON": b'{"model": 1}',
    "text": b"hello, this is not a model at all",
    "mark alone": b"\0\0\0\0TFL3",
    "mark and noise": b"\x1c\0\0\0TFL3" + bytes(range(256)),
}


@pytest.mark.parametrize("kind", OTHER_FILES)
def test_other_files_are_refused(kind):
    for function in (frontend.load, frontend.list_operators):
        with pytest.raises(ModelError):
            function(OTHER_FILES[kind])


def test_paths_that_are_no_files_are_refused(tmp_path):
    for path in (tmp_path, tmp_path / "missing.tflite", "nul\0byte"):
        with pytest.raises(ModelError, match="a model is a file that can be read"):
            frontend.load(path)


def outcome(data):
    """What loading gives: a graph, or one of our errors; anything else propagates."""
    try:
        return frontend.load(data)
    except ModelError as error:
        return error


@pytest.mark.parametrize("operator", ["CONV_2D", "STRIDED_SLICE"])
def test_every_prefix_and_every_changed_byte_is_read_or_refused(operator):
    (case,) = tflite_models.cases(operator, 1, seed=5)
    for length in range(len(case.model)):
        outcome(case.model[:length])
    for place in range(len(case.model)):
        for change in (0x01, 0xFF):
            outcome(case.model[:place] + bytes([case.model[place] ^ change]) + case.model[place + 1 :])


def structure(data):
    """Places outside the large constants: where damage does the most."""
    free = np.ones(len(data), bool)
    start = np.frombuffer(data, np.uint8).__array_interface__["data"][0]
    for tensor in read_model(data).tensors:
        if tensor.data is not None and tensor.data.size > 64:
            place = tensor.data.__array_interface__["data"][0] - start
            free[place : place + tensor.data.size] = False
    return np.flatnonzero(free)


NUMBERS = (0, 1, 2, 127, 255, 65535, 1 << 20, 1 << 28, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)


@st.composite
def damages(draw):
    """A few changes, each (kind, where in the structure, value)."""
    kinds = st.sampled_from(["bit", "byte", "number", "zeros", "cut"])
    one = st.tuples(kinds, st.floats(0, 1, exclude_max=True), st.integers(0, 255))
    return draw(st.lists(one, min_size=1, max_size=4))


def damaged(data, places, changes):
    result = bytearray(data)
    for kind, where, value in changes:
        place = int(places[int(where * len(places))])
        if kind == "bit":
            result[place % len(result)] ^= 1 << value % 8
        elif kind == "byte":
            result[place % len(result)] = value
        elif kind == "number" and place + 8 < len(result):
            struct.pack_into("<I", result, place & ~3, NUMBERS[value % len(NUMBERS)])
        elif kind == "zeros":
            result[place : place + value % 40] = bytes(len(result[place : place + value % 40]))
        elif kind == "cut" and value < 32:
            del result[max(place, 1) :]
    return bytes(result)


@pytest.mark.parametrize("file", ["kws_ref_model.tflite", "ad01_int8.tflite", "mobilenet_v1_0.25_128_quant.tflite"])
def test_damaged_real_files_are_read_or_refused(data, file):
    content = (data / f"tflite/{file}").read_bytes()
    check(content, examples=100)


@pytest.mark.parametrize("operator", tflite_models.OPERATORS)
def test_damaged_generated_files_are_read_or_refused(operator):
    (case,) = tflite_models.cases(operator, 1, seed=9)
    check(case.model, examples=30)


def check(content, examples):
    places = structure(content)

    @settings(max_examples=examples)
    @given(damages())
    def read_or_refuse(changes):
        started = time.process_time()
        result = outcome(damaged(content, places, changes))
        assert isinstance(result, ir.Graph) or (result.faults and len(str(result)) < 100_000)
        assert time.process_time() - started < 5

    read_or_refuse()
    if sys.platform == "linux":
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < 2 * GIB
