"""Whole networks on a 16 x 16 grid: the stepped level against the others."""

import numpy as np
import pytest

import accel_sim

SMALL = ("tflite/kws_ref_model.tflite",)
NETWORKS = (
    *SMALL,
    "tflite/ad01_int8.tflite",
    "tflite/mobilenet_v1_0.25_128_quant.tflite",
    "tflite/pretrainedResnet_quant.tflite",
    "tflite/vww_96_int8.tflite",
    "onnx/cifar_resnet20_qdq_u8s8_pertensor.onnx",
    "onnx/cifar_resnet20_qop_s8s8_perchannel.onnx",
    "onnx/squeezenet1.1_qop_u8u8_pertensor.onnx",
)


def agree(path, dataflow):
    graph = accel_sim.load(path)
    program = accel_sim.compile(graph, accel_sim.load_hardware("edge-16x16", [f"grid.dataflow={dataflow}"]))
    rng = np.random.default_rng(0)
    inputs = {
        port.name: rng.integers(port.quant.low, port.quant.high + 1, shape).astype(port.operand.dtype)
        for port in program.inputs
        for shape in [tuple(port.operand.shape[port.file_axes.index(a)] for a in range(len(port.operand.shape)))
                      if port.file_axes else port.operand.shape]
    }  # fmt: skip
    functional, cycle, stepped = (accel_sim.run(program, inputs, level) for level in accel_sim.Level)
    for name, codes in functional.outputs.items():
        np.testing.assert_array_equal(cycle.outputs[name], codes)
        np.testing.assert_array_equal(stepped.outputs[name], codes)
    assert stepped.layers == cycle.layers


@pytest.mark.parametrize("name", SMALL)
def test_a_small_network(data, name):
    agree(data / name, "weight_stationary")


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dataflow", ["adder_tree", "weight_stationary", "output_stationary", "input_stationary"])
def test_every_network(data, name, dataflow):
    agree(data / name, dataflow)
