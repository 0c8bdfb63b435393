"""Max pooling of codes of 8 bits. Variants are u8 and s8."""

from collections.abc import Callable, Sequence
from typing import Any

from numba import njit  # noqa: TID251 - compiled by `compile`

from accel_kernels.native.emit import I8, I64, Emitter, Value, intrinsic, vector
from accel_kernels.native.memory import load_int64, store_int64
from accel_kernels.native.tables import Field
from accel_kernels.native.tier import tier

_inline = njit(nogil=True, error_model="numpy")
_BYTES = 4 * tier().lanes


@_inline
def _field(block, field):  # type: ignore[no-untyped-def]
    return load_int64(block + 8 * field)


def _largest(*, signed: bool) -> Any:
    """Arguments: addresses of pixels, their number, channels, lowest and highest code, out."""
    compare = "icmp_signed" if signed else "icmp_unsigned"

    def emit(e: Emitter, arguments: Sequence[Value]) -> None:
        pixels, count, channels, low, high, out = arguments
        kind = vector(I8, _BYTES)
        least, most = (e.splat(e.builder.trunc(limit, I8), _BYTES) for limit in (low, high))

        def select(sign: str, a: Value, b: Value) -> Value:
            return e.builder.select(getattr(e.builder, compare)(sign, a, b), a, b)

        def channel_block(index: Value, carried: list[Value]) -> list[Value]:
            place = e.multiply(index, _BYTES)

            def pixel(i: Value, largest: list[Value]) -> list[Value]:
                source = e.add(e.load(e.add(pixels, e.multiply(i, 8)), I64, 8), place)
                return [select(">", largest[0], e.load(source, kind))]

            (largest,) = e.loop(count, [least], pixel)
            codes, left, target = select("<", largest, most), e.builder.sub(channels, place), e.add(out, place)
            whole = e.builder.icmp_signed(">=", left, e.number(_BYTES))
            with e.builder.if_else(whole) as (then, otherwise):
                with then:
                    e.store(codes, target)
                with otherwise:
                    e.store_some(codes, target, left)
            return []

        e.loop(e.builder.sdiv(e.add(channels, _BYTES - 1), e.number(_BYTES)), [], channel_block)

    return intrinsic(6, emit)


def build(variant: str) -> Callable[..., None]:
    """The step of a variant. A window without any pixel of the image gives LOW."""
    largest = _largest(signed=variant == "s8")

    def pool(block, arena, constants, scratch, part, parts):  # type: ignore[no-untyped-def]
        image = _field(block, Field.INPUT) + arena * _field(block, Field.IN_ARENA)
        out = _field(block, Field.OUTPUT) + arena * _field(block, Field.OUT_ARENA)
        height, width, channels = _field(block, Field.HEIGHT), _field(block, Field.WIDTH), _field(block, Field.DEPTH)
        out_height, out_width = _field(block, Field.OUT_HEIGHT), _field(block, Field.OUT_WIDTH)
        kh, kw = _field(block, Field.KERNEL_HEIGHT), _field(block, Field.KERNEL_WIDTH)
        sh, sw = _field(block, Field.STRIDE_HEIGHT), _field(block, Field.STRIDE_WIDTH)
        dh, dw = _field(block, Field.DILATION_HEIGHT), _field(block, Field.DILATION_WIDTH)
        top, left = _field(block, Field.PAD_TOP), _field(block, Field.PAD_LEFT)
        low, high, padding = _field(block, Field.LOW), _field(block, Field.HIGH), _field(block, Field.PADDING)
        lines = _field(block, Field.IMAGES) * out_height
        for line in range(lines * part // parts, lines * (part + 1) // parts):
            y0, plane = line % out_height * sh - top, line // out_height * height
            for ox in range(out_width):
                x0, count = ox * sw - left, 0
                for ky in range(kh):
                    y = y0 + ky * dh
                    if 0 <= y < height:
                        for kx in range(kw):
                            x = x0 + kx * dw
                            if 0 <= x < width:
                                store_int64(scratch + 8 * count, image + ((plane + y) * width + x) * channels)
                                count += 1
                if count == 0:
                    store_int64(scratch, padding)
                    count = 1
                largest(scratch, count, channels, low, high, out + (line * out_width + ox) * channels)

    return pool
