"""What threads tell each other by numbers in memory: int64 at addresses that are multiples of 8."""

from collections.abc import Sequence

from llvmlite import ir

from accel_kernels.native.emit import I32, I64, Emitter, Value, intrinsic


def _pointer(e: Emitter, address: Value) -> Value:
    return e.builder.inttoptr(address, I64.as_pointer())


def _emit_put(e: Emitter, arguments: Sequence[Value]) -> None:
    e.builder.store_atomic(arguments[1], _pointer(e, arguments[0]), "release", 8)


def _emit_swap(e: Emitter, arguments: Sequence[Value]) -> Value:
    found = e.builder.cmpxchg(_pointer(e, arguments[0]), arguments[1], arguments[2], "acq_rel", "acquire")
    return e.builder.zext(e.builder.extract_value(found, 1), I64)


def _emit_seen(e: Emitter, arguments: Sequence[Value]) -> Value:
    return e.builder.load_atomic(_pointer(e, arguments[0]), "acquire", 8)


def _emit_pause(e: Emitter, arguments: Sequence[Value]) -> None:
    if e.builder.module.triple.startswith(("x86_64", "i686")):
        e.call("llvm.x86.sse2.pause", ir.VoidType(), [])


def _emit_give_way(e: Emitter, arguments: Sequence[Value]) -> None:
    e.call("sched_yield", I32, [])  # of the C library


put = intrinsic(2, _emit_put)
"""(address, number): store it, after everything written before."""
swap = intrinsic(3, _emit_swap)
"""(address, old, new): store the new number if the old one is there; 1 if it was."""
seen = intrinsic(1, _emit_seen)
"""(address): the number, before everything read after."""
pause, give_way = intrinsic(0, _emit_pause), intrinsic(0, _emit_give_way)
"""Let a little time pass; let another thread have the processor."""
