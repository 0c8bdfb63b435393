"""The interpreter: runs a list of steps, alone or as one of several threads that share the work of each step.

    run(addresses, rows, row_bytes, first, last, arena, constants, scratch, part, parts, claims, finished)

Step i is the code at addresses[i], called with its row of arguments. With several parts, a step has as many shares.
Each thread does its own share, which its caches know best, unless another one has claimed it, and then what nobody has
claimed: a thread that the system has not let run yet, or not lately, is not waited for. The next step begins when all
shares are finished. `claims` is the address of int64[last - first, parts], `finished` of an int64, all 0 at the
beginning. Waiting spins for a while, which is what a few microseconds between equal shares need, and then yields the
processor, so that threads that have to share a core do not hold each other up for longer than the system's own
scheduling does.
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


def _emit_finish(e: Emitter, arguments: Sequence[Value]) -> None:
    e.builder.atomic_rmw("add", _pointer(e, arguments[0]), e.number(1), "acq_rel")


def _emit_take(e: Emitter, arguments: Sequence[Value]) -> Value:
    return e.builder.atomic_rmw("xchg", _pointer(e, arguments[0]), e.number(1), "acq_rel")


def _emit_seen(e: Emitter, arguments: Sequence[Value]) -> Value:
    return e.builder.load_atomic(_pointer(e, arguments[0]), "acquire", 8)


def _pointer(e: Emitter, address: Value) -> Value:
    return e.builder.inttoptr(address, I64.as_pointer())


def _emit_pause(e: Emitter, arguments: Sequence[Value]) -> None:
    if e.builder.module.triple.startswith(("x86_64", "i686")):
        e.call("llvm.x86.sse2.pause", ir.VoidType(), [])


def _emit_yield(e: Emitter, arguments: Sequence[Value]) -> None:
    e.call("sched_yield", I32, [])  # of the C library


_call = intrinsic(1 + _STEP_ARGUMENTS, _emit_call)
"""Call the step at an address."""
_finish = intrinsic(1, _emit_finish)
"""Add one to the counter at an address, after everything written before."""
_take = intrinsic(1, _emit_take)
"""Claim what an address stands for: 0 for the first thread that asks, 1 for all others."""
_seen = intrinsic(1, _emit_seen)
"""The counter at an address, before everything read after."""
_pause, _yield = intrinsic(0, _emit_pause), intrinsic(0, _emit_yield)


@inline
def _wait(counter: Int64, wanted: Int64) -> None:
    spins = 0
    while _seen(counter) < wanted:
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
        claims: Int64,
        finished: Int64,
    ) -> None:
        for index in range(first, last):
            entry, row = load_int64(addresses + 8 * index), rows + index * row_bytes
            if parts == 1:
                _call(entry, row, arena, constants, scratch, 0, 1)
            else:
                step = index - first
                for i in range(parts):
                    share = (part + i) % parts
                    claim = claims + 8 * (step * parts + share)
                    if _seen(claim) == 0 and _take(claim) == 0:
                        _call(entry, row, arena, constants, scratch, share, parts)
                        _finish(finished)
                _wait(finished, (step + 1) * parts)

    return run
