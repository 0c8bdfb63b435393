"""Real networks, quantized here and written as QDQ files: ONNX Runtime gives every byte that the machine gives."""

import numpy as np
import pytest
from conformance.harness import differences

import accel_sim
from accel_sim.frontend.export import write_qdq_onnx
from accel_sim.quantization import get_recipe, quantize

pytest.importorskip("onnxruntime")

from oracles import onnx_models
from quantize_networks import NETWORKS

PICTURES = 4

RECIPES = {
    "W8A8 per channel": ("fast", ()),
    "W8A8 per tensor": ("fast", ("weights.per_channel=false",)),
    "W8A8 standard": ("standard", ("rounding.iterations=30",)),
    "W4A8 per channel": ("standard", ("weights.bits=4", "rounding.iterations=30")),
    "W4A8 per tensor": ("standard", ("weights.bits=4", "weights.per_channel=false", "rounding.iterations=30")),
    "W8A6 one grid for sums": ("fast", ("activations.bits=6", "activations.tie=concat_and_add")),
}


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_byte_of_every_tensor(data, network, recipe):
    assert (data / "onnx").exists()
    task = NETWORKS[network]()
    name, overrides = RECIPES[recipe]
    graph = quantize(task.graph, task.calibration[:8], get_recipe(name, overrides))
    images = task.images[:PICTURES]
    (source,) = graph.inputs
    written = write_qdq_onnx(graph)
    tensors = [onnx_models.run_ort(written, {source: images[i : i + 1]}, all_tensors=True) for i in range(len(images))]
    kept = [o for node in graph.nodes for o in node.outputs if o in tensors[0] and tensors[0][o].dtype == np.uint8]
    assert len(kept) > 0.8 * len(graph.nodes), "tensors of the file have the graph's names"
    result = accel_sim.run(accel_sim.compile(graph, profile="onnxruntime"), {source: images}, "functional", keep=kept)
    for i, expected in enumerate(tensors):
        made = {n: graph.tensors[n].to_file_layout(result.tensors[n][i : i + 1]) for n in kept}
        assert not differences({n: expected[n] for n in kept}, made), f"picture {i}"
    outputs = onnx_models.run_ort(written, {source: images})
    for name in graph.outputs:
        grid = graph.tensors[name].quant
        codes = np.rint(outputs[name] / np.float64(grid.scale[0])).astype(np.int64) + grid.zero_point[0]
        np.testing.assert_array_equal(codes, result.outputs[name])
