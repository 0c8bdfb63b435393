"""What a layer should compute on a pool of rows, and how far rounded weights are from it (eq 35)."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from accel_kernels.matmul_float import product
from accel_sim.errors import Fault, QuantizationError
from accel_sim.quantization.affine_grid import F64
from accel_sim.quantization.gram_rounding import LinearObjective
from accel_sim.records import dataclass

F32 = NDArray[np.float32]
Picked = NDArray[np.intp] | slice

_BLOCK_ROWS = 2048


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """What a layer should compute, on a pool of rows.

    Attributes:
        rows: x^, float32 [n, K].
        targets: W x + b of the float network for the same rows, before the clamp, float32 [n, Co].
        bias: float32 [Co]; the one that the quantized layer will have.
        low, high: bounds of the clamp, float32 [Co], infinite for none.

    Raises:
        QuantizationError: no rows, or shapes that do not belong together.
    """

    rows: F32
    targets: F32
    bias: F32
    low: F32
    high: F32

    def __post_init__(self) -> None:
        n, outputs = self.targets.shape
        if not n or self.rows.ndim != 2 or self.rows.shape[0] != n:
            value = f"rows {list(self.rows.shape)}, targets {list(self.targets.shape)}"
            raise QuantizationError("AdaRound", [Fault("rows", value, "as many rows as targets, at least one")])
        if any(v.shape != (outputs,) for v in (self.bias, self.low, self.high)):
            raise QuantizationError("AdaRound", [Fault("bias", str(self.bias.shape), "one value per output channel")])

    @property
    def is_linear(self) -> bool:
        """Whether nothing is clamped."""
        return bool(np.isneginf(self.low).all() and np.isposinf(self.high).all())

    def error(self, weight: NDArray[np.floating]) -> F64:
        """Mean over all rows of (f_a(target) - f_a(W~ x^ + b))^2, float64 [Co]."""
        total = np.zeros(self.targets.shape[1])
        transposed = weight.astype(np.float32).T
        for start in range(0, self.rows.shape[0], _BLOCK_ROWS):
            part = slice(start, start + _BLOCK_ROWS)
            got = np.clip(product(self.rows[part], transposed) + self.bias, self.low, self.high)
            got -= np.clip(self.targets[part], self.low, self.high)
            total += np.einsum("nc,nc->c", got, got, dtype=np.float64)
        return np.asarray(total / self.rows.shape[0])

    def gradient(self, weight: F32, pick: Picked) -> F32:
        """Gradient of the mean over the picked rows of the squared error by the weights, [Co, K]."""
        rows = self.rows[pick]
        made = product(rows, weight.T)
        made += self.bias
        difference = np.clip(made, self.low, self.high)
        difference -= np.clip(self.targets[pick], self.low, self.high)
        if not self.is_linear:
            difference *= (made > self.low) & (made < self.high)
        slope = product(difference.T, rows)
        slope *= np.float32(2.0 / rows.shape[0])
        return np.asarray(slope)

    def linear(self) -> LinearObjective:
        """The objective without the clamp."""
        return LinearObjective.of(self.rows, self.targets - self.bias)

    def part(self, pick: Picked) -> "Reconstruction":
        """The same task on some of the rows."""
        return replace(self, rows=self.rows[pick], targets=self.targets[pick])

    def channels(self, pick: NDArray[np.intp]) -> "Reconstruction":
        """The same task for some of the output channels."""
        bias, low, high = self.bias[pick], self.low[pick], self.high[pick]
        return replace(self, targets=self.targets[:, pick], bias=bias, low=low, high=high)


def reconstruction(
    rows: NDArray[np.floating],
    targets: NDArray[np.floating],
    bias: NDArray[np.floating] | None,
    low: float | F64,
    high: float | F64,
) -> Reconstruction:
    """The arrays as a `Reconstruction`: float32, bounds and bias per channel."""
    outputs = targets.shape[-1:]
    full = [np.broadcast_to(np.asarray(v, np.float32), outputs) for v in (0.0 if bias is None else bias, low, high)]
    return Reconstruction(np.asarray(rows, np.float32), np.asarray(targets, np.float32), *full)
