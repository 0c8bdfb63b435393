"""Resizing: source indices of nearest neighbour, interpolation of bilinear."""

from abc import abstractmethod
from dataclasses import dataclass

from accel_sim.numerics.integers import Integers


@dataclass(frozen=True)
class InterpolationAxis:
    """For each output index along one axis: two source indices and the weight of the upper one.

    Attributes:
        lower, upper: source indices.
        weight: of `upper`; an integer in units of 2^-10 (fixed point) or a float.
    """

    lower: tuple[int, ...]
    upper: tuple[int, ...]
    weight: tuple[float, ...]


@dataclass(frozen=True)
class BilinearRecipe:
    """Root of the recipes of bilinear resizing."""

    y: InterpolationAxis
    x: InterpolationAxis

    @abstractmethod
    def apply(self, image: Integers) -> Integers:
        """Codes [N, Ho, Wo, C] for codes [N, H, W, C]."""


@dataclass(frozen=True)
class FixedPointBilinear(BilinearRecipe):
    """TFLite: 10-bit weights, (sum + sign * 2^19) / 2^20 truncated, wrapped to the code's type; grids are equal."""

    bits: int
    signed: bool


@dataclass(frozen=True)
class FloatBilinear(BilinearRecipe):
    """ONNX Runtime: interpolation in float32, as its integer or its float kernel does (see `derive_bilinear`)."""

    input_scale: float
    input_zero_point: int
    scale: float
    zero_point: int
    low: int
    high: int


@dataclass(frozen=True)
class RationalBilinear(BilinearRecipe):
    """Exact interpolation (weights are double, held exactly), rescaled to the output grid, rounded once half to even."""

    input_scale: float
    input_zero_point: int
    scale: float
    zero_point: int
    low: int
    high: int
