"""RESHAPE, SQUEEZE, EXPAND_DIMS, TRANSPOSE, PAD, PADV2, MIRROR_PAD, SPACE_TO_DEPTH and DEPTH_TO_SPACE."""

from collections.abc import Callable
from math import prod

from accel_sim.frontend.tflite import constraints as must
from accel_sim.frontend.tflite.rules import Call, Constraint, Lowered, Rule, Shape, single
from accel_sim.ir import DepthToSpace, Operator, Pad, Reshape, SpaceToDepth, Transpose

MOVED = must.activation_types(*must.FLOAT_AND_INTEGERS)
SAME_GRID = (must.grids(), must.one_grid())
_MIRROR_MODES = ("reflect", "symmetric")


def _reshape(call: Call) -> Lowered:
    return single(call, Reshape(), call.x.name)


def stated_shape(call: Call) -> tuple[int, ...]:
    """The shape that a RESHAPE asks for, as an operand or as an option; the operand wins."""
    return call.integers(1) if call.optional(1) is not None else call.options.integers("NewShape")


def shape_is_constant(call: Call) -> str | None:
    """The new shape is an option or an int32 or int64 constant."""
    return must.constant_indices(1, "shape")(call) if call.optional(1) is not None else None


def size_is_kept(call: Call) -> str | None:
    """The new shape has as many elements as the operand; one length may be -1."""
    return None if _reshaped(call) is not None else f"{list(call.x.shape)} to {list(stated_shape(call))}"


