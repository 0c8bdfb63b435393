"""Real TFLite networks on real inputs: every output byte, and inside, as LiteRT's reference kernels give it."""

import numpy as np
import pytest
from conformance import feeds
from conformance.harness import SEED, differences, lower, run_levels

import accel_sim

pytest.importorskip("ai_edge_litert")

from oracles import tflite_models

FEW = 6  # samples of a quick run; --slow takes all


def random_bytes(shape):
    return np.random.default_rng(SEED).integers(-128, 128, shape).astype(np.int8)


NETWORKS = {
    "kws_ref_model": lambda data: feeds.keywords(data)[0],
    "pretrainedResnet_quant": lambda data: feeds.cifar_int8(data)[0],
    "vww_96_int8": feeds.photos_int8,
    "mobilenet_v1_0.25_128_quant": lambda data: feeds.imagenet_uint8(data, 128)[0],
    "ad01_int8": lambda data: random_bytes((60, 640)),  # its spectrograms are not among the data
}


def reference_outputs(model, name, samples):
    return np.concatenate([tflite_models.run_reference(model, {name: sample[np.newaxis]})[0] for sample in samples])


def check(data, network, count):
    model = (data / f"tflite/{network}.tflite").read_bytes()
    graph, program = lower(model, "litert")
    (name,), samples = graph.inputs, NETWORKS[network](data)[:count]
    result = accel_sim.run(program, {name: samples}, "functional")
    expected = {graph.outputs[0]: reference_outputs(model, name, samples)}
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
    model = (data / f"tflite/{network}.tflite").read_bytes()
    graph, program = lower(model, "litert")
    (name,), sample = graph.inputs, NETWORKS[network](data)[:1]
    _, tensors = tflite_models.run_reference_tensors(model, {name: sample})
    kept = [output for node in graph.nodes for output in node.outputs if output in tensors]
    result = accel_sim.run(program, {name: sample}, "functional", keep=kept)
    assert len(kept) > len(graph.nodes) * 0.8, "tensors of the file are known by their own names"
    made = {n: result.tensors[n].reshape(graph.tensors[n].shape) for n in kept}
    assert not differences({n: tensors[n] for n in kept}, made)


@pytest.mark.parametrize("network", NETWORKS)
def test_levels_and_integer_reference_agree(data, network):
    graph, program = lower((data / f"tflite/{network}.tflite").read_bytes(), "litert")
    run_levels(graph, program, {graph.inputs[0]: NETWORKS[network](data)[:1]}, keep=graph.outputs)


@pytest.mark.parametrize(
    ("network", "feed", "correct"),
    [("kws_ref_model", feeds.keywords, 452), ("pretrainedResnet_quant", feeds.cifar_int8, 142)],
)
def test_accuracy_is_the_published_one(data, network, feed, correct):
    graph, program = lower((data / f"tflite/{network}.tflite").read_bytes(), "litert")
    samples, labels = feed(data)
    result = accel_sim.run(program, {graph.inputs[0]: samples}, "functional")
    scores = result.outputs[graph.outputs[0]].reshape(len(labels), -1)
    assert np.count_nonzero(scores.argmax(1) == labels) == correct
