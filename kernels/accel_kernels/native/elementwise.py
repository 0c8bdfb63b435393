"""Functions of two arrays of codes of 8 or 16 bits, element by element. Variants are FORM:OPERANDS:EPILOGUE[:STEPS].

FORM is one of

- "float32", ONNX Runtime's fma(a, a_ratio, fma(b, b_ratio, constant)), whose epilogue is "none";
- "linear", one linear form with factors of 30 bits, for recipes that it equals at every pair of codes; likewise "none";
- "float64", the same in float64, where its products and sums are exact enough;
- "sum" and "difference", TFLite's: both operands rescaled in fixed point, and their sum requantized by an epilogue;
- "product", (a - a_zero) * (b - b_zero) requantized by an epilogue; "float_product", ONNX Runtime's in float32;
- "minimum" and "maximum" of codes;
- "real_add", ...: both operands dequantized, the function in float32, quantized.

OPERANDS is the element type of a, b and result, or all three: "u8.s8.u8". TABLE holds the parameters, one 8-byte number
after the other (`BINARY_FIELDS` of the form, then those of the epilogue). Without STEPS, SIZE elements lie in a row.
STEPS is for operands that are broadcast: there are IMAGES rows of SIZE results; EXTRA is the address of two int64 for
each, where a and b begin, in elements; each operand's letter is "v" for SIZE neighbours, "s" for one element.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llvmlite import ir

from accel_kernels._types import Int64
from accel_kernels.native.emit import F32, F64, I32, Emitter, Value, intrinsic, vector
from accel_kernels.native.epilogues import EPILOGUES, limit, limited_rint, limited_rint64, narrow, rescaled
from accel_kernels.native.fields import field, input_address, output_address
from accel_kernels.native.memory import load_int64
from accel_kernels.native.products import add_pairs
from accel_kernels.native.rows import load_numbers, store_columns
from accel_kernels.native.tables import BINARY_FIELDS, EPILOGUE_FIELDS, Field
from accel_kernels.native.tier import tier

_LANES = tier().lanes
_REALS = vector(F32, _LANES)

Numbers = Mapping[str, Value]


class _Binary:
    """Arguments: a, b, out, elements, table."""

    def __init__(self, form: str, types: Sequence[str], epilogue: str, steps: str) -> None:
        self._form, self._types, self._epilogue, self._steps = form, types, epilogue, steps

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        a, b, out, count, table = arguments
        fields = BINARY_FIELDS[self._form]
        own, last = load_numbers(e, table, fields, 0), {}
        if self._epilogue != "none":
            last = load_numbers(e, table, EPILOGUE_FIELDS[self._epilogue], len(fields))
        resting = [
            self._single(e, source, kind) if step == "s" else None
            for source, kind, step in zip((a, b), self._types, self._steps, strict=False)
        ]

        def body(index: Value, carried: list[Value]) -> list[Value]:
            place = e.multiply(index, _LANES)
            x, y = (
                self._load(e, e.add(source, e.multiply(place, _bytes(kind))), kind) if single is None else single
                for source, kind, single in zip((a, b), self._types, resting, strict=False)
            )
            codes = narrow(e, self._codes(e, x, y, own, last), 8 * _bytes(self._types[2]))
            target = e.add(out, e.multiply(place, _bytes(self._types[2])))
            store_columns(e, codes, target, e.builder.sub(count, place))
            return []

        e.loop(e.builder.sdiv(e.add(count, _LANES - 1), e.number(_LANES)), [], body)

    def _load(self, e: Emitter, address: Value, kind: str) -> Value:
        return self._widened(e, e.load(address, vector(ir.IntType(8 * _bytes(kind)), _LANES)), kind)

    def _single(self, e: Emitter, address: Value, kind: str) -> Value:
        return self._widened(e, e.splat(e.load(address, ir.IntType(8 * _bytes(kind))), _LANES), kind)

    def _widened(self, e: Emitter, codes: Value, kind: str) -> Value:
        wide = vector(I32, _LANES)
        return e.builder.sext(codes, wide) if kind[0] == "s" else e.builder.zext(codes, wide)

    def _codes(self, e: Emitter, a: Value, b: Value, own: Numbers, last: Numbers) -> Value:
        if self._form in _FORMS:
            return _FORMS[self._form](e, a, b, own)
        if self._form.startswith("real_"):
            return _real(e, a, b, own, self._form[5:])
        if self._form == "product":
            total = e.builder.mul(e.builder.sub(a, own["a_zero"]), e.builder.sub(b, own["b_zero"]))
        else:
            left, right = (_rescaled(e, x, own, name) for x, name in ((a, "a"), (b, "b")))
            total = e.builder.sub(left, right) if self._form == "difference" else e.builder.add(left, right)
        return EPILOGUES[self._epilogue].apply(e, total, last)


def _bytes(kind: str) -> int:
    return int(kind[1:]) // 8


def _float32(e: Emitter, a: Value, b: Value, own: Numbers) -> Value:
    inner = e.elementwise("fma", e.builder.sitofp(b, _REALS), own["b_ratio"], own["constant"])
    total = e.elementwise("fma", e.builder.sitofp(a, _REALS), own["a_ratio"], inner)
    return limited_rint(e, total, own["low"], own["high"])


def _float64(e: Emitter, a: Value, b: Value, own: Numbers) -> Value:
    """rint(clamp(a * a_factor + (b * b_factor + constant), low, high)) + zero_point."""
    builder, reals = e.builder, vector(F64, _LANES)
    inner = builder.fadd(builder.fmul(builder.sitofp(b, reals), own["b_factor"]), own["constant"])
    total = builder.fadd(builder.fmul(builder.sitofp(a, reals), own["a_factor"]), inner)
    return limited_rint64(e, total, own["low"], own["high"], own["zero_point"])


def _linear(e: Emitter, a: Value, b: Value, own: Numbers) -> Value:
    """Factors are cut into two halves of 15 bits, so that pairs of int16 products give both sums."""
    builder = e.builder
    sixteen, fifteen, sign = (e.constant(a.type, n) for n in (16, 15, 31))
    codes = builder.or_(builder.and_(a, e.constant(a.type, 0xFFFF)), builder.shl(b, sixteen))
    low = add_pairs(e, own["low_start"], codes, own["low_pair"])
    high = add_pairs(e, own["high_start"], codes, own["high_pair"])
    total = builder.add(high, builder.ashr(low, fifteen))
    tie = builder.and_(builder.ashr(total, sign), own["away"])
    rounded = builder.ashr(builder.add(builder.add(total, own["half"]), tie), own["shift"])
    limited = e.elementwise("smax", builder.add(rounded, own["zero_point"]), own["low"])
    return e.elementwise("smin", limited, own["high"])


def _float_product(e: Emitter, a: Value, b: Value, own: Numbers) -> Value:
    builder = e.builder
    left, right = (builder.sitofp(builder.sub(x, own[f"{name}_zero"]), _REALS) for x, name in ((a, "a"), (b, "b")))
    multiple = builder.fadd(builder.fmul(builder.fmul(left, right), own["ratio"]), own["zero_point"])
    return limited_rint(e, multiple, own["low"], own["high"])


def _real(e: Emitter, a: Value, b: Value, own: Numbers, function: str) -> Value:
    """rint(clamp(f32(clip(function) / scale), low, high)) + zero_point."""
    builder = e.builder
    left, right = (
        builder.fmul(builder.sitofp(builder.sub(x, own[f"{name}_zero"]), _REALS), own[f"{name}_scale"])
        for x, name in ((a, "a"), (b, "b"))
    )
    if function in ("minimum", "maximum"):
        order = builder.fcmp_ordered("<" if function == "minimum" else ">", left, right)
        value = builder.select(order, left, right)
    else:
        value = {"add": builder.fadd, "subtract": builder.fsub, "multiply": builder.fmul}[function](left, right)
    multiple = builder.fdiv(limit(e, value, own["clip_low"], own["clip_high"]), own["scale"])
    return builder.add(limited_rint(e, multiple, own["low"], own["high"]), own["zero_point"])


def _rescaled(e: Emitter, x: Value, own: Numbers, name: str) -> Value:
    columns = {field: own[f"{name}_{field}"] for field in ("multiplier", "left", "right", "addend", "sign_addend")}
    relative = e.builder.sub(x, own[f"{name}_zero"])
    return e.builder.trunc(rescaled(e, relative, columns), vector(I32, _LANES))


_FORMS: Mapping[str, Callable[[Emitter, Value, Value, Numbers], Value]] = {
    "float32": _float32,
    "float64": _float64,
    "linear": _linear,
    "float_product": _float_product,
    "minimum": lambda e, a, b, own: e.elementwise("smin", a, b),
    "maximum": lambda e, a, b, own: e.elementwise("smax", a, b),
}


def build(variant: str) -> Callable[..., None]:
    """The step of a variant."""
    form, operands, epilogue, *rows = variant.split(":")
    types = operands.split(".") if "." in operands else [operands] * 3
    emit: Any = intrinsic(5, _Binary(form, types, epilogue, rows[0] if rows else "vv").emit)
    a_bytes, b_bytes, out_bytes = map(_bytes, types)

    def whole(block: Int64, arena: Int64, constants: Int64, scratch: Int64, part: Int64, parts: Int64) -> None:
        a = input_address(block, arena)
        b = field(block, Field.OTHER) + arena * field(block, Field.OTHER_ARENA)
        out = output_address(block, arena)
        size = field(block, Field.SIZE)
        blocks = (size + 63) // 64
        first, last = blocks * part // parts * 64, min(blocks * (part + 1) // parts * 64, size)
        if first < last:
            x, y, z = a + first * a_bytes, b + first * b_bytes, out + first * out_bytes
            emit(x, y, z, last - first, field(block, Field.TABLE))

    def spread(block: Int64, arena: Int64, constants: Int64, scratch: Int64, part: Int64, parts: Int64) -> None:
        a = input_address(block, arena)
        b = field(block, Field.OTHER) + arena * field(block, Field.OTHER_ARENA)
        out = output_address(block, arena)
        size, table, places = field(block, Field.SIZE), field(block, Field.TABLE), field(block, Field.EXTRA)
        rows = field(block, Field.IMAGES)
        for row in range(rows * part // parts, rows * (part + 1) // parts):
            x = a + load_int64(places + 16 * row) * a_bytes
            y = b + load_int64(places + 16 * row + 8) * b_bytes
            emit(x, y, out + row * size * out_bytes, size, table)

    return spread if rows else whole
