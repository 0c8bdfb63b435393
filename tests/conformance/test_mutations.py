"""Would the conformance tests notice? Wrong arithmetic is put into compiled programs; the usual campaign must differ.

A campaign is a tenth of a full one and ends with the first difference. A mutant that survives means that the random
models have no teeth. Errors of one unit in a multiplier need more: `test_numerics_requantizer_oracles`
probes the requantizer itself over the whole range of accumulators.
"""

from dataclasses import replace

import numpy as np
import pytest
from conformance.harness import SEED, lower

import accel_sim
from accel_sim.numerics.elementwise import FixedPointSum, FloatProduct
from accel_sim.numerics.requantization import (
    FixedPointRequantization,
    FloatRequantization,
    RationalRequantization,
    Requantization,
    Rounding,
    TieRule,
)

MODELS = 300


def fixed_point(change):
    """Applies a change to every fixed-point requantizer of matrix commands and sums."""

    def mutate(command):
        output = getattr(command, "output", None)
        if isinstance(output, FixedPointRequantization):
            return replace(command, output=change(output))
        recipe = getattr(command, "recipe", None)
        if isinstance(recipe, FixedPointSum):
            return replace(command, recipe=replace(recipe, output=change(recipe.output)))
        return command

    return mutate


def rounding(rule):
    return fixed_point(lambda r: replace(r, rounding=rule))


def rational(change):
    """The same scale as an exact ratio: one rounding to nearest, with another rule for ties or another place."""

    def exact(r: FixedPointRequantization) -> Requantization:
        ratios = [(m << max(s - 31, 0), 1 << max(31 - s, 0)) for m, s in zip(r.multiplier, r.shift, strict=True)]
        numerators, denominators = zip(*ratios, strict=True)
        if not all(numerators):
            return r
        return change(RationalRequantization(r.zero_point, r.low, r.high, numerators, denominators, TieRule.HALF_EVEN))

    return fixed_point(exact)


def float_output(change):
    def mutate(command):
        output = getattr(command, "output", None)
        return replace(command, output=change(output)) if isinstance(output, FloatRequantization) else command

    return mutate


def next_scale(r: FloatRequantization) -> FloatRequantization:
    """Every float32 scale one unit in the last place larger."""
    larger = np.nextafter(np.array(r.scale, np.float32), np.float32(np.inf))
    return replace(r, scale=tuple(float(s) for s in larger))


def ties_up(r: FloatRequantization) -> Requantization:
    """The same scale, ties to plus infinity in place of even."""
    ratios = [float(s).as_integer_ratio() for s in r.scale]
    numerators, denominators = zip(*ratios, strict=True)
    return RationalRequantization(r.zero_point, r.low, r.high, numerators, denominators, TieRule.HALF_UP)


def zero_point_outside(command):
    """QLinearMul rounds the product and then adds the zero point: another result at ties of an odd zero point."""
    recipe = getattr(command, "recipe", None)
    if not isinstance(recipe, FloatProduct):
        return command
    shifted = replace(recipe, zero_point=0, low=recipe.low - recipe.zero_point, high=recipe.high - recipe.zero_point)
    return replace(command, recipe=shifted)


TFLITE = {
    "single rounding": (rounding(Rounding.SINGLE), ["CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "SUB"]),
    "16-bit multiplier": (rounding(Rounding.SINGLE_16BIT), ["CONV_2D", "DEPTHWISE_CONV_2D", "ADD"]),
    "half to even": (rational(lambda r: r), ["CONV_2D", "ADD"]),
    "half up": (rational(lambda r: replace(r, ties=TieRule.HALF_UP)), ["CONV_2D", "ADD"]),
}
ONNX = {
    "half up": (float_output(ties_up), ["QLinearConv", "QLinearMatMul", "QGemm"]),
    "scale one unit more": (float_output(next_scale), ["QLinearConv"]),
}


def pairs(mutants):
    return [pytest.param(change, op, id=f"{op}-{name}") for name, (change, ops) in mutants.items() for op in ops]


def survives(cases, profile, change, hardware="edge-16x16"):
    """Whether the mutated program gives the right bytes on every case; the mutation must have changed something."""
    changed = 0
    for model, inputs in cases:
        _, program = lower(model, profile)
        commands = tuple(map(change, program.commands))
        changed += commands != program.commands
        right = accel_sim.run(program, inputs, "functional")
        mutant = accel_sim.run(replace(program, commands=commands), inputs, "functional")
        if any(not np.array_equal(right.outputs[n], mutant.outputs[n]) for n in right.outputs):
            return False
    assert changed, "the mutation changes no program"
    return True


@pytest.mark.parametrize(("change", "operator"), pairs(TFLITE))
def test_wrong_arithmetic_of_tflite_is_caught(change, operator):
    pytest.importorskip("ai_edge_litert")
    from oracles import tflite_models

    cases = ((case.model, case.inputs) for case in tflite_models.cases(operator, MODELS, SEED))
    assert not survives(cases, "litert", change)


@pytest.mark.parametrize(("change", "operator"), pairs(ONNX))
def test_wrong_arithmetic_of_onnx_runtime_is_caught(change, operator):
    pytest.importorskip("onnxruntime")
    assert not survives(onnx_cases(operator), "onnxruntime", change)


def onnx_cases(operator):
    from oracles import onnx_models

    place = onnx_models.OPERATORS.index(operator)
    for index in range(MODELS):
        case = onnx_models.case(operator, np.random.default_rng([SEED, place, index]))
        yield case.model, case.inputs


def test_a_zero_point_outside_the_rounding_is_caught():
    pytest.importorskip("onnxruntime")
    for model, inputs in onnx_cases("QLinearMul"):
        _, program = lower(model, "onnxruntime")
        (recipe,) = {c.recipe for c in program.commands if isinstance(getattr(c, "recipe", None), FloatProduct)} or (
            None,
        )
        if recipe is None:
            continue
        right = accel_sim.run(program, inputs, "functional").outputs
        outside = replace(program, commands=tuple(map(zero_point_outside, program.commands)))
        moved = accel_sim.run(outside, inputs, "functional").outputs
        for name, codes in right.items():
            shifted = moved[name].astype(np.int64) + recipe.zero_point
            if not np.array_equal(codes, shifted):
                return
    pytest.fail("the mutant survives")


@pytest.mark.parametrize("operator", ["CONV_2D", "FULLY_CONNECTED"])
def test_saturating_accumulators_are_caught(operator):
    pytest.importorskip("ai_edge_litert")
    from oracles import tflite_models

    saturating = accel_sim.load_hardware("edge-16x16", ["accumulator.overflow=saturate"])
    for case in tflite_models.cases(operator, 2 * MODELS, SEED):
        graph = accel_sim.load(case.model)
        wrapped = accel_sim.run(accel_sim.compile(graph, profile="litert"), case.inputs, "functional")
        clamped = accel_sim.run(accel_sim.compile(graph, saturating, "litert"), case.inputs, "functional")
        if any(not np.array_equal(wrapped.outputs[n], clamped.outputs[n]) for n in wrapped.outputs):
            return
    pytest.fail("no model overflows a 32-bit accumulator")
