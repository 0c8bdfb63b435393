"""Native steps that watch: the bytes and the extremes of every partial sum, as the kernels of arrays find them."""

import numpy as np
import pytest
from native_cases import RECIPES, Case, convolution, transposed
from one_command import HARDWARE, random_cases

from accel_sim.sim import prepared
from accel_sim.sim.machine import Machine
from accel_sim.sim.native import runner
from accel_sim.sim.result import Level, RunResult

pytestmark = pytest.mark.skipif(not runner.available(), reason="steps are compiled code")


def run(case: Case, threads: int) -> RunResult:
    """A program of one command, with its accumulators watched."""
    layout = case.layout
    program = layout.program(case.command, outputs=[case.command.output_to])
    return Machine(HARDWARE).run(program, layout.inputs, Level.CYCLE, threads=threads)


def seen(result: RunResult) -> tuple[int | None, int | None, int | None]:
    """What was watched."""
    (layer,) = result.layers
    return layer.accumulator_min, layer.accumulator_max, layer.overflow_events


@pytest.mark.parametrize("depthwise", [False, True], ids=["dense", "depthwise"])
@random_cases(40)
def test_watching_sees_what_kernels_of_arrays_see(depthwise: bool, rng: np.random.Generator) -> None:
    kind = str(rng.choice(["float32", "double rounding", ""]))
    case, _ = convolution(rng, RECIPES[kind] if kind else None, depthwise=depthwise)
    compare(case)


@pytest.mark.parametrize("depthwise", [False, True], ids=["dense", "depthwise"])
@random_cases(12)
def test_codes_of_16_bits(depthwise: bool, rng: np.random.Generator) -> None:
    wide = bool(rng.random() < 0.5)
    case, _ = convolution(rng, RECIPES["double rounding"], depthwise=depthwise, x_type="int16", wide=wide)
    compare(case)


@random_cases(12)
def test_sums_of_64_bits(rng: np.random.Generator) -> None:
    recipe = RECIPES["single rounding, 16-bit multiplier"]
    compare(convolution(rng, recipe, depthwise=False, x_type="int16", wide=True)[0])


@random_cases(12)
def test_transposed_convolutions(rng: np.random.Generator) -> None:
    compare(transposed(rng, RECIPES["double rounding"], x_type="int8")[0])


def compare(case: Case) -> None:
    """Bytes and extremes, on one thread and on several."""
    name = case.command.output_to.name
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepared, "available", lambda: False)
        expected = run(case, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner.Sharing, "together", lambda self: True)
        for threads in (1, 3):
            result = run(case, threads)
            np.testing.assert_array_equal(result.outputs[name], expected.outputs[name])
            assert seen(result) == seen(expected)


def test_ordinary_convolutions_are_watched_by_steps() -> None:
    rng = np.random.default_rng(1)
    native = []
    for _ in range(8):
        case, _ = convolution(rng, RECIPES["float32"], depthwise=False)
        program = case.layout.program(case.command, outputs=[case.command.output_to])
        native.append(prepared.prepared(program, HARDWARE, Level.CYCLE).native)
    assert all(steps.watched == (0,) for steps in native if steps)
    assert sum(steps is not None for steps in native) >= 4  # biases of 31 bits can overflow, and stay with the kernels
