"""PACK and UNPACK: tensors along a new axis, and apart again."""

from dataclasses import replace

from accel_sim.frontend.tflite import constraints as must
from accel_sim.frontend.tflite.movement import MOVED, SAME_GRID
from accel_sim.frontend.tflite.resample import all_one_type
from accel_sim.frontend.tflite.rules import Call, Lowered, Rule, Shape
from accel_sim.ir import Concat, Node, Reshape, Slice, Tensor


def all_on_one_grid(call: Call) -> str | None:
    """Operands and the result lie on one grid, with one scale and one zero point."""
    if call.y.element.is_float:
        return None
    tensors = [t for t in (call.y, *call.inputs) if t is not None]
    bad = next((t for t in tensors if t.quant is None or t.quant.is_per_channel or t.quant != call.y.quant), None)
    return None if bad is None else f"{must.grid_text(bad)}, result {must.grid_text(call.y)}"


def operands_stack(call: Call) -> str | None:
    """Operands have the same shape, and the axis lies inside the result's axes."""
    shapes = {t.shape for t in call.inputs if t is not None}
    axis, size = call.options.integer("Axis"), len(call.x.shape) + 1
    if len(shapes) == 1 and must.axis_inside(axis, size):
        return None
    return f"axis {axis} of {size}, operands {' and '.join(str(list(s)) for s in sorted(shapes))}"


def _axis(call: Call) -> int:
    return call.options.integer("Axis") % len(call.y.shape)


def _stacked(call: Call) -> list[Shape]:
    axis = call.options.integer("Axis") % (len(call.x.shape) + 1)
    return [(*call.x.shape[:axis], len(call.inputs), *call.x.shape[axis:])]


def _lower_pack(call: Call) -> Lowered:
    """Each operand gets the new axis; they are joined along it."""
    axis, lowered = _axis(call), Lowered()
    shape = (*call.x.shape[:axis], 1, *call.x.shape[axis:])
    for number, x in enumerate(t for t in call.inputs if t is not None):
        name = f"{call.name}/{number}"
        if x.is_constant:
            lowered.tensors.append(replace(x, name=name, shape=shape, data=x.constant.reshape(shape), file_axes=()))
        else:
            lowered.tensors.append(Tensor(name, shape, x.element, x.quant))
            lowered.nodes.append(Node(name, Reshape(), (x.name,), (name,)))
    parts = tuple(t.name for t in lowered.tensors)
    lowered.nodes.append(Node(call.name, Concat(axis), parts, (call.y.name,)))
    return lowered


def results_are_the_slices(call: Call) -> str | None:
    """The axis lies inside the operand's axes, and there is a result for each of its indices."""
    axis, shape, count = call.options.integer("Axis"), call.x.shape, len(call.outputs)
    if must.axis_inside(axis, len(shape)) and shape[axis] == count:
        return None
    return f"axis {axis} of {list(shape)}, {count} results"


def _unpacked(call: Call) -> Shape:
    axis = call.options.integer("Axis") % len(call.x.shape)
    return (*call.x.shape[:axis], *call.x.shape[axis + 1 :])


def _lower_unpack(call: Call) -> Lowered:
    """A slice of one index for each result, without that axis."""
    shape, lowered = call.x.shape, Lowered()
    axis = call.options.integer("Axis") % len(shape)
    box = (*shape[:axis], 1, *shape[axis + 1 :])
    for number, y in enumerate(call.outputs):
        part = Tensor(f"{y.name}/box", box, y.element, y.quant)
        op = Slice(tuple(number if i == axis else 0 for i in range(len(shape))), (1,) * len(shape))
        lowered.tensors.append(part)
        lowered.nodes.append(Node(part.name, op, (call.x.name,), (part.name,)))
        lowered.nodes.append(Node(y.name, Reshape(), (part.name,), (y.name,)))
    return lowered


RULES = (
    Rule(
        "PACK",
        (Concat, Reshape),
        (must.operands(1), all_one_type, must.rank(0, 1, 4), operands_stack),
        (all_on_one_grid,),
        _stacked,
        _lower_pack,
    ),
    Rule(
        "UNPACK",
        (Reshape, Slice),
        (must.operands(1, 1, results=None), MOVED, must.rank(0, 2, 5), results_are_the_slices),
        SAME_GRID,
        lambda call: [_unpacked(call)] * len(call.outputs),
        _lower_unpack,
    ),
)
