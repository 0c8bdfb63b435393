"""Convolutions, and fully connected layers as convolutions: panels of pixels times packed weights.

Variants are OPERANDS:EPILOGUE:BITS. Where a window is one pixel without strides and codes can be multiplied as they
are, the operands are the image itself; otherwise PANEL_ROWS output pixels at a time are laid out as rows in scratch
memory, which stays in the second-level cache, and all columns of weights pass over them.

Operands u8 are taken as they are: padding is the code `ZERO_POINT`, and the preparer has put the zero point's share
into the bias. Operands s8 are copied as unsigned codes 128 higher, unless
the tier has tiles, which multiply them as they are. Operands w8u and w8s become int16 relative to the
zero point; padding is 0. DIRECT is 1 where the operands are the image itself, 2 where they are a plain copy of it.

Operands s16 are taken as they are, like u8; s16w as well, for sums of 64 bits (`wide_products`). Operands s16t and
s16tw are split into bytes for tiles (`split_tiles`). DEPTH and CHANNELS are in bytes.
"""

from collections.abc import Callable

from accel_kernels._types import Int64
from accel_kernels.native.fields import field, inline, input_address, output_address
from accel_kernels.native.memory import copy, flip, split, widen
from accel_kernels.native.products import micro_kernel
from accel_kernels.native.split_tiles import multiply_split
from accel_kernels.native.tables import Field
from accel_kernels.native.tier import TILE_ROWS, tier
from accel_kernels.native.tiles import multiply_tiles
from accel_kernels.native.wide_products import wide_micro_kernel

_copy, _flip, _split, _widen = inline(copy), inline(flip), inline(split), inline(widen)


