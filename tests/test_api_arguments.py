"""Arguments of the wrong kind: an error of ours that names the argument or the input, whatever was given."""

import re
from pathlib import Path

import numpy as np
import pytest

import accel_sim
from accel_sim import demo_data

MANY = np.zeros((2, 3))
KINDS = {
    "none": None,
    "number": 20,
    "negative": -1,
    "real": 1.5,
    "nan": float("nan"),
    "flag": True,
    "text": "nope",
    "empty text": "",
    "bytes": b"abc",
    "path": Path("/nowhere/x"),
    "list": [1, [2, 3]],
    "ragged": [[1, 2], [3]],
    "empty list": [],
    "arrays": [MANY, np.zeros(4)],
    "objects": np.array([None, {}], dtype=object),
    "array": MANY,
    "array without axes": np.zeros(()),
    "texts": np.array(["a"]),
    "dates": np.array(["2020-01-01"], dtype="M8[D]"),
    "mapping": {"a": 1},
    "mapping to none": {"image": None},
    "mapping to ragged": {"image": [[1, 2], [3]]},
    "function": len,
    "kind": int,
}


class Network:
    """The bundled network, quantized and compiled."""

    def __init__(self) -> None:
        self.floating = accel_sim.load(demo_data.network_path())
        self.graph = accel_sim.quantize(self.floating, demo_data.calibration(), "minmax")
        self.program = accel_sim.compile(self.graph)
        self.inputs = accel_sim.random_inputs(self.graph, 2)
        self.calibration = demo_data.calibration()[:4]
        self.certificate = accel_sim.certify(self.graph)


@pytest.fixture(scope="module")
def network() -> Network:
    return Network()


# argument -> a call that passes something for it, and the kinds that it takes
CALLS = {
    "source of load": (lambda n, v: accel_sim.load(v), ()),
    "source of load_without_weights": (lambda n, v: accel_sim.load_without_weights(v), ()),
    "source of inspect": (lambda n, v: accel_sim.inspect(v), ()),
    "hardware": (lambda n, v: accel_sim.load_hardware(v), ()),
    "overrides": (lambda n, v: accel_sim.load_hardware("edge-16x16", v), ("empty list",)),
    "accumulator": (lambda n, v: accel_sim.resolve_structure(v), ("number",)),
    "profile": (lambda n, v: accel_sim.get_profile(v), ()),
    "hardware of compile": (lambda n, v: accel_sim.compile(n.graph, v), ()),
    "profile of compile": (lambda n, v: accel_sim.compile(n.graph, profile=v), ("none",)),
    "program": (lambda n, v: accel_sim.run(v, n.inputs), ()),
    "inputs of run": (lambda n, v: accel_sim.run(n.program, v), ()),
    "level": (lambda n, v: accel_sim.run(n.program, n.inputs, v), ()),
    "keep": (lambda n, v: accel_sim.run(n.program, n.inputs, keep=v), ("empty list",)),
    "threads": (lambda n, v: accel_sim.run(n.program, n.inputs, threads=v), ("none", "number")),
    "inputs of compare": (lambda n, v: accel_sim.compare(n.graph, v), ()),
    "simulation": (lambda n, v: accel_sim.compare(n.graph, n.inputs, simulation=v), ()),
    "labels of compare": (lambda n, v: accel_sim.compare(n.graph, n.inputs, labels=v), ("none",)),
    "profiles": (lambda n, v: accel_sim.compare_profiles(n.graph, n.inputs, v), ()),
    "inputs of compare_profiles": (lambda n, v: accel_sim.compare_profiles(n.graph, v, ["tflite", "paper"]), ()),
    "inputs of overflow": (lambda n, v: accel_sim.overflow(n.graph, v), ("none",)),
    "accumulators": (lambda n, v: accel_sim.overflow(n.graph, None, v), ("empty list",)),
    "accumulator of overflow": (lambda n, v: accel_sim.overflow(n.graph, None, [v]), ("number",)),
    "labels of overflow": (lambda n, v: accel_sim.overflow(n.graph, n.inputs, labels=v), ("none",)),
    "structures": (lambda n, v: accel_sim.count_overflow(n.graph, n.inputs, v), ()),
    "structure": (lambda n, v: accel_sim.count_overflow(n.graph, n.inputs, [v]), ("number",)),
    "inputs of count_overflow": (lambda n, v: accel_sim.count_overflow(n.graph, v), ()),
    "inputs of certify": (lambda n, v: accel_sim.certify(n.graph, v), ("none",)),
    "graph of check_certificates": (lambda n, v: accel_sim.check_certificates(v, n.certificate), ()),
    "certificates": (lambda n, v: accel_sim.check_certificates(n.graph, v), [k for k in KINDS if "mapping" in k]),
    "calibration": (lambda n, v: accel_sim.quantize(n.floating, v, "minmax"), ()),
    "recipe": (lambda n, v: accel_sim.quantize(n.floating, n.calibration, v), ()),
    "overrides of quantize": (
        lambda n, v: accel_sim.quantize_with_report(n.floating, n.calibration, "minmax", overrides=v),
        ("empty list",),
    ),
    "graph of debug": (lambda n, v: accel_sim.debug(v, n.calibration), ()),
    "inputs of debug": (lambda n, v: accel_sim.debug(n.floating, n.calibration, v), ("none",)),
    "labels of debug": (lambda n, v: accel_sim.debug(n.floating, n.calibration, labels=v), ("none",)),
    "most_samples": (lambda n, v: accel_sim.debug(n.floating, n.calibration, most_samples=v), ("number",)),
    "program of golden_vectors": (lambda n, v: accel_sim.golden_vectors(v, n.inputs, "conv1"), ()),
    "inputs of golden_vectors": (lambda n, v: accel_sim.golden_vectors(n.program, v, "conv1"), ()),
    "layer": (lambda n, v: accel_sim.golden_vectors(n.program, n.inputs, v), ()),
    "program of waveform": (lambda n, v: accel_sim.waveform(v, n.inputs), ()),
    "inputs of waveform": (lambda n, v: accel_sim.waveform(n.program, v), ()),
    "tile": (lambda n, v: accel_sim.waveform(n.program, n.inputs, None, v), ()),
    "cycles": (lambda n, v: accel_sim.waveform(n.program, n.inputs, cycles=v), ("none", "number")),
    "program of timeline": (lambda n, v: accel_sim.timeline(v), ()),
    "path of topology_timeline": (lambda n, v: accel_sim.topology_timeline(v), ()),
    "encodings": (lambda n, v: accel_sim.load_encodings(v), ()),
    "source of write_encodings": (lambda n, v: accel_sim.write_encodings(v), ()),
    "version": (lambda n, v: accel_sim.write_encodings(n.graph, v), ()),
    "encodings of apply_encodings": (lambda n, v: accel_sim.apply_encodings(n.floating, v), ()),
    "form": (lambda n, v: accel_sim.write_onnx(n.graph, form=v), ()),
    "samples": (lambda n, v: accel_sim.random_inputs(n.graph, v), ("number",)),
    "seed": (lambda n, v: accel_sim.random_inputs(n.graph, seed=v), ("number",)),
}


