"""SLICE, STRIDED_SLICE, SPLIT and SPLIT_V."""

from itertools import accumulate

from accel_sim.frontend.tflite import constraints as must
from accel_sim.frontend.tflite.movement import MOVED, SAME_GRID
from accel_sim.frontend.tflite.rules import Call, Lowered, Rule, Shape, single
from accel_sim.ir import Node, Reshape, Slice, Tensor
from accel_sim.records import dataclass

_MASKS = ("BeginMask", "EndMask", "EllipsisMask", "NewAxisMask", "ShrinkAxisMask")


def slice_is_inside(call: Call) -> str | None:
    """Begin and size lie inside the operand, one each per axis; a size of -1 reaches to the end."""
    shape, begin, size = call.x.shape, call.integers(1), call.integers(2)
    if len(begin) == len(size) == len(shape):
        ends = zip(shape, begin, size, strict=True)
        if all(0 <= b < n and (s == -1 or 0 < s <= n - b) for n, b, s in ends):
            return None
    return f"begin {list(begin)}, size {list(size)} of {list(shape)}"


def _sliced(call: Call) -> list[Shape]:
    rows = zip(call.x.shape, call.integers(1), call.integers(2), strict=True)
    return [tuple(n - b if s == -1 else s for n, b, s in rows)]


def _lower_slice(call: Call) -> Lowered:
    begin = call.integers(1)
    return single(call, Slice(begin, (1,) * len(begin)), call.x.name)


@dataclass(frozen=True)
class Range:
    """What a strided slice takes of one axis of the operand: `length` indices from `begin` in steps of `stride`."""

    begin: int
    stride: int
    length: int
    is_kept: bool = True


@dataclass(frozen=True)
class StridedSlice:
    """A resolved specification: a range for each axis of the operand, and the result's shape."""

    ranges: tuple[Range, ...]
    shape: Shape

    @property
    def box(self) -> Shape:
        """The shape before axes are dropped or added."""
        return tuple(r.length for r in self.ranges)


def rows_per_axis(call: Call) -> str | None:
    """Begin, end and strides have as many numbers as each other, one per axis of the operand or of the result."""
    lengths = [call.operand(i).size for i in (1, 2, 3)]
    return None if len(set(lengths)) == 1 and lengths[0] <= 8 else f"{lengths} numbers"


def masks_are_separate(call: Call) -> str | None:
    """At most one ellipsis, and none together with a new axis; ends are no offsets."""
    ellipsis, new_axis = call.options.integer("EllipsisMask"), call.options.integer("NewAxisMask")
    if ellipsis & (ellipsis - 1) or (ellipsis and new_axis) or call.options.flag("Offset"):
        return ", ".join(f"{m} {call.options.integer(m)}" for m in _MASKS)
    return None


def strides_are_usable(call: Call) -> str | None:
    """Strides are not 0, ranges are not empty, and a dropped axis has an index inside the operand."""
    spec = resolve(call)
    if spec is not None and min(spec.box, default=1) > 0:
        return None
    rows = [list(call.integers(i)) for i in (1, 2, 3)]
    return f"begin {rows[0]}, end {rows[1]}, strides {rows[2]} of {list(call.x.shape)}"


def resolve(call: Call) -> StridedSlice | None:
    """The ranges and the shape of a STRIDED_SLICE as NumPy's indexing means them; None where there are none."""
    masks = {m: call.options.integer(m) for m in _MASKS}
    begin, end, strides = (call.integers(i) for i in (1, 2, 3))
    new_axes = sum(masks["NewAxisMask"] >> i & 1 for i in range(len(begin)))
    has_ellipsis = masks["EllipsisMask"] & ((1 << len(begin)) - 1) != 0
    elided = len(call.x.shape) - (len(begin) - new_axes - has_ellipsis)
    if elided < 0:
        return None
    ranges: list[Range] = []
    shape: list[int] = []
    for i, row in enumerate(zip(begin, end, strides, strict=True)):
        if masks["NewAxisMask"] >> i & 1:
            shape.append(1)
            continue
        if masks["EllipsisMask"] >> i & 1:
            whole = [Range(0, 1, n) for n in call.x.shape[len(ranges) : len(ranges) + elided]]
            ranges += whole
            shape += [r.length for r in whole]
            continue
        taken = _range(call.x.shape[len(ranges)], *row, {m: mask >> i & 1 for m, mask in masks.items()})
        if taken is None:
            return None
        ranges.append(taken)
        shape += [taken.length] if taken.is_kept else []
    rest = call.x.shape[len(ranges) :]
    return StridedSlice((*ranges, *(Range(0, 1, n) for n in rest)), (*shape, *rest))


def _range(size: int, begin: int, end: int, stride: int, bits: dict[str, int]) -> Range | None:
    if bits["ShrinkAxisMask"]:
        return Range(begin % size, 1, 1, is_kept=False) if must.axis_inside(begin, size) else None
    if stride == 0:
        return None
    first = None if bits["BeginMask"] else begin
    last = None if bits["EndMask"] else end
    taken = range(size)[first:last:stride]
    return Range(taken.start, stride, len(taken))


