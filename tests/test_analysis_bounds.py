"""Static accumulator bounds: sound for every input in every order, exact, and tighter than the coarse ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_sim.analysis.overflow.bounds import accumulator_bound, fits, signed_bits
from accel_sim.analysis.overflow.dot_products import dot_products
from accel_sim.ir import Conv2D, ElementType, FullyConnected, Graph, MatMul, Node, QuantParams, Tensor, TransposeConv2D


def activation(name, shape, quant):
    return Tensor(name, shape, ElementType.for_grid(quant), quant)


def constant(name, data, quant=None):
    return Tensor(name, data.shape, ElementType(data.dtype.name), quant, data)


def one_node(op, tensors, output_shape=(1, 1)):
    y = Tensor("y", output_shape, ElementType.INT32)
    named = {t.name: t for t in (*tensors, y)}
    inputs = tuple(t.name for t in tensors if not t.is_constant)
    return Graph("g", (Node("n", op, tuple(t.name for t in tensors), ("y",)),), named, inputs, ("y",))


def bound_of(graph):
    (products,) = dot_products(graph)
    return accumulator_bound(products)


grids = st.one_of(
    st.builds(lambda z: QuantParams.per_tensor(0.5, z, signed=True), st.integers(-128, 127)),
    st.builds(lambda z: QuantParams.per_tensor(0.5, z, signed=False), st.integers(0, 255)),
    st.just(QuantParams.per_tensor(0.5, 0, bits=16)),
)
weights = st.lists(st.integers(-128, 127), min_size=1, max_size=6)


def fully_connected(x_grid, rows, bias):
    w = np.array(rows, np.int8)
    return one_node(
        FullyConnected(),
        (
            activation("x", (1, w.shape[1]), x_grid),
            constant("w", w, QuantParams.per_tensor(1.0)),
            constant("b", np.array(bias, np.int64)),
        ),
    )


@given(grids, weights, st.integers(-(2**40), 2**40), st.data())
def test_no_partial_sum_in_any_order_leaves_the_range_and_both_ends_are_reached(grid, row, bias, data):
    bound = bound_of(fully_connected(grid, [row], [bias]))
    order = data.draw(st.permutations(range(len(row))))
    x = data.draw(st.lists(st.integers(grid.low, grid.high), min_size=len(row), max_size=len(row)))
    partial = bias
    for i in order:
        partial += row[i] * (x[i] - grid.zero_point[0])
        assert bound.minimum <= partial <= bound.maximum
    for extreme, positive_input in ((bound.maximum, grid.high), (bound.minimum, grid.low)):
        other = grid.low + grid.high - positive_input
        witness = [positive_input if q > 0 else other for q in row]
        assert bias + sum(q * (v - grid.zero_point[0]) for q, v in zip(row, witness, strict=True)) == extreme


@given(grids, weights, st.integers(-(2**31), 2**31 - 1))
def test_coarse_bounds_are_never_tighter_than_the_exact_one(grid, row, bias):
    bound = bound_of(fully_connected(grid, [row], [bias]))
    assert bound.safe_bits <= bound.l1_bits <= bound.type_bits


@given(st.integers(-(2**70), 2**70), st.integers(0, 2**70))
def test_signed_bits_is_the_narrowest_twos_complement_width(low, extent):
    high = low + extent
    bits = signed_bits(low, high)
    assert -(2 ** (bits - 1)) <= low
    assert high <= 2 ** (bits - 1) - 1
    assert bits == 1 or not (-(2 ** (bits - 2)) <= low and high <= 2 ** (bits - 2) - 1)
    assert fits(low, high, bits)
    assert not fits(low, high, bits - 1)


@pytest.mark.parametrize(
    ("terms", "grid", "bits"),
    [
        # the longest sums of int8 x int8 and int16 x int8 products, all at -2^(N-1) x -2^(M-1), that 32 bits hold
        (131_071, QuantParams.per_tensor(1.0, 0), 32),
        (131_072, QuantParams.per_tensor(1.0, 0), 33),
        (511, QuantParams.per_tensor(1.0, 0, bits=16), 32),
        (512, QuantParams.per_tensor(1.0, 0, bits=16), 33),
    ],
)
def test_data_type_bound_of_long_sums(terms, grid, bits):
    graph = fully_connected(grid, np.zeros((1, terms)), [0])
    assert bound_of(graph).type_bits == bits


def test_channels_have_bounds_of_their_own_and_the_layer_has_the_widest():
    bound = bound_of(fully_connected(QuantParams.per_tensor(1.0, -128), [[1, 0], [127, 127], [-3, 1]], [0, 0, 5]))
    assert bound.channel_min == (0, 0, 5 - 3 * 255)
    assert bound.channel_max == (255, 2 * 127 * 255, 5 + 255)
    assert bound.channel_bits == (9, 17, 11)
    assert (bound.safe_bits, bound.proves(17), bound.proves(16)) == (17, True, False)
    assert [bound.channels_proved(bits) for bits in (8, 9, 11, 17)] == [0, 1, 2, 3]


def test_asymmetric_weights_are_centred():
    w = constant("w", np.array([[[[0, 255]]]], np.uint8), QuantParams.per_tensor(1.0, 100, signed=False))
    x = activation("x", (1, 1, 1, 2), QuantParams.per_tensor(1.0, 0, signed=False))
    bound = bound_of(one_node(Conv2D(), (x, w), (1, 1, 1, 1)))
    assert (bound.minimum, bound.maximum) == (-100 * 255, 155 * 255)


def brute_force_transposed(x, w, op, size):
    """Sum of |contributions| by sign at every output position, for inputs at an extreme: the definition, in loops."""
    (sh, sw), (dh, dw) = op.strides, op.dilations
    positive, negative = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for i in range(x[0]):
        for j in range(x[1]):
            for p in range(w.shape[1]):
                for q in range(w.shape[2]):
                    oy, ox = i * sh + p * dh - op.padding.top, j * sw + q * dw - op.padding.left
                    if 0 <= oy < size[0] and 0 <= ox < size[1]:
                        positive[oy, ox] += np.maximum(w[0, p, q], 0).sum()
                        negative[oy, ox] += np.minimum(w[0, p, q], 0).sum()
    return positive, negative


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_transposed_convolution_counts_only_taps_that_meet(stride, dilation, kh, kw, seed):
    w = np.random.default_rng(seed).integers(-128, 128, (1, kh, kw, 2)).astype(np.int8)
    op = TransposeConv2D(strides=(stride, stride), dilations=(dilation, dilation))
    x = activation("x", (1, 12, 12, 2), QuantParams.per_tensor(1.0, 0, signed=False))
    size = tuple(11 * stride + (k - 1) * dilation + 1 for k in (kh, kw))
    bound = bound_of(one_node(op, (x, constant("w", w, QuantParams.per_tensor(1.0))), (1, *size, 1)))
    positive, negative = brute_force_transposed((12, 12), w.astype(np.int64), op, size)
    assert (bound.minimum, bound.maximum) == (255 * negative.min(), 255 * positive.max())


@pytest.mark.parametrize(("transpose_a", "transpose_b"), [(False, False), (True, False), (False, True)])
def test_matrix_product_with_a_constant_is_bound_by_its_columns(transpose_a, transpose_b):
    b = np.array([[1, -2, 3], [4, 5, -6]], np.int8)  # [K, N]
    grid = QuantParams.per_tensor(1.0, 0, signed=False)
    a = activation("a", (2, 7) if transpose_a else (7, 2), grid)
    constant_b = constant("b", np.ascontiguousarray(b.T) if transpose_b else b, QuantParams.per_tensor(1.0))
    bound = bound_of(one_node(MatMul(transpose_a, transpose_b), (a, constant_b)))
    assert bound.terms == 2
    assert bound.channel_max == (5 * 255, 5 * 255, 3 * 255)
    assert bound.channel_min == (0, -2 * 255, -6 * 255)


def test_matrix_product_of_two_activations_is_bound_by_their_ranges():
    a = activation("a", (4, 10), QuantParams.per_tensor(1.0, -1))
    b = activation("b", (10, 3), QuantParams.per_tensor(1.0, 127))
    bound = bound_of(one_node(MatMul(), (a, b)))
    assert (bound.minimum, bound.maximum) == (10 * 128 * -255, 10 * -127 * -255)
    assert bound.l1_bits is None
    assert bound.safe_bits <= bound.type_bits
