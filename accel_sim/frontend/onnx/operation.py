"""One step under translation: its operands in any layout, its attributes, its results."""

from collections.abc import Sequence

import numpy as np

from accel_sim.frontend.onnx.emitter import Axes, Emitter, Shape, Value, canonical
from accel_sim.frontend.onnx.grids import FileGrid
from accel_sim.frontend.onnx.model import Array
from accel_sim.frontend.onnx.network import Step
from accel_sim.frontend.onnx.view import NodeFault, NodeView
from accel_sim.ir import Activation, ElementType, Operator, Requantize, Reshape


class Operation(NodeView):
    """What a translator sees of its step."""

    def __init__(self, step: Step, emitter: Emitter) -> None:
        super().__init__(step.node, emitter.network.constants)
        self.step = step
        self.emitter = emitter

    @property
    def activation(self) -> Activation:
        """The clamp fused behind the step."""
        return self.step.activation

    @property
    def count(self) -> int:
        """Number of operands listed."""
        return len(self.step.inputs)

    @property
    def is_integer(self) -> bool:
        """Whether the step computes on integer codes."""
        return any(n in self.emitter.network.grids for n in (*self.step.inputs, *self.step.outputs) if n)

    def is_constant(self, index: int) -> bool:
        """Whether operand `index` is given and constant."""
        return self.given(index) and self.step.inputs[index] in self.constants

    def value(self, index: int) -> Value:
        """Operand `index`, which is an activation."""
        name = self.name(index)
        if name not in self.emitter.values:
            raise NodeFault(name, f"operand {index} is an activation")
        return self.emitter.values[name]

    def shape(self, index: int) -> Shape:
        """Shape of operand `index` in the file's order."""
        name = self.name(index)
        return self.constants[name].shape if name in self.constants else self.emitter.values[name].shape

    def grid(self, index: int) -> FileGrid | None:
        """Grid of operand `index`."""
        return self.emitter.network.grids.get(self.name(index))

    def result_grid(self, index: int = 0) -> FileGrid | None:
        """Grid of a result."""
        return self.emitter.network.grids.get(self.step.outputs[index])

    def real_constant(self, index: int) -> Array:
        """Constant operand `index` as real numbers, dequantized if it has a grid."""
        grid = self.grid(index)
        return self.array(index) if grid is None else grid.dequantize(self.array(index))

    def operand(self, index: int, axes: Axes) -> str:
        """The tensor of operand `index` stored in the order `axes`; a constant is stored so from the start."""
        if not self.is_constant(index):
            return self.emitter.arranged(self.value(index), axes)
        array = self.array(index)
        return self.constant(index, np.ascontiguousarray(array.transpose(axes)), axes)

    def constant(self, index: int, stored: Array, axes: Axes, grid: FileGrid | None = None) -> str:
        """A constant tensor under the name of operand `index`.

        Args:
            index: the operand that it comes from.
            stored: its contents in stored order; floats become float32.
            axes: stored axis i is file axis axes[i] of the operand.
            grid: its grid in the file's order, if not the operand's own.
        """
        grid = grid or self.grid(index)
        if grid is None and stored.dtype.kind == "f":
            stored = stored.astype(np.float32)
        elif grid is None:
            raise NodeFault(
                f"{stored.dtype} {self.name(index)!r}", "a constant operand is float, or has a scale and zero point"
            )
        return self.emitter.constant(self.name(index), stored, axes, grid.stored(axes) if grid else None)

    def emit(
        self,
        op: Operator,
        inputs: Sequence[str],
        shape: Shape,
        axes: Axes | None = None,
        *,
        index: int = 0,
        element: ElementType | None = None,
    ) -> None:
        """Append the node that makes result `index`, of `shape` in the file's order, stored in the order `axes`."""
        result = self.emitter.result(
            self.step.outputs[index], shape, canonical(len(shape)) if axes is None else axes, element
        )
        self.emitter.node(self._node_name(index), op, inputs, [result])

    def emit_move(self, op: Operator, source: str, shape: Shape, axes: Axes | None = None, *, index: int = 0) -> None:
        """As `emit` for an operator that only moves values: on another grid they are requantized behind it."""
        grid, known = self.result_grid(index), self.emitter.tensors[source].quant
        axes = canonical(len(shape)) if axes is None else axes
        if grid is None or known is None or grid.stored() == known:
            self.emit(op, [source], shape, axes, index=index)
            return
        moved = self.emitter.like(f"{self.step.outputs[index]}/moved", Value(source, shape, axes), shape, axes)
        self.emitter.node(f"{self._node_name(index)}/moved", op, [source], [moved])
        self.emit(Requantize(), [moved.tensor], shape, axes, index=index)

    def emit_reshape(self, value: Value, shape: Shape, axes: Axes) -> None:
        """Result 0 is `value` with other labels: the same bytes under another shape."""
        self.emit_move(Reshape(), value.tensor, shape, axes)

    def aligned(self, value: Value, rank: int) -> Value:
        """The value with axes of one element put in front, up to `rank` (broadcasting)."""
        extra = rank - len(value.shape)
        if not extra:
            return value
        shape = (1,) * extra + value.shape
        return self.emitter.reshaped(value, shape, f"{value.tensor}/rank{rank}")

    def _node_name(self, index: int) -> str:
        return self.node.name if index == 0 else f"{self.node.name}/{index}"
