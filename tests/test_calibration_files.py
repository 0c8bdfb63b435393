"""Calibration data in files: every way of storing them gives the same samples, in memory that does not grow."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from float_graphs import FloatGraph
from ptq_networks import data, inverted_residual

from accel_sim.errors import QuantizationError
from accel_sim.ir import Add, Graph
from accel_sim.quantization import quantize, quantize_with_report
from accel_sim.quantization.calibration import sample_count, samples
from accel_sim.quantization.calibration_files import file_batches


def two_inputs() -> Graph:
    g = FloatGraph()
    a, b = g.input("a", (2, 3)), g.input("b", (1, 3))
    return g.graph(g.op(Add(), a, b, shape=(2, 3), name="y"))


def listed(graph: Graph, source) -> list[dict[str, np.ndarray]]:
    return list(samples(graph, source))


def assert_same(first: list[dict[str, np.ndarray]], second: list[dict[str, np.ndarray]]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_is_its_arrays(tmp_path: Path, save) -> None:
    graph, random = two_inputs(), np.random.default_rng(0)
    arrays = {"a": random.normal(size=(74, 3)), "b": random.normal(size=(37, 3)).astype(np.float32)}
    save(tmp_path / "x.npz", **arrays)
    assert_same(listed(graph, tmp_path / "x.npz"), listed(graph, arrays))
    assert sample_count(graph, tmp_path / "x.npz") == 37
    batches = [batch for _, batch in file_batches(tmp_path / "x.npz", {"a": 2, "b": 1})]
    assert [len(b["b"]) for b in batches] == [16, 16, 5]


def test_fortran_order_is_read_as_it_is_meant(tmp_path: Path) -> None:
    graph = two_inputs()
    arrays = {"a": np.asfortranarray(np.random.default_rng(0).normal(size=(40, 3))), "b": np.ones((20, 3))}
    np.savez(tmp_path / "x.npz", **arrays)
    assert_same(listed(graph, tmp_path / "x.npz"), listed(graph, arrays))


def test_a_folder_of_arrays_and_archives_in_the_order_of_names(tmp_path: Path) -> None:
    graph, inputs = inverted_residual(), data(9)
    np.save(tmp_path / "1.npy", inputs[:2])
    np.savez(tmp_path / "2.npz", x=inputs[2:6])
    np.save(tmp_path / "3.npy", inputs[6:])
    (tmp_path / "readme.txt").write_text("not data")
    assert_same(listed(graph, tmp_path), listed(graph, inputs))
    assert sample_count(graph, tmp_path) == 9
    assert quantize(graph, tmp_path, "fast").tensors.keys() == quantize(graph, inputs, "fast").tensors.keys()


def test_a_file_of_one_array(tmp_path: Path) -> None:
    graph, inputs = inverted_residual(), data(9)
    np.save(tmp_path / "x.npy", inputs)
    assert_same(listed(graph, tmp_path / "x.npy"), listed(graph, inputs))
    assert sample_count(graph, tmp_path / "x.npy") == 9
    with pytest.raises(QuantizationError, match="No such file"):
        listed(graph, tmp_path / "y.npy")


def test_several_inputs_in_a_folder_of_archives(tmp_path: Path) -> None:
    graph = two_inputs()
    whole = {"a": np.arange(24.0).reshape(8, 3), "b": np.arange(12.0).reshape(4, 3)}
    for i in range(2):
        np.savez(tmp_path / f"{i}.npz", a=whole["a"][4 * i : 4 * i + 4], b=whole["b"][2 * i : 2 * i + 2])
    assert_same(listed(graph, tmp_path), listed(graph, whole))
    assert sample_count(graph, tmp_path) == 4


@pytest.mark.parametrize("kind", ["npz", "npy"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, kind: str) -> None:
    graph = inverted_residual()
    inputs = np.random.default_rng(0).normal(size=(20_000, 4, 6, 6)).astype(np.float32)  # 11.5 MB
    if kind == "npz":
        np.savez_compressed(tmp_path / "x.npz", x=inputs)
        source = tmp_path / "x.npz"
    else:
        np.save(tmp_path / "x.npy", inputs)
        source = tmp_path
    tracemalloc.start()
    count = sum(1 for _ in samples(graph, source))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 20_000
    assert peak < 1 << 20


def test_progress_knows_the_samples_of_a_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=data(12))
    told = []
    quantize_with_report(inverted_residual(), tmp_path / "x.npz", "minmax", progress=lambda *a: told.append(a))
    assert told[-1] == ("activation ranges", 12, 12)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("cut", "readable .npz"),
        ("text", "readable .npz"),
        ("objects", "readable .npz"),
        ("member", "which is no array"),
        ("nan", "finite"),
        ("lengths", "same number of samples"),
        ("empty", "at least one sample"),
        ("none", "holds .npy or .npz"),
        ("absent", "No such file"),
    ],
)
def test_files_that_are_no_data_are_one_message(tmp_path: Path, content: str, message: str) -> None:
    graph, path = two_inputs(), tmp_path / "x.npz"
    a, b = np.ones((40, 3)), np.ones((20, 3))
    if content == "nan":
        a[39, 2] = np.nan
    if content == "lengths":
        b = b[:7]
    if content == "empty":
        a, b = a[:0], b[:0]
    np.savez(path, a=a, b=b)
    if content == "cut":
        path.write_bytes(path.read_bytes()[:300])
    if content == "text":
        path.write_text("a, b")
    if content == "objects":
        np.savez(path, a=np.array([None]), b=b)
    if content == "member":
        import zipfile

        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("notes.txt", "x")
    if content in ("none", "absent"):
        path.unlink()
    with pytest.raises(QuantizationError, match=message) as caught:
        listed(graph, tmp_path if content == "none" else path)
    assert len(caught.value.faults) == 1


def test_a_fault_says_in_which_file_and_where(tmp_path: Path) -> None:
    graph, folder = two_inputs(), tmp_path / "data"
    folder.mkdir()
    np.savez(folder / "1.npz", a=np.ones((40, 3)), b=np.ones((20, 3)))
    bad = np.ones((40, 3))
    bad[35, 2] = np.nan  # of sample 17: the second batch, whose rows begin with 32
    np.savez(folder / "2.npz", a=bad, b=np.ones((20, 3)))
    with pytest.raises(QuantizationError) as caught:
        quantize(graph, folder, "minmax")
    where = f"calibration {str(folder / '2.npz')!r}, from sample 16 on: calibration 'a': "
    assert str(caught.value).startswith(where)
    assert "at [3, 2]" in str(caught.value)


def test_an_encrypted_archive_is_one_message(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, a=np.ones((40, 3)), b=np.ones((20, 3)))
    content = bytearray(path.read_bytes())
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # bit 0 of the flags says that a member is encrypted
        at = content.find(header)
        while at >= 0:
            content[at + flags] |= 1
            at = content.find(header, at + 1)
    path.write_bytes(content)
    with pytest.raises(QuantizationError, match="encrypted"):
        quantize(two_inputs(), path, "minmax")
