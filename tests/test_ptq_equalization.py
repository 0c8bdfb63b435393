"""Cross-layer equalization and bias absorption: the float function stays, the ranges become equal."""

import numpy as np
import pytest

from accel_sim.errors import QuantizationError
from accel_sim.quantization.absorption import absorb, amount_from_batchnorm, amount_from_data
from accel_sim.quantization.equalization import ChainLayer, equalize, input_ranges, output_ranges


def convolve(x: np.ndarray, layer: ChainLayer, pad: np.ndarray | float = 0.0) -> np.ndarray:
    """x [N,H,W,Ci] through a stride 1 convolution that keeps H, W, and through its clamp; written out."""
    outputs, height, width, per_group = layer.weight.shape
    padded = np.empty((x.shape[0], x.shape[1] + height - 1, x.shape[2] + width - 1, x.shape[3]))
    padded[:] = pad
    padded[:, height // 2 : height // 2 + x.shape[1], width // 2 : width // 2 + x.shape[2]] = x
    y = np.zeros((*x.shape[:3], outputs))
    for o in range(outputs):
        first = o // (outputs // layer.groups) * per_group
        for i, j, c in np.ndindex(height, width, per_group):
            tap = padded[:, i : i + x.shape[1], j : j + x.shape[2], first + c]
            y[..., o] += layer.weight[o, i, j, c] * tap
    if layer.bias is not None:
        y += layer.bias
    return np.clip(y, layer.low, layer.high)


def dense(x: np.ndarray, layer: ChainLayer) -> np.ndarray:
    y = x.reshape(len(x), -1) @ layer.weight.T + (0 if layer.bias is None else layer.bias)
    return np.clip(y, layer.low, layer.high)


def uneven(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Weights whose output and input channels span three orders of magnitude."""
    outputs, inputs = 10 ** rng.uniform(-1.5, 1.5, shape[0]), 10 ** rng.uniform(-1.5, 1.5, shape[-1])
    return rng.standard_normal(shape) * outputs.reshape(-1, *[1] * (len(shape) - 1)) * inputs


CLAMPS = {"relu": (0.0, np.inf), "relu6": (0.0, 6.0), "linear": (-np.inf, np.inf)}


@pytest.mark.parametrize("clamp", CLAMPS)
def test_pair_keeps_its_function_and_equalizes_ranges(clamp):
    rng = np.random.default_rng(0)
    low, high = CLAMPS[clamp]
    pair = [
        ChainLayer("first", uneven(rng, 12, 3, 3, 5), rng.standard_normal(12), low=low, high=high),
        ChainLayer("second", uneven(rng, 7, 3, 3, 12), rng.standard_normal(7)),
    ]
    x = rng.standard_normal((2, 6, 6, 5))
    before, after = x, x
    result = equalize(pair)
    for old, new in zip(pair, result.layers, strict=True):
        before, after = convolve(before, old), convolve(after, new)
    np.testing.assert_allclose(after, before, rtol=1e-10, atol=1e-10 * np.abs(before).max())
    np.testing.assert_allclose(output_ranges(result.layers[0]), input_ranges(result.layers[1], 12), rtol=1e-12)
    assert result.sweeps == 1
    assert not result.dead[0].any()


@pytest.mark.parametrize("clamp", CLAMPS)
def test_depthwise_triple_keeps_its_function_and_equalizes_ranges(clamp):
    rng = np.random.default_rng(1)
    low, high = CLAMPS[clamp]
    triple = [
        ChainLayer("expand", uneven(rng, 10, 1, 1, 4), rng.standard_normal(10), low=low, high=high),
        ChainLayer("depthwise", uneven(rng, 10, 3, 3, 1), rng.standard_normal(10), groups=10, low=low, high=high),
        ChainLayer("project", uneven(rng, 6, 1, 1, 10), None),
    ]
    x = rng.standard_normal((2, 5, 5, 4))
    before, after = x, x
    result = equalize(triple)
    for old, new in zip(triple, result.layers, strict=True):
        before, after = convolve(before, old), convolve(after, new)
    np.testing.assert_allclose(after, before, rtol=1e-10, atol=1e-10 * np.abs(before).max())
    first, middle, last = result.layers
    np.testing.assert_allclose(output_ranges(first), output_ranges(middle), rtol=1e-3)
    np.testing.assert_allclose(output_ranges(middle), input_ranges(last, 10), rtol=1e-3)
    cube = np.cbrt(output_ranges(triple[0]) * output_ranges(triple[1]) * input_ranges(triple[2], 10))
    np.testing.assert_allclose(output_ranges(middle), cube, rtol=1e-3)
    if high == 6.0:
        np.testing.assert_allclose(first.high, 6.0 / result.factors[0])
        np.testing.assert_allclose(middle.high, 6.0 / result.factors[1])


def test_a_flattened_map_scales_by_channel():
    rng = np.random.default_rng(2)
    pair = [
        ChainLayer("conv", uneven(rng, 4, 1, 1, 3), rng.standard_normal(4), low=0.0),
        ChainLayer("dense", rng.standard_normal((5, 2 * 2 * 4)), rng.standard_normal(5)),
    ]
    x = rng.standard_normal((3, 2, 2, 3))
    new = equalize(pair).layers
    np.testing.assert_allclose(dense(convolve(x, new[0]), new[1]), dense(convolve(x, pair[0]), pair[1]), rtol=1e-9)
    np.testing.assert_allclose(output_ranges(new[0]), input_ranges(new[1], 4))


def test_equalization_lowers_the_error_of_a_per_tensor_grid():
    """What it is for: the channel with small weights no longer drowns in the grid of the large one."""
    w1, w2 = np.array([[1e-3], [1.0]]), np.array([[1.0, 1e-3]])
    layers = equalize([ChainLayer("a", w1), ChainLayer("b", w2)]).layers
    before, after = output_ranges(ChainLayer("a", w1)), output_ranges(layers[0])
    assert before.min() / before.max() == pytest.approx(1e-3)
    assert after.min() / after.max() == pytest.approx(1.0)


@pytest.mark.parametrize("tiny", [0.0, 2e-20, 1e-9])
def test_dead_channels_are_left_alone(tiny):
    """Unguarded, eq 22 would multiply the constant of such a channel by up to 1e9."""
    rng = np.random.default_rng(3)
    w1, w2 = rng.standard_normal((6, 4)), rng.standard_normal((3, 6))
    w1[2] *= tiny
    w2[:, 5] *= tiny
    w1[:, 0], w2[0] = 1.0, 1.0
    w1[2, 0], w2[0, 5] = tiny, tiny
    bias = np.full(6, 2.0)
    pair = [ChainLayer("a", w1, bias, low=0.0, high=6.0), ChainLayer("b", w2 / 4)]
    result = equalize(pair)
    np.testing.assert_array_equal(result.dead[0], [False, False, True, False, False, True])
    assert 1 <= result.factors[0][5] < 2
    assert result.factors[0][2] == 1.0
    np.testing.assert_array_equal(result.layers[0].weight[2], w1[2])
    assert np.abs(result.layers[0].bias).max() <= 2.0
    x = rng.standard_normal((9, 4))
    plain = dense(dense(x, pair[0]), pair[1])
    np.testing.assert_allclose(dense(dense(x, result.layers[0]), result.layers[1]), plain, rtol=1e-10)


def dead_triple(constant: float) -> list[ChainLayer]:
    """As trained networks have them: channel 1 is always f(constant), with large depthwise weights."""
    rng = np.random.default_rng(4)
    expand, depthwise, project = (rng.uniform(0.5, 1, s) for s in ((5, 1, 1, 3), (5, 3, 3, 1), (2, 1, 1, 5)))
    expand[1], depthwise[1], project[..., 1] = 1e-20, 56.0, 1e-20
    bias = np.array([1.0, constant, 0.5, 1.0, 1.0])
    return [
        ChainLayer("expand", expand, bias, low=0.0, high=6.0),
        ChainLayer("depthwise", depthwise, np.zeros(5), groups=5, low=0.0, high=6.0),
        ChainLayer("project", project),
    ]


@pytest.mark.parametrize("constant", [-1.2, 0.0, 1e-3, 2.0])
def test_large_weights_on_a_dead_channel_do_not_set_the_range(constant):
    triple = dead_triple(constant)
    result = equalize(triple)
    first, middle, _ = result.layers
    live = output_ranges(middle)[[0, 2, 3, 4]].max()
    if constant <= 1e-3:
        assert output_ranges(middle)[1] <= 1.1 * live
    assert np.clip(first.bias[1], first.low, first.high[1]) <= max(abs(first.bias[[0, 2, 3, 4]]).max(), constant) * 1.5
    assert result.dead[0].tolist() == result.dead[1].tolist() == [False, True, False, False, False]
    before = after = np.random.default_rng(5).standard_normal((1, 4, 4, 3))
    for old, new in zip(triple, result.layers, strict=True):
        before, after = convolve(before, old), convolve(after, new)
    np.testing.assert_allclose(after, before, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([ChainLayer("a", np.ones((2, 3)))], "at least two layers"),
        ([ChainLayer("a", np.ones((2, 3))), ChainLayer("b", np.ones((4, 5)))], "reads what the one before makes"),
        ([ChainLayer("a", np.full((2, 3), np.inf)), ChainLayer("b", np.ones((4, 2)))], "'a'.*infinite"),
    ],
    ids=["one layer", "channels", "infinite"],
)
def test_chains_that_cannot_be_equalized(layers, message):
    with pytest.raises(QuantizationError, match=message):
        equalize(layers)


@pytest.mark.parametrize("cap", [np.inf, 6.0])
@pytest.mark.parametrize("depthwise", [False, True])
def test_absorption_is_exact_on_its_data_even_at_padded_borders(cap, depthwise):
    rng = np.random.default_rng(4)
    first = ChainLayer("a", 0.3 * rng.standard_normal((8, 1, 1, 3)), rng.uniform(-1, 5, 8), low=0.0, high=cap)
    shape = (8, 3, 3, 1) if depthwise else (5, 3, 3, 8)
    second = ChainLayer("b", rng.standard_normal(shape), None, groups=8 if depthwise else 1)
    x = rng.standard_normal((4, 5, 5, 3))
    free = ChainLayer("a", first.weight, first.bias)
    amount = amount_from_data(convolve(x, free).min(axis=(0, 1, 2)), cap)
    assert (amount > 0).sum() >= 3
    moved = absorb(first.bias, second.weight, second.bias, amount, groups=second.groups, cap=cap)
    lowered = ChainLayer("a", first.weight, moved.first_bias, low=0.0, high=moved.cap)
    raised = ChainLayer("b", second.weight, moved.second_bias, second.groups)
    expected = convolve(convolve(x, first), second)
    hidden = convolve(x, lowered)
    np.testing.assert_allclose(hidden, convolve(x, first) - amount, atol=1e-12)
    np.testing.assert_allclose(convolve(hidden, raised, moved.pad_values), expected, atol=1e-11)
    zero_padded = convolve(hidden, raised)
    np.testing.assert_allclose(zero_padded[:, 1:-1, 1:-1], expected[:, 1:-1, 1:-1], atol=1e-11)
    assert np.abs(zero_padded - expected).max() > 0.1


def test_amount_without_data():
    beta, gamma = np.array([5.0, 5.0, 1.0, 40.0]), np.array([1.0, -1.0, 1.0, 2.0])
    np.testing.assert_allclose(amount_from_batchnorm(beta, gamma), [2, 2, 0, 34])
    np.testing.assert_allclose(amount_from_batchnorm(beta, gamma, cap=6.0), [2, 2, 0, 6])
    rng = np.random.default_rng(5)
    below = (rng.normal(beta[0], gamma[0], 400_000) < 2.0).mean()
    assert below == pytest.approx(1 - 0.99865, abs=2e-4)


def test_absorption_refuses_what_would_be_wrong():
    with pytest.raises(QuantizationError, match="0 <= c <= cap"):
        absorb(np.zeros(2), np.ones((3, 2)), None, np.array([1.0, 7.0]), cap=6.0)
    with pytest.raises(QuantizationError, match="0 <= c <= cap"):
        absorb(np.zeros(2), np.ones((3, 2)), None, np.array([-1.0, 0.0]))
    with pytest.raises(QuantizationError, match="reads what the first makes"):
        absorb(np.zeros(2), np.ones((3, 5)), None, np.zeros(2))
