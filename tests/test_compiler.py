"""From graph to program: what is emitted, what is refused, and that programs survive their text form."""

import dataclasses

import numpy as np
import pytest
from integer_graphs import CASES, Draw, clip_by_channel
from program_interpreter import interpret

from accel_sim import ir
from accel_sim.arithmetic import derive_table
from accel_sim.compiler import compile_graph, default_profile
from accel_sim.errors import CompileError
from accel_sim.hardware import load_hardware, preset_names
from accel_sim.ir import ElementType, Graph, ModelFormat, Node, QuantParams, Tensor
from accel_sim.numerics import ONNXRUNTIME, PAPER, POWER_OF_TWO, TFLITE
from accel_sim.program import Convolve, Lookup, Move, format_program, parse_program, verify

EDGE = load_hardware("edge-16x16")
GRID = QuantParams.per_tensor(0.05, 3)
OTHER = QuantParams.per_tensor(0.02, -7)


def tensor(name, shape=(1, 4, 4, 8), q=GRID, **more):
    return Tensor(name, shape, ElementType.for_grid(q), q, **more)


def graph(*nodes, inputs=("x",), outputs=("y",), tensors=()):
    return Graph("net", nodes, {t.name: t for t in tensors}, inputs, outputs)


def kinds(program):
    return [type(command).__name__ for command in program.commands]


def faults(network, hardware=EDGE, profile=PAPER):
    with pytest.raises(CompileError) as caught:
        compile_graph(network, hardware, profile)
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("source", "profile"), [(ModelFormat.TFLITE, TFLITE), (ModelFormat.ONNX, ONNXRUNTIME), (ModelFormat.BUILT, PAPER)]
)
def test_the_format_chooses_the_profile(source, profile):
    network = CASES["add"](Draw(1))
    network = Graph(network.name, network.nodes, network.tensors, network.inputs, network.outputs, source)
    assert default_profile(network) is profile
    assert compile_graph(network, EDGE).profile == profile.name


@pytest.mark.parametrize("case", CASES)
def test_a_compiled_program_survives_its_text_form(case):
    for seed in range(3):
        program = compile_graph(CASES[case](Draw(seed)), EDGE, PAPER)
        assert parse_program(format_program(program)) == program


@pytest.mark.parametrize("hardware", preset_names())
@pytest.mark.parametrize("name", ["kws_ref_model", "mobilenet_v1_0.25_128_quant"])
def test_real_networks_compile_for_every_preset(data, name, hardware):
    load_tflite = pytest.importorskip("accel_sim.frontend.tflite").load_tflite
    network = load_tflite((data / f"tflite/{name}.tflite").read_bytes(), name)
    program = compile_graph(network, load_hardware(hardware))
    assert {c.layer for c in program.commands} <= {node.name for node in network.nodes}
    assert program.model_sha256 == network.sha256
    assert parse_program(format_program(program)) == program


def test_reshapes_cost_nothing_on_one_grid():
    x, y = tensor("x"), tensor("y", (1, 128))
    program = compile_graph(graph(Node("flat", ir.Reshape(), ("x",), ("y",)), tensors=(x, y)), EDGE)
    assert program.commands == ()
    assert program.inputs[0].operand.address == program.outputs[0].operand.address


def test_a_view_keeps_its_source_alive():
    x, flat, tall, y = tensor("x"), tensor("flat", (1, 128)), tensor("tall", q=OTHER), tensor("y", (2, 128))
    late = tensor("late", (1, 128))
    nodes = (
        Node("flat", ir.Reshape(), ("x",), ("flat",)),
        Node("tall", ir.Requantize(), ("x",), ("tall",)),
        Node("late", ir.Reshape(), ("tall",), ("late",)),
        Node("join", ir.Concat(0), ("flat", "late"), ("y",)),
    )
    program = compile_graph(graph(*nodes, tensors=(x, flat, tall, late, y)), EDGE)
    codes = Draw(5).codes(x.shape, GRID)
    found = interpret(program, {"x": codes})["y"]
    np.testing.assert_array_equal(found[0], codes.reshape(-1))
    table = derive_table(PAPER, ir.Requantize(), GRID, OTHER)[codes.astype(int) + 128]
    back = derive_table(PAPER, ir.Requantize(), OTHER, GRID)[table + 128]
    np.testing.assert_array_equal(found[1], back.reshape(-1))


