"""Rewrites: what each changes, what it must leave alone, and that the float function stays."""

import math
from dataclasses import replace

import numpy as np
import pytest
from float_graphs import FloatGraph, operators
from same_function import PADDED, assert_same_function

from accel_sim.errors import GraphError
from accel_sim.ir import (
    RELU,
    RELU6,
    Activation,
    Add,
    AveragePool2D,
    Clip,
    Concat,
    Conv2D,
    ElementType,
    FullyConnected,
    Graph,
    MatMul,
    MaxPool2D,
    Multiply,
    Pad,
    QuantParams,
    Requantize,
    Reshape,
    ResizeNearest,
    Slice,
    Tensor,
    Transpose,
)
from accel_sim.transforms import (
    CANONICAL_FLOAT,
    center_weights,
    deduplicate_constants,
    eliminate_dead,
    eliminate_identities,
    fuse_activation,
    matmul_to_fully_connected,
    run_passes,
)
from accel_sim.transforms.fuse_activation import compose

# --- activations ----------------------------------------------------------------------------------


def test_a_clip_fuses_into_what_feeds_it() -> None:
    g = FloatGraph()
    x = g.input("x", (1, 4, 4, 3))
    y = g.op(Conv2D(), x, g.normal(3, 1, 1, 3), shape=(1, 4, 4, 3))
    y = g.op(Clip(RELU), y, shape=(1, 4, 4, 3))
    y = g.op(Add(), y, x, shape=(1, 4, 4, 3))
    y = g.op(Clip(RELU), y, shape=(1, 4, 4, 3))
    before = g.graph(g.op(Clip(RELU6), y, shape=(1, 4, 4, 3), name="y"))
    after = fuse_activation(before)
    assert [n.op for n in after.nodes] == [Conv2D(activation=RELU), Add(RELU6)]
    assert_same_function(before, after)


def test_a_clip_stays_where_others_see_the_unclamped_tensor() -> None:
    g = FloatGraph()
    x = g.input("x", (1, 4))
    total = g.op(Add(), x, x, shape=(1, 4))
    clipped = g.op(Clip(RELU), total, shape=(1, 4), name="y")
    read_twice = g.graph(g.op(Multiply(), total, clipped, shape=(1, 4), name="z"))
    assert operators(fuse_activation(read_twice)) == ["Add", "Clip", "Multiply"]
    assert operators(fuse_activation(g.graph(total, clipped))) == ["Add", "Clip", "Multiply"]


def test_a_clip_after_pooling_or_an_input_stays() -> None:
    g = FloatGraph()
    x = g.op(Clip(RELU), g.input("x", (1, 4, 4, 3)), shape=(1, 4, 4, 3))
    pooled = g.op(MaxPool2D((2, 2), (2, 2)), x, shape=(1, 2, 2, 3))
    graph = g.graph(g.op(Clip(RELU6), pooled, shape=(1, 2, 2, 3), name="y"))
    assert operators(fuse_activation(graph)) == ["Clip", "MaxPool2D", "Clip"]


def test_integer_tensors_are_not_fused() -> None:
    grid = QuantParams.per_tensor(0.5, 3, signed=False)
    g = FloatGraph()
    x = g.input("x", (1, 4))
    graph = g.graph(g.op(Clip(RELU), g.op(Add(), x, x, shape=(1, 4)), shape=(1, 4), name="y"))
    tensors = {n: replace(t, element=ElementType.UINT8, quant=grid) for n, t in graph.tensors.items()}
    assert operators(fuse_activation(replace(graph, tensors=tensors))) == ["Add", "Clip"]


BOUNDS = [-math.inf, -2.0, 0.0, 1.0, 6.0, math.inf]
CLAMPS = [
    Activation(low, high) for low in BOUNDS for high in BOUNDS if low <= high and low < math.inf and high > -math.inf
]


def clamp(x: np.ndarray, activation: Activation) -> np.ndarray:
    return np.minimum(np.maximum(x, activation.low), np.array(activation.high))


@pytest.mark.parametrize("first", CLAMPS)
def test_two_clamps_are_one(first: Activation) -> None:
    x = np.linspace(-9, 9, 73)
    for then in CLAMPS:
        both = compose(first, then)
        assert both is not None
        np.testing.assert_array_equal(clamp(x, both), clamp(clamp(x, first), then))


def test_caps_per_channel_compose() -> None:
    x = np.linspace(-9, 9, 73)[:, None] + np.zeros(3)
    first, then = Activation(0.0, (1.0, 4.0, math.inf)), Activation(-1.0, 3.0)
    both = compose(first, then)
    assert both == Activation(0.0, (1.0, 3.0, 3.0))
    np.testing.assert_array_equal(clamp(x, both), clamp(clamp(x, first), then))
    assert compose(Activation(2.0), Activation(0.0, (1.0, 5.0))) is None


