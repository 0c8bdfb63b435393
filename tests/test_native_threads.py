"""Several threads that share the work of each step: the same bytes, and no more threads than help."""

import ctypes
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from one_command import HARDWARE
from test_machine_run import images, small_network

from accel_kernels.native import objects
from accel_kernels.native.tables import FIELDS, INTERPRETER_ARGUMENTS, MOST_SHARES
from accel_sim.sim.helpers import Helpers, Offer
from accel_sim.sim.machine import Machine
from accel_sim.sim.native import runner
from accel_sim.sim.native.runner import Sharing
from accel_sim.sim.prepared import prepared
from accel_sim.sim.result import Level

_QUICK, _SLOW = 0.5, 2.0  # seconds that a shared run takes, where one thread takes one


@pytest.mark.parametrize("level", [Level.FUNCTIONAL, Level.CYCLE])
@pytest.mark.parametrize("threads", [2, 3, 7])
def test_a_sample_on_several_threads(threads: int, level: Level) -> None:
    program, machine, x = small_network(), Machine(HARDWARE), images(1)
    one = machine.run(program, {"in": x}, level, threads=1)
    for _ in range(6):  # the first runs are alone
        many = machine.run(program, {"in": x}, level, threads=threads)
        np.testing.assert_array_equal(one.outputs["out"], many.outputs["out"])
        assert [layer.accumulator_max for layer in one.layers] == [layer.accumulator_max for layer in many.layers]


def shared_runs(sharing: Sharing, seconds: list[float]) -> list[bool]:
    """Which of the runs are shared, if a shared run takes so long, and one thread takes a second."""
    chosen = []
    for taken in seconds:
        shared = sharing.together()
        sharing.record(taken if shared else 1.0, shared=shared)
        chosen.append(shared)
    return chosen


def test_work_is_shared_while_that_is_quicker() -> None:
    chosen = shared_runs(Sharing(), [_QUICK] * 20)
    assert chosen == [False, False, *[True] * 18]


def test_one_disturbance_changes_nothing() -> None:
    chosen = shared_runs(Sharing(), [*[_QUICK] * 6, _SLOW, *[_QUICK] * 13])
    assert all(chosen[2:])


def test_work_is_hardly_shared_where_that_is_slower() -> None:
    chosen = shared_runs(Sharing(), [_SLOW] * 1000)
    assert 3 <= sum(chosen) <= 25


def test_work_is_shared_again_when_cores_are_free_again() -> None:
    sharing = Sharing()
    shared_runs(sharing, [_SLOW] * 200)
    chosen = shared_runs(sharing, [_QUICK] * 1000)
    assert all(chosen[-100:])


def test_a_helper_does_what_is_offered_and_not_what_is_withdrawn() -> None:
    helpers, begun, going_on, done = Helpers(1), threading.Event(), threading.Event(), threading.Event()
    calls: list[str] = []

    def first() -> None:
        begun.set()
        going_on.wait()

    helpers.offer(first)
    assert begun.wait(60)
    helpers.offer(lambda: calls.append("withdrawn")).take()  # while the helper is busy
    helpers.offer(lambda: calls.append("offered"))
    helpers.offer(done.set)
    going_on.set()
    assert done.wait(60)
    assert calls == ["offered"]


def test_helpers_that_come_late_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their shares are done by then, and the memory that they were for is in use again."""
    late: list[Callable[[], None]] = []

    class Late:
        def offer(self, work: Callable[[], None]) -> Offer:
            late.append(work)
            return Offer(work)

    monkeypatch.setattr(runner, "helpers", lambda purpose, count: Late())
    program, machine = small_network(), Machine(HARDWARE)
    for _ in range(6):
        machine.run(program, {"in": images(1)}, Level.FUNCTIONAL, threads=3)
    (worker,) = prepared(program, HARDWARE, Level.FUNCTIONAL).idle[3]
    result = worker.memory.port(program.outputs[0].operand)
    assert result.any()
    result[...] = 0
    for work in late:
        work()
    assert len(late) >= 4
    assert not result.any()


def test_a_share_that_another_thread_has_claimed_is_waited_for() -> None:
    """The second thread comes first, does both shares of a step, and is long about the first one's."""
    events: list[tuple[int, int]] = []  # (step, share), when they end
    begun = threading.Event()

    def step(row: int, arena: int, constants: int, scratch: int, part: int, parts: int) -> None:
        if row == rows.ctypes.data and part == 0:
            begun.set()
            time.sleep(0.1)
        events.append(((row - rows.ctypes.data) // rows.strides[0], part))

    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 6)
    called = kind(step)
    rows = np.zeros((2, FIELDS), np.int64)
    addresses = np.full(2, ctypes.cast(called, ctypes.c_void_p).value, np.int64)
    states = np.zeros((2, 2, MOST_SHARES), np.int64)
    run = objects.function("interpreter", INTERPRETER_ARGUMENTS)
    tables = addresses.ctypes.data, rows.ctypes.data, rows.strides[0], 0, 2, 0, 0, 0
    second = threading.Thread(target=run, args=(*tables, 1, 2, states.ctypes.data))
    second.start()
    assert begun.wait(10)
    run(*tables, 0, 2, states.ctypes.data)
    second.join()
    assert sorted(events) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [at for at, _ in events] == [0, 0, 1, 1]
