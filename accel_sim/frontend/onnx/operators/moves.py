"""Operators that move values: shapes, order of axes, parts, borders, blocks."""

from itertools import accumulate, pairwise
from math import prod

import numpy as np

from accel_sim.frontend.onnx.emitter import CHANNELS_LAST, Axes, Shape, Value, canonical, row_major_axes, same_memory
from accel_sim.frontend.onnx.folding import flat_shape
from accel_sim.frontend.onnx.operation import Operation
from accel_sim.frontend.onnx.operators.elementwise import operand_in
from accel_sim.frontend.onnx.view import NodeFault, as_integers, in_rank, in_ranks
from accel_sim.ir import Concat, DepthToSpace, Pad, Requantize, Reshape, Slice, SpaceToDepth

_MODES = {"constant": "constant", "reflect": "reflect", "edge": "edge"}


def _reshape_to(op: Operation, shape: Shape) -> None:
    """Result 0 is operand 0 in the file's row-major order under another shape."""
    value = op.value(0)
    if prod(shape) != prod(value.shape):
        raise NodeFault(f"{list(value.shape)} to {list(shape)}", "a reshape keeps the number of elements")
    op.emit_move(Reshape(), op.emitter.row_major(value), shape, row_major_axes(shape))


def reshape(op: Operation) -> None:
    """Reshape: 0 keeps an axis, -1 is what remains."""
    source, target = op.shape(0), list(op.listed("shape", 1))
    if not op.flag("allowzero"):
        if any(n == 0 and i >= len(source) for i, n in enumerate(target)):
            raise NodeFault(f"shape {target}", "a 0 stands where the operand has an axis")
        target = [source[i] if n == 0 else n for i, n in enumerate(target)]
    if target.count(-1) > 1 or min(target, default=0) < -1:
        raise NodeFault(f"shape {target}", "at most one axis is -1, none is smaller")
    if -1 in target:
        rest = prod(n for n in target if n != -1)
        if not rest or prod(source) % rest:
            raise NodeFault(f"{list(source)} to {target}", "a reshape keeps the number of elements")
        target[target.index(-1)] = prod(source) // rest
    _reshape_to(op, tuple(target))


def flatten(op: Operation) -> None:
    """Flatten: two axes."""
    _reshape_to(op, flat_shape(op, op.shape(0)))


def squeeze(op: Operation) -> None:
    """Squeeze: axes of one element vanish; nothing moves."""
    value = op.value(0)
    default = tuple(a for a, n in enumerate(value.shape) if n == 1)
    axes = in_ranks(op.listed("axes", 1, default), len(value.shape))
    if any(value.shape[a] != 1 for a in axes):
        raise NodeFault(f"axes {list(axes)} of {list(value.shape)}", "a squeezed axis has one element")
    kept = [a for a in range(len(value.shape)) if a not in axes]
    order = tuple(kept.index(a) for a in value.axes if a in kept)
    op.emit_reshape(value, tuple(value.shape[a] for a in kept), order)


def unsqueeze(op: Operation) -> None:
    """Unsqueeze: axes of one element appear; nothing moves."""
    value = op.value(0)
    listed = op.listed("axes", 1)
    rank = len(value.shape) + len(listed)
    axes = in_ranks(listed, rank)
    kept = [a for a in range(rank) if a not in axes]
    shape = tuple(1 if a in axes else value.shape[kept.index(a)] for a in range(rank))
    own = tuple(kept[a] for a in value.axes)
    order = canonical(rank)
    if not same_memory(shape, order, (*axes, *own)):
        order = (*axes, *own)
    op.emit_reshape(value, shape, order)


def transpose(op: Operation) -> None:
    """Transpose only renames axes: the bytes stay, and move when an operator wants another order."""
    value = op.value(0)
    rank = len(value.shape)
    order = op.integers("perm", tuple(reversed(range(rank))))
    if sorted(order) != list(range(rank)):
        raise NodeFault(f"perm {list(order)}", f"perm is a permutation of {rank} axes")
    axes = tuple(order.index(a) for a in value.axes)
    op.emit_reshape(value, tuple(value.shape[a] for a in order), axes)


def copy(op: Operation) -> None:
    """Identity of a value that is several outputs."""
    value = op.value(0)
    op.emit_reshape(value, value.shape, value.axes)


