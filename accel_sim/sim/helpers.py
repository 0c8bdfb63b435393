"""Threads that help another one with its work, if they come in time."""

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from queue import SimpleQueue

Work = Callable[[], None]


class Offer:
    """Work that a helper may take, once.

    Attributes:
        processor: on which the thread that offers it runs.
    """

    def __init__(self, work: Work) -> None:
        self._work, self.processor = [work], _processor()

    def take(self) -> Work | None:
        """The work; None where it was taken before."""
        try:
            return self._work.pop()
        except IndexError:
            return None


class Helpers:
    """Some threads that wait for offers.

    Whoever offers work takes it back when it has become useless: so it costs little to ask for help, and nothing where
    the system has no time for helpers.

    Args:
        count: of the threads.
    """

    def __init__(self, count: int) -> None:
        self._offers: SimpleQueue[Offer] = SimpleQueue()
        for _ in range(count):
            threading.Thread(target=self._serve, name="accel_sim", daemon=True).start()

    def offer(self, work: Work) -> Offer:
        """Work, which raises nothing, for whichever helper comes first."""
        offer = Offer(work)
        self._offers.put(offer)
        return offer

    def _serve(self) -> None:
        while True:
            offer = self._offers.get()
            work = offer.take()
            if work is not None:
                leave(offer.processor)
                work()
            del work  # and what it holds


@cache
def _processor_function() -> Callable[[], int] | None:
    """The C library's `sched_getcpu`, called without giving up the interpreter lock."""
    return ctypes.PyDLL(None).sched_getcpu if sys.platform == "linux" else None


def _processor() -> int:
    """The number of the processor that this thread runs on; -1 where nobody knows."""
    function = _processor_function()
    return -1 if function is None else function()


def leave(processor: int) -> None:
    """Move this thread to another processor if it runs on this one.

    Where all processors are busy, the system wakes a thread on the one that asks for it, and takes milliseconds to
    notice that they would rather be apart.
    """
    if sys.platform != "linux" or _processor() != processor:
        return
    with suppress(OSError):  # where that is not allowed, it stays
        allowed = os.sched_getaffinity(0)
        if len(allowed) > 1:
            os.sched_setaffinity(0, allowed - {processor})
            os.sched_setaffinity(0, allowed)


@cache
def helpers(count: int) -> Helpers:
    """As many threads, started once."""
    return Helpers(count)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=helpers.cache_clear)  # threads stay with the parent
