"""ONNX Runtime on processors that are not at hand: this Python, run by qemu's user-mode emulation of one."""

import pickle
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Array = NDArray[Any]
_SECONDS = 1800
_SCRIPT = """
import pickle, sys
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
options.log_severity_level = 3
results = []
with open(sys.argv[1], "rb") as file:
    jobs = pickle.load(file)
for model, inputs in jobs:
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    results.append(dict(zip(names, session.run(names, inputs))))
with open(sys.argv[2], "wb") as file:
    pickle.dump(results, file)
"""


def emulator() -> str:
    """qemu's path; skips the test where there is none."""
    path = shutil.which("qemu-x86_64")
    if path is None:
        pytest.skip("no qemu-x86_64 (Debian: qemu-user)")
    return path


def run_on(cpu: str, jobs: Sequence[tuple[bytes, Mapping[str, Array]]], folder: Path) -> list[dict[str, Array]]:
    """Run models on an emulated processor.

    Args:
        cpu: as qemu names it: "Haswell" has AVX2 and no VNNI.
        jobs: a model's bytes and its inputs, each.
        folder: for files between the processes.
    """
    given, made = folder / "jobs.pickle", folder / "results.pickle"
    given.write_bytes(pickle.dumps([(model, {n: np.asarray(a) for n, a in inputs.items()}) for model, inputs in jobs]))
    command = [emulator(), "-cpu", cpu, sys.executable, "-c", _SCRIPT, str(given), str(made)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    results: list[dict[str, Array]] = pickle.loads(made.read_bytes())
    return results
