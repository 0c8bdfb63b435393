"""Where steps are kept: a cache that cannot be written, and code in it that is damaged.

A process of its own for each: it runs two convolutions and a maximum, and prints the bytes.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from one_command import HARDWARE
from test_machine_run import images, small_network

from accel_sim.sim.machine import Machine
from accel_sim.sim.native.runner import available
from accel_sim.sim.result import Level

pytestmark = pytest.mark.skipif(not available(), reason="steps are compiled code")

TESTS = Path(__file__).parent
PROGRAM = """
from test_machine_run import images, small_network
from one_command import HARDWARE
from accel_sim.sim.machine import Machine
from accel_sim.sim.result import Level
made = Machine(HARDWARE).run(small_network(), {"in": images(1)}, Level.FUNCTIONAL)
print(made.outputs["out"].tobytes().hex())
"""


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(TESTS), *(p for p in sys.path if p)])
    variables = {**os.environ, "PYTHONPATH": path, **environment}
    return subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=variables, check=False)


@pytest.fixture(scope="module")
def expected() -> str:
    made = Machine(HARDWARE).run(small_network(), {"in": images(1)}, Level.FUNCTIONAL)
    return made.outputs["out"].tobytes().hex()


def test_steps_are_compiled_in_each_process_where_the_cache_cannot_be_written(expected: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    done = run(ACCEL_KERNELS_CACHE_DIR=str(tmp_path / "file"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == expected
    missing, compiling = done.stderr.splitlines()
    assert "no cache of compiled kernels" in missing
    assert "compiling kernels" in compiling


def test_damaged_code_in_the_cache_is_compiled_again(expected: str, tmp_path: Path) -> None:
    assert run(ACCEL_KERNELS_CACHE_DIR=str(tmp_path)).stdout.strip() == expected
    (step,) = tmp_path.rglob("interpreter.step")
    step.write_bytes(step.read_bytes()[:-100])
    again = run(ACCEL_KERNELS_CACHE_DIR=str(tmp_path))
    assert again.stdout.strip() == expected
    assert "compiling kernels" in again.stderr
    assert run(ACCEL_KERNELS_CACHE_DIR=str(tmp_path)).stderr == ""
