"""Parts of steps: functions that steps call, in the language of `translate`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, eq=False)
class Part:
    """A function that steps call; LLVM decides where it becomes part of its caller.

    Attributes:
        function: of int64, parts and instructions; it gives nothing, an int64 or several.
    """

    function: Callable[..., Any]


def inline(function: Function) -> Function:
    """The decorator of parts of steps."""
    return cast(Function, Part(function))
