"""AveragePool of 16-bit codes, whose order of float32 additions ONNX Runtime chooses by shape and by version."""

import itertools

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import accel_sim

_WINDOWS = (  # kernel, height, width
    ((2, 2), 8, 6),
    ((4, 2), 9, 20),
    ((2, 4), 4, 2100),  # wider than the buffer in which columns are added up
    ((8, 8), 8, 8),  # the others are as large as the image
    ((1, 8), 1, 8),
    ((8, 1), 8, 1),
)
_PADS = (((0, 0, 0, 0), 0), ((1, 1, 1, 1), 0), ((1, 1, 1, 1), 1))


def model(opset: int, operator: str, shape: tuple[int, ...], scale: float, **attributes: object) -> bytes:
    """Codes, averaged on one grid; before operator set 21 with ONNX Runtime's own QuantizeLinear."""
    domain = {} if opset >= 21 else {"domain": "com.microsoft"}
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "scale", "zero"], ["real"], **domain),
        helper.make_node(operator, ["real"], ["average"], **attributes),
        helper.make_node("QuantizeLinear", ["average", "scale", "zero"], ["y"], **domain),
    ]
    graph = helper.make_graph(
        nodes,
        "averages",
        [helper.make_tensor_value_info("x", TensorProto.INT16, shape)],
        [helper.make_tensor_value_info("y", TensorProto.INT16, None)],
        [numpy_helper.from_array(np.float32(scale), "scale"), numpy_helper.from_array(np.int16(0), "zero")],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


def assert_equal(data: bytes, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    codes = rng.integers(-32768, 32768, shape).astype(np.int16)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    (expected,) = onnxruntime.InferenceSession(data, options).run(None, {"x": codes})
    program = accel_sim.compile(accel_sim.load(data), profile="onnxruntime")
    (made,) = accel_sim.run(program, {"x": codes}).outputs.values()
    np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize("opset", [11, 18, 19, 21])
@pytest.mark.parametrize("channels", [1, 5, 16])
def test_averages_of_16_bits(opset, channels):
    rng = np.random.default_rng([opset, channels])
    for (kernel, height, width), strides, (pads, counted) in itertools.product(
        _WINDOWS, ((1, 1), (2, 2), (2, 3)), _PADS
    ):
        if max(pads) >= min(kernel):
            continue
        shape, scale = (1, channels, height, width), rng.uniform(1e-5, 1e-3)
        window = {"kernel_shape": kernel, "strides": strides, "pads": pads, "count_include_pad": counted}
        assert_equal(model(opset, "AveragePool", shape, scale, **window), shape, rng)
    assert_equal(model(opset, "GlobalAveragePool", shape, scale), shape, rng)
