"""Means of dequantized codes of 8 bits in float32. Variants are OPERANDS:ORDER.

The operand is [IMAGES, SIZE, CHANNELS]; SIZE numbers are added in one of the orders of `accel_kernels.mean_float32`:
"rows" of one row (packets of 4 from the first aligned number on, of the row that the channel is in NCHW, even and odd
ones, then the ends), "groups", "sequential" or "lanes". A number that does not exist is added as 0, which changes no
sum, as none is -0.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llvmlite import ir

from accel_kernels._types import Int64
from accel_kernels.native.emit import F32, I32, Emitter, Value, intrinsic, vector
from accel_kernels.native.epilogues import limited_rint, narrow
from accel_kernels.native.fields import field, input_address, output_address
from accel_kernels.native.number_fields import MEAN_FIELDS
from accel_kernels.native.rows import LANES, load_wide, store_columns
from accel_kernels.native.tables import Field

_ELEMENTS = {"f32": F32, "i32": I32}
_ARGUMENTS = 6
"""address of the first number, bytes between numbers, their count, table, out, channels that exist."""

_PACKET = 4
_FLOATS = vector(F32, LANES)


Number = Callable[[Value], Value]


class _Mean:
    def __init__(self, operands: str, order: str) -> None:
        self._operands, self._sum = operands, _SUMS[order]

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        source, step, count, table, out, valid = arguments
        values = {
            name: e.splat(e.load(e.add(table, 8 * index), _ELEMENTS[kind], 8), LANES)
            for index, (name, kind) in enumerate(MEAN_FIELDS)
        }

        def number(index: Value) -> Value:
            codes = load_wide(e, e.add(source, e.multiply(index, step)), self._operands)
            relative = e.builder.sub(codes, values["input_zero"])
            return e.builder.fmul(e.builder.sitofp(relative, _FLOATS), values["input_scale"])

        total = self._sum(e, number, count)
        multiple = e.builder.fdiv(e.builder.fdiv(total, values["count"]), values["scale"])
        codes = e.builder.add(limited_rint(e, multiple, values["low"], values["high"]), values["zero_point"])
        store_columns(e, narrow(e, codes, 8), out, valid)


def _rows(e: Emitter, number: Number, count: Value) -> Value:
    return _by_alignment(e, count, [_packets(e, number, count, start) for start in range(_PACKET)])


def _packets(e: Emitter, number: Number, count: Value, start: int) -> Value:
    """The sum whose packets begin at number `start`."""
    b, zero = e.builder, e.constant(_FLOATS, 0)
    packets = b.sdiv(b.sub(count, e.number(start)), e.number(_PACKET))
    pairs = b.sdiv(packets, e.number(2))

    def pair(index: Value, sums: list[Value]) -> list[Value]:
        first = e.add(e.multiply(index, 2 * _PACKET), start)
        return [b.fadd(total, number(e.add(first, place))) for place, total in enumerate(sums)]

    sums = e.loop(pairs, [zero] * (2 * _PACKET), pair)
    lanes = [b.fadd(even, odd) for even, odd in zip(sums[:_PACKET], sums[_PACKET:], strict=True)]
    unpaired = b.icmp_signed("!=", packets, e.multiply(pairs, 2))
    last = e.add(e.multiply(pairs, 2 * _PACKET), start)
    lanes = [b.fadd(lane, _if(e, unpaired, number, e.add(last, place))) for place, lane in enumerate(lanes)]
    total = b.fadd(b.fadd(lanes[0], lanes[2]), b.fadd(lanes[1], lanes[3]))
    for index in range(start):
        total = b.fadd(total, number(e.number(index)))
    return _sequential(e, number, count, e.add(e.multiply(packets, _PACKET), start), total)


def _sequential(
    e: Emitter, number: Number, count: Value, first: Value | None = None, total: Value | None = None
) -> Value:
    """The numbers from `first` on, one after the other, added to `total`."""
    first = e.number(0) if first is None else first

    def one(index: Value, sums: list[Value]) -> list[Value]:
        return [e.builder.fadd(sums[0], number(e.builder.add(first, index)))]

    total = e.constant(_FLOATS, 0) if total is None else total
    (total,) = e.loop(e.builder.sub(count, first), [total], one, perhaps_empty=True)
    return total


def _lanes(e: Emitter, number: Number, count: Value) -> Value:
    """Packets of 4 in one accumulator, then the numbers left over."""
    packets = e.builder.sdiv(count, e.number(_PACKET))

    def packet(index: Value, sums: list[Value]) -> list[Value]:
        first = e.multiply(index, _PACKET)
        return [e.builder.fadd(total, number(e.add(first, place))) for place, total in enumerate(sums)]

    lanes = e.loop(packets, [e.constant(_FLOATS, 0)] * _PACKET, packet, perhaps_empty=True)
    total = e.builder.fadd(e.builder.fadd(lanes[0], lanes[2]), e.builder.fadd(lanes[1], lanes[3]))
    return _sequential(e, number, count, e.multiply(packets, _PACKET), total)


def _groups(e: Emitter, number: Number, count: Value) -> Value:
    """Groups of 4, then of 2, then of 1, each one after the other; then the groups."""
    b, zero = e.builder, e.constant(_FLOATS, 0)
    fours = b.sdiv(count, e.number(4))

    def four(index: Value, sums: list[Value]) -> list[Value]:
        first = e.multiply(index, 4)
        group = number(first)
        for place in range(1, 4):
            group = b.fadd(group, number(e.add(first, place)))
        return [b.fadd(sums[0], group)]

    (total,) = e.loop(fours, [zero], four, perhaps_empty=True)
    first = e.multiply(fours, 4)
    two = b.icmp_signed(">=", b.sub(count, first), e.number(2))
    pair = b.fadd(_if(e, two, number, first), _if(e, two, number, e.add(first, 1)))
    first = b.select(two, e.add(first, 2), first)
    return b.fadd(b.fadd(total, pair), _if(e, b.icmp_signed("<", first, count), number, first))


_SUMS: Mapping[str, Callable[[Emitter, Number, Value], Value]] = {
    "rows": _rows,
    "groups": _groups,
    "sequential": _sequential,
    "lanes": _lanes,
}


def _if(e: Emitter, exists: Value, number: Number, index: Value) -> Value:
    found = number(e.builder.select(exists, index, e.number(0)))
    return e.builder.select(exists, found, e.constant(_FLOATS, 0))


def _by_alignment(e: Emitter, count: Value, totals: Sequence[Value]) -> Value:
    """Of each channel the sum that begins with its first aligned number, number -channel * count mod 4."""
    b, integers = e.builder, vector(I32, LANES)
    channels = ir.Constant(integers, list(range(LANES)))
    places = b.mul(channels, e.splat(b.trunc(count, I32), LANES))
    starts = b.and_(b.neg(places), e.constant(integers, _PACKET - 1))
    chosen = totals[0]
    for start in range(1, _PACKET):
        chosen = b.select(b.icmp_signed("==", starts, e.constant(integers, start)), totals[start], chosen)
    return chosen


def build(variant: str) -> Callable[..., None]:
    """The step of a variant; that of rows for at least 11 numbers, and one image or CHANNELS * SIZE a multiple of 4."""
    mean: Any = intrinsic(_ARGUMENTS, _Mean(*variant.split(":")).emit)

    def average(block: Int64, arena: Int64, constants: Int64, scratch: Int64, part: Int64, parts: Int64) -> None:
        x, y = input_address(block, arena), output_address(block, arena)
        count, channels, table = field(block, Field.SIZE), field(block, Field.CHANNELS), field(block, Field.TABLE)
        vectors = (channels + LANES - 1) // LANES
        blocks = field(block, Field.IMAGES) * vectors
        for index in range(blocks * part // parts, blocks * (part + 1) // parts):
            image, c = index // vectors, index % vectors * LANES
            mean(x + image * count * channels + c, channels, count, table, y + image * channels + c, channels - c)

    return average
