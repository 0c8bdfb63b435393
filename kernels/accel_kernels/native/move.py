"""Strided copies and constants. Variants are "copy:BYTES" and "fill:BYTES", for elements of 1, 2, 4 or 8 bytes.

A copy has EXTRA axes; TABLE holds, for each, its length and its strides in the source and the target, in elements, the
innermost last. OTHER and SIZE are the offsets of the first elements. A constant writes SIZE elements of code LOW.
"""

from collections.abc import Callable

from accel_kernels._types import Int64
from accel_kernels.native.fields import field, inline, input_address, output_address
from accel_kernels.native.memory import LOADS, STORES, copy, load_int8, load_int64, store_int8, store_int64
from accel_kernels.native.tables import Field

_copy = inline(copy)


def build(variant: str) -> Callable[..., None]:
    """The step of a variant."""
    kind, size_text = variant.split(":")
    size = int(size_text)
    load, store = LOADS[f"s{8 * size}"], STORES[8 * size]

    def fill(block: Int64, arena: Int64, constants: Int64, scratch: Int64, part: Int64, parts: Int64) -> None:
        out = output_address(block, arena)
        count, code = field(block, Field.SIZE), field(block, Field.LOW)
        for i in range(count * part // parts, count * (part + 1) // parts):
            store(out + size * i, code)

    def copy(block: Int64, arena: Int64, constants: Int64, scratch: Int64, part: Int64, parts: Int64) -> None:
        source = input_address(block, arena) + size * field(block, Field.OTHER)
        target = output_address(block, arena) + size * field(block, Field.SIZE)
        axes, table = field(block, Field.EXTRA), field(block, Field.TABLE)
        last = table + 24 * (axes - 1)
        inner, from_step, to_step = load_int64(last), load_int64(last + 8) * size, load_int64(last + 16) * size
        outer = 1
        for axis in range(axes - 1):
            outer *= load_int64(table + 24 * axis)
        first, end = outer * part // parts, outer * (part + 1) // parts
        for index in range(first, end):
            rest, a, b = index, source, target
            for axis in range(axes - 2, -1, -1):
                length = load_int64(table + 24 * axis)
                place = rest % length
                rest //= length
                a += place * load_int64(table + 24 * axis + 8) * size
                b += place * load_int64(table + 24 * axis + 16) * size
            if from_step == size and to_step == size:
                _copy_bytes(b, a, inner * size)
            else:
                for i in range(inner):
                    store(b + i * to_step, load(a + i * from_step))

    return copy if kind == "copy" else fill


@inline
def _copy_bytes(target: Int64, source: Int64, count: Int64) -> None:
    blocks, whole = count // 64 * 64, count // 8 * 8
    _copy(target, source, blocks)
    for i in range(blocks, whole, 8):
        store_int64(target + i, load_int64(source + i))
    for i in range(whole, count):
        store_int8(target + i, load_int8(source + i))
