"""From bytes to a RawModel: the only module that knows protobuf. It trusts nothing that it reads."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from accel_sim.errors import Fault, ModelError, UnsupportedModelError
from accel_sim.frontend._limits import MAX_FILE_BYTES, fits_memory
from accel_sim.frontend.onnx.external import ExternalDataFault, read_external
from accel_sim.frontend.onnx.messages import AttributeProto, ModelProto, TensorProto
from accel_sim.frontend.onnx.model import ELEMENTS, Array, Attribute, RawModel, RawNode, RawValue
from accel_sim.frontend.onnx.ordering import in_order
from accel_sim.frontend.onnx.stand_ins import inputs_that_are_weights, stand_in

_DAMAGED = "the file is truncated, damaged, or neither TFLite nor ONNX"
_OLDEST_OPSET, _NEWEST_OPSET = 7, 23
_SAME = {f"com.microsoft.{name}": name for name in ("QuantizeLinear", "DequantizeLinear")}
"""ONNX Runtime's own, which take 16 bits before operator set 21; the same but for that."""
_MAX_RANK = 8


def read_model(
    data: bytes,
    name: str,
    directory: Path | None = None,
    *,
    with_weights: bool = True,
    missing: list[str] | None = None,
) -> RawModel:
    """Parse and check an ONNX file; every fault of the container is in one error.

    Args:
        data: the file's bytes.
        name: for people; errors begin with it.
        directory: where the file lies, for constants kept beside it.
        with_weights: whether constants kept beside the file are read; if not, they are left empty.
        missing: gets the names of weights that the file lacks, which then have stand-ins; None refuses them.

    Raises:
        ModelError: damaged bytes, contradictory declarations, values that nobody makes, cycles.
        UnsupportedModelError: model-local functions, unread element types, an operator set too old or too new.
    """
    subject = f"model {name!r}"
    if len(data) > MAX_FILE_BYTES:
        raise ModelError(
            subject, [Fault("file", f"{len(data)} bytes", f"a model file has at most {MAX_FILE_BYTES} bytes")]
        )
    try:
        proto = ModelProto.FromString(data)
        return _Reader(proto, name, directory, with_weights=with_weights, missing=missing).read()
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(subject, [Fault("file", f"{len(data)} bytes", _DAMAGED)]) from error


