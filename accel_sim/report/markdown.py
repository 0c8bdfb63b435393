"""The tables of README.md, generated from the code: `python -m accel_sim.report.markdown README.md` rewrites them.

A table stands between the lines `<!-- generated: NAME -->` and `<!-- end -->`.
"""

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from accel_sim.compiler import DEFAULT_PROFILES
from accel_sim.frontend import SupportedOperator, supported_operators
from accel_sim.hardware import AcceleratorConfig, load_hardware, preset_names
from accel_sim.ir import ModelFormat
from accel_sim.numerics.profiles import PROFILES

_BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

_HELPERS = {"Requantize", "Reshape", "Transpose"}  # operators that many others use beside their own


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in GitHub's Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def operators_table() -> str:
    """Operators of the simulator and the file operators that become them."""
    supported = supported_operators()
    formats = list(dict.fromkeys(row.format for row in supported))
    ours = sorted({name for row in supported for name in row.becomes})
    rows = [[f"`{name}`", *(_sources(supported, name, form) for form in formats)] for name in ours]
    ends = [_sources(supported, "", form) for form in formats]
    return markdown_table(["operator", *formats], [*rows, ["at the ends, or folded away", *ends]])


def _sources(supported: Iterable[SupportedOperator], ours: str, form: str) -> str:
    """The file operators of a format that become `ours`; with "", those that become nothing."""
    rows = [row for row in supported if row.format == form]
    return ", ".join(row.operator for row in rows if (_stands_for(row, ours) if ours else not row.becomes))


def _stands_for(row: SupportedOperator, ours: str) -> bool:
    """Whether `ours` is what the file operator is about, and not only a helper that some of its forms need."""
    return ours in row.becomes and (ours not in _HELPERS or ours in (row.becomes[0], row.operator))


def profiles_table() -> str:
    """The arithmetic profiles."""
    default_for = {profile.name: f"`.{form.value}`" for form, profile in DEFAULT_PROFILES.items()}
    default_for[DEFAULT_PROFILES[ModelFormat.BUILT].name] = "networks built or quantized in memory"
    rows = [[f"`{p.name}`", p.reproduces, default_for.get(p.name, "")] for p in PROFILES.values()]
    return markdown_table(["profile", "reproduces", "default for"], rows)


def hardware_table() -> str:
    """The preset accelerators."""
    return markdown_table(["preset", "what it is", "source of its numbers"], map(_preset, preset_names()))


def _preset(name: str) -> list[str]:
    config: AcceleratorConfig = load_hardware(name)
    return [f"`{name}`", config.description, config.source]


TABLES = {"operators": operators_table, "profiles": profiles_table, "hardware": hardware_table}


def regenerated(text: str) -> str:
    """A document with its generated tables as they should be.

    Raises:
        KeyError: a block that names no table.
    """
    return _BLOCK.sub(lambda block: f"{block[1]}{TABLES[block[2]]()}{block[3]}", text)


def main() -> None:
    """Rewrite the tables of the documents named on the command line."""
    for path in map(Path, sys.argv[1:]):
        path.write_text(regenerated(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
