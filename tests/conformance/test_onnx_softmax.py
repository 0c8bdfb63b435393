"""Softmax of codes of different types or of 16 bits, which ONNX Runtime computes in float32."""

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import accel_sim

_TYPES = (("int16", "int16"), ("uint16", "uint16"), ("int16", "uint8"), ("uint8", "uint16"), ("uint8", "int8"))
_LENGTHS = (1, 2, 7, 16, 17, 31, 48, 100, 1000)


def model(shape: tuple[int, ...], codes: tuple[str, str], scales: tuple[float, float], zeros: tuple[int, int]) -> bytes:
    """Codes of the first grid -> softmax along axis 1 -> codes of the second."""
    constants = {"x_scale": np.float32(scales[0]), "y_scale": np.float32(scales[1])}
    constants |= {"x_zero": np.array(zeros[0], codes[0]), "y_zero": np.array(zeros[1], codes[1])}
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "x_scale", "x_zero"], ["real"]),
        helper.make_node("Softmax", ["real"], ["shares"], axis=1),
        helper.make_node("QuantizeLinear", ["shares", "y_scale", "y_zero"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "softmax",
        [helper.make_tensor_value_info("x", getattr(TensorProto, codes[0].upper()), shape)],
        [helper.make_tensor_value_info("y", getattr(TensorProto, codes[1].upper()), None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 21)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


@pytest.mark.parametrize("codes", _TYPES, ids="-".join)
@pytest.mark.parametrize("length", _LENGTHS)
def test_every_code_is_onnx_runtimes(codes, length):
    rng = np.random.default_rng([_TYPES.index(codes), length])
    wide, limits = codes[0].endswith("16"), [np.iinfo(c) for c in codes]
    for spread in (1, 8, 40, 200):  # real numbers between the lowest and the highest code
        scale = spread / 2 ** (16 if wide else 8) * rng.uniform(0.5, 1)
        zeros = tuple(int(rng.integers(i.min, i.max, endpoint=True)) for i in limits)
        finest = 1 / (1 << limits[1].bits) * rng.uniform(0.3, 1.2)
        x = rng.integers(limits[0].min, limits[0].max, (3, length), codes[0], endpoint=True)
        data = model(x.shape, codes, (scale, finest), zeros)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        (expected,) = onnxruntime.InferenceSession(data, options).run(None, {"x": x})
        program = accel_sim.compile(accel_sim.load(data), profile="onnxruntime")
        np.testing.assert_array_equal(accel_sim.run(program, {"x": x}).outputs["y"], expected)
