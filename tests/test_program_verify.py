"""The checks of a whole program: each rule broken once."""

import dataclasses

import pytest

from accel_sim.errors import ProgramError
from accel_sim.hardware import load_hardware
from accel_sim.numerics import BinaryKind, CodeExtremum, FixedPointRequantization, Rounding
from accel_sim.program import (
    ApplySoftmax,
    Convolve,
    Elementwise,
    Fill,
    FindExtremum,
    Gather2D,
    Lookup,
    MatrixMultiply,
    Move,
    Operand,
    PoolMaximum,
    Port,
    Program,
    Reduce,
    Region,
    RequantizeCodes,
    Tiling,
    Window,
    verify,
)
from accel_sim.program.registry import program_types
from accel_sim.program.verify_commands import command_faults

RECIPE = FixedPointRequantization(0, (-128,), (127,), (1 << 30,), (-8,), Rounding.DOUBLE)


def arena(name, address, shape, dtype="int8"):
    return Operand(name, Region.ACTIVATIONS, address, shape, dtype)


def constant(name, address, shape, dtype="int8"):
    return Operand(name, Region.CONSTANTS, address, shape, dtype)


X, Y, Z = arena("x", 0, (1, 4, 4, 2)), arena("y", 64, (1, 4, 4, 2)), arena("z", 128, (1, 4, 4, 2))
LOOKUP = Lookup("first", "Tanh", X, constant("t", 0, (256,)), None, Y, -128)
SUM = Elementwise("second", "Maximum", X, Y, Z, CodeExtremum(BinaryKind.MAXIMUM))
PROGRAM = Program(
    "net",
    "tflite",
    load_hardware("paper-4x4"),
    (LOOKUP, SUM),
    (Port("x", X, None),),
    (Port("z", Z, None),),
    bytes(256),
    160,
)


def faults(**changes):
    with pytest.raises(ProgramError) as caught:
        verify(dataclasses.replace(PROGRAM, **changes))
    return [str(fault) for fault in caught.value.faults]


def moved(command, **operands):
    return dataclasses.replace(command, **operands)


def test_a_right_program_passes():
    verify(PROGRAM)


def test_operands_end_inside_their_region():
    assert "output_to: activations+128 to 160: ends inside the 159 bytes" in faults(activation_bytes=159)[-1]
    (fault,) = faults(constants=bytes(255))
    assert "table: constants+0 to 256: ends inside the 255 bytes of constants" in fault


def test_operands_are_aligned_to_their_elements():
    odd = Fill("f", "Pad", arena("w", 2, (4,), "int32"), 0)
    assert "is aligned to its int32 elements" in faults(commands=(*PROGRAM.commands, odd))[0]


def test_constants_are_never_written():
    bad = Fill("f", "Pad", constant("c", 0, (4,)), 0)
    assert "constants are never written" in faults(commands=(*PROGRAM.commands, bad))[0]


def test_nothing_is_read_before_it_is_written():
    (fault,) = faults(commands=(SUM, LOOKUP))
    assert "'y': every byte that is read was written before" in fault


def test_a_live_tensor_is_not_overwritten():
    shifted = moved(Y, name="other", address=32)
    clobber = Fill("clobber", "Pad", dataclasses.replace(shifted, address=80, shape=(8,)), 0)
    (fault,) = faults(commands=(LOOKUP, clobber, SUM))
    assert "Elementwise of layer 'second': 'y': no other tensor has overwritten a part of it" in fault


def test_an_output_is_made():
    assert faults(commands=(LOOKUP,)) == ["output 'z': 'z': every byte that is read was written before"]


def test_partial_moves_make_exactly_what_they_write():
    halves = [Move("cat", "Concat", X, Z, (16,), offset, (1,), offset, (1,)) for offset in (0, 16)]
    verify(dataclasses.replace(PROGRAM, commands=tuple(halves)))
    assert "was written before" in faults(commands=(halves[0],))[0]


