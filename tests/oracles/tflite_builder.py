"""A small builder of TFLite files on the object API of the schema that ships with LiteRT.

    model = ModelBuilder()
    x = model.tensor((1, 4), "int8", 0.5, 3, name="x")
    y = model.tensor((1, 4), "int8", 0.25, 0, name="y")
    model.op("RELU", [x], [y])
    data = model.build([x], [y])

`build` calls an optional `corrupt(ModelT)` last, so that a test can make a file that no converter would write.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

DTYPES = {
    "float16": schema.TensorType.FLOAT16,
    "float32": schema.TensorType.FLOAT32,
    "int32": schema.TensorType.INT32,
    "uint8": schema.TensorType.UINT8,
    "int64": schema.TensorType.INT64,
    "bool": schema.TensorType.BOOL,
    "int16": schema.TensorType.INT16,
    "int8": schema.TensorType.INT8,
    "int4": schema.TensorType.INT4,
}
_FIRST_EXTENDED_CODE = schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES


class _AlignedBuilder(flatbuffers.Builder):
    """Aligns every numpy vector to 16 bytes, as `force_align: 16` of the schema's buffers asks."""

    def CreateNumpyVector(self, x: np.ndarray) -> int:  # noqa: N802 (the name of the method it replaces)
        """Write `x` as a vector whose first element lies at a multiple of 16 bytes."""
        payload = np.ascontiguousarray(x).tobytes()
        self.StartVector(x.itemsize, x.size, 16)
        self.head = self.head - len(payload)
        self.Bytes[self.head : self.head + len(payload)] = payload
        self.vectorNumElems = x.size
        return self.EndVector()


class ModelBuilder:
    """Collects tensors and operators of one subgraph; `model` is the object tree itself."""

    def __init__(self) -> None:
        self.subgraph = schema.SubGraphT()
        self.subgraph.name = "main"
        self.subgraph.tensors = []
        self.subgraph.operators = []
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.description = "accel_sim test model"
        self.model.subgraphs = [self.subgraph]
        self.model.operatorCodes = []
        self.model.buffers = [schema.BufferT()]  # buffer 0 is empty by convention
        self._codes: dict[tuple[int, int, str | None], int] = {}

    def tensor(
        self,
        shape: Sequence[int],
        dtype: str,
        scale: Any = None,
        zero_point: Any = 0,
        *,
        data: Any = None,
        axis: int = 0,
        name: str | None = None,
    ) -> int:
        """Add a tensor, return its index.

        `scale` and `zero_point` are scalars or, per channel along `axis`, sequences; no scale, no
        quantization. `data` makes it a constant; int4 data (one int8 per element) are packed two to
        a byte, low nibble first.
        """
        index = len(self.subgraph.tensors)
        tensor = schema.TensorT()
        tensor.shape = np.array(shape, np.int32)
        tensor.type = DTYPES[dtype]
        tensor.name = name or f"tensor_{index}"
        tensor.hasRank = True
        if scale is not None:
            tensor.quantization = self._quantization(scale, zero_point, axis)
        if data is not None:
            tensor.buffer = self._buffer(np.asarray(data), dtype)
        self.subgraph.tensors.append(tensor)
        return index

    @staticmethod
    def _quantization(scale: Any, zero_point: Any, axis: int) -> Any:
        parameters = schema.QuantizationParametersT()
        scales = np.atleast_1d(np.asarray(scale, np.float32))
        zeros = np.atleast_1d(np.asarray(zero_point, np.int64))
        parameters.scale = scales
        parameters.zeroPoint = np.ascontiguousarray(np.broadcast_to(zeros, scales.shape))
        parameters.quantizedDimension = axis
        return parameters

    def _buffer(self, data: np.ndarray, dtype: str) -> int:
        buffer = schema.BufferT()
        buffer.data = _pack(data, dtype)
        self.model.buffers.append(buffer)
        return len(self.model.buffers) - 1

    def op(
        self,
        operator: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: Any = None,
        *,
        version: int = 1,
        custom: str | None = None,
    ) -> None:
        """Add an operator by its builtin name; -1 stands for an absent optional input.

        `options` is an `...OptionsT` object of the schema; `custom` names an operator `CUSTOM`.
        """
        node = schema.OperatorT()
        node.opcodeIndex = self._code(operator, version, custom)
        node.inputs = np.array(inputs, np.int32)
        node.outputs = np.array(outputs, np.int32)
        if options is not None:
            kind = type(options).__name__.removesuffix("T")
            node.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            node.builtinOptions = options
        self.subgraph.operators.append(node)

    def _code(self, operator: str, version: int, custom: str | None) -> int:
        value = getattr(schema.BuiltinOperator, operator)
        key = (value, version, custom)
        if key not in self._codes:
            code = schema.OperatorCodeT()
            code.builtinCode = value
            code.deprecatedBuiltinCode = min(value, _FIRST_EXTENDED_CODE)
            code.version = version
            code.customCode = custom
            self._codes[key] = len(self.model.operatorCodes)
            self.model.operatorCodes.append(code)
        return self._codes[key]

    def build(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        corrupt: Callable[[Any], None] | None = None,
    ) -> bytes:
        """Return the file; `corrupt` may change the `ModelT` just before it is written."""
        self.subgraph.inputs = np.array(inputs, np.int32)
        self.subgraph.outputs = np.array(outputs, np.int32)
        if corrupt is not None:
            corrupt(self.model)
        builder = _AlignedBuilder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def options(kind: str, **fields: Any) -> Any:
    """An options object of the schema, e.g. `options("Pool2D", padding=1, strideH=2)`.

    Field names are those of the schema's Python classes; an unknown one raises AttributeError.
    """
    result = getattr(schema, f"{kind}OptionsT")()
    for name, value in fields.items():
        getattr(result, name)
        setattr(result, name, value)
    return result


def _pack(data: np.ndarray, dtype: str) -> np.ndarray:
    if dtype != "int4":
        return np.frombuffer(np.ascontiguousarray(data, dtype).tobytes(), np.uint8)
    nibbles = np.asarray(data, np.int8).ravel().view(np.uint8) & 0xF
    nibbles = np.append(nibbles, np.zeros(nibbles.size % 2, np.uint8))
    return np.ascontiguousarray(nibbles[0::2] | (nibbles[1::2] << 4))
