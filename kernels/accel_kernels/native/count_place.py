"""The table of a counted convolution as compiled code reads it."""

from accel_kernels._types import Int64
from accel_kernels.native.fields import field, inline
from accel_kernels.native.memory import load_int64
from accel_kernels.native.tables import Field


@inline
def place(block: Int64, which: Int64) -> Int64:
    """An entry of the step's table."""
    value: Int64 = load_int64(field(block, Field.EXTRA) + 8 * which)
    return value
