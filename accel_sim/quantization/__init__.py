"""Post-training quantization: float graphs become integer graphs (white paper, section 3)."""

from accel_sim.quantization.pipeline import quantize
from accel_sim.quantization.recipe import (
    RECIPES,
    ActivationRecipe,
    BiasRecipe,
    Recipe,
    WeightRecipe,
    get_recipe,
    parse_recipe,
    recipe_text,
)

__all__ = [
    "RECIPES",
    "ActivationRecipe",
    "BiasRecipe",
    "Recipe",
    "WeightRecipe",
    "get_recipe",
    "parse_recipe",
    "quantize",
    "recipe_text",
]
