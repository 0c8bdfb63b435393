"""Convolutions whose overflow is counted, addition by addition, in accumulators of one stage.

Variants are OPERANDS:EPILOGUE:BITS:POLICY (u8 or s8; a policy of `FORMS`).
Where norms of codes tell that nothing can overflow (`count_guard`), the product is as if nothing were counted. Else a
screen (`count_screen`) computes the sums, and certifies those of which no partial sum can leave the accumulator; a
cheaper one (`count_glance`) is tried before.
Where a half of a row keeps few outputs, these are looked at one by one (`count_scan`), and followed on their own
(`count_single`) if they still are not certified. The rest are followed with their neighbours, product by product
(`count_track`), products of 0 left out (`count_lists`). Where most halves keep many outputs, screens are left out.

Work goes by panels of PANEL_ROWS output pixels and, in these, by WIDE vectors of columns. A step keeps at RECORD bytes
from the beginning of a thread's scratch memory int32 [3, columns]: events, outputs with events, outputs whose exact
sum does not fit; of one sample. EXTRA is the address of a table of `Count`. HIGH: p. OTHER: groups of 4 products.
"""

from collections.abc import Callable

from accel_kernels._types import Int64
from accel_kernels.native.convolve import gather_codes, multiply_panel
from accel_kernels.native.count_blocks import DEPTH, NARROW, WIDE, Count
from accel_kernels.native.count_certify import certify_sums, glance_at_sums, measure_rows
from accel_kernels.native.count_encode import encode_sums
from accel_kernels.native.count_flags import flagged_outputs
from accel_kernels.native.count_follow import follow_products
from accel_kernels.native.count_guard import guard, measure_whole_rows
from accel_kernels.native.count_place import place
from accel_kernels.native.count_probe import is_hardly_doubted, is_sparse, probing
from accel_kernels.native.count_screen import SUM_BYTES
from accel_kernels.native.count_single import single_out
from accel_kernels.native.fields import field, inline, input_address, output_address
from accel_kernels.native.memory import copy, flip, store_int64
from accel_kernels.native.tables import Field
from accel_kernels.native.tier import TILE_ROWS, tier

LANES = tier().lanes
_BYTES = 4 * LANES
_WIDE_COLUMNS, _HALF = WIDE * LANES, NARROW * LANES
_FEW = {"wrap": 20, "saturate": 12}
"""Outputs of a half of a row that are followed one by one; where more are left, all of its outputs are together."""
_LEFT_OUT = 15
"""So many times screens that were of no use are left out, before they are tried again."""

_copy, _flip = inline(copy), inline(flip)


def build(variant: str) -> Callable[..., None]:
    """The step of a variant."""
    operands, kind, bits_text, policy = variant.split(":")
    bits = int(bits_text)
    width, exact = bits // 8, policy != "wrap"
    lay = _lay(flips=operands == "s8")
    certify, glance = probing(certify_sums(), is_sparse), probing(glance_at_sums(), is_hardly_doubted)
    products, follow, encode = _products(), follow_products(policy), encode_sums(kind, bits)
    few = _FEW["wrap" if policy.startswith("wrap") else "saturate"]
    single, fused = single_out(policy, few), _fused(kind, bits)

    def count(block: Int64, arena: Int64, constants: Int64, scratch: Int64, part: Int64, parts: Int64) -> None:
        image, out = input_address(block, arena), output_address(block, arena)
        pixels = field(block, Field.IMAGES) * field(block, Field.OUT_HEIGHT) * field(block, Field.OUT_WIDTH)
        columns, most = field(block, Field.OUT_CHANNELS), field(block, Field.PANEL_ROWS)
        first, last, left, right = _share(pixels, columns, part, parts)
        if first >= last or left >= right:
            return
        out_bytes, left_out, trusted, doubted, hopeful = field(block, Field.OUT_DEPTH) * width, 0, 0, 0, 0
        if place(block, Count.GLANCED) == 0:
            doubted = pixels * columns
        singled = few if place(block, Count.ZERO) == 0 else 0
        for group in range(field(block, Field.GROUPS)):
            for row in range(first, last, most):
                rows = min(most, last - row)
                a = lay(block, image, group, row, rows, scratch)
                _forget(block, rows, scratch)
                if place(block, Count.GUARDED):
                    measure_whole_rows(block, a, rows, scratch)
                if place(block, Count.GLANCED) > 0 and doubted * _WIDE_COLUMNS < right - left:
                    measure_rows(block, a, rows, scratch)
                for n in range(left, right, _WIDE_COLUMNS):
                    existing, waiting, blind = min(right - n, _WIDE_COLUMNS), 1, left_out > 0
                    if place(block, Count.GUARDED) and guard(block, a, group, n, existing, rows, scratch):
                        fused(block, a, group, n, existing, rows, out + row * out_bytes, out_bytes)
                        continue
                    if not blind and doubted == 0:
                        hopeful, _ = glance(block, a, group, n, existing, rows, scratch, hopeful, singled)
                        doubted = 0 if hopeful else _LEFT_OUT + 1
                    if not blind and not hopeful:
                        trusted, screened = certify(block, a, group, n, existing, rows, scratch, trusted, singled)
                        blind, left_out = not screened, 0 if trusted else _LEFT_OUT + (not screened)
                    doubted, left_out = max(doubted - 1, 0), max(left_out - blind, 0)
                    if not blind:
                        if singled > 0:
                            single(block, a, group * columns + n, rows, scratch)
                        waiting = flagged_outputs(scratch + place(block, Count.FLAGS), rows)
                    elif exact:
                        products(block, a, group, n, existing, rows, scratch)
                    if waiting > 0:
                        follow(block, a, group, n, existing, rows, blind, scratch)
                    target = out + row * out_bytes + (group * columns + n) * width
                    encode(block, group * columns + n, existing, rows, target, out_bytes, scratch)

    return count


