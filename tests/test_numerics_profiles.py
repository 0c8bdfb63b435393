"""Profiles, what they need and what they refuse."""

from dataclasses import replace

import numpy as np
import pytest

from accel_sim.arithmetic import (
    AccumulatorKind,
    derive_float_transpose_convolution,
    derive_requantization,
    needs_equal_grids,
    unsupported_reason,
)
from accel_sim.errors import AccelSimError
from accel_sim.ir import (
    Add,
    AveragePool2D,
    BatchNorm,
    Concat,
    Conv2D,
    MaxPool2D,
    Padding2D,
    QuantParams,
    RequantShift,
    ResizeBilinear,
    TransposeConv2D,
)
from accel_sim.numerics import LITERT, ONNXRUNTIME, PAPER, POWER_OF_TWO, PROFILES, TFLITE, TOSA, Arithmetic, get_profile


def test_profiles_are_found_by_name():
    assert list(PROFILES) == ["tflite", "litert", "single_round", "onnxruntime", "tosa", "power_of_two", "paper"]
    assert get_profile("paper") is PAPER
    with pytest.raises(AccelSimError, match="'onnx': is one of tflite, litert"):
        get_profile("onnx")


def test_litert_differs_from_tflite_in_fully_connected_alone():
    assert (
        replace(LITERT, name="tflite", reproduces=TFLITE.reproduces, fully_connected=Arithmetic.FIXED_DOUBLE) == TFLITE
    )


def test_one_rule_can_be_changed_alone():
    """What makes two devices disagree is found by changing one rule at a time."""
    q = QuantParams.per_tensor(0.37)
    mixed = replace(TFLITE, requantization=Arithmetic.EXACT)
    convolution, product = (
        [derive_requantization(p, kind, q, q, q) for p in (TFLITE, PAPER, mixed)]
        for kind in (AccumulatorKind.CONVOLUTION, AccumulatorKind.FULLY_CONNECTED)
    )
    assert convolution[2] == convolution[1]
    assert product[2] == product[0]


def test_who_works_on_codes():
    for profile in PROFILES.values():
        assert needs_equal_grids(profile, MaxPool2D((2, 2)))
        assert needs_equal_grids(profile, Concat(0))
        assert not needs_equal_grids(profile, Add())
    assert [p.name for p in PROFILES.values() if needs_equal_grids(p, AveragePool2D((2, 2)))] == [
        "tflite",
        "litert",
        "single_round",
        "tosa",
    ]
    assert needs_equal_grids(TFLITE, ResizeBilinear())
    assert not needs_equal_grids(TOSA, ResizeBilinear())


def test_what_is_unsupported_and_why():
    half, third = QuantParams.per_tensor(0.5), QuantParams.per_tensor(1 / 3)
    assert unsupported_reason(POWER_OF_TWO, Conv2D(), [half, half]) is None
    assert "powers of two" in str(unsupported_reason(POWER_OF_TWO, Conv2D(), [half, third]))
    assert unsupported_reason(POWER_OF_TWO, RequantShift((1,), (0,), 1), [third]) is None
    for profile in PROFILES.values():
        assert "folded" in str(unsupported_reason(profile, BatchNorm(), [half]))
    for profile in (TFLITE, ONNXRUNTIME, PAPER):
        assert unsupported_reason(profile, Conv2D(), [third, third]) is None


def test_transposed_convolution_in_float_adds_in_the_stated_order():
    """Small integers are exact in any order: the textbook sum, and bytes follow."""
    q, w = QuantParams.per_tensor(1.0), QuantParams.per_channel([1.0, 2.0], [0, 0], axis=0)
    op = TransposeConv2D(strides=(2, 1), dilations=(1, 2), padding=Padding2D(top=1, left=0))
    assert derive_float_transpose_convolution(TFLITE, op, q, w, None, q) is None
    recipe = derive_float_transpose_convolution(ONNXRUNTIME, op, q, w, None, q)
    rng = np.random.default_rng(1)
    x, weights, bias = rng.integers(-2, 3, (2, 3, 4, 3)), rng.integers(-2, 3, (2, 2, 2, 3)), np.array([3, -1])
    made = recipe.apply_transposed(x, weights, bias, op, (5, 6))
    exact = np.zeros((2, 5, 6, 2), np.int64) + bias
    for n, i, j, co, p, k, c in np.ndindex(2, 3, 4, 2, 2, 2, 3):
        if 0 <= 2 * i + p - 1 < 5:
            exact[n, 2 * i + p - 1, j + 2 * k, co] += x[n, i, j, c] * weights[co, p, k, c]
    assert np.array_equal(made, np.clip(exact * [1, 2], -128, 127))
    assert recipe.apply_transposed(x.astype(object), weights, bias, op, (5, 6)).tolist() == made.tolist()
