"""Products of two activations of 8 bits, matrix by matrix. Variants are A.B:EPILOGUE:BITS, and the same with :watched.

out[i, m, n] = epilogue(sum over k of (a[m, k] - ZERO_POINT) * (b[k, n] - zero point of n)), for each of IMAGES products

of HEIGHT rows, CHANNELS terms and OUT_CHANNELS columns. EXTRA is the address of two int64 for each product: where its
matrices begin, in bytes. STRIDE_HEIGHT and STRIDE_WIDTH are the bytes between rows and terms of a, DILATION_HEIGHT and
DILATION_WIDTH those between columns and terms of b; WEIGHTS is the address of an int32 zero point for each column.

Both operands become int16 relative to their zero points: b as packed weights, at the beginning of scratch memory; a as
panels from byte SIZE on; EXTRA_2 is the place of one column. With :watched as in `watch`.
"""

from collections.abc import Callable

from accel_kernels._types import Int64
from accel_kernels.native.convolve import multiply_panel
from accel_kernels.native.fields import field, inline, input_address, output_address
from accel_kernels.native.memory import (
    LOADS,
    load_int32,
    load_int64,
    store_int16,
    store_int32,
    widen,
)
from accel_kernels.native.tables import Field
from accel_kernels.native.tier import tier
from accel_kernels.native.watch import multiply_watched

_widen = inline(widen)
_LANES = tier().lanes
_TILE = tier().columns


def build(variant: str) -> Callable[..., None]:
    """The step of a variant."""
    operands, kind, bits_text, *watched = variant.split(":")
    left_type, right_type = operands.split(".")
    width = int(bits_text) // 8
    pack, gather = _pack(right_type), _gather(left_type)
    multiply = _multiply(kind, int(bits_text), watched=bool(watched))

    def matmul(block: Int64, arena: Int64, constants: Int64, scratch: Int64, part: Int64, parts: Int64) -> None:
        a, out = input_address(block, arena), output_address(block, arena)
        b = field(block, Field.OTHER) + arena * field(block, Field.OTHER_ARENA)
        images, rows, columns = field(block, Field.IMAGES), field(block, Field.HEIGHT), field(block, Field.OUT_CHANNELS)
        places, most = field(block, Field.EXTRA), field(block, Field.PANEL_ROWS)
        first, last, left, right = _share(images, columns, part, parts)
        panel = scratch + field(block, Field.SIZE)
        for image in range(first, last if left < right else first):
            pack(block, b + load_int64(places + 16 * image + 8), left, right, scratch)
            target = out + image * rows * columns * width
            for row in range(0, rows, most):
                count = min(most, rows - row)
                gather(block, a + load_int64(places + 16 * image), row, count, panel)
                multiply(block, scratch, panel, target + row * columns * width, count, left, right)

    return matmul


@inline
def _share(images: Int64, columns: Int64, part: Int64, parts: Int64) -> tuple[Int64, Int64, Int64, Int64]:
    """(first product, end, first column, end): products are shared, or, where they are few, their columns."""
    if images >= parts:
        return images * part // parts, images * (part + 1) // parts, 0, columns
    tiles = (columns + _TILE - 1) // _TILE
    return 0, images, tiles * part // parts * _TILE, min(tiles * (part + 1) // parts * _TILE, columns)


def _multiply(kind: str, bits: int, *, watched: bool) -> Callable[..., None]:
    """A panel times columns left to right - 1."""
    product, width = multiply_watched(kind, bits) if watched else multiply_panel("w8s", kind, bits), bits // 8

    @inline
    def multiply(
        block: Int64, scratch: Int64, panel: Int64, out: Int64, rows: Int64, left: Int64, right: Int64
    ) -> None:
        stride, steps = field(block, Field.PANEL_STRIDE), field(block, Field.STEPS)
        table, table_stride = field(block, Field.TABLE), field(block, Field.TABLE_STRIDE)
        out_bytes = field(block, Field.OUT_CHANNELS) * width
        product(panel, stride, scratch, steps, table, table_stride, 0, out, out_bytes, rows, left, right)

    @inline
    def multiply_and_watch(
        block: Int64, scratch: Int64, panel: Int64, out: Int64, rows: Int64, left: Int64, right: Int64
    ) -> None:
        stride, steps = field(block, Field.PANEL_STRIDE), field(block, Field.STEPS)
        table, table_stride = field(block, Field.TABLE), field(block, Field.TABLE_STRIDE)
        out_bytes, record = field(block, Field.OUT_CHANNELS) * width, scratch + field(block, Field.RECORD)
        product(panel, stride, scratch, steps, table, table_stride, 0, out, out_bytes, rows, left, right, record)

    return multiply_and_watch if watched else multiply


def _gather(operands: str) -> Callable[..., None]:
    """Rows of a as int16."""
    load, signed = LOADS[operands], int(operands[0] == "s")

    @inline
    def gather(block: Int64, a: Int64, first: Int64, rows: Int64, panel: Int64) -> None:
        terms, stride = field(block, Field.CHANNELS), field(block, Field.PANEL_STRIDE)
        row_bytes, term_bytes = field(block, Field.STRIDE_HEIGHT), field(block, Field.STRIDE_WIDTH)
        zero_point = field(block, Field.ZERO_POINT)
        for i in range(rows):
            source, target = a + (first + i) * row_bytes, panel + i * stride
            if term_bytes == 1:
                _widen(target, source, terms, signed, zero_point)
            else:
                for k in range(terms):
                    store_int16(target + 2 * k, load(source + k * term_bytes) - zero_point)

    return gather


def _pack(operands: str) -> Callable[..., None]:
    """Columns left to right - 1 of b as packed weights; what does not exist is 0."""
    load, signed = LOADS[operands], int(operands[0] == "s")

    @inline
    def pack(block: Int64, b: Int64, left: Int64, right: Int64, weights: Int64) -> None:
        terms, steps = field(block, Field.CHANNELS), field(block, Field.STEPS)
        column_bytes, term_bytes = field(block, Field.DILATION_HEIGHT), field(block, Field.DILATION_WIDTH)
        zeros, held = field(block, Field.WEIGHTS), weights + field(block, Field.EXTRA_2)
        for n in range(left, right, _TILE):
            across = _LANES if right - n <= _LANES else _TILE
            for c in range(across):
                target = weights + n * steps * 4 + c * 4
                if n + c >= right:
                    for k in range(steps):
                        store_int32(target + k * across * 4, 0)
                else:
                    source, zero_point = b + (n + c) * column_bytes, load_int32(zeros + 4 * (n + c))
                    if term_bytes == 1:
                        _widen(held, source, terms, signed, zero_point)
                    else:
                        for k in range(terms):
                            store_int16(held + 2 * k, load(source + k * term_bytes) - zero_point)
                    store_int16(held + 2 * terms, 0)
                    for k in range(steps):
                        store_int32(target + k * across * 4, load_int32(held + 4 * k))

    return pack
