"""Values of a QOperator model: an integer tensor is its codes, and integer operators read and write codes.

Real values appear where an operator without an integer form needs them: a DequantizeLinear in front of it, and a
QuantizeLinear behind. A clamp that the grid does not do by itself is said between such a pair as in a QDQ file.
"""

from collections.abc import Sequence
from typing import Any

from accel_sim.frontend.export.layout import Order, moves_nothing, ordered, permutation, stored_order
from accel_sim.frontend.export.values import Values, broadcast_constant, codes_in
from accel_sim.ir import NO_ACTIVATION, Activation, Node, Tensor


class CodeValues(Values):
    """The tensors of one graph as codes of one ONNX model."""

    def read(self, tensor: Tensor, order: Order | None = None) -> str:
        """The real values, dequantized for whoever needs them."""
        if tensor.is_constant or tensor.quant is None:
            return super().read(tensor, order)
        wanted = order or self.order(tensor)
        key = (tensor.name, wanted, len(tensor.shape))
        if key not in self._reals:
            self._reals[key] = self._dequantized(self.read_codes(tensor, wanted), tensor)
        return self._reals[key]

    def read_codes(self, tensor: Tensor, order: Order) -> str:
        """The codes of a quantized tensor in an order."""
        if tensor.is_constant:
            return self.builder.unshared_constant(codes_in(tensor, order), f"{tensor.name}.codes")
        own = self.order(tensor)
        if own == order or (tensor.name, order) in self._codes:
            return super().read_codes(tensor, order)
        turned = self._transpose_node(self._codes[tensor.name, own], tensor, own, order)
        self._codes[tensor.name, order] = turned
        return turned

    def codes_row_major(self, tensor: Tensor) -> str:
        """The codes with elements in the row-major order of the stored axes, in whatever shape."""
        order, plain = self.order(tensor), stored_order(len(tensor.shape))
        in_place = moves_nothing(permutation(order, plain), ordered(tensor.shape, order))
        return self.read_codes(tensor, order if in_place else plain)

    def codes_reshaped(self, tensor: Tensor, shape: tuple[int, ...]) -> str:
        """The codes in another shape, elements in the row-major order of the stored axes."""
        return self.builder.node(
            "Reshape", [self.codes_row_major(tensor), self.shape(shape)], wish=f"{tensor.name}.flat"
        )

    def codes_broadcast(self, tensor: Tensor, rank: int, order: Order) -> str:
        """The codes with leading axes of length 1 up to `rank`, in an order of that rank."""
        if len(tensor.shape) == rank:
            return self.read_codes(tensor, order)
        shape = (1,) * (rank - len(tensor.shape)) + tensor.shape
        if tensor.is_constant:
            return self.read_codes(broadcast_constant(tensor, shape), order)
        flat = self.codes_reshaped(tensor, shape)
        plain = stored_order(rank)
        return flat if order == plain else self._transpose_node(flat, tensor, plain, order)

    def integer(
        self,
        node: Node,
        operator: str,
        operands: Sequence[str],
        order: Order,
        activation: Activation = NO_ACTIVATION,
        *,
        reshape: bool = False,
        **attributes: Any,
    ) -> None:
        """The node as an integer operator whose result is codes, in an order.

        Args:
            node: in the graph.
            operator: with its domain in front.
            operands: of the operator.
            order: of its result.
            activation: a clamp behind it.
            reshape: whether its result has still to get the shape of the node's.
            **attributes: of the operator.
        """
        tensor = self.graph.result(node)
        wish = f"{tensor.name}.codes"
        clamps = list(self._clamps(tensor, order, activation))
        wanted, own = self.order(tensor), self._name(tensor)
        turns = order != wanted
        codes = self.builder.node(
            operator,
            operands,
            wish=wish,
            output=None if clamps or turns or reshape else own,
            title=node.name,
            **attributes,
        )
        if reshape:
            name = None if clamps or turns else own
            codes = self.builder.node("Reshape", [codes, self.shape(tensor.shape)], wish=wish, output=name)
        for left, clamp in zip(range(len(clamps) - 1, -1, -1), clamps, strict=True):
            name = None if left or turns else own
            assert tensor.quant is not None
            codes = self._quantized(clamp(self._dequantized(codes, tensor)), tensor.quant, wish, output=name)
        if turns:
            perm = list(permutation(order, wanted))
            codes = self.builder.node("Transpose", [codes], wish=wish, output=own, perm=perm)
        self._publish(tensor, codes)

    def grid(self, tensor: Tensor) -> tuple[str, str]:
        """Scale and zero point of a tensor as an integer operator reads them: one number, or one per channel."""
        grid = tensor.quant
        assert grid is not None
        if not tensor.is_constant:
            return self._grid(grid)
        scales, zeros = self.grid_arrays(grid)
        wishes = f"{tensor.name}.scale", f"{tensor.name}.zero_point"
        return self.builder.unshared_constant(scales, wishes[0]), self.builder.unshared_constant(zeros, wishes[1])

    def write_alias(self, tensor: Tensor, source: Tensor) -> None:
        """Make `tensor` the same value of the file as `source`, each in its own order."""
        if source.quant is None:
            super().write_alias(tensor, source)
        else:
            self._codes[tensor.name, self.order(tensor)] = self.read_codes(source, self.order(source))

    def _publish(self, tensor: Tensor, codes: str) -> None:
        """Real values are made where they are needed; an output of the model needs them."""
        if tensor.name in self.graph.outputs:
            super()._publish(tensor, codes)
        else:
            self._codes[tensor.name, self.order(tensor)] = codes
