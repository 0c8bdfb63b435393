"""Networks from every recipe as QDQ files: ONNX Runtime, the reference and the machine give the same bytes."""

import numpy as np
import pytest
from ptq_networks import data, inverted_residual
from runtime_sessions import codes, golden, session
from runtime_sessions import run as run_session

import accel_sim
from accel_sim import demo_data
from accel_sim.frontend import load
from accel_sim.frontend.export import write_qdq_onnx
from accel_sim.ir import Graph
from accel_sim.quantization import get_recipe, quantize

RECIPES = [
    ("fast", ()),
    ("fast", ("weights.per_channel=false", "weights.bits=4")),
    ("standard", ("weights.per_channel=false", "weights.bits=4", "rounding.iterations=50")),
    ("fast", ("equalization.when=always", "equalization.absorb=data", "activations.tie=concat_and_add")),
    ("minmax", ("weights.power_of_two=true", "activations.power_of_two=true")),
]


def assert_all_agree(quantized: Graph, inputs: np.ndarray) -> None:
    runtime = session(write_qdq_onnx(quantized))
    name, output = quantized.inputs[0], quantized.outputs[0]
    made = accel_sim.run(accel_sim.compile(quantized, profile="onnxruntime"), inputs, level="functional", threads=1)
    got = run_session(runtime, {name: inputs})
    np.testing.assert_array_equal(codes(quantized.tensors[output], got[output]), made.outputs[output])
    np.testing.assert_array_equal(golden(quantized, {name: inputs[:2]})[output], made.outputs[output][:2])


@pytest.mark.parametrize(("name", "overrides"), RECIPES)
def test_caps_per_channel_and_low_widths(name: str, overrides: tuple[str, ...]) -> None:
    graph = inverted_residual()
    assert_all_agree(quantize(graph, data(16), get_recipe(name, overrides)), data(8, seed=5))


@pytest.mark.parametrize(("name", "overrides"), RECIPES)
def test_the_bundled_network(name: str, overrides: tuple[str, ...]) -> None:
    graph = load(demo_data.network_bytes())
    quantized = quantize(graph, demo_data.calibration()[:32], get_recipe(name, overrides))
    assert_all_agree(quantized, demo_data.heldout()[0][:40])
