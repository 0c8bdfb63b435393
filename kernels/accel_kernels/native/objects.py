"""Machine code of steps by name: from the cache on disk if it is there, else compiled.

The cache lies beside numba's, in a directory named by a digest of everything that the code depends on (`_cache`). A
file holds the object code behind a checksum, so that a damaged one is compiled again.
"""

import contextlib
import ctypes
import hashlib
import os
import tempfile
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from accel_kernels import _cache

SYMBOL = "step"
"""The name of every step in its object code."""

_CHECKSUM = 32
_loaded: dict[str, int] = {}
_kept: list[Any] = []


def address(name: str) -> int:
    """Where the code of a step lies: `module` or `module:variant`, for a module of this package with a `build`."""
    if name not in _loaded:
        _loaded[name] = link(_read(name) or _compiled(name))
    return _loaded[name]


def function(name: str, arguments: int) -> Any:
    """The code as a function of `arguments` integers for Python; it runs without the interpreter lock."""
    return ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * arguments)(address(name))


@cache
def _target() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple()


def link(code: bytes) -> int:
    """The address of object code that is ready to run; in an engine of its own, as all use the same name."""
    import llvmlite.binding as llvm

    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target().create_target_machine(jit=True))
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _kept.append(engine)
    return int(engine.get_function_address(SYMBOL))


def _compiled(name: str) -> bytes:
    code: bytes = import_module("accel_kernels.native.compile").compile_step(name)
    _write(name, code)
    return code


def _path(name: str) -> Path | None:
    directory = _cache.directory()
    return None if directory is None else Path(directory, name.replace(":", "-") + ".step")


def _read(name: str) -> bytes | None:
    path = _path(name)
    if path is None:
        return None
    try:
        content = path.read_bytes()
    except OSError:
        return None
    checksum, code = content[:_CHECKSUM], content[_CHECKSUM:]
    return code if hashlib.sha256(code).digest() == checksum else None


def _write(name: str, code: bytes) -> None:
    """As a whole or not at all; a cache that cannot be written costs time and nothing else."""
    path = _path(name)
    if path is None:
        return
    with contextlib.suppress(OSError):
        handle, temporary = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(code).digest() + code)
        Path(temporary).replace(path)
