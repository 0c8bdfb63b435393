"""Where compiled kernels are kept: a directory named by a digest of all that machine code depends on.

The digest covers every kernel source, the flags, the versions of Python, numba, llvmlite and NumPy, and the processor
that is compiled for. `ACCEL_KERNELS_CACHE_DIR` (or numba's `NUMBA_CACHE_DIR`) names the parent directory; by default
the user's cache directory. Where it cannot be written, kernels are compiled in each process, and one line on stderr
says so. Directories of other digests stay until nothing has used them for a month: another version, or another process
told of another processor, may be using them now.
"""

import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
import time
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import llvmlite
import numpy as np

from accel_kernels.native.tier import target, tier

BOUNDS_CHECKED = os.environ.get("ACCEL_KERNELS_BOUNDSCHECK") == "1"
_UNUSED_SECONDS = 30 * 24 * 3600
_PREFIX = "kernels-"


@cache
def directory() -> str | None:
    """Where this version of the kernels keeps its machine code; None where it cannot be written."""
    try:
        root = _root()
        place = root / f"{_PREFIX}{_digest()}"
        if not place.is_dir():
            place.mkdir(parents=True, exist_ok=True)
            _remove_unused(root)
        os.utime(place)
        with tempfile.TemporaryFile(dir=place):
            return str(place)
    except (OSError, RuntimeError) as error:  # Path.home() raises RuntimeError where there is no home
        sys.stderr.write(f"accel_kernels: no cache of compiled kernels, so they are compiled in each run: {error}\n")
        return None


@cache
def say_compiling() -> None:
    """Tell, once in a process, what takes so long."""
    sys.stderr.write("accel_kernels: compiling kernels for this processor; the next run will find them\n")


def _root() -> Path:
    given = os.environ.get("ACCEL_KERNELS_CACHE_DIR") or os.environ.get("NUMBA_CACHE_DIR")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "accel_sim"


def _remove_unused(root: Path) -> None:
    oldest = time.time() - _UNUSED_SECONDS
    with contextlib.suppress(OSError):
        for path in root.glob(f"{_PREFIX}*"):
            if path.is_dir() and path.stat().st_mtime < oldest:
                shutil.rmtree(path, ignore_errors=True)


def _numba_version() -> bytes | str:
    """What tells one numba from another, without its import, or that of `importlib.metadata`: both are slow."""
    package = find_spec("numba")
    try:
        return Path((package and package.origin) or "").with_name("_version.py").read_bytes()
    except (OSError, ValueError):
        from importlib.metadata import version

        return version("numba")


def _digest() -> str:
    state = hashlib.sha256()
    package = Path(__file__).parent
    for source in sorted(package.rglob("*.py")):
        state.update(str(source.relative_to(package)).encode() + b"\0" + source.read_bytes() + b"\0")
    versions = (sys.version, _numba_version(), llvmlite.__version__, np.__version__)
    state.update(repr((BOUNDS_CHECKED, versions, target(), tier().name)).encode())
    return state.hexdigest()[:20]
