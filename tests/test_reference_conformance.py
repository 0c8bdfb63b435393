"""The integer evaluator alone, without compiler and machine, against LiteRT's reference kernels and ONNX Runtime."""

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")
pytest.importorskip("onnxruntime")

from oracles import onnx_models, tflite_models

from accel_sim.arithmetic import dequantize
from accel_sim.frontend import load
from accel_sim.numerics import LITERT, ONNXRUNTIME
from accel_sim.reference import evaluate_float, evaluate_integer

SEED = 1_806_08342
MODELS = 25  # per operator; the whole path is tested on more of them in conformance/


def evaluated(graph, inputs, profile):
    """The graph's outputs in the file's layout, in the file's order."""
    stored = {name: graph.tensors[name].from_file_layout(np.asarray(inputs[name])) for name in graph.inputs}
    values = evaluate_integer(graph, stored, profile)
    return {name: graph.tensors[name].to_file_layout(values[name]) for name in graph.outputs}


def described(made, expected):
    """What differs, or ""."""
    if made.shape != expected.shape:
        return f"{list(made.shape)}, expected {list(expected.shape)}"
    wrong = int((made != expected).sum())
    return f"{wrong} of {expected.size} codes differ" if wrong else ""


@pytest.mark.parametrize("operator", tflite_models.OPERATORS)
def test_codes_are_those_of_the_tflite_reference_kernels(operator):
    failures = []
    for index, case in enumerate(tflite_models.cases(operator, MODELS, SEED)):
        expected = tflite_models.run_reference(case.model, case.inputs)
        graph = load(case.model)
        for (name, codes), truth in zip(evaluated(graph, case.inputs, LITERT).items(), expected, strict=True):
            made = dequantize(codes, graph.tensors[name].quant) if truth.dtype == np.float32 else codes
            if wrong := described(made, truth):
                failures.append(f"model {index} ({case.note}), {name}: {wrong}")
    assert not failures, "\n".join(failures[:8])


@pytest.mark.parametrize("operator", onnx_models.OPERATORS)
def test_codes_are_those_of_onnx_runtime(operator):
    failures = []
    for index in range(MODELS):
        rng = np.random.default_rng([SEED, onnx_models.OPERATORS.index(operator), index])
        case = onnx_models.case(operator, rng)
        expected = onnx_models.expected(case)
        for name, made in evaluated(load(case.model), case.inputs, ONNXRUNTIME).items():
            if wrong := described(made, expected[name]):
                failures.append(f"model {index} ({case.note}), {name}: {wrong}")
    assert not failures, "\n".join(failures[:8])


@pytest.mark.parametrize(
    "file", ["kws_ref_model.tflite", "mobilenet_v1_0.25_128_quant.tflite", "pretrainedResnet_quant.tflite"]
)
def test_every_tensor_of_a_tflite_network(data, file):
    """Random codes, which reach further into the grids than pictures do."""
    model = (data / "tflite" / file).read_bytes()
    graph, rng = load(model), np.random.default_rng(SEED)
    inputs = {}
    for name in graph.inputs:
        tensor = graph.tensors[name]
        low, high = tensor.quant.low, tensor.quant.high
        inputs[name] = rng.integers(low, high, tensor.shape, endpoint=True).astype(tensor.element.dtype)
    _, expected = tflite_models.run_reference_tensors(model, inputs)
    made = evaluate_integer(graph, inputs, LITERT)
    compared = {
        name: described(codes, expected[name].reshape(codes.shape)) for name, codes in made.items() if name in expected
    }
    assert len(compared) >= len(graph.nodes)
    assert not {name: wrong for name, wrong in compared.items() if wrong}


@pytest.mark.parametrize("file", ["cifar_resnet20_qop_s8s8_perchannel.onnx", "squeezenet1.1_qop_u8u8_pertensor.onnx"])
def test_every_tensor_of_an_onnx_network(data, file):
    model = (data / "onnx" / file).read_bytes()
    graph = load(model)
    (name,) = graph.inputs
    tensor = graph.tensors[name]
    shape = tensor.to_file_layout(np.zeros(tensor.shape)).shape
    x = np.random.default_rng(SEED).normal(size=shape).astype(np.float32)
    expected = onnx_models.run_ort(model, {name: x}, all_tensors=True)
    values = evaluate_integer(graph, {name: tensor.from_file_layout(x)}, ONNXRUNTIME)
    made = {n: graph.tensors[n].to_file_layout(codes) for n, codes in values.items()}
    compared = {
        n: described(
            dequantize(codes, graph.tensors[n].quant) if expected[n].dtype == np.float32 else codes, expected[n]
        )
        for n, codes in made.items()
        if n in expected
    }
    assert len(compared) > 20
    assert not {n: wrong for n, wrong in compared.items() if wrong}


@pytest.mark.parametrize("file", ["cifar_resnet20_bn_fp32.onnx", "mobilenetv2_tfslim_fp32.onnx"])
def test_float_networks(data, file):
    """Float evaluation, batch normalization included, to float32's accuracy."""
    model = (data / "onnx" / file).read_bytes()
    graph = load(model)
    (name,), (output,) = graph.inputs, graph.outputs
    tensor = graph.tensors[name]
    shape = tensor.to_file_layout(np.zeros(tensor.shape)).shape
    x = np.random.default_rng(SEED).normal(size=shape).astype(np.float32)
    expected = onnx_models.run_ort(model, {name: x})[output]
    values = evaluate_float(graph, {name: tensor.from_file_layout(x)})
    made = graph.tensors[output].to_file_layout(values[output])
    np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
