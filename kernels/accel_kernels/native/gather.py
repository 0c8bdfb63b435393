"""A choice of pixels: nearest-neighbour resizing and reflecting pads.

OTHER is the address of an int64 for each of the SIZE output pixels of an image: which input pixel it is.
"""

from collections.abc import Callable

from accel_kernels._types import Int64
from accel_kernels.native.fields import field, input_address, output_address
from accel_kernels.native.memory import load_int8, load_int64, store_int8, store_int64
from accel_kernels.native.tables import Field


def build(variant: str) -> Callable[..., None]:
    """The step; it has no variants. DEPTH is the bytes of a pixel."""

    def gather(block: Int64, arena: Int64, constants: Int64, scratch: Int64, part: Int64, parts: Int64) -> None:
        x, y = input_address(block, arena), output_address(block, arena)
        size, depth, chosen = field(block, Field.SIZE), field(block, Field.DEPTH), field(block, Field.OTHER)
        plane = field(block, Field.HEIGHT) * field(block, Field.WIDTH)
        pixels = field(block, Field.IMAGES) * size
        whole = depth // 8 * 8
        for pixel in range(pixels * part // parts, pixels * (part + 1) // parts):
            source = x + (pixel // size * plane + load_int64(chosen + 8 * (pixel % size))) * depth
            target = y + pixel * depth
            for i in range(0, whole, 8):
                store_int64(target + i, load_int64(source + i))
            for i in range(whole, depth):
                store_int8(target + i, load_int8(source + i))

    return gather
