"""Intervals of codes: no tensor of any network leaves its interval, and what should be exact is."""

import numpy as np
import pytest

import accel_sim
from accel_sim.analysis.overflow.bounds import InputKind, InputRange, prove
from accel_sim.analysis.overflow.dot_products import dot_products
from accel_sim.analysis.overflow.interval_propagation import propagate
from accel_sim.analysis.overflow.intervals import Interval, input_range, observed
from accel_sim.analysis.samples import random_inputs, stored
from accel_sim.ir import (
    Activation,
    Add,
    AveragePool2D,
    Clip,
    Concat,
    Conv2D,
    ElementType,
    GlobalAveragePool2D,
    Graph,
    Logistic,
    MaxPool2D,
    Multiply,
    Node,
    Padding2D,
    QuantParams,
    Reshape,
    Softmax,
    Tensor,
    Transpose,
)
from accel_sim.numerics.profiles import get_profile
from accel_sim.reference import evaluate_integer

NETWORKS = [
    "tflite/pretrainedResnet_quant.tflite",
    "tflite/kws_ref_model.tflite",
    "tflite/vww_96_int8.tflite",
    "tflite/ad01_int8.tflite",
    "tflite/mobilenet_v1_0.25_128_quant.tflite",
    "onnx/cifar_resnet20_qdq_u8s8_pertensor.onnx",
    "onnx/cifar_resnet20_qop_s8s8_perchannel.onnx",
    "onnx/squeezenet1.1_qop_u8u8_pertensor.onnx",
]
S8 = QuantParams.per_tensor(0.05, 3)


def tensor(name, shape, quant=S8):
    return Tensor(name, shape, ElementType.for_grid(quant), quant)


def chain(*steps, shape=(1, 4, 4, 3)):
    """One operator after the other: (op, output shape, output grid), from an input x."""
    tensors, nodes = {"x": tensor("x", shape)}, []
    last = "x"
    for i, (op, out_shape, quant, *others) in enumerate(steps):
        for other in others:
            tensors[other.name] = other
        name = f"t{i}"
        tensors[name] = tensor(name, out_shape, quant)
        nodes.append(Node(name, op, (last, *(o.name for o in others)), (name,)))
        last = name
    return Graph("g", tuple(nodes), tensors, ("x",), (last,))


def assert_inside(graph, profile, arrays, intervals):
    values = evaluate_integer(graph, arrays, profile)
    for name, seen in observed(graph, values).items():
        if name in intervals:
            assert (intervals[name].low <= seen.low).all(), name
            assert (seen.high <= intervals[name].high).all(), name


@pytest.mark.parametrize("file", NETWORKS)
def test_no_tensor_of_a_network_leaves_its_interval(data, file):
    graph = accel_sim.load(data / file)
    profile = get_profile("tflite" if file.endswith("tflite") else "onnxruntime")
    intervals = propagate(graph, profile)
    arrays = stored(graph, random_inputs(graph, 1, seed=5))
    for codes in (None, "low", "high"):
        if codes:
            arrays = {n: np.full_like(a, getattr(graph.tensors[n].quant, codes)) for n, a in arrays.items()}
        assert_inside(graph, profile, arrays, intervals)


Q = QuantParams.per_tensor
WEIGHTS = np.random.default_rng(1).integers(-128, 128, (4, 3, 3, 3)).astype(np.int8)
CASES = {
    "convolution": chain(
        (
            Conv2D(padding=Padding2D(1, 1, 1, 1), activation=Activation(0.0, 6.0)),
            (1, 4, 4, 4),
            Q(0.03, -128),
            Tensor("w", WEIGHTS.shape, ElementType.INT8, Q(0.02), WEIGHTS),
        ),
        (MaxPool2D((2, 2), (2, 2)), (1, 2, 2, 4), Q(0.03, -128)),
        (GlobalAveragePool2D(), (1, 1, 1, 4), Q(0.03, -128)),
        (Softmax(), (1, 1, 1, 4), Q(1 / 256, -128)),
    ),
    "pooling": chain(
        (AveragePool2D((3, 3), (1, 1), Padding2D(1, 1, 1, 1)), (1, 4, 4, 3), S8),
        (Logistic(), (1, 4, 4, 3), Q(1 / 256, -128)),
        (Transpose((0, 3, 1, 2)), (1, 3, 4, 4), Q(1 / 256, -128)),
        (Reshape(), (1, 48), Q(1 / 256, -128)),
    ),
    "sums": chain(
        (Clip(Activation(-1.0, 1.0)), (1, 4, 4, 3), S8),
        (
            Add(),
            (1, 4, 4, 3),
            Q(0.1, -7),
            Tensor("c", (3,), ElementType.INT8, Q(0.2, 5), np.array([-128, 0, 99], np.int8)),
        ),
        (
            Multiply(),
            (1, 4, 4, 3),
            Q(0.3, 11),
            Tensor("d", (1,), ElementType.INT8, Q(0.07, -1), np.array([77], np.int8)),
        ),
        (
            Concat(3),
            (1, 4, 4, 4),
            Q(0.3, 11),
            Tensor("e", (1, 4, 4, 1), ElementType.INT8, Q(0.3, 11), np.zeros((1, 4, 4, 1), np.int8)),
        ),
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("profile", ["tflite", "paper"])
def test_no_operator_leaves_its_interval(case, profile):
    graph, profile = CASES[case], get_profile(profile)
    rng = np.random.default_rng(2)
    for low, high in ((-128, 127), (0, 0), (-5, 20), (100, 127)):
        given = {"x": Interval(np.full(3, low), np.full(3, high))}
        intervals = propagate(graph, profile, given)
        for _ in range(10):
            draw = rng.integers(low, high, (1, 4, 4, 3), endpoint=True)
            extreme = rng.choice([low, high], (1, 4, 4, 3))
            for x in (draw, extreme):
                assert_inside(graph, profile, {"x": x.astype(np.int8)}, intervals)


def test_a_table_over_an_interval_is_exact():
    graph = chain((Clip(Activation(-1.0, 1.0)), (1, 4, 4, 3), S8))
    intervals = propagate(graph, get_profile("tflite"))
    assert (set(intervals["t0"].low), set(intervals["t0"].high)) == ({3 - 20}, {3 + 20})


def test_an_interval_narrows_the_proof_of_the_next_layer():
    grid = Q(0.03, -128)
    w1 = Tensor(
        "w1", (2, 1, 1, 3), ElementType.INT8, Q(0.001), np.array([[1, 0, 0], [90, 90, 90]], np.int8)[:, None, None]
    )
    w2 = Tensor("w2", (1, 1, 1, 2), ElementType.INT8, Q(0.001), np.array([[[[100, 1]]]], np.int8))
    graph = chain((Conv2D(), (1, 4, 4, 2), grid, w1), (Conv2D(), (1, 4, 4, 1), grid, w2))
    profile = get_profile("tflite")
    _, second = dot_products(graph)
    narrow = prove(second, input_range(second, InputKind.INTERVAL, propagate(graph, profile)))
    wide = prove(second, InputRange.of_type(second))
    assert narrow.every_order.bits < wide.every_order.bits
    assert len(narrow.inputs.low) == 2  # the two channels of the first layer reach differently far
