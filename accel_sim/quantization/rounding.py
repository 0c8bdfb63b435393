"""The rounding problem of post-training quantization: each weight may round down or up (3.4).

With a grid (s, z) fixed, a weight w has two codes to choose from, clamp(floor(w / s) + {0, 1}; n, p) + z. Rounding to
nearest is one choice of 2^K; the methods of section 3.4 look for a better one.
"""

import numpy as np
from numpy.typing import NDArray

from accel_sim.quantization.affine_grid import F64, I64, AffineGrid, require_finite
from accel_sim.records import dataclass

Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class RoundingChoices:
    """The two codes of each weight.

    Attributes:
        grid: scale and zero point per tensor or per output channel.
        down, up: int64 [Co, K], steps from the zero point: clamp(floor(w / s) + {0, 1}; n, p). Equal where the grid
            clips the weight.
        fraction: float64 [Co, K], w / s - floor(w / s).
        nearest_up: bool [Co, K], where rounding to nearest goes up.
    """

    grid: AffineGrid
    down: I64
    up: I64
    fraction: F64
    nearest_up: Bools

    @classmethod
    def of(cls, weight: NDArray[np.floating], grid: AffineGrid) -> "RoundingChoices":
        """The choices for weights [Co, K] on a grid per tensor or per channel of axis 0.

        Raises:
            QuantizationError: weights that are NaN or infinite.
        """
        require_finite(weight, "rounding")
        scale, zero = grid.broadcast(2, 0 if grid.scale.size > 1 else None)
        steps = np.asarray(weight, np.float64) / scale
        floor = np.floor(steps)
        n, p = grid.scheme.low - zero, grid.scheme.high - zero
        down, up = (np.clip(floor + k, n, p).astype(np.int64) for k in (0, 1))
        nearest = np.clip(np.rint(steps), n, p).astype(np.int64)
        return cls(grid, down, up, steps - floor, nearest > down)

    @property
    def free(self) -> Bools:
        """Which weights have two different codes."""
        return self.up > self.down

    @property
    def scale(self) -> F64:
        """Scales that broadcast against [Co, K]."""
        return self.grid.scale.reshape(-1, 1)

    def channels(self, pick: NDArray[np.intp]) -> "RoundingChoices":
        """The choices of some of the output channels."""
        grid = self.grid
        if grid.scale.size > 1:
            grid = AffineGrid(grid.scale[pick], grid.zero_point[pick], grid.scheme)
        return RoundingChoices(grid, self.down[pick], self.up[pick], self.fraction[pick], self.nearest_up[pick])

    def steps(self, up: Bools) -> I64:
        """Whole steps from the zero point for one choice, int64 [Co, K]."""
        return np.where(up, self.up, self.down)

    def codes(self, up: Bools) -> I64:
        """Codes of the grid for one choice, int64 [Co, K]."""
        return self.steps(up) + self.grid.zero_point.reshape(-1, 1)

    def reals(self, up: Bools) -> F64:
        """Quantized weights for one choice, float64 [Co, K]."""
        return self.scale * self.steps(up)


@dataclass(frozen=True, eq=False)
class Rounding:
    """What a method chose; per output channel where [Co].

    Attributes:
        codes: int64, of the weight's shape.
        error: mean over rows of the squared output error of the choice, float64 [Co].
        nearest_error: the same of rounding to nearest.
        fell_back: where the method was no better than nearest, which then stands, bool [Co].
        unsettled: share of the free weights whose relaxation had not reached 0 or 1 at the end; 0 for discrete methods.
    """

    codes: I64
    error: F64
    nearest_error: F64
    fell_back: Bools
    unsettled: float = 0.0

    @property
    def gain(self) -> float:
        """Total error over that of rounding to nearest: below 1 is better; 1 where nearest has no error."""
        nearest = float(self.nearest_error.sum())
        return float(self.error.sum()) / nearest if nearest > 0 else 1.0


def best_of(choices: RoundingChoices, up: Bools, error: F64, nearest_error: F64, unsettled: float = 0.0) -> Rounding:
    """The method's choice where it is better than nearest, channel by channel, else nearest."""
    fell_back = ~(error < nearest_error)
    chosen = np.where(fell_back[:, None], choices.nearest_up, up)
    return Rounding(
        choices.codes(chosen), np.where(fell_back, nearest_error, error), nearest_error, fell_back, unsettled
    )
