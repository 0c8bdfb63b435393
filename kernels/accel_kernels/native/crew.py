"""How threads come to share steps: one that leads, and helpers that take what it offers, if they come in time.

    lead(jobs, boxes, parts)        job 0 of `parts`; the others are offered to helpers, and withdrawn at the end
    serve(box, stays)               take offers, for ever

A job is JOB int64: the address of the interpreter and its arguments. Each helper has a `Box`, to which the thread that
leads copies a job. It looks for offers for some tenth of a millisecond after each job, and then sleeps. None of this
needs Python's lock: to wake a helper that waits for it takes as long as a quarter of a small network.

Where all processors are busy, the system wakes a helper on the one of the thread that asks for it, and takes
milliseconds to notice that they would rather be apart. So `serve` returns instead of taking such an offer, unless it is
called again with `stays`: its caller moves the thread, if it can.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from accel_kernels._types import Int64
from accel_kernels.native.atomic import pause, put, seen, swap
from accel_kernels.native.emit import I32, I64, Emitter, Value, intrinsic
from accel_kernels.native.memory import load_int64, store_int64
from accel_kernels.native.tables import ASLEEP, JOB, RESTING, TAKEN, WRITTEN, Box

_SPINS = 2000


def _emit_call(e: Emitter, arguments: Sequence[Value]) -> None:
    numbers = [e.load(e.add(arguments[0], 8 * i), I64) for i in range(JOB)]
    kind = ir.FunctionType(ir.VoidType(), [I64] * (JOB - 1))
    e.builder.call(e.builder.inttoptr(numbers[0], kind.as_pointer()), numbers[1:])


def _file(name: str) -> Any:
    def emit(e: Emitter, arguments: Sequence[Value]) -> None:
        room = e.room(8)
        e.store(e.number(1), room)
        e.call(name, I64, [e.builder.trunc(arguments[0], I32), room, e.number(8)])

    return intrinsic(1, emit)


def _emit_processor(e: Emitter, arguments: Sequence[Value]) -> Value:
    if "linux" not in e.builder.module.triple:
        return e.number(-1)
    return e.builder.sext(e.call("sched_getcpu", I32, []), I64)


_call = intrinsic(1, _emit_call)
"""Do the job at an address."""
_sleep, _wake = _file("read"), _file("write")
"""Wait for eight bytes from a file; write them."""
_processor = intrinsic(0, _emit_processor)
"""The number of the processor that this thread runs on; -1 where nobody knows."""


def build(variant: str) -> Callable[..., None]:
    """One of the two functions."""
    return _lead if variant == "lead" else _serve


def _lead(jobs: Int64, boxes: Int64, parts: Int64) -> None:
    for i in range(1, parts):
        box, job = boxes + (i - 1) * Box.BYTES, jobs + i * 8 * JOB
        asleep = swap(box, ASLEEP, WRITTEN)
        if asleep or swap(box, RESTING, WRITTEN):
            store_int64(box + Box.PROCESSOR, _processor())
            for j in range(JOB):
                store_int64(box + Box.JOB + 8 * j, load_int64(job + 8 * j))
            put(box, jobs)
            if asleep:
                _wake(load_int64(box + Box.WAKING))
    _call(jobs)
    for i in range(1, parts):
        swap(boxes + (i - 1) * Box.BYTES, jobs, RESTING)


def _serve(box: Int64, stays: Int64) -> None:
    spins = 0
    while True:
        offer = seen(box)
        if offer > TAKEN:
            if not stays and load_int64(box + Box.PROCESSOR) == _processor():
                return
            if swap(box, offer, TAKEN):
                _call(box + Box.JOB)
                put(box, RESTING)
                spins, stays = 0, 0
        elif spins < _SPINS:
            spins += 1
            pause()
        elif offer == ASLEEP or swap(box, RESTING, ASLEEP):  # a signal may end its sleep
            _sleep(load_int64(box + Box.SLEEPING))
            spins = 0
