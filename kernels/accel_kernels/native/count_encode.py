"""Sums of a panel of counted convolutions become codes."""

from collections.abc import Callable, Sequence
from typing import Any

from accel_kernels._types import Int64
from accel_kernels.native.count_blocks import Count
from accel_kernels.native.count_place import place
from accel_kernels.native.count_screen import SUM_BYTES
from accel_kernels.native.emit import Emitter, Value, intrinsic
from accel_kernels.native.endings import ending
from accel_kernels.native.fields import field, inline
from accel_kernels.native.tables import Field
from accel_kernels.native.tier import tier

LANES = tier().lanes
_VECTORS = 2


class _Encode:
    """Some vectors of columns of all rows.

    Arguments: sums, rows, table, bytes of its rows, first column, out, bytes between its rows, columns that exist.
    """

    ARGUMENTS = 8

    def __init__(self, kind: str, bits: int) -> None:
        self._ending = ending(kind, _VECTORS, bits)

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        sums, rows, table, stride, first, out, out_bytes, valid = arguments
        parameters = self._ending.load(e, table, stride, first)
        self._ending.finish(e, sums, rows, parameters, out, out_bytes, valid, SUM_BYTES)


def encode_sums(kind: str, bits: int) -> Callable[..., None]:
    """Sums of a panel become codes."""
    kernel: Any = intrinsic(_Encode.ARGUMENTS, _Encode(kind, bits).emit)

    @inline
    def encode(
        block: Int64, column: Int64, existing: Int64, rows: Int64, out: Int64, out_bytes: Int64, scratch: Int64
    ) -> None:
        sums = scratch + place(block, Count.SUMS)
        table, stride = field(block, Field.TABLE), field(block, Field.TABLE_STRIDE)
        for j in range(0, existing, _VECTORS * LANES):
            target, valid = out + j * bits // 8, existing - j
            kernel(sums + 4 * j, rows, table, stride, column + j, target, out_bytes, valid)

    return encode
