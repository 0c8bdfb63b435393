"""Running a network up to one layer, and everything that goes into that layer and comes out of it."""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import fields, replace
from enum import Enum
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_sim.analysis.provenance import Provenance
from accel_sim.errors import Fault, InputError
from accel_sim.hardware import AcceleratorConfig
from accel_sim.numerics.accumulators import AccumulatorStructure, Stage
from accel_sim.numerics.requantization import FloatRequantization, Requantization
from accel_sim.program import MatrixMultiply, Operand, Port, Program, Region
from accel_sim.program.geometry import MatrixCommand, is_depthwise, matrix_operands, weight_zero_points
from accel_sim.records import dataclass
from accel_sim.report.json_form import heading, plain, subject
from accel_sim.report.vectors import formulas
from accel_sim.report.vectors.layers import matrix_command
from accel_sim.report.vectors.words import Words
from accel_sim.sim.machine import Machine
from accel_sim.sim.multiply_accumulate import products_per_addition
from accel_sim.sim.result import Level

Array = NDArray[np.generic]
Document = dict[str, Any]

MANIFEST, ARCHIVE = "manifest.json", "vectors.npz"
_ALIGNMENT = 64
_EPOCH = (1980, 1, 1, 0, 0, 0)  # equal runs write equal bytes


@dataclass(frozen=True)
class GoldenVectors:
    """A layer's operands, accumulators, constants and results.

    Attributes:
        provenance: of the run.
        hardware: the machine that ran.
        samples: how many.
        command: what the layer computes.
        arrays: by name; `input` and `weights` (of a matrix product `a` and `b`), `bias`, `weight_zero_point`,
            `accumulators`, `requantization_*`, `result`. Activations have the samples as first axis.
    """

    provenance: Provenance
    hardware: AcceleratorConfig
    samples: int
    command: MatrixCommand
    arrays: Mapping[str, Words]

    def manifest(self) -> Document:
        """Shapes, types, constants and formulas: everything that a reader of the arrays must know."""
        command = self.command
        return {
            **heading("vectors"),
            **subject(self.provenance),
            "samples": self.samples,
            "layer": command.layer,
            "op": command.op,
            "command": type(command).__name__,
            "geometry": _geometry(command),
            "accumulator": plain(_accumulator(command, self.hardware)),
            "requantization": None if command.output is None else _constants(command.output),
            "formulas": _formulas(command, self.hardware),
            "archive": ARCHIVE,
            "arrays": {name: _entry(name, words) for name, words in self.arrays.items()},
        }

    def files(self) -> dict[str, bytes]:
        """The content of each file by its name."""
        written = {f"{name}.hex": words.to_hex().encode() for name, words in self.arrays.items()}
        written[ARCHIVE] = _archive({name: words.to_array() for name, words in self.arrays.items()})
        written[MANIFEST] = (json.dumps(plain(self.manifest()), indent=2, allow_nan=False) + "\n").encode()
        return written


def capture(
    program: Program, layer: str, inputs: Mapping[str, Array], provenance: Provenance, threads: int | None = None
) -> GoldenVectors:
    """Run the commands before a layer, then the layer twice: once with raw accumulators, once as it is.

    Args:
        program: the network.
        layer: a convolution or matrix product by its name.
        inputs: as for `Machine.run`.
        provenance: what the vectors are of.
        threads: that samples are spread over.

    Raises:
        InputError: no such layer, one without accumulators, or wrong inputs.
    """
    index, command = matrix_command(program, layer)
    tapped, ports = _tapped(program, index, command)
    result = Machine(program.hardware).run(tapped, inputs, Level.FUNCTIONAL, threads=threads)
    made = {port.name: result.outputs[port.name].reshape(result.samples, *port.operand.shape) for port in ports}
    return GoldenVectors(provenance, program.hardware, result.samples, command, _arrays(program, command, made))


def _tapped(program: Program, index: int, command: MatrixCommand) -> tuple[Program, tuple[Port, ...]]:
    """The program up to a command, which writes accumulators and results past the end of the activations."""
    bits = _stage(command, program.hardware).bits
    wide = np.dtype(np.int64 if command.wide_accumulator and bits > 32 else np.int32)
    address = _aligned(program.activation_bytes)
    sums = Operand("accumulators", Region.ACTIVATIONS, address, command.output_to.shape, wide.name)
    codes = replace(command.output_to, name="result", address=_aligned(address + sums.size_bytes))
    streamed = [(name, x) for name, x in _operands(command) if x.region is Region.ACTIVATIONS]
    ports = tuple(Port(name, x, None) for name, x in [*streamed, ("accumulators", sums), ("result", codes)])
    taps = (replace(command, output=None, output_to=sums), replace(command, output_to=codes))
    tapped = replace(
        program,
        commands=(*program.commands[:index], *taps),
        outputs=ports,
        activation_bytes=codes.address + codes.size_bytes,
        shapes=(),
    )
    return tapped, ports


