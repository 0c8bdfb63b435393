"""AcceleratorConfig: everything the compiler and the machine know about an accelerator. Frozen, and checks itself."""

from dataclasses import field
from enum import Enum

from accel_sim.errors import Fault, HardwareError
from accel_sim.hardware.checks import described, range_faults, refuse
from accel_sim.hardware.memory import MemoryConfig
from accel_sim.hardware.structures import DEFAULT_ROWS, resolve_structure
from accel_sim.numerics.accumulators import AccumulatorStructure, OverflowPolicy, plain
from accel_sim.records import dataclass


class Dataflow(Enum):
    """How operands meet in the PE grid of `rows` x `columns`."""

    ADDER_TREE = "adder_tree"
    """Figure 1: each cycle one input vector of `rows` elements meets a tile of weights; a tree per column adds the
    products into that column's accumulator."""
    WEIGHT_STATIONARY = "weight_stationary"
    """Systolic: weights rest in the PEs (K along rows, output channels along columns), inputs stream, sums move
    down."""
    OUTPUT_STATIONARY = "output_stationary"
    """Systolic: accumulators rest in the PEs (output pixels along rows, output channels along columns), both operands
    stream."""
    INPUT_STATIONARY = "input_stationary"
    """Systolic: inputs rest in the PEs (K along rows, output pixels along columns), weights stream, sums move down."""


@dataclass(frozen=True)
class GridConfig:
    """The processing elements (figure 1: C_{n,m}).

    Attributes:
        rows, columns: size of the grid; each PE does one multiply-accumulate per cycle.
        dataflow: see Dataflow.
        shadow_registers: each PE has a second register for its resting operand, loaded while the first is in use.
    """

    rows: int = described("processing elements", 1, 4096)
    columns: int = described("processing elements", 1, 4096)
    dataflow: Dataflow = Dataflow.WEIGHT_STATIONARY
    shadow_registers: bool = True

    def __post_init__(self) -> None:
        refuse(range_faults(self), "grid")

    @property
    def size(self) -> int:
        """Processing elements."""
        return self.rows * self.columns


