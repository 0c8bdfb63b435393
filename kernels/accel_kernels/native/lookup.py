"""Tables of codes. Variants are OPERANDS:BITS and OPERANDS:BITS:indexed.

TABLE holds 2^8 or 2^16 entries of BITS, one for every code of the operand, the lowest code's first. Where there are
several tables, OTHER is the address of an int32 for each element: which table is its own.
"""

from collections.abc import Callable

from accel_kernels._types import Int64
from accel_kernels.native.fields import field, input_address, output_address
from accel_kernels.native.memory import LOADS, STORES, load_int32
from accel_kernels.native.tables import Field

_LOWEST = {"u8": 0, "s8": -128, "u16": 0, "s16": -32768}


def build(variant: str) -> Callable[..., None]:
    """The step of a variant."""
    operands, bits, *indexed = variant.split(":")
    width, out_width = int(operands[1:]) // 8, int(bits) // 8
    load, lowest, entries = LOADS[operands], _LOWEST[operands], 1 << int(operands[1:])
    load_entry, store = LOADS[f"s{bits}"], STORES[int(bits)]

    def lookup(block: Int64, arena: Int64, constants: Int64, scratch: Int64, part: Int64, parts: Int64) -> None:
        x, y = input_address(block, arena), output_address(block, arena)
        size, table = field(block, Field.SIZE), field(block, Field.TABLE) - lowest * out_width
        for i in range(size * part // parts, size * (part + 1) // parts):
            store(y + i * out_width, load_entry(table + load(x + i * width) * out_width))

    def lookup_indexed(block: Int64, arena: Int64, constants: Int64, scratch: Int64, part: Int64, parts: Int64) -> None:
        x, y, index = input_address(block, arena), output_address(block, arena), field(block, Field.OTHER)
        size, table = field(block, Field.SIZE), field(block, Field.TABLE) - lowest * out_width
        for i in range(size * part // parts, size * (part + 1) // parts):
            own = table + load_int32(index + 4 * i) * (entries * out_width)
            store(y + i * out_width, load_entry(own + load(x + i * width) * out_width))

    return lookup_indexed if indexed else lookup
