"""Random one-operator ONNX models through the whole path: every byte as ONNX Runtime gives it, all optimizations on."""

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from conformance.harness import SEED, differences, lower, run_levels
from oracles import onnx_models

import accel_sim

_EVERY_LEVEL = 5  # one model in so many also runs at the cycle level and in the integer reference


@pytest.mark.parametrize("operator", onnx_models.OPERATORS)
def test_every_byte_is_onnx_runtimes(operator, models):
    failures = []
    for index in range(models):
        case = onnx_models.case(operator, np.random.default_rng([SEED, onnx_models.OPERATORS.index(operator), index]))
        expected = onnx_models.expected(case)
        graph, program = lower(case.model, "onnxruntime")
        every_level = index % _EVERY_LEVEL == 0
        result = (
            run_levels(graph, program, case.inputs)
            if every_level
            else accel_sim.run(program, case.inputs, "functional")
        )
        wrong = differences(expected, result.outputs)
        if wrong:
            failures.append(f"model {index} ({case.note}): {wrong}")
    assert not failures, f"{len(failures)} of {models} models differ\n" + "\n".join(failures[:8])
