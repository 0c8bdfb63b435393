"""Vector instructions: a thin layer over llvmlite's builder, for intrinsics on addresses (int64)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
F32, F64 = ir.FloatType(), ir.DoubleType()
Value = Any
"""An LLVM value."""


def vector(element: Any, lanes: int) -> Any:
    """The type of a vector."""
    return ir.VectorType(element, lanes)


@dataclass(frozen=True, eq=False)
class Instruction:
    """Instructions in the place of a call.

    Attributes:
        count: of the arguments, all int64.
        emit: writes them; gives an int64 or nothing.
    """

    count: int
    emit: Callable[["Emitter", Sequence[Value]], Value | None]


def intrinsic(count: int, emit: Callable[["Emitter", Sequence[Value]], Value | None]) -> Any:
    """A function of `count` int64 that steps call, whose instructions `emit` writes."""
    return Instruction(count, emit)


class Emitter:
    """Writes instructions at a builder's place."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def number(self, value: int) -> Value:
        """An int64."""
        return ir.Constant(I64, value)

    def add(self, a: Value, b: Value | int) -> Value:
        """The sum of int64."""
        return self.builder.add(a, self.number(b) if isinstance(b, int) else b)

    def multiply(self, a: Value, b: Value | int) -> Value:
        """The product of int64."""
        return self.builder.mul(a, self.number(b) if isinstance(b, int) else b)

    def load(self, address: Value, kind: Any, align: int = 1) -> Value:
        """A value of any type from an address."""
        value = self.builder.load(self.builder.inttoptr(address, kind.as_pointer()))
        value.align = align
        return value

    def store(self, value: Value, address: Value, align: int = 1) -> None:
        """A value of any type to an address."""
        stored = self.builder.store(value, self.builder.inttoptr(address, value.type.as_pointer()))
        stored.align = align

    def prefetch(self, address: Value, locality: int = 3) -> None:
        """Bring a line into the first-level cache, with locality 2 into the second; the address need not be one."""
        pointer = self.builder.inttoptr(address, I8.as_pointer())
        self.call("llvm.prefetch.p0", ir.VoidType(), [pointer, *(ir.Constant(I32, n) for n in (0, locality, 1))])

    def splat(self, value: Value, lanes: int) -> Value:
        """A vector of equal elements."""
        kind = vector(value.type, lanes)
        undefined = ir.Constant(kind, ir.Undefined)
        single = self.builder.insert_element(undefined, value, ir.Constant(I32, 0))
        return self.builder.shuffle_vector(single, undefined, ir.Constant(vector(I32, lanes), [0] * lanes))

    def constant(self, kind: Any, value: float) -> Value:
        """A vector of equal constants, or a constant."""
        return ir.Constant(kind, [value] * kind.count) if isinstance(kind, ir.VectorType) else ir.Constant(kind, value)

    def call(self, name: str, result: Any, arguments: Sequence[Value]) -> Value:
        """An instruction of the processor, or a function, by its name in LLVM."""
        module = self.builder.module
        if name not in module.globals:
            ir.Function(module, ir.FunctionType(result, [argument.type for argument in arguments]), name)
        return self.builder.call(module.globals[name], list(arguments))

    def room(self, size: int) -> Value:
        """The address of `size` bytes that the function has to itself."""
        with self.builder.goto_entry_block():
            return self.builder.ptrtoint(self.builder.alloca(ir.ArrayType(I8, size)), I64)

    def elementwise(self, name: str, *arguments: Value) -> Value:
        """LLVM's `llvm.NAME` of vectors of one type."""
        kind = arguments[0].type
        element = {I8: "i8", I16: "i16", I32: "i32", I64: "i64", F32: "f32", F64: "f64"}[kind.element]
        return self.call(f"llvm.{name}.v{kind.count}{element}", kind, arguments)

    def loop(
        self,
        count: Value,
        carried: Sequence[Value],
        body: Callable[[Value, list[Value]], list[Value]],
        *,
        perhaps_empty: bool = False,
    ) -> list[Value]:
        """for i in range(count): carried = body(i, carried); what comes out. `count` is at least 1, or may be 0."""
        builder = self.builder
        before = builder.block
        head, done = builder.append_basic_block("loop"), builder.append_basic_block("loop.done")
        if perhaps_empty:
            builder.cbranch(builder.icmp_signed(">", count, self.number(0)), head, done)
        else:
            builder.branch(head)
        builder.position_at_end(head)
        index = builder.phi(I64)
        index.add_incoming(self.number(0), before)
        phis = [builder.phi(value.type) for value in carried]
        for phi, value in zip(phis, carried, strict=True):
            phi.add_incoming(value, before)
        results = body(index, list(phis))
        following = builder.add(index, self.number(1))
        index.add_incoming(following, builder.block)
        for phi, value in zip(phis, results, strict=True):
            phi.add_incoming(value, builder.block)
        last = builder.block
        builder.cbranch(builder.icmp_signed("<", following, count), head, done)
        builder.position_at_end(done)
        if not perhaps_empty:
            return results
        outcomes = [builder.phi(value.type) for value in carried]
        for outcome, value, result in zip(outcomes, carried, results, strict=True):
            outcome.add_incoming(value, before)
            outcome.add_incoming(result, last)
        return list(outcomes)

    def store_some(self, value: Value, address: Value, count: Value) -> None:
        """The first `count` elements of a vector."""
        kind = value.type
        lanes = ir.Constant(vector(I32, kind.count), list(range(kind.count)))
        wanted = self.splat(self.builder.trunc(count, I32), kind.count)
        mask = self.builder.icmp_signed("<", lanes, wanted)
        pointer = self.builder.inttoptr(address, kind.as_pointer())
        element = {I8: "i8", I16: "i16", I32: "i32"}[kind.element]
        name = f"llvm.masked.store.v{kind.count}{element}.p0"
        self.call(name, ir.VoidType(), [value, pointer, ir.Constant(I32, 1), mask])


_ALIGNMENT = 64


def held_bytes(e: Emitter, size: int) -> Value:
    """The address of memory on the stack, which begins where a vector register's does."""
    return e.builder.and_(e.add(e.room(size + _ALIGNMENT), _ALIGNMENT - 1), e.number(-_ALIGNMENT))
