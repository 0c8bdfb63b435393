"""Unary operators as tables: one output code per input code.

Every unary function of a code of at most 16 bits is a table of at most 65,536 entries, so that hardware needs no other
unit for it. `derive_table` is the specification of these operators in every profile.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from accel_sim.arithmetic.table_exact import exact_table
from accel_sim.arithmetic.table_fixed_point import fixed_point_table
from accel_sim.arithmetic.table_float32 import float32_table
from accel_sim.arithmetic.table_slope import PReluSlope
from accel_sim.ir import (
    Clip,
    Concat,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Logistic,
    Operator,
    PRelu,
    QuantParams,
    Requantize,
    Tanh,
)
from accel_sim.numerics.profiles import Arithmetic, Profile, refuse

TABLE_OPERATORS: tuple[type[Operator], ...] = (
    Clip,
    Concat,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Logistic,
    PRelu,
    Requantize,
    Tanh,
)
"""The operators that `derive_table` knows (Concat: the rescaling of one operand)."""

_MOVING = (Concat, Requantize)


@lru_cache(maxsize=256)
def derive_table(
    profile: Profile, op: Operator, x: QuantParams, y: QuantParams, slope: PReluSlope | None = None
) -> NDArray[np.int64]:
    """Output codes, indexed by input code - x.low; int64 [2^x.bits], read-only.

    Args:
        profile: `requantization` decides for Requantize and Concat, `table` for the others.
        op: one of TABLE_OPERATORS; a Concat stands for one operand on grid x, its clamp included.
        x: the operand's grid, per tensor, at most 16 bits.
        y: the result's grid.
        slope: of PRelu: the code and the grid of one slope.

    Raises:
        UnsupportedByProfileError: scales that the profile cannot express.
    """
    rule = profile.requantization if isinstance(op, _MOVING) else profile.table
    derive = {
        Arithmetic.FIXED_DOUBLE: fixed_point_table,
        Arithmetic.FIXED_SINGLE: fixed_point_table,
        Arithmetic.TOSA: fixed_point_table,
        Arithmetic.FLOAT32: float32_table,
        Arithmetic.EXACT: exact_table,
        Arithmetic.SHIFT: exact_table,
    }.get(rule)
    if derive is None or not isinstance(op, TABLE_OPERATORS):
        raise refuse(profile, f"table of {op.name}", rule.value, "this arithmetic has no such table")
    if isinstance(op, Clip | Concat) and isinstance(op.activation.high, tuple):
        raise refuse(profile, f"table of {op.name}", "a bound per channel", "one table has one bound")
    table = derive(profile, rule, op, x, y, slope)
    table.flags.writeable = False
    return table
