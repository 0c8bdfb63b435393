"""Native steps in every tier of processors, in processes of their own: the bytes are those of unbounded integers."""

import os
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import pytest

from accel_kernels.native.tier import AMX, AVX2, AVX512, AVX512_VNNI, AVX_VNNI, PORTABLE, Tier, tiles_allowed
from accel_sim.sim.native.runner import available

pytestmark = pytest.mark.skipif(not available(), reason="steps are compiled code")

TESTS = Path(__file__).parent
HOST = {name for name, there in llvm.get_host_cpu_features().items() if there}
NAMES = {
    AMX: "sapphirerapids",
    AVX512_VNNI: "icelake-server",
    AVX_VNNI: "alderlake",
    AVX512: "skylake-avx512",
    AVX2: "haswell",
    PORTABLE: "generic",
}


def run(tier: Tier, program: str, *arguments: int) -> list[str]:
    """Lines that a program prints."""
    if not tier.needs <= HOST or (tier.tiles and not tiles_allowed()):
        pytest.skip(f"this processor has no {tier.name}")
    path = os.pathsep.join(map(str, (TESTS, TESTS.parent, TESTS.parent / "kernels")))
    environment = {**os.environ, "PYTHONPATH": path, "NUMBA_CPU_NAME": NAMES[tier]}
    environment.pop("NUMBA_CPU_FEATURES", None)
    command = [sys.executable, str(TESTS / program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("tier", NAMES, ids=lambda tier: tier.name)
def test_a_few_convolutions(tier: Tier) -> None:
    name, compared = run(tier, "tier_cases.py", 20, 2)
    assert name == tier.name
    assert compared.startswith("20 ")


@pytest.mark.parametrize("permutes", [True, False], ids=["permutes bytes", "does not"])
def test_lines_on_vectors(*, permutes: bool) -> None:
    if not AVX512_VNNI.needs <= HOST:
        pytest.skip(f"this processor has no {AVX512_VNNI.name}")
    features = llvm.get_host_cpu_features()
    if permutes and not features["avx512vbmi"]:
        pytest.skip("this processor permutes no bytes")
    features.update({"avx512vbmi": permutes, "amx-int8": False})
    path = os.pathsep.join(map(str, (TESTS.parent, TESTS.parent / "kernels")))
    environment = {**os.environ, "PYTHONPATH": path, "NUMBA_CPU_NAME": "cascadelake"}
    environment |= {"NUMBA_CPU_FEATURES": features.flatten(), "ACCEL_TEST_SHARE": "0.3"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:xdist",
        str(TESTS / "test_native_line.py"),
        "-k",
        "layers",
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


@pytest.mark.parametrize("tier", [AVX512_VNNI, AVX_VNNI, AVX2, PORTABLE], ids=lambda tier: tier.name)
def test_overflow_is_counted_alike(tier: Tier) -> None:
    """As in the host's tier, where `test_native_counting` compares it with the kernel of arrays."""
    command = [sys.executable, str(TESTS / "counting_cases.py"), "30"]
    path = os.pathsep.join(map(str, (TESTS, TESTS.parent, TESTS.parent / "kernels")))
    host = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, check=True)
    name, digest = run(tier, "counting_cases.py", 30)
    assert (name, digest) == (tier.name, host.stdout.splitlines()[1])


@pytest.mark.slow
@pytest.mark.parametrize("tier", NAMES, ids=lambda tier: tier.name)
def test_many_convolutions(tier: Tier) -> None:
    name, compared = run(tier, "tier_cases.py", 600, 200)
    assert name == tier.name
    assert compared.startswith("600 ")


@pytest.mark.parametrize("name", ["nehalem", "a-processor-of-tomorrow"])
def test_a_processor_that_is_not_known_gets_what_all_have(name: str) -> None:
    code = "from accel_kernels.native.tier import tier; print(tier().name)"
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent / "kernels"), "NUMBA_CPU_NAME": name}
    environment.pop("NUMBA_CPU_FEATURES", None)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == PORTABLE.name