def _aligned(address: int) -> int:
    return -(-address // _ALIGNMENT) * _ALIGNMENT


def _operands(command: MatrixCommand) -> list[tuple[str, Operand]]:
    names = ("a", "b") if isinstance(command, MatrixMultiply) else ("input", "weights")
    operands = list(zip(names, matrix_operands(command), strict=True))
    if not isinstance(command, MatrixMultiply) and command.bias is not None:
        operands.append(("bias", command.bias))
    return operands


def _arrays(program: Program, command: MatrixCommand, made: Mapping[str, Array]) -> dict[str, Words]:
    constant = {name: _constant(program, x) for name, x in _operands(command) if x.region is Region.CONSTANTS}
    channels = command.output_to.shape[-1]
    arrays = {name: Words.of_array({**made, **constant}[name]) for name, _ in _operands(command)}
    arrays["weight_zero_point"] = Words.of_integers(_repeated(weight_zero_points(command), channels))
    arrays["accumulators"] = Words.of_array(made["accumulators"])
    if command.output is not None:
        for f in fields(command.output):
            values = getattr(command.output, f.name)
            if isinstance(values, tuple):
                arrays[f"requantization_{f.name}"] = _words(_repeated(values, channels), command.output)
    arrays["result"] = Words.of_array(made["result"])
    return arrays


def _words(values: tuple[Any, ...], recipe: Requantization) -> Words:
    """Constants of each channel: integers, or floats of the precision that the formula works in."""
    if not isinstance(values[0], float):
        return Words.of_integers(values)
    return Words.of_array(np.array(values, np.float32 if isinstance(recipe, FloatRequantization) else np.float64))


def _repeated(values: tuple[Any, ...], channels: int) -> tuple[Any, ...]:
    return values * channels if len(values) == 1 else values


def _constant(program: Program, operand: Operand) -> Array:
    count = prod(operand.shape)
    return np.frombuffer(program.constants, operand.dtype, count, operand.address).reshape(operand.shape)


def _geometry(command: MatrixCommand) -> Document:
    zero = command.a_zero_point if isinstance(command, MatrixMultiply) else command.input_zero_point
    common = {"input_zero_point": zero, "channels": command.output_to.shape[-1]}
    if isinstance(command, MatrixMultiply):
        return {**common, "transpose_a": command.transpose_a, "transpose_b": command.transpose_b}
    return {
        **common,
        **plain(command.window),
        "groups": command.groups,
        "group_channels": command.weights.shape[3],
    }


def _stage(command: MatrixCommand, hardware: AcceleratorConfig) -> Stage:
    """The accumulator of a command."""
    x, w = matrix_operands(command)
    structure: AccumulatorStructure = hardware.accumulator.stages(hardware.grid.rows)
    found = structure.for_command(x.dtype, w.dtype, depthwise=is_depthwise(command), wide=command.wide_accumulator)
    if len(found.stages) > 1:
        rule = "golden vectors are of accumulators of one stage"
        raise InputError("golden vectors", [Fault("accumulator", structure.name, rule, "choose another accumulator")])
    return found.final


def _accumulator(command: MatrixCommand, hardware: AcceleratorConfig) -> Document:
    accumulator = _stage(command, hardware)
    products = products_per_addition(hardware.grid, command.tiling)
    return {"bits": accumulator.bits, "overflow": accumulator.policy, "products_per_addition": products}


def _constants(recipe: Requantization) -> Document:
    """The kind of a recipe and what is one value for all channels; the rest are arrays."""
    shared = {f.name: getattr(recipe, f.name) for f in fields(recipe)}
    single = {name: value for name, value in shared.items() if not isinstance(value, tuple)}
    return {"kind": type(recipe).__name__, **{k: v.value if isinstance(v, Enum) else v for k, v in single.items()}}


def _formulas(command: MatrixCommand, hardware: AcceleratorConfig) -> list[str]:
    accumulation = formulas.accumulation(command) + formulas.overflow(**_accumulator(command, hardware))
    result = ["result = acc"] if command.output is None else formulas.requantization(command.output)
    return accumulation + result


def _entry(name: str, words: Words) -> Document:
    entry = {"file": f"{name}.hex", "dtype": words.dtype, "shape": words.shape, "bits": words.bits}
    return {**entry, "words": words.count, "layout": "row-major, last axis fastest"}


def _archive(arrays: Mapping[str, Array]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            member = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, content.getvalue())
    return stream.getvalue()
