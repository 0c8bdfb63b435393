"""The most extreme scales that LiteRT's reference kernels define: equal there, and refused just beyond."""

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")

from conformance.harness import lower
from oracles import tflite_models
from oracles.tflite_builder import ModelBuilder, options

import accel_sim
from accel_sim.errors import AccelSimError

_SHAPE = (1, 4, 4, 16)
_EDGES = (  # operator, type, options, (input scale, output scale) at the edge and beyond it, the rule
    ("HARD_SWISH", "int8", "HardSwish", (2.0**-9, 1.0), (2.0**-9 * 0.999, 1.0), "at least 1/512"),
    ("HARD_SWISH", "int8", "HardSwish", (2.51e7, 2.51e7), (2.52e7, 2.52e7), "times 256/3"),
    ("HARD_SWISH", "uint8", "HardSwish", (1.79e-7, 1.79e-7), (1.78e-7, 1.78e-7), "times 256/3"),
    ("LOGISTIC", "int16", None, (174_758.0, 2.0**-15), (174_763.0, 2.0**-15), "int32 multiplier"),
    ("TANH", "int16", None, (174_758.0, 2.0**-15), (174_763.0, 2.0**-15), "int32 multiplier"),
    ("ADD", "int8", "Add", (1.0, 2.0**-19 * 1.001), (1.0, 2.0**-19), "below 1"),
    ("SUB", "int8", "Sub", (1.0, 2.0**-19 * 1.001), (1.0, 2.0**-19), "below 1"),
    ("RELU6", "int8", None, (1e-8, 2.8e-9), (1e-8, 2.7e-9), r"below 2\^31 steps"),
    ("RELU_N1_TO_1", "int8", None, (1e-9, 4.7e-10), (1e-9, 4.6e-10), r"below 2\^31 steps"),
)


def model(operator: str, dtype: str, kind: str | None, scales: tuple[float, float]) -> tuple[bytes, list[str]]:
    """Operands of one grid, and the operator's result."""
    builder = ModelBuilder()
    names = ["a", "b"] if operator in ("ADD", "SUB") else ["a"]
    operands = [builder.tensor(_SHAPE, dtype, scales[0], name=name) for name in names]
    result = builder.tensor(_SHAPE, dtype, scales[1], name="y")
    builder.op(operator, operands, [result], options(kind) if kind else None)
    return builder.build(operands, [result]), names


@pytest.mark.parametrize("edge", _EDGES, ids=lambda edge: edge[0])
def test_equal_at_the_edge_and_refused_beyond(edge):
    operator, dtype, kind, inside, outside, rule = edge
    data, names = model(operator, dtype, kind, inside)
    limits, rng = np.iinfo(dtype), np.random.default_rng(1)
    inputs = {name: rng.integers(limits.min, limits.max, _SHAPE, dtype, endpoint=True) for name in names}
    (expected,) = tflite_models.run_reference(data, inputs)
    _, program = lower(data, "litert")
    np.testing.assert_array_equal(accel_sim.run(program, inputs, "functional").outputs["y"], expected)
    with pytest.raises(AccelSimError, match=rule):
        lower(model(operator, dtype, kind, outside)[0], "litert")
