"""Values of a float model: a float graph in canonical form as ordinary ONNX.

Names are those of the graph's own file: tensors keep theirs, and a constant that canonical form renamed gets back the
name that the file has for it. So encodings of the integer graph fit the file that is written here. A clamp is a Relu, a
Clip, or, with a cap per channel, a Min of a constant.
"""

import math
import re

import numpy as np

from accel_sim.frontend.encodings.names import file_name
from accel_sim.frontend.export.layout import Order, permutation, stored_order
from accel_sim.frontend.export.values import Values
from accel_sim.ir import NO_ACTIVATION, Activation, Tensor

_RANK = re.compile(r"\.rank\d+$")  # of a constant with leading axes of length 1
_NO_CAP = float(np.finfo(np.float32).max)


class FloatValues(Values):
    """The tensors of one float graph as values of one ONNX model."""

    is_float = True

    def write(self, tensor: Tensor, value: str, order: Order, activation: Activation = NO_ACTIVATION) -> None:
        """Make `tensor` from an operator's result in some order, clamped."""
        value = self._clamped(tensor, value, order, activation)
        wanted = self.order(tensor)
        if order != wanted:
            value = self._transpose_node(value, tensor, order, wanted)
        real = value if value == tensor.name else self.builder.named(value, tensor.name)
        self._reals[tensor.name, wanted, len(wanted)] = real

    def write_alias(self, tensor: Tensor, source: Tensor) -> None:
        """Make `tensor` the same value of the file as `source`, each in its own order."""
        own = self.order(tensor)
        self._reals[tensor.name, own, len(own)] = self.read(source)

    def dequantized_constant(self, tensor: Tensor, order: Order) -> str:
        """A constant under the name that the file has for it."""
        values = tensor.constant.transpose(permutation(stored_order(len(order)), order))
        name = _RANK.sub("", file_name(tensor))
        return self.builder.unshared_constant(np.asarray(values, order="C"), name)

    def _clamped(self, tensor: Tensor, value: str, order: Order, activation: Activation) -> str:
        low, high = activation.low, activation.high
        if isinstance(high, tuple):
            value = self._clamped(tensor, value, order, Activation(low))
            shape = [1] * len(order)
            shape[order[-1]] = len(high)
            caps = np.minimum(np.array(high, np.float64), _NO_CAP).astype(np.float32).reshape(shape)
            operands = [value, self.builder.unshared_constant(caps, f"{tensor.name}.cap")]
            return self.builder.node("Min", operands, wish=f"{tensor.name}.capped")
        if (low, high) == (0.0, math.inf):
            return self.builder.node("Relu", [value], wish=f"{tensor.name}.relu")
        if activation.is_identity:
            return value
        bounds = [self.scalar(low, "low") if math.isfinite(low) else ""]
        bounds += [self.scalar(high, "high")] if math.isfinite(high) else []
        return self.builder.node("Clip", [value, *bounds], wish=f"{tensor.name}.clipped")