class _Reader:
    def __init__(
        self, proto: Any, name: str, directory: Path | None, *, with_weights: bool, missing: list[str] | None
    ) -> None:
        self.proto = proto
        self.graph = proto.graph
        self.name = name
        self.subject = f"model {name!r}"
        self.directory = directory
        self.with_weights = with_weights
        self.missing = missing
        self.faults: list[Fault] = []
        self.unsupported: list[Fault] = []
        opsets = {_domain(o.domain): int(o.version) for o in proto.opset_import}
        self.version = opsets.get("", 1)  # a file of the first format version says nothing and means 1

    def read(self) -> RawModel:
        if not self.graph.node and not self.graph.output:
            raise ModelError(self.subject, [Fault("file", "no graph", _DAMAGED)])
        self._check_container()
        constants = self._constants()
        nodes = tuple(self._nodes())
        inputs = tuple(self._value(v) for v in self.graph.input if v.name not in constants)
        outputs = tuple(self._value(v) for v in self.graph.output)
        inputs = self._without_weights(nodes, inputs, constants)
        self._check_names(constants, nodes, inputs, outputs)
        self._raise_if_faulty()
        live, faults = in_order(nodes, [v.name for v in outputs], set(constants) | {v.name for v in inputs})
        self.faults += faults
        self._raise_if_faulty()
        return RawModel(self.graph.name or self.name, live, constants, inputs, outputs)

    def _without_weights(
        self, nodes: tuple[RawNode, ...], inputs: tuple[RawValue, ...], constants: dict[str, Array]
    ) -> tuple[RawValue, ...]:
        """The inputs that are no weights; those that are become constants."""
        if self.missing is None:
            return inputs
        for value in inputs_that_are_weights(nodes, inputs):
            found = None if value.dtype is None else stand_in(value.dtype, tuple(n or 1 for n in value.shape or ()))
            if found is not None:
                constants[value.name] = found
                self.missing.append(value.name)
        return tuple(v for v in inputs if v.name not in constants)

    def _raise_if_faulty(self) -> None:
        if self.faults:
            raise ModelError(self.subject, self.faults + self.unsupported)
        if self.unsupported:
            raise UnsupportedModelError(self.subject, self.unsupported)

    def _check_container(self) -> None:
        if not _OLDEST_OPSET <= self.version <= _NEWEST_OPSET:
            rule = f"the operator set is one of versions {_OLDEST_OPSET} to {_NEWEST_OPSET}"
            self.unsupported.append(
                Fault("opset_import", str(self.version), rule, "convert the model with onnx.version_converter")
            )
        if self.proto.functions:
            functions = ", ".join(f.name for f in self.proto.functions[:5])
            self.unsupported.append(Fault("functions", functions, "a model has no local functions", "inline them"))
        if self.graph.sparse_initializer:
            count = f"{len(self.graph.sparse_initializer)} sparse initializers"
            self.unsupported.append(Fault("graph", count, "constants are dense"))
        if not self.graph.output:
            self.faults.append(Fault("graph", "no outputs", "a graph has at least one output"))

    def _constants(self) -> dict[str, Array]:
        constants = {}
        for tensor in self.graph.initializer:
            array = self._array(tensor, f"initializer {tensor.name!r}")
            if tensor.name in constants:
                self.faults.append(Fault(f"initializer {tensor.name!r}", "twice", "a value is defined once"))
            if array is not None:
                constants[tensor.name] = array
        return constants

    def _array(self, tensor: Any, where: str) -> Array | None:
        """The contents of a TensorProto, or None with a fault noted."""
        dtype = ELEMENTS.get(tensor.data_type)
        if dtype is None:
            self.unsupported.append(
                Fault(where, _kind(tensor.data_type), "an element is a 8 to 64 bit integer, a float or a bool")
            )
            return None
        shape = tuple(int(d) for d in tensor.dims)
        if len(shape) > _MAX_RANK or min(shape, default=0) < 0 or not fits_memory(shape, dtype.itemsize):
            self.faults.append(
                Fault(where, str(list(shape)), "a shape has at most 8 axes, none negative, and fits memory")
            )
            return None
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            return self._external(tensor, where, dtype, shape)
        if self.missing is not None and 0 not in shape and not _has_data(tensor):
            return self._stand_in(tensor.name, dtype, shape)
        try:
            return _contents(tensor, dtype).reshape(shape)
        except (ValueError, TypeError, OverflowError, NotImplementedError) as error:
            self.faults.append(
                Fault(where, f"{dtype}{list(shape)}", "the stored bytes match type and shape", str(error)[:120])
            )
            return None

    def _external(self, tensor: Any, where: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array | None:
        if not self.with_weights:
            return np.broadcast_to(np.zeros((), dtype), shape)
        place = {e.key: e.value for e in tensor.external_data}
        try:
            return read_external(place, self.directory, dtype, shape)
        except ExternalDataFault as fault:
            if self.missing is not None and (found := self._stand_in(tensor.name, dtype, shape)) is not None:
                return found
            self.faults.append(Fault(where, fault.value, fault.rule, fault.cure))
            return None

    def _stand_in(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array | None:
        found = stand_in(dtype, shape)
        if found is not None and self.missing is not None:
            self.missing.append(name)
        return found

    def _nodes(self) -> Iterator[RawNode]:
        taken: set[str] = set()
        for index, node in enumerate(self.graph.node):
            domain = _domain(node.domain)
            op_type = f"{domain}.{node.op_type}" if domain else node.op_type
            op_type = _SAME.get(op_type, op_type)
            name = node.name or f"{node.op_type}_{index}"
            while name in taken:
                name = f"{name}#{index}"
            taken.add(name)
            attributes = {a.name: self._attribute(a, f"node {name!r} ({op_type})") for a in node.attribute}
            yield RawNode(name, op_type, tuple(node.input), tuple(node.output), attributes, self.version)

    def _attribute(self, attribute: Any, where: str) -> Attribute:
        kinds = AttributeProto
        if attribute.type == kinds.INT:
            return int(attribute.i)
        if attribute.type == kinds.FLOAT:
            return float(attribute.f)
        if attribute.type == kinds.STRING:
            return bytes(attribute.s)
        if attribute.type == kinds.INTS:
            return [int(v) for v in attribute.ints]
        if attribute.type == kinds.FLOATS:
            return [float(v) for v in attribute.floats]
        if attribute.type == kinds.STRINGS:
            return [bytes(v) for v in attribute.strings]
        if attribute.type == kinds.TENSOR:
            return self._array(attribute.t, f"{where} attribute {attribute.name!r}")
        return None

    def _value(self, value: Any) -> RawValue:
        kind = value.type.tensor_type
        dtype = ELEMENTS.get(kind.elem_type) if value.type.HasField("tensor_type") else None
        if not kind.HasField("shape"):
            return RawValue(value.name, dtype, None)
        shape = [int(d.dim_value) if d.HasField("dim_value") and d.dim_value > 0 else None for d in kind.shape.dim]
        if shape and shape[0] is None:
            shape[0] = 1  # a symbolic batch: one sample
        return RawValue(value.name, dtype, tuple(shape))

    def _check_names(
        self,
        constants: dict[str, Array],
        nodes: tuple[RawNode, ...],
        inputs: tuple[RawValue, ...],
        outputs: tuple[RawValue, ...],
    ) -> None:
        made = list(constants) + [v.name for v in inputs]
        made += [o for n in nodes for o in n.outputs if o]
        seen: set[str] = set()
        for name in made:
            if name in seen:
                self.faults.append(Fault(f"value {name!r}", "defined twice", "a value is defined once"))
            seen.add(name)
        if "" in {v.name for v in (*inputs, *outputs)}:
            self.faults.append(Fault("graph", "an input or output without a name", "inputs and outputs have names"))
        names = [v.name for v in outputs]
        for name in sorted({n for n in names if names.count(n) > 1}):
            self.faults.append(Fault("outputs", name, "an output is listed once"))


def _contents(tensor: Any, dtype: np.dtype[Any]) -> Array:
    """The elements of a TensorProto, one after the other or in its shape."""
    if tensor.HasField("raw_data") and not tensor.HasField("segment"):
        return np.frombuffer(tensor.raw_data, dtype.newbyteorder("<")).astype(dtype, copy=False)
    from onnx import numpy_helper  # knows where elements of each type are kept, and is slow to import

    return np.ascontiguousarray(numpy_helper.to_array(tensor), dtype)


def _has_data(tensor: Any) -> bool:
    fields = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")
    return bool(tensor.raw_data) or any(len(getattr(tensor, name)) for name in fields)


def _domain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain


def _kind(data_type: int) -> str:
    try:
        return str(TensorProto.DataType.Name(data_type))
    except ValueError:
        return f"element type {data_type}"
