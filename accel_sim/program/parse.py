"""The text form back to a Program; every faulty statement is reported with its line, in one ProgramError."""

import base64
import re
import zlib
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field
from typing import Any

from accel_sim.errors import AccelSimError, Fault, ProgramError
from accel_sim.hardware import AcceleratorConfig, parse_hardware
from accel_sim.program.commands import Command
from accel_sim.program.lexer import ParseFault, ValueParser
from accel_sim.program.program import Port, Program
from accel_sim.program.registry import fits, type_name, typed_fields
from accel_sim.program.text import HEADER, SETTINGS

_SETTINGS = {f.name: (f, hint) for f, hint in typed_fields(Program) if f.name in SETTINGS}
_CONSTANTS = re.compile(r"constants (\d{1,15}) bytes(:| elided)\s*\Z")


@dataclass
class _Parts:
    """What the statements read so far have given."""

    settings: dict[str, Any] = field(default_factory=dict)
    hardware: AcceleratorConfig | None = None
    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    constants: bytes | None = None


def parse_program(text: str) -> Program:
    """The program of a text that `format_program` wrote (or a person edited).

    Raises:
        ProgramError: listing each faulty statement with its line, the value, and the rule.
    """
    parts = _Parts()
    faults: list[Fault] = []
    first, _, rest = text.partition("\n")
    if first.strip() != HEADER:
        raise ProgramError("program text", [Fault("line 1", repr(first[:60]), f"the first line is {HEADER!r}")])
    for line, statement in _statements(rest):
        try:
            _read(statement, line, parts)
        except ParseFault as error:
            faults.append(error.fault)
    faults += [Fault("program", key, "is missing") for key in _missing(parts)] if not faults else []
    if faults or parts.hardware is None or parts.constants is None:
        raise ProgramError("program text", faults)
    return Program(
        **parts.settings,
        hardware=parts.hardware,
        commands=tuple(parts.commands),
        inputs=tuple(parts.inputs),
        outputs=tuple(parts.outputs),
        constants=parts.constants,
    )


def _missing(parts: _Parts) -> list[str]:
    missing = [key for key, (f, _) in _SETTINGS.items() if key not in parts.settings and f.default is MISSING]
    missing += ["hardware"] if parts.hardware is None else []
    return missing + (["constants"] if parts.constants is None else [])


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """A statement begins at the start of a line and goes on as long as lines are indented or empty."""
    start, lines = 0, list[str]()
    for number, line in enumerate(text.split("\n"), start=2):
        if line.startswith("#"):
            line = ""
        if line.strip() and not line[0].isspace():
            if lines:
                yield start, "\n".join(lines)
            start, lines = number, []
        if lines or line.strip():
            lines.append(line)
            start = start or number
    if lines:
        yield start, "\n".join(lines)


def _read(statement: str, line: int, parts: _Parts) -> None:
    head, _, body = statement.partition("\n")
    word = re.split(r"[\s:(=]", head, maxsplit=1)[0]
    if word == "hardware":
        _once(parts.hardware, line, word)
        parts.hardware = _hardware(head, body, line)
    elif word == "constants":
        _once(parts.constants, line, word)
        parts.constants = _constants(head, body, line)
    elif word in _SETTINGS:
        _once(parts.settings.get(word), line, word)
        parts.settings[word] = _setting(word, statement, line)
    elif word in ("input", "output"):
        ports = parts.inputs if word == "input" else parts.outputs
        ports.append(_value(statement[len(word) :], line, Port))
    else:
        parts.commands.append(_value(statement, line, Command))


def _once(already: object, line: int, word: str) -> None:
    if already is not None:
        raise ParseFault(line, word, "stands once")


def _value(source: str, line: int, kind: type) -> Any:
    parser = ValueParser(source, line)
    found = parser.value()
    parser.finish()
    if not isinstance(found, kind):
        raise ParseFault(line, source.split("\n", 1)[0][:60], f"here stands a {kind.__name__}")
    return found


def _setting(word: str, statement: str, line: int) -> Any:
    parser = ValueParser(statement, line)
    parser.take("name", word)
    parser.take("mark", "=")
    found = parser.value()
    parser.finish()
    hint = _SETTINGS[word][1]
    if not fits(found, hint) or (isinstance(found, int) and found < 0):
        raise ParseFault(line, repr(found), f"{word} is {type_name(hint)}{', not negative' if hint is int else ''}")
    return found


def _hardware(head: str, body: str, line: int) -> AcceleratorConfig:
    if head.strip() != "hardware:":
        raise ParseFault(line, head[:60], "is 'hardware:', its TOML on the indented lines below")
    try:
        return parse_hardware("\n".join(part.strip() for part in body.split("\n")))
    except AccelSimError as error:
        raise ParseFault(line, "hardware", "; ".join(map(str, error.faults))) from None


def _constants(head: str, body: str, line: int) -> bytes:
    match = _CONSTANTS.match(head)
    if match is None:
        raise ParseFault(line, head[:60], "is 'constants N bytes:' and base64 on the indented lines below")
    size, form = int(match[1]), match[2]
    if form == " elided":
        raise ParseFault(line, head, "a program to run holds its constants; print it with constants=True")
    try:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(base64.b64decode("".join(body.split()), validate=True), size + 1)
    except (ValueError, zlib.error) as error:
        raise ParseFault(line, str(error), "constants are zlib in base64") from None
    if len(data) != size or not unpacker.eof:
        raise ParseFault(line, f"{len(data)} bytes or more", f"the constants have the stated {size} bytes")
    return data