def requantize(op: Operation) -> None:
    """QuantizeLinear behind DequantizeLinear on another grid."""
    value = op.value(0)
    op.emit(Requantize(), [value.tensor], value.shape, value.axes)


def slices(op: Operation) -> None:
    """Slice: starts, ends, axes, steps; out-of-range ends are clamped."""
    value = op.value(0)
    rank = len(value.shape)
    starts, ends = op.listed("starts", 1), op.listed("ends", 2)
    axes = op.listed("axes", 3, tuple(range(len(starts))))
    steps = op.listed("steps", 4, (1,) * len(starts))
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise NodeFault(
            f"starts {list(starts)}, ends {list(ends)}, steps {list(steps)}", "starts, ends, axes and steps fit"
        )
    begin, strides, shape = [0] * rank, [1] * rank, list(value.shape)
    for start, end, raw_axis, step in zip(starts, ends, axes, steps, strict=True):
        axis = in_rank(raw_axis, rank)
        size = value.shape[axis]
        stop = None if step < 0 and end < -size else end
        part = range(size)[slice(start, stop, step)]
        begin[axis], strides[axis], shape[axis] = part.start, step, len(part)
    _emit_slice(op, value, begin, strides, tuple(shape), 0)


def _emit_slice(op: Operation, value: Value, begin: list[int], strides: list[int], shape: Shape, index: int) -> None:
    stored = Slice(tuple(begin[a] for a in value.axes), tuple(strides[a] for a in value.axes))
    op.emit_move(stored, value.tensor, shape, value.axes, index=index)


def gather(op: Operation) -> None:
    """Gather of constant indices that lie one step apart: a slice; a single number takes its axis away."""
    value, indices = op.value(0), op.array(1)
    rank = len(value.shape)
    axis = in_rank(op.integer("axis", 0), rank)
    size, taken = value.shape[axis], as_integers(indices, "indices")
    if not taken or not all(-size <= i < size for i in taken):
        raise NodeFault(f"indices {list(taken)} of {size}", "indices lie inside the axis, and there is one")
    taken = tuple(i % size for i in taken)
    step = taken[1] - taken[0] if len(taken) > 1 else 1
    if step == 0 or any(b - a != step for a, b in pairwise(taken)):
        raise NodeFault(f"indices {list(taken)}", "indices lie one step apart")
    begin, strides = [0] * rank, [1] * rank
    begin[axis], strides[axis] = taken[0], step
    shape = (*value.shape[:axis], len(taken), *value.shape[axis + 1 :])
    if indices.ndim:
        _emit_slice(op, value, begin, strides, shape, 0)
        return
    picked = op.emitter.like(f"{op.step.outputs[0]}/slice", value, shape, value.axes)
    stored = Slice(tuple(begin[a] for a in value.axes), tuple(strides[a] for a in value.axes))
    op.emitter.node(picked.tensor, stored, [value.tensor], [picked])
    order = tuple(a - (a > axis) for a in value.axes if a != axis)
    op.emit_reshape(picked, (*shape[:axis], *shape[axis + 1 :]), order)


