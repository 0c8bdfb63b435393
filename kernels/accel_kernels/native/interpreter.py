"""The interpreter: runs a list of steps, alone or as one of several threads that share the work of each step.

    run(addresses, rows, row_bytes, first, last, arena, constants, scratch, part, parts, counter)

Step i is the code at addresses[i], called with its row of arguments. With several parts, all threads meet after each
step: each adds one to `counter` (int64 in memory, 0 at the beginning) and waits until everyone has. Waiting spins for
a while, which is what a few microseconds between equal shares need, and then yields the processor, so that threads
that have to share a core do not hold each other up for longer than the system's own scheduling does.
"""

from collections.abc import Callable, Sequence

from llvmlite import ir

from accel_kernels._types import Int64
from accel_kernels.native.emit import I32, I64, Emitter, Value, intrinsic
from accel_kernels.native.fields import inline
from accel_kernels.native.memory import load_int64

_SPINS = 4000
_STEP_ARGUMENTS = 6


def _emit_call(e: Emitter, arguments: Sequence[Value]) -> None:
    kind = ir.FunctionType(ir.VoidType(), [I64] * _STEP_ARGUMENTS)
    e.builder.call(e.builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])


def _emit_arrive(e: Emitter, arguments: Sequence[Value]) -> None:
    e.builder.atomic_rmw("add", _pointer(e, arguments[0]), e.number(1), "acq_rel")


def _emit_seen(e: Emitter, arguments: Sequence[Value]) -> Value:
    return e.builder.atomic_rmw("add", _pointer(e, arguments[0]), e.number(0), "acq_rel")


def _pointer(e: Emitter, address: Value) -> Value:
    return e.builder.inttoptr(address, I64.as_pointer())


def _emit_pause(e: Emitter, arguments: Sequence[Value]) -> None:
    if e.builder.module.triple.startswith(("x86_64", "i686")):
        e.call("llvm.x86.sse2.pause", ir.VoidType(), [])


def _emit_yield(e: Emitter, arguments: Sequence[Value]) -> None:
    e.call("sched_yield", I32, [])  # of the C library


_call = intrinsic(1 + _STEP_ARGUMENTS, _emit_call)
"""Call the step at an address."""
_arrive = intrinsic(1, _emit_arrive)
"""Add one to the counter at an address, after everything written before."""
_seen = intrinsic(1, _emit_seen)
"""The counter at an address, before everything read after."""
_pause, _yield = intrinsic(0, _emit_pause), intrinsic(0, _emit_yield)


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
