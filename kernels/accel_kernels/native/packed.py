"""From accumulators to codes of 8 bits on AVX-512, several vectors at once: packs narrow and limit in one instruction.

As `epilogues`, for recipes that a few instructions compute within bounds that the preparer proves
(`accel_sim.sim.native.packed`); zero point and limits are the same for all columns.

- "packed_float32": rint(f32(acc) * scale), in the processor's own conversion, which rounds half to even; products stay
  inside int32. A pack to 16 bits limits to [-32768, 32767], far outside of what the zero point brings back to a code,
  so limiting before the zero point is added changes no code.
- "packed_double": gemmlowp's two roundings of acc * m / 2^(31 + right). The first is x = floor(acc * m / 2^31 + 1/2).
  The second, (x + half) >> right with half = 2^(right - 1), takes halves away from zero where 1 is taken from a
  negative x first. Of a float64 between 2^52 and 2^53 the lower 32 bits are those of an integer; a multiply-add that
  rounds down gives 3 * 2^51 + 2c + 1 + floor(acc * m / 2^30), and with c = half + zero point * 2^right

      (2c + 1 + floor(acc * m / 2^30)) >> (right + 1) = (c + x) >> right,

  since floors nest. x is negative exactly where these bits are less than 2c; 2 is then taken from them.

Rectified layers, whose zero point is the lowest of all codes and which limit to no others, need neither that nor any
limit that packs do not impose already.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from llvmlite import ir

from accel_kernels.native.emit import F32, F64, I1, I8, I16, I32, Emitter, Value, vector
from accel_kernels.native.held import HeldEnding
from accel_kernels.native.tables import PACKED_COLUMNS, PACKED_FIELDS

LANES = PACKED_COLUMNS
_GROUP = 4
"""Vectors of int32 that become one of codes."""
_HALF = LANES // 2
_BYTES = 4 * LANES
_ROUND_DOWN, _ROUND_AS_SET = 9, 4
_ELEMENTS = {"i32": I32, "f32": F32}


class PackedEnding(HeldEnding):
    """As `endings.Ending`.

    Args:
        kind: "packed_float32_u8", and so on: the last part is the type of the codes.
        vectors: of columns in each row.
    """

    def __init__(self, kind: str, vectors: int) -> None:
        super().__init__(vectors)
        self._kind, codes = kind.rsplit("_", 1)
        self._signed = codes == "s8"
        self._limits = (-128, 127) if self._signed else (0, 255)
        self._rows = _GROUP // vectors

    def load(self, e: Emitter, table: Value, stride: Value, first: Value) -> list[dict[str, Any]]:
        """Parameters of each vector of columns, as `PACKED_FIELDS` names them; the first has those of all, too."""
        found: list[dict[str, Any]] = [{} for _ in range(self._vectors)]
        for index, (name, element) in enumerate(PACKED_FIELDS[self._kind], 1):
            row = e.add(table, e.multiply(stride, index))
            if name in ("zero_point", "low", "high"):
                found[0][name] = e.load(row, I32, 4)
            elif name == "order":
                found[0][name] = e.load(row, vector(I32, LANES), 4)
            else:
                for j, columns in enumerate(found):
                    columns[name] = _load(e, element, row, e.add(first, j * LANES))
        return found

    def finish(
        self,
        e: Emitter,
        held: Value,
        rows: Value,
        parameters: Any,
        out: Value,
        out_bytes: Value,
        valid: Value,
        row_bytes: int | None = None,
    ) -> None:
        """Group after group of rows; the last one begins where it ends with the last row, if there are enough."""
        b, between = e.builder, row_bytes or _BYTES * self._vectors
        several = b.icmp_signed(">=", rows, e.number(self._rows))
        last = b.select(several, e.add(rows, -self._rows), e.number(0))
        groups = b.sdiv(e.add(rows, self._rows - 1), e.number(self._rows))

        def group(index: Value, *, quick: bool) -> list[Value]:
            row = e.multiply(index, self._rows)
            row = b.select(b.icmp_signed("<", row, last), row, last)
            place = e.add(held, e.multiply(row, between))
            offsets = [i // self._vectors * between + i % self._vectors * _BYTES for i in range(_GROUP)]
            scaled = [
                self._scaled(e, e.add(place, offset), parameters[i % self._vectors], rectified=quick)
                for i, offset in enumerate(offsets)
            ]
            codes = self._codes(e, scaled, parameters[0], quick=quick)
            for i in range(self._rows):
                line = _part(e, codes, i * LANES * self._vectors, LANES * self._vectors)
                target = e.add(out, e.multiply(out_bytes, e.add(row, i)))
                if quick:
                    e.store(line, target)
                else:
                    exists = b.icmp_signed("<", e.add(row, i), rows)
                    _store_first(e, line, target, b.select(exists, valid, e.number(0)))
            return []

        whole = b.icmp_signed(">=", valid, e.number(self._vectors * LANES))
        with b.if_else(b.and_(b.and_(whole, several), self._rectified(e, parameters[0]))) as (then, otherwise):
            with then:
                e.loop(groups, [], lambda index, carried: group(index, quick=True))
            with otherwise:
                e.loop(groups, [], lambda index, carried: group(index, quick=False))

    def _rectified(self, e: Emitter, common: Mapping[str, Value]) -> Value:
        lowest, highest = (ir.Constant(I32, limit) for limit in self._limits)
        wanted = {"zero_point": lowest, "low": lowest, "high": highest}
        first, second, third = (e.builder.icmp_signed("==", common[name], limit) for name, limit in wanted.items())
        return e.builder.and_(e.builder.and_(first, second), third)

    def _scaled(self, e: Emitter, place: Value, columns: Mapping[str, Any], *, rectified: bool) -> Value:
        if self._kind == "packed_float32":
            return _rounded_product(e, place, columns)
        return _twice_rounded(e, place, columns, rectified=rectified)

    def _codes(self, e: Emitter, scaled: Sequence[Value], common: Mapping[str, Value], *, quick: bool) -> Value:
        """<64 x i8> of four vectors, one after the other."""
        b = e.builder
        words = [e.call("llvm.x86.avx512.packssdw.512", vector(I16, 2 * LANES), scaled[i : i + 2]) for i in (0, 2)]
        if self._kind == "packed_float32" and (self._signed or not quick):
            zero = e.splat(b.trunc(common["zero_point"], I16), 2 * LANES)
            words = [e.elementwise("sadd.sat", word, zero) for word in words]
        pack, sign = ("packsswb", "s") if self._signed else ("packuswb", "u")
        codes = e.call(f"llvm.x86.avx512.{pack}.512", vector(I8, _BYTES), words)
        if not quick:
            low, high = (e.splat(b.trunc(common[name], I8), _BYTES) for name in ("low", "high"))
            codes = e.elementwise(f"{sign}min", e.elementwise(f"{sign}max", codes, low), high)
        kind = vector(I32, LANES)
        moved = e.call("llvm.x86.avx512.permvar.si.512", kind, [b.bitcast(codes, kind), common["order"]])
        return b.bitcast(moved, codes.type)


def _load(e: Emitter, element: str, row: Value, first: Value) -> Value | list[Value]:
    """One vector of a row of the table; of float64, both halves."""
    if element == "f64":
        place = e.add(row, e.multiply(first, 8))
        return [e.load(e.add(place, 8 * half), vector(F64, _HALF), 8) for half in (0, _HALF)]
    return e.load(e.add(row, e.multiply(first, 4)), vector(_ELEMENTS[element], LANES), 4)


def _rounded_product(e: Emitter, place: Value, columns: Mapping[str, Value]) -> Value:
    kind = vector(I32, LANES)
    multiple = e.builder.fmul(e.builder.sitofp(e.load(place, kind, _BYTES), vector(F32, LANES)), columns["scale"])
    all_lanes, rounding = ir.Constant(I16, -1), ir.Constant(I32, _ROUND_AS_SET)
    return e.call("llvm.x86.avx512.mask.cvtps2dq.512", kind, [multiple, e.constant(kind, 0), all_lanes, rounding])


def _twice_rounded(e: Emitter, place: Value, columns: Mapping[str, Any], *, rectified: bool) -> Value:
    """The halves are read apart, since a conversion from memory needs no shuffle."""
    b, kind, reals = e.builder, vector(I32, LANES), vector(F64, _HALF)
    rounded = []
    for half, (scale, start) in enumerate(zip(columns["scale"], columns["start"], strict=True)):
        sums = b.sitofp(e.load(e.add(place, half * _BYTES // 2), vector(I32, _HALF), _BYTES // 2), reals)
        arguments = [sums, scale, start, ir.Constant(I32, _ROUND_DOWN)]
        rounded.append(b.bitcast(e.call("llvm.x86.avx512.vfmadd.pd.512", reals, arguments), kind))
    merged = b.shuffle_vector(*rounded, ir.Constant(kind, list(range(0, 2 * LANES, 2))))
    if not rectified:
        negative = b.icmp_signed("<", merged, columns["start_of_zero"])
        merged = b.select(negative, b.add(merged, e.constant(kind, -2)), merged)
    return b.ashr(merged, columns["right"])


def _part(e: Emitter, codes: Value, first: int, count: int) -> Value:
    undefined = ir.Constant(codes.type, ir.Undefined)
    order = ir.Constant(vector(I32, count), list(range(first, first + count)))
    return e.builder.shuffle_vector(codes, undefined, order)


def _store_first(e: Emitter, codes: Value, address: Value, count: Value) -> None:
    """The first `count` of up to 32 codes; none where it is not positive."""
    b, lanes = e.builder, codes.type.count
    zero, most = e.number(0), e.number(lanes)
    wanted = b.select(b.icmp_signed("<", count, most), count, most)
    wanted = b.select(b.icmp_signed(">", wanted, zero), wanted, zero)
    bits = b.trunc(b.sub(b.shl(e.number(1), wanted), e.number(1)), ir.IntType(lanes))
    pointer = b.inttoptr(address, codes.type.as_pointer())
    mask = b.bitcast(bits, vector(I1, lanes))
    e.call(f"llvm.masked.store.v{lanes}i8.p0", ir.VoidType(), [codes, pointer, ir.Constant(I32, 1), mask])
