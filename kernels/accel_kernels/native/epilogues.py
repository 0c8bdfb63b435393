"""From accumulators to codes, as vector instructions at the end of a micro-kernel.

An epilogue is what a requantization recipe (`accel_sim.numerics.requantization`) becomes in registers. Its parameters
are the rows of a table (`tables.epilogue_table`); `Epilogue.fields` says what each row holds. A micro-kernel loads the
parameters of its columns once and applies them to all its rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from accel_kernels.native.emit import F32, F64, I32, I64, Emitter, Value, vector
from accel_kernels.native.tables import EPILOGUE_FIELDS

Columns = Mapping[str, Value]
"""The parameters of a vector of columns, by field."""


@dataclass(frozen=True)
class Epilogue:
    """How a vector of int32 accumulators, bias included, becomes int32 codes; some kinds also take int64 ones.

    Attributes:
        fields: name and element type of each row of the table, after the bias.
        apply: (emitter, accumulators, parameters) -> codes.
    """

    fields: tuple[tuple[str, Any], ...]
    apply: Callable[[Emitter, Value, Columns], Value]


def load_bias(e: Emitter, table: Value, first: Value, lanes: int) -> Value:
    """The biases of columns `first` and on."""
    return e.load(e.add(table, e.multiply(first, 4)), vector(I32, lanes), 4)


def load_columns(e: Emitter, epilogue: Epilogue, table: Value, stride: Value, first: Value, lanes: int) -> Columns:
    """The parameters of columns `first` and on; `stride` is the bytes of a row of the table."""
    columns = {}
    for index, (name, element) in enumerate((("bias", I32), *epilogue.fields)):
        size = 8 if element in (I64, F64) else 4
        address = e.add(e.add(table, e.multiply(stride, index)), e.multiply(first, size))
        columns[name] = e.load(address, vector(element, lanes), 4)
    return columns


def _raw(e: Emitter, accumulators: Value, columns: Columns) -> Value:
    return accumulators


def _float32(e: Emitter, accumulators: Value, columns: Columns) -> Value:
    """rint(clamp(f32(acc) * scale, low, high)) + zero_point."""
    b = e.builder
    multiple = b.fmul(b.sitofp(accumulators, vector(F32, accumulators.type.count)), columns["scale"])
    return b.add(limited_rint(e, multiple, columns["low"], columns["high"]), columns["zero_point"])


def _real(e: Emitter, sums: Value, columns: Columns) -> Value:
    """rint(clamp(f32(clip(sum) / scale), low, high)) + zero_point, of sums in float32, bias included."""
    b = e.builder
    multiple = b.fdiv(limit(e, sums, columns["clip_low"], columns["clip_high"]), columns["scale"])
    return b.add(limited_rint(e, multiple, columns["low"], columns["high"]), columns["zero_point"])


def limited_rint(e: Emitter, reals: Value, low: Value, high: Value) -> Value:
    """int32 rint(clamp(reals, low, high)) for float32 limits that are integers smaller than 2^22 in magnitude.

    Adding 1.5 * 2^23 leaves no fraction: the processor rounds half to even, and the integer is in the lowest bits.
    """
    b, lanes = e.builder, reals.type.count
    limited = limit(e, reals, low, high)
    magic = e.constant(vector(F32, lanes), 12582912.0)
    shifted = b.bitcast(b.fadd(limited, magic), vector(I32, lanes))
    return b.sub(shifted, b.bitcast(magic, vector(I32, lanes)))


def limit(e: Emitter, reals: Value, low: Value, high: Value) -> Value:
    """Real numbers between two limits."""
    return _smaller(e, _larger(e, reals, low), high)


def _larger(e: Emitter, a: Value, b: Value) -> Value:
    return e.builder.select(e.builder.fcmp_ordered(">", a, b), a, b)


def _smaller(e: Emitter, a: Value, b: Value) -> Value:
    return e.builder.select(e.builder.fcmp_ordered("<", a, b), a, b)


def _float64(e: Emitter, accumulators: Value, columns: Columns) -> Value:
    """clamp(wrap32(int32(round_half_away(f64(acc) * scale)) + zero_point), low, high); beyond int32: its smallest."""
    b, lanes = e.builder, accumulators.type.count
    reals = vector(F64, lanes)
    rounded = e.elementwise("round", b.fmul(b.sitofp(accumulators, reals), columns["scale"]))
    least, beyond = e.constant(reals, -2147483648.0), e.constant(reals, 2147483648.0)
    fits = b.and_(b.fcmp_ordered(">=", rounded, least), b.fcmp_ordered("<", rounded, beyond))
    whole = b.fptosi(b.select(fits, rounded, least), vector(I32, lanes))
    return _clamped(e, b.add(whole, columns["zero_point"]), columns)


def _rational(e: Emitter, accumulators: Value, columns: Columns) -> Value:
    """rint(clamp(f64(acc) * scale, low, high)) + zero_point, rounded as in `limited_rint`; a divisor comes after."""
    b, lanes = e.builder, accumulators.type.count
    reals = vector(F64, lanes)
    multiple = b.fmul(b.sitofp(accumulators, reals), columns["scale"])
    if "divisor" in columns:
        multiple = b.fdiv(multiple, columns["divisor"])
    return limited_rint64(e, multiple, columns["low"], columns["high"], columns["zero_point"])


def limited_rint64(e: Emitter, reals: Value, low: Value, high: Value, zero_point: Value) -> Value:
    """int32 rint(clamp(reals, low, high)) + zero_point for float64, rounded as in `limited_rint`."""
    b, lanes = e.builder, reals.type.count
    shifted = b.fadd(limit(e, reals, low, high), e.constant(reals.type, 6755399441055744.0))
    whole = b.trunc(b.bitcast(shifted, vector(I64, lanes)), vector(I32, lanes))
    return b.add(whole, zero_point)


def _clamped(e: Emitter, codes: Value, columns: Columns) -> Value:
    return e.elementwise("smin", e.elementwise("smax", codes, columns["low"]), columns["high"])


def rescaled(e: Emitter, accumulators: Value, columns: Columns) -> Value:
    """int64: (wrap32(acc << left) * multiplier + addend + sign * sign_addend) >> right; without << for 64-bit acc."""
    b, lanes = e.builder, accumulators.type.count
    wide = vector(I64, lanes)
    is_wide = accumulators.type.element == I64
    moved = accumulators if is_wide else b.sext(b.shl(accumulators, columns["left"]), wide)
    product = b.add(b.mul(moved, b.sext(columns["multiplier"], wide)), columns["addend"])
    negative = b.icmp_signed("<", moved, e.constant(wide, 0))
    signed = b.select(negative, b.neg(columns["sign_addend"]), columns["sign_addend"])
    return b.ashr(b.add(product, signed), columns["right"])


def _fixed(e: Emitter, accumulators: Value, columns: Columns) -> Value:
    """The scaled value and its sum with the zero point wrap to 32 bits."""
    b = e.builder
    scaled = b.trunc(rescaled(e, accumulators, columns), vector(I32, accumulators.type.count))
    return _clamped(e, b.add(scaled, columns["zero_point"]), columns)


def _fixed_saturating(e: Emitter, accumulators: Value, columns: Columns) -> Value:
    """The scaled value wraps to 32 bits, its sum with the zero point saturates."""
    scaled = e.builder.trunc(rescaled(e, accumulators, columns), vector(I32, accumulators.type.count))
    return _clamped(e, e.elementwise("sadd.sat", scaled, columns["zero_point"]), columns)


def _double_rounded(e: Emitter, accumulators: Value, columns: Columns) -> Value:
    """gemmlowp's two roundings one after the other, for right shifts of 1 or more: cheaper than one formula in 64 bits.

    high = (acc * multiplier + 2^30) >> 31, which is never -2^31; then a shift that rounds half away from zero: with
    1 taken from negative numbers, half up. Dividing by two last keeps the sum with a half inside 32 bits.
    """
    b, narrow_kind = e.builder, accumulators.type
    high = _doubled_high_product(e, accumulators, columns["multiplier"])
    below = b.add(high, b.ashr(high, e.constant(narrow_kind, 31)))
    halves = b.add(b.ashr(below, columns["right_but_one"]), e.constant(narrow_kind, 1))
    scaled = b.ashr(halves, e.constant(narrow_kind, 1))
    return _clamped(e, b.add(scaled, columns["zero_point"]), columns)


def _doubled_high_product(e: Emitter, a: Value, m: Value) -> Value:
    """int32 (a * m + 2^30) >> 31: products of the even elements, and of the odd ones, in 64-bit lanes."""
    b, lanes = e.builder, a.type.count
    wide = vector(I64, lanes // 2)
    half, word = e.constant(wide, 1 << 30), e.constant(wide, 32)
    a_pairs, m_pairs = b.bitcast(a, wide), b.bitcast(m, wide)
    even = b.mul(b.ashr(b.shl(a_pairs, word), word), b.ashr(b.shl(m_pairs, word), word))
    odd = b.mul(b.ashr(a_pairs, word), b.ashr(m_pairs, word))
    low = b.bitcast(b.lshr(b.add(even, half), e.constant(wide, 31)), a.type)
    high = b.bitcast(b.shl(b.add(odd, half), e.constant(wide, 1)), a.type)
    order = [lane + lanes * (lane % 2) for lane in range(lanes)]
    return b.shuffle_vector(low, high, ir.Constant(vector(I32, lanes), order))


def _shifted(e: Emitter, accumulators: Value, columns: Columns) -> Value:
    """(acc * multiplier + addend) >> right is exact, so it is limited before it is narrowed."""
    b, lanes = e.builder, accumulators.type.count
    wide = vector(I64, lanes)
    scaled = b.add(rescaled(e, accumulators, columns), b.sext(columns["zero_point"], wide))
    low, high = (b.sext(columns[name], wide) for name in ("low", "high"))
    return b.trunc(e.elementwise("smin", e.elementwise("smax", scaled, low), high), vector(I32, lanes))


_APPLY: Mapping[str, Callable[[Emitter, Value, Columns], Value]] = {
    "raw": _raw,
    "real": _real,
    "float32": _float32,
    "float64": _float64,
    "rational": _rational,
    "quotient": _rational,
    "double": _double_rounded,
    "fixed": _fixed,
    "fixed_saturating": _fixed_saturating,
    "shift": _shifted,
}
_ELEMENTS = {"i32": I32, "i64": I64, "f32": F32, "f64": F64}

EPILOGUES: Mapping[str, Epilogue] = {
    kind: Epilogue(tuple((name, _ELEMENTS[element]) for name, element in fields), _APPLY[kind])
    for kind, fields in EPILOGUE_FIELDS.items()
}


def narrow(e: Emitter, codes: Value, bits: int) -> Value:
    """Codes in the width that they are stored in."""
    return codes if bits == 32 else e.builder.trunc(codes, vector(ir.IntType(bits), codes.type.count))
