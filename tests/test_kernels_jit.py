"""The policy of compilation: where machine code is kept, what it depends on, and the kernels as plain Python."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from numba.core import config

from accel_kernels import _jit

TESTS = Path(__file__).parent
KERNELS = TESTS.parent / "kernels"
LARGEST = """
import numpy as np
from accel_kernels.pool_average import average_half_away
codes = np.zeros((1, 1), np.int8)
average_half_away(np.array([[1000]]), np.array([1]), -128, 127, codes)
print(codes[0, 0])
"""
BEYOND = """
import numpy as np
from accel_kernels.lookup import lookup
lookup(np.array([5], np.int8), np.zeros(2, np.int8), 0, np.zeros(1, np.int8))
"""


def run(code: str, path: Path = KERNELS, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python code with the kernels of `path`."""
    variables = {**os.environ, "PYTHONPATH": str(path), **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=variables, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the kernels that a test may edit."""
    shutil.copytree(KERNELS / "accel_kernels", tmp_path / "accel_kernels", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_a_changed_callee_in_another_file_is_compiled_anew(copy: Path, tmp_path: Path) -> None:
    cache = {"ACCEL_KERNELS_CACHE_DIR": str(tmp_path / "cache")}
    assert run(LARGEST, copy, **cache).stdout == "127\n"
    callee = copy / "accel_kernels" / "integers.py"
    changed = callee.read_text().replace("min(max(x, low), high)", "min(max(x, low), high - 1)")
    assert changed != callee.read_text()
    callee.write_text(changed)
    assert run(LARGEST, copy, **cache).stdout == "126\n"
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_a_second_process_finds_the_code_of_the_first(tmp_path: Path) -> None:
    cache = {"ACCEL_KERNELS_CACHE_DIR": str(tmp_path)}
    run(LARGEST, **cache)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")}
    assert files
    assert run(LARGEST, **cache).stdout == "127\n"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")} == files


def test_flags_are_part_of_the_directory_name() -> None:
    show = "from accel_kernels import _cache; print(_cache._digest())"
    plain, checked = run(show), run(show, ACCEL_KERNELS_BOUNDSCHECK="1")
    other_processor = run(show, NUMBA_CPU_NAME="generic")
    assert len({plain.stdout, checked.stdout, other_processor.stdout}) == 3


def test_indices_are_checked_on_request(tmp_path: Path) -> None:
    checked = run(BEYOND, ACCEL_KERNELS_BOUNDSCHECK="1", ACCEL_KERNELS_CACHE_DIR=str(tmp_path))
    assert "IndexError" in checked.stderr


def test_a_cache_that_cannot_be_written_costs_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    done = run(LARGEST, ACCEL_KERNELS_CACHE_DIR=str(tmp_path / "file"))
    assert done.stdout == "127\n"
    missing, compiling = done.stderr.splitlines()
    assert "no cache of compiled kernels" in missing
    assert "compiling kernels" in compiling


def test_compiling_is_said_once_and_not_where_the_cache_helps(tmp_path: Path) -> None:
    cold, warm = (run(LARGEST, ACCEL_KERNELS_CACHE_DIR=str(tmp_path)).stderr for _ in range(2))
    assert cold.count("compiling kernels") == 1
    assert warm == ""


def test_defining_kernels_imports_no_compiler() -> None:
    assert run("import sys, accel_kernels.pool_average; print('numba' in sys.modules)").stdout == "False\n"


def test_directories_of_other_versions_stay_while_they_are_used(tmp_path: Path) -> None:
    now = time.time()
    for days in (1, 29, 31, 400):
        other = tmp_path / f"kernels-{days}"
        other.mkdir()
        (other / "code").touch()
        os.utime(other, (now - days * 86400,) * 2)
    run(LARGEST, ACCEL_KERNELS_CACHE_DIR=str(tmp_path))
    (own,) = {path.name for path in tmp_path.iterdir()} - {"kernels-1", "kernels-29"}
    os.utime(tmp_path / own, (now - 20 * 86400,) * 2)
    run(LARGEST, ACCEL_KERNELS_CACHE_DIR=str(tmp_path))
    assert (tmp_path / own).stat().st_mtime > now - 86400


def test_numbas_own_setting_is_left_as_it_was() -> None:
    before = config.CACHE_DIR
    _jit.kernel(lambda x: x)(1)
    assert before == config.CACHE_DIR


def test_the_same_tests_pass_without_compilation() -> None:
    names = ("test_kernels_requantize", "test_machine_accumulators", "test_machine_movement", "test_machine_recipes")
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "ACCEL_TEST_SHARE": "0.04"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(str(TESTS / f"{n}.py") for n in names)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=TESTS.parent, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
