"""The one decorator of all kernels, and with it every policy of compilation.

- No `fastmath`: floating-point results are the same on every machine. No `parallel`: its code shares cache files with
  serial code. `nogil`: kernels run on threads side by side.
- numba's cache of machine code does not notice that a callee in another file, a flag or a package has changed. So the
  code lies in a directory named by a digest of every kernel source, the flags, the versions and the CPU's features;
  numba's own setting is put back after each decoration.
- `ACCEL_KERNELS_CACHE_DIR` (or numba's `NUMBA_CACHE_DIR`) names the parent directory; by default the user's cache
  directory. Where it cannot be written, kernels are compiled in each process, and one line on stderr says so.
- `ACCEL_KERNELS_BOUNDSCHECK=1` checks every index. `NUMBA_DISABLE_JIT=1` runs the kernels as plain Python.
"""

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import llvmlite
import numba
import numpy as np
from numba.core import config
from numba.core.registry import cpu_target

Function = TypeVar("Function", bound=Callable[..., Any])

_FLAGS = {
    "nogil": True,
    "error_model": "numpy",  # a division needs no branch; no kernel divides by zero
    "boundscheck": os.environ.get("ACCEL_KERNELS_BOUNDSCHECK") == "1",
}


def kernel(function: Function) -> Function:
    """Compile a function of arrays and scalars at its first call, once per set of element types."""
    directory = _cache_directory()
    previous = config.CACHE_DIR
    try:
        config.CACHE_DIR = directory or previous
        compiled: Function = numba.njit(function, cache=directory is not None, **_FLAGS)  # noqa: TID251 - this is the one place
    finally:
        config.CACHE_DIR = previous
    return compiled


@cache
def _cache_directory() -> str | None:
    """Where this version of the kernels keeps its machine code; None where it cannot be written."""
    if config.DISABLE_JIT:
        return None
    try:
        directory = _cache_root() / f"kernels-{_digest()}"
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return str(directory)
    except (OSError, RuntimeError) as error:  # Path.home() raises RuntimeError where there is no home
        sys.stderr.write(f"accel_kernels: no cache of compiled kernels, so they are compiled in each run: {error}\n")
        return None


def _cache_root() -> Path:
    given = os.environ.get("ACCEL_KERNELS_CACHE_DIR") or config.CACHE_DIR
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "accel_sim"


def _digest() -> str:
    """Names what machine code depends on: sources, flags, versions, CPU features."""
    state = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        state.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    versions = (sys.version, numba.__version__, llvmlite.__version__, np.__version__)
    processor = cpu_target.target_context.codegen().magic_tuple()
    state.update(repr((sorted(_FLAGS.items()), versions, processor)).encode())
    return state.hexdigest()[:20]
