"""Compiling steps with numba: a Python function of int64 becomes object code that needs no runtime library."""

from collections.abc import Callable
from importlib import import_module
from inspect import signature
from typing import Any

from numba import types
from numba.core import compiler
from numba.core.registry import cpu_target

from accel_kernels._cache import say_compiling


def compile_step(name: str) -> tuple[str, bytes]:
    """(symbol, object code) of a step, by its name in `objects.address`."""
    say_compiling()
    module, _, variant = name.partition(":")
    build: Callable[[str], Callable[..., None]] = import_module(f"accel_kernels.native.{module}").build
    return compile_function(build(variant))


def compile_function(function: Callable[..., None]) -> tuple[str, bytes]:
    """(symbol, object code) of a function of int64 that returns nothing."""
    arguments = (types.int64,) * len(signature(function).parameters)
    result = compiler.compile_extra(
        cpu_target.typing_context, cpu_target.target_context, function, arguments, types.void, _flags(), {}
    )
    _, _, (code, _) = result.library.serialize_using_object_code()
    return result.fndesc.llvm_func_name, code


def _flags() -> Any:
    flags = compiler.Flags()
    flags.no_cpython_wrapper = True
    flags.no_cfunc_wrapper = True
    flags.error_model = "numpy"
    return flags
