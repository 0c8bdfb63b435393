"""What does not fit in the memory that is free is refused before it is allocated, with both sizes."""

import subprocess
import sys
from dataclasses import replace

import pytest
from test_machine_run import small_network

from accel_sim.analysis.samples import random_inputs
from accel_sim.errors import InputError, ProgramError
from accel_sim.ir import ElementType, Graph, QuantParams, Tensor
from accel_sim.program import free_memory, verify

EXBI = 1 << 60
LIMITED = """
import resource
from accel_sim.program.free_memory import free_bytes
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
print(free_bytes())
"""


def test_a_program_too_large_for_any_memory_is_refused() -> None:
    program = replace(small_network(), activation_bytes=EXBI)
    with pytest.raises(ProgramError, match=r"needs 1,048,576\.0 TiB of memory: fits in the .* that are free"):
        verify(program)


def test_a_program_is_refused_where_little_memory_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    program = small_network()
    needed = program.activation_bytes + len(program.constants)
    monkeypatch.setattr(free_memory, "free_bytes", lambda: needed)
    verify(program)
    monkeypatch.setattr(free_memory, "free_bytes", lambda: needed - 1)
    with pytest.raises(ProgramError, match=r"needs .* fits in the .* that are free \(a smaller image or batch"):
        verify(program)


def test_random_inputs_that_do_not_fit_are_refused() -> None:
    image = Tensor("x", (1, 1 << 20, 1 << 20, 1 << 20), ElementType.INT8, QuantParams.per_tensor(0.5, 0))
    graph = Graph("huge", (), {"x": image}, ("x",), ("x",))
    with pytest.raises(InputError, match=r"needs 1,048,576\.0 TiB"):
        random_inputs(graph)


def test_where_nothing_is_known_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_memory, "free_bytes", lambda: None)
    assert free_memory.memory_faults("x", EXBI, "") == []


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
def test_a_limit_of_the_process_counts() -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) < 1 << 30


@pytest.mark.parametrize(("size", "shown"), [(7, "7 bytes"), (1536, "1.5 KiB"), (3 << 30, "3 GiB")])
def test_sizes_are_shown_with_a_unit(size: int, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_memory, "free_bytes", lambda: size - 1)
    assert shown in str(free_memory.memory_faults("x", size, "")[0])
