"""Activation functions that stand alone."""

import math
from collections.abc import Callable

from accel_sim.frontend.tflite import constraints as must
from accel_sim.frontend.tflite.rules import Call, Constraint, Lowered, Rule, ruled, single
from accel_sim.ir import (
    RELU,
    RELU6,
    RELU_N1_TO_1,
    Activation,
    Clip,
    HardSwish,
    LeakyRelu,
    Logistic,
    Operator,
    QuantParams,
    Softmax,
    Tanh,
)

_UNIT = {
    "int8": QuantParams.per_tensor(1 / 256, -128),
    "uint8": QuantParams.per_tensor(1 / 256, 0, signed=False),
    "int16": QuantParams.per_tensor(1 / 32768, bits=16),
}
_SIGNED_UNIT = {"int16": QuantParams.per_tensor(1 / 32768, bits=16)}


def result_grid(grids: dict[str, QuantParams]) -> Constraint:
    """The grid of the result, by type."""
    fixed = ", ".join(
        f"{name} scale 1/{round(1 / q.scale[0])} zero point {q.zero_point[0]}" for name, q in grids.items()
    )

    @ruled(f"The result's grid is fixed: {fixed}.")
    def check(call: Call) -> str | None:
        expected = grids.get(must.type_name(call.y))
        return None if expected is None or call.y.quant == expected else must.grid_text(call.y)

    return check


def _rule(
    operator: str,
    op: type[Operator],
    types: tuple[str, ...],
    make: Callable[[Call], Operator],
    *constraints: Constraint,
) -> Rule:
    """A function of one operand that keeps its shape."""

    def lower(call: Call) -> Lowered:
        return single(call, make(call))

    structure = (must.operands(1, 1), must.activation_types(*types))
    return Rule(operator, (op,), structure, (must.grids(), *constraints), lambda call: [call.x.shape], lower)


def _clip(activation: Activation) -> Callable[[Call], Operator]:
    return lambda _: Clip(activation)


def alpha_is_finite(call: Call) -> str | None:
    """Alpha is finite."""
    alpha = call.options.real("Alpha")
    return None if math.isfinite(alpha) else f"alpha {alpha}"


def beta_is_positive(call: Call) -> str | None:
    """Beta is positive and finite."""
    beta = call.options.real("Beta")
    return None if math.isfinite(beta) and beta > 0 else f"beta {beta}"


RULES = (
    _rule("RELU", Clip, must.FLOAT_AND_INTEGERS, _clip(RELU)),
    _rule("RELU6", Clip, must.FLOAT_AND_INTEGERS, _clip(RELU6)),
    _rule("RELU_N1_TO_1", Clip, must.FLOAT_AND_BYTES, _clip(RELU_N1_TO_1)),
    _rule(
        "LEAKY_RELU",
        LeakyRelu,
        must.FLOAT_AND_INTEGERS,
        lambda call: LeakyRelu(call.options.real("Alpha")),
        alpha_is_finite,
    ),
    _rule("HARD_SWISH", HardSwish, must.FLOAT_AND_BYTES, lambda _: HardSwish()),
    _rule("LOGISTIC", Logistic, must.FLOAT_AND_INTEGERS, lambda _: Logistic(), result_grid(_UNIT)),
    _rule("TANH", Tanh, must.FLOAT_AND_INTEGERS, lambda _: Tanh(), result_grid(_SIGNED_UNIT)),
    Rule(
        "SOFTMAX",
        (Softmax,),
        (must.operands(1, 1), must.activation_types(*must.FLOAT_AND_INTEGERS), must.rank(0, 1, 4)),
        (must.grids(), beta_is_positive, result_grid(_UNIT)),
        lambda call: [call.x.shape],
        lambda call: single(call, Softmax(-1, call.options.real("Beta"))),
    ),
)
