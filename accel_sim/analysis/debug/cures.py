"""What section 3.7 suggests against the noise of weights, of activations, and of single quantizers."""

from collections.abc import Iterator, Sequence

from accel_sim.analysis.debug.quantizers import Kind, Quantizer
from accel_sim.ir import Graph
from accel_sim.quantization.recipe import (
    Absorb,
    ActivationRange,
    Correction,
    Recipe,
    RoundingMethod,
    WeightRange,
)

_HIGH_BITS = 16


def cures_for(
    graph: Graph, recipe: Recipe, worse: Kind, quantizers: Sequence[Quantizer]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Overrides of the recipe worth trying, and why.

    Args:
        graph: the float network that the quantizers belong to.
        recipe: what the network is quantized with.
        worse: which kind of quantizer makes more noise.
        quantizers: the noisiest first.
    """
    yield from _weight_cures(recipe) if worse is Kind.WEIGHTS else _activation_cures(recipe)
    yield from _single_cures(graph, quantizers)


def _weight_cures(recipe: Recipe) -> Iterator[tuple[tuple[str, ...], str]]:
    if not recipe.equalizes:
        yield ("equalization.when=always",), "channels of very different range"
    if not recipe.weights.per_channel:
        yield ("weights.per_channel=true",), "channels of very different range"
    if recipe.weights.range is not WeightRange.MSE:
        yield ("weights.range=mse",), "outliers widen the grid"
    if recipe.rounding.method is not RoundingMethod.ADAROUND:
        yield ("rounding.method=adaround", "bias.correction=none"), "rounding to nearest ignores the inputs"
        if recipe.bias.correction is Correction.NONE:
            yield ("bias.correction=empirical",), "rounding shifts the means"


def _activation_cures(recipe: Recipe) -> Iterator[tuple[tuple[str, ...], str]]:
    for method in (ActivationRange.MSE, ActivationRange.MINMAX, ActivationRange.PERCENTILE):
        if recipe.activations.range is not method:
            yield (f"activations.range={method.value}",), "another balance of clipping and rounding"
    if recipe.equalizes and recipe.equalization.absorb is Absorb.NEVER:
        yield ("equalization.absorb=data",), "equalization leaves activations with high biases"


def _single_cures(graph: Graph, quantizers: Sequence[Quantizer]) -> Iterator[tuple[tuple[str, ...], str]]:
    """More bits for the noisiest weights and the noisiest result of an operator."""
    makers = {n.outputs[0]: n.name for n in graph.nodes}
    keys = {Kind.WEIGHTS: "weight_bits", Kind.ACTIVATION: "activation_bits"}
    for kind, key in keys.items():
        found = [q for q in quantizers if q.kind is kind and (kind is Kind.WEIGHTS or q.name in makers)]
        if found and found[0].bits < _HIGH_BITS:
            node = found[0].name if kind is Kind.WEIGHTS else makers[found[0].name]
            pattern = node.replace("[", "[[]").replace("*", "[*]").replace("?", "[?]")
            yield (f'layers."{pattern}".{key}={_HIGH_BITS}',), f"the noisiest {kind.value} of all"
