"""From a preset's name or a TOML file, with overrides, to an AcceleratorConfig; every fault is listed at once."""

import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from accel_sim.arguments import check_texts, wrong_kind
from accel_sim.errors import Fault, HardwareError
from accel_sim.hardware.config import AcceleratorConfig
from accel_sim.hardware.schema import build
from accel_sim.toml_text import parse_toml

DEFAULT_HARDWARE = "edge-16x16"
_PRESETS = resources.files("accel_sim.hardware") / "presets"


def preset_names() -> tuple[str, ...]:
    """The names that `load_hardware` knows, sorted."""
    return tuple(sorted(f.name.removesuffix(".toml") for f in _PRESETS.iterdir() if f.name.endswith(".toml")))


def load_hardware(
    name_or_path: str | os.PathLike[str] = DEFAULT_HARDWARE, overrides: Sequence[str] = ()
) -> AcceleratorConfig:
    """The accelerator of a preset or a TOML file.

    Args:
        name_or_path: one of `preset_names()`, or a path.
        overrides: "KEY=VALUE" each, for example "grid.rows=128", "grid.dataflow=output_stationary".

    Raises:
        HardwareError: no such preset or file; not TOML; and, all of them in one error: unknown keys (with the nearest
            known one), missing keys, wrong types or units, values out of range, memories that cannot hold one tile.
        TypeError: neither a name nor a path, or overrides that are no list of texts.
    """
    if not isinstance(name_or_path, str | os.PathLike):
        raise wrong_kind("hardware", name_or_path, "is a preset's name or the path of a TOML file")
    changes = check_texts("overrides", overrides, '["grid.rows=128"]')
    return parse_hardware(_read(name_or_path), str(name_or_path), changes)


def parse_hardware(text: str, where: str = "hardware", overrides: Sequence[str] = ()) -> AcceleratorConfig:
    """The accelerator of a TOML text; `where` names it in errors. Raises HardwareError as `load_hardware`."""
    try:
        document = parse_toml(text)
    except ValueError as error:
        raise HardwareError(f"hardware {where!r}", [Fault("TOML", str(error), "the file is valid TOML")]) from None
    faults: list[Fault] = []
    for override in overrides:
        _override(document, override, faults)
    config = build(document, faults)
    if config is None or faults:
        raise HardwareError(f"hardware {where!r}", faults)
    return config


def _read(name_or_path: str | os.PathLike[str]) -> str:
    if name_or_path in preset_names():
        return (_PRESETS / f"{name_or_path}.toml").read_text("utf-8")
    subject = f"hardware {os.fspath(name_or_path)!r}"
    try:
        return Path(name_or_path).read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        known = f"is a preset ({', '.join(preset_names())}) or a TOML file"
        raise HardwareError(subject, [Fault("--hw", repr(os.fspath(name_or_path)), known)]) from None
    except (OSError, ValueError) as error:  # a directory, no permission, a name that no file can have, not UTF-8
        raise HardwareError(subject, [Fault("--hw", str(error), "is a readable TOML file in UTF-8")]) from None


def _override(document: dict[str, Any], override: str, faults: list[Fault]) -> None:
    """Sets one "KEY=VALUE" in a parsed TOML document."""
    key, equals, text = override.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        faults.append(Fault("--set", repr(override), "is KEY=VALUE, for example grid.rows=128"))
        return
    table = document
    for part in parts[:-1]:
        inner = table.setdefault(part, {})
        if not isinstance(inner, dict):
            faults.append(Fault(f"--set {key.strip()}", text, f"{part!r} is a value, not a table"))
            return
        table = inner
    table[parts[-1]] = _toml_value(text.strip())


def _toml_value(text: str) -> Any:
    """A value as TOML writes it; what is not TOML is a string, so that enum values need no quotes."""
    try:
        parsed = parse_toml(f"value = {text}")
    except ValueError:
        return text
    return parsed["value"] if set(parsed) == {"value"} else text
