"""The quantization pipeline: recipes, calibration data, and everything that it refuses."""

import math
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from float_graphs import FloatGraph
from quantizable_graphs import IMAGE
from quantization_calls import faults_of, grids, images, quantize, small_graph

from accel_sim.errors import QuantizationError
from accel_sim.ir import (
    Add,
    ElementType,
    FullyConnected,
    QuantParams,
    RequantShift,
)
from accel_sim.quantization import (
    ActivationRecipe,
    BiasRecipe,
    Recipe,
    WeightRecipe,
    get_recipe,
    parse_recipe,
    recipe_names,
    recipe_text,
)
from accel_sim.reference import evaluate_float

# --- recipes --------------------------------------------------------------------------------------


def test_built_in_recipes_are_eight_bits_per_channel() -> None:
    assert recipe_names() == ("data-free", "fast", "minmax", "standard")
    for name in recipe_names():
        recipe = get_recipe(name)
        assert recipe.name == name
        assert (recipe.weights.bits, recipe.weights.per_channel, recipe.activations.bits) == (8, True, 8)
    assert get_recipe("minmax") == Recipe("minmax")


def test_a_recipe_survives_its_text(tmp_path: Path) -> None:
    recipe = Recipe("mine", WeightRecipe(4, per_channel=False), ActivationRecipe(6, symmetric=True), BiasRecipe(16))
    assert parse_recipe(recipe_text(recipe)) == recipe
    file = tmp_path / "mine.toml"
    file.write_text("[weights]\nbits = 4\n")
    assert get_recipe(file) == get_recipe(str(file)) == Recipe("mine", WeightRecipe(4))


def test_every_fault_of_a_recipe_is_told_at_once() -> None:
    text = "nam = 'x'\n[weights]\nbits = 17\nper_channel = 1\n[activations]\nbits = true\n[bias]\nbits = 8\n"
    with pytest.raises(QuantizationError) as caught:
        parse_recipe(text)
    wheres = {f.where for f in caught.value.faults}
    assert wheres == {"nam", "weights.per_channel", "activations.bits", "bias.bits", "weights.bits"}


@pytest.mark.parametrize("text", ["bits = ", "weights = 3"])
def test_text_that_is_no_recipe(text: str) -> None:
    with pytest.raises(QuantizationError):
        parse_recipe(text)


@pytest.mark.parametrize("name", ["no_such_recipe", "no_such_file.toml"])
def test_a_recipe_that_does_not_exist(name: str) -> None:
    with pytest.raises(QuantizationError, match=name):
        get_recipe(name)


# --- calibration data -----------------------------------------------------------------------------


def test_all_forms_of_calibration_data_give_one_result(tmp_path: Path) -> None:
    graph, data = small_graph(), images(6)
    np.savez(tmp_path / "data.npz", x=data)
    forms = [
        data,
        data.astype(np.float64),
        {"x": data},
        [data[:2], data[2:]],
        ({"x": data[i : i + 1]} for i in range(6)),
        tmp_path / "data.npz",
        str(tmp_path / "data.npz"),
    ]
    results = [grids(quantize(graph, form)) for form in forms]
    assert all(r == results[0] for r in results)


def test_data_is_in_the_layout_of_the_file() -> None:
    graph, data = small_graph(), images(1)
    quantized = quantize(graph, data)
    stored = data.transpose(0, 2, 3, 1)
    y = evaluate_float(graph, {"x": stored})["y"]
    assert quantized.tensors["y"].quant.scale[0] == pytest.approx(y.max() / 255, rel=1e-3)


def test_a_stream_is_read_batch_by_batch() -> None:
    graph, produced, done = small_graph(), [], []

    def stream():
        for i in range(5):
            produced.append(i)
            yield images(8, i)

    quantize(graph, stream(), progress=lambda stage, samples, total: done.append((samples, total, len(produced))))
    assert done == [(16, None, 2), (32, None, 4), (40, None, 5)]


def test_memory_does_not_grow_with_the_data() -> None:
    graph = small_graph()

    def peak(batches: int) -> int:
        tracemalloc.start()
        quantize(graph, (images(64, i) for i in range(batches)))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1)
    assert peak(12) < 1.5 * peak(2)


def test_progress_knows_the_total_of_arrays() -> None:
    done = []
    quantize(small_graph(), images(17), progress=lambda stage, *state: done.append(state))
    assert done == [(16, 17), (17, 17)]


