"""The command stream: operands, commands, Program."""

from accel_sim.program.commands import (
    ApplySoftmax,
    Command,
    Convolve,
    Elementwise,
    Fill,
    FindExtremum,
    Gather2D,
    Interpolate,
    Lookup,
    MatrixMultiply,
    Move,
    PoolAverage,
    PoolMaximum,
    Reduce,
    RequantizeCodes,
    Tiling,
    TransposeConvolve,
    Window,
)
from accel_sim.program.operands import Operand, Region
from accel_sim.program.parse import parse_program
from accel_sim.program.program import Port, Program
from accel_sim.program.text import format_command, format_program
from accel_sim.program.verify import operands_of, read_by, verify, written_by

__all__ = [
    "ApplySoftmax",
    "Command",
    "Convolve",
    "Elementwise",
    "Fill",
    "FindExtremum",
    "Gather2D",
    "Interpolate",
    "Lookup",
    "MatrixMultiply",
    "Move",
    "Operand",
    "PoolAverage",
    "PoolMaximum",
    "Port",
    "Program",
    "Reduce",
    "Region",
    "RequantizeCodes",
    "Tiling",
    "TransposeConvolve",
    "Window",
    "format_command",
    "format_program",
    "operands_of",
    "parse_program",
    "read_by",
    "verify",
    "written_by",
]
