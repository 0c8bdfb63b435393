"""Deeploy's integer dialect: float-typed tensors that hold integers, and RequantShift between accumulators and codes.

1. An input holds unsigned 8-bit integers (the file does not say; PACT's unsigned activations).
2. Constant weights are the narrowest of int8, uint8, int16 that holds them; a bias is int32.
3. Conv, Gemm and MatMul give raw int32 accumulators.
4. RequantShift gives codes of n_levels_out levels, signed or not, that stand for themselves (scale 1).
"""

import numpy as np

from accel_sim.frontend.onnx.grids import FileGrid, unit_grid
from accel_sim.frontend.onnx.model import Array
from accel_sim.frontend.onnx.network import Network, Step
from accel_sim.frontend.onnx.operators.indices import whole_numbers
from accel_sim.frontend.onnx.view import NodeFault

_ACCUMULATING = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
_CODES = [np.dtype(t) for t in (np.int8, np.uint8, np.int16)]


def is_integer_dialect(network: Network) -> bool:
    """Whether the file speaks it."""
    return any(s.operator == "RequantShift" for s in network.steps)


def resolve_dialect(network: Network) -> None:
    """State the grids that the dialect leaves unsaid, in place."""
    for value in network.inputs:
        network.grids[value.name] = unit_grid(np.dtype(np.uint8))
    for step in network.steps:
        try:
            if step.operator in _ACCUMULATING:
                _integer_constants(network, step)
                network.raw.update(step.outputs)
            elif step.operator == "RequantShift":
                network.grids[step.outputs[0]] = _levels(step)
        except NodeFault as fault:
            network.fail(step, fault.at(step.where))


def _integer_constants(network: Network, step: Step) -> None:
    for index, name in enumerate(step.inputs):
        if name not in network.constants or name in network.grids:
            continue
        kinds = [np.dtype(np.int32)] if index == 2 else _CODES
        array = network.constants[name]
        whole_numbers(array)
        dtype = next((k for k in kinds if _fits(array, k)), None)
        if dtype is None:
            raise NodeFault(name, f"integers fit {' or '.join(k.name for k in kinds)}")
        network.constants[name] = array.astype(dtype)
        network.grids[name] = unit_grid(dtype)


def _fits(array: Array, dtype: np.dtype[np.generic]) -> bool:
    info = np.iinfo(dtype.name)
    return bool(array.size == 0 or (array.min() >= info.min and array.max() <= info.max))


def _levels(step: Step) -> FileGrid:
    levels, signed = (_whole(step, name) for name in ("n_levels_out", "signed"))
    if levels != 256 or signed not in (0, 1):
        raise NodeFault(f"n_levels_out {levels}, signed {signed}", "a requantized tensor has 256 levels")
    return unit_grid(np.dtype(np.int8 if signed else np.uint8))


def _whole(step: Step, name: str) -> int:
    value = step.node.attributes.get(name)
    if not isinstance(value, np.ndarray | int | float):
        raise NodeFault(f"no {name}", f"attribute {name} is given")
    numbers = whole_numbers(np.asarray(value))
    if len(numbers) != 1:
        raise NodeFault(f"{name} {value!r}"[:80], f"attribute {name} is one whole number")
    return numbers[0]
