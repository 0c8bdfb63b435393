"""The interpreter: runs a list of steps, alone or as one of several threads that share the work of each step.

    run(addresses, rows, row_bytes, first, last, arena, constants, scratch, part, parts, states)

Step i is the code at addresses[i], called with its row of arguments. With several parts, a step has a share for each,
or some shares for each where SHARES says that there is enough work. Each thread does its own shares, which its caches
know best, unless another one has claimed them, and then what nobody has claimed, the last ones first: a thread that the
system has not let run yet, or not lately, is not waited for. The next step begins when all shares are finished.

`states` is the address of int64[parts, last - first, MOST_SHARES], all 0 at the beginning: of each share of each
thread, whether it is claimed (1) or finished (2). A thread's own lie together, so that others' claims do not take them
from its caches. Waiting spins for a while, which is what a few microseconds between equal shares need, and then yields
the processor, so that threads that have to share a core do not hold each other up for longer than the system's own
scheduling does.
"""

from collections.abc import Callable, Sequence

from llvmlite import ir

from accel_kernels._types import Int64
from accel_kernels.native.atomic import give_way, pause, put, seen, swap
from accel_kernels.native.emit import I64, Emitter, Value, intrinsic
from accel_kernels.native.fields import field, inline
from accel_kernels.native.memory import load_int64
from accel_kernels.native.tables import MOST_SHARES, Field

_SPINS = 2000
_STEP_ARGUMENTS = 6
_CLAIMED, _FINISHED = 1, 2


def _emit_call(e: Emitter, arguments: Sequence[Value]) -> None:
    kind = ir.FunctionType(ir.VoidType(), [I64] * _STEP_ARGUMENTS)
    e.builder.call(e.builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])


_call = intrinsic(1 + _STEP_ARGUMENTS, _emit_call)
"""Call the step at an address."""


@inline
def _wait(states: Int64, shares: Int64) -> None:
    """For all shares of one thread."""
    spins, share = 0, 0
    while share < shares:
        if seen(states + 8 * share) == _FINISHED:
            share += 1
        elif spins < _SPINS:
            spins += 1
            pause()
        else:
            give_way()


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
        states: Int64,
    ) -> None:
        owner_bytes = 8 * MOST_SHARES * (last - first)
        for index in range(first, last):
            entry, row = load_int64(addresses + 8 * index), rows + index * row_bytes
            if parts == 1:
                _call(entry, row, arena, constants, scratch, 0, 1)
            else:
                each = max(min(field(row, Field.SHARES) // parts, MOST_SHARES), 1)
                place = states + 8 * MOST_SHARES * (index - first)
                for i in range(parts):
                    owner = (part + i) % parts
                    own = place + owner * owner_bytes
                    for j in range(each):
                        share = j if i == 0 else each - 1 - j
                        state = own + 8 * share
                        if seen(state) == 0 and swap(state, 0, _CLAIMED):
                            _call(entry, row, arena, constants, scratch, owner * each + share, parts * each)
                            put(state, _FINISHED)
                for i in range(1, parts + 1):  # its own, too, which another thread may have claimed
                    _wait(place + (part + i) % parts * owner_bytes, each)

    return run
