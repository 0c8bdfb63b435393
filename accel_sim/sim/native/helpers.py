"""Threads that help another one with its work, if they come in time."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from queue import SimpleQueue

Work = Callable[[], None]


class Helpers:
    """Some threads that wait for work.

    Nobody waits for them: work that is handed out is useless, and does nothing, once others have done it. So it costs
    a thread little to ask for help, and nothing where the system has no time for helpers.

    Args:
        count: of the threads.
    """

    def __init__(self, count: int) -> None:
        self._offers: SimpleQueue[list[Work]] = SimpleQueue()
        for _ in range(count):
            threading.Thread(target=self._serve, name="accel_sim", daemon=True).start()

    def offer(self, work: Work) -> list[Work]:
        """Work for whichever helper comes first; emptying the list withdraws the offer."""
        offer = [work]
        self._offers.put(offer)
        return offer

    def _serve(self) -> None:
        while True:
            offer = self._offers.get()
            with suppress(IndexError):  # withdrawn
                offer.pop()()


@cache
def helpers(count: int) -> Helpers:
    """As many threads, started once."""
    return Helpers(count)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=helpers.cache_clear)  # threads stay with the parent
