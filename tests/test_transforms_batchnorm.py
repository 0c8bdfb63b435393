"""Folding batch norms, forward and backward: what changes, what is left alone, and that the function stays."""

import numpy as np
import pytest
from float_graphs import FloatGraph, operators
from same_function import PADDED, assert_same_function

from accel_sim.errors import GraphError
from accel_sim.ir import (
    RELU,
    Add,
    Conv2D,
    FullyConnected,
    Graph,
    Reshape,
    TransposeConv2D,
)
from accel_sim.transforms import (
    fold_batchnorm,
)


def convolution_with_batchnorm(groups: int = 1, *, bias: bool = True) -> Graph:
    g = FloatGraph(groups)
    x = g.input("x", (2, 6, 5, 4))
    weights = g.normal(8, 3, 3, 4 // groups)
    y = g.op(Conv2D(padding=PADDED, groups=groups), x, weights, g.normal(8) if bias else "", shape=(2, 6, 5, 8))
    return g.graph(g.batchnorm(y, name="y"))


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("bias", [False, True])
def test_forward_folding_keeps_the_function(groups: int, bias: bool) -> None:
    before = convolution_with_batchnorm(groups, bias=bias)
    after = fold_batchnorm(before)
    assert operators(after) == ["Conv2D"]
    assert_same_function(before, after)


def test_forward_folding_is_equations_11_and_12() -> None:
    before = convolution_with_batchnorm(bias=False)
    convolution, batchnorm = before.nodes
    weights = before.operand(convolution, 1).constant.astype(np.float64)
    gamma, beta, mean, variance = (before.operand(batchnorm, i).constant.astype(np.float64) for i in range(1, 5))
    after = fold_batchnorm(before)
    deviation = np.sqrt(variance + batchnorm.op.epsilon)
    expected = weights * (gamma / deviation)[:, None, None, None]
    np.testing.assert_array_equal(after.operand(after.nodes[0], 1).constant, expected.astype(np.float32))
    np.testing.assert_array_equal(
        after.operand(after.nodes[0], 2).constant, (beta - gamma * mean / deviation).astype(np.float32)
    )


def test_forward_folding_of_transposed_convolution_and_fully_connected() -> None:
    g = FloatGraph()
    x = g.input("x", (1, 4, 4, 3))
    up = g.op(TransposeConv2D(strides=(2, 2)), x, g.normal(6, 2, 2, 3), shape=(1, 8, 8, 6))
    flat = g.op(Reshape(), g.batchnorm(up), shape=(1, 384))
    dense = g.op(FullyConnected(), flat, g.normal(5, 384), g.normal(5), shape=(1, 5))
    before = g.graph(g.batchnorm(dense, name="y"))
    after = fold_batchnorm(before)
    assert operators(after) == ["TransposeConv2D", "Reshape", "FullyConnected"]
    assert_same_function(before, after)


def test_two_batchnorms_in_a_row_both_fold() -> None:
    g = FloatGraph()
    y = g.op(Conv2D(), g.input("x", (1, 4, 4, 3)), g.normal(2, 1, 1, 3), shape=(1, 4, 4, 2))
    before = g.graph(g.batchnorm(g.batchnorm(y), name="y"))
    after = fold_batchnorm(before)
    assert operators(after) == ["Conv2D"]
    assert_same_function(before, after)


def test_weights_that_two_layers_share_fold_apart() -> None:
    g = FloatGraph()
    x, weights = g.input("x", (1, 4, 4, 3)), g.normal(2, 1, 1, 3)
    first = g.batchnorm(g.op(Conv2D(), x, weights, shape=(1, 4, 4, 2)))
    second = g.batchnorm(g.op(Conv2D(), x, weights, shape=(1, 4, 4, 2)))
    before = g.graph(g.op(Add(), first, second, shape=(1, 4, 4, 2), name="y"))
    after = fold_batchnorm(before)
    assert operators(after) == ["Conv2D", "Conv2D", "Add"]
    assert_same_function(before, after)


def test_a_layer_with_another_reader_does_not_fold_forward() -> None:
    g = FloatGraph()
    y = g.op(Conv2D(), g.input("x", (1, 4, 4, 3)), g.normal(2, 1, 1, 3), shape=(1, 4, 4, 2))
    before = g.graph(g.op(Add(), y, g.batchnorm(y), shape=(1, 4, 4, 2), name="y"))
    after = fold_batchnorm(before)
    assert operators(after) == ["Conv2D", "Conv2D", "Add"]
    assert after.nodes[1].op == Conv2D(groups=2)
    assert_same_function(before, after)


def test_a_layer_whose_result_is_an_output_does_not_fold_forward() -> None:
    g = FloatGraph()
    y = g.op(Conv2D(), g.input("x", (1, 4, 4, 3)), g.normal(2, 1, 1, 3), shape=(1, 4, 4, 2))
    before = g.graph(y, g.batchnorm(y, name="y"))
    after = fold_batchnorm(before)
    assert operators(after) == ["Conv2D", "Conv2D"]
    assert_same_function(before, after)


@pytest.mark.parametrize("groups", [1, 2])
def test_backward_folding_into_an_unpadded_convolution(groups: int) -> None:
    g = FloatGraph()
    x = g.batchnorm(g.input("x", (1, 5, 5, 4)))
    before = g.graph(
        g.op(Conv2D(groups=groups), x, g.normal(6, 3, 3, 4 // groups), g.normal(6), shape=(1, 3, 3, 6), name="y")
    )
    after = fold_batchnorm(before)
    assert operators(after) == ["Conv2D"]
    assert_same_function(before, after)


def test_backward_folding_into_fully_connected_over_several_pixels() -> None:
    g = FloatGraph()
    x = g.batchnorm(g.input("x", (1, 2, 3, 4)))
    before = g.graph(g.op(FullyConnected(RELU), x, g.normal(5, 24), shape=(1, 5), name="y"))
    after = fold_batchnorm(before)
    assert operators(after) == ["FullyConnected"]
    assert_same_function(before, after)


def test_a_padded_convolution_is_not_folded_backward() -> None:
    g = FloatGraph()
    x = g.batchnorm(g.input("x", (1, 5, 5, 4)))
    before = g.graph(g.op(Conv2D(padding=PADDED), x, g.normal(6, 3, 3, 4), shape=(1, 5, 5, 6), name="y"))
    after = fold_batchnorm(before)
    assert [n.op for n in after.nodes] == [Conv2D(groups=4), Conv2D(padding=PADDED)]
    assert_same_function(before, after)


def test_a_padded_convolution_is_folded_backward_where_nothing_is_added() -> None:
    g = FloatGraph()
    zeros = np.zeros(4)
    x = g.batchnorm(g.input("x", (1, 5, 5, 4)), beta=zeros, mean=zeros)
    before = g.graph(g.op(Conv2D(padding=PADDED), x, g.normal(6, 3, 3, 4), shape=(1, 5, 5, 6), name="y"))
    after = fold_batchnorm(before)
    assert operators(after) == ["Conv2D"]
    assert_same_function(before, after)


@pytest.mark.parametrize("shape", [(2, 4, 4, 3), (2, 3), (2, 5, 3), (3,)])
def test_a_lone_batchnorm_is_a_depthwise_convolution(shape: tuple[int, ...]) -> None:
    g = FloatGraph()
    before = g.graph(g.batchnorm(g.input("x", shape), name="y"))
    after = fold_batchnorm(before)
    assert [n.op for n in after.nodes if isinstance(n.op, Conv2D)] == [Conv2D(groups=3)]
    assert_same_function(before, after)


def test_every_bad_batchnorm_parameter_is_told_at_once() -> None:
    g = FloatGraph()
    x = g.input("x", (1, 2, 2, 2))
    y = g.batchnorm(x, variance=np.array([1.0, -1.0]))
    before = g.graph(g.batchnorm(y, name="y", gamma=np.array([np.nan, 1.0])))
    with pytest.raises(GraphError) as caught:
        fold_batchnorm(before)
    assert len(caught.value.faults) == 2
    assert "variance + epsilon is positive" in str(caught.value)
