"""Accelerator configurations: presets, TOML form, overrides, and every fault in one message."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_sim.errors import HardwareError
from accel_sim.hardware import (
    AcceleratorConfig,
    AccumulatorConfig,
    Dataflow,
    GridConfig,
    MemoryConfig,
    OverflowPolicy,
    SramConfig,
    TimingConfig,
    TimingModel,
    VectorConfig,
    all_keys,
    load_hardware,
    parse_hardware,
    preset_names,
    to_toml,
)

MINIMAL = """
name = "tiny"
clock_mhz = 1
[grid]
rows = 2
columns = 3
[memory]
dram_bytes_per_cycle = 1
dram_latency_cycles = 0
weight_sram_bytes = 12
activation_sram_bytes = 4
accumulator_sram_bytes = 24
[vector]
lanes = 1
post_processing_lanes = 1
"""


def faults(call, *arguments):
    with pytest.raises(HardwareError) as caught:
        call(*arguments)
    return [str(fault) for fault in caught.value.faults]


def test_the_presets_are_the_documented_ones():
    assert set(preset_names()) == {
        "edge-16x16",
        "gemmini-16x16",
        "nvdla-1024",
        "nvdla-2048",
        "nvdla-256",
        "nvdla-512",
        "nvdla-64",
        "paper-4x4",
        "scalesim-32x32",
        "tpu-v1",
    }


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_loads_under_its_own_name_with_its_source_and_survives_toml(name):
    config = load_hardware(name)
    assert config.name == name
    assert config.source
    assert parse_hardware(to_toml(config)) == config
    assert parse_hardware(to_toml(config, explained=True)) == config


def test_the_paper_grid_is_figure_1():
    grid = load_hardware("paper-4x4").grid
    assert (grid.rows, grid.columns, grid.dataflow) == (4, 4, Dataflow.ADDER_TREE)


def test_overrides_replace_single_keys():
    config = load_hardware(
        "scalesim-32x32",
        [
            "grid.rows=128",
            "grid.columns = 64",
            "grid.dataflow=output_stationary",
            'accumulator.overflow="saturate"',
            "accumulator.bits=20",
        ],
    )
    assert config.grid == GridConfig(128, 64, Dataflow.OUTPUT_STATIONARY, shadow_registers=False)
    assert config.accumulator == AccumulatorConfig(20, OverflowPolicy.SATURATE)
    assert config.memory == load_hardware("scalesim-32x32").memory


def test_absent_optional_tables_have_defaults():
    config = parse_hardware(MINIMAL)
    assert config.accumulator == AccumulatorConfig(32, OverflowPolicy.WRAP)
    assert config.energy.dram_pj == 1950
    assert config.clock_mhz == 1.0


def test_a_path_is_read(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(MINIMAL)
    assert load_hardware(path).name == load_hardware(str(path)).name == "tiny"


def test_every_fault_is_in_one_message_with_key_value_and_rule():
    found = faults(
        load_hardware,
        "edge-16x16",
        [
            "grid.rows=0",
            "grid.colums=3",
            "grid.dataflow=sideways",
            "accumulator.bits=64",
            "memory.weight_sram_bytes=-4",
            "memory.dram_latency_cycles='64 cycles'",
            "memory.double_buffered=1",
            "vector.lanes=2.5",
            "vector.post_processing_lanes=true",
            "clock_mhz=nan",
            "timing.model=guess",
            "timing.layer_overlap=yes",
            "memory.dram_burst_bytes=0",
            "grid.rows",
            "name=7",
        ],
    )
    expected = [
        "--set: 'grid.rows': is KEY=VALUE, for example grid.rows=128",
        "key name: 7: is a text",
        "key clock_mhz: nan: is 0.000001 to 1_000_000 megahertz",
        "key grid.rows: 0: is 1 to 4096 processing elements",
        "key grid.colums: 3: is not a key of a hardware file (the nearest known key is grid.columns)",
        "key grid.dataflow: 'sideways': is one of adder_tree, weight_stationary, output_stationary, input_stationary",
        "key accumulator.bits: 64: is 8 to 32 bits",
        "key memory.weight_sram_bytes: -4: is 1 to 1_099_511_627_776 bytes",
        "key memory.dram_latency_cycles: '64 cycles': is a whole number of cycles (a number without a unit)",
        "key memory.double_buffered: 1: is true or false",
        "key timing.model: 'guess': is one of grid, nvdla, gemmini, scalesim",
        "key timing.layer_overlap: 'yes': is true or false",
        "key memory.dram_burst_bytes: 0: is 1 to 65536 bytes",
        "key vector.lanes: 2.5: is a whole number of elements per cycle",
        "key vector.post_processing_lanes: true: is a whole number of accumulators per cycle",
    ]
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize(
    ("override", "nearest"),
    [
        ("rows=8", "grid.rows"),
        ("acumulator.bits=8", "accumulator.bits"),
        ("memory.dram_latency=8", "memory.dram_latency_cycles"),
    ],
)
def test_an_unknown_key_names_the_nearest(override, nearest):
    (fault,) = faults(load_hardware, "edge-16x16", [override])
    assert fault.endswith(f"(the nearest known key is {nearest})")


def test_missing_keys_are_all_named():
    found = faults(parse_hardware, "name = 'x'\n[grid]\nrows = 2")
    missing = {fault.split(":")[0] for fault in found if "missing" in fault}
    assert missing == {
        "key clock_mhz",
        "key grid.columns",
        "key memory.dram_bytes_per_cycle",
        "key memory.dram_latency_cycles",
        "key memory.weight_sram_bytes",
        "key memory.activation_sram_bytes",
        "key memory.accumulator_sram_bytes",
        "key vector.lanes",
        "key vector.post_processing_lanes",
    }


@pytest.mark.parametrize(("key", "value"), [("weight", 11), ("activation", 3), ("accumulator", 23)])
def test_a_memory_smaller_than_one_double_buffered_tile_is_refused(key, value):
    (fault,) = faults(parse_hardware, MINIMAL, "tiny", [f"memory.{key}_sram_bytes={value}"])
    assert f"key memory.{key}_sram_bytes: {value} bytes" in fault
    assert f"{value + 1} bytes or more" in fault
    assert parse_hardware(MINIMAL, "tiny", [f"memory.{key}_sram_bytes={value}", "memory.double_buffered=false"])


@pytest.mark.parametrize(
    ("dataflow", "weights", "inputs", "accumulators"),
    [
        ("adder_tree", 6, 2, 12),
        ("weight_stationary", 6, 2, 12),
        ("output_stationary", 3, 2, 24),
        ("input_stationary", 2, 6, 12),
    ],
)
def test_the_smallest_tile_follows_the_dataflow(dataflow, weights, inputs, accumulators):
    found = faults(
        parse_hardware,
        MINIMAL,
        "tiny",
        [
            f"grid.dataflow={dataflow}",
            "memory.double_buffered=false",
            *(f"memory.{part}_sram_bytes=1" for part in ("weight", "activation", "accumulator")),
        ],
    )
    assert [int(f.split(": ")[-1].split()[0]) for f in found] == [weights, inputs, accumulators]


@pytest.mark.parametrize("text", ["grid = [", "\x00", "grid = 4", "a.b.c = 1", ""])
def test_no_text_gives_a_traceback(text):
    assert faults(parse_hardware, text)


@pytest.mark.parametrize("name", ["edge-17x17", "", "/", "presets/none.toml", "a\0b", "x" * 5000])
def test_a_missing_file_names_the_presets_or_the_reason(name):
    (fault,) = faults(load_hardware, name)
    assert "--hw" in fault


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00\x80")
    assert "UTF-8" in faults(load_hardware, path)[0]


@given(st.lists(st.tuples(st.sampled_from(all_keys()), st.text(max_size=12)), max_size=4))
def test_arbitrary_overrides_give_a_configuration_or_a_hardware_error(pairs):
    try:
        config = load_hardware("paper-4x4", [f"{key}={value}" for key, value in pairs])
    except HardwareError as error:
        assert error.faults  # noqa: PT017 both outcomes are fine; an error must say what is wrong
    else:
        assert isinstance(config, AcceleratorConfig)


@given(
    st.builds(
        AcceleratorConfig,
        name=st.text(),
        description=st.text(),
        source=st.text(),
        clock_mhz=st.floats(1e-6, 1e6),
        grid=st.builds(
            GridConfig,
            rows=st.integers(1, 64),
            columns=st.integers(1, 64),
            dataflow=st.sampled_from(Dataflow),
            shadow_registers=st.booleans(),
        ),
        memory=st.builds(
            MemoryConfig,
            dram_bytes_per_cycle=st.floats(1e-6, allow_infinity=True),
            dram_latency_cycles=st.integers(0, 1000),
            weight_sram_bytes=st.integers(1 << 20, 1 << 30),
            activation_sram_bytes=st.integers(1 << 20, 1 << 30),
            accumulator_sram_bytes=st.integers(1 << 20, 1 << 30),
            double_buffered=st.booleans(),
            dma_engines=st.integers(1, 8),
            dma_bytes_in_flight=st.floats(1, allow_infinity=True),
            accumulator_sram=st.builds(
                SramConfig, banks=st.integers(1, 64), ports=st.integers(1, 4), word_bytes=st.floats(1, 512)
            ),
        ),
        vector=st.builds(VectorConfig, lanes=st.integers(1, 99), post_processing_lanes=st.integers(1, 99)),
        accumulator=st.builds(AccumulatorConfig, bits=st.integers(8, 32), overflow=st.sampled_from(OverflowPolicy)),
        timing=st.sampled_from((TimingConfig(), TimingConfig(layer_overlap=True))),
    )
)
def test_toml_round_trip(config):
    assert parse_hardware(to_toml(config)) == config


def test_a_winograd_accelerator_survives_toml():
    config = dataclasses.replace(load_hardware("nvdla-64"), timing=TimingConfig(TimingModel.NVDLA, winograd=True))
    assert parse_hardware(to_toml(config)) == config


def test_what_a_preset_cannot_do_is_in_the_message_of_all_other_faults():
    wrong = ["grid.dataflow=output_stationary", "memory.weight_sram_bytes=2", "memory.weight_sram.bank=3"]
    found = faults(load_hardware, "gemmini-16x16", [*wrong, "accumulator.saturate=true"])
    assert sorted(found) == [
        "key accumulator.saturate: true: is not a key of a hardware file"
        " (the nearest known key is accumulator.structure)",
        "key memory.weight_sram.bank: 3: is not a key of a hardware file"
        " (the nearest known key is memory.weight_sram.banks)",
        "key memory.weight_sram_bytes: 2 bytes: holds one tile of weights of a 16x16 output_stationary grid"
        " twice (double-buffered): 32 bytes or more",
        "key timing.model: gemmini with output_stationary: is for grid.dataflow=weight_stationary alone"
        " (set timing.model=grid)",
    ]


def test_an_explained_accelerator_says_what_each_key_may_be():
    lines = to_toml(load_hardware("edge-16x16"), explained=True).splitlines()
    said = {line.split(" = ")[0]: line.partition("# ")[2] for line in lines if " = " in line}
    assert said["rows"] == "1 to 4096 processing elements"
    assert said["dma_bytes_in_flight"] == "at least 1 bytes"
    assert said["dataflow"] == "adder_tree, weight_stationary, output_stationary, input_stationary"
    assert all(said[key] for key in said if key not in ("name", "description", "source"))


def test_ports_and_engines_are_for_the_grid_model():
    options = ["memory.accumulator_sram.word_bytes=64", "memory.dma_bytes_in_flight=512"]
    found = faults(load_hardware, "nvdla-2048", options)
    assert [fault.split(":")[0] for fault in found] == [
        "key memory.dma_bytes_in_flight",
        "key memory.accumulator_sram.word_bytes",
    ]
    assert all("is only for model grid" in fault for fault in found)


def test_parts_check_themselves():
    with pytest.raises(HardwareError, match=r"rows: 0: is 1 to 4096"):
        GridConfig(0, 4)
    config = load_hardware("edge-16x16")
    with pytest.raises(HardwareError, match="weight_sram_bytes"):
        dataclasses.replace(config, memory=dataclasses.replace(config.memory, weight_sram_bytes=5))
