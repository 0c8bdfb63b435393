"""Real ONNX networks on real inputs: every output byte, and inside, as ONNX Runtime gives it, all optimizations on."""

import numpy as np
import pytest
from conformance import feeds
from conformance.harness import differences, lower, run_levels

import accel_sim

pytest.importorskip("onnxruntime")

from oracles import onnx_models

FEW = 6  # samples of a quick run; --slow takes all

NETWORKS = {
    "cifar_resnet20_qop_s8s8_perchannel": feeds.cifar_float,
    "cifar_resnet20_qdq_u8s8_pertensor": feeds.cifar_float,
    "squeezenet1.1_qop_u8u8_pertensor": feeds.imagenet_float,
}


def codes_of(values, quant):
    """Codes of values that a DequantizeLinear made, exactly."""
    codes = np.rint(values.astype(np.float64) / quant.scales[0]).astype(np.int64) + quant.zero_points[0]
    return codes.astype("int8" if quant.signed else "uint8")


def check(data, network, count):
    model = (data / f"onnx/{network}.onnx").read_bytes()
    graph, program = lower(model, "onnxruntime")
    (name,), samples = graph.inputs, NETWORKS[network](data)[0][:count]
    result = accel_sim.run(program, {name: samples}, "functional")
    expected = {
        output: codes_of(values, result.ports[output].quant)
        for output, values in onnx_models.run_ort(model, {name: samples}).items()
    }
    assert not differences(expected, result.outputs)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_output_byte_on_a_few_samples(data, network):
    check(data, network, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_every_output_byte_on_all_samples(data, network):
    check(data, network, None)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_tensor_inside(data, network):
    model = (data / f"onnx/{network}.onnx").read_bytes()
    graph, program = lower(model, "onnxruntime")
    (name,), sample = graph.inputs, NETWORKS[network](data)[0][:1]
    tensors = onnx_models.run_ort(model, {name: sample}, all_tensors=True)
    kept = [o for node in graph.nodes for o in node.outputs if o in tensors and tensors[o].dtype.kind in "iu"]
    result = accel_sim.run(program, {name: sample}, "functional", keep=kept)
    assert len(kept) > len(graph.nodes) * 0.8, "tensors of the file are known by their own names"
    made = {n: graph.tensors[n].to_file_layout(result.tensors[n].reshape(graph.tensors[n].shape)) for n in kept}
    assert not differences({n: tensors[n] for n in kept}, made)


@pytest.mark.parametrize("network", NETWORKS)
def test_levels_and_integer_reference_agree(data, network):
    graph, program = lower((data / f"onnx/{network}.onnx").read_bytes(), "onnxruntime")
    run_levels(graph, program, {graph.inputs[0]: NETWORKS[network](data)[0][:1]}, keep=graph.outputs)


@pytest.mark.parametrize(
    ("network", "correct"),
    [("cifar_resnet20_qop_s8s8_perchannel", 160), ("cifar_resnet20_qdq_u8s8_pertensor", 160)],
)
def test_accuracy_is_the_published_one(data, network, correct):
    graph, program = lower((data / f"onnx/{network}.onnx").read_bytes(), "onnxruntime")
    samples, labels = NETWORKS[network](data)
    result = accel_sim.run(program, {graph.inputs[0]: samples}, "functional")
    assert np.count_nonzero(result.outputs[graph.outputs[0]].argmax(1) == labels) == correct
