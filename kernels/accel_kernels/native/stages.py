"""Accumulators of any stages in vector lanes, addition by addition, with overflow counted.

A form has a letter for each level, first to last: "t" sums its terms exactly (an adder tree), "w" wraps and "s"
saturates at up to 30 bits, which are told at run time, "W" and "S" at 32. The last level starts with the bias. A level
that has taken its terms, or has no more, adds what it holds to the next one (`accel_sim.numerics.accumulators`).

A table says the rest: int64 `Place`s, then for each level how many bits less than 32 it has and of how many products
one of the next level's terms is made. The caller proves that products and trees are below 2^30 in magnitude, and that
32 bits hold starts and exact sums.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum, auto
from typing import Any

from llvmlite import ir

from accel_kernels.native.emit import I32, I64, Emitter, Value, vector
from accel_kernels.native.epilogues import EPILOGUES, load_columns, narrow
from accel_kernels.native.rows import store_columns
from accel_kernels.native.tier import tier

LANES = tier().lanes
_KIND = vector(I32, LANES)
_LEVEL_ENTRIES = 2


class Place(IntEnum):
    """Entries of the table, before those of the levels."""

    ORDER = 0
    """The address of int64 [products]: where their operands lie."""
    PRODUCTS = auto()
    STARTS = auto()
    """The address of int32 [columns]: what the last level starts with."""
    RECORD_BYTES = auto()
    """Between rows of counts, int32 [3, columns]: events, outputs with events, outputs whose exact sum does not fit."""


def first_entry(level: int) -> int:
    """The first entry of a level."""
    return len(Place) + _LEVEL_ENTRIES * level


@dataclass(frozen=True)
class _Level:
    policy: str
    rest: Value
    period: Value


@dataclass(frozen=True)
class Sums:
    """Vectors of int32: what the last level holds, events so far, exact sums."""

    held: list[Value]
    events: list[Value]
    exact: list[Value]


class Stages:
    """The levels of a form, loaded from a table."""

    def __init__(self, e: Emitter, form: str, table: Value) -> None:
        self._e, self._table = e, table
        self._levels = [self._level(policy, first_entry(i)) for i, policy in enumerate(form)]

    def entry(self, place: int) -> Value:
        """An entry of the table."""
        return self._e.load(self._e.add(self._table, 8 * place), I64, 8)

    def _level(self, policy: str, entry: int) -> _Level:
        rest = self._e.splat(self._e.builder.trunc(self.entry(entry), I32), LANES)
        return _Level(policy, rest, self.entry(entry + 1))

    def accumulate(self, product: Callable[[Value], list[Value]], starts: list[Value]) -> Sums:
        """All products, in their order; `product` gives those at an entry of it."""
        order, zero = self.entry(Place.ORDER), self._e.constant(_KIND, 0)
        zeros = [zero] * len(starts)
        end, last = self.entry(Place.PRODUCTS), len(self._levels) - 1

        def at(index: Value) -> list[Value]:
            return product(self._e.load(self._e.add(order, self._e.multiply(index, 8)), I64, 8))

        held, events = self._add(last, zeros, starts, zeros)
        return self._run(last, at, (self._e.number(0), end), Sums(held, events, list(starts)))

    def persistent(self, exact: Value) -> Value:
        """A mask of exact sums that the last level does not hold."""
        level = self._levels[-1]
        if level.policy.isupper():
            return self._e.constant(vector(ir.IntType(1), LANES), 0)
        return self._e.builder.icmp_signed("!=", _wrapped(self._e, exact, level.rest), exact)

    def _run(self, level: int, at: Callable[[Value], list[Value]], span: tuple[Value, Value], before: Sums) -> Sums:
        """What a level makes of the products of a span."""
        e, (first, end), count = self._e, span, len(before.held)
        each = self._levels[level - 1].period if level else e.number(1)
        terms = e.builder.sdiv(e.builder.sub(e.add(end, e.builder.sub(each, e.number(1))), first), each)

        def term(index: Value, carried: list[Value]) -> list[Value]:
            held, events, exact = carried[:count], carried[count : 2 * count], carried[2 * count :]
            start = e.add(first, e.multiply(index, each))
            if level:
                stop = e.add(start, each)
                stop = e.builder.select(e.builder.icmp_signed("<", stop, end), stop, end)
                zeros = [e.constant(_KIND, 0)] * count
                inner = self._run(level - 1, at, (start, stop), Sums(zeros, events, exact))
                values, events, exact = inner.held, inner.events, inner.exact
            else:
                values = at(start)
                exact = [e.builder.add(*pair) for pair in zip(exact, values, strict=True)]
            held, events = self._add(level, held, values, events)
            return [*held, *events, *exact]

        found = e.loop(terms, [*before.held, *before.events, *before.exact], term)
        return Sums(found[:count], found[count : 2 * count], found[2 * count :])

    def _add(
        self, level: int, held: list[Value], values: list[Value], events: list[Value]
    ) -> tuple[list[Value], list[Value]]:
        """What a level holds after it has taken terms, and the events."""
        made = [self._added(self._levels[level], *pair) for pair in zip(held, values, strict=True)]
        if self._levels[level].policy == "t":
            return [kept for kept, _ in made], events
        counted = [
            self._e.builder.sub(count, self._e.builder.sext(event, _KIND))
            for count, (_, event) in zip(events, made, strict=True)
        ]
        return [kept for kept, _ in made], counted

    def _added(self, level: _Level, held: Value, value: Value) -> tuple[Value, Value]:
        """(kept, whether the exact sum did not fit)."""
        b = self._e.builder
        total = b.add(held, value)
        if level.policy in "tW":
            left = b.and_(b.xor(held, total), b.xor(value, total))
            return total, b.icmp_signed("<", left, self._e.constant(_KIND, 0))
        if level.policy == "S":
            kept = self._e.elementwise("sadd.sat", held, value)
        elif level.policy == "s":
            high = b.lshr(self._e.constant(_KIND, 0x7FFFFFFF), level.rest)
            kept = self._e.elementwise("smin", self._e.elementwise("smax", total, b.not_(high)), high)
        else:
            kept = _wrapped(self._e, total, level.rest)
        return kept, b.icmp_signed("!=", kept, total)


def _wrapped(e: Emitter, value: Value, rest: Value) -> Value:
    return e.builder.ashr(e.builder.shl(value, rest), rest)


@dataclass(frozen=True)
class Finish:
    """Sums of some vectors of columns become codes, and counts are added to a record.

    Attributes:
        kind: of epilogue. bits: of codes.
    """

    kind: str
    bits: int

    def starts(self, e: Emitter, address: Value, valid: Value, vectors: int) -> list[Value]:
        """What the columns from an address on start with; 0 for those that do not exist."""
        lanes = ir.Constant(_KIND, list(range(LANES)))
        found = []
        for j in range(vectors):
            left = e.splat(e.builder.trunc(e.add(valid, -j * LANES), I32), LANES)
            start = e.load(e.add(address, 4 * j * LANES), _KIND)
            found.append(e.builder.select(e.builder.icmp_signed("<", lanes, left), start, e.constant(_KIND, 0)))
        return found

    def emit(
        self,
        e: Emitter,
        stages: Stages,
        sums: Sums,
        vectors: int,
        table: tuple[Value, Value, Value],
        out: tuple[Value, Value, Value],
        record: Value,
    ) -> None:
        """Rows of `vectors` vectors each.

        Args:
            e: where.
            stages: what made the sums.
            sums: row after row.
            vectors: of a row.
            table: of the epilogue, bytes between its rows, first column.
            out: of the first row, bytes between rows, columns that exist.
            record: of the first column.
        """
        address, stride, first = table
        target, out_bytes, valid = out
        columns = [
            load_columns(e, EPILOGUES[self.kind], address, stride, e.add(first, j * LANES), LANES)
            for j in range(vectors)
        ]
        record_bytes, zero = stages.entry(Place.RECORD_BYTES), e.constant(_KIND, 0)
        for j in range(vectors):
            rows = range(j, len(sums.held), vectors)
            tallies = [zero] * 3
            for row, i in enumerate(rows):
                codes = narrow(e, EPILOGUES[self.kind].apply(e, sums.held[i], columns[j]), self.bits)
                place = e.add(e.add(target, e.multiply(out_bytes, row)), j * LANES * self.bits // 8)
                store_columns(e, codes, place, e.add(valid, -j * LANES))
                masks = e.builder.icmp_signed("!=", sums.events[i], zero), stages.persistent(sums.exact[i])
                new = sums.events[i], *(e.builder.zext(mask, _KIND) for mask in masks)
                tallies = [e.builder.add(*pair) for pair in zip(tallies, new, strict=True)]
            for k, tally in enumerate(tallies):
                place = e.add(e.add(record, e.multiply(record_bytes, k)), 4 * j * LANES)
                e.store(e.builder.add(e.load(place, _KIND), tally), place)


def codes_of(e: Emitter, address: Value) -> Value:
    """int32 of a vector of int16."""
    return e.builder.sext(e.load(address, vector(ir.IntType(16), LANES)), _KIND)


def products(e: Emitter, codes: Sequence[Value], weights: Sequence[Value]) -> list[Any]:
    """All codes times all weights, row after row."""
    return [e.builder.mul(x, w) for x in codes for w in weights]