def test_a_transpose_of_axes_of_length_one_is_a_view():
    x, y = tensor("x", (1, 1, 1, 8)), tensor("y", (1, 8, 1, 1))
    program = compile_graph(graph(Node("t", ir.Transpose((0, 3, 1, 2)), ("x",), ("y",)), tensors=(x, y)), EDGE)
    assert program.commands == ()


def test_an_input_may_be_an_output_and_a_constant_too():
    x = tensor("x")
    constant = tensor("c", (4,), data=np.arange(4, dtype=np.int8))
    program = compile_graph(graph(outputs=("x", "c", "x"), tensors=(x, constant)), EDGE)
    codes = Draw(1).codes(x.shape, GRID)
    found = interpret(program, {"x": codes})
    np.testing.assert_array_equal(found["x"], codes)
    np.testing.assert_array_equal(found["c"], np.arange(4))


def test_fully_connected_is_a_convolution_over_one_row():
    w = Tensor("w", (5, 8), ElementType.INT8, OTHER, np.zeros((5, 8), np.int8))
    x, y = tensor("x", (3, 8)), tensor("y", (3, 5))
    program = compile_graph(graph(Node("fc", ir.FullyConnected(), ("x", "w", ""), ("y",)), tensors=(x, w, y)), EDGE)
    (command,) = program.commands
    assert isinstance(command, Convolve)
    assert (command.input.shape, command.weights.shape) == ((1, 1, 3, 8), (5, 1, 1, 8))
    assert program.as_tensor(command.input).shape == (3, 8)  # what people asked for, in the graph's shape
    assert program.as_tensor(command.output_to).shape == (3, 5)


def test_concat_requantizes_only_what_lies_on_another_grid():
    a, b, y = tensor("x"), tensor("b", q=OTHER), tensor("y", (1, 4, 4, 16))
    node = Node("cat", ir.Concat(3), ("x", "b"), ("y",))
    program = compile_graph(graph(node, inputs=("x", "b"), tensors=(a, b, y)), EDGE)
    assert kinds(program) == ["Move", "Lookup", "Move"]


def test_a_cap_per_channel_takes_a_table_for_each_cap():
    for seed in range(6):
        network = clip_by_channel(Draw(seed))
        program = compile_graph(network, EDGE, PAPER)
        x, y = network.tensors["x0"], network.tensors["y"]
        codes = Draw(seed + 50).codes(x.shape, x.quant)
        found = interpret(program, {"x0": codes})["y"]
        caps = network.nodes[0].op.activation.high
        for channel, cap in enumerate(caps):
            table = derive_table(PAPER, ir.Clip(ir.Activation(0.0, cap)), x.quant, y.quant)
            expected = table[codes[..., channel].astype(int) - x.quant.low]
            np.testing.assert_array_equal(found[..., channel], expected)
        (command,) = program.commands
        assert isinstance(command, Lookup)
        assert command.table.size == 256 * len(set(caps))


def test_a_narrower_grid_of_the_same_scale_is_another_grid():
    narrow = QuantParams.per_tensor(0.05, 3, bits=4)
    x, y = tensor("x"), tensor("y", (1, 128), narrow)
    program = compile_graph(graph(Node("flat", ir.Reshape(), ("x",), ("y",)), tensors=(x, y)), EDGE)
    codes = Draw(1).codes(x.shape, GRID)
    np.testing.assert_array_equal(interpret(program, {"x": codes})["y"][0], codes.reshape(-1).clip(-8, 7))


@pytest.mark.parametrize(
    ("axes", "profile", "expected"),
    [
        ((3,), ONNXRUNTIME, ["Move", "Reduce"]),
        ((1,), ONNXRUNTIME, ["Move", "Reduce", "Move"]),
        ((1, 2), ONNXRUNTIME, ["Reduce"]),
        ((3,), PAPER, ["Reduce"]),
    ],
)
def test_float_sums_follow_the_axes_of_the_file(axes, profile, expected):
    x = tensor("x", (2, 3, 4, 5), file_axes=(0, 2, 3, 1))
    shape = tuple(1 if a in axes else n for a, n in enumerate(x.shape))
    y = tensor("y", shape, OTHER, file_axes=x.file_axes)
    program = compile_graph(graph(Node("mean", ir.Mean(axes), ("x",), ("y",)), tensors=(x, y)), EDGE, profile)
    assert kinds(program) == expected