def test_a_batch_of_the_graph_is_one_sample() -> None:
    g = FloatGraph()
    graph = g.graph(g.op(Add(), g.input("x", (2, 3)), g.constant([1.0]), shape=(2, 3), name="y"))
    done = []
    quantize(graph, np.ones((6, 3), np.float32), progress=lambda stage, *state: done.append(state))
    assert done == [(3, 3)]


NAN = images()
NAN[0, 0, 0, 0] = np.nan
HUGE = images().astype(np.float64)
HUGE[0, 0, 0, 0] = 1e300


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "no samples"),
        (images(0), "no samples"),
        (images().transpose(0, 2, 3, 1), r"\[1, 3, 4, 4\]"),
        (images()[0], r"\[3, 4, 4\]"),
        ({"z": images()}, "names an input"),
        ({}, "every input needs data"),
        ({"x": images(), "z": images()}, "'z'"),
        ((images() * 10).astype(np.int8), "int8"),
        (images().astype(complex), "complex"),
        ([None], "NoneType"),
        (3, "int"),
        ([[1.0, 2.0]], "list"),
        (NAN, "of .* values, the first .* all values are finite"),
        (HUGE, "of .* values, the first .* all values are finite"),
    ],
)
def test_calibration_data_that_does_not_fit(data, message: str) -> None:
    with pytest.raises(QuantizationError, match=message):
        quantize(small_graph(), data)


def test_a_fault_in_a_later_batch_is_told_with_its_number() -> None:
    assert "calibration batch 2" in faults_of(small_graph(), [images(), images(), NAN])


def test_inputs_with_different_numbers_of_samples() -> None:
    g = FloatGraph()
    graph = g.graph(g.op(Add(), g.input("a", (1, 3)), g.input("b", (1, 3)), shape=(1, 3), name="y"))
    ones = np.ones((2, 3), np.float32)
    assert "the same number of samples" in faults_of(graph, {"a": ones, "b": ones[:1]})
    assert "takes arrays by name" in faults_of(graph, ones)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not really", b"\x93NUMPY"])
def test_a_damaged_file(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.npz"
    file.write_bytes(content)
    assert "x.npz" in faults_of(small_graph(), file)
    assert "no.npz" in faults_of(small_graph(), tmp_path / "no.npz")


def test_objects_in_a_file_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.array([object()], dtype=object))
    assert "x.npz" in faults_of(small_graph(), tmp_path / "x.npz")


# --- graphs that cannot be quantized --------------------------------------------------------------


def test_everything_unsupported_and_the_bad_data_are_told_at_once() -> None:
    g = FloatGraph()
    x = g.input("x", IMAGE)
    y = g.op(RequantShift((1,), (0,), 1), x, shape=IMAGE)
    z = g.op(FullyConnected(), g.constant(np.ones((1, 4))), y, shape=(1, 48))
    g.batchnorm(y, variance=np.full(4, -1.0), name="bad")
    w = g.op(Add(), y, g.constant([math.inf]), shape=IMAGE)
    graph = g.graph(z, w, "bad")
    with pytest.raises(QuantizationError) as caught:
        quantize(graph, {"wrong": images()})
    text = str(caught.value)
    for part in (
        "RequantShift",
        "weights and bias are constants",
        "NaN or infinite",
        "variance",
        "'wrong'",
        "needs data",
    ):
        assert part in text
    assert len(caught.value.faults) == 6


def test_an_integer_graph_is_refused() -> None:
    quantized = quantize(small_graph(), images())
    assert "all are integer" in faults_of(quantized, images())


def test_a_half_integer_graph_is_refused() -> None:
    graph = small_graph()
    x = replace(graph.tensors["x"], element=ElementType.INT8, quant=QuantParams.per_tensor(0.1))
    text = faults_of(replace(graph, tensors=dict(graph.tensors) | {"x": x}), images())
    assert "no tensor is quantized already" in text


def test_activations_that_overflow_are_named() -> None:
    g = FloatGraph()
    x = g.input("x", (1, 2))
    y = g.op(FullyConnected(), x, g.constant(np.full((2, 2), 3e38)), shape=(1, 2), name="y")
    graph = g.graph(y)
    with np.errstate(all="ignore"):
        assert "tensor 'y'" in faults_of(graph, np.full((1, 2), 100, np.float32))
