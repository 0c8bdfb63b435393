"""Weights and biases as integer constants.

1. The range of weights is set per channel or per tensor by the recipe's method (3.1). Symmetric weights are signed and
   narrow; asymmetric ones span their range with a zero point (2.2.1).
2. A channel of zeros gets the scale of the widest other channel, or 1 if there is none (`grid_of_range`): its codes are
   0 on any grid, but its bias lies on that grid as well.
3. Where the bias would not fit its width at s_x * s_w, the weight scale grows until it does. That meets channels with
   next to no weights beside a bias: dead channels.
4. The bias lies on the accumulator's grid s_x * s_w, the product rounded to float32 as files hold it (eq 3).
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from accel_sim.ir import ElementType, QuantParams, Tensor
from accel_sim.quantization.affine_grid import (
    F64,
    AffineGrid,
    GridScheme,
    Symmetry,
    grid_of_range,
    offset_of_range,
    smallest_weight_scale,
    stored_scale,
)
from accel_sim.quantization.range_minmax import minmax_grid
from accel_sim.quantization.range_mse import mse_grid
from accel_sim.quantization.range_percentile import percentile_grid
from accel_sim.quantization.recipe import BiasRecipe, WeightRange, WeightRecipe
from accel_sim.records import dataclass

_SMALLEST_ACCUMULATOR_SCALE = 2.0**-90
"""Keeps s_x * s_w, and its ratio to any sensible s_y, inside float32's normal numbers."""


@dataclass(frozen=True)
class LinearConstants:
    """The integer operands of a linear layer; bias is None where the layer has none."""

    weights: Tensor
    bias: Tensor | None


@dataclass(frozen=True, eq=False)
class QuantizedWeights:
    """Weights on a grid.

    Attributes:
        grid: per tensor or per channel.
        axis: the channels' axis, or None.
        codes: int64, of the weights' shape.
    """

    grid: AffineGrid
    axis: int | None
    codes: NDArray[np.int64]

    @classmethod
    def nearest(cls, values: F64, axis: int | None, recipe: WeightRecipe) -> "QuantizedWeights":
        """The weights rounded to nearest on the grid of rule 1."""
        grid = weight_grid(values, axis, recipe)
        return cls(grid, axis, grid.codes(values, axis))

    @property
    def reals(self) -> F64:
        """What the codes stand for, float64."""
        return self.grid.reals(self.codes, self.axis)


def weight_scheme(recipe: WeightRecipe) -> GridScheme:
    """The family of grids for weights: narrow signed symmetric, or unsigned asymmetric."""
    if recipe.symmetric:
        return GridScheme(recipe.bits, Symmetry.SYMMETRIC, True, True, recipe.power_of_two)  # noqa: FBT003 - signed, narrow
    return GridScheme(recipe.bits, power_of_two=recipe.power_of_two)


def weight_grid(values: F64, axis: int | None, recipe: WeightRecipe) -> AffineGrid:
    """The grid of weights by the recipe's method, per index of `axis` or for all values (rules 1 and 2)."""
    scheme = weight_scheme(recipe)
    if not values.size:
        return grid_of_range(0.0, 0.0, scheme)
    if recipe.range is WeightRange.MSE:
        return mse_grid(values, scheme, axis)
    if recipe.range is WeightRange.PERCENTILE:
        return percentile_grid(values, scheme, recipe.percent, axis)
    return minmax_grid(values, scheme, axis)


def quantize_linear(
    weights: Tensor,
    bias: Tensor | None,
    input_scale: float,
    axis: int,
    recipe: WeightRecipe,
    bias_recipe: BiasRecipe,
) -> LinearConstants:
    """A layer's constants as codes, weights rounded to nearest.

    Args:
        weights: float constant.
        bias: float constant [channels] or None.
        input_scale: s_x.
        axis: of `weights`, its output channels.
        recipe: grids of the weights.
        bias_recipe: width of the bias.
    """
    values = weights.constant.astype(np.float64)
    chosen = QuantizedWeights.nearest(values, axis if recipe.per_channel else None, recipe)
    return linear_constants(weights, bias, input_scale, chosen, bias_recipe, exact=values)


def linear_constants(
    weights: Tensor,
    bias: Tensor | None,
    input_scale: float,
    chosen: QuantizedWeights,
    bias_recipe: BiasRecipe,
    *,
    exact: F64,
) -> LinearConstants:
    """Rules 3 and 4 for weights that were chosen before the input's grid was known.

    Args:
        weights: the float constant.
        bias: float constant [channels] or None.
        input_scale: s_x.
        chosen: the weights' codes.
        bias_recipe: width of the bias.
        exact: the float weights, rounded anew in channels whose scale must grow.
    """
    reals = None if bias is None else bias.constant.astype(np.float64)
    grid = _grown(chosen.grid, reals, input_scale, bias_recipe)
    codes = np.where(_same_scale(grid, chosen), chosen.codes, grid.codes(exact, chosen.axis))
    integer = _constant(weights, grid.params(chosen.axis), codes)
    if bias is None or reals is None:
        return LinearConstants(integer, None)
    accumulator = accumulator_grid(grid, input_scale, bias_recipe)
    bias_codes = np.rint(reals / accumulator.scales).astype(np.int64)  # rule 3: they fit
    return LinearConstants(integer, _constant(bias, accumulator, bias_codes))


def accumulator_grid(weights: AffineGrid, input_scale: float, recipe: BiasRecipe) -> QuantParams:
    """Rule 4."""
    products = (np.float32(input_scale) * weights.scale.astype(np.float32)).astype(np.float64)
    axis = 0 if products.size > 1 else None
    return QuantParams(tuple(map(float, products)), (0,) * products.size, recipe.bits, signed=True, axis=axis)


def _same_scale(grid: AffineGrid, chosen: QuantizedWeights) -> NDArray[np.bool_]:
    same = grid.scale == chosen.grid.scale
    shape = [1] * chosen.codes.ndim
    if chosen.axis is not None:
        shape[chosen.axis] = same.size
    return np.asarray(same.reshape(shape))


def _grown(grid: AffineGrid, bias: F64 | None, input_scale: float, bias_recipe: BiasRecipe) -> AffineGrid:
    """Rule 3."""
    smallest = np.full(1, _SMALLEST_ACCUMULATOR_SCALE / input_scale)
    if bias is not None:
        smallest = np.maximum(smallest, smallest_weight_scale(bias, input_scale, bias_recipe.bits))
    if grid.scale.size == 1:
        smallest = smallest.max(keepdims=True)
    scale = stored_scale(np.maximum(grid.scale, smallest), grid.scheme)
    if grid.scheme.is_symmetric:
        return replace(grid, scale=scale)
    offset = offset_of_range(np.minimum(grid.limits[0], 0.0), scale, grid.scheme)
    return replace(grid, scale=scale, zero_point=np.where(scale == grid.scale, grid.zero_point, offset))


def _constant(tensor: Tensor, grid: QuantParams, codes: NDArray[np.int64]) -> Tensor:
    element = ElementType.for_grid(grid)
    return replace(tensor, element=element, quant=grid, data=codes.astype(element.dtype))
