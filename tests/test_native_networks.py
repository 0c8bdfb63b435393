"""No Python between layers: every command of real networks, and of small ones of most operators, is a native step."""

from pathlib import Path

import pytest

import accel_sim
from accel_sim.errors import CompileError
from accel_sim.numerics.profiles import PROFILES
from accel_sim.program import Command, Program
from accel_sim.sim import prepared
from accel_sim.sim.memory import constant_image
from accel_sim.sim.native.runner import available
from accel_sim.sim.native.step import lower
from accel_sim.sim.preparation import Context
from accel_sim.sim.result import Level

pytestmark = pytest.mark.skipif(not available(), reason="steps are compiled code")

NETWORKS = (
    "tflite/pretrainedResnet_quant.tflite",
    "tflite/kws_ref_model.tflite",
    "tflite/vww_96_int8.tflite",
    "tflite/ad01_int8.tflite",
    "tflite/mobilenet_v1_0.25_128_quant.tflite",
    "onnx/cifar_resnet20_qop_s8s8_perchannel.onnx",
    "onnx/cifar_resnet20_qdq_u8s8_pertensor.onnx",
    "onnx/squeezenet1.1_qop_u8u8_pertensor.onnx",
)
PARTLY = {"BATCH_MATMUL", "MEAN"}
"""Operators with variants that are no steps: operands of 16 bits; reductions over axes that others lie between."""


def outside(program: Program, level: Level) -> list[Command]:
    """Commands that no step computes."""
    assert prepared.EXECUTORS, "how commands are lowered is registered"
    context = Context(constant_image(program.constants), program.hardware, level)
    return [command for command in program.commands if lower(command, context) is None]


@pytest.mark.parametrize("level", [Level.FUNCTIONAL, Level.CYCLE])
@pytest.mark.parametrize("name", NETWORKS)
def test_real_networks_on_every_profile(name: str, level: Level, data: Path) -> None:
    graph = accel_sim.load(data / name)
    compiled = 0
    for profile in PROFILES:
        try:
            program = accel_sim.compile(graph, profile=profile)
        except CompileError:
            continue  # scales that the profile does not have
        compiled += 1
        assert outside(program, level) == []
    assert compiled >= 5


def test_operators() -> None:
    tflite_models = pytest.importorskip("oracles.tflite_models")
    missing = {}
    for operator in set(tflite_models.OPERATORS) - PARTLY:
        for case in tflite_models.cases(operator, 6, 1):
            found = outside(accel_sim.compile(accel_sim.load(case.model), profile="litert"), Level.FUNCTIONAL)
            missing |= {operator: case.note} if found else {}
    assert missing == {}
