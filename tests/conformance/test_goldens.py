"""Golden vectors that other projects publish: CMSIS-NN's DS-CNN and Deeploy's integer keyword spotter."""

import numpy as np
from conformance import cmsis
from conformance.harness import differences, run_levels

import accel_sim


def test_cmsis_ds_cnn_gives_the_reference_probabilities(data):
    folder = data / "goldens/cmsis_ds_cnn_s"
    graph = cmsis.ds_cnn(folder)
    published = cmsis.arrays(folder)
    program = accel_sim.compile(graph, profile="tflite")
    result = run_levels(graph, program, {"input": published["input"].reshape(1, 49, 10, 1)})
    assert not differences({"softmax_out": published["output_ref"].reshape(1, 12)}, result.outputs)


def test_deeploy_keyword_spotting_gives_every_activation(data):
    folder = data / "goldens/deeploy_KeywordSpotting"
    graph = accel_sim.load(folder / "network.onnx")
    program = accel_sim.compile(graph)
    inputs, outputs, activations = (np.load(folder / f"{n}.npz") for n in ("inputs", "outputs", "activations"))
    kept = [name for node in graph.nodes for name in node.outputs]
    result = run_levels(graph, program, {graph.inputs[0]: inputs["input_0"].astype(np.uint8)}, keep=kept)
    assert_equal_values(result.outputs[graph.outputs[0]], outputs["output_0"])
    inside = [graph.tensors[n].to_file_layout(result.tensors[n]) for n in kept if n in result.tensors]
    for name, values in activations.items():
        assert any(np.array_equal(made.reshape(-1), values.reshape(-1)) for made in inside), f"no tensor equals {name}"


def assert_equal_values(codes, values):
    np.testing.assert_array_equal(codes.astype(np.int64), values)
