"""What LiteRT's reference kernels and ONNX Runtime make of a probe's accumulators."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from oracles.tflite_builder import ModelBuilder, options
from oracles.tflite_reference import run_reference


def litert_convolution(probe):
    """CONV_2D, 1x1: int8 codes, one per channel."""
    return _litert(probe, "CONV_2D", options("Conv2D", padding=1, strideH=1, strideW=1), (1, 1))


def litert_fully_connected(probe):
    """FULLY_CONNECTED of one element."""
    return _litert(probe, "FULLY_CONNECTED", options("FullyConnected"), ())


def _litert(probe, operator, fields, spatial):
    channels = len(probe.bias)
    model = ModelBuilder()
    x = model.tensor((1, *spatial, 1), "int8", probe.input_scale, -128, name="x")
    shape = (channels, *spatial, 1)
    w = model.tensor(shape, "int8", probe.weight_scale, 0, data=probe.weights.reshape(shape), axis=0)
    bias_scale = probe.weight_scale * probe.input_scale
    b = model.tensor((channels,), "int32", bias_scale, 0, data=probe.bias)
    y = model.tensor((1, *spatial, channels), "int8", probe.output_scale, probe.output_zero_point, name="y")
    model.op(operator, [x, w, b], [y], fields, version=3)
    code = np.full((1, *spatial, 1), 127, np.int8)
    return run_reference(model.build([x], [y]), {"x": code})[0].ravel()


def onnxruntime_convolution(probe):
    """QLinearConv, 1x1: int8 codes, one per channel."""
    channels = len(probe.bias)
    constants = {
        "xs": probe.input_scale,
        "xz": np.int8(-128),
        "w": probe.weights.reshape(channels, 1, 1, 1),
        "ws": np.broadcast_to(probe.weight_scale, channels).copy(),
        "wz": np.zeros(channels, np.int8),
        "ys": probe.output_scale,
        "yz": np.int8(probe.output_zero_point),
        "b": probe.bias,
    }
    node = helper.make_node("QLinearConv", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"], ["y"])
    graph = helper.make_graph(
        [node],
        "probe",
        [helper.make_tensor_value_info("x", TensorProto.INT8, [1, 1, 1, 1])],
        [helper.make_tensor_value_info("y", TensorProto.INT8, [1, channels, 1, 1])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.full((1, 1, 1, 1), 127, np.int8)})[0].ravel()
