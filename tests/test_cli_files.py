"""Files of the command line: read whole or refused, written whole or not at all."""

import os
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest

from accel_sim.cli.files import OutputFile, output_files, read_arrays, save_arrays, save_text
from accel_sim.errors import InputError

IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_written_file_is_complete_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "out.json"
    with output_files(json=str(path)) as files:
        assert not path.exists()
        files["json"].write(save_text("{}\n"))
    assert names(tmp_path) == ["out.json"]
    assert path.read_text() == "{}\n"
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_an_unfinished_file_leaves_no_trace_and_an_old_one_untouched(tmp_path):
    old = tmp_path / "old.json"
    old.write_text("old")
    with (
        pytest.raises(RuntimeError, match="work failed"),
        output_files(json=str(old), output=str(tmp_path / "new.npz")),
    ):
        raise RuntimeError("work failed")
    assert names(tmp_path) == ["old.json"]
    assert old.read_text() == "old"


@pytest.mark.skipif(not Path("/dev/null").is_char_device(), reason="no /dev/null")
def test_arrays_go_to_devices_and_pipes(tmp_path):
    arrays = {"a": np.arange(6).reshape(2, 3), "b": np.float32(2)}
    with output_files(output="/dev/null") as files:
        files["output"].write(save_arrays(arrays))
    assert Path("/dev/null").is_char_device()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with output_files(output=str(pipe)) as files:
        files["output"].write(save_arrays(arrays))
    (tmp_path / "x.npz").write_bytes(os.read(reader, 1 << 16))
    os.close(reader)
    found = read_arrays(str(tmp_path / "x.npz"), "outputs", None)
    assert {name: array.tolist() for name, array in found.items()} == {"a": [[0, 1, 2], [3, 4, 5]], "b": 2.0}


def test_an_error_while_writing_leaves_no_trace(tmp_path):
    def fail(stream):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match="No space left on device"), output_files(json=str(tmp_path / "o")) as files:
        files["json"].write(fail)
    assert names(tmp_path) == []


def test_a_replaced_file_keeps_its_mode_and_a_link_its_target(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    with output_files(json=str(link)) as files:
        files["json"].write(save_text("new"))
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_device_is_written_in_place():
    with output_files(json="/dev/null") as files:
        files["json"].write(save_text("gone"))
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)  # noqa: PTH116 - the device itself


@pytest.mark.parametrize("path", ["missing/out.json", ".", "file/out.json"])
def test_paths_that_cannot_be_written_are_refused_before_the_work(tmp_path, path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--json"):
        OutputFile(str(tmp_path / path), "--json")
    assert names(tmp_path) == ["file"]


@pytest.mark.skipif(IS_ROOT, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="Permission denied"):
        OutputFile(str(tmp_path / "out"), "--json")


def test_two_outputs_are_two_files_and_inputs_are_safe(tmp_path):
    (tmp_path / "x.npz").write_text("input")
    both = str(tmp_path / "o")
    with pytest.raises(InputError, match="neither an input nor another output"), output_files(json=both, output=both):
        pass
    other_spelling = str(tmp_path / ".." / tmp_path.name / "x.npz")
    with pytest.raises(InputError, match="--output"), output_files((str(tmp_path / "x.npz"),), output=other_spelling):
        pass
    assert (tmp_path / "x.npz").read_text() == "input"


def test_arrays_come_back_under_any_name(tmp_path):
    arrays = {"file": np.arange(3), "a/b:0;c": np.int8([[1]]), "arr_0": np.float32(2), "empty": np.zeros((0, 4))}
    path = tmp_path / "o.npz"
    with output_files(output=str(path)) as files:
        files["output"].write(save_arrays(arrays))
    back = read_arrays(str(path), "inputs", "x")
    assert list(back) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].dtype == np.asarray(array).dtype


def test_equal_arrays_give_equal_bytes(tmp_path):
    for name in ("a", "b"):
        with output_files(output=str(tmp_path / name)) as files:
            files["output"].write(save_arrays({"x": np.arange(5)}))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def hostile(kind, path):
    if kind == "missing":
        return
    if kind == "directory":
        path.mkdir()
    elif kind == "objects":
        np.savez(path.open("wb"), x=np.array([{}], object), allow_pickle=True)
    elif kind == "zip of text":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", "not an array")
    elif kind == "truncated":
        np.savez(path.open("wb"), x=np.arange(1000))
        path.write_bytes(path.read_bytes()[:-300])
    elif kind == "flipped":
        np.savez_compressed(path.open("wb"), x=np.arange(1000))
        content = bytearray(path.read_bytes())
        content[200:260] = b"\xff" * 60
        path.write_bytes(bytes(content))
    else:
        path.write_bytes(b"" if kind == "empty" else b"text")


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize(
    "kind", ["missing", "directory", "objects", "zip of text", "truncated", "flipped", "empty", "text"]
)
def test_what_is_no_npz_is_refused_by_name(tmp_path, kind):
    path = tmp_path / "x.npz"
    hostile(kind, path)
    with pytest.raises(InputError, match=r"x\.npz"):
        read_arrays(str(path), "inputs", "x")


def test_an_npy_file_is_one_array(tmp_path):
    array, path = np.arange(6, dtype=np.int8).reshape(2, 3), tmp_path / "x.npy"
    np.save(path, array)
    (found,) = read_arrays(str(path), "inputs", "x").items()
    assert found[0] == "x"
    np.testing.assert_array_equal(found[1], array)
    assert found[1].dtype == np.int8
    with pytest.raises(InputError, match=r"an \.npz file of several arrays"):
        read_arrays(str(path), "inputs", None)


@pytest.mark.parametrize("kind", ["cut", "header", "objects"])
def test_a_damaged_npy_file(tmp_path, kind):
    path = tmp_path / "x.npy"
    np.save(path, np.array([None]) if kind == "objects" else np.zeros((40, 40)), allow_pickle=kind == "objects")
    if kind != "objects":
        path.write_bytes(path.read_bytes()[: 300 if kind == "cut" else 20])
    with pytest.raises(InputError, match=r"x\.npy.*every array can be read"):
        read_arrays(str(path), "inputs", "x")
