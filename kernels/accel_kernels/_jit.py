"""The one decorator of kernels of arrays, and with it every policy of their compilation.

- No `fastmath`: floating-point results are the same on every machine. No `parallel`: its code shares cache files with
  serial code. `nogil`: kernels run on threads side by side.
- numba is imported when a kernel is first called, not when it is defined: it takes longer than a small network.
- numba's cache of machine code does not notice that a callee in another file, a flag or a package has changed. So the
  code lies in a directory named by a digest of all that it depends on (`_cache`); numba's own setting is put back
  after each decoration.
- `ACCEL_KERNELS_BOUNDSCHECK=1` checks every index. `NUMBA_DISABLE_JIT=1` runs the kernels as plain Python.
"""

import gc
import os
from collections.abc import Callable, Mapping
from functools import cache, cached_property, update_wrapper
from typing import Any, TypeVar, cast

from accel_kernels import _cache

Function = TypeVar("Function", bound=Callable[..., Any])

_DISABLED = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
_FLAGS = {
    "nogil": True,
    "error_model": "numpy",  # a division needs no branch; no kernel divides by zero
    "boundscheck": _cache.BOUNDS_CHECKED,
}
_LEAN = {"_nrt": False}


def kernel(function: Function) -> Function:
    """Compile a function of arrays and scalars at its first call, once per set of element types."""
    return function if _DISABLED else cast(Function, Kernel(function, _FLAGS))


def lean_kernel(function: Function) -> Function:
    """The same for a function that makes no arrays, only views of those it gets: references are not counted then."""
    return function if _DISABLED else cast(Function, Kernel(function, _FLAGS | _LEAN))


def part(choose: Callable[..., Callable[..., Any]] | None = None) -> Callable[[Function], Function]:
    """The decorator of parts of lean kernels: numba only types them, and LLVM optimizes the whole.

    With `choose`, what it makes of the arguments' types is compiled in place of the function.
    """

    def decorate(function: Function) -> Function:
        if _DISABLED:
            return function
        from accel_kernels._parts import inline

        return inline(function, choose)

    return decorate


class Kernel:
    """A function that becomes numba's dispatcher when it is called, or when a kernel that calls it is compiled."""

    def __init__(self, function: Callable[..., Any], flags: Mapping[str, object]) -> None:
        self.py_func, self._flags = function, flags
        update_wrapper(self, function)

    def __call__(self, *arguments: Any) -> Any:
        """Run the kernel."""
        return self.dispatcher(*arguments)

    @cached_property
    def dispatcher(self) -> Any:
        """numba's."""
        import numba
        from numba.core import config

        _watch_compilation()
        directory = _cache.directory()
        previous = config.CACHE_DIR
        try:
            config.CACHE_DIR = directory or previous
            compiled = numba.njit(self.py_func, cache=directory is not None, **self._flags)  # noqa: TID251 - the one place
        finally:
            config.CACHE_DIR = previous
        return compiled

    @property
    def _numba_type_(self) -> Any:
        """What numba takes the name of this kernel for, where another kernel calls it."""
        return self.dispatcher._numba_type_


@cache
def _watch_compilation() -> None:
    """Have numba say when it compiles a kernel that the cache does not hold, and compile without garbage collection.

    A compiler makes a million small objects, in which collection finds nothing and takes a fifth of the time.
    """
    from numba.core import event

    class Listener(event.Listener):  # type: ignore[misc]  # numba is untyped
        def __init__(self) -> None:
            self.depth, self.collects = 0, False

        def on_start(self, event: Any) -> None:
            _cache.say_compiling()
            if self.depth == 0:
                self.collects = gc.isenabled()
                gc.disable()
            self.depth += 1

        def on_end(self, event: Any) -> None:
            self.depth -= 1
            if self.depth == 0 and self.collects:
                gc.enable()

    event.register("numba:compile", Listener())
