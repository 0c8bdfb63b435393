"""Average pooling of codes of 8 or 16 bits. Variants are FORM:OPERANDS, with the forms of `AVERAGE_FIELDS`.

EXTRA is the address of an int64 for each output pixel: its divisor. Pixels of the window outside the image count as
the code ZERO_POINT, as many as the divisor is larger than the pixels inside.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from accel_kernels._types import Int64
from accel_kernels.native.emit import F32, F64, I32, I64, Emitter, Value, intrinsic, vector
from accel_kernels.native.epilogues import limited_rint, limited_rint64, narrow
from accel_kernels.native.fields import field, inline, input_address, output_address
from accel_kernels.native.memory import load_int64, store_int64
from accel_kernels.native.number_fields import AVERAGE_FIELDS
from accel_kernels.native.rows import LANES, load_wide, store_columns
from accel_kernels.native.tables import Field

_ELEMENTS = {"i32": I32, "i64": I64, "f32": F32, "f64": F64}
_ARGUMENTS = 8
"""addresses of pixels, their number, channels, divisor, code outside, parameters, multipliers by divisor, out."""

Numbers = Mapping[str, Value]


class _Average:
    def __init__(self, form: str, operands: str) -> None:
        self._form, self._operands, self._size = form, operands, int(operands[1:]) // 8

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        pixels, count, channels, divisor, outside, table, scales, out = arguments
        numbers = {
            name: e.load(e.add(table, 8 * index), _ELEMENTS[kind], 8)
            for index, (name, kind) in enumerate(AVERAGE_FIELDS[self._form])
        }
        missing = e.builder.mul(e.builder.sub(divisor, count), outside)

        def block(index: Value, carried: list[Value]) -> list[Value]:
            place = e.multiply(index, LANES)
            total = self._sum(e, pixels, count, place, numbers)
            codes = narrow(e, self._codes(e, total, missing, divisor, scales, numbers), 8 * self._size)
            store_columns(e, codes, e.add(out, e.multiply(place, self._size)), e.builder.sub(channels, place))
            return []

        e.loop(e.builder.sdiv(e.add(channels, LANES - 1), e.number(LANES)), [], block)

    def _sum(self, e: Emitter, pixels: Value, count: Value, place: Value, numbers: Numbers) -> Value:
        """One pixel after the other, from 0 on."""
        is_float = self._form == "float32"
        kind = vector(F32 if is_float else I32, LANES)

        def pixel(i: Value, sums: list[Value]) -> list[Value]:
            source = e.add(e.load(e.add(pixels, e.multiply(i, 8)), I64, 8), e.multiply(place, self._size))
            codes = load_wide(e, source, self._operands)
            if not is_float:
                return [e.builder.add(sums[0], codes)]
            relative = e.builder.sub(codes, e.splat(numbers["input_zero"], LANES))
            real = e.builder.fmul(e.builder.sitofp(relative, kind), e.splat(numbers["input_scale"], LANES))
            return [e.builder.fadd(sums[0], real)]

        (total,) = e.loop(count, [e.constant(kind, 0)], pixel)
        return total

    def _codes(
        self, e: Emitter, total: Value, missing: Value, divisor: Value, scales: Value, numbers: Numbers
    ) -> Value:
        if self._form == "float32":
            return _float_average(e, total, divisor, numbers)
        outside = e.splat(e.builder.trunc(missing, I32), LANES)
        whole = e.builder.add(total, outside)
        if self._form == "rational":
            return _rational(e, whole, divisor, scales, numbers)
        if self._form == "truncating":
            codes = _half_away(e, whole, divisor)
        else:
            codes = e.builder.add(_reciprocal(e, whole, divisor, scales), e.splat(numbers["zero_point"], LANES))
        low, high = (e.splat(numbers[name], LANES) for name in ("low", "high"))
        return e.elementwise("smin", e.elementwise("smax", codes, low), high)


def _float_average(e: Emitter, total: Value, divisor: Value, numbers: Numbers) -> Value:
    b = e.builder
    scale, zero, low, high = (e.splat(numbers[name], LANES) for name in ("scale", "zero_point", "low", "high"))
    count = e.splat(b.sitofp(divisor, F32), LANES)
    multiple = b.fadd(b.fdiv(b.fdiv(total, count), scale), zero)
    return b.add(limited_rint(e, multiple, low, high), e.splat(numbers["offset"], LANES))


def _half_away(e: Emitter, total: Value, divisor: Value) -> Value:
    """sign * ((2 |total| + n) // 2n): quotients of integers below 2^32 are floored exactly in float64."""
    b = e.builder
    reals = vector(F64, LANES)
    size = e.elementwise("fabs", b.sitofp(total, reals))
    count = e.splat(b.sitofp(divisor, F64), LANES)
    two = e.constant(reals, 2.0)
    quotient = b.fdiv(b.fadd(b.fmul(size, two), count), b.fmul(count, two))
    codes = b.fptosi(quotient, vector(I32, LANES))
    negative = b.icmp_signed("<", total, e.constant(vector(I32, LANES), 0))
    return b.select(negative, b.neg(codes), codes)


def _reciprocal(e: Emitter, total: Value, divisor: Value, scales: Value) -> Value:
    """(total * multiplier + addend) >> shift in 64 bits, with the three numbers of the divisor."""
    b = e.builder
    place = e.add(scales, e.multiply(divisor, 24))
    multiplier, shift, addend = (e.splat(e.load(e.add(place, 8 * i), I64, 8), LANES) for i in range(3))
    wide = b.mul(b.sext(total, vector(I64, LANES)), multiplier)
    return b.trunc(b.ashr(b.add(wide, addend), shift), vector(I32, LANES))


def _rational(e: Emitter, total: Value, divisor: Value, scales: Value, numbers: Numbers) -> Value:
    """rint(clamp((total - n * input_zero) * factor / divisor, low, high)) + zero_point."""
    b, reals = e.builder, vector(F64, LANES)
    offset = b.mul(e.splat(b.trunc(divisor, I32), LANES), e.splat(numbers["input_zero"], LANES))
    place = e.add(scales, e.multiply(divisor, 16))
    factor, over = (e.splat(e.load(e.add(place, 8 * i), F64, 8), LANES) for i in range(2))
    multiple = b.fdiv(b.fmul(b.sitofp(b.sub(total, offset), reals), factor), over)
    return limited_rint64(e, multiple, *(e.splat(numbers[name], LANES) for name in ("low", "high", "zero_point")))


@inline
def _gather(block: Int64, image: Int64, line: Int64, ox: Int64, pixels: Int64, size: Int64) -> Int64:
    """The addresses of the window's pixels that lie in the image, in row-major order; their number."""
    height, width, channels = field(block, Field.HEIGHT), field(block, Field.WIDTH), field(block, Field.DEPTH)
    out_height = field(block, Field.OUT_HEIGHT)
    y0 = line % out_height * field(block, Field.STRIDE_HEIGHT) - field(block, Field.PAD_TOP)
    x0 = ox * field(block, Field.STRIDE_WIDTH) - field(block, Field.PAD_LEFT)
    plane, count = line // out_height * height, 0
    for ky in range(field(block, Field.KERNEL_HEIGHT)):
        y = y0 + ky * field(block, Field.DILATION_HEIGHT)
        if 0 <= y < height:
            for kx in range(field(block, Field.KERNEL_WIDTH)):
                x = x0 + kx * field(block, Field.DILATION_WIDTH)
                if 0 <= x < width:
                    store_int64(pixels + 8 * count, image + ((plane + y) * width + x) * channels * size)
                    count += 1
    return count


def build(variant: str) -> Callable[..., None]:
    """The step of a variant. Every window holds at least one pixel of the image."""
    form, operands = variant.split(":")
    size = int(operands[1:]) // 8
    average: Any = intrinsic(_ARGUMENTS, _Average(form, operands).emit)

    def pool(block: Int64, arena: Int64, constants: Int64, scratch: Int64, part: Int64, parts: Int64) -> None:
        image, out = input_address(block, arena), output_address(block, arena)
        channels, out_width = field(block, Field.DEPTH), field(block, Field.OUT_WIDTH)
        divisors, scales = field(block, Field.EXTRA), field(block, Field.EXTRA_2)
        outside, table = field(block, Field.ZERO_POINT), field(block, Field.TABLE)
        lines = field(block, Field.IMAGES) * field(block, Field.OUT_HEIGHT)
        for line in range(lines * part // parts, lines * (part + 1) // parts):
            for ox in range(out_width):
                count, pixel = _gather(block, image, line, ox, scratch, size), line * out_width + ox
                divisor = load_int64(divisors + 8 * pixel)
                average(scratch, count, channels, divisor, outside, table, scales, out + pixel * channels * size)

    return pool
