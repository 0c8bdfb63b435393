"""AIMET encodings: what each version says, round trips that change nothing, grids on networks, faults all at once."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from float_graphs import FloatGraph
from hypothesis import given
from hypothesis import strategies as st
from quantizable_graphs import CASES, calibration_for

import accel_sim
from accel_sim import api, demo_data
from accel_sim.errors import AccelSimError, InputError, QuantizationError
from accel_sim.frontend.encodings import VERSIONS, Encoding, Encodings, Role, encodings_of, parse_encodings, resolve
from accel_sim.ir import Conv2D, Graph, MatMul, QuantParams, TransposeConv2D
from accel_sim.quantization import ActivationRecipe, LayerRecipe, Recipe, WeightRecipe, quantize
from accel_sim.quantization.given_grids import canonical_form, weight_axes
from accel_sim.reference import evaluate_fake_quant, evaluate_float

ORACLE = Path(__file__).parent / "oracles" / "aimet_encodings.py"


def parsed(document: object) -> Encodings:
    return parse_encodings(json.dumps(document))


def refused(document: object) -> list[str]:
    with pytest.raises(InputError) as caught:
        parsed(document)
    assert str(caught.value).count("\n") == (len(caught.value.faults) if len(caught.value.faults) > 1 else 0)
    return [str(f) for f in caught.value.faults]


# --- what a version says ----------------------------------------------------------------------------------------

UINT8 = {
    "bitwidth": 8,
    "dtype": "int",
    "is_symmetric": "False",
    "min": -1.0,
    "max": 1.55,
    "offset": -100,
    "scale": 0.01,
}
INT8 = UINT8 | {"is_symmetric": "True", "min": -1.28, "max": 1.27, "offset": -128}
V1 = {"bw": 8, "dtype": "INT", "enc_type": "PER_TENSOR", "is_sym": False, "offset": [-100], "scale": [0.01]}
DOCUMENTS = {
    "0.6.1": {"version": "0.6.1", "activation_encodings": {"x": [UINT8]}, "param_encodings": {"w": [INT8, INT8]}},
    "1.0.0": {
        "version": "1.0.0",
        "activation_encodings": [V1 | {"name": "x"}],
        "param_encodings": [
            V1 | {"name": "w", "enc_type": "PER_CHANNEL", "is_sym": True, "offset": [-128, -128], "scale": [0.01, 0.01]}
        ],
    },
    "2.0.0": {
        "version": "2.0.0",
        "encodings": [
            {"name": "x", "output_dtype": "uint8", "y_scale": 0.01, "y_zero_point": 100},
            {"name": "w", "output_dtype": "int8", "y_scale": [0.01, 0.01], "axis": 0},
        ],
    },
}
DOCUMENTS["2.1.0"] = DOCUMENTS["2.0.0"] | {"version": "2.1.0"}


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


# --- what a version cannot say ----------------------------------------------------------------------------------


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


# --- damaged files ----------------------------------------------------------------------------------------------


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


# --- graphs -----------------------------------------------------------------------------------------------------


def applied(graph: Graph, encodings: Encodings) -> Graph:
    return api.apply_encodings(graph, encodings).graph


def assert_same_network(one: Graph, other: Graph) -> None:
    assert one.tensors.keys() == other.tensors.keys()
    for name, tensor in one.tensors.items():
        assert other.tensors[name].quant == tensor.quant, name
        if tensor.is_constant:
            np.testing.assert_array_equal(other.tensors[name].constant, tensor.constant, err_msg=name)
    assert [n.op for n in one.nodes] == [n.op for n in other.nodes]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", CASES)
def test_a_round_trip_through_a_file_gives_the_same_integer_network(name: str, version: str) -> None:
    graph = CASES[name]()
    quantized = quantize(graph, calibration_for(graph), "minmax")
    text = api.write_encodings(quantized, version)[0]
    assert_same_network(quantized, applied(graph, parse_encodings(text)))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_bundled_network_whose_batch_norms_are_folded(version: str) -> None:
    graph = api.load(demo_data.network_bytes())
    quantized = quantize(graph, demo_data.calibration()[:16], "minmax")
    assert_same_network(quantized, applied(graph, parse_encodings(api.write_encodings(quantized, version)[0])))


@pytest.mark.parametrize("version", VERSIONS)
def test_signed_asymmetric_mixed_widths_and_per_tensor_weights(version: str) -> None:
    graph = CASES["network"]()
    first = next(n.name for n in graph.nodes if isinstance(n.op, Conv2D))
    recipes = [
        Recipe(activations=ActivationRecipe(signed=True), weights=WeightRecipe(per_channel=False, symmetric=False)),
        Recipe(weights=WeightRecipe(4), layers={first: LayerRecipe(weight_bits=16, activation_bits=16)}),
    ]
    for recipe in recipes:
        quantized = quantize(graph, calibration_for(graph), recipe)
        again = applied(graph, parse_encodings(api.write_encodings(quantized, version)[0]))
        for name, tensor in quantized.tensors.items():
            if tensor.quant is None:
                continue
            low, made = (1 << tensor.quant.bits - 1) * tensor.quant.signed, again.tensors[name].quant
            other = (1 << made.bits - 1) * made.signed
            assert (made.scale, made.bits, made.axis) == (tensor.quant.scale, tensor.quant.bits, tensor.quant.axis)
            assert [z + other for z in made.zero_point] == [z + low for z in tensor.quant.zero_point]
            if version >= "2":
                assert made == tensor.quant


@given(
    st.lists(st.floats(2.0**-20, 2.0**20, width=32), min_size=1, max_size=4),
    st.integers(2, 16),
    st.booleans(),
    st.data(),
)
def test_scales_and_offsets_survive_every_version_bit_by_bit(
    scales: list[float], bits: int, signed: bool, data: st.DataObject
) -> None:
    offset = tuple(data.draw(st.integers(-(1 << bits) + 1, 0)) for _ in scales)
    entry = Encoding("w", bits, tuple(scales), offset, signed, 0, True, role=Role.PARAMETER)
    for version in VERSIONS:
        if version >= "2" and bits not in (2, 4, 8, 16):
            continue
        text = api.write_encodings(Encodings("2.0.0", (entry,)), version)[0]
        (made,) = parse_encodings(text).entries
        assert (made.scale, made.offset, made.bits) == (entry.scale, entry.offset, entry.bits)
        if version >= "2":
            assert replace(made, role=Role.PARAMETER) == entry
        assert (
            api.write_encodings(Encodings(version, (replace(made, role=Role.PARAMETER, axis=0),)), version)[0] == text
        )


def test_axes_are_those_of_the_file() -> None:
    graph = CASES["transpose_conv"]()
    quantized = quantize(graph, calibration_for(graph), "minmax")
    tensors = dict(quantized.tensors)
    weights = tensors["normal0"]
    tensors["normal0"] = replace(weights, file_axes=(1, 2, 3, 0))  # IOHW, as ConvTranspose has them
    found = {e.name: e for e in encodings_of(replace(quantized, tensors=tensors)).entries}
    assert found["normal0"].axis == 1
    graph = CASES["matmul_constant"]()
    found = {e.name: e for e in encodings_of(quantize(graph, calibration_for(graph), "minmax")).entries}
    assert found["y"].role is Role.ACTIVATION


def test_a_matrix_has_its_channels_on_its_last_axis() -> None:
    g = FloatGraph()
    y = g.op(MatMul(), g.input("x", (1, 6)), g.normal(6, 5), shape=(1, 5), name="y")
    graph = g.graph(y)
    quantized = quantize(graph, calibration_for(graph), "minmax")
    found = {e.name: e for e in encodings_of(quantized).entries}
    assert (found["normal0"].axis, len(found["normal0"].scale)) == (1, 5)
    assert_same_network(quantized, applied(graph, encodings_of(quantized)))


def test_tensors_without_grid_are_left_out_and_floats_refused() -> None:
    graph = CASES["network"]()
    with pytest.raises(InputError, match="quantize the graph"):
        encodings_of(graph)
    indices = CASES["argmax"]()
    made = quantize(indices, calibration_for(indices), "minmax")
    assert [e.name for e in encodings_of(made).entries] == ["x"]


def test_weights_of_grouped_transposed_convolutions_have_no_channel_axis_in_the_file() -> None:
    g = FloatGraph()
    op = TransposeConv2D((2, 2), groups=2)
    y = g.op(op, g.input("x", (1, 6, 8, 4)), g.normal(6, 2, 2, 2), shape=(1, 12, 16, 6), name="y")
    quantized = quantize(g.graph(y), calibration_for(g.graph(y)), "minmax")
    with pytest.raises(InputError, match="axis with all output channels"):
        encodings_of(quantized)


def changed(encodings: Encodings, name: str, /, **fields: object) -> Encodings:
    entries = tuple(replace(e, **fields) if e.name == name else e for e in encodings.entries)
    return replace(encodings, entries=entries)


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"name": "nobody"}, "names a tensor of the network"),
        ({"axis": 1}, "axis of the output channels, 0"),
        ({"scale": (1.0, 2.0), "offset": (-128, -128)}, "one scale for each of the 5"),
        ({"is_float": True}, "integer tensors"),
        ({"block_size": 2}, "one per tensor"),
        ({"bits": 32, "scale": (1.0,), "offset": (0,), "per_channel": False}, "2 to 16 bits"),
        ({"name": "x"}, "grids per channel are those of weights"),
    ],
)
def test_encodings_that_do_not_fit_the_network_are_refused(fields: dict, rule: str) -> None:
    graph = CASES["conv"]()
    encodings = encodings_of(quantize(graph, calibration_for(graph), "minmax"))
    with pytest.raises(InputError, match=rule):
        applied(graph, changed(encodings, "normal0", **fields))


def test_all_misfits_are_told_at_once_and_so_is_all_that_is_missing() -> None:
    graph = CASES["conv"]()
    encodings = encodings_of(quantize(graph, calibration_for(graph), "minmax"))
    wrong = changed(changed(encodings, "normal0", axis=2), "x", name="nobody")
    with pytest.raises(InputError) as caught:
        applied(graph, wrong)
    assert len(caught.value.faults) == 2
    with pytest.raises(QuantizationError) as missing:
        applied(graph, replace(encodings, entries=()))
    assert [f.where for f in missing.value.faults] == ["tensor 'x'", "tensor 'y'", "weights 'normal0'"]


def test_scales_round_to_float32_and_small_ones_are_refused() -> None:
    graph = CASES["conv"]()
    encodings = encodings_of(quantize(graph, calibration_for(graph), "minmax"))
    made = applied(graph, changed(encodings, "x", scale=(0.1,)))
    assert made.tensors["x"].quant.scale == (float(np.float32(0.1)),)


def test_a_scale_too_small_for_its_bias_grows_and_the_report_says_so() -> None:
    graph = CASES["conv"]()
    encodings = encodings_of(quantize(graph, calibration_for(graph), "minmax"))
    done = api.apply_encodings(graph, changed(encodings, "normal0", scale=(1e-12,) * 5))
    assert any("grown" in note for note in done.report.steps[0].notes)


def test_values_that_reading_folds_away_are_noted_where_the_file_is_given(tmp_path: Path) -> None:
    path = tmp_path / "digits.onnx"
    path.write_bytes(demo_data.network_bytes())
    graph = api.load(path)
    encodings = encodings_of(quantize(graph, demo_data.calibration()[:8], "minmax"))
    extra = replace(encodings, entries=(*encodings.entries, Encoding("relu6_high", 8, (0.1,), (0,))))
    done = api.apply_encodings(path, extra)
    assert any("relu6_high" in note for note in done.report.steps[0].notes)
    with pytest.raises(InputError, match="names a tensor"):
        api.apply_encodings(graph, extra)


def test_encodings_of_batch_norms_belong_to_another_network() -> None:
    graph = api.load(demo_data.network_bytes())
    encodings = encodings_of(quantize(graph, demo_data.calibration()[:8], "minmax"))
    unfolded = (*encodings.entries, Encoding("stem_gamma", 8, (0.1,), (0,)))
    with pytest.raises(InputError, match="batch norms are folded"):
        applied(graph, replace(encodings, entries=unfolded))


def test_resolved_encodings_can_be_written_in_every_version() -> None:
    graph = CASES["network"]()
    text = api.write_encodings(quantize(graph, calibration_for(graph), "minmax"), "0.6.1")[0]
    canonical = canonical_form(graph)
    found = resolve(graph, canonical, parse_encodings(text), weight_axes(canonical), frozenset())
    for version in VERSIONS:
        again = parse_encodings(api.write_encodings(found.encodings, version)[0])
        assert {e.name: (e.scale, e.offset) for e in again.entries} == {
            e.name: (e.scale, e.offset) for e in parse_encodings(text).entries
        }


@given(st.data())
def test_damaged_entries_are_faults_and_never_crash(data: st.DataObject) -> None:
    version = data.draw(st.sampled_from(VERSIONS))
    document = json.loads(json.dumps(DOCUMENTS[version]))
    junk = st.sampled_from([None, [], {}, "", "uint8", -1, 0, 3, 1.5, True, [[1], 2], {"a": 1}, float("nan"), 10**400])
    place: object = document
    while True:
        if isinstance(place, dict) and place:
            key = data.draw(st.sampled_from(sorted(place)))
        elif isinstance(place, list) and place:
            key = data.draw(st.integers(0, len(place) - 1))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(junk)
    try:
        made = parse_encodings(json.dumps(document)).entries
    except AccelSimError:
        made = ()
    for entry in made:
        if not entry.is_float and entry.bits <= 16 and not entry.block_size:
            QuantParams(entry.scale, entry.zero_point, entry.bits, entry.signed, 0)


# --- aimet-onnx -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def aimet() -> str:
    """The interpreter of an environment with aimet-onnx."""
    python = os.environ.get("ACCEL_SIM_AIMET_PYTHON")
    if not python:
        pytest.skip("ACCEL_SIM_AIMET_PYTHON names no interpreter with aimet-onnx")
    return python


def call(python: str, *arguments: object) -> None:
    subprocess.run([python, str(ORACLE), *map(str, arguments)], check=True, timeout=600, capture_output=True)


@pytest.mark.slow
def test_aimet_reads_the_grids_that_we_write(aimet: str, tmp_path: Path, data) -> None:
    source = data / "onnx/cifar_resnet20_fp32.onnx"
    with np.load(data / "inputs/cifar10_jpeg200.npz") as arrays:
        images = (arrays["images"][:16] / 127.5 - 1).astype(np.float32).transpose(0, 3, 1, 2)
    quantized = quantize(api.load(source), images, "minmax")
    ours = {e.name: e for e in encodings_of(quantized).entries}
    files = [tmp_path / f"{version}.json" for version in VERSIONS]
    for version, file in zip(VERSIONS, files, strict=True):
        file.write_text(api.write_encodings(quantized, version)[0])
    call(aimet, "read", source, *files, tmp_path / "read.json")
    theirs = json.loads((tmp_path / "read.json").read_text())
    for file in files:
        assert theirs[str(file)].keys() == ours.keys()
        for name, (scales, zeros, kind, axis) in theirs[str(file)].items():
            entry = ours[name]
            expected = f"{'' if entry.signed else 'u'}int{entry.bits}"
            assert (tuple(scales), tuple(zeros), kind) == (entry.scale, entry.zero_point, expected)
            assert axis == entry.axis


@pytest.mark.slow
def test_what_aimet_writes_gives_one_network_in_all_versions(aimet: str, tmp_path: Path, data) -> None:
    source = data / "onnx/cifar_resnet20_fp32.onnx"
    with np.load(data / "inputs/cifar10_jpeg200.npz") as arrays:
        pixels, labels = arrays["images"], arrays["labels"]
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    images = ((pixels / 255 - mean) / deviation).astype(np.float32).transpose(0, 3, 1, 2)
    graph = api.load(source)
    np.savez(tmp_path / "x.npz", **{graph.inputs[0]: images[:16]})
    call(aimet, "export", source, tmp_path / "x.npz", tmp_path)
    networks = [api.apply_encodings(source, tmp_path / f"{v}.encodings").graph for v in ("0.6.1", "1.0.0", "2.0.0")]
    for other in networks[1:]:
        assert_same_network(networks[0], other)
    result = accel_sim.run(accel_sim.compile(networks[0]), images, level="functional")
    hits = int((result.outputs[graph.outputs[0]].reshape(200, -1).argmax(1) == labels).sum())
    assert hits >= 157  # float: 160 of 200
    for version in ("0.6.1", "1.0.0", "2.0.0"):
        encodings = api.load_encodings(tmp_path / f"{version}.encodings")
        written = api.write_encodings(encodings, version)[0]
        theirs, ours = json.loads((tmp_path / f"{version}.encodings").read_text()), json.loads(written)
        assert ours.keys() == theirs.keys()
        assert {e.name: (e.scale, e.offset) for e in parse_encodings(written).entries} == {
            e.name: (e.scale, e.offset) for e in encodings.entries
        }


@pytest.mark.slow
def test_aimet_simulates_the_float_network_that_we_write_on_our_encodings(aimet: str, tmp_path: Path, data) -> None:
    """Equalized, biases corrected: the two files together are the network, for others as well."""
    with np.load(data / "inputs/cifar10_jpeg200.npz") as arrays:
        images = (arrays["images"][:20] / 127.5 - 1).astype(np.float32).transpose(0, 3, 1, 2)
    graph = api.load(data / "onnx/cifar_resnet20_bn_fp32.onnx")
    overrides = ("weights.per_channel=false", "weights.bits=4")
    made = api.quantize_with_report(graph, images[:16], "fast", overrides=overrides)
    (name,), (output,) = graph.inputs, graph.outputs
    api.write_onnx(made.adjusted, tmp_path / "f.onnx", form="float")
    np.savez(tmp_path / "x.npz", **{name: images[16:]})
    files = [tmp_path / f"{version}.json" for version in ("0.6.1", "1.0.0", "2.0.0")]
    for file in files:
        file.write_text(api.write_encodings(made.graph, file.stem)[0])
    call(aimet, "simulate", tmp_path / "f.onnx", tmp_path / "x.npz", *files, tmp_path / "y.npz")
    stored = {name: graph.tensors[name].from_file_layout(images[16:])}
    ours, exact = evaluate_fake_quant(made.graph, stored)[output], evaluate_float(graph, stored)[output]
    with np.load(tmp_path / "y.npz") as theirs:
        for results in theirs.values():  # AIMET sums in float32 and rounds no bias
            assert np.square(results - ours).mean() < 0.01 * np.square(ours - exact).mean()