def test_the_largest_float_is_no_bound() -> None:
    largest = float(np.finfo(np.float32).max)
    assert compose(RELU, Activation(-largest, largest)) == RELU


# --- dense layers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("shape", [(2, 6), (2, 3, 6)])
def test_a_product_with_a_constant_and_its_bias_is_a_dense_layer(transpose: bool, shape: tuple[int, ...]) -> None:
    g = FloatGraph()
    matrix = g.normal(5, 6) if transpose else g.normal(6, 5)
    out = (*shape[:-1], 5)
    product = g.op(MatMul(transpose_b=transpose), g.input("x", shape), matrix, shape=out)
    before = g.graph(g.op(Add(RELU), g.normal(5), product, shape=out, name="y"))
    after = matmul_to_fully_connected(before)
    assert [n.op for n in after.nodes] == [FullyConnected(RELU)]
    assert_same_function(before, after)


def test_a_product_of_activations_stays() -> None:
    g = FloatGraph()
    graph = g.graph(g.op(MatMul(), g.input("a", (2, 3)), g.input("b", (3, 4)), shape=(2, 4), name="y"))
    assert operators(matmul_to_fully_connected(graph)) == ["MatMul"]


def test_an_addition_that_broadcasts_the_product_stays() -> None:
    g = FloatGraph()
    product = g.op(MatMul(), g.input("x", (1, 3)), g.normal(3, 4), shape=(1, 4))
    graph = g.graph(g.op(Add(), product, g.normal(2, 4), shape=(2, 4), name="y"))
    after = matmul_to_fully_connected(graph)
    assert operators(after) == ["FullyConnected", "Add"]
    assert_same_function(graph, after)


# --- cleaning up ----------------------------------------------------------------------------------


def test_dead_nodes_go_and_inputs_stay() -> None:
    g = FloatGraph()
    x, unused = g.input("x", (1, 4)), g.input("unused", (1, 4))
    g.op(Add(), unused, g.constant([1.0]), shape=(1, 4))
    after = eliminate_dead(g.graph(g.op(Add(), x, x, shape=(1, 4), name="y")))
    assert (operators(after), after.inputs, set(after.tensors)) == (["Add"], ("x", "unused"), {"x", "unused", "y"})


IDENTITIES = [
    (Reshape(), (1, 4, 4, 2)),
    (Transpose((0, 1, 2, 3)), (1, 4, 4, 2)),
    (Slice((0, 0, 0, 0), (1, 1, 1, 1)), (1, 4, 4, 2)),
    (Pad((0, 0, 0, 0), (0, 0, 0, 0)), (1, 4, 4, 2)),
    (Clip(Activation()), (1, 4, 4, 2)),
    (Concat(3), (1, 4, 4, 2)),
    (MaxPool2D((1, 1)), (1, 4, 4, 2)),
    (AveragePool2D((1, 1)), (1, 4, 4, 2)),
    (ResizeNearest(), (1, 4, 4, 2)),
    (Requantize(), (1, 4, 4, 2)),
]
CHANGES = [
    (Transpose((0, 2, 1, 3)), (1, 4, 4, 2)),
    (Slice((0, 3, 0, 0), (1, -1, 1, 1)), (1, 4, 4, 2)),
    (Pad((0, 1, 0, 0), (0, -1, 0, 0)), (1, 4, 4, 2)),
    (Clip(RELU), (1, 4, 4, 2)),
    (MaxPool2D((3, 3), padding=PADDED), (1, 4, 4, 2)),
    (Reshape(), (1, 4, 2, 4)),
]


@pytest.mark.parametrize(("op", "shape"), IDENTITIES, ids=lambda v: getattr(v, "name", ""))
@pytest.mark.parametrize("position", ["inside", "output"])
def test_identities_go(op, shape, position: str) -> None:
    g = FloatGraph()
    x = g.input("x", (1, 4, 4, 2))
    y = g.op(op, g.op(Add(), x, x, shape=shape), shape=shape, name="same")
    graph = g.graph(g.op(Add(), y, x, shape=shape, name="y") if position == "inside" else y)
    after = eliminate_identities(graph)
    assert operators(after) == (["Add", "Add"] if position == "inside" else ["Add"])
    if not isinstance(op, Requantize):
        assert_same_function(graph, after, tolerance=0)


