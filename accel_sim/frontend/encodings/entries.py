"""One encoding of each version.

| | 0.6.1 | 1.0.0 | 2.0.0, 2.1.0 |
| --- | --- | --- | --- |
| entry | a list of objects, one per channel | an object | an object |
| width | bitwidth | bw | in output_dtype |
| sign | is_symmetric: "True", a string | is_sym: true | in output_dtype |
| zero | offset, of codes from 0 | offset, of codes from 0 | y_zero_point, of codes as output_dtype has them |
| channels | one object each, axis unsaid | PER_CHANNEL, axis unsaid | axis |
| blocks | cannot be said | PER_BLOCK, block_size; axes unsaid | axis, block_size |

Symmetric grids of 0.6.1 and 1.0.0 are signed. Two offsets do not say what they look like: 0 (codes that count from 0:
read as unsigned, which is the same real grid) and 1 - 2^(bits-1) (no lowest code: AIMET's strict symmetry, whose codes
from 0 leave out the highest one; kept as it is).
"""

from typing import Any

from accel_sim.errors import Fault
from accel_sim.frontend.encodings.entry_fields import Fields, flattened
from accel_sim.frontend.encodings.records import Encoding, Role

_UNMODELLED = ("per_block_int_scale", "per_channel_float_scale", "compressed_bw")


def read_entry(version: str, name: str, content: Any, role: Role, faults: list[Fault]) -> Encoding | None:
    """The encoding that `content` is in a version; None, and faults, where it is none."""
    where, before = f"encoding of {name!r}", len(faults)
    if version == "0.6.1":
        made = _read_0_6_1(where, name, content, role, faults)
    elif not isinstance(content, dict):
        faults.append(Fault(where, type(content).__name__, "is an object"))
        made = None
    else:
        read = _read_1_0_0 if version == "1.0.0" else _read_2
        made = read(Fields(where, content, faults), name, role)
    return made if len(faults) == before else None


def _read_0_6_1(where: str, name: str, content: Any, role: Role, faults: list[Fault]) -> Encoding | None:
    if not isinstance(content, list) or not content or not all(isinstance(c, dict) for c in content):
        faults.append(Fault(where, type(content).__name__, "is a list of objects, one or one per channel"))
        return None
    rows = [Fields(where if len(content) == 1 else f"{where}, channel {i}", c, faults) for i, c in enumerate(content)]
    first = rows[0]
    bits = first.bits("bitwidth")
    if first.word("dtype", "int", "float") == "float":
        return Encoding(name, bits, is_float=True, role=role)
    symmetric = first.word("is_symmetric", "False", "True") == "True"
    for row in rows[1:]:
        for key in ("bitwidth", "dtype", "is_symmetric"):
            if row.content.get(key) != first.content.get(key):
                row.refuse(key, row.content.get(key), f"is that of channel 0 ({first.content.get(key)!r})")
    scale = tuple(row.scales("scale", [row.content.get("scale")])[0] for row in rows)
    offset = tuple(row.integers("offset", [row.content.get("offset")], 1, -(1 << bits) + 1, 0)[0] for row in rows)
    signed = symmetric and any(offset)
    return Encoding(name, bits, scale, offset, signed, per_channel=len(rows) > 1, role=role)


def _read_1_0_0(fields: Fields, name: str, role: Role) -> Encoding | None:
    bits = fields.bits("bw")
    if fields.word("dtype", "INT", "FLOAT") == "FLOAT":
        return Encoding(name, bits, is_float=True, role=role)
    if _is_unmodelled(fields) or fields.content.get("enc_type") == "LPBQ":
        return None
    kind = fields.word("enc_type", "PER_TENSOR", "PER_CHANNEL", "PER_BLOCK")
    symmetric = fields.word("is_sym", False, True)  # noqa: FBT003 - the allowed values
    scale = fields.scales("scale", fields.array("scale"))
    offset = fields.integers("offset", fields.array("offset"), len(scale), -(1 << bits) + 1, 0)
    if any(fields.content.get("zero_point_shift") or ()):
        fields.refuse("zero_point_shift", fields.content["zero_point_shift"], "zero points are whole numbers")
    if kind == "PER_TENSOR" and len(scale) > 1:
        fields.refuse("scale", f"{len(scale)} values", "has one value per tensor")
    size = fields.count("block_size") or 0
    if (kind == "PER_BLOCK") != (size > 0):
        fields.refuse("block_size", fields.content.get("block_size"), "is given with PER_BLOCK, and with it alone")
    signed = bool(symmetric) and any(offset)
    return Encoding(name, bits, scale, offset, signed, None, kind == "PER_CHANNEL", size, role=role)


def _read_2(fields: Fields, name: str, role: Role) -> Encoding | None:
    kind = fields.content.get("output_dtype")
    if isinstance(kind, str) and kind.startswith("float"):
        fields.refuse("output_dtype", kind, "scaled floats are not modelled")
        return None
    signed, bits = _integer_type(fields, kind)
    if _is_unmodelled(fields) or isinstance(fields.content.get("y_scale"), dict):
        if isinstance(fields.content.get("y_scale"), dict):
            fields.refuse("y_scale", "an object", "scales that are quantized themselves are not modelled")
        return None
    flat = flattened(fields.content.get("y_scale"))
    if flat is None:
        fields.refuse("y_scale", "a ragged list", "is a number, or a list with rows of one length")
        return None
    scale, low = fields.scales("y_scale", flat[0]), 1 << (bits - 1) if signed else 0
    given = fields.content.get("y_zero_point")
    zeros = flattened(given) if given is not None else ([0] * len(scale), ())
    points = fields.integers("y_zero_point", zeros[0] if zeros else [], len(scale), -low, (1 << bits) - 1 - low)
    axis, size = fields.count("axis"), fields.count("block_size") or 0
    per_tensor = flat[1] in ((), (1,)) and axis is None
    if not per_tensor and axis is None:
        fields.refuse("axis", None, f"is given where there are {len(scale)} scales")
    if len(flat[1]) > 1 and not size:
        fields.refuse("block_size", None, "is given where scales have more than one axis")
    shape = flat[1] if size else ()
    offset = tuple(-z - low for z in points)
    return Encoding(
        name, bits, scale, offset, signed, axis, bool(flat[1]) and not per_tensor and not size, size, shape, role=role
    )


def _is_unmodelled(fields: Fields) -> bool:
    found = [key for key in _UNMODELLED if key in fields.content]
    if fields.content.get("enc_type") == "LPBQ":
        found = found or ["enc_type"]
    for key in found:
        fields.refuse(key, fields.content[key], "integer scales per block (LPBQ) are not modelled")
    return bool(found)


def _integer_type(fields: Fields, kind: Any) -> tuple[bool, int]:
    widths = {f"{sign}int{bits}": (not sign, bits) for sign in ("", "u") for bits in range(2, 17)}
    widths |= {"int32": (True, 32), "uint32": (False, 32)}
    if isinstance(kind, str) and kind in widths:
        return widths[kind]
    fields.refuse("output_dtype", kind, "is an integer type such as uint8 or int8")
    return False, 8
