"""Proofs that hold and are tight: random layers and networks on the machine, witnesses, certificates, their checker."""

import copy
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from random_layers import random_codes, random_layer

import accel_sim
from accel_sim.analysis.overflow.bounds import InputKind, InputRange, prove
from accel_sim.analysis.overflow.dot_products import dot_products
from accel_sim.analysis.overflow.intervals import input_range, observed
from accel_sim.analysis.overflow.witnesses import layer_graph, witness
from accel_sim.analysis.samples import random_inputs
from accel_sim.hardware import AccumulatorConfig, OverflowPolicy, load_hardware
from accel_sim.numerics.profiles import get_profile
from accel_sim.sim.machine import Machine
from accel_sim.sim.result import Level

HARDWARE = load_hardware("edge-16x16", ())
NARROWEST, WIDEST = 8, 32  # accumulators that are tried
NETWORKS = {
    "tflite/pretrainedResnet_quant.tflite": "tflite",
    "tflite/kws_ref_model.tflite": "tflite",
    "tflite/vww_96_int8.tflite": "tflite",
    "tflite/ad01_int8.tflite": "tflite",
    "tflite/mobilenet_v1_0.25_128_quant.tflite": "tflite",
    "onnx/cifar_resnet20_qdq_u8s8_pertensor.onnx": "onnxruntime",
    "onnx/cifar_resnet20_qop_s8s8_perchannel.onnx": "onnxruntime",
    "onnx/squeezenet1.1_qop_u8u8_pertensor.onnx": "onnxruntime",
}


def watched(program, arrays, bits, policy=OverflowPolicy.WRAP):
    """The layers of a run on accumulators of a width."""
    hardware = replace(program.hardware, accumulator=AccumulatorConfig(bits, policy))
    return Machine(hardware).run(program, arrays, Level.CYCLE, threads=1).layers


def assert_sound_and_tight(graph, profile, arrays):
    """A layer alone: random codes stay in its range; its width suffices, for the witness one bit less does not."""
    (products,) = dot_products(graph)
    proof = prove(products, InputRange.of_type(products))
    shown, bits = witness(products, proof), proof.every_order.bits
    assert shown.bits == bits
    assert shown.value in (proof.every_order.low[shown.channel], proof.every_order.high[shown.channel])
    q = products.x.quant
    codes = shown.codes[products.x.name]
    assert q.low <= codes.min() <= codes.max() <= q.high
    program = accel_sim.compile(graph, HARDWARE, profile)
    given = {name: np.concatenate([shown.codes[name], array]) for name, array in arrays.items()}
    width = max(bits, NARROWEST)
    if width > WIDEST:
        return False
    (layer,) = watched(program, given, width, OverflowPolicy.SATURATE)
    assert layer.overflow_events == 0
    assert min(proof.every_order.low) <= layer.accumulator_min <= layer.accumulator_max <= max(proof.every_order.high)
    assert layer.accumulator_min <= shown.value <= layer.accumulator_max
    if bits > NARROWEST:
        (layer,) = watched(program, shown.codes, bits - 1)
        assert layer.overflow_events > 0
    return bits > NARROWEST


def try_random_layers(seeds):
    tight = 0
    for seed in seeds:
        rng = np.random.default_rng(seed)
        graph = random_layer(rng)
        tight += assert_sound_and_tight(graph, get_profile("paper"), {"x": random_codes(rng, graph, 3)})
    assert tight > 0.9 * len(seeds)


def test_random_layers_never_leave_their_range_and_reach_its_end():
    try_random_layers(range(150))


@pytest.mark.slow
@pytest.mark.parametrize("block", range(40))
def test_20000_random_layers_never_leave_their_range_and_reach_its_end(block):
    try_random_layers(range(500 * block, 500 * (block + 1)))


