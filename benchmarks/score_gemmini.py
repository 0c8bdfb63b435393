"""How well the Gemmini model predicts cycles of Gemmini's RTL: fits its parameters, prints errors over all and by fold.

    python benchmarks/score_gemmini.py CYCLES.csv             # refit: cross-validated in folds by layer
    python benchmarks/score_gemmini.py CYCLES.csv --frozen    # the parameters that accel_sim ships

The columns are those of ucb-bar/dosa's records of a 16x16 Gemmini on FireSim: prob.R ... prob.N, prob.Wstride,
prob.Hstride, mapping.mapping, target.gemmini_cycle (given mapping), target.gemmini_auto_cycle (Gemmini's own tiler).
Rows of one layer are never on both sides of a fold. The fit minimizes the mean absolute percentage error.
"""

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from accel_sim.sim.timing.gemmini import (
    CPU_TILE_CYCLES,
    DIMENSIONS,
    GIVEN_MAPPING,
    OWN_TILER,
    GemminiLayer,
    GemminiMapping,
    GemminiParameters,
    GemminiSteps,
    gemmini_steps,
    stacked,
)
from accel_sim.sim.timing.gemmini_tiler import own_mapping

Row = dict[str, str]
Real = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """One column of measured cycles and what predicts it.

    Attributes:
        title: for people. frozen: the shipped parameters; those that are 0 are not fitted.
        steps, starts: tiles of all rows, and where each row's begin. search_steps, measured: [rows].
        layers: the layer of each row.
    """

    title: str
    frozen: GemminiParameters
    steps: GemminiSteps
    starts: list[int]
    search_steps: Real
    measured: Real
    layers: tuple[GemminiLayer, ...]

    @property
    def names(self) -> list[str]:
        """The fitted parameters."""
        return [f.name for f in fields(self.frozen) if getattr(self.frozen, f.name)]

    def parameters(self, values: Sequence[float]) -> GemminiParameters:
        """The parameters of these values of the fitted ones."""
        return replace(self.frozen, **dict(zip(self.names, map(float, values), strict=True)))

    def errors(self, parameters: GemminiParameters) -> Real:
        """Predicted / measured - 1."""
        predicted = self.steps.cycles(parameters, self.starts) + self.search_steps * parameters.search_cycles
        return predicted / self.measured - 1

    def fit(self, used: NDArray[np.bool_]) -> GemminiParameters:
        """The parameters with the least mean absolute error over the rows `used`."""

        def loss(values: Real) -> float:
            return float(np.abs(self.errors(self.parameters(values))[used]).mean()) if values.min() > 0 else np.inf

        begin = np.array([getattr(self.frozen, name) for name in self.names])
        starts = (begin, begin * 1.2, begin * 0.8)
        found = [minimize(loss, s, method="Nelder-Mead", options={"maxiter": 1500, "fatol": 1e-5}) for s in starts]
        return self.parameters(min(found, key=lambda result: result.fun).x)


def read_rows(path: Path) -> list[Row]:
    """The rows of a CSV."""
    with path.open() as file:
        return list(csv.DictReader(file))


def layer_of(row: Row) -> GemminiLayer:
    """The layer of a row."""
    names = [*DIMENSIONS, "Wstride", "Hstride"]
    return GemminiLayer(*(int(row[f"prob.{name}"]) for name in names))


def given_mapping(text: str) -> GemminiMapping:
    """`L3[WIO] K2 Q4 - L2[WI] ... - L0[W] P8`: loops over tiles in L3, all below it is the tile; X marks space."""
    levels = {part.split()[0][:2]: part.split()[1:] for part in text.split(" - ")}
    factors = {level: [(f[0], int(f[1:].rstrip("X"))) for f in parts] for level, parts in levels.items()}
    tile = dict.fromkeys(DIMENSIONS, 1)
    for level in ("L2", "L1", "L0"):
        for dimension, n in factors[level]:
            tile[dimension] *= n
    return GemminiMapping(tuple(tile.values()), tuple(factors["L3"]))


def task_of(rows: list[Row], title: str, column: str, frozen: GemminiParameters, *, own: bool) -> Task:
    """The task of one column."""
    layers = tuple(layer_of(row) for row in rows)
    mappings = [
        own_mapping(x) if own else given_mapping(row["mapping.mapping"]) for x, row in zip(layers, rows, strict=True)
    ]
    floor = CPU_TILE_CYCLES if own else 0.0
    steps, starts = stacked([gemmini_steps(x, mapping, floor) for x, mapping in zip(layers, mappings, strict=True)])
    search = np.array([mapping.search_steps for mapping in mappings], float)
    return Task(title, frozen, steps, starts, search, np.array([float(row[column]) for row in rows]), layers)


def tasks_of(rows: list[Row]) -> tuple[Task, Task]:
    """Both columns."""
    return (
        task_of(rows, "given mapping", "target.gemmini_cycle", GIVEN_MAPPING, own=False),
        task_of(rows, "Gemmini's own tiler", "target.gemmini_auto_cycle", OWN_TILER, own=True),
    )


def folds_by_layer(layers: Sequence[GemminiLayer], count: int, seed: int) -> NDArray[np.int64]:
    """The fold of each row; all rows of a layer are in one."""
    distinct = sorted(set(layers), key=repr)
    order = np.random.default_rng(seed).permutation(len(distinct))
    fold = {distinct[j]: i % count for i, j in enumerate(order)}
    return np.array([fold[layer] for layer in layers])


def score(task: Task, *, refit: bool, folds: int, seed: int) -> Real:
    """Prints parameters and errors of a task; the errors, each row's predicted without its layer where refitted."""
    everything = np.ones(task.measured.size, bool)
    parameters = task.fit(everything) if refit else task.frozen
    shown = ", ".join(f"{name} {getattr(parameters, name):.3f}" for name in task.names)
    print(f"\n{task.title}: {task.measured.size} rows of {len(set(task.layers))} layers")
    print(f"  {'fitted to all rows' if refit else 'frozen'}: {shown}")
    errors = task.errors(parameters)
    print(f"  {'in sample' if refit else 'errors'}: {_summary(errors)}")
    if not refit:
        return errors
    fold = folds_by_layer(task.layers, folds, seed)
    held_out = np.zeros_like(errors)
    for k in range(folds):
        here = fold == k
        held_out[here] = task.errors(task.fit(~here))[here]
        print(f"  fold {k + 1}: {_summary(held_out[here])}, {here.sum()} rows")
    print(f"  cross-validated: {_summary(held_out)}")
    return held_out


def _summary(errors: Real) -> str:
    size = 100 * np.abs(errors)
    return f"mean {size.mean():.2f} %, median {np.median(size):.2f} %, worst {size.max():.0f} %"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path)
    parser.add_argument("--frozen", action="store_true", help="the shipped parameters, nothing fitted")
    parser.add_argument("--folds", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0, help="which layers share a fold")
    options = parser.parse_args(arguments)
    for task in tasks_of(read_rows(options.csv)):
        score(task, refit=not options.frozen, folds=options.folds, seed=options.seed)


if __name__ == "__main__":
    main()
