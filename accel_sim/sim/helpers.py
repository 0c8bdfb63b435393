"""Threads that help another one with its work, if they come in time."""

import os
import threading
from collections.abc import Callable
from functools import cache
from queue import SimpleQueue

Work = Callable[[], None]


class Offer:
    """Work that a helper may take, once."""

    def __init__(self, work: Work) -> None:
        self._work = [work]

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
            work = self._offers.get().take()
            if work is not None:
                work()
            del work  # and what it holds


@cache
def helpers(purpose: str, count: int) -> Helpers:
    """As many threads, started once for a purpose: those who help with samples wait for those who help with steps."""
    return Helpers(count)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=helpers.cache_clear)  # threads stay with the parent
