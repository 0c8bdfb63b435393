"""Operators that move values, as QDQ ONNX."""

from accel_sim.frontend.export.layout import ordered, stored_order
from accel_sim.frontend.export.values import InexpressibleError, Values
from accel_sim.ir import Concat, Node, Pad, Reshape, Slice, Transpose

MODES = ("constant", "reflect", "edge")
_BEFORE_THE_FIRST = -(1 << 31)
"""As the end of a backward slice: further back than any axis is long."""


def emit_concat(values: Values, node: Node, op: Concat) -> None:
    """Concat in the result's order."""
    y = values.graph.result(node)
    order = values.order(y)
    operands = [values.read(values.graph.operand(node, i), order) for i in range(len(node.inputs))]
    axis = order[op.axis % len(y.shape)]
    result = values.operator(node, "Concat", operands, axis=axis)
    values.write(y, result, order, op.activation)


def emit_pad(values: Values, node: Node, op: Pad) -> None:
    """Pad; the fill value is a real number, which the result's quantizer puts on the grid."""
    if op.mode not in MODES:
        raise InexpressibleError(node, f"mode {op.mode!r}", f"ONNX pads in the modes {', '.join(MODES)}")
    x, y = values.graph.operand(node, 0), values.graph.result(node)
    fill = [values.scalar(op.value, "fill")] if op.mode == "constant" else []
    operands = [values.read(x), pad_amounts(values, node, op), *fill]
    values.write(y, values.operator(node, "Pad", operands, mode=op.mode), values.order(x))


def pad_amounts(values: Values, node: Node, op: Pad) -> str:
    """The second operand of Pad."""
    order = values.order(values.graph.operand(node, 0))
    return values.builder.integers((*ordered(op.before, order), *ordered(op.after, order)), "pads")


def emit_reshape(values: Values, node: Node, op: Reshape) -> None:
    """Reshape in the row-major order of the stored axes."""
    x, y = values.graph.operand(node, 0), values.graph.result(node)
    result = values.operator(node, "Reshape", [values.read_row_major(x), values.shape(y.shape)])
    values.write(y, result, stored_order(len(y.shape)))


def emit_transpose(values: Values, node: Node, op: Transpose) -> None:
    """Transpose from the operand's order to the result's in one step; the operand itself where the two cancel."""
    x, y = values.graph.operand(node, 0), values.graph.result(node)
    target, perm = values.order(y), file_permutation(values, node, op)
    if perm != sorted(perm):
        values.write(y, values.operator(node, "Transpose", [values.read(x)], perm=perm), target)
    elif x.quant == y.quant and y.name not in values.graph.outputs:
        values.write_alias(y, x)
    else:
        values.write(y, values.read(x), target)


def file_permutation(values: Values, node: Node, op: Transpose) -> list[int]:
    """`perm` from the operand's order in the file to the result's."""
    source, target = values.order(values.graph.operand(node, 0)), values.order(values.graph.result(node))
    perm = [0] * len(source)
    for stored, axis in enumerate(target):
        perm[axis] = source[op.permutation[stored]]
    return perm


def emit_slice(values: Values, node: Node, op: Slice) -> None:
    """Slice along the axes that change."""
    x, y = values.graph.operand(node, 0), values.graph.result(node)
    operands = [values.read(x), *slice_operands(values, node, op)]
    values.write(y, values.operator(node, "Slice", operands), values.order(x))


def slice_operands(values: Values, node: Node, op: Slice) -> list[str]:
    """All operands of Slice but the first."""
    x, y = values.graph.operand(node, 0), values.graph.result(node)
    order = values.order(x)
    axes = [a for a in range(len(x.shape)) if x.shape[a] != y.shape[a] or op.strides[a] != 1]
    ends = [op.begin[a] + y.shape[a] * op.strides[a] for a in axes]
    columns = {
        "starts": [op.begin[a] for a in axes],
        "ends": [end if end >= 0 else _BEFORE_THE_FIRST for end in ends],
        "axes": [order[a] for a in axes],
        "steps": [op.strides[a] for a in axes],
    }
    return [values.builder.integers(column, label) for label, column in columns.items()]
