"""Pairs of QuantizeLinear and DequantizeLinear in a row, on different grids: ONNX Runtime makes one of two."""

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import accel_sim
from accel_sim.ir import Requantize

_SHAPE = (1, 3, 8, 8)
_BETWEEN = {"nothing": None, "Transpose": {"perm": [0, 1, 3, 2]}, "Concat": {"axis": 0}, "Relu": {}}


def model(rng: np.random.Generator, dtype: str, pairs: int, between: str, *, read_twice: bool) -> bytes:
    """x through some pairs, pooled on the last grid; with `read_twice`, another operator reads the first pair."""
    constants, nodes, value = {}, [], "x"
    low = max(int(np.iinfo(dtype).min), -128)
    for i in range(pairs):
        constants[f"s{i}"] = np.float32(rng.uniform(0.01, 0.03))
        constants[f"z{i}"] = np.array(rng.integers(low + 60, low + 200), dtype)
        nodes.append(helper.make_node("QuantizeLinear", [value, f"s{i}", f"z{i}"], [f"q{i}"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"q{i}", f"s{i}", f"z{i}"], [f"d{i}"]))
        value = f"d{i}"
        if between != "nothing" and i + 1 < pairs:
            nodes.append(helper.make_node(between, [value], [f"m{i}"], **_BETWEEN[between]))
            value = f"m{i}"
    last = [f"s{pairs - 1}", f"z{pairs - 1}"]
    nodes.append(helper.make_node("MaxPool", [value], ["pooled"], kernel_shape=[1, 2]))
    outputs = ["pooled"]
    if read_twice:
        nodes.append(helper.make_node("Sigmoid", ["d0"], ["other"]))
        outputs.append("other")
    for name in outputs:
        nodes.append(helper.make_node("QuantizeLinear", [name, *last], [f"{name}.q"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}.q", *last], [f"{name}.y"]))
    graph = helper.make_graph(
        nodes,
        "pairs",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, _SHAPE)],
        [helper.make_tensor_value_info(f"{name}.y", TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opset = 21 if dtype == "int16" else 17
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10).SerializeToString()


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16"])
@pytest.mark.parametrize("between", _BETWEEN)
@pytest.mark.parametrize("read_twice", [False, True])
def test_pairs_in_a_row(dtype, between, read_twice):
    rng = np.random.default_rng([len(dtype), len(between), read_twice])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    for pairs in (2, 2, 2) if between == "Transpose" else (2, 2, 2, 3, 4):  # which ONNX Runtime moves through pairs
        data = model(rng, dtype, pairs, between, read_twice=read_twice)
        graph = accel_sim.load(data)
        program = accel_sim.compile(graph, profile="onnxruntime")
        x = rng.normal(0, 1, _SHAPE).astype(np.float32)
        made, session = accel_sim.run(program, {"x": x}).outputs, onnxruntime.InferenceSession(data, options)
        for name, expected in zip(graph.outputs, session.run(list(graph.outputs), {"x": x}), strict=True):
            grid = graph.tensors[name].quant
            assert grid is not None
            codes = made[name].astype(np.int64) - grid.zero_point[0]
            np.testing.assert_array_equal(codes.astype(np.float32) * np.float32(grid.scale[0]), expected)
        if between == "nothing" and not read_twice:
            assert not any(isinstance(node.op, Requantize) for node in graph.nodes[:-1])