def _reshaped(call: Call) -> Shape | None:
    stated = stated_shape(call)
    known = prod(n for n in stated if n != -1)
    if min(stated, default=1) < -1 or stated.count(-1) > 1 or known == 0:
        return None
    shape = tuple(call.x.size // known if n == -1 else n for n in stated)
    return shape if prod(shape) == call.x.size else None


def _reshaped_list(call: Call) -> list[Shape]:
    shape = _reshaped(call)
    assert shape is not None
    return [shape]


def squeezed_axes_are_one(call: Call) -> str | None:
    """The squeezed axes exist and have length one."""
    shape, axes = call.x.shape, call.options.integers("SqueezeDims")
    bad = next((a for a in axes if not must.axis_inside(a, len(shape)) or shape[a] != 1), None)
    return None if bad is None else f"axis {bad} of {list(shape)}"


def _squeezed(call: Call) -> list[Shape]:
    shape = call.x.shape
    named = {a % len(shape) for a in call.options.integers("SqueezeDims")}
    gone = named or {i for i, n in enumerate(shape) if n == 1}
    return [tuple(n for i, n in enumerate(shape) if i not in gone)]


def one_new_axis(call: Call) -> str | None:
    """There is one new axis, inside the axes of the result."""
    axes = call.integers(1)
    return None if len(axes) == 1 and must.axis_inside(axes[0], len(call.x.shape) + 1) else f"axes {list(axes)}"


def _expanded(call: Call) -> list[Shape]:
    shape = list(call.x.shape)
    shape.insert(call.integers(1)[0] % (len(shape) + 1), 1)
    return [tuple(shape)]


def permutes_axes(call: Call) -> str | None:
    """The permutation names every axis once."""
    size, order = len(call.x.shape), call.integers(1)
    counted = sorted(a % size if must.axis_inside(a, size) else -1 for a in order)
    return None if counted == list(range(size)) else f"{list(order)} of {size} axes"


def _permutation(call: Call) -> tuple[int, ...]:
    return tuple(a % len(call.x.shape) for a in call.integers(1))


def margins_are_pairs(call: Call) -> str | None:
    """The margins are pairs of numbers >= 0, one pair for each axis."""
    table = call.operand(1)
    if table.shape == (len(call.x.shape), 2) and min(call.integers(1), default=0) >= 0:
        return None
    return f"{list(table.shape)} margins {list(call.integers(1))[:12]}"


def _margins(call: Call) -> tuple[tuple[int, ...], tuple[int, ...]]:
    values = call.integers(1)
    return values[0::2], values[1::2]


def _padded(call: Call) -> list[Shape]:
    before, after = _margins(call)
    return [tuple(n + b + a for n, b, a in zip(call.x.shape, before, after, strict=True))]


def fill_is_one_value(call: Call) -> str | None:
    """The fill is one constant of the operand's type and grid."""
    fill = call.operand(2)
    if fill.is_constant and fill.size == 1 and (fill.element, fill.quant) == (call.x.element, call.x.quant):
        return None
    return f"{fill.name!r} {must.type_name(fill)}{list(fill.shape)}, {must.grid_text(fill)}"


def _fill(call: Call) -> float:
    code, q = call.operand(2).constant.reshape(-1)[0], call.x.quant
    return float(code) if q is None else q.scale[0] * (int(code) - q.zero_point[0])


def known_mirror(call: Call) -> str | None:
    """The mode is REFLECT or SYMMETRIC."""
    mode = call.options.integer("Mode")
    return None if mode in (0, 1) else f"mode {mode}"


def mirror_is_short(call: Call) -> str | None:
    """A mirrored margin is not longer than its axis (REFLECT: shorter)."""
    limit = 1 if call.options.integer("Mode") == 0 else 0
    for size, *pair in zip(call.x.shape, *_margins(call), strict=True):
        if max(pair) > size - limit:
            return f"margin {max(pair)} of an axis of {size}"
    return None


def _lower_pad(value: Callable[[Call], float], mode: Callable[[Call], str]) -> Callable[[Call], Lowered]:
    return lambda call: single(call, Pad(*_margins(call), value(call), mode(call)), call.x.name)


def _pad(operator: str, count: int, constraints: tuple[Constraint, ...], lower: Callable[[Call], Lowered]) -> Rule:
    structure = (
        must.operands(count, count),
        MOVED,
        must.rank(0, 1, 5),
        must.constant_indices(1, "margins"),
        margins_are_pairs,
    )
    return Rule(operator, (Pad,), (*structure, *constraints), SAME_GRID, _padded, lower)


def block_divides(call: Call) -> str | None:
    """The block divides height and width."""
    block, shape = call.options.integer("BlockSize"), call.x.shape
    return None if shape[1] % block == shape[2] % block == 0 else f"block {block}, shape {list(shape)}"


def block_divides_channels(call: Call) -> str | None:
    """The block's area divides the channels."""
    block, shape = call.options.integer("BlockSize"), call.x.shape
    return None if shape[3] % (block * block) == 0 else f"block {block}, shape {list(shape)}"


def _deepened(call: Call) -> list[Shape]:
    (n, h, w, c), block = call.x.shape, call.options.integer("BlockSize")
    return [(n, h // block, w // block, c * block * block)]


def _flattened(call: Call) -> list[Shape]:
    (n, h, w, c), block = call.x.shape, call.options.integer("BlockSize")
    return [(n, h * block, w * block, c // (block * block))]


def _blocks(
    operator: str,
    op: type[SpaceToDepth] | type[DepthToSpace],
    divides: Constraint,
    shapes: Callable[[Call], list[Shape]],
) -> Rule:
    def make(call: Call) -> Operator:
        return op(call.options.integer("BlockSize"))

    structure = (
        must.operands(1, 1),
        must.activation_types(*must.FLOAT_AND_BYTES),
        must.rank(0, 4, 4),
        must.positive("BlockSize"),
        divides,
    )
    return Rule(operator, (op,), structure, SAME_GRID, shapes, lambda call: single(call, make(call)))


RULES = (
    Rule(
        "RESHAPE",
        (Reshape,),
        (must.operands(1, 2), MOVED, shape_is_constant, size_is_kept),
        SAME_GRID,
        _reshaped_list,
        _reshape,
    ),
    Rule(
        "SQUEEZE",
        (Reshape,),
        (must.operands(1, 1), MOVED, squeezed_axes_are_one),
        SAME_GRID,
        _squeezed,
        _reshape,
    ),
    Rule(
        "EXPAND_DIMS",
        (Reshape,),
        (must.operands(2, 2), MOVED, must.constant_indices(1, "axis"), one_new_axis),
        SAME_GRID,
        _expanded,
        _reshape,
    ),
    Rule(
        "TRANSPOSE",
        (Transpose,),
        (
            must.operands(2, 2),
            MOVED,
            must.rank(0, 1, 6),
            must.constant_indices(1, "permutation"),
            permutes_axes,
        ),
        SAME_GRID,
        lambda call: [tuple(call.x.shape[a] for a in _permutation(call))],
        lambda call: single(call, Transpose(_permutation(call)), call.x.name),
    ),
    _pad("PAD", 2, (), _lower_pad(lambda _: 0.0, lambda _: "constant")),
    _pad("PADV2", 3, (fill_is_one_value,), _lower_pad(_fill, lambda _: "constant")),
    _pad(
        "MIRROR_PAD",
        2,
        (known_mirror, mirror_is_short),
        _lower_pad(lambda _: 0.0, lambda call: _MIRROR_MODES[call.options.integer("Mode")]),
    ),
    _blocks("SPACE_TO_DEPTH", SpaceToDepth, block_divides, _deepened),
    _blocks("DEPTH_TO_SPACE", DepthToSpace, block_divides_channels, _flattened),
)
