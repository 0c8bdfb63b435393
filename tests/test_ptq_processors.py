"""Quantization gives the same bytes on every processor: NumPy, its BLAS and our kernels told of lesser ones."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

SCRIPT = """
import hashlib, sys, warnings
warnings.simplefilter("ignore")  # NumPy warns of features that are disabled without being there
import accel_sim
from accel_sim import demo_data
from accel_sim.quantization import get_recipe, quantize
from accel_sim.reference import evaluate_fake_quant

graph, pictures = accel_sim.load(demo_data.network_path()), demo_data.calibration()
made = quantize(graph, pictures, get_recipe("standard", ("weights.bits=4", "weights.per_channel=false")))
print(hashlib.sha256(accel_sim.write_onnx(made)).hexdigest())
real = evaluate_fake_quant(made, {made.inputs[0]: pictures[:20].transpose(0, 2, 3, 1)})
print(hashlib.sha256(b"".join(real[name].tobytes() for name in made.outputs)).hexdigest())
"""

OTHERS = {
    "older x86": {
        "OPENBLAS_CORETYPE": "Sandybridge",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR AVX2 FMA3 AVX512F AVX512_SKX",
        "NUMBA_CPU_NAME": "generic",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2_Usable,-FMA_Usable,-AVX2,-FMA,-AVX512F",
    },
    "one core": {"OPENBLAS_NUM_THREADS": "1", "ACCEL_TEST_CORES": "1"},
}


def digests(**environment: str) -> str:
    command = [sys.executable, "-c", SCRIPT]
    if environment.get("ACCEL_TEST_CORES") == "1":
        command[2] = "import os; os.cpu_count = lambda: 1\n" + SCRIPT
    path = os.pathsep.join(str(ROOT / part) for part in (".", "kernels"))
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("OPENBLAS_", "NPY_", "NUMBA_"))}
    full = {**plain, "PYTHONPATH": path, **environment}
    done = subprocess.run(command, capture_output=True, text=True, env=full, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def here() -> str:
    return digests()


@pytest.mark.parametrize("other", OTHERS)
def test_files_and_simulations_do_not_depend_on_the_processor(here: str, other: str) -> None:
    assert digests(**OTHERS[other]) == here
    model, simulation = here.split()
    assert len(model) == len(simulation) == 64
    assert model != simulation
