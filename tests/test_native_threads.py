"""Several threads that share the work of each step: the same bytes, and no more threads than help."""

import ctypes
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable

import numpy as np
import pytest
from one_command import HARDWARE
from test_machine_run import images, small_network

from accel_kernels.native import objects
from accel_kernels.native.tables import FIELDS, INTERPRETER_ARGUMENTS, JOB, MOST_SHARES, Box
from accel_sim.sim.machine import Machine
from accel_sim.sim.memory import aligned
from accel_sim.sim.native import runner
from accel_sim.sim.native.crew import Crew, Jobs
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


def job(interpreter: object, run: int) -> list[int]:
    """A job whose interpreter is a function of ctypes."""
    return [ctypes.cast(interpreter, ctypes.c_void_p).value, *[0] * (INTERPRETER_ARGUMENTS - 1), run]


def called(function: Callable[[int], None]) -> object:
    """A function of the run, as an interpreter."""
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * INTERPRETER_ARGUMENTS)
    return kind(lambda *arguments: function(arguments[-1]))


def waited(event: threading.Event) -> None:
    """For something that happens soon."""
    assert event.wait(60)


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that happens soon."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_helper_does_what_is_offered_and_not_what_is_withdrawn() -> None:
    crew, begun, going_on = Crew(1), threading.Event(), threading.Event()
    runs: list[int] = []

    def helps(run: int) -> None:
        runs.append(run)
        begun.set()
        waited(going_on)

    def leads(run: int) -> None:
        if run != 2:
            waited(begun)

    leader, helper = called(leads), called(helps)
    for run in (1, 2, 3):
        crew.run(Jobs(np.array([job(leader, run), job(helper, run)]), None))  # the second while the helper is busy
        if run == 2:
            going_on.set()
            until(lambda: not crew.busy)
            begun.clear()
    until(lambda: not crew.busy)
    assert runs == [1, 3]


@pytest.mark.parametrize("pause", [0, 0.01])
def test_a_helper_comes_at_once_or_from_its_sleep(pause: float) -> None:
    crew, begun = Crew(1), threading.Event()
    leader, helper = called(lambda run: waited(begun)), called(lambda run: begun.set())
    for run in range(1, 100):
        crew.run(Jobs(np.array([job(leader, run), job(helper, run)]), None))
        begun.clear()
        time.sleep(pause)


@pytest.mark.skipif(sys.platform != "linux", reason="processors of threads are asked for on Linux")
@pytest.mark.parametrize("stays", [0, 1])
def test_a_helper_on_the_processor_of_the_thread_that_leads_leaves_it_first(stays: int) -> None:
    box, taken = aligned(Box.BYTES).view(np.int64), threading.Event()
    interpreter, serve = called(lambda run: taken.set()), objects.function("crew:serve", 2)

    def helps() -> None:
        processor = min(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {processor})  # of this thread
        box[Box.SLEEPING // 8], _ = os.pipe()
        box[Box.PROCESSOR // 8] = processor
        box[Box.JOB // 8 : Box.JOB // 8 + JOB] = job(interpreter, 1)
        box[Box.STATE] = 1000
        serve(box.ctypes.data, stays)

    helper = threading.Thread(target=helps, daemon=True)
    helper.start()
    if stays:
        waited(taken)
    helper.join(0.1 if stays else 60)
    assert helper.is_alive() == bool(stays)
    assert taken.is_set() == bool(stays)


def test_what_a_late_helper_holds_stays_in_memory() -> None:
    class Kept:
        pass

    crew, begun, going_on = Crew(1), threading.Event(), threading.Event()
    leader = called(lambda run: waited(begun))
    late = called(lambda run: begun.set() or waited(going_on))
    kept = Kept()
    held = weakref.ref(kept)
    assert not crew.run(Jobs(np.array([job(leader, 1), job(late, 1)]), kept))
    del kept
    for _ in range(2):
        assert crew.run(Jobs(np.array([job(leader, 2)]), None))
        assert held() is not None
    going_on.set()
    until(lambda: not crew.busy)
    crew.run(Jobs(np.array([job(leader, 2)]), None))
    assert held() is None


def test_helpers_that_come_late_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their shares are done by then, and the memory that they were for is in use again."""
    late: list[Jobs] = []
    run = objects.function("interpreter", INTERPRETER_ARGUMENTS)

    class Late:
        def run(self, jobs: Jobs) -> bool:
            late.append(jobs)
            run(*jobs.table[0, 1:].tolist())
            return False

    monkeypatch.setattr(runner, "crew", lambda count: Late())
    program, machine = small_network(), Machine(HARDWARE)
    for _ in range(6):
        machine.run(program, {"in": images(1)}, Level.FUNCTIONAL, threads=3)
    (worker,) = prepared(program, HARDWARE, Level.FUNCTIONAL).idle[3]
    result = worker.memory.port(program.outputs[0].operand)
    assert result.any()
    result[...] = 0
    for jobs in late:
        for part in (1, 2):
            run(*jobs.table[part, 1:].tolist())
    assert len(late) >= 2
    assert len({jobs.run for jobs in late}) == len(late)
    assert not result.any()


def test_jobs_are_used_again_once_nobody_holds_them(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[Jobs] = []
    own = Crew(2)

    class Watched:
        def run(self, jobs: Jobs) -> bool:
            runs.append(jobs)
            return own.run(jobs) and len(runs) != 3

    monkeypatch.setattr(runner, "crew", lambda count: Watched())
    program, machine, x = small_network(), Machine(HARDWARE), images(1)
    monkeypatch.setattr(Sharing, "together", lambda sharing: True)
    results = [machine.run(program, {"in": x}, Level.FUNCTIONAL, threads=3).outputs["out"] for _ in range(5)]
    for result in results:
        np.testing.assert_array_equal(result, results[0])
    assert runs[2] is not runs[3]
    assert len(set(map(id, runs))) < 5


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
    code = kind(step)
    rows = np.zeros((2, FIELDS), np.int64)
    addresses = np.full(2, ctypes.cast(code, ctypes.c_void_p).value, np.int64)
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
