"""Means of dequantized codes of 8 bits in float32, in the order of Eigen's packets. Variants are OPERANDS.

The operand is [IMAGES, SIZE, CHANNELS]; SIZE numbers are added as `accel_kernels.mean_float32` says of one row: packets
of 4 from the first aligned number on (of the row that the channel is in NCHW), even and odd ones, then the ends. A
number that does not exist is added as 0, which changes no sum, as none is -0.
"""

from collections.abc import Callable, Sequence
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


class _Mean:
    def __init__(self, operands: str) -> None:
        self._operands = operands

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

        total = _by_alignment(e, count, [_total(e, number, count, start) for start in range(_PACKET)])
        multiple = e.builder.fdiv(e.builder.fdiv(total, values["count"]), values["scale"])
        codes = e.builder.add(limited_rint(e, multiple, values["low"], values["high"]), values["zero_point"])
        store_columns(e, narrow(e, codes, 8), out, valid)


def _total(e: Emitter, number: Callable[[Value], Value], count: Value, start: int) -> Value:
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
    end = e.add(e.multiply(packets, _PACKET), start)
    for index in range(_PACKET - 1):
        place = e.add(end, index)
        total = b.fadd(total, _if(e, b.icmp_signed("<", place, count), number, place))
    return total


def _if(e: Emitter, exists: Value, number: Callable[[Value], Value], index: Value) -> Value:
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
    """The step of a variant, for at least 11 numbers, and one image or CHANNELS * SIZE a multiple of 4."""
    mean: Any = intrinsic(_ARGUMENTS, _Mean(variant).emit)

    def average(block: Int64, arena: Int64, constants: Int64, scratch: Int64, part: Int64, parts: Int64) -> None:
        x, y = input_address(block, arena), output_address(block, arena)
        count, channels, table = field(block, Field.SIZE), field(block, Field.CHANNELS), field(block, Field.TABLE)
        vectors = (channels + LANES - 1) // LANES
        blocks = field(block, Field.IMAGES) * vectors
        for index in range(blocks * part // parts, blocks * (part + 1) // parts):
            image, c = index // vectors, index % vectors * LANES
            mean(x + image * count * channels + c, channels, count, table, y + image * channels + c, channels - c)

    return average
