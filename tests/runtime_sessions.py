"""ONNX Runtime on written files, and the golden codes beside it."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from quantizable_graphs import calibration_for

from accel_sim.ir import (
    Graph,
    Tensor,
)
from accel_sim.numerics.profiles import ONNXRUNTIME
from accel_sim.quantization import ActivationRecipe, Recipe, WeightRecipe
from accel_sim.reference import evaluate_integer

Arrays = dict[str, np.ndarray]


def session(content: bytes, optimized: Path | None = None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.x64quantprecision", "1")  # exact sums on processors without VNNI
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def run(runtime: onnxruntime.InferenceSession, inputs: Arrays) -> Arrays:
    names = [o.name for o in runtime.get_outputs()]
    return dict(zip(names, runtime.run(names, inputs), strict=True))


def samples(graph: Graph, count: int, seed: int) -> list[Arrays]:
    """Normal inputs in the file's layout, the last one three times as large: it saturates."""
    arrays = calibration_for(graph, count, seed)
    return [
        {n: np.split(a, count)[i] * np.float32(3 if i == count - 1 else 1) for n, a in arrays.items()}
        for i in range(count)
    ]


def golden(graph: Graph, inputs: Arrays) -> Arrays:
    """The outputs' codes in the file's layout, by the reference."""
    stored = {n: graph.tensors[n].from_file_layout(a) for n, a in inputs.items()}
    values = evaluate_integer(graph, stored, ONNXRUNTIME)
    return {n: graph.tensors[n].to_file_layout(values[n]) for n in graph.outputs}


def codes(tensor: Tensor, reals: np.ndarray) -> np.ndarray:
    """Codes behind the final DequantizeLinear."""
    if tensor.quant is None:
        return reals
    return np.rint(reals / tensor.quant.scale[0]).astype(np.int64) + tensor.quant.zero_point[0]


def assert_runtime_agrees(graph: Graph, content: bytes, inputs: list[Arrays]) -> None:
    runtime = session(content)
    for sample in inputs:
        expected, got = golden(graph, sample), run(runtime, sample)
        for name in graph.outputs:
            np.testing.assert_array_equal(codes(graph.tensors[name], got[name]), expected[name], err_msg=name)


RECIPES = {
    "w8a8": Recipe(),
    "w4a8": Recipe(weights=WeightRecipe(4)),
    "a6": Recipe(activations=ActivationRecipe(6)),
    "per_tensor_asymmetric": Recipe(weights=WeightRecipe(per_channel=False, symmetric=False)),
}


def initializers(content: bytes) -> Arrays:
    return {i.name: onnx.numpy_helper.to_array(i) for i in onnx.load_from_string(content).graph.initializer}
