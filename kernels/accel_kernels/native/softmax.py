"""Softmax of rows of codes. Variants are FORM:OPERANDS:BITS, with the forms of `accel_kernels.softmax`.

IMAGES rows of SIZE codes, results between LOW and HIGH. TABLE holds exponentials by the distance to the row's maximum:
int64 ("fixed", "table16"), float32 or float64. For float forms EXTRA is the address of the output's scale, a float64,
and ZERO_POINT its zero point; for "table16" EXTRA is the address of the samples of reciprocals, int64; for "fixed",
EXTRA_2 are the bits of the output.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from accel_kernels._types import Int64
from accel_kernels.integers import clamp, wrap32
from accel_kernels.native.emit import F32, F64, I64, Emitter, Instruction, Value, intrinsic
from accel_kernels.native.fields import field, inline, input_address, output_address
from accel_kernels.native.memory import LOADS, STORES, load_int64
from accel_kernels.native.tables import Field
from accel_kernels.softmax import bit_length, divide_by_power_of_two, multiply_high, one_over_one_plus

Finish = Callable[..., None]

_MAGIC = 6755399441055744.0
"""1.5 * 2^52: adding it to a small number leaves no fraction, rounded half to even."""


def build(variant: str) -> Callable[..., None]:
    """The step of a variant."""
    form, operands, bits_text = variant.split(":")
    load, width, bits = LOADS[operands], int(operands[1:]) // 8, int(bits_text)
    out_width, store = bits // 8, STORES[bits]
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
            total += divide_by_power_of_two(e, 12) if e >= 0 else 0
        headroom = 32 - bit_length(total)
        inverse = one_over_one_plus(wrap32((total << headroom) - (1 << 31)))
        for k in range(size):
            e = load_int64(table + 8 * (top - load(source + k * width)))
            share = divide_by_power_of_two(multiply_high(inverse, max(e, 0)), 12 - headroom + 31 - bits)
            store(target + k * out_width, clamp(share + low, low, high) if e >= 0 else low)

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
        headroom = 32 - bit_length(total)
        shifted = ((total << (headroom - 1)) + (1 << 13)) >> 14
        inverse = interpolate(samples, clamp(shifted - ((1 << 15) + (1 << 16)), -32768, 32767))
        right = 31 - headroom
        for k in range(size):
            e = load_int64(table + 8 * (top - load(source + k * width)))
            share = (e * inverse + (1 << (right - 1))) >> right
            store(target + k * out_width, clamp(share, 0, 32767))

    return finish


class _Float:
    """Of exponentials of one type, added up one after the other; shares in float64.

    Arguments: row of arguments, codes, their number, the largest, results.
    """

    def __init__(self, kind: Any, load: Instruction, width: int, store: Instruction, out_width: int) -> None:
        self._kind, self._bytes = kind, 4 if kind == F32 else 8
        self._load, self._width, self._store, self._out_width = load, width, store, out_width

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        b, (block, source, size, top, target) = e.builder, arguments
        places = Field.TABLE, Field.EXTRA, Field.ZERO_POINT, Field.LOW, Field.HIGH
        table, scale, zero_point, low, high = (field.emit(e, [block, e.number(place)]) for place in places)
        limits = [b.sitofp(b.sub(limit, zero_point), F64) for limit in (low, high)]
        scale = e.load(scale, F64)

        def exponential(k: Value) -> Value:
            code = self._load.emit(e, [e.add(source, e.multiply(k, self._width))])
            return e.load(e.add(table, e.multiply(b.sub(top, code), self._bytes)), self._kind)

        def add(k: Value, sums: list[Value]) -> list[Value]:
            return [b.fadd(sums[0], exponential(k))]

        (total,) = e.loop(size, [ir.Constant(self._kind, 0.0)], add, perhaps_empty=True)

        def share(k: Value, carried: list[Value]) -> list[Value]:
            code = e.add(_limited_rint(e, self._share(e, exponential(k), total, scale), limits), zero_point)
            self._store.emit(e, [e.add(target, e.multiply(k, self._out_width)), code])
            return []

        e.loop(size, [], share, perhaps_empty=True)

    def _share(self, e: Emitter, exponential: Value, total: Value, scale: Value) -> Value:
        b = e.builder
        if self._kind == F64:
            return b.fdiv(b.fdiv(exponential, total), scale)
        return b.fdiv(b.fmul(b.fpext(exponential, F64), scale), b.fpext(total, F64))


def _limited_rint(e: Emitter, multiple: Value, limits: Sequence[Value]) -> Value:
    """int64 rint(multiple), limited before it becomes an integer."""
    b, magic = e.builder, ir.Constant(F64, _MAGIC)
    for limit, sign in zip(limits, "><", strict=True):
        multiple = b.select(b.fcmp_ordered(sign, limit, multiple), limit, multiple)
    return b.fptosi(b.fsub(b.fadd(multiple, magic), magic), I64)


def _float(kind: Any) -> Callable[[Any, int, Any, int], Finish]:
    return lambda *memory: intrinsic(5, _Float(kind, *memory).emit)


_FORMS: dict[str, Callable[[Any, int, Any, int], Finish]] = {
    "fixed": _fixed,
    "table16": _table16,
    "float32": _float(F32),
    "float64": _float(F64),
}
