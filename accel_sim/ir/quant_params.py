"""Uniform affine quantization parameters: scale, zero point, bit width, signedness, granularity (white paper 2.2)."""

import math
from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault, GraphError
from accel_sim.records import dataclass


@dataclass(frozen=True)
class QuantParams:
    """The grid of a quantized tensor: real value = scale * (code - zero_point) (eq 6).

    Attributes:
        scale: one positive finite float per tensor, or one per channel; a file's float32 numbers are held exactly.
        zero_point: integers, as many as scales; each lies inside [low, high].
        bits: bit width of a code, 2 to 16 (32 for a bias).
        signed: whether codes are two's complement (eq 8c) or unsigned (eq 4, 8b).
        axis: None for per-tensor; the channel axis, in the stored layout, for per-channel (2.2.3).

    Raises:
        GraphError: naming every violated rule.
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    bits: int = 8
    signed: bool = True
    axis: int | None = None

    def __post_init__(self) -> None:
        faults = list(_faults(self))
        if faults:
            raise GraphError("quantization parameters", faults)

    @classmethod
    def per_tensor(cls, scale: float, zero_point: int = 0, *, bits: int = 8, signed: bool = True) -> Self:
        """One scale and zero point for the whole tensor."""
        return cls((float(scale),), (int(zero_point),), bits, signed)

    @classmethod
    def per_channel(
        cls,
        scale: Sequence[float],
        zero_point: Sequence[int] | None = None,
        *,
        axis: int,
        bits: int = 8,
        signed: bool = True,
    ) -> Self:
        """One scale (and zero point, 0 if not given) per index of `axis`."""
        scales = tuple(float(s) for s in scale)
        zeros = (0,) * len(scales) if zero_point is None else tuple(int(z) for z in zero_point)
        return cls(scales, zeros, bits, signed, axis)

    @property
    def low(self) -> int:
        """Smallest code of the grid."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """Largest code of the grid."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def is_per_channel(self) -> bool:
        """Whether the parameters vary along `axis`."""
        return self.axis is not None

    @property
    def is_symmetric(self) -> bool:
        """Whether every zero point is 0 (2.2.1)."""
        return not any(self.zero_point)

    @property
    def is_power_of_two(self) -> bool:
        """Whether every scale is 2^-k (2.2.2)."""
        return all(math.frexp(s)[0] == 0.5 for s in self.scale)

    @property
    def scales(self) -> NDArray[np.float64]:
        """The scales, float64 of shape [1] or [C]."""
        return np.asarray(self.scale, np.float64)

    @property
    def zero_points(self) -> NDArray[np.int64]:
        """The zero points, int64 of shape [1] or [C]."""
        return np.asarray(self.zero_point, np.int64)

    def broadcast(self, rank: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Scale and zero point shaped to broadcast against a tensor of `rank` axes."""
        if self.axis is None:
            return self.scales.reshape((1,) * rank), self.zero_points.reshape((1,) * rank)
        shape = [1] * rank
        shape[self.axis] = len(self.scale)
        return self.scales.reshape(shape), self.zero_points.reshape(shape)

    def same_grid(self, other: Self) -> bool:
        """Whether codes mean the same real numbers on both grids (width aside)."""
        return (self.scale, self.zero_point, self.axis) == (
            other.scale,
            other.zero_point,
            other.axis,
        )


def _faults(q: QuantParams) -> list[Fault]:
    faults = []
    if not (2 <= q.bits <= 16 or q.bits == 32):
        faults.append(Fault("bits", str(q.bits), "a bit width is 2 to 16, or 32 for a bias"))
        return faults
    if not q.scale:
        faults.append(Fault("scale", "none", "at least one scale is needed"))
    if len(q.scale) != len(q.zero_point):
        faults.append(Fault("zero_point", f"{len(q.zero_point)} values", f"as many as scales ({len(q.scale)})"))
    if q.axis is None and len(q.scale) > 1:
        faults.append(Fault("axis", "None", f"{len(q.scale)} scales need a channel axis"))
    if q.axis is not None and q.axis < 0:
        faults.append(Fault("axis", str(q.axis), "a channel axis is counted from 0"))
    bad_scale = next((s for s in q.scale if not (math.isfinite(s) and s > 0)), None)
    if bad_scale is not None:
        faults.append(Fault("scale", repr(bad_scale), "a scale is positive and finite"))
    bad_zero = next((z for z in q.zero_point if not q.low <= z <= q.high), None)
    if bad_zero is not None:
        faults.append(Fault("zero_point", str(bad_zero), f"a zero point lies in [{q.low}, {q.high}]"))
    return faults
