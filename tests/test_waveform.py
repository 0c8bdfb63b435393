"""Waveforms: parsed by another reader, against the registers of the stepped grid and the results of the layer."""

import itertools

import numpy as np
import pytest
from vcdvcd import VCDVCD

import accel_sim
from accel_sim import demo_data
from accel_sim.cli import run as run_cli
from accel_sim.errors import InputError
from accel_sim.hardware import Dataflow
from accel_sim.report import waveform as module
from accel_sim.sim.stepped.grid import SteppedGrid

LAYER, ROWS, COLUMNS = "strided_conv", 4, 3
CYCLE = 10  # time units


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("waveform") / "q.onnx"
    graph = accel_sim.quantize(accel_sim.load(demo_data.network_bytes()), demo_data.calibration(), "minmax")
    accel_sim.write_onnx(graph, path)
    return path


def compiled(model, dataflow, *settings):
    sizes = [f"grid.rows={ROWS}", f"grid.columns={COLUMNS}", f"grid.dataflow={dataflow.value}", *settings]
    graph = accel_sim.load(model)
    return accel_sim.compile(graph, accel_sim.load_hardware("edge-16x16", sizes)), accel_sim.random_inputs(graph)


def dumped(wave, folder):
    path = folder / "t.vcd"
    with path.open("wb") as file:
        wave.write(file)
    return VCDVCD(str(path))


def signed(bits, width):
    value = int(bits, 2)  # what is written without leading zeros is positive
    return value - (value >> (width - 1) << width)


