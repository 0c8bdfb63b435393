"""Units and ranges of configuration fields, declared beside the field and checked in one place."""

import math
from dataclasses import MISSING, Field, field, fields
from typing import Any

from accel_sim.errors import Fault, HardwareError


def described(unit: str, low: float, high: float, *, default: Any = MISSING) -> Any:
    """A dataclass field with a unit and an inclusive range."""
    return field(default=default, metadata={"unit": unit, "low": low, "high": high})


def range_faults(part: Any) -> list[Fault]:
    """Every field of a configuration dataclass whose number is outside its declared range."""
    return [fault for f in fields(part) for fault in field_faults(f, getattr(part, f.name), f.name)]


def range_text(low: float, high: float, unit: str) -> str:
    """`1 to 4096 processing elements`, `at least 0.000001 bytes per cycle`."""
    return f"at least {_plain(low)} {unit}" if math.isinf(high) else f"{_plain(low)} to {_plain(high)} {unit}"


def _plain(value: float) -> str:
    """A number without an exponent, as TOML takes it: `4096`, `1_000_000`, `0.000001`."""
    text = f"{value:_.12f}" if value >= 1e6 else f"{value:.12f}"
    return text.rstrip("0").rstrip(".")


def field_faults(f: Field[Any], value: Any, where: str) -> list[Fault]:
    """The fault of one number outside its field's range, or nothing."""
    if "low" not in f.metadata:
        return []
    low, high, unit = f.metadata["low"], f.metadata["high"], f.metadata["unit"]
    if low <= value <= high:  # false for NaN, as it must be
        return []
    return [Fault(where, f"{value:g}" if isinstance(value, float) else str(value), f"is {range_text(low, high, unit)}")]


def refuse(faults: list[Fault], subject: str) -> None:
    """Raise what is wrong, if anything is.

    Raises:
        HardwareError: with all faults.
    """
    if faults:
        raise HardwareError(subject, faults)
