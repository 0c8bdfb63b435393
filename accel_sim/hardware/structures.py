"""From a preset's name or a TOML file to an AccumulatorStructure; every fault is listed at once.

::

    name = "mine"                     # required; also description, source
    raw_codes = false                 # these keys as in AccumulatorStructure
    inputs = "uint8"
    weights = "int8"
    depthwise = true
    spacing = 1
    doubles = false

    [[stages]]                        # first to last
    bits = 16                         # 8 to 64
    overflow = "saturate"             # or "wrap", the default
    terms = 2                         # or "rows": of the grid; none in the last stage

    [[stages]]
    bits = 32
"""

import os
import re
from collections.abc import Sequence
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Any

from accel_sim.arguments import is_whole, wrong_kind
from accel_sim.errors import Fault, HardwareError
from accel_sim.numerics.accumulators import NARROWEST, WIDEST, AccumulatorStructure, OverflowPolicy, Stage, plain
from accel_sim.toml_text import parse_toml

_PRESETS = resources.files("accel_sim.hardware") / "accumulators"
_TEXTS = ("name", "inputs", "weights", "description", "source")
_FLAGS = ("raw_codes", "depthwise", "doubles")
_KEYS = tuple(f.name for f in fields(AccumulatorStructure))
_STAGE_KEYS = ("bits", "overflow", "terms")
DEFAULT_ROWS = 16
_WIDTH = re.compile(r"(\d{1,4})(?::(wrap|saturate))?")


def structure_names() -> tuple[str, ...]:
    """The presets that `load_structure` knows, sorted."""
    return tuple(sorted(f.name.removesuffix(".toml") for f in _PRESETS.iterdir() if f.name.endswith(".toml")))


def structure_rule(*others: str) -> str:
    """What `resolve_structure` takes, as a sentence; `others` are what its caller takes besides."""
    widths = (f"a width from {NARROWEST} to {WIDEST} bits", "20:wrap", "20:saturate")
    return f"is {', '.join((*widths, *others, _named_rule()))}"


def _named_rule() -> str:
    return f"a preset ({', '.join(structure_names())}) or a TOML file"


def load_structure(name_or_path: str | os.PathLike[str], rows: int = DEFAULT_ROWS) -> AccumulatorStructure:
    """The accumulator of a preset or a TOML file.

    Args:
        name_or_path: one of `structure_names()`, or a path.
        rows: of the grid, for stages whose terms are "rows".

    Raises:
        HardwareError: no such preset or file; not TOML; and, all of them in one error: unknown or missing keys, wrong
            types, and everything that AccumulatorStructure refuses.
    """
    return parse_structure(_read(name_or_path, f"is {_named_rule()}"), os.fspath(name_or_path), rows)


def resolve_structure(
    spec: str | int | os.PathLike[str] | AccumulatorStructure, rows: int = DEFAULT_ROWS, *, others: Sequence[str] = ()
) -> AccumulatorStructure:
    """The accumulator that a text means.

    Args:
        spec: a width in bits ("20" or 20: wraps; "20:saturate"), one of `structure_names()`, a TOML file, a structure.
        rows: as for `load_structure`.
        others: what the caller takes besides, for messages.

    Raises:
        HardwareError: as `load_structure`, and widths outside 8 to 64 bits. TypeError: none of these.
    """
    if isinstance(spec, AccumulatorStructure):
        return spec
    if is_whole(spec):
        spec = str(spec)
    if not isinstance(spec, str | os.PathLike):
        raise wrong_kind("accumulator", spec, structure_rule(*others))
    text = os.fspath(spec)
    match = _WIDTH.fullmatch(text)
    if match is None:
        return parse_structure(_read(text, structure_rule(*others)), text, rows)
    return plain(int(match[1]), OverflowPolicy(match[2] or "wrap"))


def parse_structure(text: str, where: str = "accumulator", rows: int = DEFAULT_ROWS) -> AccumulatorStructure:
    """The accumulator of a TOML text; `where` names it in errors. Raises HardwareError as `load_structure`."""
    try:
        document = parse_toml(text)
    except ValueError as error:
        raise HardwareError(f"accumulator {where!r}", [Fault("TOML", str(error), "the file is valid TOML")]) from None
    faults: list[Fault] = []
    values = _values(document, faults)
    stages = _stages(document.get("stages"), rows, faults)
    if "name" not in document:
        faults.append(Fault("key name", "missing", "a text is required"))
    if faults:
        raise HardwareError(f"accumulator {where!r}", faults)
    try:
        return AccumulatorStructure(stages=tuple(stages), **values)
    except HardwareError as error:
        raise HardwareError(f"accumulator {where!r}", error.faults) from None


def _values(document: dict[str, Any], faults: list[Fault]) -> dict[str, Any]:
    """Every key but the stages, where its type is right."""
    values = {}
    for key, value in document.items():
        if key not in _KEYS:
            faults.append(Fault(f"key {key}", repr(value), f"is one of {', '.join(_KEYS)}"))
        elif key != "stages":
            wanted = str if key in _TEXTS else bool if key in _FLAGS else int
            if type(value) is wanted:
                values[key] = value
            else:
                said = {str: "a text", bool: "true or false", int: "a whole number"}[wanted]
                faults.append(Fault(f"key {key}", repr(value), f"is {said}"))
    return values


def _stages(tables: Any, rows: int, faults: list[Fault]) -> list[Stage]:
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        shown = "missing" if tables is None else repr(tables)
        faults.append(Fault("key stages", shown, "is a list of tables, [[stages]]"))
        return []
    built = (_stage(f"stage {number}", table, rows, faults) for number, table in enumerate(tables, 1))
    return [stage for stage in built if stage is not None]


def _stage(where: str, table: dict[str, Any], rows: int, faults: list[Fault]) -> Stage | None:
    before = len(faults)
    for key in table.keys() - set(_STAGE_KEYS):
        faults.append(Fault(f"{where}, key {key}", repr(table[key]), f"is one of {', '.join(_STAGE_KEYS)}"))
    bits, terms, overflow = table.get("bits"), table.get("terms"), table.get("overflow", OverflowPolicy.WRAP.value)
    if type(bits) is not int:
        faults.append(
            Fault(f"{where}, key bits", "missing" if bits is None else repr(bits), "is a whole number of bits")
        )
    if terms == "rows":
        terms = rows
    if terms is not None and type(terms) is not int:
        faults.append(Fault(f"{where}, key terms", repr(terms), 'is a whole number, or "rows"'))
    if overflow not in [policy.value for policy in OverflowPolicy]:
        faults.append(Fault(f"{where}, key overflow", repr(overflow), "is one of wrap, saturate"))
    if len(faults) > before or type(bits) is not int:
        return None
    return Stage(bits, OverflowPolicy(overflow), terms)


def _read(name_or_path: str | os.PathLike[str], rule: str) -> str:
    name = os.fspath(name_or_path)
    if name in structure_names():
        return (_PRESETS / f"{name}.toml").read_text("utf-8")
    try:
        return Path(name).read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise HardwareError(f"accumulator {name!r}", [Fault("accumulator", repr(name), rule)]) from None
    except (OSError, ValueError) as error:  # a directory, no permission, a name that no file can have, not UTF-8
        fault = Fault("accumulator", str(error), "is a readable TOML file in UTF-8")
        raise HardwareError(f"accumulator {name!r}", [fault]) from None