def _resolved(call: Call) -> StridedSlice:
    spec = resolve(call)
    assert spec is not None
    return spec


def _lower_strided_slice(call: Call) -> Lowered:
    spec = _resolved(call)
    op = Slice(tuple(r.begin for r in spec.ranges), tuple(r.stride for r in spec.ranges))
    if spec.box == spec.shape:
        return single(call, op, call.x.name)
    box = Tensor(f"{call.name}/box", spec.box, call.y.element, call.y.quant)
    nodes = [
        Node(box.name, op, (call.x.name,), (box.name,)),
        Node(call.name, Reshape(), (box.name,), (call.y.name,)),
    ]
    return Lowered(nodes, [box])


def parts_are_equal(call: Call) -> str | None:
    """There is one axis, which the number of results divides."""
    axes, shape, count = call.integers(0), call.operand(1).shape, len(call.outputs)
    if len(axes) == 1 and must.axis_inside(axes[0], len(shape)) and count and shape[axes[0]] % count == 0:
        return None
    return f"axis {list(axes)} of {list(shape)} in {count} parts"


def parts_make_the_whole(call: Call) -> str | None:
    """There is one axis, and the sizes, one of which may be -1, add up to it; there is a result for each."""
    axes = call.integers(2)
    sizes = _sizes(call) if len(axes) == 1 and must.axis_inside(axes[0], len(call.x.shape)) else None
    if sizes is not None and len(sizes) == len(call.outputs):
        return None
    return f"axis {list(axes)} of {list(call.x.shape)} in {list(call.integers(1))}, {len(call.outputs)} results"


def _sizes(call: Call) -> tuple[int, ...] | None:
    """The resolved sizes of a SPLIT_V."""
    whole, stated = call.x.shape[call.integers(2)[0]], call.integers(1)
    rest = whole - sum(s for s in stated if s != -1)
    if stated.count(-1) > 1:
        return None
    sizes = tuple(rest if s == -1 else s for s in stated)
    return sizes if min(sizes, default=0) > 0 and sum(sizes) == whole else None


def _parts(x: Tensor, axis: int, sizes: tuple[int, ...]) -> list[Shape]:
    axis %= len(x.shape)
    return [(*x.shape[:axis], size, *x.shape[axis + 1 :]) for size in sizes]


def _lower_parts(call: Call, x: Tensor, axis: int, sizes: tuple[int, ...]) -> Lowered:
    """One slice for each result, named after it."""
    axis %= len(x.shape)
    lowered = Lowered()
    for start, result in zip(accumulate(sizes, initial=0), call.outputs, strict=False):
        begin = tuple(start if i == axis else 0 for i in range(len(x.shape)))
        op = Slice(begin, (1,) * len(begin))
        lowered.nodes.append(Node(result.name, op, (x.name,), (result.name,)))
    return lowered


def _equal_sizes(call: Call) -> tuple[int, ...]:
    count = len(call.outputs)
    return (call.operand(1).shape[call.integers(0)[0]] // count,) * count


def _split_sizes(call: Call) -> tuple[int, ...]:
    sizes = _sizes(call)
    assert sizes is not None
    return sizes


RULES = (
    Rule(
        "SLICE",
        (Slice,),
        (
            must.operands(3, 3),
            MOVED,
            must.constant_indices(1, "begin"),
            must.constant_indices(2, "size"),
            slice_is_inside,
        ),
        SAME_GRID,
        _sliced,
        _lower_slice,
    ),
    Rule(
        "STRIDED_SLICE",
        (Slice, Reshape),
        (
            must.operands(4, 4),
            MOVED,
            must.constant_indices(1, "begin"),
            must.constant_indices(2, "end"),
            must.constant_indices(3, "strides"),
            rows_per_axis,
            masks_are_separate,
            strides_are_usable,
        ),
        SAME_GRID,
        lambda call: [_resolved(call).shape],
        _lower_strided_slice,
    ),
    Rule(
        "SPLIT",
        (Slice,),
        (
            must.operands(2, 2, results=None),
            must.constant_indices(0, "axis"),
            must.activation_types(*must.FLOAT_AND_INTEGERS, at=(1,)),
            parts_are_equal,
        ),
        (must.grids((1,)), must.one_grid((1,))),
        lambda call: _parts(call.operand(1), call.integers(0)[0], _equal_sizes(call)),
        lambda call: _lower_parts(call, call.operand(1), call.integers(0)[0], _equal_sizes(call)),
    ),
    Rule(
        "SPLIT_V",
        (Slice,),
        (
            must.operands(3, 3, results=None),
            must.constant_indices(1, "sizes"),
            must.constant_indices(2, "axis"),
            MOVED,
            parts_make_the_whole,
        ),
        SAME_GRID,
        lambda call: _parts(call.x, call.integers(2)[0], _split_sizes(call)),
        lambda call: _lower_parts(call, call.x, call.integers(2)[0], _split_sizes(call)),
    ),
)
