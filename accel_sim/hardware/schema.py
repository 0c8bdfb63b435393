"""Between TOML tables and the configuration dataclasses, both ways; the dataclass fields are the schema."""

import difflib
import json
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from typing import Any, get_type_hints

from accel_sim.errors import Fault, HardwareError
from accel_sim.hardware.checks import field_faults, range_text
from accel_sim.hardware.config import AcceleratorConfig

_COMMENTS_AT = 40
"""Where comments begin in a line."""


def build(document: dict[str, Any], faults: list[Fault]) -> AcceleratorConfig | None:
    """The configuration of a TOML document; None after appending to `faults` everything that is wrong with it."""
    found = _build(AcceleratorConfig, document, "", faults)
    return found if isinstance(found, AcceleratorConfig) else None


def to_toml(config: AcceleratorConfig, *, explained: bool = False) -> str:
    """The configuration as TOML text that `parse_hardware` reads back as an equal configuration.

    Args:
        config: the accelerator.
        explained: whether each key's unit and range, or its choices, stand beside it as a comment.
    """
    return "\n".join(_lines(config, "", explained=explained)) + "\n"


def all_keys() -> tuple[str, ...]:
    """Every key a hardware file may have, dotted."""
    return tuple(_keys(AcceleratorConfig, ""))


def _keys(part: type, prefix: str) -> Iterator[str]:
    for f, kind in _schema(part):
        if is_dataclass(kind):
            yield from _keys(kind, f"{prefix}{f.name}.")
        else:
            yield f"{prefix}{f.name}"


def _schema(part: Any) -> list[tuple[Field[Any], type]]:
    hints = get_type_hints(part)
    return [(f, hints[f.name]) for f in fields(part)]


def _build(part: type, table: Any, prefix: str, faults: list[Fault]) -> object | None:
    if not isinstance(table, dict):
        faults.append(Fault(f"key {prefix.rstrip('.')}", repr(table), "is a table of keys"))
        return None
    schema = _schema(part)
    known = {f.name for f, _ in schema}
    for key in sorted(table.keys() - known):
        faults += _unknown(f"{prefix}{key}", table[key])
    values, complete = {}, True
    for f, kind in schema:
        key, before = f"{prefix}{f.name}", len(faults)
        if is_dataclass(kind) and (f.name in table or _required(f)):
            values[f.name] = _build(kind, table.get(f.name, {}), f"{key}.", faults)
            complete &= values[f.name] is not None
        elif f.name in table:
            values[f.name] = _convert(table[f.name], kind, key, f, faults)
            complete &= len(faults) == before
        elif _required(f):
            faults.append(Fault(f"key {key}", "missing", f"{_wanted(kind, f)} is required"))
            complete = False
    if not complete:  # of what is whole, everything is checked, whatever else is wrong
        return None
    try:
        return part(**values)  # type: ignore[no-any-return]
    except HardwareError as error:
        faults += [Fault(_key(prefix, x.where), x.value, x.rule, x.cure) for x in error.faults]
        return None


def _key(prefix: str, where: str) -> str:
    return f"key {prefix}{where}"


def _required(f: Field[Any]) -> bool:
    return f.default is MISSING and f.default_factory is MISSING


def _unknown(key: str, value: object) -> Iterator[Fault]:
    if isinstance(value, dict) and value:
        for inner, inner_value in value.items():
            yield from _unknown(f"{key}.{inner}", inner_value)
        return
    nearest = difflib.get_close_matches(key, all_keys(), 1, cutoff=0.0)[0]
    yield Fault(f"key {key}", _shown(value), "is not a key of a hardware file", f"the nearest known key is {nearest}")


def _convert(value: Any, kind: Any, key: str, f: Field[Any], faults: list[Fault]) -> object:
    number = _number(value, kind)
    if number is not None:
        faults += field_faults(f, number, f"key {key}")
        return number
    if issubclass(kind, Enum):
        choices = [choice.value for choice in kind]
        if value in choices:
            return kind(value)
    elif kind in (bool, str) and isinstance(value, kind):
        return value
    cure = "a number without a unit" if kind in (int, float) and isinstance(value, str) else ""
    faults.append(Fault(f"key {key}", _shown(value), f"is {_wanted(kind, f)}", cure))
    return None


def _number(value: Any, kind: Any) -> float | None:
    """`value` as the number that a field of `kind` takes; None where it is not one. TOML's true is not a number."""
    if kind not in (int, float) or isinstance(value, bool):
        return None
    if isinstance(value, int):
        return kind(value)  # type: ignore[no-any-return]
    return value if kind is float and isinstance(value, float) else None


def _wanted(kind: Any, f: Field[Any]) -> str:
    """`a whole number of bytes`, `one of wrap, saturate`."""
    if issubclass(kind, Enum):
        return f"one of {', '.join(choice.value for choice in kind)}"
    unit = f" of {f.metadata['unit']}" if "unit" in f.metadata else ""
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}[kind] + unit


def _shown(value: object) -> str:
    text = repr(value) if not isinstance(value, bool) else str(value).lower()
    return text if len(text) <= 80 else text[:77] + "..."


def _lines(part: Any, prefix: str, *, explained: bool) -> Iterator[str]:
    """Plain keys first: in TOML a key after a table header belongs to that table."""
    inner = []
    for f in fields(part):
        value = getattr(part, f.name)
        if is_dataclass(value):
            inner.append((f.name, value))
        else:
            line = f"{f.name} = {_literal(value)}"
            comment = _comment(f, value) if explained else ""
            yield f"{line:<{_COMMENTS_AT}}# {comment}" if comment else line
    for name, value in inner:
        yield f"\n[{prefix}{name}]"
        yield from _lines(value, f"{prefix}{name}.", explained=explained)


def _comment(f: Field[Any], value: object) -> str:
    """What a key may be."""
    if "said" in f.metadata:
        return str(f.metadata["said"])
    if "unit" in f.metadata:
        return range_text(f.metadata["low"], f.metadata["high"], f.metadata["unit"])
    if isinstance(value, Enum):
        return ", ".join(choice.value for choice in type(value))
    return "true, false" if isinstance(value, bool) else ""


def _literal(value: object) -> str:
    if isinstance(value, Enum):
        return json.dumps(value.value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)  # repr of inf is inf, as TOML writes it
