"""A tensor of the file -> a tensor of the Graph, with every fault of its shape, contents and quantization."""

from collections.abc import Iterator
from math import prod

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault
from accel_sim.frontend._limits import MAX_RANK, MAX_TENSOR_BYTES, fits_memory
from accel_sim.frontend.tflite.reader import FileQuantization, FileTensor
from accel_sim.ir import ElementType, QuantParams, Tensor

_ELEMENTS = {
    "float32": ElementType.FLOAT32,
    "float16": ElementType.FLOAT32,  # constants only, widened when they are read
    "int4": ElementType.INT8,  # constants only, unpacked to one code per byte
    "int8": ElementType.INT8,
    "uint8": ElementType.UINT8,
    "int16": ElementType.INT16,
    "int32": ElementType.INT32,
    "int64": ElementType.INT64,
}
_BITS = {"int4": 4, "int8": 8, "uint8": 8, "int16": 16}
_CONSTANT_ONLY = ("float16", "int4")
_TYPE_RULE = "an element is float32, int8, uint8, int16, int32 or int64; in constants also int4 and float16"


class TensorReader:
    """Converts tensors once each, sharing what it unpacks, and keeps the faults it meets."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._converted: dict[int, Tensor | None] = {}
        self._unpacked: dict[tuple[int, str], NDArray[np.generic]] = {}

    def convert(self, tensor: FileTensor) -> Tensor | None:
        """The tensor for the Graph; None where it is at fault, which is noted once."""
        if tensor.index not in self._converted:
            faults = list(_faults(tensor))
            self.faults += faults
            self._converted[tensor.index] = None if faults else self._convert(tensor)
        return self._converted[tensor.index]

    def _convert(self, tensor: FileTensor) -> Tensor:
        shape = known_shape(tensor)
        data = None if tensor.data is None else self._contents(tensor).reshape(shape)
        return Tensor(tensor.name, shape, _ELEMENTS[tensor.type], _grid(tensor), data)

    def _contents(self, tensor: FileTensor) -> NDArray[np.generic]:
        key = (tensor.buffer, tensor.type)
        if key not in self._unpacked:
            assert tensor.data is not None
            self._unpacked[key] = _decode(tensor.data, tensor.type)
        return self._unpacked[key][: prod(tensor.shape)]


def known_shape(tensor: FileTensor) -> tuple[int, ...]:
    """The stated shape; an axis that is unknown before a run counts as empty until the operands tell it."""
    return tuple(max(n, 0) for n in tensor.shape)


def _decode(data: NDArray[np.uint8], kind: str) -> NDArray[np.generic]:
    if kind == "int4":
        nibbles = np.stack([data & 0xF, data >> 4], axis=-1).reshape(-1)  # the low nibble comes first
        return ((nibbles.astype(np.int8) ^ 8) - 8).astype(np.int8)
    if kind == "float16":
        return np.frombuffer(data.tobytes(), np.float16).astype(np.float32)
    typed = np.frombuffer(data, _ELEMENTS[kind].dtype)
    return typed if typed.flags.aligned else typed.copy()


def _grid(tensor: FileTensor) -> QuantParams | None:
    q, bits = tensor.quantization, _BITS.get(tensor.type)
    if q is None or bits is None:
        return None  # wider integers are indices and biases; a bias lies on s_x * s_w, whatever the file repeats
    scale = tuple(float(s) for s in q.scale)
    zero = tuple(int(z) for z in np.broadcast_to(q.zero_point if q.zero_point.size else 0, q.scale.shape))
    return QuantParams(scale, zero, bits, tensor.type != "uint8", q.axis if len(scale) > 1 else None)


def _faults(t: FileTensor) -> Iterator[Fault]:
    where = f"tensor {t.name!r}"
    if t.type not in _ELEMENTS or (t.type in _CONSTANT_ONLY and t.data is None):
        yield Fault(
            where, t.type, "an element is float32, int8, uint8, int16, int32 or int64; in constants also int4, float16"
        )
        return
    if t.is_variable:
        yield Fault(where, "variable", "a tensor holds no state between runs")
    if t.is_sparse:
        yield Fault(where, "sparse", "constants are stored densely")
    yield from _shape_faults(where, t)
    if t.quantization is not None and t.type in _BITS:
        yield from _quantization_faults(where, t, t.quantization)


def _shape_faults(where: str, t: FileTensor) -> Iterator[Fault]:
    item_bytes = _ELEMENTS[t.type].dtype.itemsize
    if len(t.shape) > MAX_RANK:
        yield Fault(where, f"{len(t.shape)} axes", f"a tensor has at most {MAX_RANK} axes")
    elif not fits_memory(known_shape(t), item_bytes):
        yield Fault(where, f"shape {list(t.shape)}", f"a tensor takes at most {MAX_TENSOR_BYTES} bytes")
    elif t.data is not None:
        count = prod(t.shape)
        expected = {"int4": (count + 1) // 2, "float16": 2 * count}.get(t.type, item_bytes * count)
        if min(t.shape, default=0) < 0 or expected != t.data.size:
            text = f"{t.data.size} bytes for {t.type}{list(t.shape)}"
            yield Fault(where, text, f"a constant's buffer has the size of its shape ({expected} bytes)")


def _quantization_faults(where: str, t: FileTensor, q: FileQuantization) -> Iterator[Fault]:
    if q.is_custom:
        yield Fault(where, "custom quantization", "quantization is affine: a scale and a zero point")
        return
    low, high = (0, 255) if t.type == "uint8" else (-(1 << (_BITS[t.type] - 1)), (1 << (_BITS[t.type] - 1)) - 1)
    bad = q.scale[~(np.isfinite(q.scale) & (q.scale > 0))]
    if bad.size:
        yield Fault(where, f"scale {bad[0]}", "a scale is positive and finite")
    outside = q.zero_point[(q.zero_point < low) | (q.zero_point > high)]
    if outside.size:
        yield Fault(where, f"zero point {outside[0]}", f"a zero point lies in [{low}, {high}]")
    if q.zero_point.size not in (0, 1, q.scale.size):
        yield Fault(where, f"{q.zero_point.size} zero points", f"there are as many as scales ({q.scale.size})")
    if q.scale.size > 1:
        yield from _axis_faults(where, t, q)


def _axis_faults(where: str, t: FileTensor, q: FileQuantization) -> Iterator[Fault]:
    if not 0 <= q.axis < len(t.shape):
        yield Fault(where, f"quantized dimension {q.axis}", f"lies inside the {len(t.shape)} axes")
    elif t.shape[q.axis] != q.scale.size:
        yield Fault(where, f"{q.scale.size} scales", f"one per index of axis {q.axis} ({t.shape[q.axis]})")
