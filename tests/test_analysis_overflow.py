"""Overflow verdicts: proof, observation, and what the report says of a width."""

import json
from dataclasses import replace

import numpy as np
import pytest

from accel_sim.analysis.overflow.report import analyze_overflow
from accel_sim.analysis.provenance import Provenance
from accel_sim.errors import InputError
from accel_sim.ir import ElementType, FullyConnected, Graph, Node, QuantParams, Tensor
from accel_sim.numerics.profiles import PROFILES
from accel_sim.report.html import to_html
from accel_sim.report.json_form import to_json
from accel_sim.report.terminal.pages import to_text
from accel_sim.sim.result import LayerResult, Level, RunResult

ABOUT = Provenance("net", "", "tflite", None, "one sample")


def network(*rows):
    """A fully connected layer of 8-bit unsigned inputs with these weight rows: channel range 255 * sum by sign."""
    w = np.array(rows, np.int8)
    grid, raw = QuantParams.per_tensor(1.0, 0, signed=False), QuantParams.per_tensor(1.0)
    tensors = [
        Tensor("x", (1, w.shape[1]), ElementType.UINT8, grid),
        Tensor("w", w.shape, ElementType.INT8, raw, w),
        Tensor("y", (1, len(w)), ElementType.INT8, raw),
    ]
    node = Node("dense", FullyConnected(), ("x", "w"), ("y",))
    return Graph("net", (node,), {t.name: t for t in tensors}, ("x",), ("y",))


def run(low, high, events=0):
    layer = LayerResult("dense", "FullyConnected", 2, accumulator_min=low, accumulator_max=high, overflow_events=events)
    return RunResult({}, {}, (layer,), 7, Level.CYCLE, 1)


def test_proof_is_by_channel_and_the_layer_needs_its_widest():
    report = analyze_overflow(network([1, 0], [127, 127]), PROFILES["paper"], ABOUT, [16, 9, 17])
    (layer,) = report.layers
    assert report.accumulators == (9, 16, 17)
    assert [v.bits for v in layer.verdicts] == [9, 16, 17]
    assert [v.proved for v in layer.verdicts] == [False, False, True]
    assert [v.channels_proved for v in layer.verdicts] == [1, 1, 2]
    assert (layer.safe_bits, report.safe_bits) == (17, 17)
    assert report.unproved(16) == (layer,)
    assert not report.all_proved
    assert analyze_overflow(network([1, 0]), PROFILES["paper"], ABOUT, [9, 32]).all_proved


def test_without_a_run_nothing_is_observed():
    report = analyze_overflow(network([1, 0]), PROFILES["paper"], ABOUT, [16])
    assert (report.samples, report.observed_bits, report.layers[0].observed) == (0, None, None)
    assert report.layers[0].verdicts[0].observed_fit is None


@pytest.mark.parametrize(("low", "high", "bits"), [(0, 0, 1), (-128, 127, 8), (-129, 0, 9), (0, 128, 9), (-1, 0, 1)])
def test_observed_extremes_give_the_width_that_held_them(low, high, bits):
    report = analyze_overflow(network([127, 127]), PROFILES["paper"], ABOUT, [8, 9], run(low, high, 3))
    (layer,) = report.layers
    assert layer.observed.bits == report.observed_bits == bits
    assert [v.observed_fit for v in layer.verdicts] == [bits <= 8, bits <= 9]
    assert layer.observed.overflow_events == 3
    assert report.samples == 7


def test_every_impossible_width_is_told():
    with pytest.raises(InputError) as error:
        analyze_overflow(network([1, 0]), PROFILES["paper"], ABOUT, [7, 32, 65])
    assert [fault.value for fault in error.value.faults] == ["7", "65"]


def test_layers_that_are_added_in_float_are_named_and_have_no_accumulators():
    graph = network([1, 0], [127, 127])
    y = graph.tensors["y"]
    grid = replace(graph.tensors["x"], name="z", shape=y.shape)
    tensors = graph.tensors | {"z": grid, "v": Tensor("v", (1, 1), ElementType.INT8, y.quant)}
    tensors |= {"u": Tensor("u", (1, 2), ElementType.INT8, y.quant, np.ones((1, 2), np.int8))}
    nodes = (
        Node("in float", FullyConnected(in_float=True), ("x", "w"), ("z",)),
        Node("in integers", FullyConnected(), ("z", "u"), ("v",)),
    )
    graph = Graph("net", nodes, tensors, ("x",), ("v",))
    report = analyze_overflow(graph, PROFILES["onnxruntime"], ABOUT, [10])
    assert report.in_float == ("in float",)
    assert [layer.name for layer in report.layers] == ["in integers"]
    assert report.safe_bits == 10
    assert analyze_overflow(graph, PROFILES["tflite"], ABOUT, [10]).in_float == ()
    assert json.loads(to_json(report))["in_float"] == ["in float"]
    assert "1 layer has no integer accumulators" in " ".join(to_text(report).split())
    assert "No integer accumulators" in to_html(report)


def test_a_network_without_accumulators_needs_none():
    graph = network([1, 0])
    empty = Graph("net", (), {"x": graph.tensors["x"]}, ("x",), ("x",))
    report = analyze_overflow(empty, PROFILES["paper"], ABOUT, [8])
    assert (report.safe_bits, report.layers, report.all_proved) == (None, (), True)
