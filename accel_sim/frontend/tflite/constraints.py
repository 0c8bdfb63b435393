"""Constraints that several operators share. Each docstring is the rule that it checks."""

from accel_sim.frontend.tflite.rules import Call, Constraint, ruled
from accel_sim.ir import NO_ACTIVATION, RELU, RELU6, RELU_N1_TO_1, Activation, ElementType, Tensor

FLOAT_AND_INTEGERS = ("float32", "int8", "uint8", "int16")
FLOAT_AND_BYTES = ("float32", "int8", "uint8")
_ACTIVATIONS = {0: NO_ACTIVATION, 1: RELU, 2: RELU_N1_TO_1, 3: RELU6}
_INDICES = (ElementType.INT32, ElementType.INT64)


def type_name(tensor: Tensor) -> str:
    """The element type as the file names it."""
    return "int4" if tensor.quant is not None and tensor.quant.bits == 4 else tensor.element.value


def grid_text(tensor: Tensor) -> str:
    """A grid in a few words."""
    q = tensor.quant
    if q is None:
        return f"{tensor.name!r} without scale"
    return f"{tensor.name!r} scale {q.scale[0]:.9g} zero point {q.zero_point[0]}"


def fused(call: Call) -> Activation:
    """The fused activation; a constraint has seen that it is known."""
    return _ACTIVATIONS[call.options.integer("FusedActivationFunction")]


def operands(least: int, most: int | None = None, results: int | None = 1) -> Constraint:
    """Counts of operands and results; the first `least` operands are present."""
    if most is None:
        given = f"at least {least} operand"
    elif least == most:
        given = f"{least} operand{'s' if least > 1 else ''}"
    else:
        given = f"{least} or {most} operands (the last may be absent)"
    made = "at least 1 result" if results is None else f"{results} result"

    @ruled(f"It has {given} and {made}.")
    def check(call: Call) -> str | None:
        count = len(call.inputs)
        if not least <= count <= (most or count) or (results is not None and len(call.outputs) != results):
            return f"{count} operands, {len(call.outputs)} results"
        missing = next((i for i, t in enumerate(call.inputs[: least if most else count]) if t is None), None)
        return None if missing is None else f"operand {missing} absent"

    return check


def activation_types(*names: str, at: tuple[int, ...] = (0,)) -> Constraint:
    """The operands `at` and every result have one type out of `names`."""

    @ruled(f"Activations and results have one type: {', '.join(names)}.")
    def check(call: Call) -> str | None:
        found = {type_name(t) for t in (*(call.operand(i) for i in at), *call.outputs)}
        return None if len(found) == 1 and found <= set(names) else " and ".join(sorted(found))

    return check


def grids(at: tuple[int, ...] = (0,)) -> Constraint:
    """The operands `at` and every result have a usable grid, where they are integers."""

    @ruled("An integer activation has one scale and one zero point, which is 0 for int16.")
    def check(call: Call) -> str | None:
        for t in (*(call.operand(i) for i in at), *call.outputs):
            if t.element.is_float:
                continue
            if t.quant is None or t.quant.is_per_channel:
                return f"{t.name!r} without scale" if t.quant is None else f"{t.name!r} per channel"
            if t.element is ElementType.INT16 and t.quant.zero_point[0]:
                return grid_text(t)
        return None

    return check


def one_grid(at: tuple[int, ...] = (0,)) -> Constraint:
    """The operands `at` and every result lie on the same grid."""

    @ruled("Operands and results lie on one grid: the operator moves codes and does not rescale them.")
    def check(call: Call) -> str | None:
        tensors = (*(call.operand(i) for i in at), *call.outputs)
        other = next((t for t in tensors if t.quant != tensors[0].quant), None)
        return None if other is None else f"{grid_text(tensors[0])}, {grid_text(other)}"

    return check


def rank(index: int, least: int, most: int) -> Constraint:
    """The rank of operand `index`."""
    axes = f"{least} axes" if least == most else f"{least} to {most} axes"

    @ruled(f"Operand {index} has {axes}.")
    def check(call: Call) -> str | None:
        shape = call.operand(index).shape
        return None if least <= len(shape) <= most else f"shape {list(shape)}"

    return check


def constant(index: int, what: str) -> Constraint:
    """Operand `index` is a constant."""

    @ruled(f"Operand {index} ({what}) is a constant.")
    def check(call: Call) -> str | None:
        t = call.optional(index)
        return None if t is None or t.is_constant else f"{t.name!r} is computed"

    return check


def constant_indices(index: int, what: str) -> Constraint:
    """Operand `index` is a constant of int32 or int64."""

    @ruled(f"Operand {index} ({what}) is an int32 or int64 constant.")
    def check(call: Call) -> str | None:
        t = call.operand(index)
        return None if t.is_constant and t.element in _INDICES else f"{t.name!r} {t.element.value}"

    return check


def known_activation(call: Call) -> str | None:
    """The fused activation is NONE, RELU, RELU6 or RELU_N1_TO_1."""
    number = call.options.integer("FusedActivationFunction")
    return None if number in _ACTIVATIONS else f"activation {number}"


def known_padding(call: Call) -> str | None:
    """Padding is SAME or VALID."""
    number = call.options.integer("Padding")
    return None if number in (0, 1) else f"padding {number}"


def positive(*names: str) -> Constraint:
    """Attributes that count something."""

    @ruled(f"{', '.join(names)} are positive." if len(names) > 1 else f"{names[0]} is positive.")
    def check(call: Call) -> str | None:
        bad = next((n for n in names if call.options.integer(n) < 1), None)
        return None if bad is None else f"{bad} {call.options.integer(bad)}"

    return check


def axis_inside(value: int, size: int) -> bool:
    """Whether `value` names one of `size` axes, counted from either end."""
    return -size <= value < size


def broadcast(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape to which both broadcast, or None."""
    longest = max(len(left), len(right))
    a, b = (1,) * (longest - len(left)) + left, (1,) * (longest - len(right)) + right
    if any(m != n and 1 not in (m, n) for m, n in zip(a, b, strict=True)):
        return None
    return tuple(n if m == 1 else m for m, n in zip(a, b, strict=True))
