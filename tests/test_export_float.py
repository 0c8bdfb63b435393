"""Float networks as ONNX files: the same function in ONNX Runtime, the same graph read back, names of the original."""

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from float_graphs import FloatGraph
from ptq_networks import data as pictures
from ptq_networks import inverted_residual
from quantizable_graphs import CASES, calibration_for
from runtime_sessions import assert_runtime_agrees, initializers, samples
from runtime_sessions import run as run_session

from accel_sim import api
from accel_sim.errors import InputError, UnsupportedModelError
from accel_sim.frontend import load
from accel_sim.frontend.encodings import VERSIONS, parse_encodings
from accel_sim.frontend.export import write_float_onnx
from accel_sim.ir import RELU, Clip, Conv2D, FullyConnected, Graph, Minimum, Operator
from accel_sim.quantization import Quantized, get_recipe, quantize, quantize_with_report
from accel_sim.reference import evaluate_float
from accel_sim.transforms import run_passes


def session(content: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", CASES)
def test_the_runtime_computes_the_function_and_reading_gives_it_back(name: str) -> None:
    graph = CASES[name]()
    content = write_float_onnx(run_passes(graph))
    runtime, again = session(content), load(content)
    assert (again.inputs, again.outputs) == (graph.inputs, graph.outputs)
    for sample in samples(graph, 2, seed=3):
        stored = {n: graph.tensors[n].from_file_layout(a) for n, a in sample.items()}
        expected, got = evaluate_float(graph, stored), run_session(runtime, sample)
        read = evaluate_float(again, {n: again.tensors[n].from_file_layout(a) for n, a in sample.items()})
        for output in graph.outputs:
            wanted = graph.tensors[output].to_file_layout(expected[output])
            np.testing.assert_allclose(got[output], wanted, rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(again.tensors[output].to_file_layout(read[output]), wanted, rtol=1e-4, atol=1e-4)


def test_a_cap_per_channel_survives() -> None:
    graph = run_passes(CASES["conv_caps"]())
    again = run_passes(load(write_float_onnx(graph)))
    assert [n.op for n in again.nodes] == [n.op for n in graph.nodes]
    assert isinstance(again.nodes[0].op, Conv2D)
    assert again.nodes[0].op.activation.high == (0.5, 1.0, 2.0, 9.0)


def test_constants_have_the_names_of_the_file_they_came_from() -> None:
    g = FloatGraph()
    x = g.input("x", (1, 6, 8, 4))
    y = g.op(Conv2D(), x, g.normal(5, 3, 3, 4), shape=(1, 4, 6, 5))
    graph = g.graph(g.op(Clip(RELU), g.batchnorm(y), shape=(1, 4, 6, 5), name="y"))
    folded = run_passes(graph)
    assert "normal0.folded" in folded.tensors
    assert "normal0" in initializers(write_float_onnx(folded))


def test_an_integer_graph_and_an_unknown_form_are_refused() -> None:
    graph = CASES["conv"]()
    with pytest.raises(UnsupportedModelError, match="every tensor is a float one"):
        write_float_onnx(quantize(graph, calibration_for(graph)))
    with pytest.raises(InputError, match="one of qdq, qoperator, float"):
        api.write_onnx(graph, form="tflite")


def test_the_file_is_ordinary() -> None:
    content = write_float_onnx(run_passes(CASES["network"]()))
    operators = {n.op_type for n in onnx.load_from_string(content).graph.node}
    assert not {"QuantizeLinear", "DequantizeLinear", "Identity"} & operators


# --- with encodings ----------------------------------------------------------------------------------------------


def again_on_encodings(quantized: Quantized, version: str) -> Graph:
    content = api.write_onnx(quantized.adjusted, form="float")
    text = api.write_encodings(quantized.graph, version)[0]
    return api.apply_encodings(content, parse_encodings(text)).graph


def rounded(op: Operator) -> Operator:
    """With caps as files hold them, however they hold the weights."""
    if isinstance(op, FullyConnected):
        op = replace(op, by_rows=False)
    caps = getattr(getattr(op, "activation", None), "high", 0.0)
    if not isinstance(caps, tuple):
        return op
    return replace(op, activation=replace(op.activation, high=tuple(map(float, np.float32(caps)))))


def assert_same_codes(first: Graph, second: Graph, inputs: np.ndarray) -> None:
    for a, b in zip(first.nodes, second.nodes, strict=True):
        assert rounded(a.op) == rounded(b.op)
        for one, other in zip(first.inputs_of(a), second.inputs_of(b), strict=True):
            assert (one is None) == (other is None)
            if one is not None and other is not None:
                assert one.quant == other.quant
                if one.is_constant:
                    np.testing.assert_array_equal(one.constant, other.constant)
    runs = [api.run(api.compile(g), inputs, "functional", threads=1).outputs for g in (first, second)]
    for name in first.outputs:
        np.testing.assert_array_equal(runs[0][name], runs[1][name])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("recipe", "overrides"),
    [
        ("fast", ("weights.per_channel=false",)),
        ("fast", ("weights.per_channel=false", "weights.bits=4", "equalization.absorb=data")),
        ("standard", ("weights.bits=4", "rounding.iterations=30")),
        ("minmax", ("weights.symmetric=false", "activations.tie=concat_and_add")),
    ],
)
def test_the_adjusted_network_on_its_encodings_is_the_integer_network(
    recipe: str, overrides: tuple[str, ...], version: str
) -> None:
    quantized = quantize_with_report(inverted_residual(), pictures(16), get_recipe(recipe, overrides))
    assert_same_codes(quantized.graph, again_on_encodings(quantized, version), pictures(4, seed=5))


def test_a_minimum_of_two_activations_or_in_front_of_another_reader_stays() -> None:
    g = FloatGraph()
    x = g.input("x", (1, 4))
    y = g.op(FullyConnected(RELU), x, g.normal(4, 4), shape=(1, 4), name="y")
    graph = g.graph(g.op(Minimum(), y, g.normal(4), shape=(1, 4), name="z"), y)
    assert [type(n.op) for n in run_passes(graph).nodes] == [FullyConnected, Minimum]
    content = write_float_onnx(run_passes(graph))
    quantized = quantize(graph, calibration_for(graph))
    assert_runtime_agrees(quantized, api.write_onnx(quantized), samples(graph, 2, seed=1))
    assert load(content).outputs == graph.outputs