@inline
def _share(rows: Int64, columns: Int64, part: Int64, parts: Int64) -> tuple[Int64, Int64, Int64, Int64]:
    """(first row, end, first column, end): rows are shared, or columns where these are more blocks."""
    tiles = (columns + _WIDE_COLUMNS - 1) // _WIDE_COLUMNS
    if rows >= parts * TILE_ROWS or rows >= tiles:
        return rows * part // parts, rows * (part + 1) // parts, 0, columns
    left = tiles * part // parts * _WIDE_COLUMNS
    return 0, rows, left, min(tiles * (part + 1) // parts * _WIDE_COLUMNS, columns)


@inline
def _forget(block: Int64, rows: Int64, scratch: Int64) -> None:
    """No row of the panel is listed, nor laid in segments."""
    each = 8 * ((place(block, Count.REDUCTION) + DEPTH - 1) // DEPTH)
    for m in range(rows):
        store_int64(scratch + place(block, Count.LENGTHS) + each * m, 0)
        store_int64(scratch + place(block, Count.LAID) + 8 * m, 0)


def _lay(*, flips: bool) -> Callable[..., Int64]:
    """The operands of a panel of pixels, as unsigned codes; where they lie."""
    gather, copy_codes = gather_codes(flips=flips), _flip if flips else _copy

    @inline
    def lay(block: Int64, image: Int64, group: Int64, row: Int64, rows: Int64, scratch: Int64) -> Int64:
        stride = field(block, Field.PANEL_STRIDE)
        if field(block, Field.DIRECT) == 1:
            return image + row * stride
        if field(block, Field.DIRECT) == 2:
            copy_codes(scratch, image + row * stride, rows * stride)
        else:
            gather(block, image, group * field(block, Field.CHANNELS), row, rows, scratch)
        return scratch

    return lay


def _fused(kind: str, bits: int) -> Callable[..., None]:
    """Codes of a panel and WIDE vectors of columns, as `convolve` computes them."""
    multiply, width = multiply_panel("u8", kind, bits), bits // 8

    @inline
    def fused(
        block: Int64, a: Int64, group: Int64, n: Int64, existing: Int64, rows: Int64, out: Int64, out_bytes: Int64
    ) -> None:
        weights = place(block, Count.PLAIN) + group * place(block, Count.PLAIN_BYTES)
        table, table_stride = field(block, Field.TABLE), field(block, Field.TABLE_STRIDE)
        base, steps, end = group * field(block, Field.OUT_CHANNELS), field(block, Field.OTHER), n + existing
        target, stride = out + base * width, field(block, Field.PANEL_STRIDE)
        multiply(a, stride, weights, steps, table, table_stride, base, target, out_bytes, rows, n, end)

    return fused


def _products() -> Callable[..., None]:
    """Sums alone."""
    multiply = multiply_panel("u8", "raw", 32)

    @inline
    def products(block: Int64, a: Int64, group: Int64, n: Int64, existing: Int64, rows: Int64, scratch: Int64) -> None:
        weights = place(block, Count.PLAIN) + group * place(block, Count.PLAIN_BYTES)
        sums, stride = scratch + place(block, Count.SUMS), field(block, Field.PANEL_STRIDE)
        table, table_stride = place(block, Count.PLAIN_TABLE), field(block, Field.TABLE_STRIDE)
        base, steps, end = group * field(block, Field.OUT_CHANNELS), field(block, Field.OTHER), n + existing
        multiply(a, stride, weights, steps, table, table_stride, base, sums - 4 * n, SUM_BYTES, rows, n, end)

    return products
