"""Real numbers to codes of 8 bits at the inputs of a network. Variants are ROUNDING:PLANES.

Codes are clamp(round(f32(x / s)), low, high) + z, ROUNDING "even" (half to even) or "away" (half away from zero). The
numbers lie plane by plane, the codes pixel by pixel: a picture of PLANES channels changes from NCHW to NHWC. ROUNDING
"none" is for numbers that are codes already.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llvmlite import ir

from accel_kernels._types import Int64
from accel_kernels.native.emit import F32, I8, I32, Emitter, Value, intrinsic, vector
from accel_kernels.native.epilogues import limit, limited_rint, narrow
from accel_kernels.native.number_fields import BOUNDARY_FIELDS
from accel_kernels.native.tier import tier

_LANES = tier().lanes
_ELEMENTS = {"f32": F32, "i32": I32}
_ARGUMENTS = 5


class _Quantization:
    """Arguments: numbers, pixels of a plane, table, codes, blocks of pixels."""

    def __init__(self, rounding: str, planes: int) -> None:
        self._rounding, self._planes = rounding, planes

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        numbers, pixels, table, out, blocks = arguments
        fields = BOUNDARY_FIELDS if self._rounding in _ROUND else ()
        values = {
            name: e.splat(e.load(e.add(table, 8 * index), _ELEMENTS[kind], 8), _LANES)
            for index, (name, kind) in enumerate(fields)
        }

        def block(index: Value, carried: list[Value]) -> list[Value]:
            last = e.builder.sub(pixels, e.number(_LANES))
            place = e.multiply(index, _LANES)
            place = e.builder.select(e.builder.icmp_signed("<", place, last), place, last)  # the last one overlaps
            planes = []
            for plane in range(self._planes):
                planes.append(self._codes(e, numbers, e.add(e.multiply(pixels, plane), place), values))
            e.store(_interleaved(e, planes), e.add(out, e.multiply(place, self._planes)))
            return []

        e.loop(blocks, [], block)

    def _codes(self, e: Emitter, numbers: Value, place: Value, values: Mapping[str, Value]) -> Value:
        """One vector."""
        if not values:
            return e.load(e.add(numbers, place), vector(I8, _LANES))
        quotient = e.builder.fdiv(e.load(e.add(numbers, e.multiply(place, 4)), vector(F32, _LANES)), values["scale"])
        codes = _ROUND[self._rounding](e, quotient, values["low"], values["high"])
        return narrow(e, e.builder.add(codes, values["zero_point"]), 8)


def _half_away(e: Emitter, reals: Value, low: Value, high: Value) -> Value:
    """int32 of the limited number: its whole part, and one more where at least half is left."""
    b = e.builder
    limited = limit(e, reals, low, high)
    integers = vector(I32, _LANES)
    whole = b.fptosi(limited, integers)
    rest = b.fsub(limited, b.sitofp(whole, limited.type))
    up = b.zext(b.fcmp_ordered(">=", rest, e.constant(limited.type, 0.5)), integers)
    down = b.zext(b.fcmp_ordered("<=", rest, e.constant(limited.type, -0.5)), integers)
    return b.sub(b.add(whole, up), down)


_ROUND = {"away": _half_away, "even": limited_rint}


def _interleaved(e: Emitter, planes: Sequence[Value]) -> Value:
    """[pixel, plane] of one vector of pixels for each of up to four planes."""
    if len(planes) == 1:
        return planes[0]
    padded = [*planes, *[ir.Constant(vector(I8, _LANES), ir.Undefined)] * (4 - len(planes))]
    both = [_shuffled(e, padded[i], padded[i + 1], range(2 * _LANES)) for i in (0, 2)]
    order = [plane * _LANES + pixel for pixel in range(_LANES) for plane in range(len(planes))]
    return _shuffled(e, both[0], both[1], order)


def _shuffled(e: Emitter, a: Value, b: Value, order: Sequence[int]) -> Value:
    return e.builder.shuffle_vector(a, b, ir.Constant(vector(I32, len(order)), list(order)))


def build(variant: str) -> Callable[..., None]:
    """The function of a variant; a plane has at least as many pixels as a vector lanes."""
    rounding, planes = variant.split(":")
    quantize: Any = intrinsic(_ARGUMENTS, _Quantization(rounding, int(planes)).emit)

    def to_codes(numbers: Int64, pixels: Int64, table: Int64, out: Int64) -> None:
        quantize(numbers, pixels, table, out, (pixels + _LANES - 1) // _LANES)

    return to_codes