WEIGHTS = constant("w", 0, (3, 1, 1, 2))
CONV = Convolve(
    "c",
    "Conv2D",
    X,
    WEIGHTS,
    None,
    arena("o", 0, (1, 4, 4, 3)),
    Window((1, 1)),
    1,
    0,
    (0,),
    False,
    RECIPE,
    Tiling(1, 1, 1),
)
MATMUL = MatrixMultiply(
    "m",
    "MatMul",
    arena("a", 0, (2, 3, 4)),
    arena("b", 0, (4, 5)),
    arena("o", 0, (2, 3, 5)),
    False,
    False,
    0,
    (0,),
    False,
    RECIPE,
    Tiling(1, 1, 1),
)
BROKEN = [
    (CONV, {"output_to": arena("o", 0, (2, 4, 4, 3))}, "images: 2: is 1"),
    (CONV, {"output_to": arena("o", 0, (1, 4, 4, 4))}, "output channels: 4: is 3"),
    (CONV, {"window": Window((2, 1))}, "window.kernel: (2, 1): is (1, 1)"),
    (CONV, {"window": Window((1, 1), (0, 1))}, "strides and dilations are positive"),
    (CONV, {"groups": 2}, "groups: 2"),
    (CONV, {"bias": constant("b", 0, (4,), "int32")}, "bias: (4,): is (3,)"),
    (CONV, {"weight_zero_point": (0, 0)}, "weight_zero_point: 2 values"),
    (CONV, {"tiling": Tiling(17, 1, 1)}, "tiling.rows: 17: is 1 to 16"),
    (CONV, {"tiling": Tiling(1, 0, 1)}, "tiling.reduction: 0: is 1 to 2"),
    (CONV, {"output": dataclasses.replace(RECIPE, multiplier=(1, 2))}, "output.multiplier: 2 values"),
    (CONV, {"output": dataclasses.replace(RECIPE, high=(128,))}, "codes: -128 to 128: fit int8"),
    (CONV, {"output": None}, "int8: raw accumulators are int32"),
    (CONV, {"input": arena("x", 0, (4, 2))}, "input: (4, 2): has 4 axes"),
    (MATMUL, {"b": arena("b", 0, (5, 5))}, "reduction of b: 5: is 4"),
    (MATMUL, {"a": arena("a", 0, (3, 3, 4))}, "leading axes: (3,): is (2,)"),
    (MATMUL, {"transpose_b": True}, "reduction of b: 5: is 4"),
    (MATMUL, {"a": arena("a", 0, (4,))}, "are matrices"),
    (LOOKUP, {"output_to": arena("y", 0, (1, 4, 4, 3))}, "output_to: (1, 4, 4, 3): is (1, 4, 4, 2)"),
    (LOOKUP, {"table": constant("t", 0, (256,), "int16")}, "element type of the table: int16: is int8"),
    (LOOKUP, {"table": constant("t", 0, (2, 256))}, "is one table, or"),
    (LOOKUP, {"table_index": constant("i", 0, (3,), "int32"), "table": constant("t", 0, (2, 256))}, "broadcast"),
    (SUM, {"a": arena("a", 0, (3,))}, "broadcast against each other"),
    (SUM, {"output_to": arena("z", 0, (1, 4, 4, 1))}, "a, b: (1, 4, 4, 2): is (1, 4, 4, 1)"),
    (PoolMaximum("p", "MaxPool2D", X, Y, Window((2, 2)), -128, 127), {"high": 300}, "codes: -128 to 300: fit int8"),
    (PoolMaximum("p", "MaxPool2D", X, Y, Window((2, 2)), -128, 127), {"window": Window((0, 2))}, "are positive"),
    (Reduce("r", "Mean", X, arena("y", 0, (1, 2)), (1, 2), None), {"axes": (1,)}, "elements: 2: is 8"),
    (Reduce("r", "Mean", X, arena("y", 0, (1, 2)), (1, 2), None), {"axes": (1, 1)}, "are different axes"),
    (RequantizeCodes("q", "Requantize", X, Y, 0, RECIPE), {"output_to": arena("y", 0, (32,))}, "is (1, 4, 4, 2)"),
    (ApplySoftmax("s", "Softmax", X, Y, None), {"input": arena("x", 0, ())}, "has a last axis"),
    (FindExtremum("a", "ArgMax", X, arena("y", 0, (1, 4, 4), "int32"), 3, False, False), {"axis": 4}, "axis: 4"),
    (FindExtremum("a", "ArgMax", X, arena("y", 0, (1, 4, 4), "int32"), 3, False, False), {"axis": 1}, "elements: 64"),
    (Gather2D("g", "ResizeNearest", X, Y, (0, 1, 2, 3), (0, 1, 2, 3)), {"rows": (0, 1, 2, 4)}, "rows: 0 to 4"),
    (Gather2D("g", "ResizeNearest", X, Y, (0, 1, 2, 3), (0, 1, 2, 3)), {"rows": (0,)}, "is (1, 1, 4, 2)"),
    (Move("m", "Slice", X, Y, (32,), 0, (1,), 0, (1,)), {"input_offset": 1}, "elements 1 to 32: lie inside the 32"),
    (Move("m", "Slice", X, Y, (32,), 0, (1,), 0, (1,)), {"output_strides": (-1,)}, "elements -31 to 0"),
    (Move("m", "Slice", X, Y, (32,), 0, (1,), 0, (1,)), {"extent": (1,) * 9}, "at most 8 axes"),
    (Move("m", "Slice", X, Y, (32,), 0, (1,), 0, (1,)), {"input": arena("x", 0, (32,), "int16")}, "element type"),
    (Fill("f", "Pad", X, 0), {"code": 200}, "codes: 200 to 200: fit int8"),
]


@pytest.mark.parametrize(("command", "change", "rule"), BROKEN, ids=lambda value: getattr(value, "op", None))
def test_each_rule_of_a_command(command, change, rule):
    assert list(command_faults(command)) == []
    found = [str(fault) for fault in command_faults(dataclasses.replace(command, **change))]
    assert any(rule in fault for fault in found), found


def test_every_command_has_rules():
    commands = [t for t in program_types().values() if t.__mro__[1].__name__ == "Command"]
    assert len(commands) == 15
    for kind in commands:
        assert command_faults.dispatch(kind) is not command_faults.dispatch(object)
