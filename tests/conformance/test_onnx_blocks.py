"""Products of 16-bit codes: those that ONNX Runtime turns into MatMulNBits are refused; all others give its bytes.

What ONNX Runtime makes of a file is read from the graph that it optimized.
"""

import itertools

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import accel_sim
from accel_sim.errors import AccelSimError

_DEPTH, _OUTPUTS, _ROWS = 48, 10, 2
_FORMS = ("MatMul", "Gemm", "Gemm, bias", "Gemm, transB", "stack")
CASES = list(itertools.product(("int16", "uint16", "int8"), ("int8", "uint8"), _FORMS, (False, True), (False, True)))


def model(codes: str, weights: str, form: str, clamped: bool, per_channel: bool) -> bytes:
    """Quantized x times constant weights, quantized again."""
    rng = np.random.default_rng(0)
    transposed, shape = form == "Gemm, transB", (_DEPTH, _OUTPUTS)
    stored = rng.integers(np.iinfo(weights).min, np.iinfo(weights).max + 1, shape[::-1] if transposed else shape)
    stored = stored.astype(weights)[None] if form == "stack" else stored.astype(weights)
    scales = rng.uniform(0.01, 0.02, _OUTPUTS if per_channel and form != "stack" else ()).astype(np.float32)
    constants = {
        "x_scale": np.float32(0.01),
        "y_scale": np.float32(0.05),
        "zero": np.zeros((), codes),
        "w": stored,
        "w_scale": scales,
        "w_zero": np.full(scales.shape, 0 if weights == "int8" else 128, weights),
        "b": rng.integers(-500, 500, _OUTPUTS).astype(np.int32),
        "b_scale": np.float32(0.01) * scales,
    }
    axis = {"axis": 0 if transposed else 1} if scales.shape else {}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "x_scale", "zero"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "x_scale", "zero"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["wd"], **axis),
    ]
    operands = ["xd", "wd"]
    if form == "Gemm, bias":
        along = {"axis": 0} if scales.shape else {}
        nodes.append(helper.make_node("DequantizeLinear", ["b", "b_scale"], ["bd"], **along))
        operands.append("bd")
    extra = {"transB": 1} if transposed else {}
    nodes.append(helper.make_node(form.split(",")[0].replace("stack", "MatMul"), operands, ["sum"], **extra))
    if clamped:
        nodes.append(helper.make_node("Relu", ["sum"], ["clamped"]))
    result = "clamped" if clamped else "sum"
    nodes.append(helper.make_node("QuantizeLinear", [result, "y_scale", "zero"], ["yq"]))
    nodes.append(helper.make_node("DequantizeLinear", ["yq", "y_scale", "zero"], ["y"]))
    shape_in = (1, _ROWS, _DEPTH) if form == "stack" else (_ROWS, _DEPTH)
    shape_out = (*shape_in[:-1], _OUTPUTS)
    graph = helper.make_graph(
        nodes,
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape_in)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape_out)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 21)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_refused_where_onnx_runtime_rounds_blocks(case, tmp_path):
    data = model(*case)
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    session = onnxruntime.InferenceSession(data, options)
    made = {node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node}
    codes, _, form, clamped, _ = case
    if form == "stack" and clamped and codes != "uint16":  # whose zero point here is its lowest code
        with pytest.raises(AccelSimError, match=r"a clamp to \[0, inf\]"):
            accel_sim.load(data)
        return
    graph = accel_sim.load(data)
    if "MatMulNBits" in made:
        with pytest.raises(AccelSimError, match=r"MatMulNBits.*transB = 1.*choose another profile"):
            accel_sim.compile(graph, profile="onnxruntime")
        return
    program = accel_sim.compile(graph, profile="onnxruntime")
    x = np.random.default_rng(1).normal(0, 1, session.get_inputs()[0].shape).astype(np.float32)
    (name,) = graph.outputs
    grid = graph.tensors[name].quant
    assert grid is not None
    made_codes = accel_sim.run(program, {"x": x}).outputs[name].astype(np.int64)
    real = (made_codes - grid.zero_point[0]).astype(np.float32) * np.float32(grid.scale[0])
    np.testing.assert_array_equal(real, session.run(None, {"x": x})[0])
