"""Integer networks of float ones, and what goes wrong on the way."""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from accel_sim.analysis.choices import check_graph
from accel_sim.api.running import Array, Progress
from accel_sim.arguments import check_path, number_faults
from accel_sim.errors import InputError
from accel_sim.ir import Graph

if TYPE_CHECKING:
    from accel_sim.analysis.debug.flow import DebugReport
    from accel_sim.quantization import Quantized, Recipe
    from accel_sim.quantization.calibration import Calibration


def quantize(
    graph: Graph,
    calibration: "Calibration | None" = None,
    recipe: "str | os.PathLike[str] | Recipe" = "standard",
) -> Graph:
    """A float graph as an integer one, by post-training quantization (white paper, section 3).

    Args:
        graph: a float graph.
        calibration: real inputs, float32, in the file's layout, first axis = samples; a mapping by input name, or the
            array itself for a network with one input; an iterable of either; an .npz or .npy file, or a folder
            of these. None for recipes that need no data.
        recipe: a recipe's name ("standard", "fast", "data-free", "minmax"), a TOML file or a Recipe.

    Raises:
        QuantizationError: a graph, recipe or calibration set that cannot be used.
    """
    return quantize_with_report(graph, calibration, recipe).graph


def quantize_with_report(
    graph: Graph,
    calibration: "Calibration | None" = None,
    recipe: "str | os.PathLike[str] | Recipe" = "standard",
    *,
    overrides: tuple[str, ...] = (),
    progress: "Callable[[str, int, int | None], None] | None" = None,
) -> "Quantized":
    """`quantize`, with what was done, in which order, and what it did to each layer's error.

    Args:
        graph: as for `quantize`.
        calibration: as for `quantize`.
        recipe: as for `quantize`.
        overrides: changes of the recipe, such as "weights.bits=4".
        progress: called with the stage, and how much of it is done, and how much there is if that is known.
    """
    from accel_sim.quantization import get_recipe
    from accel_sim.quantization import quantize_with_report as run_recipe

    check_graph(graph)
    return run_recipe(graph, calibration, get_recipe(recipe, overrides), progress=progress)


def debug(
    graph: Graph,
    calibration: "Calibration",
    inputs: "Calibration | None" = None,
    recipe: "str | os.PathLike[str] | Recipe" = "standard",
    *,
    labels: Array | None = None,
    most_samples: int = 64,
    journal: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> "DebugReport":
    """Where a quantized network loses accuracy, and what helps: the flow of figure 9.

    Args:
        graph: a float graph.
        calibration: as for `quantize`.
        inputs: that networks are judged on, in the same forms; the calibration data by default.
        recipe: as for `quantize`.
        labels: the right class of each of the inputs, integers [samples]; None if they are not known.
        most_samples: of the inputs that are used.
        journal: a file that keeps every score: started again with it, the flow resumes where it stopped.
        progress: called with the quantizers judged and those in all.

    Raises:
        QuantizationError: as `quantize`. InputError: labels or a journal that do not fit.
    """
    from accel_sim.analysis.debug.flow import debug as run_flow
    from accel_sim.quantization import get_recipe

    check_graph(graph)
    faults = number_faults({"most_samples": (most_samples, 1, sys.maxsize)})
    if faults:
        raise InputError("debug", faults)
    return run_flow(
        graph,
        calibration,
        calibration if inputs is None else inputs,
        labels,
        get_recipe(recipe),
        most_samples=int(most_samples),
        journal=None if journal is None else check_path("journal", journal, "a file that keeps scores"),
        progress=progress,
    )