@pytest.mark.parametrize("argument", CALLS)
def test_a_wrong_kind_is_an_error_of_ours(network: Network, tmp_path, monkeypatch, argument) -> None:
    monkeypatch.chdir(tmp_path)  # where no file is called "nope"
    call, taken = CALLS[argument]
    for kind, value in KINDS.items():
        if kind in taken:
            call(network, value)
            continue
        with pytest.raises((accel_sim.AccelSimError, TypeError)) as caught:
            call(network, value)
        message = str(caught.value)
        ours = re.match(r"\w+: \w+: (is|each|there) ", message) or isinstance(caught.value, accel_sim.AccelSimError)
        assert ours, (kind, message)
        assert len(message) < 1500, (kind, message)


def test_numbers_of_numpy_are_numbers(network: Network) -> None:
    """A list of widths is often an array, and its elements are no Python integers."""
    plain = accel_sim.overflow(network.graph, network.inputs, [18, 20])
    given = accel_sim.overflow(network.graph, network.inputs, np.array([18, 20]))
    assert accel_sim.to_json(given) == accel_sim.to_json(plain)
    accel_sim.run(network.program, network.inputs, threads=np.int32(2))
    accel_sim.random_inputs(network.graph, np.int64(2), np.uint8(3))


def test_lists_are_arrays(network: Network) -> None:
    image = network.inputs["image"]
    expected = accel_sim.run(network.program, image).outputs["logits"]
    real = (image.astype(np.float64) - network.graph.tensors["image"].quant.zero_point[0]).tolist()
    scale = network.graph.tensors["image"].quant.scale[0]
    given = (np.array(real) * scale).tolist()
    for inputs in (given, {"image": given}):
        np.testing.assert_array_equal(accel_sim.run(network.program, inputs).outputs["logits"], expected)


def test_more_threads_than_any_machine_has_are_a_mistake(network: Network) -> None:
    with pytest.raises(accel_sim.InputError, match="at least 1 and at most 1,024"):
        accel_sim.run(network.program, network.inputs, threads=10**30)


def test_every_override_that_is_wrong_is_told(network: Network) -> None:
    overrides = ("weights.bits=400", "nothing=3", "weights.bits", "rounding.method=best")
    with pytest.raises(accel_sim.QuantizationError) as caught:
        accel_sim.quantize_with_report(network.floating, network.calibration, overrides=overrides)
    assert len(caught.value.faults) == len(overrides)


def test_a_network_in_the_wrong_form_is_one_fault(network: Network) -> None:
    for graph, form, cure in ((network.floating, "qdq", "quantize the graph"), (network.graph, "float", "")):
        with pytest.raises(accel_sim.UnsupportedModelError) as caught:
            accel_sim.write_onnx(graph, form=form)
        (fault,) = caught.value.faults
        assert (fault.where, fault.cure) == ("tensors", cure)


def test_labels_of_the_debugging_flow_are_classes(network: Network) -> None:
    for labels, said in (([1, 2, 3, 40], "40 of sample 3"), ([1, 2, 3], "3 for 4 samples"), ([1] * 5, "5 for 4")):
        with pytest.raises(accel_sim.InputError, match=said):
            accel_sim.debug(network.floating, network.calibration, labels=np.array(labels))
