"""Max pooling. Variants are u8, s8 and s16; DEPTH is in elements."""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from accel_kernels._types import Int64
from accel_kernels.native.emit import I64, Emitter, Value, intrinsic, vector
from accel_kernels.native.fields import field, input_address, output_address
from accel_kernels.native.memory import store_int64
from accel_kernels.native.rows import store_columns
from accel_kernels.native.tables import Field
from accel_kernels.native.tier import tier

_BYTES = 4 * tier().lanes


def _largest(operands: str) -> Any:
    """Arguments: addresses of pixels, their number, channels, lowest and highest code, out."""
    compare = "icmp_signed" if operands[0] == "s" else "icmp_unsigned"
    size = int(operands[1:]) // 8
    element, lanes = ir.IntType(8 * size), _BYTES // size

    def emit(e: Emitter, arguments: Sequence[Value]) -> None:
        pixels, count, channels, low, high, out = arguments
        kind = vector(element, lanes)
        least, most = (e.splat(e.builder.trunc(limit, element), lanes) for limit in (low, high))

        def select(sign: str, a: Value, b: Value) -> Value:
            return e.builder.select(getattr(e.builder, compare)(sign, a, b), a, b)

        def channel_block(index: Value, carried: list[Value]) -> list[Value]:
            place = e.multiply(index, _BYTES)

            def pixel(i: Value, largest: list[Value]) -> list[Value]:
                source = e.add(e.load(e.add(pixels, e.multiply(i, 8)), I64, 8), place)
                return [select(">", largest[0], e.load(source, kind))]

            (largest,) = e.loop(count, [least], pixel)
            left = e.builder.sub(channels, e.multiply(index, lanes))
            store_columns(e, select("<", largest, most), e.add(out, place), left)
            return []

        e.loop(e.builder.sdiv(e.add(channels, lanes - 1), e.number(lanes)), [], channel_block)

    return intrinsic(6, emit)


def build(variant: str) -> Callable[..., None]:
    """The step of a variant. A window without any pixel of the image gives LOW."""
    largest, size = _largest(variant), int(variant[1:]) // 8

    def pool(block: Int64, arena: Int64, constants: Int64, scratch: Int64, part: Int64, parts: Int64) -> None:
        image = input_address(block, arena)
        out = output_address(block, arena)
        height, width, channels = field(block, Field.HEIGHT), field(block, Field.WIDTH), field(block, Field.DEPTH)
        out_height, out_width = field(block, Field.OUT_HEIGHT), field(block, Field.OUT_WIDTH)
        kh, kw = field(block, Field.KERNEL_HEIGHT), field(block, Field.KERNEL_WIDTH)
        sh, sw = field(block, Field.STRIDE_HEIGHT), field(block, Field.STRIDE_WIDTH)
        dh, dw = field(block, Field.DILATION_HEIGHT), field(block, Field.DILATION_WIDTH)
        top, left = field(block, Field.PAD_TOP), field(block, Field.PAD_LEFT)
        low, high, padding = field(block, Field.LOW), field(block, Field.HIGH), field(block, Field.PADDING)
        lines = field(block, Field.IMAGES) * out_height
        for line in range(lines * part // parts, lines * (part + 1) // parts):
            y0, plane = line % out_height * sh - top, line // out_height * height
            for ox in range(out_width):
                x0, count = ox * sw - left, 0
                for ky in range(kh):
                    y = y0 + ky * dh
                    if 0 <= y < height:
                        for kx in range(kw):
                            x = x0 + kx * dw
                            if 0 <= x < width:
                                store_int64(scratch + 8 * count, image + ((plane + y) * width + x) * channels * size)
                                count += 1
                if count == 0:
                    store_int64(scratch, padding)
                    count = 1
                largest(scratch, count, channels, low, high, out + (line * out_width + ox) * channels * size)

    return pool
