"""The data of a run: inputs checked and cut into samples, outputs put together again.

A sample is what a program runs at once: the network's own batch. Arrays of the user are in the file's layout, whose
first axis holds all samples.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from accel_sim.arithmetic.boundary import quantize_real
from accel_sim.errors import Fault, InputError
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
        program: whose inputs they are; the `boundary` rule of its profile quantizes floats.
        arrays: one for each input, in the file's layout, all samples.
        count: the number of samples.
    """

    program: Program
    arrays: tuple[Array, ...]
    count: int

    def place(self, sample: int, memory: Memory) -> None:
        """Write each port's codes of one sample where the program reads them."""
        for port, array in zip(self.program.inputs, self.arrays, strict=True):
            codes, part = memory.port(port.operand), _part(port.file_shape, array, sample)
            if part.dtype == codes.dtype and not port.file_axes:
                codes[...] = part
                continue
            profile = get_profile(self.program.profile)
            if not quantize_into(codes, profile, port, part):
                codes[...] = _codes(profile, port, part)


def _codes(profile: Profile, port: Port, part: Array) -> Array:
    stored = part.transpose(port.file_axes) if port.file_axes else part
    if port.quant is None or stored.dtype.kind != _REAL:
        return stored
    kind: type[np.floating] = np.float32 if stored.dtype == np.float32 else np.float64
    real: NDArray[np.floating] = stored.astype(kind, copy=False)
    return quantize_real(profile, real, port.quant)


def check_inputs(program: Program, inputs: Mapping[str, Array]) -> Samples:
    """The inputs of a run.

    Args:
        program: names, shapes, element types and grids come from its ports.
        inputs: see `Machine.run`.

    Raises:
        InputError: listing every wrong name, shape, type and value.
    """
    arrays: list[Array] = []
    counts: dict[str, int] = {}
    faults: list[Fault] = []
    count = 1
    for port in program.inputs:
        if port.name in inputs:
            array = np.asarray(inputs[port.name])
            arrays.append(array)
            counts[port.name] = count = _count(port.file_shape, array.shape)
            if not count or not port.takes_all or array.dtype != port.element:
                faults += _array_faults(port, array, count)
    if not len(arrays) == len(program.inputs) == len(inputs):
        faults = _name_faults([port.name for port in program.inputs], inputs) + faults
    if len(counts) > 1 and len({count for count in counts.values() if count}) > 1:
        shown = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
        faults.append(Fault("samples", shown, "every input holds equally many"))
    if faults:
        raise InputError(f"inputs of {program.name!r}", faults)
    return Samples(program, tuple(arrays), count)


def _name_faults(names: list[str], inputs: Mapping[str, Array]) -> list[Fault]:
    """What is missing, then what is no input."""
    missing = [name for name in names if name not in inputs]
    others = [name for name in inputs if name not in names]
    rule = f"is an input of the network: {', '.join(names)}"
    return [Fault(f"input {name!r}", "missing", "every input of the network is given") for name in missing] + [
        Fault(f"input {name!r}", "given", rule) for name in others
    ]


def _part(shape: tuple[int, ...], array: Array, sample: int) -> Array:
    """One sample of an array of all samples."""
    if array.shape == shape:
        return array
    if shape:
        return array[sample * shape[0] : (sample + 1) * shape[0]]
    return array.reshape(-1)[sample : sample + 1].reshape(())


def empty_outputs(ports: tuple[Port, ...], count: int) -> dict[str, Array]:
    """Arrays for all samples of each port, in the file's layout; a scalar gets an axis of samples."""
    return {port.name: np.zeros(stacked_shape(port.file_shape, count), port.operand.dtype) for port in ports}


def stacked_shape(shape: tuple[int, ...], count: int) -> tuple[int, ...]:
    """The shape of `count` samples of a shape, put together along the first axis."""
    return (shape[0] * count, *shape[1:]) if shape else (count,)


def place(target: Array, sample: int, part: Array) -> None:
    """Write one sample into an array of all samples."""
    _part(part.shape, target, sample)[...] = part


def to_file(port: Port, stored: Array) -> Array:
    """One sample of a port in the file's layout."""
    return stored.transpose(port.stored_axes) if port.file_axes else stored


def _array_faults(port: Port, array: Array, count: int) -> list[Fault]:
    """What is wrong with an array that holds `count` samples (0 where its shape is wrong)."""
    return ([] if count else [_shape_fault(port, array)]) + _value_faults(port, array)


def _count(shape: tuple[int, ...], given: tuple[int, ...]) -> int:
    """Samples in an array of the given shape; 0 where it is no multiple of `shape` along the first axis."""
    if not shape:
        return given[0] if len(given) == 1 else int(not given)
    if len(given) != len(shape) or given[1:] != shape[1:] or not shape[0] or given[0] % shape[0]:
        return 0
    return given[0] // shape[0]


def _where(port: Port) -> str:
    return f"input {port.name!r}"


def _shape_fault(port: Port, array: Array) -> Fault:
    shape = port.file_shape
    rule = (
        f"has shape {list(shape)}, the first axis times the number of samples" if shape else "is one number per sample"
    )
    return Fault(_where(port), f"shape {list(array.shape)}", rule, _order_of_axes(shape, array.shape))


def _order_of_axes(wanted: tuple[int, ...], given: tuple[int, ...]) -> str:
    """The cure for pictures whose channels are last where they should be first, or the reverse."""
    if len(wanted) != 4 or len(given) != 4:
        return ""
    for order in ((0, 3, 1, 2), (0, 2, 3, 1)):
        if wanted[1:] == tuple(given[axis] for axis in order[1:]):
            return f"its axes are in another order: transpose{order}"
    return ""


def _value_faults(port: Port, array: Array) -> list[Fault]:
    if array.dtype.kind == _REAL and port.quant is not None:
        if not np.isfinite(array).all():
            return [Fault(_where(port), not_finite(array, array.dtype), "real numbers are finite")]
        return []
    if array.dtype != port.element:
        cure = "codes of that type, or real numbers as floats" if port.quant is not None else "integers of that type"
        return [Fault(_where(port), str(array.dtype), f"has element type {port.element}", f"give {cure}")]
    return _code_faults(port, array)


def _code_faults(port: Port, array: Array) -> list[Fault]:
    quant = port.quant
    if quant is None or port.takes_all or not array.size:
        return []
    low, high = int(array.min()), int(array.max())
    if low < quant.low or high > quant.high:
        return [
            Fault(
                _where(port), f"codes {low} to {high}", f"codes of {quant.bits} bits lie in [{quant.low}, {quant.high}]"
            )
        ]
    return []
