"""A .tflite file as plain frozen values: flatbuffers travel no further than this module.

The generated readers check no bounds, so a damaged file shows as an exception of `struct`, NumPy or Python's own from
somewhere inside them; `read_model` turns those into one ModelError. Vectors are counted against the file's size before
they are read: a file whose vectors add up to more than it holds has them overlap, and is refused.
"""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tflite import BuiltinOperator, Model, Operator, OperatorCode, Tensor, TensorType

from accel_sim.errors import Fault, ModelError
from accel_sim.frontend.tflite.options import Options, read_options
from accel_sim.records import dataclass

SCHEMA_VERSION = 3
_OPERATORS = {code: name for name, code in vars(BuiltinOperator).items() if isinstance(code, int)}
_TYPES = {code: name.lower() for name, code in vars(TensorType).items() if isinstance(code, int)}
_DAMAGE = (struct.error, IndexError, KeyError, ValueError, TypeError, OverflowError, MemoryError)
_LONGEST_TEXT = 4096  # characters kept of a name; names that converters join from many reach hundreds
_TABLE_BYTES = 8  # the least that a table of its own takes


@dataclass(frozen=True, eq=False)
class FileQuantization:
    """Scales (float32), zero points (int64, as many or none) and the axis along which they vary."""

    scale: NDArray[np.float32]
    zero_point: NDArray[np.int64]
    axis: int
    is_custom: bool


@dataclass(frozen=True, eq=False)
class FileTensor:
    """A tensor as the file states it.

    Attributes:
        name: unique; the file's own where that is unique and not empty.
        type: the schema's name in lower case ("int8", "float32", "int4", ...), or "type 99".
        shape, signature: as stated; an axis of -1 in the signature is unknown before a run.
        buffer: number of the buffer, which tensors may share.
        data: the constant's bytes as uint8, or None.
    """

    index: int
    name: str
    type: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    quantization: FileQuantization | None
    buffer: int
    data: NDArray[np.uint8] | None
    is_variable: bool
    is_sparse: bool

    def __str__(self) -> str:
        shape = self.signature if len(self.signature) == len(self.shape) else self.shape
        return f"{self.name} {self.type}[{','.join('?' if n < 0 else str(n) for n in shape)}]"


@dataclass(frozen=True)
class FileOperator:
    """An operator: its builtin name ("CONV_2D"; "CUSTOM name" for others), operand and result indices, options."""

    index: int
    operator: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Options


@dataclass(frozen=True)
class FileModel:
    """The first subgraph of a file, and how many there are."""

    version: int
    name: str
    subgraphs: int
    tensors: tuple[FileTensor, ...]
    operators: tuple[FileOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_model(data: bytes, name: str = "") -> FileModel:
    """Read the bytes of a .tflite file; errors begin with its name.

    Raises:
        ModelError: the file is cut short or its offsets lead nowhere.
    """
    try:
        return _Reader(data).model()
    except _DAMAGE as error:
        fault = Fault(
            "file",
            f"{len(data)} bytes, {type(error).__name__} while reading",
            "every offset of a flatbuffer lies inside the file",
            "the file is cut short or damaged; fetch it again",
        )
        raise ModelError(f"TFLite model {name!r}" if name else "TFLite model", [fault]) from error


class _Reader:
    """Reads tables, spending the file's size on every vector and table it follows."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._file = np.frombuffer(data, np.uint8)
        self._budget = 4 * len(data) + 1024
        self._names: set[str] = set()

    def model(self) -> FileModel:
        model = Model.GetRootAs(self._data, 0)
        subgraphs = int(model.SubgraphsLength())
        if subgraphs == 0:
            return FileModel(int(model.Version()), "", 0, (), (), (), ())
        graph = model.Subgraphs(0)
        buffers = [self._buffer(model.Buffers(i)) for i in self._count(model.BuffersLength())]
        codes = [self._code(model.OperatorCodes(i)) for i in self._count(model.OperatorCodesLength())]
        return FileModel(
            int(model.Version()),
            self._text(graph.Name()),
            subgraphs,
            tuple(self._tensor(graph.Tensors(i), i, buffers) for i in self._count(graph.TensorsLength())),
            tuple(self._operator(graph.Operators(i), i, codes) for i in self._count(graph.OperatorsLength())),
            self._integers(graph, "Inputs"),
            self._integers(graph, "Outputs"),
        )

    def _spend(self, size: int) -> None:
        self._budget -= size
        if self._budget < 0:
            raise ValueError("the vectors of the file overlap")

    def _count(self, length: int) -> range:
        """Indices of a vector of tables."""
        self._spend(_TABLE_BYTES * length)
        return range(length)

    def _vector(self, table: Any, name: str) -> Any:
        """A vector of numbers of a table, as an array; empty where the file has none."""
        length = int(getattr(table, f"{name}Length")())
        if length == 0:
            return np.zeros(0, np.int32)
        self._spend(4 * length)
        return getattr(table, f"{name}AsNumpy")()

    def _integers(self, table: Any, name: str) -> tuple[int, ...]:
        return tuple(self._vector(table, name).tolist())

    def _text(self, text: bytes | None) -> str:
        self._spend(len(text or b""))
        return (text or b"")[:_LONGEST_TEXT].decode("utf-8", "replace")

    def _buffer(self, buffer: Any) -> NDArray[np.uint8] | None:
        """A buffer's bytes, a view into the file; those of large files lie behind the flatbuffer."""
        offset, size = int(buffer.Offset()), int(buffer.Size())
        if offset > 1:
            if offset + size > len(self._data):
                raise ValueError("a buffer lies outside the file")
            return self._file[offset : offset + size]
        length = int(buffer.DataLength())
        if length == 0:
            return None
        view: NDArray[np.uint8] = buffer.DataAsNumpy()
        return view

    def _code(self, code: OperatorCode) -> str:
        number = max(int(code.BuiltinCode()), int(code.DeprecatedBuiltinCode()))
        name = _OPERATORS.get(number, f"BUILTIN {number}")
        return f"CUSTOM {self._text(code.CustomCode())}".rstrip() if name == "CUSTOM" else name

    def _tensor(self, tensor: Tensor, index: int, buffers: list[NDArray[np.uint8] | None]) -> FileTensor:
        return FileTensor(
            index,
            self._unique(self._text(tensor.Name()) or f"tensor {index}", index),
            _TYPES.get(int(tensor.Type()), f"type {tensor.Type()}"),
            self._integers(tensor, "Shape"),
            self._integers(tensor, "ShapeSignature"),
            self._quantization(tensor),
            int(tensor.Buffer()),
            buffers[tensor.Buffer()],
            bool(tensor.IsVariable()),
            tensor.Sparsity() is not None,
        )

    def _unique(self, name: str, index: int) -> str:
        unique = name if name not in self._names else f"{name} #{index}"
        self._names.add(unique)
        return unique

    def _quantization(self, tensor: Tensor) -> FileQuantization | None:
        table = tensor.Quantization()
        if table is None or (table.ScaleLength() == 0 and table.DetailsType() == 0):
            return None
        scale = self._vector(table, "Scale").astype(np.float32)
        zero_point = self._vector(table, "ZeroPoint").astype(np.int64)
        return FileQuantization(scale, zero_point, int(table.QuantizedDimension()), table.DetailsType() != 0)

    def _operator(self, operator: Operator, index: int, codes: list[str]) -> FileOperator:
        name = codes[operator.OpcodeIndex()]
        return FileOperator(
            index,
            name,
            self._integers(operator, "Inputs"),
            self._integers(operator, "Outputs"),
            read_options(operator, name, self._spend),
        )
