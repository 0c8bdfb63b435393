"""Counting of differing codes: against plain loops, in any batching."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_sim.analysis.mismatch.report import MismatchComparison
from accel_sim.analysis.provenance import Provenance
from accel_sim.ir import Clip, ElementType, Graph, Node, QuantParams, Softmax, Tensor
from accel_sim.ir.operators import RELU

ABOUT = Provenance("net", "", "tflite", None, "3 samples")
GRID = QuantParams.per_tensor(0.1, 3)


def chain(shape=(1, 4), grid=GRID):
    """x -> hidden -> scores, all on one grid."""
    tensors = {n: Tensor(n, shape, ElementType.for_grid(grid), grid) for n in ("x", "hidden", "scores")}
    nodes = (Node("first", Clip(RELU), ("x",), ("hidden",)), Node("second", Softmax(), ("hidden",), ("scores",)))
    return Graph("net", nodes, tensors, ("x",), ("scores",))


def real(codes, grid=GRID):
    """What a float32 simulation holds for these codes."""
    return (np.float32(grid.scale[0]) * (codes.astype(np.int64) - grid.zero_point[0])).astype(np.float32)


def compare(graph, machine, simulated):
    comparison = MismatchComparison(graph)
    comparison.add(machine, {name: real(codes) for name, codes in simulated.items()})
    return comparison.report(ABOUT, "float32", 1)


codes = st.lists(st.integers(-128, 127), min_size=8, max_size=8).map(lambda v: np.array(v, np.int8).reshape(2, 4))


@given(codes, codes)
def test_figures_equal_plain_loops(machine, simulated):
    report = compare(chain(), {"scores": machine}, {"scores": simulated})
    (layer,) = report.layers
    pairs = list(zip(machine.reshape(-1).tolist(), simulated.reshape(-1).tolist(), strict=True))
    assert layer.elements == len(pairs)
    assert layer.differing == sum(a != b for a, b in pairs)
    assert layer.largest_lsb == max(abs(a - b) for a, b in pairs)
    signal, noise = sum((b - 3) ** 2 for _, b in pairs), sum((a - b) ** 2 for a, b in pairs)
    if noise == 0:
        assert layer.sqnr_db == math.inf
    elif signal == 0:
        assert layer.sqnr_db == -math.inf
    else:
        assert layer.sqnr_db == pytest.approx(10 * math.log10(signal / noise))
    assert report.identical == (noise == 0)


@given(codes, codes)
def test_top1_agreement_counts_samples_whose_best_score_is_the_same(machine, simulated):
    report = compare(chain(), {"scores": machine}, {"scores": simulated})
    agreeing = sum(int(np.argmax(a)) == int(np.argmax(b)) for a, b in zip(machine, simulated, strict=True))
    assert report.top1_agreement == agreeing / 2


@given(codes, codes)
def test_batches_add_up(machine, simulated):
    graph = chain()
    whole = compare(graph, {"scores": machine}, {"scores": simulated})
    comparison = MismatchComparison(graph)
    for i in range(2):
        comparison.add({"scores": machine[i : i + 1]}, {"scores": real(simulated[i : i + 1])})
    parts = comparison.report(ABOUT, "float32", 1)
    assert parts.layers[0].differing == whole.layers[0].differing
    assert parts.top1_agreement == whole.top1_agreement
    assert parts.layers[0].sqnr_db == pytest.approx(whole.layers[0].sqnr_db)


def test_the_first_differing_layer_is_named_and_inner_layers_have_no_top1():
    same, other = np.zeros((1, 4), np.int8), np.array([[0, 1, 0, 0]], np.int8)
    report = compare(chain(), {"hidden": same, "scores": other}, {"hidden": same, "scores": same})
    assert [layer.differing for layer in report.layers] == [0, 1]
    assert report.first_differing.node == "second"
    assert report.layers[0].top1_agreement is None
    assert report.outputs == (report.layers[1],)
    assert report.layers[1].share == 0.25


def test_a_tensor_that_the_compiler_merged_away_is_left_out():
    report = compare(chain(), {"scores": np.zeros((1, 4), np.int8)}, {"scores": np.zeros((1, 4), np.int8)})
    assert [layer.tensor for layer in report.layers] == ["scores"]


def test_per_channel_grids_are_compared_channel_by_channel():
    grid = QuantParams.per_channel([0.5, 2.0], [0, 10], axis=1)
    graph = chain((1, 2), grid)
    machine = np.array([[3, 12]], np.int8)
    comparison = MismatchComparison(graph)
    comparison.add({"scores": machine}, {"scores": np.float32([[1.5, 4.0]])})
    assert comparison.report(ABOUT, "float32", 1).identical


def test_codes_survive_the_way_through_float32_for_every_scale_and_code():
    generator = np.random.default_rng(5)
    every = np.arange(-32768, 32768, dtype=np.int16)[np.newaxis]
    for scale in generator.uniform(1e-6, 10, 50).astype(np.float32):
        grid = QuantParams.per_tensor(float(scale), 0, bits=16)
        graph = chain(every.shape, grid)
        comparison = MismatchComparison(graph)
        comparison.add({"hidden": every}, {"hidden": (every * np.float32(scale)).astype(np.float32)})
        assert comparison.report(ABOUT, "float32", 1).identical
