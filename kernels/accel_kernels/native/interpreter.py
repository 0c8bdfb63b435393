"""The interpreter: runs a list of steps, alone or as one of several threads that share the work of each step.

    run(addresses, rows, row_bytes, first, last, arena, constants, scratch, part, parts, counter)

Step i is the code at addresses[i], called with its row of arguments. With several parts, all threads meet after each
step: each adds one to `counter` (int64 in memory, 0 at the beginning) and waits until everyone has. Waiting spins for
a while, which is what a few microseconds between equal shares need, and then yields the processor, so that threads
that have to share a core do not hold each other up for longer than the system's own scheduling does.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types

from accel_kernels._types import Int64
from accel_kernels.native.emit import I32, I64, Emitter, instruction
from accel_kernels.native.fields import inline
from accel_kernels.native.memory import load_int64

_SPINS = 4000
_STEP_ARGUMENTS = 6


@instruction
def _call(typingctx: Any, address: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> Any:
    """Call a step: numba's convention puts a place for the result and one for errors before the arguments."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(I32, [pointer, pointer, *[I64] * _STEP_ARGUMENTS])
        entry = builder.inttoptr(arguments[0], kind.as_pointer())
        place = builder.alloca(I64, size=4)
        unused = builder.bitcast(place, pointer)
        builder.call(entry, [unused, unused, *arguments[1:]])
        return context.get_dummy_value()

    return types.void(*[types.int64] * (1 + _STEP_ARGUMENTS)), codegen


@instruction
def _arrive(typingctx: Any, counter: Any) -> Any:
    """Add one to the counter, after everything written before."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], I64.as_pointer())
        return builder.atomic_rmw("add", pointer, ir.Constant(I64, 1), "acq_rel")

    return types.int64(types.int64), codegen


@instruction
def _seen(typingctx: Any, counter: Any) -> Any:
    """The counter, before everything read after."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], I64.as_pointer())
        return builder.atomic_rmw("add", pointer, ir.Constant(I64, 0), "acq_rel")

    return types.int64(types.int64), codegen


@instruction
def _pause(typingctx: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if builder.module.triple.startswith(("x86_64", "i686")):
            Emitter(builder).call("llvm.x86.sse2.pause", ir.VoidType(), [])
        return context.get_dummy_value()

    return types.void(), codegen


@instruction
def _yield(typingctx: Any) -> Any:
    """The C library's sched_yield."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        Emitter(builder).call("sched_yield", I32, [])
        return context.get_dummy_value()

    return types.void(), codegen


@inline
def _meet(counter: Int64, arrivals: Int64) -> None:
    _arrive(counter)
    spins = 0
    while _seen(counter) < arrivals:
        spins += 1
        if spins < _SPINS:
            _pause()
        else:
            _yield()


def build(variant: str) -> Callable[..., None]:
    """The interpreter; it has no variants."""

    def run(
        addresses: Int64,
        rows: Int64,
        row_bytes: Int64,
        first: Int64,
        last: Int64,
        arena: Int64,
        constants: Int64,
        scratch: Int64,
        part: Int64,
        parts: Int64,
        counter: Int64,
    ) -> None:
        for index in range(first, last):
            _call(load_int64(addresses + 8 * index), rows + index * row_bytes, arena, constants, scratch, part, parts)
            if parts > 1:
                _meet(counter, (index - first + 1) * parts)

    return run
