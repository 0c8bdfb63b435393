"""Post-training quantization: float graphs become integer graphs (white paper, section 3)."""

from accel_sim.quantization.pipeline import quantize, quantize_with_report
from accel_sim.quantization.quantization_report import LayerQuality, QuantizationReport, Quantized, Step
from accel_sim.quantization.recipe import (
    ActivationRecipe,
    BiasRecipe,
    EqualizationRecipe,
    LayerRecipe,
    Recipe,
    RoundingRecipe,
    WeightRecipe,
)
from accel_sim.quantization.recipe_toml import get_recipe, parse_recipe, recipe_names, recipe_text

__all__ = [
    "ActivationRecipe",
    "BiasRecipe",
    "EqualizationRecipe",
    "LayerQuality",
    "LayerRecipe",
    "QuantizationReport",
    "Quantized",
    "Recipe",
    "RoundingRecipe",
    "Step",
    "WeightRecipe",
    "get_recipe",
    "parse_recipe",
    "quantize",
    "quantize_with_report",
    "recipe_names",
    "recipe_text",
]
