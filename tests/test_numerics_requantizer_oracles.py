"""The requantizer of each profile against the software it reproduces, and proof that the comparison has teeth.

Accumulators over the whole int32 range, near ties, and beyond int32, where they wrap. Every deliberate mistake below
must make the same comparison fail.
"""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")
pytest.importorskip("onnxruntime")

from requantizer_oracles import litert_convolution, litert_fully_connected, onnxruntime_convolution
from requantizer_probe import INT32, draw_probe, wrapped

from accel_sim.arithmetic import AccumulatorKind, derive_requantization
from accel_sim.ir import QuantParams
from accel_sim.numerics import LITERT, ONNXRUNTIME, Rounding, wrap

CHANNELS = 4096
CASES = {
    "litert convolution": (LITERT, AccumulatorKind.CONVOLUTION, litert_convolution),
    "litert fully connected": (LITERT, AccumulatorKind.FULLY_CONNECTED, litert_fully_connected),
    "onnxruntime convolution": (ONNXRUNTIME, AccumulatorKind.CONVOLUTION, onnxruntime_convolution),
}


def probes(seed, count, *, per_channel=True):
    rng = np.random.default_rng(seed)
    return [draw_probe(rng, CHANNELS, per_channel=per_channel and i % 4 != 3) for i in range(count)]


def recipe_of(probe, profile, kind):
    x = QuantParams.per_tensor(float(probe.input_scale), -128)
    y = QuantParams.per_tensor(float(probe.output_scale), probe.output_zero_point)
    if len(probe.weight_scale) > 1:
        w = QuantParams.per_channel([float(s) for s in probe.weight_scale], axis=0)
    else:
        w = QuantParams.per_tensor(float(probe.weight_scale[0]))
    return derive_requantization(profile, kind, x, w, y)


def correct(recipe, accumulators):
    return recipe.apply(wrapped(accumulators))


def mismatches(case, count, requantize=correct):
    """Codes that differ from the oracle's, over `count` probes, when `requantize(recipe, exact sums)` makes ours."""
    profile, kind, oracle = CASES[case]
    wrong = 0
    for probe in probes(11, count):
        recipe = recipe_of(probe, profile, kind)
        wrong += int((requantize(recipe, probe.accumulators) != oracle(probe)).sum())
    return wrong


@pytest.mark.parametrize("case", CASES)
def test_forty_thousand_accumulators_become_the_oracles_codes(case):
    assert mismatches(case, 10) == 0


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_half_a_million_accumulators_become_the_oracles_codes(case):
    assert mismatches(case, 125) == 0


def saturated(recipe, accumulators):
    return recipe.apply(np.clip(accumulators, INT32.min, INT32.max))


def _scaled_by(recipe, divide):
    """The product of wrapped accumulator and multiplier, brought back by another rounding."""

    def requantize(accumulators):
        total = 31 - np.array(recipe.shift, object)
        scaled = divide(wrapped(accumulators).astype(object) * np.array(recipe.multiplier, object), total)
        return np.clip(scaled + recipe.zero_point, recipe.low[0], recipe.high[0]).astype(np.int64)

    return requantize


def single_rounding(recipe, accumulators):
    return replace(recipe, rounding=Rounding.SINGLE).apply(wrapped(accumulators))


def multiplier_of_16_bits(recipe, accumulators):
    return replace(recipe, rounding=Rounding.SINGLE_16BIT).apply(wrapped(accumulators))


def truncation(recipe, accumulators):
    def divide(product, shift):
        return np.where(product < 0, -((-product) >> shift), product >> shift)

    return _scaled_by(recipe, divide)(accumulators)


def half_to_even(recipe, accumulators):
    def divide(product, shift):
        floor = product >> shift
        twice = 2 * (product - (floor << shift))
        return floor + np.where((twice > 1 << shift) | ((twice == 1 << shift) & (floor & 1 == 1)), 1, 0)

    return _scaled_by(recipe, divide)(accumulators)


@pytest.mark.parametrize("mutant", [saturated, single_rounding, multiplier_of_16_bits, truncation, half_to_even])
def test_a_wrong_fixed_point_requantizer_is_caught(mutant):
    assert mismatches("litert convolution", 4, mutant) > 0


def half_away(recipe, accumulators):
    real = wrapped(accumulators).astype(np.float32) * np.array(recipe.scale, np.float32)
    limited = np.clip(real, recipe.low[0] - recipe.zero_point, recipe.high[0] - recipe.zero_point)
    return (np.sign(limited) * np.floor(np.abs(limited) + 0.5)).astype(np.int64) + recipe.zero_point


def zero_point_inside_the_rounding(recipe, accumulators):
    real = wrapped(accumulators).astype(np.float32) * np.array(recipe.scale, np.float32)
    return np.rint(np.clip(real + np.float32(recipe.zero_point), -128, 127)).astype(np.int64)


def in_double(recipe, accumulators):
    real = wrapped(accumulators) * np.array(recipe.scale, np.float64)
    return np.clip(np.rint(real) + recipe.zero_point, -128, 127).astype(np.int64)


@pytest.mark.parametrize("mutant", [saturated, half_away, zero_point_inside_the_rounding, in_double])
def test_a_wrong_float_requantizer_is_caught(mutant):
    assert mismatches("onnxruntime convolution", 4, mutant) > 0


def saturating_conversion(recipe, accumulators):
    real = wrapped(accumulators) * np.array(recipe.scale, np.float64)
    rounded = np.sign(real) * np.floor(np.abs(real) + 0.5)
    return np.clip(rounded + recipe.zero_point, -128, 127).astype(np.int64)


def half_even_double(recipe, accumulators):
    real = wrapped(accumulators) * np.array(recipe.scale, np.float64)
    return np.clip(np.rint(real) + recipe.zero_point, -128, 127).astype(np.int64)


def in_float32(recipe, accumulators):
    real = wrapped(accumulators).astype(np.float32) * np.array(recipe.scale, np.float32)
    rounded = np.sign(real) * np.floor(np.abs(real) + np.float32(0.5))
    return np.clip(rounded.astype(np.float64) + recipe.zero_point, -128, 127).astype(np.int64)


@pytest.mark.parametrize("mutant", [saturated, saturating_conversion, half_even_double, in_float32])
def test_a_wrong_double_requantizer_is_caught(mutant):
    assert mismatches("litert fully connected", 4, mutant) > 0


def test_a_single_product_rounding_is_caught_in_the_scale_of_uint8_models():
    """Whether s_x * s_w is rounded to float32 first changes multipliers, so the two rules must not be mixed up."""
    x, y = QuantParams.per_tensor(float(np.float32(0.013))), QuantParams.per_tensor(float(np.float32(0.05)))
    unsigned = QuantParams.per_tensor(float(np.float32(0.013)), signed=False)
    w = QuantParams.per_tensor(float(np.float32(0.0071)))
    recipes = [derive_requantization(LITERT, AccumulatorKind.CONVOLUTION, q, w, y) for q in (x, unsigned)]
    assert recipes[0].multiplier != recipes[1].multiplier


def test_wrapping_here_is_the_specifications():
    values = np.array([INT32.max + 1, INT32.min - 1, 1 << 40, -5], np.int64)
    assert np.array_equal(wrapped(values), wrap(values, 32))
