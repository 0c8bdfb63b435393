"""Depthwise convolutions in accumulators of any stages, with overflow counted, as `count_stages` does.

Variants are OPERANDS:EPILOGUE:BITS:FORM, operands u8 or s8. Operands lie as in `watch_depthwise`, and behind the last
tap one whose weights are 0; weights are int16 [taps + 1, channels padded to a vector].
"""

from collections.abc import Callable, Sequence
from typing import Any

from accel_kernels._types import Int64
from accel_kernels.native.emit import I32, I64, Emitter, Value, intrinsic
from accel_kernels.native.fields import field, input_address, output_address
from accel_kernels.native.memory import load_int64, store_int64
from accel_kernels.native.rows import load_wide
from accel_kernels.native.stages import LANES, Finish, Place, Stages, codes_of
from accel_kernels.native.tables import Field
from accel_kernels.native.watch_depthwise import lay_taps

_ARGUMENTS = 11


class _Pixel:
    """One output pixel and a vector of channels.

    Arguments: addresses of the taps' pixels, weights, bytes of a tap's weights, zero point, epilogue's table, bytes of
    its rows, first channel, out, channels that exist, table of `stages`, record of the first channel.
    """

    def __init__(self, operands: str, kind: str, bits: int, form: str) -> None:
        self._operands, self._finish, self._form = operands, Finish(kind, bits), form

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        pixels, weights, weight_bytes, zero, table, stride, first, out, valid, extra, record = arguments
        stages = Stages(e, self._form, extra)
        zeros = e.splat(e.builder.trunc(zero, I32), LANES)
        begin = e.add(stages.entry(Place.STARTS), e.multiply(first, 4))

        def product(tap: Value) -> list[Value]:
            source = e.add(e.load(e.add(pixels, e.multiply(tap, 8)), I64), first)
            resting = e.add(e.add(weights, e.multiply(tap, weight_bytes)), e.multiply(first, 2))
            codes = e.builder.sub(load_wide(e, source, self._operands), zeros)
            return [e.builder.mul(codes, codes_of(e, resting))]

        sums = stages.accumulate(product, self._finish.starts(e, begin, valid, 1))
        self._finish.emit(e, stages, sums, 1, (table, stride, first), (out, e.number(0), valid), record)


def build(variant: str) -> Callable[..., None]:
    """The step of a variant."""
    operands, kind, bits_text, form = variant.split(":")
    one: Any = intrinsic(_ARGUMENTS, _Pixel(operands, kind, int(bits_text), form).emit)
    width = int(bits_text) // 8
    lay = lay_taps(1)

    def count(block: Int64, arena: Int64, constants: Int64, scratch: Int64, part: Int64, parts: Int64) -> None:
        image, out = input_address(block, arena), output_address(block, arena)
        channels, out_width = field(block, Field.OUT_CHANNELS), field(block, Field.OUT_WIDTH)
        taps = field(block, Field.KERNEL_HEIGHT) * field(block, Field.KERNEL_WIDTH)
        weights, weight_bytes = field(block, Field.WEIGHTS), field(block, Field.GROUP_WEIGHTS)
        table, stride, zero = (
            field(block, Field.TABLE),
            field(block, Field.TABLE_STRIDE),
            field(block, Field.ZERO_POINT),
        )
        extra = field(block, Field.OTHER)
        lines = field(block, Field.IMAGES) * field(block, Field.OUT_HEIGHT)
        for line in range(lines * part // parts, lines * (part + 1) // parts):
            for ox in range(out_width):
                lay(block, image, line, ox, scratch)
                store_int64(scratch + 8 * taps, load_int64(scratch))
                target = out + (line * out_width + ox) * channels * width
                for c in range(0, channels, LANES):
                    record, o = scratch + field(block, Field.RECORD) + 4 * c, target + c * width
                    one(scratch, weights, weight_bytes, zero, table, stride, c, o, channels - c, extra, record)

    return count
