"""A small builder of ONNX models: names, initializers and nodes, nothing more."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, helper, numpy_helper

Array = NDArray[Any]
IR_VERSION = 10


class Grid(NamedTuple):
    """A per-tensor quantization grid; `dtype` is the storage of its codes."""

    scale: np.float32
    zero_point: int
    dtype: np.dtype[Any]

    @property
    def low(self) -> int:
        return int(np.iinfo(self.dtype).min)

    @property
    def high(self) -> int:
        return int(np.iinfo(self.dtype).max)

    @property
    def zero(self) -> Array:
        """The zero point as ONNX stores it: a scalar of the codes' own type."""
        return np.array(self.zero_point, self.dtype)

    def dequantize(self, codes: Array) -> Array:
        return np.asarray((codes.astype(np.int32) - self.zero_point).astype(np.float32) * self.scale)

    def codes_of(self, values: Array) -> Array:
        """The codes whose dequantized values these are (the inverse of `dequantize`)."""
        return (np.rint(values.astype(np.float64) / float(self.scale)) + self.zero_point).astype(self.dtype)


class ModelBuilder:
    """Collects one graph and serializes it.

    With `float_ends` the graph's own inputs and outputs are float, quantized and dequantized at the border, as
    quantization tools write them; without it they are integer codes.
    """

    def __init__(self, opset: int = 17, *, float_ends: bool = False) -> None:
        self.opset = opset
        self.float_ends = float_ends
        self.inputs: dict[str, Array] = {}
        self.output_grids: dict[str, Grid] = {}
        self._nodes: list[Any] = []
        self._initializers: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def constant(self, value: Any) -> str:
        name = f"c{len(self._initializers)}"
        self._initializers.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(
        self, op: str, inputs: Sequence[str], *, outputs: int | Sequence[str] = 1, domain: str = "", **attributes: Any
    ) -> Any:
        """Add a node; returns its output name, or the list of them."""
        count = len(self._nodes)
        names = [f"t{count}_{i}" for i in range(outputs)] if isinstance(outputs, int) else list(outputs)
        self._nodes.append(helper.make_node(op, list(inputs), names, name=f"{op}_{count}", domain=domain, **attributes))
        return names[0] if len(names) == 1 else names

    def input(self, name: str, values: Array) -> str:
        """A graph input of the values' own type and shape."""
        kind = helper.np_dtype_to_tensor_dtype(values.dtype)
        self._inputs.append(helper.make_tensor_value_info(name, kind, list(values.shape)))
        self.inputs[name] = values
        return name

    def output(self, name: str, dtype: Any) -> str:
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self._outputs.append(helper.make_tensor_value_info(name, kind, None))
        return name

    def dequantize(self, name: str, scale: Any, zero: Any, **attributes: Any) -> str:
        inputs = [name, self.constant(np.asarray(scale, np.float32)), self.constant(zero)]
        result: str = self.node("DequantizeLinear", inputs, **attributes)
        return result

    def quantize(self, name: str, grid: Grid, output: str | None = None) -> str:
        inputs = [name, self.constant(grid.scale), self.constant(grid.zero)]
        result: str = self.node("QuantizeLinear", inputs, outputs=[output] if output else 1)
        return result

    def quantized_input(self, name: str, codes: Array, grid: Grid) -> str:
        """A graph input on `grid`, dequantized: the float value that a QDQ operator reads."""
        source = self.input(name, grid.dequantize(codes) if self.float_ends else codes)
        if self.float_ends:
            source = self.quantize(source, grid)
        return self.dequantize(source, grid.scale, grid.zero)

    def quantized_constant(self, codes: Array, grid: Grid) -> str:
        return self.dequantize(self.constant(codes), grid.scale, grid.zero)

    def quantized_output(self, value: str, grid: Grid, name: str = "y") -> None:
        """Quantize a float value on `grid` and make it the graph output `name`."""
        if not self.float_ends:
            self.output(self.quantize(value, grid, name), grid.dtype)
            return
        codes = self.quantize(value, grid)
        zero, scale = self.constant(grid.zero), self.constant(grid.scale)
        self.output(self.node("DequantizeLinear", [codes, scale, zero], outputs=[name]), np.float32)
        self.output_grids[name] = grid

    def model(self) -> ModelProto:
        graph = helper.make_graph(self._nodes, "case", self._inputs, self._outputs, self._initializers)
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)

    def serialize(self) -> bytes:
        data: bytes = self.model().SerializeToString()
        return data


INT8 = np.dtype(np.int8)
UINT8 = np.dtype(np.uint8)
