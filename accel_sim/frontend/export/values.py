"""Values of a QDQ model: how a tensor of the graph is read and written between quantizers.

Every integer tensor t is a QuantizeLinear (its codes) followed by one DequantizeLinear (its real values), which all
readers share. Everything that an operator does after its own function is said on codes, behind that quantizer, so that
a runtime can still fuse the operator:

1. An axis order that the file does not have: DequantizeLinear, Transpose, QuantizeLinear on the same grid.
2. A clamp that the grid does not do by itself (a fused activation, a width below the container's): DequantizeLinear,
   Clip or Min, QuantizeLinear on the same grid. Quantizing is monotonic, so clamping before or after it is the same.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import AccelSimError, Fault
from accel_sim.frontend.export.layout import Order, moves_nothing, ordered, permutation, stored_order
from accel_sim.frontend.export.model_builder import ModelBuilder
from accel_sim.ir import NO_ACTIVATION, Activation, Graph, Node, QuantParams, Tensor


class InexpressibleError(AccelSimError):
    """One operator that QDQ ONNX cannot say; the writer collects its faults."""

    def __init__(self, node: Node, value: str, rule: str) -> None:
        super().__init__(node.where, [Fault(node.where, value, rule)])


class Values:
    """The tensors of one graph as values of one ONNX model.

    Attributes:
        is_float: whether results without grid are real values; otherwise they are accumulators or indices.
    """

    is_float = False

    def __init__(self, graph: Graph, builder: ModelBuilder, orders: dict[str, Order], *, free_batch: bool) -> None:
        """`free_batch`: the first axis of every activation is 1 and may be any number in the file."""
        self.graph = graph
        self.builder = builder
        self.orders = orders
        self.free_batch = free_batch
        self._reals: dict[tuple[str, Order, int], str] = {}
        self._codes: dict[tuple[str, Order], str] = {}

    def order(self, tensor: Tensor) -> Order:
        """The tensor's order in the file."""
        return self.orders[tensor.name]

    def read(self, tensor: Tensor, order: Order | None = None) -> str:
        """The real values of a tensor (or its integers, where it has no grid) in its own order, or in `order`."""
        if tensor.is_constant:
            return self._constant(tensor, order or stored_order(len(tensor.shape)))
        wanted = order or self.order(tensor)
        key = (tensor.name, wanted, len(tensor.shape))
        if key not in self._reals:
            self._reals[key] = self._transposed(tensor, wanted)
        return self._reals[key]

    def read_codes(self, tensor: Tensor, order: Order) -> str:
        """The codes of a quantized tensor in an order."""
        if tensor.is_constant:
            return self.builder.constant(codes_in(tensor, order), f"{tensor.name}.codes")
        if (tensor.name, order) not in self._codes:
            self.read(tensor, order)
        return self._codes[tensor.name, order]

    def read_flat(self, tensor: Tensor, shape: tuple[int, ...]) -> str:
        """The real values reshaped to `shape`, elements in the row-major order of the stored axes."""
        wish = f"{tensor.name}.flat"
        flat = self.builder.node("Reshape", [self.read_row_major(tensor), self.shape(shape)], wish=wish)
        return self.requantized(flat, tensor, wish)

    def read_row_major(self, tensor: Tensor) -> str:
        """The real values with elements in the row-major order of the stored axes, in whatever shape."""
        order, plain = self.order(tensor), stored_order(len(tensor.shape))
        in_place = moves_nothing(permutation(order, plain), ordered(tensor.shape, order))
        return self.read(tensor, None if in_place else plain)

    def read_broadcast(self, tensor: Tensor, rank: int, order: Order) -> str:
        """The real values with leading axes of length 1 up to `rank`, in an order of that rank."""
        if len(tensor.shape) == rank:
            return self.read(tensor, order)
        shape = (1,) * (rank - len(tensor.shape)) + tensor.shape
        if tensor.is_constant:
            return self._constant(broadcast_constant(tensor, shape), order)
        key = (tensor.name, order, rank)
        if key not in self._reals:
            flat = self.read_flat(tensor, shape)
            self._reals[key] = self._in_order(flat, tensor, stored_order(rank), order, shape)
        return self._reals[key]

    def write(self, tensor: Tensor, value: str, order: Order, activation: Activation = NO_ACTIVATION) -> None:
        """Make `tensor` from an operator's result in some order, clamped and on the tensor's grid."""
        wanted = self.order(tensor)
        if tensor.quant is None:
            self._reals[tensor.name, wanted, len(wanted)] = self._plain(tensor, value, order)
            return
        for change in self._changes(tensor, order, activation):
            codes = self._quantized(value, tensor.quant, f"{tensor.name}.codes")
            value = change(self._dequantized(codes, tensor))
        self._publish(tensor, self._quantized(value, tensor.quant, f"{tensor.name}.codes", output=self._name(tensor)))

    def _name(self, tensor: Tensor) -> str | None:
        """The tensor's own name for its codes, where no input or output of the model has it."""
        return None if tensor.name in self.graph.outputs or tensor.name in self.graph.inputs else tensor.name

    def _publish(self, tensor: Tensor, codes: str) -> None:
        """From now on `codes`, in the tensor's own order, are its codes."""
        order = self.order(tensor)
        self._codes[tensor.name, order] = codes
        output = tensor.name if tensor.name in self.graph.outputs else None
        self._reals[tensor.name, order, len(order)] = self._dequantized(codes, tensor, output=output)

    def write_alias(self, tensor: Tensor, source: Tensor) -> None:
        """Make `tensor` the same value of the file as `source`, each in its own order."""
        own, theirs = self.order(tensor), self.order(source)
        self._reals[tensor.name, own, len(own)] = self.read(source)
        if source.quant is not None:
            self._codes[tensor.name, own] = self.read_codes(source, theirs)

    def operator(self, node: Node, operator: str, operands: Sequence[str], **attributes: Any) -> str:
        """The ONNX operator that does the node's own work, under the node's name."""
        wish = f"{node.outputs[0]}.{operator}"
        return self.builder.node(operator, operands, wish=wish, title=node.name, **attributes)

    def write_input(self, tensor: Tensor) -> None:
        """Make a graph input from the model's input of the same name: floats, quantized here."""
        order = self.order(tensor)
        if tensor.quant is None:
            self._reals[tensor.name, order, len(order)] = tensor.name
        else:
            self.write(tensor, tensor.name, order)

    def requantized(self, value: str, like: Tensor, wish: str) -> str:
        """The value through a quantizer on the grid of `like`: a copy of codes, for readers that fuse."""
        if like.quant is None:
            return value
        return self._dequantized(self._quantized(value, like.quant, f"{wish}.codes"), like, wish=wish)

    def shape(self, shape: tuple[int, ...]) -> str:
        """The second operand of a Reshape; with a free batch the first axis takes what is left."""
        return self.builder.integers((-1, *shape[1:]) if self.free_batch and shape else shape, "shape")

    def scalar(self, value: float, wish: str) -> str:
        """A float32 scalar."""
        return self.builder.constant(np.array(value, np.float32), wish)

    def _transposed(self, tensor: Tensor, order: Order) -> str:
        own = self.order(tensor)
        return self._in_order(self.read(tensor), tensor, own, order, tensor.shape)

    def _in_order(self, value: str, like: Tensor, source: Order, target: Order, shape: tuple[int, ...]) -> str:
        """The value, on the grid of `like` and of that stored shape, from one order to another."""
        if source == target:
            return value
        turned = self._transpose_node(value, like, source, target)
        if like.quant is None:
            return turned
        codes = self._quantized(turned, like.quant, f"{like.name}.transposed.codes")
        if shape == like.shape:
            self._codes[like.name, target] = codes
        return self._dequantized(codes, like, wish=f"{like.name}.transposed")

    def _transpose_node(self, value: str, like: Tensor, source: Order, target: Order) -> str:
        return self.builder.node(
            "Transpose", [value], wish=f"{like.name}.transposed", perm=list(permutation(source, target))
        )

    def _plain(self, tensor: Tensor, value: str, order: Order) -> str:
        """A tensor without grid: indices, accumulators."""
        wanted = self.order(tensor)
        if order != wanted:
            value = self._transpose_node(value, tensor, order, wanted)
        if tensor.name not in self.graph.outputs:
            return value
        return self.builder.node("Identity", [value], wish=tensor.name, output=tensor.name)

    def _quantized(self, value: str, grid: QuantParams, wish: str, *, output: str | None = None) -> str:
        return self.builder.node("QuantizeLinear", [value, *self._grid(grid)], wish=wish, output=output)

    def _dequantized(self, codes: str, like: Tensor, *, wish: str = "", output: str | None = None) -> str:
        assert like.quant is not None
        grid = self._grid(like.quant)
        return self.builder.node("DequantizeLinear", [codes, *grid], wish=wish or f"{like.name}.real", output=output)

    def _grid(self, grid: QuantParams) -> tuple[str, str]:
        """Scale and zero point of a per-tensor grid as initializers."""
        zero = np.array(grid.zero_point[0], container(grid))
        return self.scalar(grid.scale[0], "scale"), self.builder.constant(zero, "zero_point")

    @staticmethod
    def grid_arrays(grid: QuantParams) -> tuple[NDArray[np.float32], NDArray[np.integer]]:
        """Scales and zero points in the types of the file, one per channel or one in all."""
        shape = () if grid.axis is None else (len(grid.scale),)
        return np.array(grid.scale, np.float32).reshape(shape), np.array(grid.zero_point, container(grid)).reshape(
            shape
        )

    def _constant(self, tensor: Tensor, order: Order) -> str:
        """A constant: its codes and a DequantizeLinear, per channel where its grid is."""
        key = (tensor.name, order, len(tensor.shape))
        if key not in self._reals:
            self._reals[key] = self.dequantized_constant(tensor, order)
        return self._reals[key]

    def dequantized_constant(self, tensor: Tensor, order: Order) -> str:
        """As `read` of a constant, for a tensor that need not be the graph's own."""
        codes = self.builder.unshared_constant(codes_in(tensor, order), f"{tensor.name}.codes")
        grid = tensor.quant
        if grid is None:
            return codes
        scales, zeros = self.grid_arrays(grid)
        attributes: dict[str, Any] = {} if grid.axis is None else {"axis": order[grid.axis]}
        labelled = ((scales, "scale"), (zeros, "zero_point"))
        parameters = [self.builder.unshared_constant(v, f"{tensor.name}.{label}") for v, label in labelled]
        return self.builder.node("DequantizeLinear", [codes, *parameters], wish=f"{tensor.name}.real", **attributes)

    def _changes(self, tensor: Tensor, order: Order, activation: Activation) -> Iterator[Callable[[str], str]]:
        """What has to happen to the result between quantizers: rules 2 and 1, in this order."""
        yield from self._clamps(tensor, order, activation)
        if order != self.order(tensor):
            yield lambda real: self._transpose_node(real, tensor, order, self.order(tensor))

    def _clamps(self, tensor: Tensor, order: Order, activation: Activation) -> Iterator[Callable[[str], str]]:
        """Rule 2."""
        assert tensor.quant is not None
        grid, info = tensor.quant, np.iinfo(container(tensor.quant))
        low = max(code_of(activation.low, grid), grid.low)
        caps = activation.high if isinstance(activation.high, tuple) else (activation.high,)
        highs = [max(low, min(code_of(high, grid), grid.high)) for high in caps]
        if low > info.min or (len(highs) == 1 and highs[0] < info.max):
            high = highs[0] if len(highs) == 1 else grid.high
            yield partial(self._clipped, tensor, _real(low, grid), _real(high, grid))
        if len(highs) > 1 and min(highs) < info.max:
            yield partial(self._capped, tensor, order, highs)

    def _clipped(self, tensor: Tensor, low: float, high: float, real: str) -> str:
        bounds = [self.scalar(low, "low"), self.scalar(high, "high")]
        return self.builder.node("Clip", [real, *bounds], wish=f"{tensor.name}.clipped")

    def _capped(self, tensor: Tensor, order: Order, highs: list[int], real: str) -> str:
        """A cap per channel of the last stored axis: a constant on the tensor's own grid."""
        assert tensor.quant is not None
        shape = (1,) * (len(tensor.shape) - 1) + (len(highs),)
        data = np.array(highs, tensor.element.dtype).reshape(shape)
        cap = Tensor(f"{tensor.name}.cap", shape, tensor.element, tensor.quant, data)
        return self.builder.node("Min", [real, self.dequantized_constant(cap, order)], wish=f"{tensor.name}.capped")


