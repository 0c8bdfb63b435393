"""The rules of each command: shapes, element types, table sizes. One function per command."""

from collections.abc import Iterator
from dataclasses import fields
from functools import singledispatch
from math import prod

import numpy as np

from accel_sim.errors import Fault
from accel_sim.numerics.requantization import Requantization
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
    TransposeConvolve,
)
from accel_sim.program.geometry import matrix_shape
from accel_sim.program.operands import Operand

MOST_MOVE_AXES = 8


@singledispatch
def command_faults(command: Command) -> Iterator[Fault]:
    """Every rule of its kind that a command violates."""
    yield Fault("command", type(command).__name__, "is a kind of command that has rules")


@command_faults.register
def _(command: Convolve | TransposeConvolve) -> Iterator[Fault]:
    x, w, y = command.input, command.weights, command.output_to
    yield from _ranks((("input", x, 4), ("weights", w, 4), ("output_to", y, 4)))
    if (len(x.shape), len(w.shape), len(y.shape)) != (4, 4, 4):
        return
    groups = command.groups
    yield from _equal("images", y.shape[0], x.shape[0])
    yield from _equal("output channels", y.shape[3], w.shape[0])
    yield from _equal("window.kernel", command.window.kernel, w.shape[1:3])
    if groups < 1 or x.shape[3] != groups * w.shape[3] or w.shape[0] % groups:
        yield Fault(
            "groups", str(groups), f"divide {w.shape[0]} output and {x.shape[3]} = groups * {w.shape[3]} input channels"
        )
    if command.bias is not None:
        yield from _equal("bias", command.bias.shape, (w.shape[0],))
    if min(*command.window.strides, *command.window.dilations) < 1:
        yield Fault("window", str(command.window), "strides and dilations are positive")
    yield from _per_channel("weight_zero_point", command.weight_zero_point, w.shape[0])
    yield from _matrix_output(command, w.shape[0])


@command_faults.register
def _(command: MatrixMultiply) -> Iterator[Fault]:
    a, b, y = command.a, command.b, command.output_to
    if min(len(a.shape), len(b.shape), len(y.shape)) < 2:
        yield Fault("a, b, output_to", f"{a.shape}, {b.shape}, {y.shape}", "are matrices, or stacks of matrices")
        return
    rows, inner = a.shape[-2:][::-1] if command.transpose_a else a.shape[-2:]
    depth, columns = b.shape[-2:][::-1] if command.transpose_b else b.shape[-2:]
    yield from _equal("reduction of b", depth, inner)
    yield from _broadcast("leading axes", (a.shape[:-2], b.shape[:-2]), y.shape[:-2])
    yield from _equal("output_to", y.shape[-2:], (rows, columns))
    yield from _per_channel("b_zero_point", command.b_zero_point, columns)
    if not list(_equal("", depth, inner)):
        yield from _matrix_output(command, columns)


@command_faults.register
def _(command: PoolMaximum | PoolAverage) -> Iterator[Fault]:
    x, y = command.input, command.output_to
    yield from _ranks((("input", x, 4), ("output_to", y, 4)))
    yield from _equal("images and channels", (y.shape[0], y.shape[-1]), (x.shape[0], x.shape[-1]))
    if min(*command.window.kernel, *command.window.strides, *command.window.dilations) < 1:
        yield Fault("window", str(command.window), "kernel, strides and dilations are positive")
    if isinstance(command, PoolMaximum):
        yield from _codes(y, command.low, command.high)


@command_faults.register
def _(command: Reduce) -> Iterator[Fault]:
    shape = command.input.shape
    if len(set(command.axes)) != len(command.axes) or not all(0 <= axis < len(shape) for axis in command.axes):
        yield Fault("axes", str(command.axes), f"are different axes of {shape}")
        return
    yield from _equal("elements", command.output_to.size, prod(n for i, n in enumerate(shape) if i not in command.axes))


@command_faults.register
def _(command: Elementwise) -> Iterator[Fault]:
    yield from _broadcast("a, b", (command.a.shape, command.b.shape), command.output_to.shape)


@command_faults.register
def _(command: Lookup) -> Iterator[Fault]:
    x, y, table, index = command.input, command.output_to, command.table, command.table_index
    yield from _equal("output_to", y.shape, x.shape)
    yield from _equal("element type of the table", table.dtype, y.dtype)
    if len(table.shape) != (1 if index is None else 2):
        yield Fault("table", str(table.shape), "is one table, or [tables, entries] with an index")
    if index is not None:
        yield from _equal("element type of table_index", index.dtype, "int32")
        yield from _broadcast("table_index", (index.shape, x.shape), x.shape)


@command_faults.register
def _(command: RequantizeCodes) -> Iterator[Fault]:
    y = command.output_to
    yield from _equal("output_to", y.shape, command.input.shape)
    yield from _requantization(command.output, y.shape[-1] if y.shape else 1, y)


@command_faults.register
def _(command: ApplySoftmax) -> Iterator[Fault]:
    yield from _equal("output_to", command.output_to.shape, command.input.shape)
    if not command.input.shape:
        yield Fault("input", "()", "has a last axis")


