"""Softmax of rows of codes. Variants are FORM:OPERANDS:BITS, with the forms of `accel_kernels.softmax`.

IMAGES rows of SIZE codes, results between LOW and HIGH. TABLE holds exponentials by the distance to the row's maximum:
int64 ("fixed", "table16"), float32 or float64. For float forms EXTRA is the address of the output's scale, a float64,
and ZERO_POINT its zero point; for "table16" EXTRA is the address of the samples of reciprocals, int64; for "fixed",
EXTRA_2 are the bits of the output.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from accel_kernels import integers
from accel_kernels import softmax as arrays
from accel_kernels._types import Int64
from accel_kernels.native.fields import field, inline, input_address, output_address
from accel_kernels.native.memory import LOADS, access, load_float32, load_int64
from accel_kernels.native.parts import as_part
from accel_kernels.native.tables import Field

Finish = Callable[..., None]

_load_float64: Any = access(types.float64, stores=False)
_bit_length, _multiply = as_part(arrays.bit_length), as_part(arrays.multiply_high)
_divide, _inverse = as_part(arrays.divide_by_power_of_two), as_part(arrays.one_over_one_plus)
_wrap32, _clamp = as_part(integers.wrap32), as_part(integers.clamp)
_MAGIC = 6755399441055744.0
"""1.5 * 2^52: adding it to a small number leaves no fraction, rounded half to even."""


def build(variant: str) -> Callable[..., None]:
    """The step of a variant."""
    form, operands, bits_text = variant.split(":")
    load, width, bits = LOADS[operands], int(operands[1:]) // 8, int(bits_text)
    out_width, store = bits // 8, access({8: types.int8, 16: types.int16}[bits], stores=True)
    finish = _FORMS[form](load, width, store, out_width)

    def softmax(block: Int64, arena: Int64, constants: Int64, scratch: Int64, part: Int64, parts: Int64) -> None:
        x, y = input_address(block, arena), output_address(block, arena)
        rows, size = field(block, Field.IMAGES), field(block, Field.SIZE)
        for row in range(rows * part // parts, rows * (part + 1) // parts):
            source, top = x + row * size * width, -(1 << 16)
            for k in range(size):
                top = max(top, load(source + k * width))
            finish(block, source, size, top, y + row * size * out_width)

    return softmax


def _fixed(load: Any, width: int, store: Any, out_width: int) -> Finish:
    """gemmlowp's, of fewer than 2^13 codes; exponentials in Q0.31, -1 where the difference is too large to count."""

    @inline
    def finish(block: Int64, source: Int64, size: Int64, top: Int64, target: Int64) -> None:
        bits = field(block, Field.EXTRA_2)
        table, low, high = field(block, Field.TABLE), field(block, Field.LOW), field(block, Field.HIGH)
        total = 0
        for k in range(size):
            e = load_int64(table + 8 * (top - load(source + k * width)))
            total += _divide(e, 12) if e >= 0 else 0
        headroom = 32 - _bit_length(total)
        inverse = _inverse(_wrap32((total << headroom) - (1 << 31)))
        for k in range(size):
            e = load_int64(table + 8 * (top - load(source + k * width)))
            share = _divide(_multiply(inverse, max(e, 0)), 12 - headroom + 31 - bits)
            store(target + k * out_width, _clamp(share + low, low, high) if e >= 0 else low)

    return finish


def _table16(load: Any, width: int, store: Any, out_width: int) -> Finish:
    """TFLite's of int16; exponentials in Q0.15."""

    @inline
    def interpolate(samples: Int64, x: Int64) -> Int64:
        place = samples + 8 * (256 + (x >> 7))
        here, following = load_int64(place), load_int64(place + 8)
        slope = ((following - here) << 48) >> 48
        return ((here + ((slope * (x & 127) + 64) >> 7)) << 48) >> 48

    @inline
    def finish(block: Int64, source: Int64, size: Int64, top: Int64, target: Int64) -> None:
        table, samples, total = field(block, Field.TABLE), field(block, Field.EXTRA), 0
        for k in range(size):
            total += load_int64(table + 8 * (top - load(source + k * width)))
        headroom = 32 - _bit_length(total)
        shifted = ((total << (headroom - 1)) + (1 << 13)) >> 14
        inverse = interpolate(samples, _clamp(shifted - ((1 << 15) + (1 << 16)), -32768, 32767))
        right = 31 - headroom
        for k in range(size):
            e = load_int64(table + 8 * (top - load(source + k * width)))
            share = (e * inverse + (1 << (right - 1))) >> right
            store(target + k * out_width, _clamp(share, 0, 32767))

    return finish


def _float32(load: Any, width: int, store: Any, out_width: int) -> Finish:
    """A sequential sum in float32, shares in float64."""

    @inline
    def finish(block: Int64, source: Int64, size: Int64, top: Int64, target: Int64) -> None:
        table, scale, total = field(block, Field.TABLE), _load_float64(field(block, Field.EXTRA)), np.float32(0)
        for k in range(size):
            total = total + load_float32(table + 4 * (top - load(source + k * width)))
        for k in range(size):
            e = np.float64(load_float32(table + 4 * (top - load(source + k * width))))
            store(target + k * out_width, _rounded(block, e * scale / np.float64(total)))

    return finish


def _float64(load: Any, width: int, store: Any, out_width: int) -> Finish:
    """A sequential sum in float64."""

    @inline
    def finish(block: Int64, source: Int64, size: Int64, top: Int64, target: Int64) -> None:
        table, scale, total = field(block, Field.TABLE), _load_float64(field(block, Field.EXTRA)), 0.0
        for k in range(size):
            total = total + _load_float64(table + 8 * (top - load(source + k * width)))
        for k in range(size):
            e = _load_float64(table + 8 * (top - load(source + k * width)))
            store(target + k * out_width, _rounded(block, e / total / scale))

    return finish


@inline
def _rounded(block: Int64, multiple: float) -> Int64:
    """rint(multiple) + zero point, limited before it becomes an integer."""
    zero_point = field(block, Field.ZERO_POINT)
    limited = min(
        max(multiple, float(field(block, Field.LOW) - zero_point)), float(field(block, Field.HIGH) - zero_point)
    )
    return np.int64((limited + _MAGIC) - _MAGIC) + zero_point


_FORMS: dict[str, Callable[[Any, int, Any, int], Finish]] = {
    "fixed": _fixed,
    "table16": _table16,
    "float32": _float32,
    "float64": _float64,
}
