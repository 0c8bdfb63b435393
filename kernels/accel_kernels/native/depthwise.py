"""Depthwise convolutions, with or without a channel multiplier. Variants are OPERANDS:EPILOGUE:BITS:SHAPE.

Operands are u8, s8 or s16. SHAPE is "3s1" for windows 3 wide with stride 1 and no dilation, likewise "3s2", and "any":
with the width known, each code is loaded once for all taps of a row that it meets.

The rows of the image that a row of output needs lie in scratch memory, padded on both sides with the code PADDING
holds, channels repeated where there is a multiplier: a ring, in which each row of the image is put once. Several
output pixels at once multiply a vector of channels by the weights of a tap, int32 [taps, channels padded to a vector].
Operands s8 are taken as uint8 codes 128 higher, which the preparer has put into the bias.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from accel_kernels._types import Int64
from accel_kernels.native.emit import I8, I16, I32, Emitter, Value, intrinsic, vector
from accel_kernels.native.endings import Ending, ending
from accel_kernels.native.epilogues import load_bias
from accel_kernels.native.fields import field, inline, input_address, output_address
from accel_kernels.native.memory import copy, fill_block, load_int16, load_uint8, store_int8, store_int16, store_int64
from accel_kernels.native.products import add_pairs
from accel_kernels.native.tables import Field
from accel_kernels.native.tier import tier

_copy = inline(copy)
_PIXELS = 7 if tier().lanes == 16 else 4  # 7 divides the widths of most images there are
SHAPES = ((3, 1), (3, 2))
"""(width, stride) of the windows that have a shape of their own."""
_ARGUMENTS = 14


class _Pixels:
    """A block of `pixels` output pixels and one vector of channels.

    Arguments: table of row addresses, kernel height, kernel width, bytes from tap to tap, bytes from pixel to pixel,
    byte of the first channel and pixel, weights, bytes of a tap's weights, table of parameters, bytes of its rows,
    first column, out, bytes between output pixels, channels that exist.
    """

    def __init__(self, pixels: int, operands: str, ending: Ending, shape: str) -> None:
        self._pixels, self._operands, self._ending = pixels, operands, ending
        self._shape = None if shape == "any" else tuple(map(int, shape.split("s")))
        self._lanes = tier().lanes

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        rows, kh, kw, tap_bytes, pixel_bytes, start, weights, weight_bytes = arguments[:8]
        table, table_stride, first, out, out_bytes, valid = arguments[8:]
        bias = load_bias(e, table, first, self._lanes)

        def window_row(ky: Value, carried: list[Value]) -> list[Value]:
            place = e.add(e.load(e.add(rows, e.multiply(ky, 8)), ir.IntType(64), 8), start)
            resting = e.add(weights, e.multiply(ky, e.multiply(weight_bytes, kw)))

            if self._shape:
                return self._known_taps(e, place, resting, weight_bytes, tap_bytes, carried)

            def tap(kx: Value, sums: list[Value]) -> list[Value]:
                weight = e.load(e.add(resting, e.multiply(kx, weight_bytes)), vector(I32, self._lanes), 4)
                source = e.add(place, e.multiply(kx, tap_bytes))
                return [
                    self._accumulate(e, s, self._codes(e, e.add(source, e.multiply(pixel_bytes, p))), weight)
                    for p, s in enumerate(sums)
                ]

            return e.loop(kw, carried, tap)

        sums = e.loop(kh, [bias] * self._pixels, window_row)
        parameters = self._ending.load(e, table, table_stride, first)
        self._ending.finish_sums(e, sums, parameters, out, out_bytes, valid)

    def _known_taps(
        self, e: Emitter, place: Value, resting: Value, weight_bytes: Value, tap_bytes: Value, sums: list[Value]
    ) -> list[Value]:
        """All taps of a row of the window: pixel p and tap x meet column p * stride + x."""
        assert self._shape is not None
        width, stride = self._shape
        weights = [
            e.load(e.add(resting, e.multiply(weight_bytes, x)), vector(I32, self._lanes), 4) for x in range(width)
        ]
        results = list(sums)
        for column in range((self._pixels - 1) * stride + width):
            codes = self._codes(e, e.add(place, e.multiply(tap_bytes, column)))
            for pixel in range(self._pixels):
                if 0 <= column - pixel * stride < width:
                    results[pixel] = self._accumulate(e, results[pixel], codes, weights[column - pixel * stride])
        return results

    def _accumulate(self, e: Emitter, sums: Value, codes: Value, weights: Value) -> Value:
        """The upper half of each lane of codes is 0, so the product of the lower halves is all that a pair gives."""
        return add_pairs(e, sums, codes, weights)

    def _codes(self, e: Emitter, address: Value) -> Value:
        kind = vector(I16 if self._operands == "s16" else I8, self._lanes)
        codes = e.load(address, kind)
        if self._operands == "s8":
            codes = e.builder.xor(codes, e.constant(kind, -128))
        return e.builder.zext(codes, vector(I32, self._lanes))


def build(variant: str) -> Callable[..., None]:
    """The step of a variant."""
    operands, kind, bits_text, shape = variant.split(":")
    bits = int(bits_text)
    row_of_pixels = _row(operands, kind, bits, shape)
    size = 2 if operands == "s16" else 1
    put_row, pad = _put_row(size), _pad(size)

    def depthwise(block: Int64, arena: Int64, constants: Int64, scratch: Int64, part: Int64, parts: Int64) -> None:
        image = input_address(block, arena)
        out = output_address(block, arena)
        images, channels = field(block, Field.IMAGES), field(block, Field.OUT_CHANNELS)
        out_height, out_width = field(block, Field.OUT_HEIGHT), field(block, Field.OUT_WIDTH)
        height, line = field(block, Field.HEIGHT), field(block, Field.PANEL_STRIDE)
        kh, sh, dh = (
            field(block, Field.KERNEL_HEIGHT),
            field(block, Field.STRIDE_HEIGHT),
            field(block, Field.DILATION_HEIGHT),
        )
        reach, top = (kh - 1) * dh + 1, field(block, Field.PAD_TOP)
        rows = scratch + (reach + 1) * line
        outside = scratch + reach * line
        total = images * out_height
        low, high, left, right = 0, total, 0, channels
        if total >= _MANY * parts:
            low, high = total * part // parts, total * (part + 1) // parts
        else:
            vectors = (channels + _LANES - 1) // _LANES
            left, right = vectors * part // parts * _LANES, min(vectors * (part + 1) // parts * _LANES, channels)
        following, plane, padded = 0, -1, 0
        for index in range(low, high):
            y0 = index % out_height * sh - top
            if index // out_height != plane:
                plane, following = index // out_height, y0
            for iy in range(max(following, y0), y0 + reach):
                if 0 <= iy < height:
                    put_row(
                        block,
                        image + (plane * height + iy) * field(block, Field.WIDTH) * field(block, Field.DEPTH),
                        scratch + (iy + top) % reach * line,
                        left,
                        right,
                    )
            following = y0 + reach
            for ky in range(kh):
                iy = y0 + ky * dh
                if 0 <= iy < height:
                    store_int64(rows + 8 * ky, scratch + (iy + top) % reach * line)
                else:
                    if not padded:
                        pad(block, outside, size * field(block, Field.EXTRA_2) * channels)
                    padded = 1
                    store_int64(rows + 8 * ky, outside)
            row_of_pixels(
                block, rows, out + index * out_width * channels * (bits // 8), out_width, channels, left, right
            )

    return depthwise


_LANES = tier().lanes
_MANY = 7  # lines of each thread, of which it puts two more for windows of three


def _row(operands: str, kind: str, bits: int, shape: str) -> Callable[..., None]:
    many: Any = intrinsic(_ARGUMENTS, _Pixels(_PIXELS, operands, ending(kind, 1, bits), shape).emit)
    one: Any = intrinsic(_ARGUMENTS, _Pixels(1, operands, ending(kind, 1, bits), shape).emit)
    width, size = bits // 8, 2 if operands == "s16" else 1

    @inline
    def row(block: Int64, rows: Int64, out: Int64, pixels: Int64, channels: Int64, left: Int64, right: Int64) -> None:
        kh, kw = field(block, Field.KERNEL_HEIGHT), field(block, Field.KERNEL_WIDTH)
        tap = size * channels * field(block, Field.DILATION_WIDTH)
        pixel = size * channels * field(block, Field.STRIDE_WIDTH)
        weights, weight_bytes = field(block, Field.WEIGHTS), field(block, Field.GROUP_WEIGHTS)
        table, stride = field(block, Field.TABLE), field(block, Field.TABLE_STRIDE)
        for c in range(left, right, _LANES):
            w, o, valid, x = weights + 4 * c, out + c * width, channels - c, 0
            while x + _PIXELS <= pixels:
                many(
                    rows,
                    kh,
                    kw,
                    tap,
                    pixel,
                    size * c + x * pixel,
                    w,
                    weight_bytes,
                    table,
                    stride,
                    c,
                    o + x * channels * width,
                    channels * width,
                    valid,
                )
                x += _PIXELS
            while x < pixels:
                one(
                    rows,
                    kh,
                    kw,
                    tap,
                    pixel,
                    size * c + x * pixel,
                    w,
                    weight_bytes,
                    table,
                    stride,
                    c,
                    o + x * channels * width,
                    channels * width,
                    valid,
                )
                x += 1

    return row


def _pad(size: int) -> Callable[..., None]:
    """Codes of `size` bytes, in whole blocks: up to 63 bytes more."""
    load, fill = load_int16 if size == 2 else load_uint8, fill_block(8 * size)

    @inline
    def pad(block: Int64, target: Int64, count: Int64) -> None:
        code = load(field(block, Field.PADDING))
        for i in range(0, count, 64):
            fill(target + i, code)

    return pad


def _put_row(size: int) -> Callable[..., None]:
    """The channels left to right - 1 of one row of the image.

    It is padded on both sides, and its channels are repeated by the multiplier; where they are, all are put.
    """
    load, store = (load_int16, store_int16) if size == 2 else (load_uint8, store_int8)
    pad = _pad(size)

    @inline
    def put_row(block: Int64, source: Int64, target: Int64, left: Int64, right: Int64) -> None:
        channels, repeats = field(block, Field.OUT_CHANNELS), field(block, Field.EXTRA)
        width, line = field(block, Field.WIDTH), field(block, Field.EXTRA_2) * channels
        start = field(block, Field.PAD_LEFT) * channels
        end = min(start + width * channels, line)
        pad(block, target, size * start)
        if repeats == 1 and right - left < channels:
            for place in range(left, end - start, channels):
                _copy(target + size * (start + place), source + size * place, size * (right - left))
        elif repeats == 1:
            _copy(target + size * start, source, size * (end - start))
        else:
            for i in range(end - start):
                store(target + size * (start + i), load(source + size * (i // repeats)))
        pad(block, target + size * end, size * (line - end))

    return put_row
