"""Last stage: tensors and nodes of the Graph, in the layout that each operator wants.

Every value knows which file axis each stored axis is. Rank-4 values are stored channels last; an operator that needs
another order asks for it (`arranged`), and only then a Transpose appears. Where the axes that would change places have
one element, it is a Reshape or nothing.
"""

from collections.abc import Sequence
from math import prod

import numpy as np

from accel_sim.errors import Fault
from accel_sim.frontend._limits import fits_memory
from accel_sim.frontend.onnx.model import Array, RawValue
from accel_sim.frontend.onnx.network import Network
from accel_sim.frontend.onnx.view import NodeFault
from accel_sim.ir import ElementType, Node, Operator, QuantParams, Reshape, Tensor, Transpose
from accel_sim.records import dataclass

CHANNELS_LAST = (0, 2, 3, 1)
_STORED = {e.value for e in ElementType}
Axes = tuple[int, ...]
Shape = tuple[int, ...]


def file_order(rank: int) -> Axes:
    """The axes of a value stored as the file orders it."""
    return tuple(range(rank))


def canonical(rank: int) -> Axes:
    """How a value of this rank is stored if nothing speaks against it."""
    return CHANNELS_LAST if rank == 4 else file_order(rank)


def same_memory(shape: Shape, one: Axes, other: Axes) -> bool:
    """Whether both orders lay out the same bytes: the axes longer than 1 come in one sequence."""
    return [a for a in one if shape[a] != 1] == [a for a in other if shape[a] != 1]


def row_major_axes(shape: Shape) -> Axes:
    """How bytes in the file's order may be stored: canonical where that is the same memory."""
    order = file_order(len(shape))
    return canonical(len(shape)) if same_memory(shape, canonical(len(shape)), order) else order


@dataclass(frozen=True)
class Value:
    """An activation of the Graph under construction.

    Attributes:
        tensor: its name in the Graph.
        shape: in the file's order of axes.
        axes: stored axis i is file axis axes[i].
    """

    tensor: str
    shape: Shape
    axes: Axes

    @property
    def stored(self) -> Shape:
        """The stored shape."""
        return tuple(self.shape[a] for a in self.axes)