def build(variant: str) -> Callable[..., None]:
    """The step of a variant."""
    operands, kind, bits_text = variant.split(":")
    bits = int(bits_text)
    multiply = multiply_panel(operands, kind, bits)
    flips = operands == "s8" and not uses_tiles(operands)
    gather = (
        gather_wide(signed=operands == "w8s")
        if operands.startswith("w8")
        else gather_codes(flips=flips, splits=operands.startswith("s16t"))
    )
    copy_codes = _flip if operands == "s8" else _copy
    unit = TILE_ROWS if uses_tiles(operands) or operands.startswith("s16t") else _ROW_BLOCK

    def convolve(block: Int64, arena: Int64, constants: Int64, scratch: Int64, part: Int64, parts: Int64) -> None:
        image = input_address(block, arena)
        out = output_address(block, arena)
        rows = field(block, Field.IMAGES) * field(block, Field.OUT_HEIGHT) * field(block, Field.OUT_WIDTH)
        columns = field(block, Field.OUT_CHANNELS)
        first, last, left, right, rest = share_evenly(rows, columns, unit, part, parts)
        out_bytes = field(block, Field.OUT_DEPTH) * (bits // 8)
        steps, stride, most = (
            field(block, Field.STEPS),
            field(block, Field.PANEL_STRIDE),
            field(block, Field.PANEL_ROWS),
        )
        table_stride = field(block, Field.TABLE_STRIDE)
        for region in range(2):
            if region == 1:
                first, last = rest, rows
                left, right = share_columns(columns, part, parts)
            for group in range(field(block, Field.GROUPS) if left < right else 0):
                weights = field(block, Field.WEIGHTS) + group * field(block, Field.GROUP_WEIGHTS)
                target = out + group * columns * (bits // 8)
                row = first
                while row < last:
                    count = min(most, last - row)
                    if field(block, Field.DIRECT) == 1:
                        a = image + row * stride
                    elif field(block, Field.DIRECT) == 2:
                        a = scratch
                        copy_codes(a, image + row * stride, count * stride)
                    else:
                        a = scratch
                        gather(block, image, group * field(block, Field.CHANNELS), row, count, a)
                    multiply(
                        a,
                        stride,
                        weights,
                        steps,
                        field(block, Field.TABLE),
                        table_stride,
                        group * columns,
                        target + row * out_bytes,
                        out_bytes,
                        count,
                        left,
                        right,
                    )
                    row += count

    return convolve


@inline
def share(rows: Int64, columns: Int64, part: Int64, parts: Int64) -> tuple[Int64, Int64, Int64, Int64]:
    """(first row, end, first column, end) of a part: blocks of rows or, where that is more even, columns."""
    blocks, tiles = (rows + _ROW_BLOCK - 1) // _ROW_BLOCK, (columns + _TILE - 1) // _TILE
    most_blocks, most_tiles = (blocks + parts - 1) // parts, (tiles + parts - 1) // parts
    repeated = 1 if columns < _FEW * rows else 0
    if parts == 1 or blocks >= _MANY * parts or 8 * most_blocks * tiles < (8 + repeated) * most_tiles * blocks:
        low, high = blocks * part // parts * _ROW_BLOCK, blocks * (part + 1) // parts * _ROW_BLOCK
        return low, min(high, rows), 0, columns
    left, right = share_columns(columns, part, parts)
    return 0, rows, left, right


@inline
def share_evenly(
    rows: Int64, columns: Int64, unit: Int64, part: Int64, parts: Int64
) -> tuple[Int64, Int64, Int64, Int64, Int64]:
    """(first row, end, first column, end, rest): equal blocks of rows, and columns of the rest that begins at a row.

    Columns of all rows are shared where that is more even. Each thread then reads its own part of the weights alone,
    but all read all rows, of which others have written some, and gather them where they have to be; where columns are
    few, that takes an eighth of the time.
    """
    blocks, tiles = (rows + unit - 1) // unit, (columns + _TILE - 1) // _TILE
    if parts == 1 or blocks >= _MANY * parts:
        low, high = blocks * part // parts * unit, blocks * (part + 1) // parts * unit
        return low, min(high, rows), 0, columns, rows
    each, most_tiles = blocks // parts, (tiles + parts - 1) // parts
    repeated = 1 if columns < _FEW * rows else 0
    if 8 * (each * tiles + blocks % parts * most_tiles) < (8 + repeated) * most_tiles * blocks:
        last = min((part + 1) * each * unit, rows)
        return part * each * unit, last, 0, columns, min(parts * each * unit, rows)
    left, right = share_columns(columns, part, parts)
    return 0, rows, left, right, rows


@inline
def share_columns(columns: Int64, part: Int64, parts: Int64) -> tuple[Int64, Int64]:
    """(first column, end) of a part."""
    tiles = (columns + _TILE - 1) // _TILE
    return tiles * part // parts * _TILE, min(tiles * (part + 1) // parts * _TILE, columns)


_MANY = 16
_FEW = 6
_TILE = tier().columns
_ROW_BLOCK = tier().rows[-2]


def uses_tiles(operands: str) -> bool:
    """Whether products of these operands run on tile registers."""
    return tier().tiles and (operands in ("u8", "s8") or operands.startswith("s16t"))


def multiply_panel(operands: str, kind: str, bits: int) -> Callable[..., None]:
    """All rows of a panel times columns left to right - 1.

    A block of rows stays in the first-level cache while the weights of some tiles of columns, which stay in the
    second-level one, pass over it.
    """
    if operands.startswith("s16t"):
        return multiply_split(kind, bits, wide=operands == "s16tw")
    if uses_tiles(operands):
        return multiply_tiles(operands, kind, bits)
    chosen = tier()
    lanes, tall = chosen.lanes, chosen.rows[0]
    middle = chosen.rows[1] if len(chosen.rows) > 2 else 1
    big, mid, one, narrow, narrow_one = (
        wide_micro_kernel(chosen, rows, vectors, kind, bits)
        if operands == "s16w"
        else micro_kernel(chosen, rows, vectors, "u8" if operands in ("u8", "s8") else "s16", kind, bits)
        for rows, vectors in ((tall, 2), (middle, 2), (1, 2), (tall, 1), (1, 1))
    )
    width, tile = bits // 8, 2 * lanes

    @inline
    def multiply(
        a: Int64,
        stride: Int64,
        weights: Int64,
        steps: Int64,
        table: Int64,
        table_stride: Int64,
        base: Int64,
        out: Int64,
        out_bytes: Int64,
        rows: Int64,
        left: Int64,
        right: Int64,
    ) -> None:
        together = max(_WEIGHTS_TOGETHER // (steps * 4 * tile), 1) * tile
        for start in range(left, right, together):
            end, m = min(start + together, right), 0
            while m < rows:
                height = tall if m + tall <= rows else middle if m + middle <= rows else 1
                x, y = a + m * stride, out + m * out_bytes
                for n in range(start, end, tile):
                    w, o, valid, first = weights + n * steps * 4, y + n * width, right - n, base + n
                    if valid > lanes:
                        if height == tall:
                            big(x, stride, w, steps, table, table_stride, first, o, out_bytes, valid)
                        elif height == middle:
                            mid(x, stride, w, steps, table, table_stride, first, o, out_bytes, valid)
                        else:
                            one(x, stride, w, steps, table, table_stride, first, o, out_bytes, valid)
                    elif height == tall:
                        narrow(x, stride, w, steps, table, table_stride, first, o, out_bytes, valid)
                    else:
                        for i in range(height):
                            c, d = x + i * stride, o + i * out_bytes
                            narrow_one(c, stride, w, steps, table, table_stride, first, d, out_bytes, valid)
                m += height

    return multiply


_WEIGHTS_TOGETHER = 1 << 18
"""Bytes of weights that pass over one block of rows after the other."""


@inline
def _put(target: Int64, source: Int64, size: Int64, apart: Int64) -> None:
    _copy(target, source, size)


@inline
def _put_flipped(target: Int64, source: Int64, size: Int64, apart: Int64) -> None:
    _flip(target, source, size)


@inline
def _put_split(target: Int64, source: Int64, size: Int64, apart: Int64) -> None:
    _split(target, target + apart, source, size)


def gather_codes(*, flips: bool = False, splits: bool = False) -> Callable[..., None]:
    """Lays the operands of output pixels out as rows; of codes that are split, upper bytes in the second half."""
    put, share_of_row = (_put_split, 2) if splits else (_put_flipped if flips else _put, 1)

    @inline
    def gather(block: Int64, image: Int64, channel: Int64, first: Int64, rows: Int64, panel: Int64) -> None:
        """Rows of the panel: the codes under the window of output pixel first + i, in the order ky, kx, channel."""
        height, width, depth = field(block, Field.HEIGHT), field(block, Field.WIDTH), field(block, Field.DEPTH)
        channels, padding = field(block, Field.CHANNELS), field(block, Field.PADDING)
        out_height, out_width = field(block, Field.OUT_HEIGHT), field(block, Field.OUT_WIDTH)
        kh, kw = field(block, Field.KERNEL_HEIGHT), field(block, Field.KERNEL_WIDTH)
        sh, sw = field(block, Field.STRIDE_HEIGHT), field(block, Field.STRIDE_WIDTH)
        dh, dw = field(block, Field.DILATION_HEIGHT), field(block, Field.DILATION_WIDTH)
        top, left, stride = field(block, Field.PAD_TOP), field(block, Field.PAD_LEFT), field(block, Field.PANEL_STRIDE)
        dense, apart, run = dw == 1 and channels == depth, stride // 2, channels // share_of_row
        pixel = first % (out_height * out_width)
        oy, ox, plane = pixel // out_width, pixel % out_width, first // (out_height * out_width) * height
        for i in range(rows):
            y0, x0, target = oy * sh - top, ox * sw - left, panel + i * stride
            inside = x0 >= 0 and x0 + (kw - 1) * dw < width
            for ky in range(kh):
                iy = y0 + ky * dh
                line = image + (plane + iy) * width * depth + channel
                if iy < 0 or iy >= height:
                    for _ in range(kw):
                        put(target, padding, channels, apart)
                        target += run
                elif inside and dense:
                    put(target, line + x0 * depth, kw * channels, apart)
                    target += kw * run
                else:
                    for kx in range(kw):
                        ix = x0 + kx * dw
                        put(target, padding if ix < 0 or ix >= width else line + ix * depth, channels, apart)
                        target += run
            ox += 1
            if ox == out_width:
                ox = 0
                oy += 1
                if oy == out_height:
                    oy = 0
                    plane += height

    return gather


def gather_wide(*, signed: bool, row_bytes: Field = Field.PANEL_STRIDE) -> Callable[..., None]:
    """As `gather_codes`, widened to int16 relative to the zero point; rows lie `row_bytes` apart."""
    kind = int(signed)

    @inline
    def gather(block: Int64, image: Int64, channel: Int64, first: Int64, rows: Int64, panel: Int64) -> None:
        height, width, depth = field(block, Field.HEIGHT), field(block, Field.WIDTH), field(block, Field.DEPTH)
        channels, padding = field(block, Field.CHANNELS), field(block, Field.PADDING)
        out_height, out_width = field(block, Field.OUT_HEIGHT), field(block, Field.OUT_WIDTH)
        kh, kw = field(block, Field.KERNEL_HEIGHT), field(block, Field.KERNEL_WIDTH)
        sh, sw = field(block, Field.STRIDE_HEIGHT), field(block, Field.STRIDE_WIDTH)
        dh, dw = field(block, Field.DILATION_HEIGHT), field(block, Field.DILATION_WIDTH)
        top, left, stride = (
            field(block, Field.PAD_TOP),
            field(block, Field.PAD_LEFT),
            field(block, row_bytes),
        )
        zero_point = field(block, Field.ZERO_POINT)
        for i in range(rows):
            pixel = first + i
            y0, x0 = pixel // out_width % out_height * sh - top, pixel % out_width * sw - left
            plane, target = pixel // (out_height * out_width) * height, panel + i * stride
            for ky in range(kh):
                iy = y0 + ky * dh
                for kx in range(kw):
                    ix = x0 + kx * dw
                    outside = iy < 0 or iy >= height or ix < 0 or ix >= width
                    source = padding if outside else image + ((plane + iy) * width + ix) * depth + channel
                    _widen(target, source, channels, kind, zero_point)
                    target += 2 * channels

    return gather
