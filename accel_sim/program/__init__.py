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
from accel_sim.program.program import Port, Program

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
]
