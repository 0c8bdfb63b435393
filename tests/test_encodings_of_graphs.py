"""AIMET encodings on networks: round trips that change nothing, grids on tensors, misfits."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from encoding_documents import DOCUMENTS, assert_same_network
from float_graphs import FloatGraph
from hypothesis import given
from hypothesis import strategies as st
from quantizable_graphs import CASES, calibration_for

from accel_sim import api, demo_data
from accel_sim.errors import AccelSimError, InputError, QuantizationError
from accel_sim.frontend.encodings import VERSIONS, Encoding, Encodings, Role, encodings_of, parse_encodings, resolve
from accel_sim.ir import Conv2D, Graph, MatMul, QuantParams, TransposeConv2D
from accel_sim.quantization import ActivationRecipe, LayerRecipe, Recipe, WeightRecipe, quantize
from accel_sim.quantization.given_grids import canonical_form, weight_axes


def applied(graph: Graph, encodings: Encodings) -> Graph:
    return api.apply_encodings(graph, encodings).graph


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
