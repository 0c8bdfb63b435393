"""Signals that end a command: they unwind the stack, so that unfinished output files are removed."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

_HAS_TIMERS = hasattr(signal, "setitimer")  # not on Windows
_AGAIN_SECONDS = 0.5  # longer than it takes to remove files


@contextlib.contextmanager
def unwinding() -> Iterator[None]:
    """In the block an interrupt raises KeyboardInterrupt, and SIGTERM SystemExit, until the block is left.

    A signal that comes while a library is imported may be lost: the library takes the exception for a failed attempt
    of its own and goes on. That is why it comes again.
    """
    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell's background jobs ignore it
        numbers.append(signal.SIGINT)
    before = {number: signal.signal(number, _unwind) for number in numbers}
    try:
        yield
    finally:
        if _HAS_TIMERS:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _unwind(number: int, _: FrameType | None) -> NoReturn:
    if _HAS_TIMERS:
        signal.signal(signal.SIGALRM, lambda *_: _unwind(number, None))
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)
    raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
