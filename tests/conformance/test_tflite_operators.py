"""Random one-operator TFLite models through the whole path: every byte as LiteRT's reference kernels give it."""

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")

from conformance.harness import SEED, differences, lower, run_levels
from oracles import tflite_models

import accel_sim

_EVERY_LEVEL = 5  # one model in so many also runs at the cycle level and in the integer reference


def machine_bytes(case, *, every_level):
    graph, program = lower(case.model, "litert")
    if every_level:
        return graph, run_levels(graph, program, case.inputs)
    return graph, accel_sim.run(program, case.inputs, "functional")


def as_in_file(result, expected):
    """The machine's codes by output position, dequantized where the file ends in floats."""
    made = {}
    for i, (name, codes) in enumerate(result.outputs.items()):
        quant = result.ports[name].quant
        if expected[i].dtype == np.float32:  # DEQUANTIZE: f32(double(s) * (q - z))
            codes = (quant.scales[0] * (codes.astype(np.int64) - quant.zero_points[0])).astype(np.float32)
        made[str(i)] = codes
    return made


@pytest.mark.parametrize("operator", tflite_models.OPERATORS)
def test_every_byte_is_the_reference_kernels(operator, models):
    failures = []
    for index, case in enumerate(tflite_models.cases(operator, models, SEED)):
        expected = tflite_models.run_reference(case.model, case.inputs)
        _, result = machine_bytes(case, every_level=index % _EVERY_LEVEL == 0)
        wrong = differences({str(i): e for i, e in enumerate(expected)}, as_in_file(result, expected))
        if wrong:
            failures.append(f"model {index} ({case.note}): {wrong}")
    assert not failures, f"{len(failures)} of {models} models differ\n" + "\n".join(failures[:8])
