"""Real networks: nothing unexplained, causes add up. A few samples by default, every network with --slow."""

import numpy as np
import pytest

import accel_sim
from accel_sim.analysis.causes.cause import Cause

CHEAP = [("tflite/ad01_int8.tflite", "tflite"), ("tflite/kws_ref_model.tflite", "tflite")]
NETWORKS = [
    "tflite/ad01_int8.tflite",
    "tflite/kws_ref_model.tflite",
    "tflite/pretrainedResnet_quant.tflite",
    "tflite/vww_96_int8.tflite",
    "tflite/mobilenet_v1_0.25_128_quant.tflite",
    "onnx/cifar_resnet20_qop_s8s8_perchannel.onnx",
    "onnx/cifar_resnet20_qdq_u8s8_pertensor.onnx",
    "onnx/squeezenet1.1_qop_u8u8_pertensor.onnx",
]
PROFILES = ["tflite", "litert", "single_round", "onnxruntime", "tosa", "paper"]


def check(report):
    assert report.unexplained == 0
    for layer in report.layers:
        assert sum(c.count for c in layer.causes) == layer.differing, layer.node
        assert sum(c.count for c in layer.own.causes) == layer.own.differing, layer.node


@pytest.mark.parametrize(("network", "profile"), CHEAP)
def test_every_difference_of_a_small_network_has_a_cause(data, network, profile):
    graph = accel_sim.load(data / network)
    report = accel_sim.compare(graph, accel_sim.random_inputs(graph), profile=profile)
    check(report)
    rates = [r for r in (layer.own.double_rounding for layer in report.layers) if r]
    assert rates, "these profiles round twice"
    assert np.mean([r.measured for r in rates]) == pytest.approx(np.mean([r.predicted for r in rates]), rel=1, abs=2e-3)
    assert all(Cause.INHERITED not in item.causes for item in report.own_causes)


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_difference_of_a_network_has_a_cause(data, network, profile):
    graph = accel_sim.load(data / network)
    check(accel_sim.compare(graph, accel_sim.random_inputs(graph), profile=profile))


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_every_difference_between_profiles_has_a_cause(data, network):
    graph = accel_sim.load(data / network)
    report = accel_sim.compare_profiles(
        graph, accel_sim.random_inputs(graph), ["tflite", "onnxruntime", "tosa", "paper"]
    )
    for pair in report.pairs:
        check(pair)
