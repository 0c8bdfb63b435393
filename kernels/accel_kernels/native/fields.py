"""Arguments of steps as compiled code reads them."""

from numba import njit  # noqa: TID251 - compiled by `compile`, as parts of steps

from accel_kernels.native.memory import load_int64
from accel_kernels.native.tables import Field

inline = njit(nogil=True, error_model="numpy")
"""The decorator of parts of steps."""


@inline
def field(block, place):  # type: ignore[no-untyped-def]
    """The argument at a place of a row."""
    return load_int64(block + 8 * place)


@inline
def input_address(block, arena):  # type: ignore[no-untyped-def]
    """Where the first operand lies."""
    return field(block, Field.INPUT) + arena * field(block, Field.IN_ARENA)


@inline
def output_address(block, arena):  # type: ignore[no-untyped-def]
    """Where the result lies."""
    return field(block, Field.OUTPUT) + arena * field(block, Field.OUT_ARENA)
