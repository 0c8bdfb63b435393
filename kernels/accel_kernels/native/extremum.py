"""Where the largest or the smallest code lies along an axis. Variants are OPERANDS:BITS:KIND:TIES.

The operand is [IMAGES, SIZE, CHANNELS], the result an index of BITS for each image and channel. KIND is "largest" or
"smallest", TIES which of equal codes is meant: "first" or "last".
"""

from collections.abc import Callable

from accel_kernels._types import Int64
from accel_kernels.native.fields import field, input_address, output_address
from accel_kernels.native.memory import LOADS, STORES
from accel_kernels.native.tables import Field


def build(variant: str) -> Callable[..., None]:
    """The step of a variant."""
    operands, bits, kind, ties = variant.split(":")
    load, width, out_width = LOADS[operands], int(operands[1:]) // 8, int(bits) // 8
    store, sign, strict = STORES[int(bits)], -1 if kind == "smallest" else 1, int(ties == "first")

    def extremum(block: Int64, arena: Int64, constants: Int64, scratch: Int64, part: Int64, parts: Int64) -> None:
        x, y = input_address(block, arena), output_address(block, arena)
        count, channels = field(block, Field.SIZE), field(block, Field.CHANNELS)
        total = field(block, Field.IMAGES) * channels
        for index in range(total * part // parts, total * (part + 1) // parts):
            source = x + (index // channels * count * channels + index % channels) * width
            best, place = sign * load(source), 0
            for k in range(1, count):
                code = sign * load(source + k * channels * width)
                if code >= best + strict:
                    best, place = code, k
            store(y + index * out_width, place)

    return extremum
