"""Element-wise operators: arithmetic of two operands, functions of one, Softmax, BatchNormalization."""

from collections.abc import Callable
from math import prod

import numpy as np

from accel_sim.frontend.onnx.emitter import Axes, Value, canonical, file_order
from accel_sim.frontend.onnx.grids import FileGrid
from accel_sim.frontend.onnx.operation import Operation
from accel_sim.frontend.onnx.propagation import clamp_of
from accel_sim.frontend.onnx.view import NodeFault, in_rank
from accel_sim.ir import (
    Activation,
    BatchNorm,
    Clip,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Logistic,
    Multiply,
    Operator,
    PRelu,
    Reshape,
    Softmax,
    Tanh,
)

Translator = Callable[[Operation], None]


def binary(make: Callable[[Activation], Operator]) -> Translator:
    """A translator of an operator with broadcasting; more than two operands become a chain."""

    def translate(op: Operation) -> None:
        shapes = [op.shape(i) for i in range(op.count)]
        shape = broadcast(shapes)
        axes = _common_axes(op, len(shape))
        tensors = [operand_in(op, i, axes) for i in range(op.count)]
        left, done = tensors[0], shapes[0]
        for index, tensor in enumerate(tensors[1:-1], 1):
            done = broadcast([done, shapes[index]])
            like = op.value(next(i for i in range(op.count) if not op.is_constant(i)))
            part = op.emitter.like(f"{op.step.outputs[0]}/{index}", like, (1,) * (len(shape) - len(done)) + done, axes)
            op.emitter.node(f"{op.node.name}/{index}", make(Activation()), [left, tensor], [part])
            left = part.tensor
        if op.count == 1:
            op.emit_move(Reshape(), left, shape, axes)
        else:
            op.emit(make(op.activation), [left, tensors[-1]], shape, axes)

    return translate


def broadcast(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape that operands broadcast to."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError as error:
        raise NodeFault(" and ".join(str(list(s)) for s in shapes), "operands broadcast to one shape") from error


def _common_axes(op: Operation, rank: int) -> Axes:
    """The order of the first activation that has all axes: the others follow it."""
    for index in range(op.count):
        if not op.is_constant(index) and len(op.shape(index)) == rank:
            return op.value(index).axes
    return canonical(rank)


def operand_in(op: Operation, index: int, axes: Axes) -> str:
    """An operand with axes of one element put in front as broadcasting does, stored in the order `axes`."""
    rank = len(axes)
    if not op.is_constant(index):
        return op.emitter.arranged(op.aligned(op.value(index), rank), axes)
    array, grid = op.array(index), op.grid(index)
    extra = rank - array.ndim
    if grid is not None and grid.axis is not None:
        grid = FileGrid(grid.scale, grid.zero_point, grid.dtype, grid.axis + extra)
    stored = array.reshape((1,) * extra + array.shape).transpose(axes)
    return op.constant(index, np.ascontiguousarray(stored), axes, grid)


def divide(op: Operation) -> None:
    """Div by a constant: multiplication with the reciprocals."""
    shape = broadcast([op.shape(0), op.shape(1)])
    axes = _common_axes(op, len(shape))
    array = op.array(1).astype(np.float32)
    with np.errstate(all="ignore"):
        reciprocal = np.float32(1) / array
    if not np.all(np.isfinite(reciprocal)):
        raise NodeFault("zero or not a number", "a divisor is finite and not zero")
    stored = reciprocal.reshape((1,) * (len(shape) - array.ndim) + array.shape).transpose(axes)
    name = op.emitter.constant(f"{op.name(1)}/reciprocal", np.ascontiguousarray(stored), axes)
    op.emit(Multiply(op.activation), [operand_in(op, 0, axes), name], shape, axes)


def prelu(op: Operation) -> None:
    """PRelu; the slope broadcasts to the operand."""
    value = op.value(0)
    if broadcast([op.shape(0), op.shape(1)]) != op.shape(0):
        raise NodeFault(f"slope {list(op.shape(1))}", f"the slope broadcasts to {list(op.shape(0))}")
    op.emit(PRelu(), [value.tensor, operand_in(op, 1, value.axes)], value.shape, value.axes)


def function(make: Callable[[Operation], Operator]) -> Translator:
    """A translator of an operator of one operand that keeps shape and layout."""

    def translate(op: Operation) -> None:
        value = op.value(0)
        op.emit(make(op), [value.tensor], value.shape, value.axes)

    return translate


def clip(op: Operation) -> Operator:
    """Relu, Clip."""
    return Clip(clamp_of(op.step, op.emitter.network))


def leaky_relu(op: Operation) -> Operator:
    """LeakyRelu, QLinearLeakyRelu."""
    return LeakyRelu(op.real("alpha", 0.01))


def hard_sigmoid(op: Operation) -> Operator:
    """HardSigmoid."""
    return HardSigmoid(op.real("alpha", 0.2), op.real("beta", 0.5))


FUNCTIONS: dict[str, Callable[[Operation], Operator]] = {
    "Relu": clip,
    "Clip": clip,
    "LeakyRelu": leaky_relu,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": lambda op: HardSwish(),
    "Sigmoid": lambda op: Logistic(),
    "Tanh": lambda op: Tanh(),
}


def softmax(op: Operation) -> None:
    """Softmax, QLinearSoftmax; before operator set 13 over all axes from `axis` on together."""
    value = op.value(0)
    rank = len(value.shape)
    together = op.integer("opset", op.opset) < 13
    axis = in_rank(op.integer("axis", 1 if together else -1), rank)
    if together and prod(value.shape[axis + 1 :]) != 1:
        _flat_softmax(op, value, axis)
        return
    op.emit(Softmax(value.axes.index(axis)), [value.tensor], value.shape, value.axes)


def _flat_softmax(op: Operation, value: Value, axis: int) -> None:
    shape = (prod(value.shape[:axis]), prod(value.shape[axis:]))
    name = op.step.outputs[0]
    flat = op.emitter.reshaped(value, shape, f"{name}/flat")
    result = op.emitter.result(name, value.shape, file_order(len(value.shape)))
    made = op.emitter.like(f"{name}/softmax", result, shape, (0, 1))
    op.emitter.node(f"{op.node.name}/softmax", Softmax(1), [flat.tensor], [made])
    op.emitter.node(op.node.name, Reshape(), [made.tensor], [result])


def batch_norm(op: Operation) -> None:
    """BatchNormalization: channels are the last stored axis."""
    value = op.value(0)
    rank = len(value.shape)
    axes = (0, *range(2, rank), 1)
    channels = value.shape[1]
    operands = [op.emitter.arranged(value, axes)]
    for index in range(1, 5):
        if op.shape(index) != (channels,):
            raise NodeFault(
                f"{op.name(index)} {list(op.shape(index))}", f"there is one number per channel ({channels})"
            )
        operands.append(op.constant(index, op.array(index), (0,)))
    op.emit(BatchNorm(op.real("epsilon", 1e-5)), operands, value.shape, axes)
