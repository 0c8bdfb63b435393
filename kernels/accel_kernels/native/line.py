"""From accumulators to codes of 8 bits on AVX-512 by one multiply-add, two vectors at once.

The preparer proves for each column (`accel_sim.sim.native.line`) that its recipe is

    code = saturated low 16 bits of fma(x, scale, offset)          x: the float32 whose bits are the accumulator's

Its biases bring accumulators among the bits of the integers near 1.5 * 2^23, and `offset` the results, whose lowest
bits are then codes, zero point included, and whose upper halves are all the same. A pack limits both halves of each
result to a code; a permutation of bytes takes those of the lower ones. A vector is a multiply-add, half a pack and
half a permutation. Processors that permute no bytes across a register join two packs first.

Where it is proven for accumulators from 0 on alone ("bent"), those below 0, whose bits are less than `start`, are moved
by `shift`, and the result by `step`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llvmlite import ir

from accel_kernels.native.emit import F32, I1, I8, I16, I32, Emitter, Value, vector
from accel_kernels.native.tables import PACKED_COLUMNS, PACKED_FIELDS
from accel_kernels.native.tier import permutes_bytes

_LANES = PACKED_COLUMNS
_BYTES = 4 * _LANES
_PAIR = 2 * _LANES
"""Codes of two vectors."""
_ROWS = 4
"""Rows that are finished together where accumulators are read from memory."""


class LineEnding:
    """As `endings.Ending`.

    Args:
        kind: "line_u8", "line_s8", or the same with "bent".
        vectors: of columns in each row.
    """

    def __init__(self, kind: str, vectors: int) -> None:
        self._form, codes = kind.split("_")
        self._signed, self._vectors = codes == "s8", vectors

    def load(self, e: Emitter, table: Value, stride: Value, first: Value) -> list[dict[str, Any]]:
        """Parameters of each vector of columns, as `PACKED_FIELDS` names them; the first has the order, too."""
        found: list[dict[str, Any]] = [{} for _ in range(self._vectors)]
        for index, (name, element) in enumerate(PACKED_FIELDS[self._form], 1):
            row = e.add(table, e.multiply(stride, index))
            if name == "order":
                found[0][name] = e.load(row, vector(I8, _BYTES), 4)
                continue
            for j, columns in enumerate(found):
                place = e.add(row, e.multiply(e.add(first, j * _LANES), 4))
                columns[name] = e.load(place, vector(F32 if element == "f32" else I32, _LANES), 4)
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
        """Some rows at once, and what is left row by row."""
        between, kind = row_bytes or _BYTES * self._vectors, vector(I32, _LANES)

        def some(row: Value, count: int) -> list[Value]:
            place = e.add(held, e.multiply(row, between))
            offsets = [between * i + _BYTES * j for i in range(count) for j in range(self._vectors)]
            sums = [e.load(e.add(place, offset), kind, _BYTES) for offset in offsets]
            self.finish_sums(e, sums, parameters, e.add(out, e.multiply(out_bytes, row)), out_bytes, valid)
            return []

        together = e.builder.sdiv(rows, e.number(_ROWS))
        done = e.multiply(together, _ROWS)
        e.loop(together, [], lambda i, _: some(e.multiply(i, _ROWS), _ROWS), perhaps_empty=True)
        e.loop(e.builder.sub(rows, done), [], lambda i, _: some(e.add(done, i), 1), perhaps_empty=True)

    def finish_sums(
        self, e: Emitter, sums: Sequence[Value], parameters: Any, out: Value, out_bytes: Value, valid: Value
    ) -> None:
        """The same for accumulators in registers, row after row."""
        columns = self._vectors * _LANES
        mask = _first(e, valid, columns)
        results = [self._result(e, value, parameters[i % self._vectors]) for i, value in enumerate(sums)]
        lines = self._lines(e, results, parameters[0]["order"])
        for row, line in zip(range(len(sums) // self._vectors), lines, strict=False):
            target = e.builder.inttoptr(e.add(out, e.multiply(out_bytes, row)), line.type.as_pointer())
            e.call(f"llvm.masked.store.v{columns}i8.p0", ir.VoidType(), [line, target, ir.Constant(I32, 1), mask])

    def _result(self, e: Emitter, sums: Value, columns: Mapping[str, Value]) -> Value:
        b = e.builder
        below = b.icmp_signed("<", sums, columns["start"]) if self._form == "bent" else None
        if below is not None:
            sums = b.select(below, b.add(sums, columns["shift"]), sums)
        x = b.bitcast(sums, vector(F32, _LANES))
        result = b.bitcast(e.elementwise("fma", x, columns["scale"], columns["offset"]), sums.type)
        if below is not None:
            result = b.select(below, b.sub(result, columns["step"]), result)
        return b.bitcast(result, vector(I16, 2 * _LANES))

    def _lines(self, e: Emitter, results: list[Value], order: Value) -> Iterator[Value]:
        """Codes of each row; at the end perhaps some of no row."""
        for pair in self._pairs(e, results, order):
            for i in range(0, _PAIR, _LANES * self._vectors):
                yield pair if self._vectors == 2 else _part(e, pair, i, _LANES)

    def _pairs(self, e: Emitter, results: list[Value], order: Value) -> Iterator[Value]:
        """<32 x i8> of each two vectors."""
        b, name = e.builder, f"llvm.x86.avx512.pack{'s' if self._signed else 'u'}swb.512"
        results = [*results, *results[-1:]] if len(results) % 2 else results
        packs = [e.call(name, vector(I8, _BYTES), results[i : i + 2]) for i in range(0, len(results), 2)]
        if permutes_bytes():
            for pack in packs:
                codes = e.call("llvm.x86.avx512.permvar.qi.512", pack.type, [pack, order])
                yield _part(e, codes, 0, _PAIR)
            return
        for first, second in zip(packs[::2], [*packs[1::2], packs[-1]], strict=False):
            words = vector(I16, 2 * _LANES)
            low, high = b.bitcast(first, words), b.bitcast(second, words)
            joined = b.or_(b.and_(low, e.constant(words, 255)), b.shl(high, e.constant(words, 8)))
            yield from _separated(e, joined, order)


def _separated(e: Emitter, joined: Value, order: Value) -> Iterator[Value]:
    """The codes of the lower bytes, and those of the upper ones.

    In each quarter of the register they go into words of four codes; then `order` moves those across it.
    """
    b, kind = e.builder, vector(I32, _LANES)
    codes = b.bitcast(joined, vector(I8, _BYTES))
    near = [16 * quarter + 2 * (i % 8) + i // 8 for quarter in range(4) for i in range(16)]
    undefined = ir.Constant(codes.type, ir.Undefined)
    words = b.bitcast(b.shuffle_vector(codes, undefined, ir.Constant(vector(I32, _BYTES), near)), kind)
    moved = e.call("llvm.x86.avx512.permvar.si.512", kind, [words, b.bitcast(order, kind)])
    for half in (0, _PAIR):
        yield _part(e, b.bitcast(moved, codes.type), half, _PAIR)


def _part(e: Emitter, codes: Value, first: int, count: int) -> Value:
    undefined = ir.Constant(codes.type, ir.Undefined)
    order = ir.Constant(vector(I32, count), list(range(first, first + count)))
    return e.builder.shuffle_vector(codes, undefined, order)


def _first(e: Emitter, count: Value, lanes: int) -> Value:
    """A mask of the first `count` of up to 32 lanes."""
    b, most = e.builder, e.number(lanes)
    wanted = b.select(b.icmp_signed("<", count, most), count, most)
    bits = b.sub(b.shl(e.number(1), wanted), e.number(1))
    return b.bitcast(b.trunc(bits, ir.IntType(lanes)), vector(I1, lanes))
