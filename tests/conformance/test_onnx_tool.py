"""Random float networks quantized by ONNX Runtime's own tool: every output byte as ONNX Runtime gives it, or refused.

What the tool leaves in float between integers cannot run on integer hardware; such a file must be refused, not guessed.
"""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

import onnxruntime
from conformance import feeds
from conformance.harness import SEED, run_levels
from oracles import onnx_tool

import accel_sim
from accel_sim.errors import AccelSimError

_MOST_REFUSED, _MOST_REFUSED_WIDE = 0.5, 0.8  # most of 16 bits end in what ONNX Runtime makes a MatMulNBits
_PICTURES = 6
_FRESH = 3  # samples beyond those of the calibration


def compared(index: int, directory: Path, *, wide: bool = False) -> str | None:
    """What differs in network `index`; "" if nothing does, None if it is refused."""
    rng = np.random.default_rng([SEED, index, *[16] * wide])
    network = onnx_tool.float_network(rng)
    data, options = onnx_tool.quantized(network, rng, directory, wide=wide)
    session = onnxruntime.InferenceSession(data, _quiet())
    try:
        graph = accel_sim.load(data)
        program = accel_sim.compile(graph, profile="onnxruntime")
    except AccelSimError:
        return None
    (name,) = graph.outputs
    fresh = [rng.normal(0, 2, network.samples[0].shape).astype(np.float32) for _ in range(_FRESH)]
    for sample in (*network.samples, *fresh):
        expected = session.run(None, {"x": sample})[0]
        made = accel_sim.run(program, {"x": sample}).outputs[name]
        real = made if made.dtype == expected.dtype else _dequantized(graph.tensors[name], made)
        wrong = int(np.count_nonzero(real != expected))
        if wrong:
            return f"{network.note}; {options}: {wrong} of {expected.size}"
    return ""


def _dequantized(tensor: accel_sim.Tensor, codes: np.ndarray) -> np.ndarray:
    assert tensor.quant is not None
    (scale,), (zero,) = tensor.quant.scale, tensor.quant.zero_point
    return (codes.astype(np.int64) - zero).astype(np.float32) * np.float32(scale)


def _quiet() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return options


def campaign(count: int, directory: Path, *, wide: bool = False) -> None:
    found = [compared(index, directory, wide=wide) for index in range(count)]
    different = [f"network {i}: {text}" for i, text in enumerate(found) if text]
    assert not different, f"{len(different)} of {count} networks differ\n" + "\n".join(different[:8])
    assert found.count(None) <= (_MOST_REFUSED_WIDE if wide else _MOST_REFUSED) * count


def test_networks_of_the_quantization_tool(tmp_path):
    campaign(60, tmp_path)


def test_networks_of_16_bits_of_the_quantization_tool(tmp_path):
    campaign(20, tmp_path, wide=True)


@pytest.mark.slow
@pytest.mark.parametrize("wide", [False, True])
def test_many_networks_of_the_quantization_tool(tmp_path, wide):
    campaign(2000 if wide else 5000, tmp_path, wide=wide)


@pytest.mark.parametrize("activations", ["QInt8", "QInt16"])
def test_resnet20_of_the_quantization_tool(data, tmp_path, activations):
    """Its default options, and 16-bit activations: both leave convolutions in float32."""
    samples = feeds.cifar_float(data)[0]
    model = onnx_tool.quantized_file(data / "onnx/cifar_resnet20_fp32.onnx", samples[:8], activations, tmp_path)
    session = onnxruntime.InferenceSession(model, _quiet())
    graph = accel_sim.load(model)
    program = accel_sim.compile(graph, profile="onnxruntime")
    (source,), (name,) = graph.inputs, graph.outputs
    made = _dequantized(graph.tensors[name], accel_sim.run(program, {source: samples[:_PICTURES]}).outputs[name])
    for i, real in enumerate(made):
        (expected,) = session.run(None, {source: samples[i : i + 1]})
        np.testing.assert_array_equal(real[None], expected, err_msg=f"picture {i}")
    if activations == "QInt8":
        run_levels(graph, program, {source: samples[:1]}, keep=graph.outputs)