@command_faults.register
def _(command: FindExtremum) -> Iterator[Fault]:
    shape = command.input.shape
    if not 0 <= command.axis < len(shape) or shape[command.axis] == 0:
        yield Fault("axis", str(command.axis), f"is a non-empty axis of {shape}")
        return
    yield from _equal("elements", command.output_to.size * shape[command.axis], command.input.size)


@command_faults.register
def _(command: Interpolate) -> Iterator[Fault]:
    yield from _ranks((("input", command.input, 4), ("output_to", command.output_to, 4)))
    for name, axis, position in (("y", command.recipe.y, 1), ("x", command.recipe.x, 2)):
        have, want = (len(axis.lower), len(axis.upper), len(axis.weight)), (command.output_to.shape[position],) * 3
        yield from _equal(f"recipe.{name}", have, want)
        yield from _indices(f"recipe.{name}", (*axis.lower, *axis.upper), command.input.shape[position])


@command_faults.register
def _(command: Gather2D) -> Iterator[Fault]:
    x, y = command.input, command.output_to
    yield from _ranks((("input", x, 4), ("output_to", y, 4)))
    yield from _equal("output_to", y.shape, (x.shape[0], len(command.rows), len(command.columns), x.shape[3]))
    yield from _equal("element type", y.dtype, x.dtype)
    yield from _indices("rows", command.rows, x.shape[1])
    yield from _indices("columns", command.columns, x.shape[2])


@command_faults.register
def _(command: Move) -> Iterator[Fault]:
    yield from _equal("element type", command.output_to.dtype, command.input.dtype)
    axes = len(command.extent)
    if axes > MOST_MOVE_AXES or len(command.input_strides) != axes or len(command.output_strides) != axes:
        yield Fault("extent", str(command.extent), f"has at most {MOST_MOVE_AXES} axes, each with two strides")
        return
    sides = (
        ("input", command.input, command.input_offset, command.input_strides),
        ("output_to", command.output_to, command.output_offset, command.output_strides),
    )
    for name, operand, offset, strides in sides:
        steps = [(n - 1) * s for n, s in zip(command.extent, strides, strict=True)]
        first, last = offset + sum(min(s, 0) for s in steps), offset + sum(max(s, 0) for s in steps)
        if all(command.extent) and not 0 <= first <= last < operand.size:
            yield Fault(
                name, f"elements {first} to {last}", f"lie inside the {operand.size} elements of {operand.name!r}"
            )


@command_faults.register
def _(command: Fill) -> Iterator[Fault]:
    yield from _codes(command.output_to, command.code, command.code)


def _matrix_output(command: Convolve | TransposeConvolve | MatrixMultiply, channels: int) -> Iterator[Fault]:
    shape, tiling = matrix_shape(command), command.tiling
    for name, size, limit in (
        ("rows", tiling.rows, shape.rows),
        ("reduction", tiling.reduction, shape.reduction),
        ("columns", tiling.columns, shape.columns + 1),  # a column of ones sums the inputs for asymmetric weights
    ):
        if not 1 <= size <= max(limit, 1):
            yield Fault(f"tiling.{name}", str(size), f"is 1 to {max(limit, 1)}")
    in_float = command.float_accumulation is not None
    if command.output is not None:
        yield from _requantization(command.output, channels, command.output_to)
        if in_float:
            yield Fault("float_accumulation", "given", "takes the place of output")
    elif not in_float and command.output_to.dtype not in ("int32", "int64"):
        yield Fault("output_to", command.output_to.dtype, "raw accumulators are int32 or int64")


def _requantization(recipe: Requantization, channels: int, y: Operand) -> Iterator[Fault]:
    for f in fields(recipe):
        value = getattr(recipe, f.name)
        if isinstance(value, tuple):
            yield from _per_channel(f"output.{f.name}", value, channels)
    if recipe.low and recipe.high:
        yield from _codes(y, min(recipe.low), max(recipe.high))


def _codes(y: Operand, low: int, high: int) -> Iterator[Fault]:
    limits = np.iinfo(y.dtype)
    if low < limits.min or high > limits.max:
        yield Fault("codes", f"{low} to {high}", f"fit {y.dtype}")


def _per_channel(name: str, values: tuple[object, ...], channels: int) -> Iterator[Fault]:
    if len(values) not in (1, channels):
        yield Fault(name, f"{len(values)} values", f"is one value or one for each of {channels} channels")


def _indices(name: str, indices: tuple[int, ...], extent: int) -> Iterator[Fault]:
    if indices and not 0 <= min(indices) <= max(indices) < extent:
        yield Fault(name, f"{min(indices)} to {max(indices)}", f"lie inside the {extent} of the input")


def _ranks(wanted: tuple[tuple[str, Operand, int], ...]) -> Iterator[Fault]:
    for name, operand, rank in wanted:
        if len(operand.shape) != rank:
            yield Fault(name, str(operand.shape), f"has {rank} axes")


def _equal(name: str, have: object, want: object) -> Iterator[Fault]:
    if have != want:
        yield Fault(name, str(have), f"is {want}")


def _broadcast(name: str, shapes: tuple[tuple[int, ...], ...], want: tuple[int, ...]) -> Iterator[Fault]:
    try:
        found = np.broadcast_shapes(*shapes)
    except ValueError:
        yield Fault(name, " and ".join(map(str, shapes)), "broadcast against each other")
        return
    yield from _equal(name, found, want)
