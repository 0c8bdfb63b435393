"""Random models of the operators that move values without changing them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from oracles.tflite_builder import options
from oracles.tflite_draw import Case, CaseBuilder, Draw, Grid

_SHARES = {"int8": 0.6, "uint8": 0.2, "int16": 0.2}
_BYTES = {"int8": 0.75, "uint8": 0.25}


def _begin(
    draw: Draw, operator: str, shape: tuple[int, ...], shares: dict[str, float] = _SHARES
) -> tuple[CaseBuilder, np.ndarray, str, Grid]:
    """A case whose first operand is an input of `shape`; its codes, type and grid."""
    dtype = draw.weighted(shares)
    grid = draw.grid(dtype)
    case = CaseBuilder(operator, draw)
    codes = draw.codes(shape, dtype)
    case.input(codes, dtype, grid)
    return case, codes, dtype, grid


def _margins(draw: Draw, rank: int, limit: int = 3) -> np.ndarray:
    return draw.rng.integers(0, limit, (rank, 2), endpoint=True).astype(np.int32)


def pad(draw: Draw) -> Case:
    """PAD: rank 1 to 4; fills with the zero point."""
    shape = draw.shape(draw.integer(1, 4), 1, 5)
    case, _, dtype, grid = _begin(draw, "PAD", shape)
    margins = _margins(draw, len(shape))
    case.constant(margins, draw.pick(["int32", "int64"]), name="paddings")
    case.output(np.array(shape) + margins.sum(1), dtype, grid)
    return case.finish(dtype, options("Pad"), version=2)


def padv2(draw: Draw) -> Case:
    """PADV2: fills with a given code of the same grid."""
    shape = draw.shape(draw.integer(1, 4), 1, 5)
    case, _, dtype, grid = _begin(draw, "PADV2", shape)
    margins = _margins(draw, len(shape))
    case.constant(margins, "int32", name="paddings")
    value = draw.codes((1,), dtype)
    case.constant(value, dtype, grid.scale, grid.zero_point, name="value")
    case.output(np.array(shape) + margins.sum(1), dtype, grid)
    return case.finish(dtype, options("PadV2"), version=2)


def mirror_pad(draw: Draw) -> Case:
    """MIRROR_PAD: both modes."""
    shape = draw.shape(draw.integer(1, 4), 4, 5)
    case, _, dtype, grid = _begin(draw, "MIRROR_PAD", shape)
    margins = _margins(draw, len(shape))
    case.constant(margins, "int32", name="paddings")
    case.output(np.array(shape) + margins.sum(1), dtype, grid)
    return case.finish(dtype, options("MirrorPad", mode=draw.integer(0, 1)), version=2)


def reshape(draw: Draw) -> Case:
    """RESHAPE: the shape as an operand, as an option, or both; -1 now and then."""
    factors = draw.shape(4, 1, 5)
    shape = factors[: draw.integer(1, 4)]
    size = int(np.prod(shape))
    target = [int(n) for n in draw.rng.permutation(shape)]
    if len(target) > 1 and draw.chance(0.5):
        target[:2] = [target[0] * target[1]]
    case, _, dtype, grid = _begin(draw, "RESHAPE", shape)
    stated = list(target)
    if draw.chance(0.3):
        stated[draw.integer(0, len(stated) - 1)] = -1
    form = draw.integer(0, 2)
    if form < 2:
        case.constant(np.array(stated), "int32", name="shape")
    case.output(target, dtype, grid)
    fields = options("Reshape", newShape=np.array(stated, np.int32)) if form else None
    return case.finish(f"{dtype}, {size} elements", fields)


def squeeze(draw: Draw) -> Case:
    """SQUEEZE: named axes (negative too) or all of length one."""
    shape = tuple(draw.pick([1, 1, 2, 3]) for _ in range(draw.integer(1, 4)))
    ones = [axis for axis, size in enumerate(shape) if size == 1]
    axes = [axis for axis in ones if draw.chance(0.6)]
    case, _, dtype, grid = _begin(draw, "SQUEEZE", shape)
    gone = axes or ones
    case.output([n for axis, n in enumerate(shape) if axis not in gone], dtype, grid)
    stated = [axis - len(shape) if draw.chance(0.3) else axis for axis in axes]
    return case.finish(dtype, options("Squeeze", squeezeDims=np.array(stated, np.int32)))


def expand_dims(draw: Draw) -> Case:
    """EXPAND_DIMS: any axis, negative too."""
    shape = draw.shape(draw.integer(1, 3), 1, 5)
    case, codes, dtype, grid = _begin(draw, "EXPAND_DIMS", shape)
    axis = draw.integer(-len(shape) - 1, len(shape))
    case.constant(np.array(axis), "int32", name="axis")
    case.output(np.expand_dims(codes, axis).shape, dtype, grid)
    return case.finish(dtype, options("ExpandDims"))


def transpose(draw: Draw) -> Case:
    """TRANSPOSE: any permutation of 1 to 5 axes."""
    shape = draw.shape(draw.integer(1, 5), 1, 4)
    case, codes, dtype, grid = _begin(draw, "TRANSPOSE", shape)
    permutation = draw.rng.permutation(len(shape))
    case.constant(permutation, "int32", name="permutation")
    case.output(codes.transpose(permutation).shape, dtype, grid)
    return case.finish(dtype, options("Transpose"), version=2)


def slice_(draw: Draw) -> Case:
    """SLICE: size -1 means up to the end."""
    shape = draw.shape(draw.integer(1, 4), 1, 6)
    case, _, dtype, grid = _begin(draw, "SLICE", shape)
    begin = [draw.integer(0, size - 1) for size in shape]
    result = [draw.integer(1, size - first) for size, first in zip(shape, begin, strict=True)]
    stated = list(result)
    for axis, size in enumerate(shape):
        if begin[axis] + result[axis] == size and draw.chance(0.5):
            stated[axis] = -1
    kind = draw.pick(["int32", "int64"])
    case.constant(np.array(begin), kind, name="begin")
    case.constant(np.array(stated), kind, name="size")
    case.output(result, dtype, grid)
    return case.finish(dtype, options("Slice"), version=2)


def strided_slice(draw: Draw) -> Case:
    """STRIDED_SLICE: masks, negative strides, shrunk, new and elided axes; bounds beyond the end."""
    shape = draw.shape(draw.integer(1, 4), 1, 6)
    case, codes, dtype, grid = _begin(draw, "STRIDED_SLICE", shape)
    masks = dict.fromkeys(("beginMask", "endMask", "shrinkAxisMask", "newAxisMask", "ellipsisMask"), 0)
    rows, index = _spec(draw, shape, masks)
    for name, column in zip(("begin", "end", "strides"), zip(*rows, strict=True), strict=True):
        case.constant(np.array(column), "int32", name=name)
    case.output(codes[tuple(index)].shape, dtype, grid)
    return case.finish(f"{dtype}, {index}", options("StridedSlice", **masks), version=2)


def _spec(draw: Draw, shape: tuple[int, ...], masks: dict[str, int]) -> tuple[list[tuple[int, int, int]], list[object]]:
    """Rows (begin, end, stride) of the specification, and the same as a numpy index."""
    rows: list[tuple[int, int, int]] = []
    index: list[object] = []
    axis, form = 0, draw.weighted({"plain": 0.85, "new": 0.07, "elided": 0.08})
    while axis < len(shape):
        bit = 1 << len(rows)
        if form == "new" and draw.chance(0.3) and len(rows) < 5:
            masks["newAxisMask"] |= bit
            rows.append((0, 1, 1))
            index.append(None)
        elif form == "elided" and not masks["ellipsisMask"] and draw.chance(0.5):
            masks["ellipsisMask"] |= bit
            rows.append((0, 0, 1))
            index.append(Ellipsis)
            axis = draw.integer(axis + 1, len(shape))  # LiteRT elides at least one axis
        else:
            row, item = _axis(draw, shape[axis], bit, masks)
            rows.append(row)
            index.append(item)
            axis += 1
    return rows, index


def _axis(draw: Draw, size: int, bit: int, masks: dict[str, int]) -> tuple[tuple[int, int, int], int | slice]:
    if draw.chance(0.15):
        masks["shrinkAxisMask"] |= bit
        first = draw.integer(-size, size - 1)
        return (first, first + 1, 1), first
    while True:
        begin, end = draw.integer(-size - 1, size + 1), draw.integer(-size - 1, size + 1)
        stride = draw.pick([1, 1, 2, 3, -1, -2])
        first = None if draw.chance(0.25) else begin
        last = None if draw.chance(0.25) else end
        if len(range(size)[first:last:stride]):
            masks["beginMask"] |= bit if first is None else 0
            masks["endMask"] |= bit if last is None else 0
            return (begin, end, stride), slice(first, last, stride)


def split(draw: Draw) -> Case:
    """SPLIT: equal parts along any axis."""
    shape = list(draw.shape(draw.integer(1, 4), 1, 4))
    axis, parts = draw.integer(0, len(shape) - 1), draw.integer(1, 4)
    part = list(shape)
    shape[axis] *= parts
    dtype = draw.weighted(_SHARES)
    grid = draw.grid(dtype)
    case = CaseBuilder("SPLIT", draw)
    stated = axis - len(shape) if draw.chance(0.3) else axis
    case.constant(np.array(stated), "int32", name="axis")
    case.input(draw.codes(shape, dtype), dtype, grid)
    for number in range(parts):
        case.output(part, dtype, grid, f"y{number}")
    return case.finish(dtype, options("Split", numSplits=parts), version=2)


def split_v(draw: Draw) -> Case:
    """SPLIT_V: parts of given sizes, one of which may be -1."""
    shape = list(draw.shape(draw.integer(1, 4), 1, 4))
    axis = draw.integer(0, len(shape) - 1)
    sizes = [draw.integer(1, 4) for _ in range(draw.integer(1, 4))]
    shape[axis] = sum(sizes)
    case, _, dtype, grid = _begin(draw, "SPLIT_V", tuple(shape))
    stated = list(sizes)
    if draw.chance(0.3):
        stated[draw.integer(0, len(sizes) - 1)] = -1
    case.constant(np.array(stated), "int32", name="sizes")
    case.constant(np.array(axis), "int32", name="axis")
    for number, size in enumerate(sizes):
        case.output([*shape[:axis], size, *shape[axis + 1 :]], dtype, grid, f"y{number}")
    return case.finish(dtype, options("SplitV", numSplits=len(sizes)), version=2)


def pack(draw: Draw) -> Case:
    """PACK: 1 to 4 operands along any new axis, negative too; one of them constant now and then."""
    dtype = draw.weighted(_SHARES)
    grid, shape, count = draw.grid(dtype), draw.shape(draw.integer(1, 3), 1, 5), draw.integer(1, 4)
    axis = draw.integer(-len(shape) - 1, len(shape))
    constant = draw.integer(0, 2 * count)  # the operand of this number, if there is one
    case = CaseBuilder("PACK", draw)
    parts = [draw.codes(shape, dtype) for _ in range(count)]
    for number, codes in enumerate(parts):
        case.operand(codes, dtype, grid, f"x{number}", constant=number == constant and count > 1)
    case.output(np.stack(parts, axis).shape, dtype, grid)
    return case.finish(dtype, options("Pack", valuesCount=count, axis=axis), version=2 if dtype != "int16" else 3)


def unpack(draw: Draw) -> Case:
    """UNPACK: along any axis, negative too."""
    shape = draw.shape(draw.integer(2, 4), 1, 5)
    case, _, dtype, grid = _begin(draw, "UNPACK", shape)
    axis = draw.integer(-len(shape), len(shape) - 1)
    rest = list(shape)
    count = rest.pop(axis)
    for number in range(count):
        case.output(rest, dtype, grid, f"y{number}")
    return case.finish(dtype, options("Unpack", num=count, axis=axis), version=2 if dtype != "int16" else 4)


def _blocks(draw: Draw, operator: str, kind: str, shrink: Callable[..., tuple[int, ...]]) -> Case:
    block, (n, h, w, c) = draw.integer(1, 3), draw.shape(4, 1, 4)
    source, result = shrink(n, h, w, c, block)
    case, _, dtype, grid = _begin(draw, operator, source, _BYTES)
    case.output(result, dtype, grid)
    return case.finish(dtype, options(kind, blockSize=block), version=1)


def space_to_depth(draw: Draw) -> Case:
    """SPACE_TO_DEPTH: blocks of 1 to 3."""
    return _blocks(
        draw,
        "SPACE_TO_DEPTH",
        "SpaceToDepth",
        lambda n, h, w, c, b: ((n, h * b, w * b, c), (n, h, w, c * b * b)),
    )


def depth_to_space(draw: Draw) -> Case:
    """DEPTH_TO_SPACE: blocks of 1 to 3."""
    return _blocks(
        draw,
        "DEPTH_TO_SPACE",
        "DepthToSpace",
        lambda n, h, w, c, b: ((n, h, w, c * b * b), (n, h * b, w * b, c)),
    )