@pytest.mark.parametrize("seed", range(40))
def test_ranges_in_order_and_final_hold_for_inputs_that_cannot_be_zero(seed):
    rng = np.random.default_rng(seed)
    graph = random_layer(rng)
    (products,) = dot_products(graph)
    q = products.x.quant
    low, high = np.sort(rng.integers(q.low, q.high, 2, endpoint=True))
    codes = rng.integers(low, high, (40, *products.x.shape[1:]), endpoint=True).astype(products.x.element.dtype)
    codes = np.concatenate([np.full_like(codes[:1], low), np.full_like(codes[:1], high), codes])
    codes = codes[: len(codes) // products.x.shape[0] * products.x.shape[0]]
    proof = prove(products, input_range(products, InputKind.CALIBRATED, observed(graph, {"x": codes})))
    for name in ("low", "high"):
        tighter = [max if name == "low" else min][0]
        for a, b, c in zip(*(getattr(e, name) for e in (proof.every_order, proof.in_order, proof.final)), strict=True):
            assert tighter(a, b) == b
            assert tighter(a, c) == c
    program = accel_sim.compile(graph, HARDWARE, get_profile("paper"))
    (layer,) = watched(program, {"x": codes}, WIDEST)
    assert min(proof.in_order.low) <= layer.accumulator_min
    assert layer.accumulator_max <= max(proof.in_order.high)


@pytest.mark.parametrize("file", NETWORKS)
def test_no_accumulator_of_a_network_leaves_its_proof(data, file):
    graph, profile = accel_sim.load(data / file), get_profile(NETWORKS[file])
    program = accel_sim.compile(graph, HARDWARE, profile)
    certificate = accel_sim.certify(graph, profile=profile)
    layers = {layer.name: layer for layer in watched(program, random_inputs(graph, 2, seed=3), WIDEST)}
    for stated in certificate.layers:
        seen = layers[stated["layer"]]
        for known in stated["ranges"]:
            for claim in (c for c in known["claims"] if c["sums"] != "final"):  # extremes are of all sums
                assert min(claim["minimum"]) <= seen.accumulator_min
                assert seen.accumulator_max <= max(claim["maximum"])


@pytest.mark.slow
@pytest.mark.parametrize("file", NETWORKS)
def test_every_layer_of_a_network_is_sound_and_tight_on_the_machine(data, file):
    graph, profile = accel_sim.load(data / file), get_profile(NETWORKS[file])
    for products in dot_products(graph):
        alone = layer_graph(graph, products.node.name)
        assert_sound_and_tight(alone, profile, random_inputs(alone, 1, seed=1))


def certificate_of(graph, profile="paper", inputs=None, hardware=HARDWARE):
    return json.loads(accel_sim.to_json(accel_sim.certify(graph, inputs, hardware, profile)))


@pytest.mark.parametrize("seed", range(30))
def test_the_checker_accepts_what_is_right_and_lists_what_is_wrong(seed):
    rng = np.random.default_rng(1000 + seed)
    graph = random_layer(rng)
    hardware = load_hardware("paper-4x4", ()) if seed % 2 else HARDWARE
    certificate = certificate_of(graph, inputs=random_codes(rng, graph, 3), hardware=hardware)
    assert [r["kind"] for r in certificate["layers"][0]["ranges"]] == ["type", "interval", "calibrated"]
    assert accel_sim.check_certificates(graph, certificate) == ()
    for change in CHANGES:
        wrong = copy.deepcopy(certificate)
        change(wrong)
        assert accel_sim.check_certificates(graph, wrong), change.__name__


def lower_maximum(certificate):
    certificate["layers"][0]["ranges"][0]["claims"][0]["maximum"][-1] -= 1


def narrow_range(certificate):
    certificate["layers"][0]["ranges"][0]["high"][0] -= 1


def other_weights(certificate):
    certificate["layers"][0]["weights_sha256"] = "0" * 64


def shorter_width(certificate):
    certificate["layers"][0]["ranges"][1]["claims"][2]["bits"][0] -= 1


def other_witness(certificate):
    certificate["layers"][0]["ranges"][0]["witness"]["value"] += 1


def drop_layer(certificate):
    del certificate["layers"][0]


def other_model(certificate):
    certificate["model"]["sha256"] = "0" * 64


def other_schema(certificate):
    certificate["schema"] = "accel-sim/certificate/2"


def unheard_of_range(certificate):
    certificate["layers"][0]["ranges"][2]["kind"] = "guessed"


def safer_summary(certificate):
    certificate["safe_bits"] -= 1


CHANGES = (
    lower_maximum, narrow_range, other_weights, shorter_width, other_witness, drop_layer, other_model, other_schema,
    unheard_of_range, safer_summary,
)  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"layers": None},
        {"layers": [3]},
        {"layers": [{"layer": "n"}]},
        {"layers": [{"layer": "n", "ranges": 5}]},
    ],
)
def test_a_malformed_certificate_is_wrong_not_a_crash(content):
    graph = random_layer(np.random.default_rng(0))
    assert accel_sim.check_certificates(graph, content)


def test_a_falsely_narrow_interval_is_found(data):
    graph = accel_sim.load(data / "tflite/kws_ref_model.tflite")
    certificate = certificate_of(graph, "tflite")
    (interval,) = (r for r in certificate["layers"][2]["ranges"] if r["kind"] == "interval")
    interval["high"] = [v - 1 for v in interval["high"]]
    assert any("interval" in fault.where for fault in accel_sim.check_certificates(graph, certificate))


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 0.5, 1e300])
def test_numbers_that_are_not_whole_are_wrong_and_end_soon(value):
    """JSON has them, and Python's parser takes even infinity; a width for that would be looked for for ever."""
    graph = random_layer(np.random.default_rng(0))
    certificate = json.loads(accel_sim.to_json(accel_sim.certify(graph)))
    places = [known["witness"]["terms"] for known in certificate["layers"][0]["ranges"] if "witness" in known]
    places += [certificate["layers"][0]["ranges"][0]["low"]]
    for place in places:
        kept, place[0] = place[0], value
        (fault,) = accel_sim.check_certificates(graph, certificate)
        assert fault.rule == "every number is a whole one"
        place[0] = kept
    assert len(places) > 1
    assert accel_sim.check_certificates(graph, certificate) == ()
