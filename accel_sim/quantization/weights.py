"""Weights and biases as integer constants.

1. Symmetric weights reach the largest magnitude of their channel (or tensor) at the highest code; asymmetric ones span
   minimum to maximum with a zero point (eq 14-15, 2.2.1).
2. A channel of zeros gets the scale of the widest other channel, or 1 if there is none (`grid_of_range`): its codes are
   0 on any grid, but its bias lies on that grid as well.
3. Where the bias would not fit its width at s_x * s_w, the weight scale grows until it does. That meets channels with
   next to no weights beside a bias: dead channels.
4. The bias lies on the accumulator's grid s_x * s_w, the product rounded to float32 as files hold it (eq 3).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from accel_sim.ir import ElementType, QuantParams, Tensor
from accel_sim.quantization.affine_grid import (
    F64,
    AffineGrid,
    GridScheme,
    Symmetry,
    channels_first,
    grid_of_range,
    offset_of_range,
    smallest_weight_scale,
    stored_scale,
)
from accel_sim.quantization.recipe import BiasRecipe, WeightRecipe

_SMALLEST_ACCUMULATOR_SCALE = 2.0**-90
"""Keeps s_x * s_w, and its ratio to any sensible s_y, inside float32's normal numbers."""


@dataclass(frozen=True)
class LinearConstants:
    """The integer operands of a linear layer; bias is None where the layer has none."""

    weights: Tensor
    bias: Tensor | None


def weight_scheme(recipe: WeightRecipe) -> GridScheme:
    """The family of grids for weights: narrow signed symmetric, or unsigned asymmetric."""
    if recipe.symmetric:
        return GridScheme(recipe.bits, Symmetry.SYMMETRIC, signed=True, narrow=True)
    return GridScheme(recipe.bits)


def quantize_linear(
    weights: Tensor,
    bias: Tensor | None,
    input_scale: float,
    axis: int,
    recipe: WeightRecipe,
    bias_recipe: BiasRecipe,
) -> LinearConstants:
    """The layer's constants as codes.

    Args:
        weights: float constant.
        bias: float constant [channels] or None.
        input_scale: s_x.
        axis: of `weights`, its output channels.
        recipe: grids of the weights.
        bias_recipe: width of the bias.
    """
    values = weights.constant.astype(np.float64)
    reals = None if bias is None else bias.constant.astype(np.float64)
    channel_axis = axis if recipe.per_channel else None
    grid = _grid(channels_first(values, channel_axis), reals, input_scale, recipe, bias_recipe)
    integer = _constant(weights, grid.params(channel_axis), grid.codes(values, channel_axis))
    if bias is None or reals is None:
        return LinearConstants(integer, None)
    accumulator = accumulator_grid(grid, input_scale, bias_recipe)
    codes = np.rint(reals / accumulator.scales).astype(np.int64)  # rule 3: they fit
    return LinearConstants(integer, _constant(bias, accumulator, codes))


def accumulator_grid(weights: AffineGrid, input_scale: float, recipe: BiasRecipe) -> QuantParams:
    """Rule 4."""
    products = (np.float32(input_scale) * weights.scale.astype(np.float32)).astype(np.float64)
    axis = 0 if products.size > 1 else None
    return QuantParams(tuple(map(float, products)), (0,) * products.size, recipe.bits, signed=True, axis=axis)


def _grid(rows: F64, bias: F64 | None, input_scale: float, recipe: WeightRecipe, bias_recipe: BiasRecipe) -> AffineGrid:
    """Rules 1 to 3; rows are [channels, weights], or [1, all weights]."""
    scheme = weight_scheme(recipe)
    lows, highs = rows.min(axis=1, initial=0.0), rows.max(axis=1, initial=0.0)
    grid = grid_of_range(lows, highs, scheme)
    smallest = np.full(1, _SMALLEST_ACCUMULATOR_SCALE / input_scale)
    if bias is not None:
        smallest = np.maximum(smallest, smallest_weight_scale(bias, input_scale, bias_recipe.bits))
    if len(rows) == 1:
        smallest = smallest.max(keepdims=True)
    scale = stored_scale(np.maximum(grid.scale, smallest), scheme)
    if scheme.is_symmetric:
        return replace(grid, scale=scale)
    return replace(grid, scale=scale, zero_point=offset_of_range(np.minimum(lows, 0.0), scale, scheme))


def _constant(tensor: Tensor, grid: QuantParams, codes: NDArray[np.int64]) -> Tensor:
    element = ElementType.for_grid(grid)
    return replace(tensor, element=element, quant=grid, data=codes.astype(element.dtype))
