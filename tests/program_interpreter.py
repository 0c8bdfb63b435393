"""A program executed as its commands' docstrings say: from memory images, on recipes, with nothing of the machine."""

from functools import singledispatch

import numpy as np

from accel_sim.ir import Padding2D, TransposeConv2D
from accel_sim.numerics import wrap
from accel_sim.numerics.pooling import FloatAverage
from accel_sim.program import (
    ApplySoftmax,
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
    Region,
    RequantizeCodes,
    TransposeConvolve,
)


class Memory:
    """The two regions; the arena begins with rubbish, as a device's does."""

    def __init__(self, program):
        rubbish = np.random.default_rng(0).integers(0, 256, program.activation_bytes, np.uint8)
        self.regions = {
            Region.ACTIVATIONS: rubbish,
            Region.CONSTANTS: np.frombuffer(program.constants, np.uint8),
        }

    def view(self, operand):
        cells = self.regions[operand.region][operand.address : operand.address + operand.size_bytes]
        return cells.view(operand.dtype).reshape(operand.shape)

    def read(self, operand):
        return self.view(operand).astype(np.int64)


def interpret(program, inputs):
    """Output codes by name, in stored layout, for input codes by name."""
    memory = Memory(program)
    for port in program.inputs:
        memory.view(port.operand)[...] = inputs[port.name].reshape(port.operand.shape)
    for command in program.commands:
        result = execute(command, memory)
        if result is not None:
            target = memory.view(command.output_to)
            narrowed = np.asarray(result, np.int64).astype(target.dtype)
            np.testing.assert_array_equal(narrowed, np.asarray(result, np.int64), err_msg="a code outside its type")
            target[...] = narrowed
    return {port.name: memory.view(port.operand).copy() for port in program.outputs}


@singledispatch
def execute(command, memory):
    raise NotImplementedError(type(command).__name__)


def requantized(command, sums):
    sums = wrap(sums, 64 if command.wide_accumulator else 32) if not command.wide_accumulator else sums
    return sums if command.output is None else command.output.apply(sums)


@execute.register
def _(command: Convolve, memory):
    x = memory.read(command.input) - command.input_zero_point
    w = memory.read(command.weights) - np.array(command.weight_zero_point).reshape(-1, 1, 1, 1)
    n, out_height, out_width, channels = command.output_to.shape
    window, depth = command.window, w.shape[3]
    (sh, sw), (dh, dw) = window.strides, window.dilations
    reach = (out_height - 1) * sh + (w.shape[1] - 1) * dh + 1, (out_width - 1) * sw + (w.shape[2] - 1) * dw + 1
    padded = np.zeros(
        (n, max(reach[0], x.shape[1] + window.pad_top), max(reach[1], x.shape[2] + window.pad_left), x.shape[3]),
        np.int64,
    )
    padded[:, window.pad_top : window.pad_top + x.shape[1], window.pad_left : window.pad_left + x.shape[2]] = x
    if command.float_accumulation is not None:
        taps = [
            padded[:, ky * dh :: sh, kx * dw :: sw][:, :out_height, :out_width]
            for ky in range(w.shape[1])
            for kx in range(w.shape[2])
        ]
        rows = np.stack(taps, axis=-1).reshape(n, out_height * out_width, command.groups, -1) + command.input_zero_point
        flat = memory.read(command.weights).transpose(0, 3, 1, 2).reshape(channels, -1)
        bias = None if command.bias is None else memory.read(command.bias)
        return command.float_accumulation.apply(rows, flat, bias).reshape(command.output_to.shape)
    sums = np.zeros((n, out_height, out_width, channels), np.int64)
    if command.bias is not None:
        sums += memory.read(command.bias)
    per_group = channels // command.groups
    for ky in range(w.shape[1]):
        for kx in range(w.shape[2]):
            seen = padded[:, ky * dh :: sh, kx * dw :: sw][:, :out_height, :out_width]
            for g in range(command.groups):
                outputs = slice(g * per_group, (g + 1) * per_group)
                sums[..., outputs] += seen[..., g * depth : (g + 1) * depth] @ w[outputs, ky, kx].T
    return requantized(command, sums)


@execute.register
def _(command: TransposeConvolve, memory):
    window = command.window
    if command.float_accumulation is not None:
        op = TransposeConv2D(
            window.strides, window.dilations, Padding2D(window.pad_top, 0, window.pad_left, 0), command.groups
        )
        bias = None if command.bias is None else memory.read(command.bias)
        operands = memory.read(command.input), memory.read(command.weights), bias
        return command.float_accumulation.apply_transposed(*operands, op, command.output_to.shape[1:3])
    x = memory.read(command.input) - command.input_zero_point
    w = memory.read(command.weights) - np.array(command.weight_zero_point).reshape(-1, 1, 1, 1)
    sums = np.zeros(command.output_to.shape, np.int64)
    if command.bias is not None:
        sums += memory.read(command.bias)
    per_group, depth = w.shape[0] // command.groups, w.shape[3]
    for iy, ix, ky, kx in np.ndindex(x.shape[1], x.shape[2], w.shape[1], w.shape[2]):
        oy = iy * window.strides[0] + ky * window.dilations[0] - window.pad_top
        ox = ix * window.strides[1] + kx * window.dilations[1] - window.pad_left
        if 0 <= oy < sums.shape[1] and 0 <= ox < sums.shape[2]:
            for g in range(command.groups):
                outputs = slice(g * per_group, (g + 1) * per_group)
                sums[:, oy, ox, outputs] += x[:, iy, ix, g * depth : (g + 1) * depth] @ w[outputs, ky, kx].T
    return requantized(command, sums)


