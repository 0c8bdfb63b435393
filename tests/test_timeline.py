"""The timeline, read back through Perfetto's published schema."""

import io
import itertools
import json

import pytest
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent

import accel_sim
from accel_sim import demo_data
from accel_sim.cli import run as run_cli

UNITS = {"DMA", "weight SRAM", "activation SRAM", "accumulator SRAM", "grid", "post-processing", "vector unit"}
COUNTERS = {
    "DRAM bandwidth": "bytes/cycle",
    "weight SRAM occupancy": "bytes",
    "activation SRAM occupancy": "bytes",
    "accumulator SRAM occupancy": "bytes",
}


class Read:
    """A trace as its reader sees it; nesting and order are asserted on the way.

    slices: by track, (name, start, end, depth, bytes); counters: by track, (time, value).
    """

    def __init__(self, content):
        self.units, self.slices, self.counters = {}, {}, {}
        names, open_slices, latest, processes = {}, {}, {}, []
        for packet in Trace.FromString(content).packet:
            if packet.HasField("track_descriptor"):
                track = packet.track_descriptor
                assert track.uuid not in names
                names[track.uuid] = track.name or track.process.process_name
                if track.HasField("process"):
                    processes.append(track.uuid)
                    continue
                assert [track.parent_uuid] == processes
                if track.HasField("counter"):
                    self.units[track.name] = track.counter.unit_name
                    self.counters[track.name] = []
                else:
                    self.slices[track.name] = []
                continue
            event, time = packet.track_event, packet.timestamp
            name = names[event.track_uuid]
            assert time >= latest.get(name, 0), f"{name} goes back in time at {time}"
            latest[name] = time
            stack = open_slices.setdefault(name, [])
            if event.type == TrackEvent.TYPE_COUNTER:
                self.counters[name].append((time, event.double_counter_value))
            elif event.type == TrackEvent.TYPE_SLICE_BEGIN:
                size = sum(a.uint_value for a in event.debug_annotations if a.name == "bytes")
                stack.append((event.name, time, size))
            else:
                assert event.type == TrackEvent.TYPE_SLICE_END
                opened, start, size = stack.pop()
                self.slices[name].append((opened, start, time, len(stack), size))
        assert not any(open_slices.values())
        self.process = names[processes[0]]

    def lengths(self, track, depth):
        return [end - start for _, start, end, at, _ in self.slices[track] if at == depth]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("timeline") / "q.onnx"
    graph = accel_sim.quantize(accel_sim.load(demo_data.network_bytes()), demo_data.calibration(), "minmax")
    accel_sim.write_onnx(graph, path)
    return path


def traced(capsys, folder, model, *options):
    """The trace of `accel-sim run`, and the report that the same run wrote."""
    trace, report = folder / "t.pftrace", folder / "r.json"
    code = run_cli(["run", str(model), "--trace", str(trace), "--json", str(report), *options])
    told = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("accel_kernels: compiling")]
    assert (code, told) == (0, [])
    return Read(trace.read_bytes()), json.loads(report.read_text())


def assert_adds_up(read, report):
    assert set(read.slices) == UNITS | {"layers"}
    assert read.units == COUNTERS
    layers = read.slices["layers"]
    assert sum(read.lengths("layers", 0)) == report["cycles"] == layers[-1][2]
    assert all(before[2] == after[1] for before, after in itertools.pairwise(layers))
    for layer in report["layers"]:
        assert sum(end - start for name, start, end, _, _ in layers if name == layer["name"]) == layer["cycles"]
    for track, slices in read.slices.items():
        assert max((depth for *_, depth, _ in slices), default=0) <= (track != "layers")
    assert all(value >= 0 for points in read.counters.values() for _, value in points)
    moved = sum(size for *_, size in read.slices["DMA"])
    assert moved == report["totals"]["traffic"]["dram_read"] + report["totals"]["traffic"]["dram_write"]