def split(op: Operation) -> None:
    """Split: one Slice per result."""
    value = op.value(0)
    rank, results = len(value.shape), len(op.step.outputs)
    axis = in_rank(op.integer("axis", 0), rank)
    size = value.shape[axis]
    part = -(-size // results)
    equal = (*(part,) * (results - 1), size - part * (results - 1))
    parts = op.listed("split", 1, equal)
    if len(parts) != results or sum(parts) != size or min(parts) < 1:
        raise NodeFault(f"parts {list(parts)} of {size}", f"{results} parts, none empty, make up the axis")
    for index, start in enumerate(accumulate((0, *parts[:-1]))):
        if op.step.outputs[index]:
            begin = [start if a == axis else 0 for a in range(rank)]
            shape = tuple(parts[index] if a == axis else n for a, n in enumerate(value.shape))
            _emit_slice(op, value, begin, [1] * rank, shape, index)


def concat(op: Operation) -> None:
    """Concat, QLinearConcat: all operands in the first one's layout; of one operand, its requantization."""
    if op.count == 1 and op.activation.is_identity and not op.is_constant(0):
        requantize(op)
        return
    shapes = [op.shape(i) for i in range(op.count)]
    rank = len(shapes[0])
    axis = in_rank(op.integer("axis"), rank)
    rest = {(len(s), s[:axis] + s[axis + 1 :]) for s in shapes}
    if len(rest) != 1:
        raise NodeFault(", ".join(str(list(s)) for s in shapes), "operands differ in the concatenated axis only")
    first = next(i for i in range(op.count) if not op.is_constant(i))
    axes = op.value(first).axes
    shape = tuple(sum(s[axis] for s in shapes) if a == axis else n for a, n in enumerate(shapes[0]))
    tensors = [operand_in(op, i, axes) for i in range(op.count)]
    op.emit(Concat(axes.index(axis), op.activation), tensors, shape, axes)


def pad(op: Operation) -> None:
    """Pad. The filling value is on the result's grid, so a change of grid comes before it."""
    value = op.value(0)
    rank = len(value.shape)
    pads = op.listed("pads", 1)
    axes = in_axes(op.listed("axes", 3, tuple(range(rank))), rank)
    if len(pads) != 2 * len(axes):
        raise NodeFault(f"{len(pads)} pads for {len(axes)} axes", "there are two pads per axis")
    before, after = [0] * rank, [0] * rank
    for index, axis in enumerate(axes):
        before[axis], after[axis] = pads[index], pads[index + len(axes)]
    shape = tuple(n + before[a] + after[a] for a, n in enumerate(value.shape))
    mode = _MODES[op.text("mode", "constant")]
    if mode == "reflect" and any(max(before[a], after[a]) >= n for a, n in enumerate(value.shape)):
        raise NodeFault(f"pads {list(pads)} of {list(value.shape)}", "a reflected border is shorter than its axis")
    operator = Pad(_stored(before, value.axes), _stored(after, value.axes), _filling(op), mode)
    op.emit(operator, [_on_result_grid(op, value)], shape, value.axes)


def in_axes(axes: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """Distinct axes in their given order."""
    in_ranks(axes, rank)
    return tuple(in_rank(a, rank) for a in axes)


def _stored(numbers: list[int], axes: Axes) -> tuple[int, ...]:
    return tuple(numbers[a] for a in axes)


def _filling(op: Operation) -> float:
    """The real number that a constant Pad fills with."""
    data, codes = op.grid(0), op.step.on_codes
    if op.given(2):
        number = op.array(2)
        if number.size != 1 or number.dtype.kind not in "fiu" or not np.isfinite(number.ravel()[0]):
            raise NodeFault(f"value {number.dtype}{list(number.shape)}", "the filling value is one finite number")
        own = op.grid(2) or (data if codes else None)
        real = number if own is None else own.dequantize(number)
        return float(np.ravel(real)[0])
    if codes and data is not None:  # a Pad of codes fills with code 0, whatever that stands for
        return float(data.dequantize(np.zeros(1, data.dtype))[0])
    return op.real("value", 0.0)


def _on_result_grid(op: Operation, value: Value) -> str:
    grid = op.result_grid()
    if grid is None or grid.stored() == op.emitter.quant(value):
        return value.tensor
    tensor = f"{op.step.outputs[0]}/requantized"
    op.emitter.network.grids[tensor] = grid
    result = op.emitter.result(tensor, value.shape, value.axes)
    op.emitter.node(f"{op.node.name}/requantize", Requantize(), [value.tensor], [result])
    return result.tensor


def depth_to_space(op: Operation) -> None:
    """DepthToSpace, DCR and CRD."""
    batch, channels, height, width = op.shape(0)
    block = _block(op)
    if channels % (block * block):
        raise NodeFault(f"{channels} channels, blocks of {block}", "channels divide into blocks")
    operator = DepthToSpace(block, op.text("mode", "DCR") == "CRD")
    shape = (batch, channels // (block * block), height * block, width * block)
    op.emit_move(operator, op.operand(0, CHANNELS_LAST), shape)


def space_to_depth(op: Operation) -> None:
    """SpaceToDepth."""
    batch, channels, height, width = op.shape(0)
    block = _block(op)
    if height % block or width % block:
        raise NodeFault(f"image {height} x {width}, blocks of {block}", "the image divides into blocks")
    shape = (batch, channels * block * block, height // block, width // block)
    op.emit_move(SpaceToDepth(block), op.operand(0, CHANNELS_LAST), shape)


def _block(op: Operation) -> int:
    block = op.integer("blocksize")
    if not 1 <= block <= 1 << 16:
        raise NodeFault(f"blocksize {block}", "a block has at least one element")
    return block