def container(grid: QuantParams) -> np.dtype[np.integer]:
    """The type that holds codes of a grid in the file: 8, 16 or 32 bits. Narrower codes stay as they are in it."""
    width = 8 if grid.bits <= 8 else 16 if grid.bits <= 16 else 32
    return np.dtype(f"{'' if grid.signed else 'u'}int{width}")


def codes_in(tensor: Tensor, order: Order) -> NDArray[np.generic]:
    """A constant's contents in an order, in the file's container."""
    dtype = tensor.element.dtype if tensor.quant is None else container(tensor.quant)
    perm = permutation(stored_order(len(order)), order)
    return np.asarray(tensor.constant.transpose(perm), dtype, order="C")


def broadcast_constant(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A constant with leading axes of length 1."""
    grid = tensor.quant
    if grid is not None and grid.axis is not None:
        axis = grid.axis + len(shape) - len(tensor.shape)
        grid = QuantParams(grid.scale, grid.zero_point, grid.bits, grid.signed, axis)
    name = f"{tensor.name}.rank{len(shape)}"
    return Tensor(name, shape, tensor.element, grid, tensor.constant.reshape(shape))


def code_of(value: float, grid: QuantParams) -> int:
    """The code of a real bound, as ONNX Runtime quantizes it (float32, half to even), unlimited."""
    if math.isinf(value):
        return -(1 << 40) if value < 0 else 1 << 40
    steps = np.clip(np.float32(value) / np.float32(grid.scale[0]), -(2.0**39), 2.0**39)
    return int(np.rint(steps)) + grid.zero_point[0]


def _real(code: int, grid: QuantParams) -> float:
    """The real value of a code in float32, as DequantizeLinear computes it."""
    return float(np.float32(code - grid.zero_point[0]) * np.float32(grid.scale[0]))
