"""Compiling steps: numba makes LLVM's intermediate form of a Python function of int64, LLVM makes object code of that.

The object code needs no runtime library.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from inspect import signature
from typing import Any

import llvmlite.binding as llvm
from numba import types
from numba.core.registry import cpu_target

from accel_kernels._cache import say_compiling
from accel_kernels.native.parts import intermediate, lowered

_OPTIMIZATION = 3


def compile_step(name: str) -> tuple[str, bytes]:
    """(symbol, object code) of a step, by its name in `objects.address`."""
    say_compiling()
    module, _, variant = name.partition(":")
    build: Callable[[str], Callable[..., None]] = import_module(f"accel_kernels.native.{module}").build
    return compile_function(build(variant))


def compile_function(function: Callable[..., None]) -> tuple[str, bytes]:
    """(symbol, object code) of a function of int64 that returns nothing."""
    with _no_collection():
        whole = lowered(function, (types.int64,) * len(signature(function).parameters), types.void)
        return whole.fndesc.llvm_func_name, _object_code(intermediate(whole))


def _object_code(text: str) -> bytes:
    """LLVM's optimization of a module in its intermediate form, once, and the machine code."""
    machine = _machine()
    module = llvm.parse_assembly(text)
    options = llvm.create_pipeline_tuning_options(speed_level=_OPTIMIZATION)
    options.loop_vectorization = True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    code: bytes = machine.emit_object(module)
    return code


@cache
def _machine() -> Any:
    """For the processor that numba compiles for, with numba's choice of relocations."""
    triple, processor, features = cpu_target.target_context.codegen().magic_tuple()
    relocation = "static" if triple.startswith(("x86_64", "i686")) else "default"
    return llvm.Target.from_triple(triple).create_target_machine(
        cpu=processor, features=features, opt=_OPTIMIZATION, reloc=relocation, codemodel="jitdefault", jit=True
    )


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without garbage collection: a compiler makes a million small objects, which takes a fifth of its time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
