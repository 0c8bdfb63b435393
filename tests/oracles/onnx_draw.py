"""Random grids, codes, weights and biases. A quarter of all cases are ties and extremes (`Draw.ties`)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from oracles.onnx_builder import INT8, UINT8, Grid

Array = NDArray[Any]
INT32 = np.iinfo(np.int32)
_FUSED_AS_UINT8 = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm"})


class Draw:
    """One case's source of randomness.

    With `ties`: scales are powers of two, zero points sit at the ends or the middle of the range, and codes come from
    the ends, the middle and the zero point. Otherwise everything is uniform (scales log-uniform).
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.ties = bool(rng.random() < 0.25)

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def integer(self, low: int, high: int) -> int:
        """Uniform in [low, high], both included."""
        return int(self.rng.integers(low, high + 1))

    def integers(self, low: int, high: int, count: int) -> tuple[int, ...]:
        return tuple(self.integer(low, high) for _ in range(count))

    def pick(self, choices: Sequence[Any]) -> Any:
        return choices[self.integer(0, len(choices) - 1)]

    def dtype(self) -> np.dtype[Any]:
        chosen: np.dtype[Any] = self.pick((UINT8, INT8))
        return chosen

    def scale(self, low: float = 1e-3, high: float = 0.3) -> np.float32:
        if self.ties:
            return np.float32(2.0 ** -self.integer(0, 8))
        return np.float32(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def grid(self, dtype: np.dtype[Any] | None = None, scale: float | None = None) -> Grid:
        chosen = self.dtype() if dtype is None else np.dtype(dtype)
        info = np.iinfo(chosen)
        middle = (int(info.min) + int(info.max) + 1) // 2
        ends = (int(info.min), int(info.max), middle)
        zero = self.pick(ends) if self.ties else self.integer(int(info.min), int(info.max))
        return Grid(self.scale() if scale is None else np.float32(scale), int(zero), chosen)

    def result_grid(self, source: Grid, scale: float | None = None) -> Grid:
        """A grid for a result of codes on `source`: ONNX Runtime's averages refuse a ratio of scales of 256 or more."""
        grid = self.grid(source.dtype, scale)
        return grid if float(source.scale) < 255 * float(grid.scale) else grid._replace(scale=source.scale)

    def codes(self, grid: Grid, shape: Sequence[int]) -> Array:
        if self.ties:
            middle = (grid.low + grid.high + 1) // 2
            values = (grid.low, grid.high, middle, grid.zero_point, grid.low + 1, grid.high - 1)
            return self.rng.choice(np.array(values, grid.dtype), tuple(shape))
        return self.rng.integers(grid.low, grid.high, tuple(shape), grid.dtype, endpoint=True)

    def image(self, channels: int | None = None, low: int = 1, high: int = 8) -> tuple[int, int, int, int]:
        """A random NCHW shape."""
        height, width = self.integers(low, high, 2)
        return (1, channels or self.integer(1, 6), height, width)

    def float_ends(self, dtype: np.dtype[Any], operator: str = "") -> bool:
        """Whether the graph has float inputs and outputs.

        Behind QuantizeLinear, ONNX Runtime makes int8 activations uint8, and only then runs Conv, MatMul and Gemm in
        integers: those need the float ends.
        """
        if dtype == INT8 and operator in _FUSED_AS_UINT8:
            return True
        return self.chance(0.2)


class Weights:
    """Weights with their grid, and a bias: what Conv, MatMul and Gemm share.

    Args:
        draw: the case.
        shape: shape of the weights.
        axis: the output-channel axis.
        fan_in: products per accumulator, which sets the size of a useful output scale.
        input_grid: the activations' grid.
        dtype: storage of the weights (random if None).
        one_zero: whether all channels share a zero point (ONNX Runtime's convolutions ask for it).
    """

    def __init__(
        self,
        draw: Draw,
        shape: Sequence[int],
        axis: int,
        fan_in: int,
        input_grid: Grid,
        *,
        dtype: np.dtype[Any] | None = None,
        one_zero: bool = False,
    ) -> None:
        self.axis = axis
        self.per_channel = draw.chance(0.5)
        count = shape[axis] if self.per_channel else 1
        grids = [draw.grid(dtype or draw.dtype()) for _ in range(count)]
        self.dtype = grids[0].dtype
        zero = np.array([g.zero_point for g in grids]).astype(self.dtype)
        if one_zero:
            zero[:] = zero[0]
        if draw.chance(0.5):
            zero[:] = 0 if self.dtype == INT8 else 128
        scale = np.array([draw.scale(1e-3, 0.05) for _ in grids], np.float32)
        self.codes = draw.codes(Grid(scale[0], int(zero[0]), self.dtype), shape)
        self.scale = scale if self.per_channel else scale[0]
        self.zero = zero if self.per_channel else zero[0]
        self.channels = int(shape[axis])
        self.wide = draw.chance(0.3)
        self.bias = self._bias(draw) if draw.chance(0.7) else None
        self.bias_scale = np.asarray(np.float32(input_grid.scale) * self.scale, np.float32)
        self.output_scale = self._output_scale(draw, fan_in, float(np.max(self.bias_scale)))

    def _bias(self, draw: Draw) -> Array:
        if not self.wide:
            return draw.rng.integers(-(1 << 12), 1 << 12, self.channels).astype(np.int32)
        if draw.ties:  # halves of the output step, and their neighbours
            halves = draw.rng.integers(-128, 128, self.channels) * (1 << 24) + (1 << 23)
            near = halves + draw.rng.integers(-1, 2, self.channels)
            return np.clip(near, INT32.min, INT32.max).astype(np.int32)
        return draw.rng.integers(INT32.min, INT32.max, self.channels, np.int32, endpoint=True)

    def _output_scale(self, draw: Draw, fan_in: int, product: float) -> float:
        """A scale that spreads accumulators over the output codes: ties need a power of two."""
        if self.wide and self.bias is not None:
            return product * 2.0**24
        spread = product * float(np.sqrt(fan_in)) * draw.rng.uniform(10, 100)
        return float(2.0 ** np.round(np.log2(spread))) if draw.ties else spread