def test_a_slice_is_one_copy_of_merged_axes():
    x, y = tensor("x", (2, 6, 4, 8)), tensor("y", (2, 3, 4, 8))
    node = Node("s", ir.Slice((0, 2, 0, 0), (1, 1, 1, 1)), ("x",), ("y",))
    (command,) = compile_graph(graph(node, tensors=(x, y)), EDGE).commands
    assert isinstance(command, Move)
    assert (command.extent, command.input_offset) == ((2, 96), 64)
    assert (command.input_strides, command.output_strides) == ((192, 1), (96, 1))


def test_a_float_graph_is_refused_with_the_cure():
    x, y = Tensor("x", (4,), ElementType.FLOAT32), Tensor("y", (4,), ElementType.FLOAT32)
    (fault,) = faults(graph(Node("t", ir.Tanh(), ("x",), ("y",)), tensors=(x, y)))
    assert "float tensors: 'x', 'y'" in fault
    assert "accel-sim quantize" in fault


def test_everything_that_cannot_run_is_in_one_error():
    raw = Tensor("raw", (1, 4, 4, 8), ElementType.INT32)
    computed = tensor("computed", (8,))
    gamma = Tensor("g", (8,), ElementType.FLOAT32, None, np.ones(8, np.float32))
    channels = QuantParams.per_channel([0.1] * 4, axis=1)
    w = Tensor("w", (8, 4, 1, 8), ElementType.INT8, channels, np.zeros((8, 4, 1, 8), np.int8))
    nodes = (
        Node("norm", ir.BatchNorm(), ("x", "g", "g", "g", "g"), ("a",)),
        Node("sum", ir.Add(), ("x", "raw"), ("b",)),
        Node("slopes", ir.PRelu(), ("x", "computed"), ("c",)),
        Node("conv", ir.Conv2D(), ("x", "w", ""), ("y",)),
    )
    tensors = (tensor("x"), raw, computed, gamma, w, *(tensor(n) for n in "abc"), tensor("y", (1, 1, 4, 8)))
    network = graph(*nodes, inputs=("x", "raw", "computed"), tensors=tensors)
    found = faults(network)
    assert len(found) == 4
    expected = (
        ("node 'norm' (BatchNorm)", "batch normalization is folded before"),
        ("node 'sum' (Add): tensor 'raw'", "int32 without scale: has a scale and a zero point"),
        ("node 'slopes' (PRelu): slope 'computed'", "computed: is a constant"),
        ("node 'conv' (Conv2D): weights 'w'", "axis 1: scales per channel lie on the output channels (axis 0)"),
    )
    for fault, (where, rule) in zip(found, expected, strict=True):
        assert fault.startswith(where)
        assert rule in fault


def test_a_profile_that_cannot_express_a_scale_says_so():
    x, y = tensor("x"), tensor("y", q=OTHER)
    (fault,) = faults(graph(Node("r", ir.Requantize(), ("x",), ("y",)), tensors=(x, y)), profile=POWER_OF_TWO)
    assert "node 'r' (Requantize)" in fault
    assert "powers of two" in fault


def test_a_tile_that_fits_no_memory_names_node_and_key():
    wide = QuantParams.per_tensor(0.001, 0, bits=16)
    small = dataclasses.replace(EDGE, memory=dataclasses.replace(EDGE.memory, activation_sram_bytes=32))
    w = Tensor("w", (8, 1, 1, 8), ElementType.INT8, OTHER, np.zeros((8, 1, 1, 8), np.int8))
    deep = Tensor("v", (8, 1, 1, 64), ElementType.INT8, OTHER, np.zeros((8, 1, 1, 64), np.int8))
    x, y = tensor("x", (1, 4, 4, 64), wide), tensor("y", q=wide)
    network = graph(Node("conv", ir.Conv2D(), ("x", "v", ""), ("y",)), tensors=(x, y, w, deep))
    (fault,) = faults(network, small)
    assert "node 'conv' (Conv2D): 16 inputs in a tile" in fault
    assert "memory.activation_sram_bytes" in fault


def test_a_program_is_verified_before_it_leaves():
    for case in ("convolution", "softmax", "pad"):
        verify(compile_graph(CASES[case](Draw(2)), EDGE, PAPER))
