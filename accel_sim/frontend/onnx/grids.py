"""Quantization grids as ONNX states them: a scale, a zero point and an axis of the file."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from accel_sim.frontend.onnx.model import Array
from accel_sim.frontend.onnx.view import NodeFault, NodeView, in_rank
from accel_sim.ir import ElementType, QuantParams
from accel_sim.records import dataclass

_CODES = {
    np.dtype(t): bits for t, bits in ((np.int8, 8), (np.uint8, 8), (np.int16, 16), (np.uint16, 16), (np.int32, 32))
}


@dataclass(frozen=True)
class FileGrid:
    """A grid over a value of the file.

    Attributes:
        scale: float32 numbers, held exactly; one, or one per index of `axis`.
        zero_point: as many integers.
        dtype: storage of the codes.
        axis: None for per-tensor; counted in the file's own order of axes.
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    dtype: np.dtype[Any]
    axis: int | None = None

    @property
    def element(self) -> ElementType:
        """Storage type of the codes."""
        return ElementType(self.dtype.name)

    @property
    def low(self) -> int:
        """Smallest code."""
        return int(np.iinfo(self.dtype).min)

    @property
    def high(self) -> int:
        """Largest code."""
        return int(np.iinfo(self.dtype).max)

    def stored(self, axes: tuple[int, ...] = ()) -> QuantParams:
        """The grid of a tensor whose stored axis i is the file's axis axes[i]; () is the file's order."""
        axis = self.axis if self.axis is None or not axes else axes.index(self.axis)
        return QuantParams(self.scale, self.zero_point, _CODES[self.dtype], self.dtype.kind == "i", axis)

    def quantize(self, values: Array) -> Array:
        """QuantizeLinear: f32(x / s), clamped, rounded half to even, plus the zero point."""
        scale, zero = self._shaped(values.ndim)
        with np.errstate(all="ignore"):
            real = values.astype(np.float32) / scale.astype(np.float32)
            codes = np.clip(real, self.low - zero, self.high - zero)
            return (np.rint(np.nan_to_num(codes)).astype(np.int64) + zero).astype(self.dtype)

    def dequantize(self, codes: Array) -> Array:
        """DequantizeLinear: f32((q - z) * s)."""
        scale, zero = self._shaped(codes.ndim)
        return (codes.astype(np.int64) - zero).astype(np.float32) * scale.astype(np.float32)

    def holds(self, numbers: Sequence[float]) -> bool:
        """Whether every number, as float32, is that of a code of a per-tensor grid."""
        values = np.array(numbers, np.float32)
        return not numbers or (self.axis is None and np.array_equal(self.dequantize(self.quantize(values)), values))

    def _shaped(self, rank: int) -> tuple[Array, Array]:
        shape = [1] * rank
        if self.axis is not None:
            shape[self.axis] = len(self.scale)
        return np.array(self.scale).reshape(shape), np.array(self.zero_point, np.int64).reshape(shape)


def unit_grid(dtype: np.dtype[Any]) -> FileGrid:
    """The grid of integers that stand for themselves."""
    return FileGrid((1.0,), (0,), np.dtype(dtype))


def read_grid(
    view: NodeView, scale: int, zero: int, dtype: np.dtype[Any] | None, shape: tuple[int, ...] | None
) -> FileGrid:
    """The grid that operands `scale` and `zero` of a node state.

    Args:
        view: the node.
        scale: index of the scale operand.
        zero: index of the zero-point operand, which may be absent.
        dtype: storage of the codes where there is no zero point; uint8 if None.
        shape: of the quantized constant, where it is known: a per-channel scale must fit it.
    """
    scales = _scales(view.array(scale))
    zeros = view.array(zero) if view.given(zero) else np.zeros(scales.shape, dtype or np.uint8)
    if zeros.dtype not in _CODES:
        raise NodeFault(zeros.dtype, "a zero point is an 8, 16 or 32 bit integer")
    if dtype is not None and zeros.dtype != dtype:
        raise NodeFault(f"{zeros.dtype} for {dtype} codes", "a zero point has the type of the codes")
    scales, zeros = _one_each(scales, zeros)
    if zeros.size != scales.size:
        raise NodeFault(f"{scales.size} scales, {zeros.size} zero points", "there are as many zero points as scales")
    axis = None
    if scales.size > 1:
        axis = _channel_axis(view, scales, shape)
    return FileGrid(_listed(scales), tuple(int(z) for z in zeros.ravel()), zeros.dtype, axis)


def _one_each(scales: Array, zeros: Array) -> tuple[Array, Array]:
    """One number for all channels stands for as many as the other operand has."""
    if scales.size == 1 and zeros.ndim == 1:
        scales = np.full(zeros.shape, scales.ravel()[0])
    if zeros.size == 1 and scales.ndim == 1:
        zeros = np.full(scales.shape, zeros.ravel()[0])
    return scales, zeros


def _scales(scales: Array) -> Array:
    if scales.dtype != np.float32:
        raise NodeFault(f"{scales.dtype} scale", "a scale is float32")
    if not scales.size or not np.all(np.isfinite(scales)) or not np.all(scales > 0):
        wrong = scales[~(np.isfinite(scales) & (scales > 0))].ravel()
        raise NodeFault(f"scale {wrong[0]}" if wrong.size else "no scale", "a scale is positive and finite")
    return scales


def _listed(scales: Array) -> tuple[float, ...]:
    return tuple(float(s) for s in scales.ravel())


def _channel_axis(view: NodeView, scales: Array, shape: tuple[int, ...] | None) -> int:
    if view.has("block_size") and view.integer("block_size") != 0:
        raise NodeFault(
            f"block_size {view.integer('block_size')}", "a scale holds for a tensor or a channel, not a block"
        )
    if shape is None:
        raise NodeFault(f"{scales.size} scales", "an activation has one scale and one zero point")
    axis = in_rank(view.integer("axis", 1), len(shape))
    if scales.ndim != 1 or scales.size != shape[axis]:
        raise NodeFault(f"scales {list(scales.shape)}", f"there is one scale per index of axis {axis} of {list(shape)}")
    return axis
