"""Fields of JSON objects, checked: every violated rule is collected, and reading goes on."""

from collections.abc import Iterator
from typing import Any

from accel_sim.errors import Fault

_WIDEST = 32


class Fields:
    """The fields of one encoding and the faults found in them so far."""

    def __init__(self, where: str, content: dict[str, Any], faults: list[Fault]) -> None:
        self.where, self.content, self._faults = where, content, faults

    def refuse(self, key: str, value: Any, rule: str, cure: str = "") -> None:
        """Note a fault."""
        self._faults.append(Fault(self.where, f"{key} {_short(value)}", rule, cure))

    def bits(self, key: str) -> int:
        """A bit width."""
        value = self.content.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and 2 <= value <= _WIDEST:
            return value
        self.refuse(key, value, f"is a bit width of 2 to {_WIDEST}")
        return 8

    def word(self, key: str, *allowed: Any) -> Any:
        """One of a few values; the first of them where it is another."""
        value = self.content.get(key)
        if any(type(value) is type(a) and value == a for a in allowed):
            return value
        self.refuse(key, value, f"is {' or '.join(map(repr, allowed))}")
        return allowed[0]

    def scales(self, key: str, values: list[Any]) -> tuple[float, ...]:
        """Positive finite numbers, also as float32."""
        bad = [v for v in values if not _is_scale(v)]
        if values and not bad:
            return tuple(map(float, values))
        self.refuse(key, bad[0] if bad else values, "scales are positive and finite float32 numbers, at least one")
        return (1.0,)

    def integers(self, key: str, values: list[Any], count: int, low: int, high: int) -> tuple[int, ...]:
        """As many whole numbers as there are scales, in a range."""
        bad = [v for v in values if not _is_whole(v)]
        if bad:
            self.refuse(key, bad[0], "zero points and offsets are whole numbers")
        elif len(values) != count:
            self.refuse(key, f"{len(values)} values", f"has as many values as there are scales ({count})")
        elif out := [v for v in values if not low <= v <= high]:
            self.refuse(key, out[0], f"lies in [{low}, {high}], the codes of this width")
        else:
            return tuple(map(int, values))
        return (min(max(0, low), high),) * count

    def count(self, key: str) -> int | None:
        """A number counted from 0 that may be absent."""
        value = self.content.get(key)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
            return value
        self.refuse(key, value, "is a whole number from 0")
        return None

    def array(self, key: str) -> list[Any]:
        """A list of one axis."""
        value = self.content.get(key)
        if isinstance(value, list):
            return value
        self.refuse(key, value, "is a list of numbers")
        return []


def flattened(value: Any) -> tuple[list[Any], tuple[int, ...]] | None:
    """A number or nested list in row-major order, and its shape; None where the lists are ragged."""
    if not isinstance(value, list):
        return [value], ()
    parts = [flattened(v) for v in value]
    if any(p is None for p in parts) or len({p[1] for p in parts if p is not None}) > 1:
        return None
    inner = next((p[1] for p in parts if p is not None), ())
    return list(_joined(parts)), (len(value), *inner)


def _joined(parts: list[Any]) -> Iterator[Any]:
    for values, _ in parts:
        yield from values


def _is_scale(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 2.0**-149 <= value <= (2 - 2.0**-23) * 2.0**127  # false for NaN


def _is_whole(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or value.is_integer()  # false for NaN and infinity


def _short(value: Any) -> str:
    text = "absent" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
