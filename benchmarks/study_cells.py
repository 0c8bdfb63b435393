"""What one cell of the study's tables is: a network, a recipe, a seed; and its outcome on the simulated machine.

Float stands for itself in the columns FP32. Where a table of the paper leaves weights or activations in FP32, they have
12 bits here: a sixteenth of the error of 8 bits, and 2^(11 + 8) * 4096 products still fit the 32-bit accumulator.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import quantize_networks as networks
from numpy.typing import NDArray
from quantize_networks import NEAREST, NEVER, PER_TENSOR, Task

import accel_sim
from accel_sim.ir import Graph
from accel_sim.quantization import Quantized, get_recipe, quantize_with_report
from accel_sim.quantization.float_runner import FloatRunner

FULL = 12
"""Bits that stand for FP32."""

CLE = ("equalization.when=always",)
ABSORB = ("equalization.absorb=data",)
ANALYTIC = ("bias.correction=analytic",)


@dataclass(frozen=True)
class Cell:
    """One number of a table.

    Attributes:
        recipe: its name.
        overrides: of the recipe.
        is_float: of the float network that the recipe leads to, before anything is quantized.
    """

    recipe: str = "minmax"
    overrides: tuple[str, ...] = ()
    is_float: bool = False

    def __add__(self, overrides: tuple[str, ...]) -> "Cell":
        """The cell with more overrides."""
        return replace(self, overrides=(*self.overrides, *overrides))

    def key(self, network: str, seed: int) -> str:
        """Its name in the file of results."""
        kind = "float" if self.is_float else "machine"
        return " ".join((network, f"seed={seed}", kind, self.recipe, *self.overrides))


FP32 = Cell(is_float=True)


@dataclass(frozen=True)
class Outcome:
    """What a network made of its pictures.

    Attributes:
        hits: "1" for every picture that is right, "0" for the others.
        loss: cross-entropy of the labels, nats.
        seconds: to quantize and run.
    """

    hits: str
    loss: float
    seconds: float

    @property
    def accuracy(self) -> float:
        """Percent of the pictures."""
        return 100.0 * self.hits.count("1") / len(self.hits)


class Results:
    """Outcomes by cell, kept in a file of JSON lines, so that a long run can be split."""

    def __init__(self, path: Path | None) -> None:
        """`path`: of the file, which is read now and appended to; None: memory alone."""
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path is not None and path.exists() else []
        self._known = {key: value for line in lines for key, value in json.loads(line).items()}

    def get(self, key: str, make: Callable[[], dict[str, object]]) -> dict[str, object]:
        """What the file has, or what `make` makes."""
        if key not in self._known:
            self._known[key] = make()
            if self._path is not None:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({key: self._known[key]}) + "\n")
        return self._known[key]

    def outcome(self, network: str, cell: Cell, seed: int) -> Outcome:
        """Of one cell."""
        return Outcome(**self.get(cell.key(network, seed), lambda: vars(run(network, cell, seed))))  # type: ignore[arg-type]


task = cache(networks.split)


def run(network: str, cell: Cell, seed: int) -> Outcome:
    """Quantize and run."""
    start = time.perf_counter()
    data = task(network, seed)
    if cell == FP32:
        scores = float_scores(data.graph, data)
    else:
        made = quantized(data, cell, seed)
        scores = float_scores(made.reference, data) if cell.is_float else machine_scores(made.graph, data)
    return outcome(scores, data, time.perf_counter() - start)


def quantized(data: Task, cell: Cell, seed: int) -> Quantized:
    """The network of a cell."""
    return quantize_with_report(
        data.graph, data.calibration, get_recipe(cell.recipe, (*cell.overrides, f"rounding.seed={seed}"))
    )


def outcome(scores: NDArray[np.float64], data: Task, seconds: float = 0.0) -> Outcome:
    """Of scores [pictures, classes]."""
    labels = np.asarray(data.labels)
    hits = scores.argmax(axis=1) == labels
    shifted = scores - scores.max(axis=1, keepdims=True)
    loss = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
    return Outcome("".join(map(str, hits.astype(int))), float(loss.mean()), round(seconds, 1))


def machine_scores(graph: Graph, data: Task) -> NDArray[np.float64]:
    """The reals that the machine's results stand for, [pictures, classes]."""
    program = accel_sim.compile(graph, profile="paper")
    made = accel_sim.run(program, {graph.inputs[0]: data.images}, level="functional", threads=2)
    grid = graph.tensors[graph.outputs[0]].quant
    assert grid is not None
    codes = made.outputs[graph.outputs[0]].reshape(len(data.labels), -1).astype(np.float64)
    return (codes - grid.zero_point[0]) * grid.scale[0]


def float_scores(graph: Graph, data: Task) -> NDArray[np.float64]:
    """The float network's results, [pictures, classes]."""
    runner, parts = FloatRunner(graph), []
    stored = graph.tensors[graph.inputs[0]].from_file_layout(data.images)
    for start in range(0, len(stored), runner.samples_at_once):
        made = dict(runner.tensors({graph.inputs[0]: stored[start : start + runner.samples_at_once]}))
        parts.append(made[graph.outputs[0]])
    return np.concatenate(parts).reshape(len(data.labels), -1).astype(np.float64)


def has_statistics(network: str) -> bool:
    """Whether the file of the network still has its batch norms."""
    return any(node.op.name == "BatchNorm" for node in task(network, 0).graph.nodes)


def bits(weights: int, activations: int) -> tuple[str, ...]:
    """The widths as overrides."""
    return f"weights.bits={weights}", f"activations.bits={activations}"


PLAIN = Cell("fast", (*PER_TENSOR, *NEVER, *NEAREST))
"""One grid per tensor, MSE ranges, rounding to nearest, nothing else."""
