"""Bilinear resizing of codes of 8 or 16 bits. Variants are FORM:OPERANDS:BITS[:EPILOGUE].

FORM is one of

- "fixed32" and "fixed64", TFLite's: the sum of the corners times integer weights of unit EXTRA_3, over 2^20 with halves
  away from zero, in lanes of so many bits;
- "rescaled", the same sum less an offset, requantized by an epilogue, in lanes of 32 bits;
- "raw", TFLite's of uint8, and "float", ONNX Runtime's of dequantized codes, in float32.

EXTRA is the address of three int64 for each output row: the rows above and below, in bytes from the image's beginning,
and the weight of the one below, an integer or a float32; EXTRA_2 of the same for each output column. DEPTH is the bytes
of a pixel, OTHER the vertical unit. TABLE holds the parameters, one 8-byte number after the other (`BILINEAR_FIELDS`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llvmlite import ir

from accel_kernels._types import Int64
from accel_kernels.native.emit import F32, I32, I64, Emitter, Value, intrinsic, vector
from accel_kernels.native.epilogues import EPILOGUES, limited_rint, narrow
from accel_kernels.native.fields import field, input_address, output_address
from accel_kernels.native.memory import load_int64
from accel_kernels.native.number_fields import BILINEAR_FIELDS
from accel_kernels.native.rows import LANES, load_numbers, store_columns
from accel_kernels.native.tables import EPILOGUE_FIELDS, Field

_ARGUMENTS = 11
"""addresses of the upper left, upper right, lower left and lower right pixel; weight of the lower row and of the right
column; units of both; elements of a pixel; table; out."""

_REALS = vector(F32, LANES)

Numbers = Mapping[str, Value]


class _Pixel:
    def __init__(self, form: str, operands: str, bits: int, epilogue: str) -> None:
        self._form, self._operands, self._bits, self._epilogue = form, operands, bits, epilogue
        self._lane = I64 if form == "fixed64" else I32

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        corners, (y, x, y_unit, x_unit, count, table, out) = arguments[:4], arguments[4:]
        own = load_numbers(e, table, BILINEAR_FIELDS[self._form], 0)
        last = load_numbers(e, table, EPILOGUE_FIELDS.get(self._epilogue, ()), len(own))
        weights = self._weights(e, y, x, y_unit, x_unit)
        width = int(self._operands[1:]) // 8

        def block(index: Value, carried: list[Value]) -> list[Value]:
            place = e.multiply(index, LANES)
            codes = [self._load(e, e.add(corner, e.multiply(place, width))) for corner in corners]
            found = narrow(e, self._codes(e, codes, weights, own, last), self._bits)
            target = e.add(out, e.multiply(place, self._bits // 8))
            store_columns(e, found, target, e.builder.sub(count, place))
            return []

        e.loop(e.builder.sdiv(e.add(count, LANES - 1), e.number(LANES)), [], block)

    def _load(self, e: Emitter, address: Value) -> Value:
        codes, wide = e.load(address, vector(ir.IntType(int(self._operands[1:])), LANES)), vector(self._lane, LANES)
        return e.builder.sext(codes, wide) if self._operands[0] == "s" else e.builder.zext(codes, wide)

    def _weights(self, e: Emitter, y: Value, x: Value, y_unit: Value, x_unit: Value) -> list[Value]:
        """Of the upper and the lower row, the left and the right column."""
        b = e.builder
        if self._form in ("raw", "float"):
            one = ir.Constant(F32, 1.0)
            fy, fx = (b.bitcast(b.trunc(weight, I32), F32) for weight in (y, x))
            return [e.splat(weight, LANES) for weight in (b.fsub(one, fy), fy, b.fsub(one, fx), fx)]
        whole = (b.sub(y_unit, y), y, b.sub(x_unit, x), x)
        return [e.splat(w if self._lane == I64 else b.trunc(w, I32), LANES) for w in whole]

    def _codes(self, e: Emitter, corners: list[Value], weights: list[Value], own: Numbers, last: Numbers) -> Value:
        if self._form == "raw":
            return _raw(e, corners, weights)
        if self._form == "float":
            return _float(e, corners, weights, own)
        total = _sum(e, corners, weights)
        if self._form == "rescaled":
            return EPILOGUES[self._epilogue].apply(e, e.builder.sub(total, own["offset"]), last)
        return _half_away(e, total)


def _sum(e: Emitter, corners: list[Value], weights: list[Value]) -> Value:
    b, (above, below, left, right) = e.builder, weights
    upper = b.add(b.mul(corners[0], left), b.mul(corners[1], right))
    lower = b.add(b.mul(corners[2], left), b.mul(corners[3], right))
    return b.add(b.mul(upper, above), b.mul(lower, below))


def _half_away(e: Emitter, total: Value) -> Value:
    """int32 sign * ((|total| + 2^19) >> 20)."""
    b, kind = e.builder, total.type
    negative = b.icmp_signed("<", total, e.constant(kind, 0))
    size = b.select(negative, b.neg(total), total)
    magnitude = b.lshr(b.add(size, e.constant(kind, 1 << 19)), e.constant(kind, 20))
    codes = b.select(negative, b.neg(magnitude), magnitude)
    return codes if kind.element == I32 else b.trunc(codes, vector(I32, LANES))


def _raw(e: Emitter, corners: list[Value], weights: list[Value]) -> Value:
    """trunc((x00*gy)*gx + (x10*fy)*gx + (x01*gy)*fx + (x11*fy)*fx + 0.5f)."""
    b, (above, below, left, right) = e.builder, weights
    a, c, d, f = (b.sitofp(corner, _REALS) for corner in corners)
    total = b.fmul(b.fmul(a, above), left)
    for corner, row, column in ((d, below, left), (c, above, right), (f, below, right)):
        total = b.fadd(total, b.fmul(b.fmul(corner, row), column))
    return b.fptosi(b.fadd(total, e.constant(_REALS, 0.5)), vector(I32, LANES))


def _float(e: Emitter, corners: list[Value], weights: list[Value], own: Numbers) -> Value:
    """((gx*gy)*x00 + (fx*gy)*x01) + (gx*fy)*x10 + (fx*fy)*x11 of real numbers, quantized."""
    b, (above, below, left, right) = e.builder, weights
    factors = (b.fmul(left, above), b.fmul(right, above), b.fmul(left, below), b.fmul(right, below))
    terms = []
    for corner, factor in zip(corners, factors, strict=True):
        real = b.fmul(b.sitofp(b.sub(corner, own["input_zero"]), _REALS), own["input_scale"])
        terms.append(b.fmul(factor, real))
    total = b.fadd(b.fadd(b.fadd(terms[0], terms[1]), terms[2]), terms[3])
    codes = limited_rint(e, b.fdiv(total, own["scale"]), own["low"], own["high"])
    return b.add(codes, own["zero_point"])


def build(variant: str) -> Callable[..., None]:
    """The step of a variant."""
    form, operands, bits, *epilogue = variant.split(":")
    pixel: Any = intrinsic(_ARGUMENTS, _Pixel(form, operands, int(bits), epilogue[0] if epilogue else "none").emit)
    out_width = int(bits) // 8

    def interpolate(block: Int64, arena: Int64, constants: Int64, scratch: Int64, part: Int64, parts: Int64) -> None:
        image, out = input_address(block, arena), output_address(block, arena)
        height, width, channels = (
            field(block, Field.OUT_HEIGHT),
            field(block, Field.OUT_WIDTH),
            field(block, Field.CHANNELS),
        )
        rows, columns, table = field(block, Field.EXTRA), field(block, Field.EXTRA_2), field(block, Field.TABLE)
        y_unit, x_unit = field(block, Field.OTHER), field(block, Field.EXTRA_3)
        plane = field(block, Field.HEIGHT) * field(block, Field.WIDTH) * field(block, Field.DEPTH)
        lines = field(block, Field.IMAGES) * height
        for line in range(lines * part // parts, lines * (part + 1) // parts):
            row = rows + 24 * (line % height)
            above = image + line // height * plane + load_int64(row)
            below = image + line // height * plane + load_int64(row + 8)
            y_weight = load_int64(row + 16)
            for ox in range(width):
                column = columns + 24 * ox
                left, right, x_weight = load_int64(column), load_int64(column + 8), load_int64(column + 16)
                target = out + (line * width + ox) * channels * out_width
                pixel(
                    above + left,
                    above + right,
                    below + left,
                    below + right,
                    y_weight,
                    x_weight,
                    y_unit,
                    x_unit,
                    channels,
                    table,
                    target,
                )

    return interpolate
