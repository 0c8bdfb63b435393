"""ArgMax and ArgMin, and Deeploy's RequantShift."""

import numpy as np

from accel_sim.frontend.onnx.model import Array
from accel_sim.frontend.onnx.operation import Operation
from accel_sim.frontend.onnx.view import NodeFault, in_rank
from accel_sim.ir import ArgMax, ElementType, RequantShift


def arg_max(op: Operation) -> None:
    """ArgMax, ArgMin: int64 indices along one axis."""
    value = op.value(0)
    rank = len(value.shape)
    axis = in_rank(op.integer("axis", 0), rank)
    keep = op.flag("keepdims", default=True)
    lowest = op.step.operator == "ArgMin"
    operator = ArgMax(value.axes.index(axis), keep, op.flag("select_last_index"), lowest)
    if keep:
        shape = tuple(1 if a == axis else n for a, n in enumerate(value.shape))
        op.emit(operator, [value.tensor], shape, value.axes, element=ElementType.INT64)
        return
    kept = [a for a in range(rank) if a != axis]
    order = tuple(kept.index(a) for a in value.axes if a != axis)
    op.emit(operator, [value.tensor], tuple(value.shape[a] for a in kept), order, element=ElementType.INT64)


def requant_shift(op: Operation) -> None:
    """RequantShift: clip((x * mul + add + div / 2) // div), div a power of two."""
    value = op.value(0)
    axes = (0, *range(2, len(value.shape)), 1) if len(value.shape) > 1 else (0,)
    channels = value.shape[1] if len(value.shape) > 1 else 1
    divisor = divisor_of(op)
    addend = tuple(a + divisor // 2 for a in _per_channel(op, 2, channels))
    operator = RequantShift(_per_channel(op, 1, channels), addend, divisor.bit_length() - 1)
    op.emit(operator, [op.emitter.arranged(value, axes)], value.shape, axes)


def divisor_of(op: Operation) -> int:
    """Attribute div."""
    div = op.node.attributes.get("div")
    values = whole_numbers(np.asarray(div)) if isinstance(div, np.ndarray | int | float) else ()
    if len(values) != 1:
        raise NodeFault(f"div {div!r}"[:80], "div is one whole number")
    return values[0]


def _per_channel(op: Operation, index: int, channels: int) -> tuple[int, ...]:
    numbers = whole_numbers(op.array(index))
    if len(numbers) not in (1, channels):
        raise NodeFault(
            f"{len(numbers)} numbers", f"multiplier and addend are one number, or one per channel ({channels})"
        )
    return numbers


def whole_numbers(array: Array) -> tuple[int, ...]:
    """The elements of a tensor that holds integers, whatever its type; NodeFault if one is none."""
    flat = np.ravel(array).astype(np.float64)
    if not np.all(np.isfinite(flat)) or np.any(flat != np.rint(flat)) or np.any(np.abs(flat) > float(1 << 53)):
        raise NodeFault("a fraction or infinity", "numbers of an integer network are whole")
    return tuple(int(v) for v in flat)
