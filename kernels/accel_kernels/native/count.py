"""Convolutions whose overflow is counted, addition by addition, in accumulators of one stage.

Variants are OPERANDS:EPILOGUE:BITS:POLICY (u8 or s8; wrap or saturate). A screen computes each sum in two halves, the
products that are >= 0 and those that are <= 0: all partial sums lie between them, block by block of products. Outputs
that the bounds do not certify are computed again with a state that shows every overflow; where many of them would be,
the screen is left out.

An accumulator of p bits is held + 2^(p-1). Wrapping is not done: the sum overflows where bit p and what is above it
change, and as a product is smaller than 2^p, bit p alone tells. A saturating one overflows where bit p is set before it
is clamped. Bit p of each addition is summed up, in units of 2^p, and moved to the counts before it can overflow.

A step keeps at RECORD bytes from the beginning of a thread's scratch memory int32 [3, OUT_DEPTH rounded up to lanes]:
events, outputs with events, outputs whose exact sum does not fit; of one sample. EXTRA: int32 [1 + 2 blocks, columns]:
what makes a bias of sums of codes; for each block, most and least of bias and zero point's share. EXTRA_2: int8 weights
[tiles, groups of 4, positive and negative, lanes, 4]. EXTRA_3: bytes between rows of the wide panel, which lies SIZE
bytes into scratch, LOW the flags. HIGH: p.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from accel_kernels._types import Int64
from accel_kernels.native.convolve import gather_codes, gather_wide, share
from accel_kernels.native.count_blocks import BLOCK
from accel_kernels.native.emit import I32, Emitter, Value, intrinsic, vector
from accel_kernels.native.epilogues import EPILOGUES, load_columns, narrow
from accel_kernels.native.fields import field, inline, input_address, output_address
from accel_kernels.native.memory import copy, flip, load_int64, store_int64
from accel_kernels.native.products import add_pairs
from accel_kernels.native.rows import store_columns
from accel_kernels.native.tables import Field
from accel_kernels.native.watching import LANES, first_of_pairs

_WIDE = vector(I32, LANES)
_BYTES = 4 * LANES
_SCREENED, _MIDDLE = 14, 7
_TRACKED = {"wrap": 8, "saturate": 8}
"""Rows of the largest micro-kernels."""
_MOST_FLAGGED = 5
"""The screen is left out where more than one output in so many is not certified."""
_LEFT_OUT = 15
"""So many times, before it is tried again."""

_copy, _flip = inline(copy), inline(flip)


class _Screen:
    """A block of rows and one vector of columns: results, and a flag for each row that is not certified."""

    ARGUMENTS = 14

    def __init__(self, rows: int, kind: str, bits: int) -> None:
        self._rows, self._epilogue, self._bits = rows, EPILOGUES[kind], bits

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        a, row_bytes, weights, groups, table, stride, first, extra, extra_bytes, out, out_bytes, valid, p, flags = (
            arguments
        )
        sources = [e.add(a, e.multiply(row_bytes, row)) for row in range(self._rows)]
        zero, place = e.constant(_WIDE, 0), e.add(extra, e.multiply(first, 4))
        blocks = e.builder.sdiv(e.add(groups, BLOCK - 1), e.number(BLOCK))

        def block(index: Value, held: list[Value]) -> list[Value]:
            done = e.multiply(index, BLOCK)
            left = e.builder.sub(groups, done)
            count = e.builder.select(e.builder.icmp_signed("<", left, e.number(BLOCK)), left, e.number(BLOCK))
            begin, sums = e.add(weights, e.multiply(done, 2 * _BYTES)), held[: self._rows]
            starts = [e.add(source, e.multiply(done, 4)) for source in sources]
            halves = e.loop(count, [*sums, *sums], self._group(e, starts, begin))
            bounds = e.add(place, e.multiply(extra_bytes, e.add(e.multiply(index, 2), 1)))
            above, below = e.load(bounds, _WIDE), e.load(e.add(bounds, extra_bytes), _WIDE)
            tops, bottoms = halves[: self._rows], halves[self._rows :]
            parts = zip(sums, tops, bottoms, strict=True)
            totals = [e.builder.sub(e.builder.add(top, bottom), s) for s, top, bottom in parts]
            tops = [e.builder.add(top, above) for top in tops]
            bottoms = [e.builder.add(bottom, below) for bottom in bottoms]
            highs = [e.elementwise("smax", *pair) for pair in zip(held[self._rows : 2 * self._rows], tops, strict=True)]
            lows = [e.elementwise("smin", *pair) for pair in zip(held[2 * self._rows :], bottoms, strict=True)]
            return [*totals, *highs, *lows]

        held = e.loop(blocks, [zero] * (3 * self._rows), block)
        folded = e.load(place, _WIDE)
        columns = load_columns(e, self._epilogue, table, stride, first, LANES)
        half = e.builder.shl(ir.Constant(I32, 1), e.builder.sub(e.builder.trunc(p, I32), ir.Constant(I32, 1)))
        least = e.splat(e.builder.neg(half), LANES)
        most = e.splat(e.builder.sub(half, ir.Constant(I32, 1)), LANES)
        for row in range(self._rows):
            total = e.builder.add(held[row], folded)
            codes = narrow(e, self._epilogue.apply(e, total, columns), self._bits)
            store_columns(e, codes, e.add(out, e.multiply(out_bytes, row)), valid)
            high, low = held[self._rows + row], held[2 * self._rows + row]
            above, below = e.builder.icmp_signed(">", high, most), e.builder.icmp_signed("<", low, least)
            either = e.builder.or_(above, below)
            mask = e.builder.bitcast(either, ir.IntType(LANES))
            e.store(e.builder.zext(mask, ir.IntType(64)), e.add(flags, 8 * row))

    def _group(self, e: Emitter, sources: list[Value], weights: Value) -> Callable[..., list[Value]]:
        def body(k: Value, held: list[Value]) -> list[Value]:
            place = e.add(weights, e.multiply(k, 2 * _BYTES))
            halves = [e.load(e.add(place, _BYTES * sign), _WIDE) for sign in range(2)]
            results = list(held)
            for row, source in enumerate(sources):
                codes = e.splat(e.load(e.add(source, e.multiply(k, 4)), I32), LANES)
                for sign, half in enumerate(halves):
                    at = sign * self._rows + row
                    name = f"llvm.x86.avx512.vpdpbusd.{32 * LANES}"
                    results[at] = e.call(name, _WIDE, [held[at], codes, half])
            return results

        return body


class _Track:
    """Some rows, at the addresses of a list of (operands, results), and one vector of columns: results and counts."""

    ARGUMENTS = 10

    def __init__(self, rows: int, kind: str, bits: int, *, saturates: bool) -> None:
        self._rows, self._epilogue, self._bits, self._saturates = rows, EPILOGUES[kind], bits, saturates

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        places, weights, steps, table, stride, first, valid, p, record, record_bytes = arguments
        builder, one = e.builder, ir.Constant(I32, 1)
        columns = load_columns(e, self._epilogue, table, stride, first, LANES)
        narrow_p = builder.trunc(p, I32)
        half = e.splat(builder.shl(one, builder.sub(narrow_p, one)), LANES)
        self._bit = e.splat(builder.shl(one, narrow_p), LANES)
        self._top = e.splat(builder.sub(builder.shl(one, narrow_p), one), LANES)
        shift, zero = e.splat(narrow_p, LANES), e.constant(_WIDE, 0)
        sources = [e.load(e.add(places, 16 * row), ir.IntType(64)) for row in range(self._rows)]
        start = builder.add(columns["bias"], half)
        # 2^(32 - p) events fill the bits above; each step may have two
        room = builder.sub(builder.shl(e.number(1), builder.sub(e.number(31), p)), e.number(1))
        size = builder.select(builder.icmp_signed("<", room, e.number(1)), e.number(1), room)
        blocks = builder.sdiv(builder.sub(e.add(steps, size), e.number(1)), size)
        count = self._rows

        def block(index: Value, held: list[Value]) -> list[Value]:
            done = builder.mul(index, size)
            left = builder.sub(steps, done)
            these = builder.select(builder.icmp_signed("<", left, size), left, size)
            begins = [e.add(source, e.multiply(done, 4)) for source in sources]
            begin = e.add(weights, e.multiply(done, _BYTES))
            inner = e.loop(these, [*held[:-count], *[zero] * count], self._pair(e, begins, begin))
            counts = [
                builder.add(total, builder.lshr(raw, shift))
                for total, raw in zip(held[-count:], inner[-count:], strict=True)
            ]
            return [*inner[:-count], *counts]

        held = e.loop(blocks, [*[start] * (count * (1 + self._saturates)), *[zero] * count], block)
        at = e.add(record, e.multiply(first, 4))
        tallies = [e.load(e.add(at, e.multiply(record_bytes, i)), _WIDE) for i in range(3)]
        outside = builder.not_(self._top)
        for row in range(count):
            exact, events = held[row], held[row - count]
            kept = held[count + row] if self._saturates else builder.and_(exact, self._top)
            codes = narrow(e, self._epilogue.apply(e, builder.sub(kept, half), columns), self._bits)
            store_columns(e, codes, e.load(e.add(places, 16 * row + 8), ir.IntType(64)), valid)
            persistent = builder.icmp_signed("!=", builder.and_(exact, outside), zero)
            tallies[0] = builder.add(tallies[0], events)
            tallies[1] = builder.add(tallies[1], builder.zext(builder.icmp_signed("!=", events, zero), _WIDE))
            tallies[2] = builder.add(tallies[2], builder.zext(persistent, _WIDE))
        for i, tally in enumerate(tallies):
            e.store(tally, e.add(at, e.multiply(record_bytes, i)))

    def _pair(self, e: Emitter, sources: list[Value], weights: Value) -> Callable[..., list[Value]]:
        builder, count = e.builder, self._rows
        zero = e.constant(_WIDE, 0)

        def body(k: Value, held: list[Value]) -> list[Value]:
            both = e.load(e.add(weights, e.multiply(k, _BYTES)), _WIDE)
            one = first_of_pairs(e, both)
            other = builder.sub(both, one)
            results = list(held)
            for row, source in enumerate(sources):
                pair = e.splat(e.load(e.add(source, e.multiply(k, 4)), I32), LANES)
                exact, raw = held[row], held[row - count]
                last = add_pairs(e, exact, pair, both)
                if self._saturates:
                    value = held[count + row]
                    for w in (one, other):
                        total = add_pairs(e, value, pair, w)
                        raw = builder.add(raw, builder.and_(total, self._bit))
                        value = e.elementwise("smin", e.elementwise("smax", total, zero), self._top)
                    results[count + row] = value
                else:
                    middle = add_pairs(e, exact, pair, one)
                    raw = builder.add(raw, builder.and_(builder.xor(exact, middle), self._bit))
                    raw = builder.add(raw, builder.and_(builder.xor(middle, last), self._bit))
                results[row], results[row - count] = last, raw
            return results

        return body


def build(variant: str) -> Callable[..., None]:
    """The step of a variant."""
    operands, kind, bits_text, policy = variant.split(":")
    bits = int(bits_text)
    screen, track = _screen(kind, bits), _track(kind, bits, saturates=policy == "saturate")
    gather, widen = gather_codes(flips=operands == "s8"), gather_wide(signed=operands == "s8", row_bytes=Field.EXTRA_3)
    copy_codes = _flip if operands == "s8" else _copy
    width, most_tracked = bits // 8, _TRACKED[policy]

    def count(block: Int64, arena: Int64, constants: Int64, scratch: Int64, part: Int64, parts: Int64) -> None:
        image, out = input_address(block, arena), output_address(block, arena)
        rows = field(block, Field.IMAGES) * field(block, Field.OUT_HEIGHT) * field(block, Field.OUT_WIDTH)
        columns, channels = field(block, Field.OUT_CHANNELS), field(block, Field.CHANNELS)
        first, last, left, right = share(rows, columns, part, parts)
        if first >= last or left >= right:
            return
        out_bytes, most = field(block, Field.OUT_DEPTH) * width, field(block, Field.PANEL_ROWS)
        stride, wide_stride = field(block, Field.PANEL_STRIDE), field(block, Field.EXTRA_3)
        wide, flags = scratch + field(block, Field.SIZE), scratch + field(block, Field.LOW)
        places, left_out = flags + 8 * most + 64, 0
        for group in range(field(block, Field.GROUPS)):
            target = out + group * columns * width
            for row in range(first, last, most):
                these = min(most, last - row)
                widened, laid = 0, 0
                a = image + row * stride if field(block, Field.DIRECT) == 1 else scratch
                for n in range(left, right, LANES):
                    o, flagged = target + row * out_bytes + n * width, these
                    if left_out > 0:
                        left_out -= 1
                        for m in range(these):
                            store_int64(flags + 8 * m, 1)
                    else:
                        if laid == 0:
                            laid = 1
                            if field(block, Field.DIRECT) == 2:
                                copy_codes(a, image + row * stride, these * stride)
                            elif field(block, Field.DIRECT) == 0:
                                gather(block, image, group * channels, row, these, a)
                        screen(block, a, group, n, o, out_bytes, these, right - n, flags)
                        flagged = 0
                        for m in range(these):
                            flagged += load_int64(flags + 8 * m) != 0
                        if flagged * _MOST_FLAGGED > these:
                            left_out = _LEFT_OUT
                    if flagged > 0:
                        if widened == 0:
                            widened = 1
                            widen(block, image, group * channels, row, these, wide)
                        waiting = 0
                        for m in range(these):
                            if load_int64(flags + 8 * m) != 0:
                                store_int64(places + 16 * waiting, wide + m * wide_stride)
                                store_int64(places + 16 * waiting + 8, o + m * out_bytes)
                                waiting += 1
                                if waiting == most_tracked:
                                    track(block, places, waiting, group, n, right - n, scratch)
                                    waiting = 0
                        track(block, places, waiting, group, n, right - n, scratch)

    return count


def _screen(kind: str, bits: int) -> Callable[..., None]:
    """All rows of a panel, one vector of columns."""
    tall: Any = intrinsic(_Screen.ARGUMENTS, _Screen(_SCREENED, kind, bits).emit)
    middle: Any = intrinsic(_Screen.ARGUMENTS, _Screen(_MIDDLE, kind, bits).emit)
    single: Any = intrinsic(_Screen.ARGUMENTS, _Screen(1, kind, bits).emit)

    @inline
    def screen(
        block: Int64,
        a: Int64,
        group: Int64,
        n: Int64,
        out: Int64,
        out_bytes: Int64,
        rows: Int64,
        valid: Int64,
        flags: Int64,
    ) -> None:
        columns, groups, p = field(block, Field.OUT_CHANNELS), field(block, Field.OTHER), field(block, Field.HIGH)
        tiles = (columns + LANES - 1) // LANES
        w = field(block, Field.EXTRA_2) + (group * tiles + n // LANES) * groups * 8 * LANES
        table, table_stride = field(block, Field.TABLE), field(block, Field.TABLE_STRIDE)
        extra, stride, c = field(block, Field.EXTRA), field(block, Field.PANEL_STRIDE), group * columns + n
        b = table_stride // 2
        m = 0
        while m + _SCREENED <= rows:
            x, o, f = a + m * stride, out + m * out_bytes, flags + 8 * m
            tall(x, stride, w, groups, table, table_stride, c, extra, b, o, out_bytes, valid, p, f)
            m += _SCREENED
        while m + _MIDDLE <= rows:
            x, o, f = a + m * stride, out + m * out_bytes, flags + 8 * m
            middle(x, stride, w, groups, table, table_stride, c, extra, b, o, out_bytes, valid, p, f)
            m += _MIDDLE
        while m < rows:
            x, o, f = a + m * stride, out + m * out_bytes, flags + 8 * m
            single(x, stride, w, groups, table, table_stride, c, extra, b, o, out_bytes, valid, p, f)
            m += 1

    return screen


def _track(kind: str, bits: int, *, saturates: bool) -> Callable[..., None]:
    """The rows of a list, one vector of columns."""
    most = _TRACKED["saturate" if saturates else "wrap"]
    tall: Any = intrinsic(_Track.ARGUMENTS, _Track(most, kind, bits, saturates=saturates).emit)
    pair: Any = intrinsic(_Track.ARGUMENTS, _Track(2, kind, bits, saturates=saturates).emit)
    single: Any = intrinsic(_Track.ARGUMENTS, _Track(1, kind, bits, saturates=saturates).emit)

    @inline
    def track(block: Int64, places: Int64, rows: Int64, group: Int64, n: Int64, valid: Int64, scratch: Int64) -> None:
        columns, steps, p = field(block, Field.OUT_CHANNELS), field(block, Field.STEPS), field(block, Field.HIGH)
        tiles = (columns + LANES - 1) // LANES
        w = field(block, Field.WEIGHTS) + (group * tiles + n // LANES) * steps * 4 * LANES
        table, stride, c = field(block, Field.TABLE), field(block, Field.TABLE_STRIDE), group * columns + n
        record, b = scratch + field(block, Field.RECORD), stride // 2
        if rows == most:
            tall(places, w, steps, table, stride, c, valid, p, record, b)
            return
        m = 0
        while m + 2 <= rows:
            pair(places + 16 * m, w, steps, table, stride, c, valid, p, record, b)
            m += 2
        if m < rows:
            single(places + 16 * m, w, steps, table, stride, c, valid, p, record, b)

    return track
