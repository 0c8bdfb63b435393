"""Operators whose constant a tool left in float, between DequantizeLinear and QuantizeLinear."""

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from conformance.harness import differences, lower, run_levels
from oracles import onnx_models
from oracles.onnx_builder import Grid, ModelBuilder

from accel_sim.errors import AccelSimError

F = np.float32
_TYPES = ("uint8", "int8", "int16", "uint16")
_SHAPE = (1, 5, 4, 6)


def model(operator: str, constant: np.ndarray, codes: str, *, first: bool = False) -> ModelBuilder:
    """Codes of every value -> the operator with the constant as one operand -> codes of another grid."""
    rng = np.random.default_rng(7)
    limits = np.iinfo(codes)
    scale = 10 / (1 << limits.bits)
    grids = [
        Grid(F(scale * rng.uniform(0.5, 2)), int(rng.integers(limits.min, limits.max)), limits.dtype) for _ in "xy"
    ]
    builder = ModelBuilder(21)
    x = rng.integers(limits.min, limits.max, _SHAPE, codes, endpoint=True)
    operands = [builder.quantized_input("x", x, grids[0]), builder.constant(constant)]
    builder.quantized_output(builder.node(operator, operands[::-1] if first else operands), grids[1])
    return builder


def assert_equal(builder: ModelBuilder) -> None:
    data = builder.serialize()
    graph, program = lower(data, "onnxruntime")
    expected = onnx_models.run_ort(data, builder.inputs)
    assert not differences(expected, run_levels(graph, program, builder.inputs).outputs)


@pytest.mark.parametrize("codes", _TYPES)
@pytest.mark.parametrize("shape", [(), (1,), (5, 1, 1), (6,), (1, 1, 4, 1)], ids=str)
def test_prelu_with_a_float_slope(codes, shape):
    slopes = np.random.default_rng(3).normal(0, 1, shape).astype(F)
    assert_equal(model("PRelu", slopes, codes))
    if shape == (5, 1, 1):
        slopes[:2, 0, 0] = 0, slopes[2, 0, 0]
        assert_equal(model("PRelu", slopes, codes))


@pytest.mark.parametrize("codes", _TYPES)
@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Min", "Max"])
def test_one_float(operator, codes):
    for constant in (F(0.37), F(-1.9), np.array([[0.61]], F)):
        for first in (False, True):
            assert_equal(model(operator, np.asarray(constant), codes, first=first))


@pytest.mark.parametrize(
    ("operator", "constant"),
    [("PRelu", np.full((5, 4, 1), 0.3, F)), ("Sub", np.full((5, 1, 1), 0.3, F)), ("Add", np.array(0, F))],
    ids=["two axes", "a vector", "neutral"],
)
def test_other_floats_are_refused(operator, constant):
    with pytest.raises(AccelSimError, match="is quantized"):
        lower(model(operator, constant, "uint8").serialize(), "onnxruntime")
