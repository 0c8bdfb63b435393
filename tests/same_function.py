"""Graphs before and after a rewrite compute the same."""

import numpy as np
from float_graphs import random_inputs

from accel_sim.ir import (
    Graph,
    Padding2D,
)
from accel_sim.reference import evaluate_float

PADDED = Padding2D(1, 1, 1, 1)


def assert_same_function(before: Graph, after: Graph, tolerance: float = 2e-5) -> None:
    assert (after.inputs, after.outputs) == (before.inputs, before.outputs)
    for sample in random_inputs(before, seed=5, samples=2):
        old, new = evaluate_float(before, sample), evaluate_float(after, sample)
        for name in before.outputs:
            scale = np.abs(old[name]).max() + 1e-6
            np.testing.assert_allclose(new[name], old[name], rtol=0, atol=tolerance * scale)
