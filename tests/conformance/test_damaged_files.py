"""Damaged files, the whole way: an AccelSimError or a run, never another exception, a hang or a flood of memory."""

import time

import numpy as np
import pytest
from conformance.harness import SEED

import accel_sim
from accel_sim import demo_data

REAL = [
    "tflite/ad01_int8.tflite",
    "tflite/kws_ref_model.tflite",
    "tflite/mobilenet_v1_0.25_128_quant.tflite",
    "onnx/cifar_resnet20_qop_s8s8_perchannel.onnx",
]
_EDGE = 30_000  # bytes at either end of a file, where its structure lies
_SECONDS = 60  # for one file; a run takes a fraction of one
_LARGEST_INPUT = 1_000_000  # elements that are still run


@pytest.fixture(scope="module")
def bundled():
    """The bundled network, quantized: the one file that every machine has."""
    graph = accel_sim.quantize(accel_sim.load(demo_data.network_bytes()), demo_data.calibration(), "minmax")
    return accel_sim.write_onnx(graph)


def place(rng, size):
    """Anywhere, or near the beginning or the end."""
    edge = min(size, _EDGE)
    return int(rng.choice([rng.integers(size), rng.integers(edge), size - 1 - rng.integers(edge)]))


def damaged(content, rng):
    """A copy with one to five places changed: a flipped bit, an extreme byte, a random word; or cut off."""
    copy, kind = bytearray(content), rng.choice(["bit", "byte", "word", "cut"], p=[0.3, 0.3, 0.3, 0.1])
    for _ in range(rng.integers(1, 6)):
        at = place(rng, len(copy))
        if kind == "bit":
            copy[at] ^= 1 << int(rng.integers(8))
        elif kind == "byte":
            copy[at] = int(rng.choice([0, 1, 127, 128, 255]))
        elif kind == "word":
            copy[at : at + 4] = rng.integers(0, 256, len(copy[at : at + 4]), np.uint8).tobytes()
        else:
            return bytes(copy[:at])
    return bytes(copy)


def survives(content):
    """Load, compile, run and bound a file; whether it still was a network."""
    start = time.monotonic()
    try:
        graph = accel_sim.load(content)
        program = accel_sim.compile(graph)
        if sum(graph.tensors[name].size for name in graph.inputs) <= _LARGEST_INPUT:
            accel_sim.run(program, accel_sim.random_inputs(graph), "functional", threads=1)
        accel_sim.overflow(graph)
        return True
    except accel_sim.AccelSimError:
        return False
    finally:
        assert time.monotonic() - start < _SECONDS


def campaign(content, models, salt):
    rng = np.random.default_rng([SEED, salt])
    outcomes = {survives(damaged(content, rng)) for _ in range(models)}
    assert outcomes == {False, True}, "some damage is fatal and some is not, or nothing was tried"


def test_the_bundled_network(bundled, models):
    campaign(bundled, models, 0)


@pytest.mark.parametrize("name", REAL)
def test_real_networks(data, name, models):
    campaign((data / name).read_bytes(), models, 1 + REAL.index(name))


def test_every_truncation_of_the_header_is_told(bundled):
    for length in range(64):
        with pytest.raises(accel_sim.ModelError):
            accel_sim.load(bundled[:length])