@pytest.mark.parametrize(("op", "shape"), CHANGES, ids=lambda v: getattr(v, "name", ""))
def test_what_changes_values_stays(op, shape) -> None:
    g = FloatGraph()
    graph = g.graph(g.op(op, g.input("x", (1, 4, 4, 2)), shape=shape, name="y"))
    assert eliminate_identities(graph).nodes == graph.nodes


def test_an_identity_between_input_and_output_stays() -> None:
    g = FloatGraph()
    graph = g.graph(g.op(Reshape(), g.input("x", (1, 4)), shape=(1, 4), name="y"))
    assert operators(eliminate_identities(graph)) == ["Reshape"]


def test_a_requantization_to_another_grid_stays() -> None:
    g = FloatGraph()
    graph = g.graph(g.op(Requantize(), g.input("x", (1, 4)), shape=(1, 4), name="y"))
    grids = {"x": QuantParams.per_tensor(0.5), "y": QuantParams.per_tensor(0.25)}
    tensors = {n: replace(t, element=ElementType.INT8, quant=grids[n]) for n, t in graph.tensors.items()}
    assert operators(eliminate_identities(replace(graph, tensors=tensors))) == ["Requantize"]


def test_equal_constants_are_one() -> None:
    g = FloatGraph()
    x = g.input("x", (1, 2))
    y = g.op(Add(), x, g.constant([1.0, 0.0]), shape=(1, 2))
    y = g.op(Add(), y, g.constant([1.0, 0.0]), shape=(1, 2))
    before = g.graph(g.op(Add(), y, g.constant([1.0, -0.0]), shape=(1, 2), name="y"))
    after = deduplicate_constants(before)
    assert sum(t.is_constant for t in after.tensors.values()) == 2
    assert_same_function(before, after, tolerance=0)


# --- weights around the middle code ---------------------------------------------------------------


def quantized_convolution(zero_points: tuple[int, ...]) -> Graph:
    g = FloatGraph()
    graph = g.graph(g.op(Conv2D(), g.input("x", (1, 2, 2, 3)), g.normal(2, 1, 1, 3), shape=(1, 2, 2, 2), name="y"))
    activation = QuantParams.per_tensor(0.5, 10, signed=False)
    weights = QuantParams.per_channel((0.1, 0.2), zero_points, axis=0, signed=False)
    codes = g.random.integers(0, 256, (2, 1, 1, 3)).astype(np.uint8)
    tensors = {n: replace(graph.tensors[n], element=ElementType.UINT8, quant=activation) for n in ("x", "y")}
    tensors["normal0"] = Tensor("normal0", (2, 1, 1, 3), ElementType.UINT8, weights, codes)
    return replace(graph, tensors=tensors)


def test_weights_around_the_middle_code_become_signed() -> None:
    before = quantized_convolution((128, 128))
    after = center_weights(before).tensors["normal0"]
    assert (after.element, after.quant.signed, after.quant.zero_point) == (ElementType.INT8, True, (0, 0))
    old = before.tensors["normal0"].constant.astype(int) - 128
    np.testing.assert_array_equal(after.constant, old)


def test_other_unsigned_weights_stay() -> None:
    before = quantized_convolution((128, 127))
    assert center_weights(before).tensors["normal0"] is before.tensors["normal0"]


# --- the runner -----------------------------------------------------------------------------------


def test_canonical_form_of_a_small_network() -> None:
    g = FloatGraph()
    x = g.input("x", (1, 8, 8, 3))
    y = g.op(Conv2D(padding=PADDED), x, g.normal(4, 3, 3, 3), shape=(1, 8, 8, 4))
    y = g.op(Clip(RELU), g.batchnorm(y), shape=(1, 8, 8, 4))
    y = g.op(Clip(RELU), g.batchnorm(y), shape=(1, 8, 8, 4))
    y = g.op(Reshape(), g.op(Reshape(), y, shape=(1, 8, 8, 4)), shape=(1, 256))
    before = g.graph(
        g.op(Add(), g.op(MatMul(), y, g.normal(256, 3), shape=(1, 3)), g.normal(3), shape=(1, 3), name="y")
    )
    after = run_passes(before)
    assert operators(after) == ["Conv2D", "Conv2D", "Reshape", "FullyConnected"]
    assert_same_function(before, after)
    assert operators(run_passes(after)) == operators(after)


def test_the_runner_names_a_pass_that_changes_the_interface() -> None:
    g = FloatGraph()
    graph = g.graph(g.op(Add(), g.input("x", (1, 2)), g.constant([1.0]), shape=(1, 2), name="y"))

    def loses_the_output(graph: Graph) -> Graph:
        return replace(graph, outputs=("x",))

    with pytest.raises(GraphError, match="loses_the_output"):
        run_passes(graph, [*CANONICAL_FLOAT, loses_the_output])
