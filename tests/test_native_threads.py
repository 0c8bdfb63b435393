"""Several threads that share the work of each step: the same bytes, and no more threads than help."""

import numpy as np
import pytest
from one_command import HARDWARE
from test_machine_run import images, small_network

from accel_sim.sim.machine import Machine
from accel_sim.sim.native.runner import Sharing
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
