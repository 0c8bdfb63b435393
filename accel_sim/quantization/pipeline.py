"""Post-training quantization (figure 8): a float graph, calibration data and a recipe become an integer graph.

1. Canonical form: batch norms folded (eq 9-12), their statistics kept; activations fused (2.3.2).
2. Cross-layer equalization, then absorption of high biases (3.2), if the recipe says so.
3. Weights: ranges (3.1), rounding to nearest or by AdaRound (3.4), bias correction (3.3).
4. Ranges of the activations of the network with quantized weights (3.1).
5. Everything as codes (`integer_graph`).
"""

import itertools
from collections.abc import Mapping
from pathlib import Path

from accel_sim.errors import Fault, GraphError, QuantizationError
from accel_sim.ir import Graph
from accel_sim.quantization.calibration import Calibration, sample_count, samples
from accel_sim.quantization.checks import graph_faults, recipe_faults
from accel_sim.quantization.moment_propagation import batchnorm_statistics
from accel_sim.quantization.normal_moments import Moments
from accel_sim.quantization.observation import Progress
from accel_sim.quantization.pipeline_steps import REPORTED_SAMPLES, Pipeline
from accel_sim.quantization.quantization_report import Quantized
from accel_sim.quantization.recipe import Absorb, Correction, Recipe, RoundingMethod
from accel_sim.quantization.recipe_toml import get_recipe
from accel_sim.records import dataclass
from accel_sim.transforms import CANONICAL_FLOAT, fold_batchnorm, run_passes


def quantize(
    graph: Graph,
    calibration: Calibration | None = None,
    recipe: Recipe | str | Path = "standard",
    *,
    progress: Progress | None = None,
) -> Graph:
    """The integer graph of a float one: `quantize_with_report` without its report."""
    return quantize_with_report(graph, calibration, recipe, progress=progress).graph


def quantize_with_report(
    graph: Graph,
    calibration: Calibration | None = None,
    recipe: Recipe | str | Path = "standard",
    *,
    progress: Progress | None = None,
) -> Quantized:
    """The integer graph of a float one: the same inputs and outputs, now codes on grids; and what was done.

    Args:
        graph: float; its format stays the result's, and so the default arithmetic profile.
        calibration: typical inputs, float, in the file's own layout (NCHW for ONNX), first axis any multiple of the
            graph's: an array, a dictionary by input name, an iterable of either, an .npz or .npy file, a folder of
            these. Streamed. None where the recipe needs no data.
        recipe: a recipe, a built-in one's name (`recipe_names`), or the path of a TOML file.
        progress: called every few samples or layers.

    Raises:
        QuantizationError: listing every fault of the recipe; or of the graph and the first batch; or of a later batch;
            or what a data-free method lacks.
    """
    chosen = get_recipe(recipe)
    faults = [*graph_faults(graph), *recipe_faults(graph, chosen, has_data=calibration is not None)]
    stream = iter(()) if calibration is None else samples(graph, calibration)
    canonical = _canonical(graph, faults)
    try:
        first = list(itertools.islice(stream, _kept_samples(chosen)))
    except QuantizationError as error:  # told together with the faults of the graph
        raise QuantizationError(f"graph {graph.name!r}", [*faults, *error.faults]) if faults else error from None
    if faults or canonical is None:
        raise QuantizationError(f"graph {graph.name!r}", faults)
    total = None if calibration is None else sample_count(graph, calibration)
    work = Pipeline(canonical.graph, canonical.statistics, chosen, first, progress)
    return work.quantized(itertools.chain(first, stream), total)


def _kept_samples(recipe: Recipe) -> int:
    methods = recipe.rounding.method, recipe.bias.correction, recipe.equalization.absorb
    again = RoundingMethod.ADAROUND, Correction.EMPIRICAL, Absorb.DATA
    return max(recipe.samples, REPORTED_SAMPLES) if set(methods) & set(again) else REPORTED_SAMPLES


@dataclass(frozen=True, eq=False)
class _Canonical:
    graph: Graph
    statistics: Mapping[str, Moments]


def _canonical(graph: Graph, faults: list[Fault]) -> _Canonical | None:
    """Step 1; the faults of batch norms join the others."""
    try:
        until = CANONICAL_FLOAT.index(fold_batchnorm) + 1
        folded = run_passes(graph, CANONICAL_FLOAT[:until])
        whole = run_passes(folded, CANONICAL_FLOAT[until:])
        return _Canonical(whole, batchnorm_statistics(graph, folded))
    except GraphError as error:
        faults += [f for f in error.faults if f not in faults]
        return None