@dataclass(frozen=True)
class AccumulatorConfig:
    """The accumulators (figure 1: A_n).

    Attributes:
        bits: width. Networks whose software accumulates in 64 bits (16-bit activations) double it.
        overflow: see OverflowPolicy.
        structure: an accumulator of several stages in place of these: see `resolve_structure`; "" for none.
    """

    bits: int = described("bits", 8, 32, default=32)
    overflow: OverflowPolicy = OverflowPolicy.WRAP
    structure: str = field(
        default="", metadata={"said": "in their place: a preset of stages, a TOML file, 40:saturate"}
    )

    def __post_init__(self) -> None:
        faults = range_faults(self)
        if self.structure and (self.bits, self.overflow) != (32, OverflowPolicy.WRAP):
            given = f"{self.bits} bits, {self.overflow.value}, beside structure {self.structure!r}"
            faults.append(Fault("structure", given, "has its own widths and policies", "give one or the other"))
        elif self.structure:
            faults += _structure_faults(self.structure)
        refuse(faults, "accumulator")

    def stages(self, rows: int) -> AccumulatorStructure:
        """The accumulators of a grid of so many rows."""
        return resolve_structure(self.structure, rows) if self.structure else plain(self.bits, self.overflow)

    @property
    def size_bytes(self) -> int:
        """Bytes of one accumulator in memory: the width of its last stage rounded up to whole bytes."""
        return -(-self.stages(DEFAULT_ROWS).final.bits // 8)


def _structure_faults(name: str) -> list[Fault]:
    try:
        resolve_structure(name)
    except HardwareError as error:
        return [Fault("structure", x.value, f"{x.where}: {x.rule}", x.cure) for x in error.faults]
    return []


@dataclass(frozen=True)
class VectorConfig:
    """The units beside the grid.

    Attributes:
        lanes: elements per cycle of the vector unit (pooling, element-wise, look-up tables, softmax).
        post_processing_lanes: accumulators requantized per cycle (figure 2).
    """

    lanes: int = described("elements per cycle", 1, 65536)
    post_processing_lanes: int = described("accumulators per cycle", 1, 65536)

    def __post_init__(self) -> None:
        refuse(range_faults(self), "vector")


@dataclass(frozen=True)
class EnergyConfig:
    """Energy of single operations. Defaults: M. Horowitz, "Computing's energy problem", ISSCC 2014, 45 nm, 0.9 V.

    Attributes:
        int8_add_pj, int32_add_pj, int8_multiply_pj, int32_multiply_pj: one operation.
        sram_8kib_pj, sram_32kib_pj, sram_1mib_pj: one 64-bit access to a memory of that size.
        dram_pj: one 64-bit access; Horowitz gives 1300 to 2600, the default is the middle.
    """

    int8_add_pj: float = described("picojoule", 0, 1e9, default=0.03)
    int32_add_pj: float = described("picojoule", 0, 1e9, default=0.1)
    int8_multiply_pj: float = described("picojoule", 0, 1e9, default=0.2)
    int32_multiply_pj: float = described("picojoule", 0, 1e9, default=3.1)
    sram_8kib_pj: float = described("picojoule", 0, 1e9, default=10.0)
    sram_32kib_pj: float = described("picojoule", 0, 1e9, default=20.0)
    sram_1mib_pj: float = described("picojoule", 0, 1e9, default=100.0)
    dram_pj: float = described("picojoule", 0, 1e9, default=1950.0)

    def __post_init__(self) -> None:
        refuse(range_faults(self), "energy")


class TimingModel(Enum):
    """How long commands take. The bytes they compute do not depend on it."""

    GRID = "grid"
    """The PE grid's closed forms, double-buffered transfers, post-processing: any accelerator of this file's parts."""
    NVDLA = "nvdla"
    """NVIDIA's public performance sheet: each layer takes the longer of its MAC and its DRAM cycles."""
    GEMMINI = "gemmini"
    """UC Berkeley's Gemmini: a model of its tiles, fitted to cycles of its RTL, for a 16x16 grid."""
    SCALESIM = "scalesim"
    """SCALE-Sim 3.0's double-buffered memories, event by event, around a systolic grid; slow for large layers."""


@dataclass(frozen=True)
class TimingConfig:
    """How time is modelled.

    Attributes:
        model: see TimingModel.
        layer_overlap: model grid only: the first weights of a layer are fetched while the layer before computes.
        winograd: NVDLA only: stride-1 3x3 convolutions take 4 of 9 multiplications, and 4x4 weights for each 3x3.
    """

    model: TimingModel = TimingModel.GRID
    winograd: bool = False
    layer_overlap: bool = False

    def __post_init__(self) -> None:
        faults = []
        if self.winograd and self.model is not TimingModel.NVDLA:
            faults.append(Fault("winograd", "true", "is only for model nvdla", "remove it or set timing.model"))
        if self.layer_overlap and self.model is not TimingModel.GRID:
            faults.append(Fault("layer_overlap", "true", "is only for model grid", "remove it or set timing.model"))
        refuse(faults, "timing")


@dataclass(frozen=True)
class AcceleratorConfig:
    """One accelerator.

    Attributes:
        name: for people and reports.
        description: what it is. source: where its numbers come from.
        clock_mhz: turns cycles into seconds.
        grid, accumulator, memory, vector, energy: its parts. timing: how their time is modelled.

    Raises:
        HardwareError: a value out of range, or an on-chip memory that cannot hold the smallest tile of int8 operands.
    """

    name: str
    clock_mhz: float = described("megahertz", 1e-6, 1e6)
    grid: GridConfig = field(kw_only=True)
    memory: MemoryConfig = field(kw_only=True)
    vector: VectorConfig = field(kw_only=True)
    accumulator: AccumulatorConfig = field(default_factory=AccumulatorConfig, kw_only=True)
    energy: EnergyConfig = field(default_factory=EnergyConfig, kw_only=True)
    timing: TimingConfig = field(default_factory=TimingConfig, kw_only=True)
    description: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        faults = range_faults(self) + smallest_tile_faults(self) + timing_faults(self)
        refuse(faults, f"hardware {self.name!r}")


def smallest_tile_faults(config: AcceleratorConfig) -> list[Fault]:
    """What an on-chip memory lacks to hold one tile of int8 operands (twice, where double-buffered)."""
    grid, memory = config.grid, config.memory
    outputs = grid.size if grid.dataflow is Dataflow.OUTPUT_STATIONARY else grid.columns
    weights = {
        Dataflow.OUTPUT_STATIONARY: grid.columns,
        Dataflow.INPUT_STATIONARY: grid.rows,
    }.get(grid.dataflow, grid.size)
    inputs = grid.size if grid.dataflow is Dataflow.INPUT_STATIONARY else grid.rows
    needs = [
        ("memory.weight_sram_bytes", memory.weight_sram_bytes, weights, "weights"),
        ("memory.activation_sram_bytes", memory.activation_sram_bytes, inputs, "inputs"),
        (
            "memory.accumulator_sram_bytes",
            memory.accumulator_sram_bytes,
            outputs * config.accumulator.size_bytes,
            "accumulators",
        ),
    ]
    shape = f"a {grid.rows}x{grid.columns} {grid.dataflow.value} grid"
    twice = " twice (double-buffered)" if memory.double_buffered else ""
    return [
        Fault(
            key, f"{have} bytes", f"holds one tile of {what} of {shape}{twice}: {need * memory.buffers} bytes or more"
        )
        for key, have, need, what in needs
        if have < need * memory.buffers
    ]


def timing_faults(config: AcceleratorConfig) -> list[Fault]:
    """What the model of time does not cover."""
    grid, model, faults = config.grid, config.timing.model, []
    cure = "set timing.model=grid"
    if model is TimingModel.GEMMINI and (grid.rows, grid.columns) != (16, 16):
        size = f"{grid.rows}x{grid.columns}"
        faults.append(Fault("timing.model", f"gemmini with a {size} grid", "was fitted to 16x16", cure))
    if model is TimingModel.SCALESIM and grid.dataflow is Dataflow.ADDER_TREE:
        faults.append(Fault("timing.model", "scalesim with an adder_tree", "is for systolic grids", cure))
    if model is TimingModel.SCALESIM and grid.shadow_registers:
        faults.append(
            Fault("timing.model", "scalesim with shadow registers", "needs grid.shadow_registers=false", cure)
        )
    only = {TimingModel.GEMMINI: Dataflow.WEIGHT_STATIONARY, TimingModel.NVDLA: Dataflow.ADDER_TREE}
    if model in only and grid.dataflow is not only[model]:
        with_it = f"{model.value} with {grid.dataflow.value}"
        faults.append(Fault("timing.model", with_it, f"is for grid.dataflow={only[model].value} alone", cure))
    if model is not TimingModel.GRID:
        for key, value in config.memory.limits_besides_dram():
            faults.append(Fault(key, f"{value:g} with model {model.value}", "is only for model grid", cure))
    bandwidth = config.memory.dram_bytes_per_cycle
    if model is TimingModel.SCALESIM and not (bandwidth < 1 << 30 and bandwidth == int(bandwidth) >= 1):
        rule = "needs memory.dram_bytes_per_cycle to be a whole number"
        faults.append(Fault("timing.model", f"scalesim with {bandwidth:g} bytes per cycle", rule, cure))
    return faults
