"""Arguments of steps as compiled code reads them."""

from collections.abc import Sequence
from typing import Any

from accel_kernels.native.emit import I64, Emitter, Value, intrinsic
from accel_kernels.native.parts import inline
from accel_kernels.native.tables import Field

__all__ = ["field", "inline", "input_address", "output_address"]


def _field(e: Emitter, block: Value, place: Value) -> Value:
    return e.load(e.add(block, e.multiply(place, 8)), I64)


def _operand(in_arena: Field, place: Field) -> Any:
    def emit(e: Emitter, arguments: Sequence[Value]) -> Value:
        block, arena = arguments
        inside = e.multiply(arena, _field(e, block, e.number(in_arena)))
        return e.add(_field(e, block, e.number(place)), inside)

    return intrinsic(2, emit)


field = intrinsic(2, lambda e, arguments: _field(e, *arguments))
"""(row of arguments, place): the argument at a place."""
input_address = _operand(Field.IN_ARENA, Field.INPUT)
"""(row of arguments, arena): where the first operand lies."""
output_address = _operand(Field.OUT_ARENA, Field.OUTPUT)
"""(row of arguments, arena): where the result lies."""
