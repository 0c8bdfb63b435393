"""RESIZE_NEAREST_NEIGHBOR, RESIZE_BILINEAR, QUANTIZE, DEQUANTIZE and CONCATENATION."""

from accel_sim.frontend.tflite import constraints as must
from accel_sim.frontend.tflite.rules import Call, Lowered, Rule, Shape, single
from accel_sim.ir import Concat, CoordinateMode, ElementType, NearestRounding, Requantize, ResizeBilinear, ResizeNearest

_INTEGERS = ("int8", "uint8", "int16")


def _coordinates(call: Call) -> CoordinateMode:
    if call.options.flag("AlignCorners"):
        return CoordinateMode.ALIGN_CORNERS
    return CoordinateMode.HALF_PIXEL if call.options.flag("HalfPixelCenters") else CoordinateMode.ASYMMETRIC


def one_convention(call: Call) -> str | None:
    """AlignCorners and HalfPixelCenters are not both set."""
    both = call.options.flag("AlignCorners") and call.options.flag("HalfPixelCenters")
    return "both set" if both else None


def size_is_positive(call: Call) -> str | None:
    """The size is two positive numbers, height and width."""
    size = call.integers(1)
    return None if len(size) == 2 and min(size) > 0 else f"size {list(size)}"


def _nearest(call: Call) -> Lowered:
    mode = _coordinates(call)
    # TFLite takes floor((i + 1/2) * scale): at half pixels that is the nearest index, ties upwards.
    asymmetric = mode is CoordinateMode.ASYMMETRIC
    rounding = NearestRounding.FLOOR if asymmetric else NearestRounding.ROUND_PREFER_CEIL
    return single(call, ResizeNearest(mode, rounding), call.x.name)


def _resized(call: Call) -> list[Shape]:
    return [(call.x.shape[0], *call.integers(1), call.x.shape[3])]


_RESIZE_STRUCTURE = (
    must.operands(2, 2),
    must.activation_types(*must.FLOAT_AND_INTEGERS),
    must.rank(0, 4, 4),
    must.constant_indices(1, "size"),
    size_is_positive,
)
_RESIZE = (must.grids(), must.one_grid(), one_convention)


def integer_types(call: Call) -> str | None:
    """Operand and result are int8, uint8 or int16; float32 is quantized at the inputs of the network alone."""
    pair = must.type_name(call.x), must.type_name(call.y)
    return None if set(pair) <= set(_INTEGERS) else f"{pair[0]} to {pair[1]}"


def at_the_end(call: Call) -> str | None:
    """It stands at an output of the network, or on a constant: there are no floats inside an integer network."""
    return f"{must.type_name(call.x)} to {must.type_name(call.y)} inside the network"


def _unreachable(call: Call) -> Lowered:
    raise AssertionError(f"{call.where} is stripped or refused")


def all_one_type(call: Call) -> str | None:
    """Operands and result have one type: float32, int8, uint8, int16."""
    found = {must.type_name(t) for t in (*call.inputs, call.y) if t is not None}
    return None if len(found) == 1 and found <= set(must.FLOAT_AND_INTEGERS) else " and ".join(sorted(found))


def axis_is_inside(call: Call) -> str | None:
    """The axis lies inside the operands' axes."""
    axis, size = call.options.integer("Axis"), len(call.x.shape)
    return None if must.axis_inside(axis, size) else f"axis {axis} of {size}"


def shapes_agree(call: Call) -> str | None:
    """Operands have the same shape but for the axis."""
    axis = call.options.integer("Axis") % len(call.x.shape)
    rests = {(*t.shape[:axis], -1, *t.shape[axis + 1 :]) for t in call.inputs if t is not None}
    return None if len(rests) == 1 else " and ".join(str(list(t.shape)) for t in call.inputs if t is not None)


def grids_are_usable(call: Call) -> str | None:
    """Operands and result have one scale and zero point each; those of int8 and int16 are all alike."""
    if call.y.element.is_float:
        return None
    tensors = [t for t in (call.y, *call.inputs) if t is not None]
    bad = next((t for t in tensors if t.quant is None or t.quant.is_per_channel), None)
    if bad is None and call.y.element is not ElementType.UINT8:
        bad = next((t for t in tensors if t.quant != call.y.quant), None)
    return None if bad is None else f"{must.grid_text(bad)}, result {must.grid_text(call.y)}"


def no_activation(call: Call) -> str | None:
    """There is no fused activation."""
    number = call.options.integer("FusedActivationFunction")
    return None if number == 0 else f"activation {number}"


def _joined(call: Call) -> list[Shape]:
    axis, shape = call.options.integer("Axis") % len(call.x.shape), call.x.shape
    total = sum(t.shape[axis] for t in call.inputs if t is not None)
    return [(*shape[:axis], total, *shape[axis + 1 :])]


RULES = (
    Rule("RESIZE_NEAREST_NEIGHBOR", (ResizeNearest,), _RESIZE_STRUCTURE, _RESIZE, _resized, _nearest),
    Rule(
        "RESIZE_BILINEAR",
        (ResizeBilinear,),
        _RESIZE_STRUCTURE,
        _RESIZE,
        _resized,
        lambda call: single(call, ResizeBilinear(_coordinates(call)), call.x.name),
    ),
    Rule(
        "QUANTIZE",
        (Requantize,),
        (must.operands(1, 1), integer_types),
        (must.grids(),),
        lambda call: [call.x.shape],
        lambda call: single(call, Requantize()),
    ),
    Rule("DEQUANTIZE", (), (must.operands(1, 1), at_the_end), (), lambda call: [call.x.shape], _unreachable),
    Rule(
        "CONCATENATION",
        (Concat,),
        (must.operands(1), all_one_type, must.rank(0, 1, 5), axis_is_inside, shapes_agree),
        (grids_are_usable, no_activation),
        _joined,
        lambda call: single(call, Concat(call.options.integer("Axis") % len(call.x.shape))),
    ),
)