def changes(dump, name):
    """(cycle, value) of a signal, where it changes."""
    signal = dump[name]
    assert all(time % CYCLE == 0 for time, _ in signal.tv)
    return [(time // CYCLE, signed(bits, int(signal.size))) for time, bits in signal.tv]


def at(dump, name, cycle):
    return [value for time, value in changes(dump, name) if time <= cycle][-1]


def registers_by_name(registers, dataflow):
    """What the dump should call the registers: another statement of its naming rules."""
    moving, resting = ("weight", "input") if dataflow is Dataflow.INPUT_STATIONARY else ("input", "weight")
    second = "sum_shadow" if dataflow is Dataflow.OUTPUT_STATIONARY else f"{resting}_shadow"
    named = {}
    if dataflow is Dataflow.ADDER_TREE:
        named |= {f"grid.row{i}.input": registers.inputs[i] for i in range(ROWS)}
        named |= {f"grid.tree{j}.sum": registers.sums[j] for j in range(COLUMNS)}
    for i, j in itertools.product(range(ROWS), range(COLUMNS)):
        pe = f"grid.row{i}.pe{j}"
        named[f"{pe}.{resting}"] = registers.resting[i, j]
        if dataflow is not Dataflow.ADDER_TREE:
            named[f"{pe}.{moving}"], named[f"{pe}.sum"] = registers.inputs[i, j], registers.sums[i, j]
        if registers.shadow is not None:
            named[f"{pe}.{second}"] = registers.shadow[i, j]
    return {name: int(value) for name, value in named.items()}


@pytest.mark.parametrize("shadow", ["true", "false"])
@pytest.mark.parametrize("dataflow", Dataflow)
def test_every_change_is_the_grids(model, tmp_path, dataflow, shadow):
    program, inputs = compiled(model, dataflow, f"grid.shadow_registers={shadow}")
    wave = accel_sim.waveform(program, inputs, LAYER, 2)
    dump, window = dumped(wave, tmp_path), wave.window
    grid = SteppedGrid(window.config, window.folds, window.products)
    expected: dict[str, list[tuple[int, int]]] = {}
    while grid.cycles <= window.last:
        if grid.cycles >= window.first:
            for name, value in registers_by_name(grid.registers(), dataflow).items():
                history = expected.setdefault(name, [])
                if not history or history[-1][1] != value:
                    history.append((grid.cycles, value))
        if grid.cycles == window.last:
            break
        grid.step(1)
    assert set(dump.signals) == {*expected, "grid.clock", "grid.cycle", "grid.tile"}
    for name, history in expected.items():
        assert changes(dump, name) == history, name
    assert sum(len(history) for history in expected.values()) > 4 * len(expected) // 3


def tiles_of_the_first_sums(command):
    """Tiles of the reduction of the first block's first columns."""
    return -(-int(np.prod(command.weights.shape[1:])) // command.tiling.reduction)


@pytest.mark.parametrize("dataflow", Dataflow)
def test_sums_that_leave_are_the_accumulators(model, tmp_path, dataflow):
    program, inputs = compiled(model, dataflow)
    vectors = accel_sim.golden_vectors(program, inputs, LAYER)
    command = vectors.command
    accumulators = vectors.arrays["accumulators"].to_array().reshape(-1, command.output_to.shape[-1])
    last = tiles_of_the_first_sums(command) - 1
    assert last >= 2 or dataflow is Dataflow.OUTPUT_STATIONARY
    if dataflow is Dataflow.ADDER_TREE:
        total = np.array([int(b) for b in vectors.arrays["bias"].to_array()[:COLUMNS]])
        for tile in range(last + 1):
            wave = accel_sim.waveform(program, inputs, LAYER, tile)
            begin, dump = wave.window.begins[tile], dumped(wave, tmp_path)
            total += [at(dump, f"grid.tree{j}.sum", begin + 5 + 1) for j in range(COLUMNS)]
        np.testing.assert_array_equal(total, accumulators[5, :COLUMNS])
        return
    wave = accel_sim.waveform(program, inputs, LAYER, last)
    begin, dump = int(wave.window.begins[last]), dumped(wave, tmp_path)
    assert at(dump, "grid.tile", begin) == last
    assert at(dump, "grid.cycle", begin) == begin
    for step, j in itertools.product(range(3), range(COLUMNS)):
        if dataflow is Dataflow.OUTPUT_STATIONARY:
            depth = int(np.prod(command.weights.shape[1:]))
            found = at(dump, f"grid.row{step}.pe{j}.sum", begin + depth + step + j)
            assert found == accumulators[step, j]
        else:
            found = at(dump, f"grid.row{ROWS - 1}.pe{j}.sum", begin + step + ROWS + j)
            across = (j, step) if dataflow is Dataflow.INPUT_STATIONARY else (step, j)
            assert found == accumulators[across]


def test_the_command_writes_what_python_does(model, tmp_path, capsys):
    path = tmp_path / "t.vcd"
    options = ["--vcd", str(path), "--vcd-layer", "strided", "--vcd-tile", "1", "--set", "grid.rows=4"]
    assert run_cli(["run", str(model), "--set", "grid.columns=3", *options]) == 0
    program, inputs = compiled(model, Dataflow.WEIGHT_STATIONARY)
    with (tmp_path / "python.vcd").open("wb") as file:
        accel_sim.waveform(program, inputs, LAYER, 1).write(file)
    assert path.read_bytes() == (tmp_path / "python.vcd").read_bytes()
    dump = VCDVCD(str(path))
    assert dump.timescale["timescale"] * CYCLE == dump.timescale["factor"] * 1000  # a cycle is a nanosecond
    capsys.readouterr()


def test_clock_and_cycles(model, tmp_path):
    program, inputs = compiled(model, Dataflow.WEIGHT_STATIONARY)
    wave = accel_sim.waveform(program, inputs, cycles=7)
    assert wave.layer == "stem_conv"  # the first that the grid computes
    assert wave.cycles == 7
    dump = dumped(wave, tmp_path)
    clock = dump["grid.clock"].tv
    assert clock == [(CYCLE // 2 * n, str(1 - n % 2)) for n in range(15)]
    assert changes(dump, "grid.cycle") == [(n, n) for n in range(8)]
    assert {value for _, value in changes(dump, "grid.tile")} == {-1, 0}


def refused(program, inputs, *arguments, **options):
    with pytest.raises(InputError) as caught:
        accel_sim.waveform(program, inputs, *arguments, **options)
    return str(caught.value)


def test_what_cannot_be_written_is_told(model, monkeypatch):
    program, inputs = compiled(model, Dataflow.WEIGHT_STATIONARY)
    assert "0 to " in refused(program, inputs, LAYER, 100_000)
    assert "is a layer" in refused(program, inputs, "nothing")
    assert "only those have accumulators" in refused(program, inputs, "max_pool")
    monkeypatch.setattr(module, "MOST_VALUES", 1000)
    text = refused(program, inputs, LAYER)
    assert "at most 1,000 values" in text
    assert "record at most 19 cycles" in text
    assert accel_sim.waveform(program, inputs, LAYER, cycles=19).cycles == 19


@pytest.mark.parametrize("options", [("--vcd-tile", "1"), ("--vcd-layer", "x"), ("--vcd-cycles", "2")])
def test_options_without_a_file_are_refused(model, capsys, options):
    assert run_cli(["run", str(model), *options]) == 2
    assert "--vcd FILE" in capsys.readouterr().err


def test_a_tile_that_is_not_there_leaves_no_file(model, tmp_path, capsys):
    assert run_cli(["run", str(model), "--vcd", str(tmp_path / "t.vcd"), "--vcd-tile", "99999"]) == 2
    assert "tile" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
