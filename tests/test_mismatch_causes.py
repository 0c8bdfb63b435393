"""Attribution against plain loops; each rule alone, on elements built so that it must be the cause."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference_graphs import activation, constant, int8, single
from test_mismatch_operators import ABOUT, replayed

import accel_sim
from accel_sim import demo_data, ir
from accel_sim.analysis.causes.cause import ORDER, Cause, attribute
from accel_sim.analysis.causes.exact import ExactReal, Term
from accel_sim.analysis.mismatch.replay import Device, Replay
from accel_sim.analysis.mismatch.report import MismatchComparison
from accel_sim.analysis.samples import stored
from accel_sim.hardware import load_hardware
from accel_sim.ir import ElementType, QuantParams
from accel_sim.numerics import PROFILES
from accel_sim.reference import evaluate_fake_quant, evaluate_integer

chains = (
    st.integers(1, 8)
    .flatmap(
        lambda n: st.tuples(
            st.lists(st.integers(0, 3), min_size=n + 1, max_size=n + 1),
            st.lists(st.sampled_from(ORDER), min_size=n, max_size=n),
        )
    )
    .filter(lambda chain: chain[0][0] != chain[0][-1])
)


def plainly(values, rules):
    """Walk the chain; on coming back to a code, forget what was between."""
    path = [(values[0], None, 0)]
    for value, rule in zip(values[1:], rules, strict=True):
        codes = [code for code, _, _ in path]
        if value in codes:
            path = path[: codes.index(value) + 1]
        else:
            path.append((value, rule, abs(value - codes[-1])))
    moved = {}
    for _, rule, distance in path[1:]:
        moved[rule] = moved.get(rule, 0) + distance
    largest = sorted(moved, key=lambda rule: (-moved[rule], ORDER.index(rule)))[:2]
    return tuple(sorted(largest, key=ORDER.index))


@given(chains)
def test_attribution_equals_a_plain_walk(chain):
    values, rules = chain
    steps = [(rule, np.array([value, 5])) for rule, value in zip(rules, values[1:], strict=True)]
    assert attribute(np.array([values[0], 4]), steps).of(0) == plainly(values, rules)


ratios = st.fractions(min_value=Fraction(1, 1 << 20), max_value=8, max_denominator=1 << 24)


@given(st.lists(st.tuples(st.integers(-(1 << 31), 1 << 31), ratios), min_size=1, max_size=3), st.integers(0, 8))
def test_rounding_equals_fractions(terms, exponent):
    zero = np.zeros(1, np.int64)
    exact = ExactReal([Term(np.array([value]), (ratio,), zero) for value, ratio in terms])
    real = sum(value * ratio for value, ratio in terms) * 2**exponent
    assert exact.half_even(exponent)[0] == round(real)
    assert exact.half_even(exponent, offset=3)[0] == round(real + 3)
    assert exact.half_up(exponent)[0] == (real + Fraction(1, 2)).__floor__()
    away = (abs(real) + Fraction(1, 2)).__floor__()
    assert exact.half_away(exponent)[0] == (-away if real < 0 else away)


@given(st.integers(-(1 << 40), 1 << 40))
def test_halves_are_decided_exactly(odd):
    half = ExactReal([Term(np.array([2 * odd + 1]), (Fraction(1, 2),), np.zeros(1, np.int64))])
    assert (half.half_even()[0], half.half_up()[0]) == (round(Fraction(2 * odd + 1, 2)), odd + 1)


def accumulator_probe(bias, scale, output=None, activation_=ir.NO_ACTIVATION, bias_grid=None):
    """A fully connected layer whose accumulators are its biases: the input is zero."""
    bias = np.array(bias, np.int64).astype(np.int32)
    x = activation("x", (1, 1), int8(1.0))
    w = constant("w", np.zeros((len(bias), 1), np.int8), int8(scale))
    b = constant("b", bias, bias_grid)
    y = activation("y", (1, len(bias)), output or int8(1.0))
    return single(ir.FullyConnected(activation_), [x, w, b], y), {"x": np.zeros((1, 1), np.int8)}


def causes(graph, inputs, profile):
    report = replayed(graph, inputs, 1, PROFILES[profile])
    assert report.unexplained == 0
    return {item.causes: item.count for item in report.own_causes}


def test_ties_are_charged_to_the_tie_rule():
    graph, inputs = accumulator_probe([1, 3, 5, -1, -3, -5, 7, -7], 0.5)
    assert causes(graph, inputs, "tosa") == {(Cause.TIE_RULE,): 4}  # 0.5, 2.5 up; -1.5, -3.5 up
    assert causes(graph, inputs, "power_of_two") == {(Cause.TIE_RULE,): 4}
    assert causes(graph, inputs, "tflite") == {(Cause.TIE_RULE,): 2 + 2}  # SRDHM, then no shift or a shift of ties
    assert causes(graph, inputs, "onnxruntime") == {}


def test_two_roundings_are_charged_to_double_rounding():
    scale = 2.0**-7
    near = [64 - 0.25, 192 - 0.25]  # the first rounding, to 2^-7 of a code, makes a half of them
    graph, inputs = accumulator_probe([round(n * 1024) for n in near], scale / 1024)
    found = causes(graph, inputs, "tflite")
    rates = replayed(graph, inputs, 1, PROFILES["tflite"]).layers[0].own.double_rounding
    assert set(found) <= {(Cause.DOUBLE_ROUNDING,), (Cause.TIE_RULE,)}
    assert 0 < rates.predicted < 0.01


def test_a_wrapped_accumulator_is_charged_to_the_accumulator():
    x = activation("x", (1, 2), int8(1.0))
    w = constant("w", np.array([[127, 127]], np.int8), int8(1.0))
    b = constant("b", np.array([(1 << 31) - 10], np.int32))
    graph = single(ir.FullyConnected(), [x, w, b], activation("y", (1, 1), int8(4.0)))
    assert causes(graph, {"x": np.array([[1, 1]], np.int8)}, "tflite") == {(Cause.ACCUMULATOR,): 1}


def test_a_bias_on_another_grid_is_charged_to_the_bias():
    grid = QuantParams.per_tensor(0.9, 0, bits=32)
    graph, inputs = accumulator_probe([40, 41, -42], 1.0, bias_grid=grid)
    assert causes(graph, inputs, "paper") == {(Cause.BIAS_QUANTIZATION,): 3}


def test_a_rounded_bound_is_charged_to_the_order_of_clip_and_round():
    graph, inputs = accumulator_probe([100], 1.0, int8(2.0), ir.Activation(0.0, 5.0))
    found = causes(graph, inputs, "tflite")  # the bound is 2.5 steps: 3 rounded half away, 2 half to even
    assert found == {(Cause.CLIP_ORDER,): 1}


def test_a_zero_point_inside_the_rounding_is_charged_to_it():
    a, b = activation("a", (1, 2), int8(0.5)), activation("b", (1, 2), int8(1.0))
    graph = single(ir.Multiply(), [a, b], activation("y", (1, 2), int8(1.0, 1)))
    inputs = {"a": np.array([[1, 3]], np.int8), "b": np.array([[1, 1]], np.int8)}
    assert causes(graph, inputs, "onnxruntime") == {(Cause.ZERO_POINT_INSIDE,): 2}


def test_sixteen_bit_multipliers_are_charged_to_their_precision():
    x, y = (QuantParams.per_tensor(s, 0, bits=16) for s in (0.001, 0.00037))
    w = constant("w", np.array([[127]], np.int8), int8(0.01))
    graph = single(
        ir.FullyConnected(),
        [activation("x", (1, 1), x, ElementType.INT16), w],
        activation("y", (1, 1), y, ElementType.INT16),
    )
    found = [causes(graph, {"x": np.array([[code]], np.int16)}, "tflite") for code in range(0, 9000, 250)]
    assert {key for one in found for key in one} == {(Cause.MULTIPLIER_PRECISION,)}


def test_a_code_that_no_rule_explains_is_unexplained():
    graph, inputs = accumulator_probe([10, 20, 30], 1.0)
    machine = {k: v.copy() for k, v in evaluate_integer(graph, inputs, PROFILES["tflite"]).items()}
    machine["y"][0, 1] += 1  # a defect of the device
    simulated = evaluate_fake_quant(graph, inputs)
    comparison, replay = MismatchComparison(graph), Replay(graph, Device(PROFILES["tflite"]), np.float32)
    comparison.add(machine, simulated)
    replay.add(machine, simulated, 1)
    report = replay.explained(comparison.report(ABOUT, "", 1))
    assert {item.causes: item.count for item in report.own_causes} == {(Cause.UNEXPLAINED,): 1}
    assert report.unexplained == 2  # teacher-forced and freely


@pytest.fixture(scope="module")
def digits():
    network = accel_sim.load(demo_data.network_path())
    return accel_sim.quantize(network, demo_data.calibration(), "fast"), demo_data.heldout()


def test_differences_of_a_network_are_inherited_or_made_and_add_up(digits):
    graph, (images, labels) = digits
    report = accel_sim.compare(graph, images[:20], profile="tflite", labels=labels[:20])
    assert report.unexplained == 0
    for layer in report.layers:
        assert sum(c.count for c in layer.causes) == layer.differing
        assert sum(c.count for c in layer.own.causes) == layer.own.differing
    assert (Cause.INHERITED,) in [c.causes for c in report.causes]
    assert report.first.node == report.first_differing.node
    assert 0.9 <= report.accuracy.machine <= 1
    assert not accel_sim.compare(graph, images[:2], profile="tflite", explain=False).explained


def test_narrow_accumulators_are_the_cause_of_what_they_change(digits):
    graph, (images, _) = digits
    hardware = load_hardware("edge-16x16", ("accumulator.bits=14", "accumulator.overflow=saturate"))
    report = accel_sim.compare(graph, images[:3], hardware, "paper")
    found = {item.causes: item.count for item in report.own_causes}
    assert report.unexplained == 0
    assert found[(Cause.ACCUMULATOR,)] > 100
    plain = accel_sim.compare(graph, images[:3], profile="paper")
    assert all(Cause.ACCUMULATOR not in item.causes for item in plain.own_causes)


def test_a_layer_of_another_width_is_not_excused(digits):
    """Only matrix operators accumulate: a wrong code elsewhere is unexplained whatever the accumulators are."""
    graph, (images, _) = digits
    device = Device(PROFILES["paper"], plain_accumulators=False)
    inputs = stored(graph, {graph.inputs[0]: images[:1]})
    machine = {k: v.copy() for k, v in evaluate_integer(graph, inputs, PROFILES["paper"]).items()}
    node = next(n for n in graph.nodes if isinstance(n.op, ir.MaxPool2D))
    machine[node.outputs[0]][0, 0, 0, 0] ^= 1
    replay = Replay(graph, device, np.float32)
    replay.add(machine, evaluate_fake_quant(graph, inputs), 1)
    assert replay.first() is not None
    assert replay.first().causes == (Cause.UNEXPLAINED,)


def test_default_device_is_plain():
    assert Device.of(PROFILES["paper"], load_hardware("edge-16x16").accumulator).plain_accumulators
    changed = replace(load_hardware("edge-16x16").accumulator, bits=20)
    assert not Device.of(PROFILES["paper"], changed).plain_accumulators
