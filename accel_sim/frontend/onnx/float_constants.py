"""Before the third stage: float constants of an integer network get grids on which they lie exactly.

Tools leave constants of operators that they do not quantize in float (of PRelu or Sub, ONNX Runtime's own does), and
ONNX Runtime then computes the operator in float32 between DequantizeLinear and QuantizeLinear. A number c is the code
sign(c) at scale |c|:

1. The slope of a PRelu: one number, or one for each index of one axis.
2. The operand of Add, Sub, Mul, Min or Max, where it is one number. Its codes have 16 bits: an operand of 8 bits would
   be one of an integer operator (QLinearAdd, QLinearMul), which ONNX Runtime makes of quantized constants alone. Not 0
   and 1, with which ONNX Runtime removes an operator that does nothing, and may then make one grid of two.
"""

from dataclasses import replace

import numpy as np

from accel_sim.frontend.onnx.grids import FileGrid
from accel_sim.frontend.onnx.model import Array
from accel_sim.frontend.onnx.network import Network, Step

_BINARY = frozenset({"Add", "Sub", "Mul", "Min", "Max"})
_NEUTRAL = (0, 1)


def place_float_constants(network: Network) -> None:
    """Rewrite an integer network in place; see the module's rules."""
    network.steps = [_placed(network, step) for step in network.steps]


def _placed(network: Network, step: Step) -> Step:
    slope = step.operator == "PRelu"
    if not slope and step.operator not in _BINARY:
        return step
    names = list(step.inputs)
    for index, name in enumerate(names):
        array = network.constants.get(name)
        if array is None or name in network.grids or not _is_placeable(array, slope=slope):
            continue
        names[index] = own = f"{step.outputs[0]}/{name}"
        grid = _exact_grid(array)
        network.constants[own], network.grids[own] = np.sign(array).astype(grid.dtype), grid
    return step if names == list(step.inputs) else replace(step, node=step.node.reading(tuple(names)))


def _is_placeable(array: Array, *, slope: bool) -> bool:
    real = array.dtype == np.float32 and bool(array.size) and bool(np.all(np.isfinite(array)))
    if not slope:
        return real and array.size == 1 and array.item() not in _NEUTRAL
    return real and array.size == max(array.shape, default=1)


def _exact_grid(array: Array) -> FileGrid:
    sizes = np.abs(array.ravel())
    scales = tuple(float(s) if s else 1.0 for s in sizes)
    axis = array.shape.index(array.size) if array.size > 1 else None
    return FileGrid(scales, (0,) * len(scales), np.dtype(np.int16), axis)
