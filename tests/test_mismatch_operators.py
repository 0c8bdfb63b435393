"""Every operator under every profile: each differing code has exactly one cause or pair; none is unexplained."""

import numpy as np
import pytest
from integer_graphs import CASES, Draw

import accel_sim
from accel_sim.analysis.causes.cause import Cause
from accel_sim.analysis.mismatch.replay import Device, Replay
from accel_sim.analysis.mismatch.report import MismatchComparison
from accel_sim.analysis.provenance import Provenance
from accel_sim.errors import AccelSimError
from accel_sim.numerics import PROFILES
from accel_sim.reference import evaluate_fake_quant, evaluate_integer

ABOUT = Provenance("net", "", "", None, "")


def drawn(name, seed):
    """A graph and codes for its inputs, ends of the ranges among them."""
    draw = Draw(seed)
    graph = CASES[name](draw)
    samples = 2 if all(graph.tensors[n].shape for n in graph.inputs) else 1
    inputs = {n: [codes(draw, graph.tensors[n]) for _ in range(samples)] for n in graph.inputs}
    return graph, {n: np.concatenate(parts) if samples > 1 else parts[0] for n, parts in inputs.items()}, samples


def codes(draw, tensor):
    if tensor.quant is None or tensor.quant.bits > 16:
        return draw.rng.integers(-(1 << 20), 1 << 20, tensor.shape).astype(tensor.element.dtype)
    return draw.codes(tensor.shape, tensor.quant)


def replayed(graph, inputs, samples, profile, dtype=np.float32):
    machine, simulated = evaluate_integer(graph, inputs, profile), evaluate_fake_quant(graph, inputs, dtype)
    comparison, replay = MismatchComparison(graph), Replay(graph, Device(profile), dtype)
    comparison.add(machine, simulated)
    replay.add(machine, simulated, samples)
    return replay.explained(comparison.report(ABOUT, "", samples))


def check(report):
    for layer in report.layers:
        assert sum(c.count for c in layer.causes) == layer.differing
        assert sum(c.count for c in layer.own.causes) == layer.own.differing
        assert all(1 <= len(c.causes) <= 2 for c in (*layer.causes, *layer.own.causes))
        assert layer.own.histogram == layer.histogram, "a layer fed the same on both sides differs by itself alone"
    assert report.unexplained == 0, report.layers


@pytest.mark.parametrize("profile", [name for name in PROFILES if name != "power_of_two"])
@pytest.mark.parametrize("name", list(CASES))
def test_every_difference_has_a_cause(name, profile):
    for seed in range(3):
        graph, inputs, samples = drawn(name, seed)
        try:
            report = replayed(graph, inputs, samples, PROFILES[profile], np.float64 if seed == 2 else np.float32)
        except AccelSimError:
            continue  # a scale that the profile cannot express
        check(report)
        assert all(Cause.INHERITED not in item.causes for item in report.causes), "nothing comes before the only layer"


BETWEEN = ("convolution", "fully_connected", "average_pool", "mean", "add", "multiply", "concat", "softmax", "clip")


@pytest.mark.parametrize("name", BETWEEN)
def test_every_difference_between_profiles_has_a_cause(name):
    profiles = ["tflite", "onnxruntime", "tosa", "paper"]
    for seed in range(2):
        graph, inputs, _ = drawn(name, seed)
        try:
            report = accel_sim.compare_profiles(graph, inputs, profiles)
        except AccelSimError:
            continue  # a scale that one of the profiles cannot express
        for pair in report.pairs:
            check(pair)
