"""Parts of kernels of arrays: functions that numba types and lowers once per set of types, without optimization.

numba's own decorator would optimize each function and write machine code for it, though only the kernel that calls it
ever runs. LLVM sees a part when it optimizes the kernel, and has no choice but to put it where it is called.
"""

from collections.abc import Callable
from functools import cache
from inspect import Parameter, signature
from typing import Any, TypeVar, cast

from numba import extending
from numba.core import codegen, compiler
from numba.core.registry import cpu_target

from accel_kernels._cache import BOUNDS_CHECKED

Function = TypeVar("Function", bound=Callable[..., Any])


def inline(function: Function, choose: Callable[..., Callable[..., Any]] | None) -> Function:
    """A part; what `choose` makes of the arguments' types is compiled in place of the function."""

    def part(typingctx: Any, *arguments: Any, **named: Any) -> Any:
        given = shape.bind(*arguments, **named).args
        compiled = _lowered(choose(*given) if choose else function, given)

        def call(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            context.add_linking_libs([compiled.library])
            return context.call_internal_no_propagate(builder, compiled.fndesc, signature, values)[1]

        return compiled.signature, call

    shape = signature(function)
    context = Parameter("typingctx", Parameter.POSITIONAL_OR_KEYWORD)
    part.__name__ = function.__name__
    part.__signature__ = shape.replace(parameters=[context, *shape.parameters.values()])  # type: ignore[attr-defined]
    return cast(Function, extending.intrinsic(part))


def _lowered(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """What numba makes of a function of some types, before LLVM has seen what it calls."""
    flags = compiler.Flags()
    flags.no_compile = True
    flags.no_cpython_wrapper = True
    flags.no_cfunc_wrapper = True
    flags.error_model = "numpy"
    flags.boundscheck = BOUNDS_CHECKED
    flags.forceinline = True
    return compiler.compile_extra(cpu_target.typing_context, _target(), function, arguments, None, flags, {})


class _Unoptimized(codegen.AOTCPUCodegen):  # type: ignore[misc]  # numba is untyped
    """numba's way to LLVM, without an engine that would make every part ready to run, and without optimization."""

    def _pass_builder(self, **options: Any) -> Any:
        return super()._pass_builder(**{**options, "opt": 0})


@cache
def _target() -> Any:
    return cpu_target.target_context.subtarget(_internal_codegen=_Unoptimized("parts", cpu_name="host"), aot_mode=True)
