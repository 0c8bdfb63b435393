"""Reading encodings files: every fault of a file in one message."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from accel_sim.errors import Fault, InputError
from accel_sim.frontend.encodings.entries import read_entry
from accel_sim.frontend.encodings.records import VERSIONS, Encoding, Encodings, Role

_MOST_BYTES = 1 << 30
_LISTS = (("activation_encodings", Role.ACTIVATION), ("param_encodings", Role.PARAMETER))


def load_encodings(path: str | Path) -> Encodings:
    """An encodings file.

    Args:
        path: a JSON file of version 0.6.1, 1.0.0, 2.0.0 or 2.1.0.

    Raises:
        InputError: the file cannot be read or is not such a file; every fault is listed.
    """
    subject = f"encodings {str(path)!r}"
    try:
        if Path(path).stat().st_size > _MOST_BYTES:
            raise InputError(subject, [Fault("file", "over a gigabyte", "is an encodings file, a JSON text")])
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(subject, [Fault("file", reason, "can be read")]) from None
    return parse_encodings(content, subject)


def parse_encodings(content: bytes | str, subject: str = "encodings") -> Encodings:
    """The contents of an encodings file.

    Args:
        content: JSON.
        subject: how errors name it.

    Raises:
        InputError: listing every fault.
    """
    document = _document(content, subject)
    version = document.get("version")
    if version not in VERSIONS:
        rule = f"is one of {', '.join(VERSIONS)}"
        raise InputError(subject, [Fault("version", "absent" if version is None else repr(version), rule)])
    faults: list[Fault] = []
    entries = []
    for role, name, entry in _entries(document, version, faults):
        made = read_entry(version, name, entry, role, faults)
        if made is not None:
            entries.append(made)
    faults += _repeated(entries)
    if faults:
        raise InputError(subject, faults)
    listed = {"version", "encodings"} if version >= "2" else {"version", *(key for key, _ in _LISTS)}
    return Encodings(version, tuple(entries), {k: v for k, v in document.items() if k not in listed})


def _document(content: bytes | str, subject: str) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:  # ValueError: also text that is not UTF-8
        fault = Fault("file", str(error) or type(error).__name__, "is a complete JSON text")
        raise InputError(subject, [fault]) from None
    if not isinstance(document, dict):
        raise InputError(subject, [Fault("file", type(document).__name__, "is a JSON object")])
    return document


def _entries(document: dict[str, Any], version: str, faults: list[Fault]) -> Iterator[tuple[Role, str, Any]]:
    """Role, tensor name and content of every entry."""
    lists = (("encodings", Role.UNKNOWN),) if version >= "2" else _LISTS
    kind, word = (dict, "an object of tensor names") if version == "0.6.1" else (list, "a list of objects")
    for key, role in lists:
        column = document.get(key)
        if not isinstance(column, kind):
            found = "absent" if column is None else type(column).__name__
            faults.append(Fault(key, found, f"is {word} in version {version}", "is the version right?"))
        elif isinstance(column, dict):
            yield from ((role, name, entry) for name, entry in column.items())
        else:
            for index, entry in enumerate(column):
                name = entry.get("name") if isinstance(entry, dict) else None
                if isinstance(name, str) and name:
                    yield role, name, entry
                else:
                    faults.append(Fault(f"{key}[{index}]", "no name", "is an object with the name of a tensor"))


def _repeated(entries: list[Encoding]) -> Iterator[Fault]:
    seen: set[str] = set()
    for entry in entries:
        if entry.name in seen:
            yield Fault(f"encoding of {entry.name!r}", "given twice", "a tensor has one encoding")
        seen.add(entry.name)
