"""Depthwise convolutions that watch, as `watch` does. Variants are OPERANDS:EPILOGUE:BITS, operands u8, s8 or s16.

Scratch memory holds, for one output pixel, the address of the pixel under each tap of its window; what lies outside the
image is a pixel of zero points at PADDING. With a channel multiplier, EXTRA, scratch memory also holds these pixels
with their channels repeated, from byte EXTRA_2 on, EXTRA_3 bytes apart. Weights are int32 [taps, channels padded to a
vector], 16 bits of them used.
"""

from collections.abc import Callable, Sequence
from typing import Any

from accel_kernels._types import Int64
from accel_kernels.native.emit import I32, I64, Emitter, Value, intrinsic, vector
from accel_kernels.native.epilogues import EPILOGUES, load_columns, narrow
from accel_kernels.native.fields import field, inline, input_address, output_address
from accel_kernels.native.memory import load_int16, load_int64, load_uint8, store_int8, store_int16, store_int64
from accel_kernels.native.products import add_pairs
from accel_kernels.native.rows import load_wide, store_columns
from accel_kernels.native.tables import Field
from accel_kernels.native.watching import LANES, widen_extremes

_ARGUMENTS = 11
_MANY = 4


class _Pixel:
    """One output pixel and some vectors of channels.

    Arguments: addresses of the taps' pixels, taps, weights, bytes of a tap's weights, zero point, table, bytes of its
    rows, first channel, out, channels that exist, record.
    """

    def __init__(self, vectors: int, operands: str, kind: str, bits: int) -> None:
        self._vectors, self._operands, self._epilogue, self._bits = vectors, operands, EPILOGUES[kind], bits
        self._size = int(operands[1:]) // 8

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        pixels, taps, weights, weight_bytes, zero, table, stride, first, out, valid, record = arguments
        count = self._vectors
        zeros = e.splat(e.builder.trunc(zero, I32), LANES)
        columns = [load_columns(e, self._epilogue, table, stride, e.add(first, j * LANES), LANES) for j in range(count)]
        start = [column["bias"] for column in columns]

        def tap(index: Value, held: list[Value]) -> list[Value]:
            source = e.add(e.load(e.add(pixels, e.multiply(index, 8)), I64), e.multiply(first, self._size))
            resting = e.add(e.add(weights, e.multiply(index, weight_bytes)), e.multiply(first, 4))
            sums, lows, highs = held[:count], held[count : 2 * count], held[2 * count :]
            for j in range(count):
                codes = e.builder.sub(load_wide(e, e.add(source, j * LANES * self._size), self._operands), zeros)
                weight = e.load(e.add(resting, 4 * j * LANES), vector(I32, LANES))
                sums[j] = add_pairs(e, sums[j], codes, weight)
                lows[j] = e.elementwise("smin", lows[j], sums[j])
                highs[j] = e.elementwise("smax", highs[j], sums[j])
            return [*sums, *lows, *highs]

        held = e.loop(taps, [*start, *start, *start], tap)
        widen_extremes(e, held[count : 2 * count], held[2 * count :], record)
        for j, total in enumerate(held[:count]):
            codes = narrow(e, self._epilogue.apply(e, total, columns[j]), self._bits)
            store_columns(e, codes, e.add(out, j * LANES * self._bits // 8), e.add(valid, -j * LANES))


def _repeat(size: int) -> Callable[..., None]:
    """Codes of `size` bytes, each `repeats` times."""
    load, store = (load_int16, store_int16) if size == 2 else (load_uint8, store_int8)

    @inline
    def repeat(target: Int64, source: Int64, channels: Int64, repeats: Int64) -> None:
        for i in range(channels):
            store(target + size * i, load(source + size * (i // repeats)))

    return repeat


@inline
def _gather(block: Int64, image: Int64, line: Int64, ox: Int64, pixels: Int64) -> None:
    """The address of the pixel under each tap."""
    height, width, channels = field(block, Field.HEIGHT), field(block, Field.WIDTH), field(block, Field.DEPTH)
    kh, kw, out_height = (
        field(block, Field.KERNEL_HEIGHT),
        field(block, Field.KERNEL_WIDTH),
        field(block, Field.OUT_HEIGHT),
    )
    y0 = line % out_height * field(block, Field.STRIDE_HEIGHT) - field(block, Field.PAD_TOP)
    x0 = ox * field(block, Field.STRIDE_WIDTH) - field(block, Field.PAD_LEFT)
    plane, outside = line // out_height * height, field(block, Field.PADDING)
    for tap in range(kh * kw):
        y = y0 + tap // kw * field(block, Field.DILATION_HEIGHT)
        x = x0 + tap % kw * field(block, Field.DILATION_WIDTH)
        inside = 0 <= y < height and 0 <= x < width
        store_int64(pixels + 8 * tap, image + ((plane + y) * width + x) * channels if inside else outside)


def lay_taps(size: int) -> Callable[..., None]:
    """Put the addresses of the pixels under all taps, of codes of `size` bytes, where scratch memory begins."""
    repeat = _repeat(size)

    @inline
    def lay(block: Int64, image: Int64, line: Int64, ox: Int64, scratch: Int64) -> None:
        taps = field(block, Field.KERNEL_HEIGHT) * field(block, Field.KERNEL_WIDTH)
        channels, repeats = field(block, Field.OUT_CHANNELS), field(block, Field.EXTRA)
        _gather(block, image, line, ox, scratch)
        for tap in range(taps if repeats > 1 else 0):
            expanded = scratch + field(block, Field.EXTRA_2) + tap * field(block, Field.EXTRA_3)
            repeat(expanded, load_int64(scratch + 8 * tap), channels, repeats)
            store_int64(scratch + 8 * tap, expanded)

    return lay


def build(variant: str) -> Callable[..., None]:
    """The step of a variant."""
    operands, kind, bits_text = variant.split(":")
    bits = int(bits_text)
    many: Any = intrinsic(_ARGUMENTS, _Pixel(_MANY, operands, kind, bits).emit)
    one: Any = intrinsic(_ARGUMENTS, _Pixel(1, operands, kind, bits).emit)
    width = bits // 8
    lay = lay_taps(2 if operands == "s16" else 1)

    def watch(block: Int64, arena: Int64, constants: Int64, scratch: Int64, part: Int64, parts: Int64) -> None:
        image, out = input_address(block, arena), output_address(block, arena)
        channels, out_width = field(block, Field.OUT_CHANNELS), field(block, Field.OUT_WIDTH)
        taps = field(block, Field.KERNEL_HEIGHT) * field(block, Field.KERNEL_WIDTH)
        weights, weight_bytes = field(block, Field.WEIGHTS), field(block, Field.GROUP_WEIGHTS)
        table, stride, zero = (
            field(block, Field.TABLE),
            field(block, Field.TABLE_STRIDE),
            field(block, Field.ZERO_POINT),
        )
        record = scratch + field(block, Field.RECORD)
        lines = field(block, Field.IMAGES) * field(block, Field.OUT_HEIGHT)
        for line in range(lines * part // parts, lines * (part + 1) // parts):
            for ox in range(out_width):
                lay(block, image, line, ox, scratch)
                target, c = out + (line * out_width + ox) * channels * width, 0
                while c + _MANY * LANES <= channels:
                    o, left = target + c * width, channels - c
                    many(scratch, taps, weights, weight_bytes, zero, table, stride, c, o, left, record)
                    c += _MANY * LANES
                while c < channels:
                    o, left = target + c * width, channels - c
                    one(scratch, taps, weights, weight_bytes, zero, table, stride, c, o, left, record)
                    c += LANES

    return watch
