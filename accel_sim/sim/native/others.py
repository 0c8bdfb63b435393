"""Max pooling, movement and the place of the largest code as native steps."""

from math import prod

import numpy as np

from accel_kernels.native.tables import Field
from accel_sim.program import Fill, FindExtremum, Move, PoolMaximum
from accel_sim.sim.native.step import OPERANDS, NativeStep, Source, lowers, pinned, target
from accel_sim.sim.preparation import Context


@lowers(PoolMaximum)
def lower_pool_maximum(command: PoolMaximum, context: Context) -> NativeStep | None:
    """The step of a max pooling of codes of at most 16 bits."""
    x, y, window = command.input, command.output_to, command.window
    if x.dtype not in OPERANDS or y.dtype != x.dtype or not y.size or not x.size:
        return None
    lowest = pinned(np.full(x.shape[3], command.low, x.dtype))
    image = Source.of(x, context)
    values = {
        **image.fields(),
        **target(y),
        Field.IMAGES: y.shape[0],
        Field.HEIGHT: x.shape[1],
        Field.WIDTH: x.shape[2],
        Field.DEPTH: x.shape[3],
        Field.OUT_HEIGHT: y.shape[1],
        Field.OUT_WIDTH: y.shape[2],
        Field.KERNEL_HEIGHT: window.kernel[0],
        Field.KERNEL_WIDTH: window.kernel[1],
        Field.STRIDE_HEIGHT: window.strides[0],
        Field.STRIDE_WIDTH: window.strides[1],
        Field.DILATION_HEIGHT: window.dilations[0],
        Field.DILATION_WIDTH: window.dilations[1],
        Field.PAD_TOP: window.pad_top,
        Field.PAD_LEFT: window.pad_left,
        Field.LOW: command.low,
        Field.HIGH: command.high,
        Field.PADDING: lowest.ctypes.data,
    }
    return NativeStep(f"pool:{OPERANDS[x.dtype]}", values, 8 * prod(window.kernel) + 64, (lowest, *image.kept))


@lowers(Move)
def lower_move(command: Move, context: Context) -> NativeStep | None:
    """The step of a strided copy."""
    if not all(command.extent):
        return None
    axes = _merged(list(zip(command.extent, command.input_strides, command.output_strides, strict=True)))
    table = pinned(np.array(axes, np.int64))
    elements = Source.of(command.input, context)
    values = {
        **elements.fields(),
        **target(command.output_to),
        Field.OTHER: command.input_offset,
        Field.SIZE: command.output_offset,
        Field.EXTRA: len(axes),
        Field.TABLE: table.ctypes.data,
    }
    return NativeStep(f"move:copy:{np.dtype(command.input.dtype).itemsize}", values, 0, (table, *elements.kept))


def _merged(axes: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """The same copy with as few axes as possible: none of length one, and no two that follow each other evenly."""
    merged: list[tuple[int, int, int]] = []
    for axis in axes:
        if axis[0] == 1:
            continue
        if merged and merged[-1][1] == axis[0] * axis[1] and merged[-1][2] == axis[0] * axis[2]:
            merged[-1] = (merged[-1][0] * axis[0], axis[1], axis[2])
        else:
            merged.append(axis)
    return merged or [(1, 1, 1)]


@lowers(Fill)
def lower_fill(command: Fill, context: Context) -> NativeStep | None:
    """The step of a constant."""
    values = {**target(command.output_to), Field.SIZE: command.output_to.size, Field.LOW: command.code}
    return NativeStep(f"move:fill:{np.dtype(command.output_to.dtype).itemsize}", values)


@lowers(FindExtremum)
def lower_extremum(command: FindExtremum, context: Context) -> NativeStep | None:
    """The step of the place of the largest or smallest code."""
    x, y = command.input, command.output_to
    if x.dtype not in OPERANDS or y.dtype not in ("int32", "int64") or not x.size:
        return None
    axis, source = command.axis % len(x.shape), Source.of(x, context)
    values = {
        **source.fields(),
        **target(y),
        Field.IMAGES: prod(x.shape[:axis]),
        Field.SIZE: x.shape[axis],
        Field.CHANNELS: prod(x.shape[axis + 1 :]),
    }
    kind, ties = ("smallest" if command.minimum else "largest"), ("last" if command.select_last else "first")
    name = f"extremum:{OPERANDS[x.dtype]}:{8 * np.dtype(y.dtype).itemsize}:{kind}:{ties}"
    return NativeStep(name, values, 0, source.kept)
