"""Arguments of steps as compiled code reads them."""

from accel_kernels._types import Int64
from accel_kernels.native.memory import load_int64
from accel_kernels.native.parts import inline
from accel_kernels.native.tables import Field

__all__ = ["field", "inline", "input_address", "output_address"]


@inline
def field(block: Int64, place: Int64) -> Int64:
    """The argument at a place of a row."""
    value: Int64 = load_int64(block + 8 * place)
    return value


@inline
def input_address(block: Int64, arena: Int64) -> Int64:
    """Where the first operand lies."""
    return field(block, Field.INPUT) + arena * field(block, Field.IN_ARENA)


@inline
def output_address(block: Int64, arena: Int64) -> Int64:
    """Where the result lies."""
    return field(block, Field.OUTPUT) + arena * field(block, Field.OUT_ARENA)