@execute.register
def _(command: MatrixMultiply, memory):
    a, b = memory.read(command.a) - command.a_zero_point, memory.read(command.b)
    a = a.swapaxes(-1, -2) if command.transpose_a else a
    b = (b.swapaxes(-1, -2) if command.transpose_b else b) - np.array(command.b_zero_point)
    return requantized(command, a @ b)


def windows(command, memory):
    """Codes of each window, and which of them lie inside the image: [N,Ho,Wo,C,n] twice."""
    x, window = memory.read(command.input), command.window
    _, out_height, out_width, _ = command.output_to.shape
    codes, inside = [], []
    for ky, kx in np.ndindex(window.kernel):
        ys = np.arange(out_height) * window.strides[0] + ky * window.dilations[0] - window.pad_top
        xs = np.arange(out_width) * window.strides[1] + kx * window.dilations[1] - window.pad_left
        valid = ((ys >= 0) & (ys < x.shape[1]))[:, None] & ((xs >= 0) & (xs < x.shape[2]))[None]
        codes.append(x[:, ys.clip(0, x.shape[1] - 1)][:, :, xs.clip(0, x.shape[2] - 1)])
        inside.append(np.broadcast_to(valid[None, :, :, None], codes[-1].shape))
    return np.stack(codes, -1), np.stack(inside, -1)


@execute.register
def _(command: PoolMaximum, memory):
    codes, inside = windows(command, memory)
    return np.where(inside, codes, np.iinfo(np.int64).min).max(-1).clip(command.low, command.high)


@execute.register
def _(command: PoolAverage, memory):
    codes, inside = windows(command, memory)
    if command.count_include_pad:
        _, height, width, _ = command.input.shape
        window = command.window
        ys = np.arange(command.output_to.shape[1])[:, None] * window.strides[0] + np.arange(window.kernel[0])
        xs = np.arange(command.output_to.shape[2])[:, None] * window.strides[1] + np.arange(window.kernel[1])
        counted = (ys < height + window.pad_top + command.pad_bottom)[:, None, :, None]
        counted = counted & (xs < width + window.pad_left + command.pad_right)[None, :, None, :]
        counted = counted.reshape(1, ys.shape[0], xs.shape[0], 1, -1)
        codes = np.where(inside, codes, command.input_zero_point)
        inside = np.broadcast_to(counted, codes.shape)
    if isinstance(command.recipe, FloatAverage) and command.recipe.columns:
        return command.recipe.apply(np.where(inside, codes, command.input_zero_point), inside.sum(-1))
    order = np.argsort(~inside, axis=-1, kind="stable")  # the valid elements first, in their order
    packed = np.where(np.take_along_axis(inside, order, -1), np.take_along_axis(codes, order, -1), 0)
    return command.recipe.apply(packed, inside.sum(-1))


@execute.register
def _(command: Reduce, memory):
    x = memory.read(command.input)
    kept = [a for a in range(x.ndim) if a not in command.axes]
    elements = x.transpose(*kept, *command.axes).reshape(*(x.shape[a] for a in kept), -1)
    return np.asarray(command.recipe.apply(elements)).reshape(command.output_to.shape)


@execute.register
def _(command: Elementwise, memory):
    a, b = np.broadcast_arrays(memory.read(command.a), memory.read(command.b))
    return command.recipe.apply(a.copy(), b.copy())


@execute.register
def _(command: Lookup, memory):
    index, table = memory.read(command.input) - command.first_code, memory.read(command.table)
    assert index.min(initial=0) >= 0
    return table[index] if command.table_index is None else table[memory.read(command.table_index), index]


@execute.register
def _(command: RequantizeCodes, memory):
    return command.output.apply(memory.read(command.input) - command.input_zero_point)


@execute.register
def _(command: ApplySoftmax, memory):
    return command.recipe.apply(memory.read(command.input))


@execute.register
def _(command: FindExtremum, memory):
    x = memory.read(command.input) * (-1 if command.minimum else 1)
    if command.select_last:
        found = x.shape[command.axis] - 1 - np.flip(x, command.axis).argmax(command.axis)
    else:
        found = x.argmax(command.axis)
    return found.reshape(command.output_to.shape)


@execute.register
def _(command: Interpolate, memory):
    return command.recipe.apply(memory.read(command.input))


@execute.register
def _(command: Gather2D, memory):
    return memory.read(command.input)[:, list(command.rows)][:, :, list(command.columns)]


@execute.register
def _(command: Fill, memory):
    return np.full(command.output_to.shape, command.code)


@execute.register
def _(command: Move, memory):
    source, target = memory.view(command.input).reshape(-1), memory.view(command.output_to).reshape(-1)
    index = np.indices(command.extent).reshape(len(command.extent), -1)
    reads = command.input_offset + np.array(command.input_strides) @ index
    writes = command.output_offset + np.array(command.output_strides) @ index
    target[writes] = source[reads]
