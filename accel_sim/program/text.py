"""A Program as text, one field per line, that `parse_program` reads back as an equal Program.

::

    accel-sim program 1
    name = "kws"
    profile = "tflite"
    model_sha256 = "..."
    activation_bytes = 32000
    shapes = (("logits", (1, 12)),)
    hardware:
      (the configuration as TOML, indented)
    input Port(name="input_1", operand=%"input_1" activations+0 int8[1,490], quant=..., file_axes=())
    Convolve(
      layer="conv", op="Conv2D",
      input=%"input_1" activations+0 int8[1,49,10,1],
      ...
      output=FixedPointRequantization(zero_point=-128, low=(-128,), ..., rounding=Rounding.DOUBLE),
      tiling=Tiling(rows=125, reduction=16, columns=16))
    output Port(...)
    constants 53248 bytes:
      (zlib, base64, indented)

An operand is `%"name" region+address dtype[shape]`; a value repeated in a tuple is `value x count`; `#` begins a
comment.
"""

import base64
import json
import textwrap
import zlib
from dataclasses import fields, is_dataclass
from enum import Enum
from itertools import groupby
from typing import Any

from accel_sim.errors import Fault, ProgramError
from accel_sim.hardware import to_toml
from accel_sim.program.commands import Command
from accel_sim.program.operands import Operand
from accel_sim.program.program import Program

HEADER = "accel-sim program 1"
SETTINGS = ("name", "profile", "model_sha256", "activation_bytes", "shapes")
"""The fields of a Program that are a line `field = value` each."""
_REPEATED = 4  # shorter runs in a tuple are written out
_BASE64_COLUMNS = 116


def format_program(program: Program, *, constants: bool = True) -> str:
    """The program as text. Without `constants` their bytes are left out: for people, it does not parse back."""
    lines = [
        HEADER,
        *(f"{key} = {format_value(getattr(program, key))}" for key in SETTINGS),
        "hardware:",
        textwrap.indent(to_toml(program.hardware).rstrip("\n"), "  "),
        *(f"input {format_value(port)}" for port in program.inputs),
        *(format_command(command) for command in program.commands),
        *(f"output {format_value(port)}" for port in program.outputs),
        _constants_text(program.constants) if constants else f"constants {len(program.constants)} bytes elided",
    ]
    return "\n".join(lines) + "\n"


def format_command(command: Command) -> str:
    """One command, a line for its layer and one for each further field."""
    head, *rest = (f"{f.name}={format_value(getattr(command, f.name))}" for f in fields(command))
    if rest:
        head, rest = f"{head}, {rest[0]}", rest[1:]
    return f"{type(command).__name__}(\n  " + ",\n  ".join([head, *rest]) + ")"


def format_value(value: Any) -> str:
    """One value of a field. Raises ProgramError for a type that programs do not contain."""
    if isinstance(value, Operand):
        shape = ",".join(map(str, value.shape))
        return f"%{json.dumps(value.name)} {value.region.value}+{value.address} {value.dtype}[{shape}]"
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if is_dataclass(value):
        inner = ", ".join(f"{f.name}={format_value(getattr(value, f.name))}" for f in fields(value))
        return f"{type(value).__name__}({inner})"
    if isinstance(value, tuple):
        items = [text for run, same in groupby(map(format_value, value)) for text in _run(run, len(list(same)))]
        return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"
    if value is None or type(value) in (bool, int):
        return str(value)
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, str):
        return json.dumps(value)
    raise ProgramError(
        "program text", [Fault("value", repr(value), "is made of numbers, texts, tuples and dataclasses")]
    )


def _run(item: str, count: int) -> list[str]:
    return [f"{item} x {count}"] if count >= _REPEATED else [item] * count


def _constants_text(constants: bytes) -> str:
    packed = base64.b64encode(zlib.compress(constants, 6)).decode("ascii")
    lines = [f"  {packed[i : i + _BASE64_COLUMNS]}" for i in range(0, len(packed), _BASE64_COLUMNS)]
    return "\n".join([f"constants {len(constants)} bytes:", *lines])
