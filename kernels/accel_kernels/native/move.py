"""Strided copies and constants. Variants are "copy:BYTES" and "fill:BYTES", for elements of 1, 2, 4 or 8 bytes.

A copy has EXTRA axes; TABLE holds, for each, its length and its strides in the source and the target, in elements, the
innermost last. OTHER and SIZE are the offsets of the first elements. A constant writes SIZE elements of code LOW.
"""

from collections.abc import Callable
from typing import Any

from numba import njit, types  # noqa: TID251 - compiled by `compile`

from accel_kernels.native.memory import access, load_int64, store_int64
from accel_kernels.native.tables import Field

_inline = njit(nogil=True, error_model="numpy")
_TYPES = {1: types.int8, 2: types.int16, 4: types.int32, 8: types.int64}


@_inline
def _field(block, field):  # type: ignore[no-untyped-def]
    return load_int64(block + 8 * field)


def build(variant: str) -> Callable[..., None]:
    """The step of a variant."""
    kind, size_text = variant.split(":")
    size = int(size_text)
    load: Any = access(_TYPES[size], stores=False)
    store: Any = access(_TYPES[size], stores=True)

    def fill(block, arena, constants, scratch, part, parts):  # type: ignore[no-untyped-def]
        out = _field(block, Field.OUTPUT) + arena * _field(block, Field.OUT_ARENA)
        count, code = _field(block, Field.SIZE), _field(block, Field.LOW)
        for i in range(count * part // parts, count * (part + 1) // parts):
            store(out + size * i, code)

    def copy(block, arena, constants, scratch, part, parts):  # type: ignore[no-untyped-def]
        source = _field(block, Field.INPUT) + arena * _field(block, Field.IN_ARENA) + size * _field(block, Field.OTHER)
        target = _field(block, Field.OUTPUT) + arena * _field(block, Field.OUT_ARENA) + size * _field(block, Field.SIZE)
        axes, table = _field(block, Field.EXTRA), _field(block, Field.TABLE)
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


_load_byte, _store_byte = access(types.int8, stores=False), access(types.int8, stores=True)


@_inline
def _copy_bytes(target, source, count):  # type: ignore[no-untyped-def]
    whole = count // 8 * 8
    for i in range(0, whole, 8):
        store_int64(target + i, load_int64(source + i))
    for i in range(whole, count):
        _store_byte(target + i, _load_byte(source + i))
