"""Compiling steps: `translate` makes LLVM's intermediate form of a function, LLVM makes object code of that.

The object code needs no runtime library.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

import llvmlite.binding as llvm

from accel_kernels._cache import say_compiling
from accel_kernels.native.objects import SYMBOL
from accel_kernels.native.tier import target
from accel_kernels.native.translate import translated

_OPTIMIZATION = 3
_UNROLLED = frozenset({"convolve", "transposed", "matmul", "depthwise", "watch", "watch_depthwise", "pool", "average"})
"""Steps whose micro-kernels are written unrolled as far as it helps: LLVM would take a third more time to do more."""


def compile_step(name: str) -> bytes:
    """Object code of a step, by its name in `objects.address`."""
    say_compiling()
    module, _, variant = name.partition(":")
    build: Callable[[str], Callable[..., None]] = import_module(f"accel_kernels.native.{module}").build
    return compile_function(build(variant), unrolls=module not in _UNROLLED)


def compile_function(function: Callable[..., None], *, unrolls: bool = True) -> bytes:
    """Object code of a function of int64 that gives nothing, under the name SYMBOL; LLVM may unroll its loops."""
    with _no_collection():
        machine = _machine()
        module = translated(function, SYMBOL, machine.triple)
        module.data_layout = str(machine.target_data)
        return _object_code(machine, str(module), unrolls=unrolls)


def _object_code(machine: Any, text: str, *, unrolls: bool) -> bytes:
    """LLVM's optimization of a module in its intermediate form, once, and the machine code."""
    module = llvm.parse_assembly(text)
    options = llvm.create_pipeline_tuning_options(speed_level=_OPTIMIZATION)
    options.loop_vectorization = True
    options.loop_unrolling = unrolls
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    code: bytes = machine.emit_object(module)
    return code


@cache
def _machine() -> Any:
    """For the processor that numba compiles for too."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()
    triple = llvm.get_process_triple()
    processor, features = target()
    relocation = "static" if triple.startswith(("x86_64", "i686")) else "default"
    return llvm.Target.from_triple(triple).create_target_machine(
        cpu=processor, features=features, opt=_OPTIMIZATION, reloc=relocation, codemodel="jitdefault", jit=True
    )


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without garbage collection: a compiler makes many small objects, which takes a fifth of its time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
