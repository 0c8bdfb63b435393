"""The data of a run: inputs checked and cut into samples, outputs put together again.

A sample is what a program runs at once: the network's own batch. Arrays of the user are in the file's layout, whose
first axis holds all samples.
"""

from collections.abc import Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from accel_sim.arithmetic.boundary import quantize_real
from accel_sim.errors import Fault, InputError
from accel_sim.ir import QuantParams
from accel_sim.ir.finite import not_finite
from accel_sim.numerics.profiles import Profile, get_profile
from accel_sim.program import Port, Program
from accel_sim.records import dataclass
from accel_sim.sim.memory import Array, Memory
from accel_sim.sim.native.boundary import quantize_into

_REAL = np.dtype(np.float32).kind


@dataclass(frozen=True)
class Samples:
    """The checked inputs of a run.

    Attributes:
        ports: the program's inputs.
        arrays: one for each port, in the file's layout, all samples.
        profile: its `boundary` rule quantizes floats.
        count: the number of samples.
    """

    ports: tuple[Port, ...]
    arrays: tuple[Array, ...]
    profile: Profile
    count: int

    def place(self, sample: int, memory: Memory) -> None:
        """Write each port's codes of one sample where the program reads them."""
        for port, array in zip(self.ports, self.arrays, strict=True):
            shape, codes = file_shape(port), memory.port(port.operand)
            if shape:
                part = array[sample * shape[0] : (sample + 1) * shape[0]]
            else:
                part = array.reshape(-1)[sample : sample + 1].reshape(())
            if not quantize_into(codes, self.profile, port, part):
                codes[...] = self._codes(port, part)

    def _codes(self, port: Port, part: Array) -> Array:
        stored = part.transpose(port.file_axes) if port.file_axes else part
        if port.quant is None or stored.dtype.kind != _REAL:
            return stored
        kind: type[np.floating] = np.float32 if stored.dtype == np.float32 else np.float64
        real: NDArray[np.floating] = stored.astype(kind, copy=False)
        return quantize_real(self.profile, real, port.quant)


def check_inputs(program: Program, inputs: Mapping[str, Array]) -> Samples:
    """The inputs of a run.

    Args:
        program: names, shapes, element types and grids come from its ports.
        inputs: see `Machine.run`.

    Raises:
        InputError: listing every wrong name, shape, type and value.
    """
    names = [port.name for port in program.inputs]
    faults = [
        Fault(f"input {name!r}", "missing", "every input of the network is given")
        for name in names
        if name not in inputs
    ]
    faults += [
        Fault(f"input {name!r}", "given", f"is an input of the network: {', '.join(names)}")
        for name in inputs
        if name not in names
    ]
    arrays = {name: np.asarray(inputs[name]) for name in names if name in inputs}
    counts = {}
    for port in program.inputs:
        if port.name in arrays:
            found, count = _array_faults(port, arrays[port.name])
            faults += found
            if count:
                counts[port.name] = count
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{name} {count}" for name, count in counts.items())
        faults.append(Fault("samples", shown, "every input holds equally many"))
    if faults:
        raise InputError(f"inputs of {program.name!r}", faults)
    count = next(iter(counts.values()), 1)
    return Samples(program.inputs, tuple(arrays[name] for name in names), get_profile(program.profile), count)


def file_shape(port: Port) -> tuple[int, ...]:
    """The shape of one sample in the file's layout."""
    stored = port.operand.shape
    if not port.file_axes:
        return stored
    return tuple(stored[port.file_axes.index(axis)] for axis in range(len(stored)))


def empty_outputs(ports: tuple[Port, ...], count: int) -> dict[str, Array]:
    """Arrays for all samples of each port, in the file's layout; a scalar gets an axis of samples."""
    return {port.name: np.zeros(stacked_shape(file_shape(port), count), port.operand.dtype) for port in ports}


def stacked_shape(shape: tuple[int, ...], count: int) -> tuple[int, ...]:
    """The shape of `count` samples of a shape, put together along the first axis."""
    return (shape[0] * count, *shape[1:]) if shape else (count,)


def place(target: Array, sample: int, part: Array) -> None:
    """Write one sample into an array of all samples."""
    size = len(part) if part.ndim else 1
    target[sample * size : (sample + 1) * size] = part


def to_file(port: Port, stored: Array) -> Array:
    """One sample of a port in the file's layout."""
    return stored.transpose(np.argsort(port.file_axes)) if port.file_axes else stored


def _array_faults(port: Port, array: Array) -> tuple[list[Fault], int]:
    """What is wrong with one array, and how many samples it holds (0 where its shape is wrong)."""
    where = f"input {port.name!r}"
    count = _count(file_shape(port), array.shape)
    faults = [] if count else [_shape_fault(where, port, array)]
    return faults + _value_faults(where, port, array), count


def _count(shape: tuple[int, ...], given: tuple[int, ...]) -> int:
    """Samples in an array of the given shape; 0 where it is no multiple of `shape` along the first axis."""
    if not shape:
        return given[0] if len(given) == 1 else int(not given)
    if len(given) != len(shape) or given[1:] != shape[1:] or not shape[0] or given[0] % shape[0]:
        return 0
    return given[0] // shape[0]


def _shape_fault(where: str, port: Port, array: Array) -> Fault:
    shape = file_shape(port)
    rule = (
        f"has shape {list(shape)}, the first axis times the number of samples" if shape else "is one number per sample"
    )
    return Fault(where, f"shape {list(array.shape)}", rule, _order_of_axes(shape, array.shape))


def _order_of_axes(wanted: tuple[int, ...], given: tuple[int, ...]) -> str:
    """The cure for pictures whose channels are last where they should be first, or the reverse."""
    if len(wanted) != 4 or len(given) != 4:
        return ""
    for order in ((0, 3, 1, 2), (0, 2, 3, 1)):
        if wanted[1:] == tuple(given[axis] for axis in order[1:]):
            return f"its axes are in another order: transpose{order}"
    return ""


def _value_faults(where: str, port: Port, array: Array) -> list[Fault]:
    wanted = port.operand.dtype
    if array.dtype.kind == _REAL and port.quant is not None:
        if not np.isfinite(array).all():
            return [Fault(where, not_finite(array, array.dtype), "real numbers are finite")]
        return []
    if array.dtype != wanted:
        cure = "codes of that type, or real numbers as floats" if port.quant is not None else "integers of that type"
        return [Fault(where, str(array.dtype), f"has element type {wanted}", f"give {cure}")]
    return _code_faults(where, port.quant, array)


@cache
def _limits(dtype: np.dtype[np.generic]) -> tuple[int, int]:
    limits = np.iinfo(dtype.name)
    return int(limits.min), int(limits.max)


def _code_faults(where: str, quant: QuantParams | None, array: Array) -> list[Fault]:
    if quant is None or not array.size:
        return []
    lowest, highest = _limits(array.dtype)
    if quant.low <= lowest and highest <= quant.high:
        return []
    low, high = int(array.min()), int(array.max())
    if low < quant.low or high > quant.high:
        return [
            Fault(where, f"codes {low} to {high}", f"codes of {quant.bits} bits lie in [{quant.low}, {quant.high}]")
        ]
    return []