def assert_tiles_add_up(read, report):
    """For an accelerator whose tiles are modelled."""
    assert sum(read.lengths("grid", 1)) == sum(layer["grid_cycles"] or 0 for layer in report["layers"])
    bandwidth = report["hardware"]["memory"]["dram_bytes_per_cycle"]
    assert 0 < max(value for _, value in read.counters["DRAM bandwidth"]) <= bandwidth
    busy = {track: set() for track in ("grid", "post-processing", "vector unit")}
    for track, cycles in busy.items():
        for _, start, end, depth, _ in read.slices[track]:
            cycles.update(range(start, end) if depth else ())
    stalls = report["totals"]["stall_cycles"]
    assert len(set().union(*busy.values())) == report["cycles"] - stalls


def test_the_bundled_network(capsys, tmp_path, model):
    read, report = traced(capsys, tmp_path, model)
    assert_adds_up(read, report)
    assert_tiles_add_up(read, report)
    assert read.process == "q on edge-16x16 (1 ns = 1 cycle)"


def test_single_buffers(capsys, tmp_path, model):
    read, report = traced(capsys, tmp_path, model, "--set", "memory.double_buffered=false")
    assert_adds_up(read, report)
    assert_tiles_add_up(read, report)


@pytest.mark.parametrize("hardware", ["nvdla-256", "gemmini-16x16"])
def test_accelerators_with_a_model_of_their_own(capsys, tmp_path, model, hardware):
    assert_adds_up(*traced(capsys, tmp_path, model, "--hw", hardware))


def test_a_mobilenet(capsys, tmp_path, data):
    read, report = traced(capsys, tmp_path, data / "tflite/mobilenet_v1_0.25_128_quant.tflite")
    assert_adds_up(read, report)
    assert_tiles_add_up(read, report)
    assert len(read.lengths("grid", 1)) > 1000


@pytest.mark.slow
def test_mobilenet_v2(capsys, tmp_path, data):
    graph = accel_sim.load(data / "onnx/mobilenetv2_tfslim_fp32.onnx")
    accel_sim.write_onnx(
        accel_sim.quantize(graph, accel_sim.random_inputs(graph), "minmax"), tmp_path / "mobilenet_v2.onnx"
    )
    read, report = traced(capsys, tmp_path, tmp_path / "mobilenet_v2.onnx")
    assert_adds_up(read, report)
    assert_tiles_add_up(read, report)
    assert report["totals"]["macs"] == 300_775_552


def test_a_topology_without_weights(capsys, tmp_path):
    topology = tmp_path / "t.csv"
    header = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
    topology.write_text(header + "one, 16, 16, 3, 3, 4, 8, 1,\ntwo, 14, 14, 1, 1, 8, 40, 1,\n")
    read, report = traced(capsys, tmp_path, topology, "--hw", "scalesim-32x32")
    assert [name for name, *_ in read.slices["layers"]] == ["one", "two"]
    assert sum(read.lengths("layers", 0)) == report["cycles"]
    stream = io.BytesIO()
    accel_sim.topology_timeline(topology, "scalesim-32x32").write(stream)
    assert Read(stream.getvalue()).slices == read.slices


def test_equal_runs_write_equal_traces(capsys, tmp_path, model):
    written = []
    for name in ("a", "b"):
        assert run_cli(["run", str(model), "--trace", str(tmp_path / name)]) == 0
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]


def test_a_level_without_time_has_no_timeline(capsys, tmp_path, model):
    assert run_cli(["run", str(model), "--level", "functional", "--trace", str(tmp_path / "t")]) == 2
    assert "models no time" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_timeline_in_python(tmp_path, model):
    program = accel_sim.compile(accel_sim.load(model))
    timeline = accel_sim.timeline(program)
    with (tmp_path / "t.pftrace").open("wb") as file:
        timeline.write(file)
    assert sum(Read((tmp_path / "t.pftrace").read_bytes()).lengths("layers", 0)) == timeline.cycles
