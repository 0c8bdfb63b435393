"""ADD, SUB, MUL, MINIMUM, MAXIMUM and PRELU."""

from accel_sim.frontend.tflite import constraints as must
from accel_sim.frontend.tflite.rules import Call, Lowered, Rule, Shape, single
from accel_sim.ir import Add, ElementType, Maximum, Minimum, Multiply, Operator, PRelu, Subtract
from accel_sim.records import dataclass

_BOTH = (0, 1)


def operands_broadcast(call: Call) -> str | None:
    """The shapes of both operands broadcast."""
    a, b = call.operand(0).shape, call.operand(1).shape
    return None if must.broadcast(a, b) is not None else f"{list(a)} and {list(b)}"


def general_scales(call: Call) -> str | None:
    """PotScaleInt16 is false, or a scale of the int16 tensors is no power of two."""
    if call.x.element is not ElementType.INT16 or not call.options.flag("PotScaleInt16"):
        return None
    grids = [t.quant for t in (call.x, call.operand(1), call.y)]
    powers = all(q is not None and q.is_power_of_two for q in grids)
    return "power-of-two scales with PotScaleInt16" if powers else None


def _shape(call: Call) -> list[Shape]:
    shape = must.broadcast(call.operand(0).shape, call.operand(1).shape)
    assert shape is not None
    return [shape]


_STRUCTURE = (
    must.operands(2, 2),
    must.activation_types(*must.FLOAT_AND_INTEGERS, at=_BOTH),
    operands_broadcast,
)


@dataclass(frozen=True)
class _Fused:
    """Lowers to a binary operator with a fused activation."""

    op: type[Add] | type[Subtract] | type[Multiply]

    def __call__(self, call: Call) -> Lowered:
        return single(call, self.op(must.fused(call)))


@dataclass(frozen=True)
class _Plain:
    """Lowers to an operator without attributes."""

    op: type[Operator]

    def __call__(self, call: Call) -> Lowered:
        return single(call, self.op())


_SUM = (must.grids(_BOTH), must.known_activation, general_scales)
ADD = Rule("ADD", (Add,), _STRUCTURE, _SUM, _shape, _Fused(Add))
SUB = Rule("SUB", (Subtract,), _STRUCTURE, _SUM, _shape, _Fused(Subtract))
MUL = Rule("MUL", (Multiply,), _STRUCTURE, (must.grids(_BOTH), must.known_activation), _shape, _Fused(Multiply))
MINIMUM = Rule("MINIMUM", (Minimum,), _STRUCTURE, (must.grids(_BOTH), must.one_grid(_BOTH)), _shape, _Plain(Minimum))
MAXIMUM = Rule("MAXIMUM", (Maximum,), _STRUCTURE, (must.grids(_BOTH), must.one_grid(_BOTH)), _shape, _Plain(Maximum))


def slope_broadcasts(call: Call) -> str | None:
    """The slope broadcasts against the operand without widening it."""
    x, slope = call.x.shape, call.operand(1).shape
    return None if must.broadcast(x, slope) == x else f"{list(x)} and slope {list(slope)}"


PRELU = Rule(
    "PRELU",
    (PRelu,),
    (
        must.operands(2, 2),
        must.activation_types(*must.FLOAT_AND_BYTES, at=_BOTH),
        must.constant(1, "slope"),
    ),
    (must.grids(_BOTH), slope_broadcasts),
    lambda call: [call.x.shape],
    _Plain(PRelu),
)

RULES = (ADD, SUB, MUL, MINIMUM, MAXIMUM, PRELU)