class Emitter:
    """Builds the tensors and nodes of a Graph from a Network whose values have their grids."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Node] = []
        self.values: dict[str, Value] = {}
        self._node_names: set[str] = set()
        self._arranged: dict[tuple[str, Axes], str] = {}

    def input(self, name: str, shape: Shape, axes: Axes, element: ElementType) -> None:
        """Declare a graph input."""
        quant, stored = self._grid(name, axes)
        self.values[name] = Value(name, shape, axes)
        self._declare(name, shape, axes, stored or element, quant)

    def result(self, name: str, shape: Shape, axes: Axes, element: ElementType | None = None) -> Value:
        """Declare the tensor of a step's result; its grid and type follow from the network.

        Raises:
            NodeFault: the result is empty or too large.
        """
        if min(shape, default=1) < 1:
            raise NodeFault(f"result {list(shape)}", "no result is empty")
        quant, stored = self._grid(name, axes)
        if name in self.network.raw:
            stored = ElementType.INT32
        value = Value(self._unique(name, self.tensors), shape, axes)
        self._declare(value.tensor, shape, axes, element or stored or ElementType.FLOAT32, quant)
        self.values[name] = value
        return value

    def like(self, name: str, source: Value, shape: Shape, axes: Axes) -> Value:
        """Declare an intermediate tensor with the type and grid of `source`."""
        tensor = self.tensors[source.tensor]
        value = Value(self._unique(name, self.tensors), shape, axes)
        self._declare(value.tensor, shape, axes, tensor.element, tensor.quant)
        return value

    def constant(self, name: str, array: Array, axes: Axes, quant: QuantParams | None = None) -> str:
        """A constant tensor; `array` is in stored order."""
        if array.dtype.name not in _STORED:
            raise NodeFault(f"{name!r} of {array.dtype}", "a constant holds float32 or integers")
        element = ElementType(array.dtype.name)
        tensor = Tensor(name, array.shape, element, quant, array, axes if axes != file_order(array.ndim) else ())
        known = self.tensors.get(name)
        if known is not None and _equal(known, tensor):
            return name
        name = self._unique(name, self.tensors)
        file_axes = tensor.file_axes
        self.tensors[name] = Tensor(name, array.shape, element, quant, array, file_axes)
        return name

    def node(self, name: str, op: Operator, inputs: Sequence[str], outputs: Sequence[Value]) -> None:
        """Append a node."""
        unique = self._unique(name, self._node_names)
        self._node_names.add(unique)
        self.nodes.append(Node(unique, op, tuple(inputs), tuple(v.tensor for v in outputs)))

    def arranged(self, value: Value, axes: Axes) -> str:
        """The tensor of a value with its axes stored in another order; transposed if its bytes must move."""
        if value.axes == axes:
            return value.tensor
        stored = tuple(value.shape[a] for a in axes)
        if same_memory(value.shape, value.axes, axes) and stored == value.stored:
            return value.tensor
        key = (value.tensor, axes)
        if key not in self._arranged:
            order = "".join(map(str, axes))
            moved = self.like(f"{value.tensor}/axes{order}", value, value.shape, axes)
            op: Operator = Transpose(tuple(value.axes.index(a) for a in axes))
            if same_memory(value.shape, value.axes, axes):
                op = Reshape()
            self.node(moved.tensor, op, [value.tensor], [moved])
            self._arranged[key] = moved.tensor
        return self._arranged[key]

    def row_major(self, value: Value) -> str:
        """A tensor whose bytes come in the file's order, whatever its axes are called."""
        order = file_order(len(value.shape))
        return value.tensor if same_memory(value.shape, value.axes, order) else self.arranged(value, order)

    def reshaped(self, value: Value, shape: Shape, name: str) -> Value:
        """The value with another shape of equally many elements, in the file's row-major order."""
        source, axes = self.row_major(value), row_major_axes(shape)
        result = self.like(name, value, shape, axes)
        self.node(result.tensor, Reshape(), [source], [result])
        return result

    def quant(self, value: Value) -> QuantParams | None:
        """The grid of a value."""
        return self.tensors[value.tensor].quant

    def _grid(self, name: str, axes: Axes) -> tuple[QuantParams | None, ElementType | None]:
        grid = self.network.grids.get(name)
        return (grid.stored(axes), grid.element) if grid else (None, None)

    def _declare(self, name: str, shape: Shape, axes: Axes, element: ElementType, quant: QuantParams | None) -> None:
        if not fits_memory(shape, element.dtype.itemsize):
            raise NodeFault(f"{prod(shape)} elements", "a tensor fits memory")
        stored = tuple(shape[a] for a in axes)
        self.tensors[name] = Tensor(name, stored, element, quant, None, () if axes == file_order(len(shape)) else axes)

    @staticmethod
    def _unique(name: str, taken: object) -> str:
        while name in taken:  # type: ignore[operator]
            name += "'"
        return name


def _equal(one: Tensor, other: Tensor) -> bool:
    return (
        one.quant == other.quant
        and one.file_axes == other.file_axes
        and one.element is other.element
        and one.data is not None
        and np.array_equal(one.data, other.constant)
    )


def input_faults(value: RawValue) -> list[Fault]:
    """What is wrong with a declared input."""
    faults = []
    where = f"input {value.name!r}"
    if value.shape is None or any(n is None for n in value.shape):
        shown = "no shape" if value.shape is None else str(["?" if n is None else n for n in value.shape])
        faults.append(Fault(where, shown, "every axis but the first has a fixed length", "fix the input's shape"))
    elif not fits_memory(tuple(n or 1 for n in value.shape), 4):
        faults.append(Fault(where, str(list(value.shape)), "a tensor fits memory"))
    if value.dtype is None or value.dtype.name not in ("float32", "int8", "uint8", "int16", "uint16"):
        faults.append(Fault(where, str(value.dtype), "an input holds float32 or 8 or 16 bit integers"))
    return faults
