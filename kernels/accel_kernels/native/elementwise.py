"""Sums of two arrays of codes of 8 bits, element by element. Variants are FORM:OPERANDS:EPILOGUE.

FORM is one of

- "float32", ONNX Runtime's fma(a, a_ratio, fma(b, b_ratio, constant)), whose epilogue is "none";
- "linear", one linear form with factors of 30 bits, for recipes that it equals at every pair of codes; likewise "none";
- "sum" and "difference", TFLite's: both operands rescaled in fixed point, and their sum requantized by an epilogue.

TABLE holds the parameters, one 8-byte number after the other (`SUM_FIELDS` of the form, then those of the epilogue).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from accel_kernels._types import Int64
from accel_kernels.native.emit import F32, F64, I8, I32, I64, Emitter, Value, intrinsic, vector
from accel_kernels.native.epilogues import EPILOGUES, limited_rint, narrow, rescaled
from accel_kernels.native.fields import field, input_address, output_address
from accel_kernels.native.products import add_pairs
from accel_kernels.native.tables import EPILOGUE_FIELDS, SUM_FIELDS, Field
from accel_kernels.native.tier import tier

_LANES = tier().lanes
_TYPES = {"i32": I32, "i64": I64, "f32": F32, "f64": F64}


class _Sum:
    """Arguments: a, b, out, elements, table."""

    def __init__(self, form: str, operands: str, epilogue: str) -> None:
        self._form, self._signed, self._epilogue = form, operands == "s8", epilogue

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        a, b, out, count, table = arguments
        fields = SUM_FIELDS[self._form] + EPILOGUE_FIELDS.get(self._epilogue, ())
        columns = {
            f"{index}/{name}": e.splat(self._number(e, e.add(table, 8 * index), _TYPES[kind]), _LANES)
            for index, (name, kind) in enumerate(fields)
        }
        names = list(columns)
        own = {name.split("/")[1]: columns[name] for name in names[: len(SUM_FIELDS[self._form])]}
        last = {name.split("/")[1]: columns[name] for name in names[len(SUM_FIELDS[self._form]) :]}

        def body(index: Value, carried: list[Value]) -> list[Value]:
            place = e.multiply(index, _LANES)
            codes = self._codes(e, self._load(e, e.add(a, place)), self._load(e, e.add(b, place)), own, last)
            left, target = e.builder.sub(count, place), e.add(out, place)
            whole = e.builder.icmp_signed(">=", left, e.number(_LANES))
            with e.builder.if_else(whole) as (then, otherwise):
                with then:
                    e.store(narrow(e, codes, 8), target)
                with otherwise:
                    e.store_some(narrow(e, codes, 8), target, left)
            return []

        blocks = e.builder.sdiv(e.add(count, _LANES - 1), e.number(_LANES))
        e.loop(blocks, [], body)

    def _number(self, e: Emitter, address: Value, kind: Any) -> Value:
        return e.load(address, kind, 8)

    def _load(self, e: Emitter, address: Value) -> Value:
        codes = e.load(address, vector(I8, _LANES))
        wide = vector(I32, _LANES)
        return e.builder.sext(codes, wide) if self._signed else e.builder.zext(codes, wide)

    def _codes(self, e: Emitter, a: Value, b: Value, own: Mapping[str, Value], last: Mapping[str, Value]) -> Value:
        if self._form == "float32":
            reals = vector(F32, _LANES)
            inner = e.elementwise("fma", e.builder.sitofp(b, reals), own["b_ratio"], own["constant"])
            total = e.elementwise("fma", e.builder.sitofp(a, reals), own["a_ratio"], inner)
            return limited_rint(e, total, own["low"], own["high"])
        if self._form == "linear":
            return self._linear(e, a, b, own)
        left, right = (self._rescaled(e, x, own, name) for x, name in ((a, "a"), (b, "b")))
        total = e.builder.sub(left, right) if self._form == "difference" else e.builder.add(left, right)
        return EPILOGUES[self._epilogue].apply(e, total, last)

    def _linear(self, e: Emitter, a: Value, b: Value, own: Mapping[str, Value]) -> Value:
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

    def _rescaled(self, e: Emitter, x: Value, own: Mapping[str, Value], name: str) -> Value:
        columns = {field: own[f"{name}_{field}"] for field in ("multiplier", "left", "right", "addend", "sign_addend")}
        relative = e.builder.sub(x, own[f"{name}_zero"])
        return e.builder.trunc(rescaled(e, relative, columns), vector(I32, _LANES))


def build(variant: str) -> Callable[..., None]:
    """The step of a variant."""
    form, operands, epilogue = variant.split(":")
    emit: Any = intrinsic(5, _Sum(form, operands, epilogue).emit)

    def add(block: Int64, arena: Int64, constants: Int64, scratch: Int64, part: Int64, parts: Int64) -> None:
        a = input_address(block, arena)
        b = field(block, Field.OTHER) + arena * field(block, Field.OTHER_ARENA)
        out = output_address(block, arena)
        size = field(block, Field.SIZE)
        blocks = (size + 63) // 64
        first, last = blocks * part // parts * 64, min(blocks * (part + 1) // parts * 64, size)
        if first < last:
            emit(a + first, b + first, out + first, last - first, field(block, Field.TABLE))

    return add
