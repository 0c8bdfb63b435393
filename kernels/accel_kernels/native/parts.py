"""Parts of steps: Python functions that are compiled as part of what calls them.

numba's own decorator would optimize each part and write machine code for it, though only the whole step ever runs. A
part here is typed and lowered once per set of types, without optimization; LLVM sees it when it optimizes the step.
"""

from collections.abc import Callable
from functools import cache
from inspect import Parameter, signature
from types import FunctionType
from typing import Any, TypeVar, cast

from numba.core import codegen, compiler
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from accel_kernels.native.emit import instruction

Function = TypeVar("Function", bound=Callable[..., Any])


def inline(function: Function) -> Function:
    """The decorator of parts of steps."""

    def part(typingctx: Any, *arguments: Any, **named: Any) -> Any:
        compiled = lowered(function, shape.bind(*arguments, **named).args)

        def call(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            context.add_linking_libs([compiled.library])
            return context.call_internal_no_propagate(builder, compiled.fndesc, signature, values)[1]

        return compiled.signature, call

    shape = signature(function)
    context = Parameter("typingctx", Parameter.POSITIONAL_OR_KEYWORD)
    part.__name__ = function.__name__
    part.__signature__ = shape.replace(parameters=[context, *shape.parameters.values()])  # type: ignore[attr-defined]
    return cast(Function, instruction(part))


def as_part(kernel: Any) -> Any:
    """The function of a kernel of numbers as a part, and of the kernels that it calls."""
    function = kernel.py_func
    named = ((name, function.__globals__.get(name)) for name in function.__code__.co_names)
    called = {name: as_part(value) for name, value in named if hasattr(value, "py_func")}
    return inline(FunctionType(function.__code__, {**function.__globals__, **called}, function.__name__))


def lowered(function: Callable[..., Any], arguments: tuple[Any, ...], result: Any = None) -> Any:
    """What numba makes of a function of some types, before LLVM has seen what it calls."""
    flags = compiler.Flags()
    flags.no_compile = True
    flags.no_cpython_wrapper = True
    flags.no_cfunc_wrapper = True
    flags.error_model = "numpy"
    return compiler.compile_extra(cpu_target.typing_context, _target(), function, arguments, result, flags, {})


def intermediate(whole: Any) -> str:
    """A lowered function with all its parts, in LLVM's intermediate form."""
    with global_compiler_lock:
        whole.library.finalize()
        text: str = whole.library.get_llvm_str()
    return text


class _Unoptimized(codegen.AOTCPUCodegen):  # type: ignore[misc]  # numba is untyped
    """numba's way to LLVM, without an engine that would make every part ready to run, and without optimization.

    Functions of numba's own that parts call still come through its usual way: kernels of arrays use them as well.
    """

    def _pass_builder(self, **options: Any) -> Any:
        return super()._pass_builder(**{**options, "opt": 0})


@cache
def _target() -> Any:
    return cpu_target.target_context.subtarget(_internal_codegen=_Unoptimized("steps", cpu_name="host"), aot_mode=True)
