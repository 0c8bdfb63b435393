"""Every dataclass and enum that may appear in a program, found from the fields of Command and Port themselves."""

from dataclasses import Field, fields, is_dataclass
from enum import Enum
from functools import cache
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from accel_sim.program.commands import Command
from accel_sim.program.program import Port


@cache
def program_types() -> MappingProxyType[str, type]:
    """Name -> dataclass or enum, for all commands, recipes and what their fields hold."""
    found: dict[str, type] = {}
    pending: list[Any] = [Command, Port]
    while pending:
        kind = pending.pop()
        pending += get_args(kind)
        if not isinstance(kind, type) or found.get(kind.__name__) is kind:
            continue
        if issubclass(kind, Enum):
            found[kind.__name__] = kind
        elif is_dataclass(kind):
            found[kind.__name__] = kind
            pending += [hint for _, hint in typed_fields(kind)] + kind.__subclasses__()
    return MappingProxyType(found)


@cache
def typed_fields(kind: type) -> tuple[tuple[Field[Any], Any], ...]:
    """The fields of a dataclass with their resolved types."""
    hints = get_type_hints(kind)
    return tuple((f, hints[f.name]) for f in fields(kind))


def fits(value: object, hint: Any) -> bool:
    """Whether a value may stand in a field of that type. An int may stand for a float, a bool for nothing else."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return any(fits(value, choice) for choice in get_args(hint))
    if origin is tuple:
        return isinstance(value, tuple) and _tuple_fits(value, get_args(hint))
    if hint is None or hint is NoneType:
        return value is None
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _tuple_fits(value: tuple[object, ...], inner: tuple[Any, ...]) -> bool:
    if len(inner) == 2 and inner[1] is Ellipsis:
        return all(fits(item, inner[0]) for item in value)
    return len(value) == len(inner) and all(map(fits, value, inner))


def type_name(hint: Any) -> str:
    """The type as error messages show it: `int`, `tuple[int, ...]`, `Operand or nothing`."""
    if get_origin(hint) in (Union, UnionType):
        return " or ".join("nothing" if choice is NoneType else type_name(choice) for choice in get_args(hint))
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint)
