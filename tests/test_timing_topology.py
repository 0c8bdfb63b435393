"""Topologies without weights: SCALE-Sim's files, its cycles, and what is wrong with a file."""

import json

import pytest

from accel_sim.analysis.topology import time_topology
from accel_sim.cli import run as run_cli
from accel_sim.errors import ModelError
from accel_sim.frontend.topology import load_topology
from accel_sim.hardware import load_hardware
from accel_sim.program.topology import TopologyLayer

HEADER = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
DATAFLOWS = {"os": "output_stationary", "ws": "weight_stationary", "is": "input_stationary"}
RUNS = [
    ("alexnet", 32, "is"),
    ("alexnet", 32, "os"),
    ("alexnet", 32, "ws"),
    ("resnet18", 128, "os"),
    ("resnet18", 128, "ws"),
]


def write(folder, text, name="net.csv"):
    path = folder / name
    path.write_text(text)
    return path


def faults(path):
    with pytest.raises(ModelError) as caught:
        load_topology(path)
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize(("network", "size", "dataflow"), RUNS)
def test_the_command_gives_scalesims_cycles(data, capsys, tmp_path, network, size, dataflow):
    with (data / f"cycles/scalesim_{network}_{size}x{size}_{dataflow}.csv").open() as file:
        published = [int(line.split(",")[2]) for line in file.readlines()[1:] if line.strip()]
    options = [f"grid.rows={size}", f"grid.columns={size}", f"grid.dataflow={DATAFLOWS[dataflow]}"]
    settings = [argument for option in options for argument in ("--set", option)]
    model = str(data / f"cycles/scalesim_{network}_topology.csv")
    assert run_cli(["run", model, "--hw", "scalesim-32x32", *settings, "--json", str(tmp_path / "r.json")]) == 0
    report = json.loads((tmp_path / "r.json").read_text())
    assert [layer["cycles"] - 1 for layer in report["layers"]] == published  # the last cycle's number, from 0
    assert report["schema"] == "accel-sim/run/1"
    assert (report["samples"], report["outputs"]) == (0, {})
    assert "cycles only" in report["inputs"]
    assert "cycles only" in capsys.readouterr().out


def test_products_and_convolutions_are_told_by_the_header(tmp_path):
    product = load_topology(write(tmp_path, "Layer, M, N, K,\ng, 256, 128, 64, 1:1,\n\n"))
    assert product.layers == (TopologyLayer("g", 1, 256, 64, (1, 1), 128),)
    convolution = load_topology(write(tmp_path, HEADER + "c, 30, 20, 3, 5, 8, 16, 2,\nc, 30, 20, 3, 5, 8, 16, 2"))
    first = TopologyLayer("c", 30, 20, 8, (3, 5), 16, 2)
    assert convolution.layers[0] == first
    assert convolution.layers[1].name == "c #2"
    assert first.output == (15, 9)  # 14.5 and 8.5, rounded up


def test_a_depthwise_layer_is_one_product_per_channel(tmp_path):
    path = write(tmp_path, HEADER + "DP1, 10, 10, 3, 3, 8, 1, 1,\n")
    _, result = time_topology(path, "scalesim-32x32")
    assert result.cycles == 8 * (2 * 32 + 32 + 64 - 2)
    assert result.layers[0].macs == 8 * 64 * 9


def test_every_accelerator_times_a_topology(tmp_path):
    path = write(tmp_path, HEADER + "a, 16, 16, 3, 3, 8, 16, 1,\n")
    for name in ("edge-16x16", "gemmini-16x16", "nvdla-2048", "tpu-v1"):
        provenance, result = time_topology(path, load_hardware(name))
        assert provenance.hardware.name == name
        assert result.cycles > 0


def test_every_wrong_row_is_told_at_once(tmp_path):
    rows = ["a, 3, 3, 5, 5, 1, 1, 1,", "b, 3, x, 1, 1, 0, 1, 1,", "c, 3, 3,", "d, 9, 9, 3, 3, 1, 1, 1, 2:4,"]
    found = faults(write(tmp_path, HEADER + "\n".join(rows)))
    assert found == [
        "row 2: filter 5x5: fits the image of 3x3",
        "row 3, IFMAP Width: 'x': is a whole number, 1 to 16777216",
        "row 3, Channels: '0': is a whole number, 1 to 16777216",
        "row 4: 3 cells: has a name and 7 numbers",
        "row 5: 2:4: ends with its Strides, or a sparsity of 1:1",
    ]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "header"),
        (HEADER, "no layers"),
        ("a,b,c\n1,2,3\n", "header"),
        ("Layer, M, N, K,\n", "no layers"),
        ('"a', "CSV"),
    ],
)
def test_what_is_not_a_topology_is_refused(tmp_path, text, part):
    assert part in faults(write(tmp_path, text))[0]


def test_a_file_that_is_missing_or_not_text_is_refused(tmp_path):
    assert "is a readable file" in faults(tmp_path / "none.csv")[0]
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x80")
    assert "UTF-8" in faults(tmp_path / "b.csv")[0]


def test_options_that_need_data_are_refused(tmp_path, capsys):
    path = str(write(tmp_path, HEADER + "a, 16, 16, 3, 3, 8, 16, 1,\n"))
    assert run_cli(["run", path, "--output", str(tmp_path / "o.npz"), "--level", "functional"]) == 2
    message = capsys.readouterr().err
    assert "--output, --level" in message
    assert "without weights" in message
    assert not (tmp_path / "o.npz").exists()
