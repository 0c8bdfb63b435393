"""Curves: answers, agreement and wrong codes of every accumulator against the reference; what may be asked for."""

import numpy as np
import pytest
from reference_graphs import activation, constant, int8, single

import accel_sim
from accel_sim.analysis.overflow.counts import LayerCounts, OverflowCounts, StructureCounts
from accel_sim.analysis.overflow.curve import REFERENCE, overflow_curve
from accel_sim.analysis.overflow.request import requested
from accel_sim.analysis.provenance import Provenance
from accel_sim.errors import HardwareError, InputError
from accel_sim.hardware import load_structure
from accel_sim.ir import FullyConnected
from accel_sim.numerics.accumulators import OverflowPolicy, accumulate, plain

WRAP, SATURATE = OverflowPolicy


def classifier(terms=6, classes=4):
    """A fully connected layer that hands accumulators on: scale 1 everywhere, so that codes are clamped sums."""
    rng = np.random.default_rng(3)
    weights = constant("w", rng.integers(-127, 128, (classes, terms)).astype(np.int8), int8(1.0))
    x, y = activation("x", (1, terms), int8(1.0)), activation("y", (1, classes), int8(512.0))
    return single(FullyConnected(), [x, weights], y)


def counted(structure, outputs, proved=False):
    zeros = np.zeros(4, np.int64)
    return StructureCounts(
        structure, (LayerCounts("node", "op", 12, True, proved, zeros, zeros, zeros, None),), {"y": outputs}
    )


def test_answers_are_compared_with_the_reference_and_with_labels():
    exact = np.array([[9, 1, 0, 0], [0, 8, 1, 0], [0, 0, 0, 7]], np.int8)
    other = np.array([[9, 1, 0, 0], [8, 0, 1, 0], [0, 0, 0, 6]], np.int8)
    structures = (counted(plain(16, WRAP), other), counted(plain(20, WRAP), exact, proved=True))
    counts = OverflowCounts(Provenance("m", "", "p", None, ""), 3, structures)
    narrow, wide = overflow_curve(classifier(), counts, counted(REFERENCE, exact), np.array([0, 0, 3])).points
    assert (narrow.agreement, narrow.accuracy, narrow.differing) == pytest.approx((2 / 3, 1.0, 3 / 12))
    assert (wide.agreement, wide.accuracy, wide.differing) == pytest.approx((1.0, 2 / 3, 0.0))
    assert (narrow.proved, wide.proved) == (False, True)


def test_a_curve_is_what_plain_python_accumulators_give():
    graph = classifier()
    inputs = accel_sim.random_inputs(graph, 50)["x"]
    report = accel_sim.overflow(graph, inputs, [14, 15, 17, "gemmini", "20:saturate"], profile="paper")
    weights = graph.tensors["w"].constant.astype(int)
    for point in report.curve.points:
        runs = [
            [accumulate(point.structure, 0, [int(a) * int(b) for a, b in zip(x, w, strict=True)]) for w in weights]
            for x in inputs
        ]
        flat = [one for row in runs for one in row]
        counts = point.counts
        assert counts.events == sum(len(one.events) for one in flat), point.structure.name
        assert counts.persistent == sum(one.persistent for one in flat)
        assert counts.transient == sum(one.transient for one in flat)
        codes = np.clip(np.rint([[one.value / 512 for one in row] for row in runs]), -128, 127)
        exact = np.clip(np.rint([[one.exact / 512 for one in row] for row in runs]), -128, 127)
        np.testing.assert_array_equal(counts.outputs["y"], codes)
        assert point.differing == np.mean(codes != exact)
        assert point.agreement == np.mean(codes.argmax(1) == exact.argmax(1))
    assert list(report.curve.plain(WRAP)) == [14, 15, 17]
    assert list(report.curve.plain(SATURATE)) == [14, 15, 17, 20]
    assert [point.structure.name for point in report.curve.staged] == ["gemmini"]
    assert report.curve.plain(WRAP)[14].counts.events > 0
    assert not report.all_proved


def test_the_input_ranges_of_a_report_are_nested():
    graph = classifier()
    report = accel_sim.overflow(graph, accel_sim.random_inputs(graph, 3)["x"] // 4, profile="paper")
    by_type, interval, calibrated = report.layers[0].ranges
    assert [r.kind.value for r in (by_type, interval, calibrated)] == ["type", "interval", "calibrated"]
    assert by_type.minimum == interval.minimum < calibrated.minimum < calibrated.maximum < by_type.maximum
    assert calibrated.exact_bits < by_type.exact_bits <= by_type.l1_bits <= by_type.data_type_bits


def test_a_request_holds_both_policies_of_each_width_once():
    asked = requested([16, 16, "16", "x86-vpmaddubsw"], rows=16)
    assert asked.widths == (16,)
    assert asked.structures == (REFERENCE, plain(16, WRAP), plain(16, SATURATE), load_structure("x86-vpmaddubsw"))


def test_what_cannot_be_asked_is_told():
    graph = classifier()
    with pytest.raises(InputError, match="at least one sample"):
        accel_sim.overflow(graph, np.zeros((0, 6), np.int8))
    with pytest.raises(InputError, match="8 to 64 bits"):
        accel_sim.overflow(graph, None, [7])
    with pytest.raises(InputError, match="2 faults"):
        accel_sim.overflow(graph, None, ["gemmini"], labels=np.arange(3))
    with pytest.raises(InputError, match="3 for 2 samples: there is one for each sample"):
        accel_sim.overflow(graph, np.zeros((2, 6), np.int8), labels=np.arange(3))
    with pytest.raises(HardwareError, match=r"nothing': is a width from 8 to 64 bits, .*a preset"):
        accel_sim.overflow(graph, np.zeros((2, 6), np.int8), ["nothing"])


def test_a_structure_that_is_not_meant_for_a_layer_says_so():
    """Its pairs are of unsigned codes; here they are signed, and "proved" says nothing about pairs."""
    graph = classifier()
    report = accel_sim.overflow(graph, np.zeros((2, 6), np.int8), ["x86-vpmaddubsw", "neon-smull-smlal"])
    x86, neon = (point.counts for point in report.curve.staged)
    assert [layer.applies for layer in (*x86.layers, *neon.layers)] == [False, True]
    said = "x86-vpmaddubsw is meant for 0 of 1 layers (uint8 x int8, not depthwise)"
    printed = " ".join(accel_sim.to_text(report, width=200).split())
    assert said in printed
    assert said in accel_sim.to_html(report)
    assert "neon-smull-smlal is meant" not in printed
