"""Writing encodings files, and what each version cannot say."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from accel_sim.arguments import choice_faults
from accel_sim.errors import Fault, InputError
from accel_sim.frontend.encodings.records import VERSIONS, Encoding, Encodings, Role

_WIDTHS_OF_2 = (2, 4, 8, 16, 32)


def encodings_text(encodings: Encodings, version: str) -> str:
    """The JSON of an encodings file, objects sorted by key.

    What the version cannot say but a reader can infer is left out, and `losses` lists it.

    Args:
        encodings: roles known where the version has two lists.
        version: one of `VERSIONS`.

    Raises:
        InputError: listing what the version cannot say at all: an unknown version, blocks in 0.6.1, widths for which
            2.x has no type, floats in 2.x, tensors of which nobody knows whether they are parameters.
    """
    faults = choice_faults("version", version, VERSIONS)
    if faults:
        raise InputError("encodings", faults)
    faults = [fault for entry in encodings.entries for fault in _faults(entry, version)]
    if faults:
        raise InputError(f"encodings in version {version}", faults)
    document: dict[str, Any] = dict(encodings.extras) | {"version": version}
    if version >= "2":
        document["encodings"] = [_entry_2(e) for e in encodings.entries]
    else:
        document["activation_encodings"] = _column(encodings, version, Role.ACTIVATION)
        document["param_encodings"] = _column(encodings, version, Role.PARAMETER)
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def losses(encodings: Encodings, version: str) -> tuple[str, ...]:
    """What a file of this version does not say, one line for each kind."""
    if version >= "2":
        return ()
    lines = []
    unsaid = [e.name for e in encodings.entries if e.axis is not None and e.per_channel]
    if unsaid:
        lines.append(f"the channel axis, which readers infer from the operator: {_names(unsaid)}")
    shifted = [e.name for e in encodings.entries if e.signed and not e.is_symmetric]
    if shifted:
        lines.append(f"signed codes of grids with a zero point, written as unsigned ones: {_names(shifted)}")
    return tuple(lines)


def _names(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _faults(entry: Encoding, version: str) -> Iterator[Fault]:
    where = f"encoding of {entry.name!r}"
    if version >= "2":
        if entry.is_float:
            yield Fault(where, f"float{entry.bits}", "version 2 has no plain floats", "leave the tensor out")
        elif entry.bits not in _WIDTHS_OF_2:
            yield Fault(where, f"{entry.bits} bits", f"version 2 has types of {', '.join(map(str, _WIDTHS_OF_2))} bits")
        if (entry.per_channel or entry.block_size) and entry.axis is None:
            yield Fault(where, "no axis", "version 2 says the axis", "resolve the encodings on their network first")
    elif entry.role is Role.UNKNOWN:
        cure = "resolve the encodings on their network first"
        yield Fault(where, "activation or parameter?", f"version {version} has a list for each", cure)
    if version == "0.6.1" and entry.block_size:
        yield Fault(where, f"blocks of {entry.block_size}", "version 0.6.1 has scales per tensor or channel")


def _column(encodings: Encodings, version: str, role: Role) -> Any:
    entries = [e for e in encodings.entries if e.role is role]
    if version == "0.6.1":
        return {e.name: _entry_0_6_1(e) for e in entries}
    return [_entry_1_0_0(e) for e in entries]


def _entry_0_6_1(entry: Encoding) -> list[dict[str, Any]]:
    if entry.is_float:
        return [{"bitwidth": entry.bits, "dtype": "float"}]
    return [
        {
            "bitwidth": entry.bits,
            "dtype": "int",
            "is_symmetric": str(entry.is_symmetric),
            "min": offset * scale,
            "max": (offset + (1 << entry.bits) - 1) * scale,
            "offset": offset,
            "scale": scale,
        }
        for scale, offset in zip(entry.scale, entry.offset, strict=True)
    ]


def _entry_1_0_0(entry: Encoding) -> dict[str, Any]:
    if entry.is_float:
        return {"name": entry.name, "bw": entry.bits, "dtype": "FLOAT", "enc_type": "PER_TENSOR"}
    kind = "PER_BLOCK" if entry.block_size else "PER_CHANNEL" if entry.per_channel else "PER_TENSOR"
    return {
        "name": entry.name,
        "bw": entry.bits,
        "dtype": "INT",
        "enc_type": kind,
        "is_sym": entry.is_symmetric,
        "offset": list(entry.offset),
        "scale": list(entry.scale),
    } | ({"block_size": entry.block_size} if entry.block_size else {})


def _entry_2(entry: Encoding) -> dict[str, Any]:
    shape = entry.shape or ((len(entry.scale),) if entry.per_channel or entry.block_size else ())
    made: dict[str, Any] = {
        "name": entry.name,
        "output_dtype": f"{'' if entry.signed else 'u'}int{entry.bits}",
        "y_scale": np.array(entry.scale, np.float64).reshape(shape).tolist(),
    }
    if any(entry.zero_point):
        made["y_zero_point"] = np.array(entry.zero_point, np.int64).reshape(shape).tolist()
    if entry.axis is not None:
        made["axis"] = entry.axis
    if entry.block_size:
        made["block_size"] = entry.block_size
    return made
