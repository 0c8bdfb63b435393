"""AIMET encodings: what each version says and cannot say, damaged files, faults all at once."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from encoding_documents import DOCUMENTS, UINT8, V1, parsed, refused

from accel_sim import api
from accel_sim.errors import InputError
from accel_sim.frontend.encodings import VERSIONS, Encoding, Encodings, Role, parse_encodings

# --- what a version says --------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_says_the_same_grids(version: str) -> None:
    x, w = parsed(DOCUMENTS[version]).entries
    assert (x.name, x.scale, x.offset, x.zero_point, x.signed, x.bits) == ("x", (0.01,), (-100,), (100,), False, 8)
    assert (w.name, w.scale, w.offset, w.zero_point, w.signed) == ("w", (0.01, 0.01), (-128, -128), (0, 0), True)
    assert (x.per_channel, w.per_channel, w.axis) == (False, True, 0 if version >= "2" else None)
    assert x.role is (Role.UNKNOWN if version >= "2" else Role.ACTIVATION)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_read_and_written_says_the_same_numbers_and_keeps_what_else_the_file_says(version: str) -> None:
    document = DOCUMENTS[version] | {"producer": {"package": "somebody"}}
    written = json.loads(api.write_encodings(parsed(document), version)[0])
    assert written.keys() == document.keys()
    assert written["producer"] == {"package": "somebody"}
    assert parsed(written) == parsed(document)
    if version == "0.6.1":
        entry = written["activation_encodings"]["x"][0]
        assert (entry["is_symmetric"], entry["min"], entry["max"]) == ("False", -1.0, 155 * 0.01)
        assert written["param_encodings"]["w"][1]["is_symmetric"] == "True"


def test_offsets_as_floats_and_scales_of_one_element_are_what_aimet_writes() -> None:
    entry = {"name": "x", "output_dtype": "uint8", "y_scale": [0.5], "y_zero_point": [3]}
    (made,) = parsed({"version": "2.0.0", "encodings": [entry]}).entries
    assert (made.per_channel, made.scale, made.offset) == (False, (0.5,), (-3,))
    floats = DOCUMENTS["0.6.1"] | {"activation_encodings": {"x": [UINT8 | {"offset": -100.0}]}}
    assert parsed(floats) == parsed(DOCUMENTS["0.6.1"])


def test_symmetric_codes_that_count_from_0_and_strict_symmetry() -> None:
    symmetric = [UINT8 | {"is_symmetric": "True", "offset": 0}], [UINT8 | {"is_symmetric": "True", "offset": -127}]
    document = {
        "version": "0.6.1",
        "activation_encodings": {},
        "param_encodings": dict(zip("ab", symmetric, strict=True)),
    }
    unsigned, strict = parsed(document).entries
    assert (unsigned.signed, unsigned.zero_point) == (False, (0,))
    assert (strict.signed, strict.zero_point, strict.offset) == (True, (-1,), (-127,))


def test_blocks_are_kept_and_floats_too() -> None:
    block = {"name": "w", "output_dtype": "int4", "y_scale": [[0.1, 0.2], [0.3, 0.4]], "axis": 1, "block_size": 2}
    (made,) = parsed({"version": "2.0.0", "encodings": [block]}).entries
    assert (made.block_size, made.shape, made.per_channel) == (2, (2, 2), False)
    assert json.loads(api.write_encodings(Encodings("2.0.0", (made,)), "2.1.0")[0])["encodings"] == [block]
    known = Encodings("2.0.0", (replace(made, role=Role.PARAMETER),))
    (entry,) = json.loads(api.write_encodings(known, "1.0.0")[0])["param_encodings"]
    assert (entry["enc_type"], entry["block_size"], entry["scale"]) == ("PER_BLOCK", 2, [0.1, 0.2, 0.3, 0.4])
    assert parsed(json.loads(api.write_encodings(known, "1.0.0")[0])).entries[0].block_size == 2
    for version, entry in (("0.6.1", {"x": [{"bitwidth": 16, "dtype": "float"}]}),):
        (made,) = parsed({"version": version, "activation_encodings": entry, "param_encodings": {}}).entries
        assert (made.is_float, made.bits) == (True, 16)
        assert parsed(json.loads(api.write_encodings(Encodings(version, (made,)), version)[0])).entries == (made,)


# --- what a version cannot say --------------------------------------------------------------------


def test_what_a_version_cannot_say_is_told() -> None:
    entries = (
        Encoding("a", 8, (0.5,), (-3,), signed=True, role=Role.ACTIVATION),
        Encoding("w", 8, (0.5, 0.25), (-128, -128), True, 0, True, role=Role.PARAMETER),
    )
    for version in VERSIONS:
        lost = api.write_encodings(Encodings("2.0.0", entries), version)[1]
        assert len(lost) == (0 if version >= "2" else 2)
    assert "axis" in api.write_encodings(Encodings("2.0.0", entries), "1.0.0")[1][0]


@pytest.mark.parametrize(
    ("version", "entry", "rule"),
    [
        ("2.0.0", Encoding("a", 6, (0.5,), (0,)), "types of 2, 4, 8"),
        ("2.1.0", Encoding("a", 16, is_float=True), "no plain floats"),
        ("2.0.0", Encoding("a", 8, (0.5, 1.0), (0, 0), per_channel=True), "says the axis"),
        ("1.0.0", Encoding("a", 8, (0.5,), (0,)), "a list for each"),
        ("0.6.1", Encoding("a", 8, (0.5, 1.0), (0, 0), block_size=4, role=Role.PARAMETER), "per tensor or channel"),
        ("3.0.0", Encoding("a", 8, (0.5,), (0,)), "one of 0.6.1"),
    ],
)
def test_what_a_version_cannot_hold_is_refused(version: str, entry: Encoding, rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        api.write_encodings(Encodings("2.0.0", (entry,)), version)


# --- damaged files --------------------------------------------------------------------------------


def test_a_truncated_file_is_one_message(tmp_path: Path) -> None:
    text = json.dumps(DOCUMENTS["1.0.0"])
    for size in range(0, len(text) - 1, 7):
        with pytest.raises(InputError, match="complete JSON text"):
            parse_encodings(text[:size])
    for content, rule in ((b"\xff\xfe{}", "JSON text"), (b"[]", "JSON object"), (b"[" * 100_000, "JSON text")):
        (tmp_path / "e.json").write_bytes(content)
        with pytest.raises(InputError, match=rule):
            api.load_encodings(tmp_path / "e.json")
    with pytest.raises(InputError, match="No such file"):
        api.load_encodings(tmp_path / "absent.json")


def test_an_unknown_version_or_the_lists_of_another_are_refused() -> None:
    assert "one of 0.6.1" in refused(DOCUMENTS["1.0.0"] | {"version": "1.5.0"})[0]
    assert "absent" in refused({"encodings": []})[0]
    for stated, written in (("0.6.1", "1.0.0"), ("1.0.0", "0.6.1"), ("2.0.0", "1.0.0")):
        assert "is the version right?" in refused(DOCUMENTS[written] | {"version": stated})[0]


BAD_VALUES = [0.0, -0.5, float("nan"), float("inf"), 1e300, 1e-60, True, "0.1", None]


@pytest.mark.parametrize("bad", BAD_VALUES)
def test_scales_are_positive_finite_numbers(bad: object) -> None:
    for version in VERSIONS:
        document = json.loads(json.dumps(DOCUMENTS[version]))
        if version == "0.6.1":
            document["activation_encodings"]["x"][0]["scale"] = bad
        elif version == "1.0.0":
            document["activation_encodings"][0]["scale"] = [bad]
        else:
            document["encodings"][0]["y_scale"] = bad
        (fault,) = refused(document)
        assert "positive and finite" in fault
        assert "'x'" in fault


@pytest.mark.parametrize("bad", [1, -256, -0.5, float("nan"), "0", None, True])
def test_offsets_are_whole_numbers_that_the_width_holds(bad: object) -> None:
    assert "'x'" in refused(DOCUMENTS["0.6.1"] | {"activation_encodings": {"x": [UINT8 | {"offset": bad}]}})[0]
    assert "'x'" in refused(DOCUMENTS["1.0.0"] | {"activation_encodings": [V1 | {"name": "x", "offset": [bad]}]})[0]
    if bad not in (1, None):
        entry = {"name": "x", "output_dtype": "int8", "y_scale": 0.1, "y_zero_point": bad}
        assert "'x'" in refused({"version": "2.0.0", "encodings": [entry]})[0]


def test_all_faults_of_a_file_are_in_one_message() -> None:
    entries = [
        {"name": "a", "output_dtype": "int8", "y_scale": -1.0},
        {"name": "b", "output_dtype": "complex", "y_scale": 1.0},
        {"name": "c", "output_dtype": "int8", "y_scale": [1.0, 2.0]},
        {"name": "d", "output_dtype": "int8", "y_scale": [[1.0], [2.0, 3.0]], "axis": 0},
        {"name": "e", "output_dtype": "int8", "y_scale": [1.0, 2.0], "y_zero_point": [0], "axis": 0},
        {"name": "f", "output_dtype": "float8e4m3fn", "y_scale": 1.0},
        {"name": "g", "output_dtype": "int4", "per_block_int_scale": [[1]], "per_channel_float_scale": [1.0]},
        {"name": "h", "output_dtype": "int4", "y_scale": {"x": [[3]], "x_scale": [0.1]}, "axis": 1, "block_size": 2},
        {"name": "i", "output_dtype": "int8", "y_scale": []},
        {"output_dtype": "int8", "y_scale": 1.0},
        "text",
        {"name": "ok", "output_dtype": "int8", "y_scale": 1.0},
        {"name": "ok", "output_dtype": "int8", "y_scale": 2.0},
    ]
    faults = "\n".join(refused({"version": "2.0.0", "encodings": entries}))
    for part in ("'a'", "'b'", "'c'", "'d'", "'e'", "'f'", "'g'", "'h'", "'i'", "[9]", "[10]", "'ok'"):
        assert part in faults
