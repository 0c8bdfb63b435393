"""Machine code of steps by name: from the cache on disk if it is there, else compiled.

The cache lies beside numba's, in a directory named by a digest of everything that the code depends on (`_cache`). A
file holds the entry's symbol and the object code behind a checksum, so that a damaged one is compiled again. Loading
needs LLVM's linker alone: numba is imported only to compile.
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

_CHECKSUM = 32
_loaded: dict[str, int] = {}
_kept: list[Any] = []


def address(name: str) -> int:
    """Where the code of a step lies: `module` or `module:variant`, for a module of this package with a `build`."""
    if name not in _loaded:
        symbol, code = _read(name) or _compiled(name)
        _loaded[name] = _link(symbol, code)
    return _loaded[name]


def function(name: str, arguments: int) -> Any:
    """The code as a function of `arguments` integers for Python; it runs without the interpreter lock."""
    ignored = ctypes.create_string_buffer(64)  # where compiled code would put results and errors: there are none
    _kept.append(ignored)
    kind = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_int64] * (arguments + 2))
    entry = kind(address(name))
    place = ctypes.addressof(ignored)
    return lambda *values: entry(place, place + 32, *values)


@cache
def _target() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple()


def _link(symbol: str, code: bytes) -> int:
    """In an engine of its own: objects compiled in different processes may use the same names for different things."""
    import llvmlite.binding as llvm

    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target().create_target_machine(jit=True))
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _kept.append(engine)
    return int(engine.get_function_address(symbol))


def _compiled(name: str) -> tuple[str, bytes]:
    compiler = import_module("accel_kernels.native.compile")
    symbol, code = compiler.compile_step(name)
    _write(name, symbol, code)
    return symbol, code


def _path(name: str) -> Path | None:
    directory = _cache.directory()
    return None if directory is None else Path(directory, name.replace(":", "-") + ".step")


def _read(name: str) -> tuple[str, bytes] | None:
    path = _path(name)
    if path is None:
        return None
    try:
        content = path.read_bytes()
    except OSError:
        return None
    checksum, payload = content[:_CHECKSUM], content[_CHECKSUM:]
    if hashlib.sha256(payload).digest() != checksum:
        return None
    symbol, _, code = payload.partition(b"\0")
    return symbol.decode(), code


def _write(name: str, symbol: str, code: bytes) -> None:
    """As a whole or not at all; a cache that cannot be written costs time and nothing else."""
    path = _path(name)
    if path is None:
        return
    payload = symbol.encode() + b"\0" + code
    with contextlib.suppress(OSError):
        handle, temporary = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(payload).digest() + payload)
        Path(temporary).replace(path)
