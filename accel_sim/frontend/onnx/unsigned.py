"""Fourth stage: int8 activations that ONNX Runtime holds as uint8 get uint8 grids where that changes the arithmetic.

On x86 processors, ONNX Runtime gives a QuantizeLinear and its DequantizeLinear an unsigned type (codes and zero point
+ 128) before it fuses operators. The real values stay, but QLinearAdd, QLinearMul and QLinearAveragePool have the zero
point inside a float32 rounding, and operators between different types are left in float. The pair is converted where

1. its zero points are int8, per tensor and stated in both nodes;
2. nobody else sees the codes: they are no output, and no operator takes them without DequantizeLinear;
3. exactly one operand, or one output, reads the value. With several readers each gets a DequantizeLinear of its own,
   the QuantizeLinear then has several readers, and the value stays int8.

So a residual network's shared activation is int8, the other operand of its Add uint8, and the Add runs in float. A
constant keeps its type. A DequantizeLinear of an int8 graph input and a QuantizeLinear to an int8 graph output are no
pairs. An operator that moves values between a DequantizeLinear and its reader gets a pair of its own, on the same grid.

Here only operands and results of the operators concerned are converted, and what moves them: everywhere else the same
codes come out either way. (GlobalAveragePool and Softmax are concerned where their ends have different types.) A tensor
called N in the file is then `N/uint8`; a tensor called N always holds the file's own codes. Inputs and outputs keep the
file's int8: a Requantize, an exact shift of codes by 128, stands beside them.

Conv, MatMul and Gemm are marked where ONNX Runtime leaves them between DequantizeLinear and QuantizeLinear: where a
value stays int8, where types differ, where a clamp between sums and codes does something, or where an operand or the
result has no pair of its own (`Network.unpaired`), GlobalAveragePool too. (16 bits need no mark: it
has no integer kernel for them.) What is in float here and in ONNX Runtime is summed in its order, on processors with
AVX-512 and by one thread.
"""

from collections import Counter
from dataclasses import replace

import numpy as np

from accel_sim.frontend.onnx.grids import FileGrid
from accel_sim.frontend.onnx.model import RawNode
from accel_sim.frontend.onnx.network import SHAPE_READERS, Network, Step
from accel_sim.frontend.onnx.propagation import moves

_ZERO_POINT_ROUNDED = frozenset({"Add", "Sum", "Mul", "AveragePool"})
_FLOAT_BETWEEN_TYPES = frozenset({"GlobalAveragePool", "Softmax"})  # there rounded otherwise
_PRODUCTS = frozenset({"Conv", "Gemm", "MatMul"})
_UINT8 = np.dtype(np.uint8)
_INT8 = np.dtype(np.int8)
_OFFSET = 128
_REQUANTIZE = "Requantize"


def hold_unsigned(network: Network) -> None:
    """Rewrite an integer network in place; see the module's rules."""
    converted = _converted(network)
    network.steps = [replace(s, in_float=_is_left_in_float(network, s, converted)) for s in network.steps]
    names = {name: f"{name}/uint8" for name in _chosen(network, converted)}
    for name, unsigned in names.items():
        network.grids[unsigned] = _unsigned(network.grids[name])
    inputs, outputs = {v.name for v in network.inputs}, set(network.outputs.values())
    steps = []
    for step in network.steps:
        steps += [_shift(n, names[n]) for n in step.inputs if n in names and n in inputs]
        steps.append(step.renamed(names))
        steps += [_shift(names[n], n) for n in step.outputs if n in names and n in outputs]
    network.steps = steps


def _is_left_in_float(network: Network, step: Step, converted: set[str]) -> bool:
    """Whether ONNX Runtime makes no QLinearConv, QLinearMatMul, QGemm or QLinearGlobalAveragePool of a step.

    Of a global pool only what its types do not say.
    """
    if step.node.op_type == "GlobalAveragePool":
        return not network.unpaired.isdisjoint((step.inputs[0], step.outputs[0]))
    if step.node.op_type not in _PRODUCTS:
        return False
    ends = step.inputs[0], step.outputs[0]
    if not all(name in network.grids for name in ends):
        return False
    if not network.unpaired.isdisjoint((*step.inputs, *step.outputs)):
        return True
    types = {_UINT8 if name in converted else network.grids[name].dtype for name in ends}
    return types != {_UINT8} or _clamps(step, network.grids[ends[1]])


def _clamps(step: Step, grid: FileGrid) -> bool:
    """Whether the clamp behind a step cuts anything that codes can be."""
    limits = np.iinfo(grid.dtype)
    low, high = (
        float(np.float32(code - grid.zero_point[0]) * np.float32(grid.scale[0])) for code in (limits.min, limits.max)
    )
    return not step.activation.spares(low, high)


def _chosen(network: Network, converted: set[str]) -> set[str]:
    """Values to convert: those that ONNX Runtime converts, as far as an operator's arithmetic or a move leads."""
    chosen: set[str] = set()
    together = []
    for step in network.steps:
        ends = {*step.inputs, *step.outputs} & converted
        changes_type = step.operator in _FLOAT_BETWEEN_TYPES and len(ends) == 1
        if changes_type or step.operator in _ZERO_POINT_ROUNDED:
            chosen |= ends
        elif moves(step) or step.operator in _FLOAT_BETWEEN_TYPES:
            together.append(ends)
    while grown := [e for e in together if e & chosen and not e <= chosen]:
        chosen.update(*grown)
    return chosen


def _converted(network: Network) -> set[str]:
    """The values whose QuantizeLinear and DequantizeLinear ONNX Runtime makes unsigned."""
    read: Counter[str] = Counter(network.outputs.values())
    for step in network.steps:
        if step.operator not in SHAPE_READERS:
            read.update(n for n in step.inputs if n)
    activations = {v.name for v in network.inputs} | {n for s in network.steps for n in s.outputs if n}
    fixed = network.codes.keys() | network.pinned | network.raw | network.broken
    return {
        name
        for name in activations - fixed
        if read[name] == 1 and name in network.grids and _is_signed(network.grids[name])
    }


def _is_signed(grid: FileGrid) -> bool:
    return grid.dtype == _INT8 and grid.axis is None


def _unsigned(grid: FileGrid) -> FileGrid:
    """The grid of the same real values with all codes moved up by 128."""
    return replace(grid, zero_point=(grid.zero_point[0] + _OFFSET,), dtype=np.dtype(np.uint8))


def _shift(source: str, result: str) -> Step:
    """The same values on the other of the two grids."""
    return Step(RawNode(f"{result}/shift", _REQUANTIZE, (source,), (result,)), _REQUANTIZE)
