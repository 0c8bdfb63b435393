"""Tables 1 to 6 and figure 7 of the white paper, on networks at hand, all on the simulated integer hardware.

    PYTHONPATH=.:kernels python benchmarks/study_tables.py [--quick] [--seeds N] [--results FILE] [--tables DIGITS]
                                                           [NETWORK ...]

Prints every table in the paper's layout, top-1 in percent, and which of the paper's orderings hold. A seed chooses the
calibration pictures (on ImageNet also those that judge) and AdaRound's rows. Tables of the small networks are means
over the seeds (3); those of SqueezeNet and MobileNetV2 are of seed 0, and the other seeds judge what fails there. With
--results, outcomes are kept in a file of JSON lines and a run resumes where it stopped. --quick: one seed, the bundled
network and ResNet-20, fewer roundings for figure 7; minutes.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from study_cells import PLAIN, Cell, Outcome, Results
from study_claims import (
    Claim,
    Row,
    table1,
    table2,
    table3,
    table4,
    table5_all_layers,
    table6,
    table6_claims,
    verdict,
)
from study_rounding import figure7, first_layer_bits, first_layer_outcome

NETWORKS = ("digits", "resnet20", "squeezenet", "mobilenetv2")
SMALL = ("digits", "resnet20")
"""Where all seeds, and the Hessian of the first layer for table 5 and figure 7, are affordable."""

FIRST_LAYER = {
    "H task loss (eq 30)": "task",
    "Cont. relaxation MSE (eq 32)": "layer",
    "AdaRound (eq 35)": "reconstruction",
}


class Study:
    """Reads cells, prints tables, collects verdicts."""

    def __init__(self, results: Results, seeds: int) -> None:
        self._results, self._every = results, range(seeds)
        self._verdicts: list[str] = []

    def seeds(self, network: str) -> range:
        """Of its tables."""
        return self._every if network in SMALL else range(1)

    def outcomes(self, network: str, cell: Cell, seeds: Iterable[int] | None = None) -> list[Outcome]:
        """Of one cell, by seed; None: those of the tables."""
        return [self._results.outcome(network, cell, s) for s in (self.seeds(network) if seeds is None else seeds)]

    def table(self, title: str, network: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Print one table."""
        lines = []
        for row in rows:
            cells = ["" if c is None else accuracy(self.outcomes(network, c)) for c in row.cells]
            lines.append((row.name, *cells))
        print_table(f"{title}: {network}", ("", *columns), lines)

    def judge(self, title: str, network: str, claims: Sequence[Claim]) -> None:
        """Keep the verdicts of a table's claims."""
        for claim in claims:
            told = ""
            for seeds in (self.seeds(network), self._every):
                if not told.startswith(("holds", "equal")):
                    better, worse = (self.outcomes(network, c, seeds) for c in (claim.better, claim.worse))
                    told = verdict(better, worse, par=claim.par)
            self.note(title, network, claim.text, told)

    def note(self, title: str, network: str, text: str, told: str) -> None:
        """Keep one verdict."""
        self._verdicts.append(f"{title}  {network:12} {text:72} {told}")

    def verdicts(self) -> None:
        """Print them, and how many there are of each."""
        print("Orderings of the paper: mean difference (least to most over seeds; standard error in the pictures)")
        for line in self._verdicts:
            print(line)
        kinds = ("holds  ", "equal  ", "does NOT")
        print(", ".join(f"{sum(k in v for v in self._verdicts)} {k.strip()}" for k in kinds))

    def table5(self, network: str, width: int) -> None:
        """First layer alone, and all layers."""
        seeds = self.seeds(network)
        base = {seed: PLAIN + first_layer_bits(network, width, seed) for seed in seeds}
        first = {"Nearest": [self._results.outcome(network, base[s], s) for s in seeds]}
        for name, objective in FIRST_LAYER.items():
            first[name] = [self._first_layer(network, base[s], s, objective) for s in seeds]
        cells = table5_all_layers(width)
        whole = {name: self.outcomes(network, cell) for name, cell in cells.items()}
        lines = [(n, accuracy(first[n]), accuracy(whole[n]) if n in whole else "N/A") for n in first]
        print_table(f"Table 5, W{width}: {network}", ("Rounding", "First layer", "All layers"), lines)
        for kind, found in (("first layer", first), ("all layers", whole)):
            names = list(found)
            for better, worse in [*zip(names[1:], names, strict=False), *((n, "Nearest") for n in names[2:])]:
                par = kind == "first layer" and (better, worse) == (names[-1], names[-2])
                text = f"W{width}, {kind}: {better} {'on par with' if par else 'above'} {worse}"
                self.note("Table 5", network, text, verdict(found[better], found[worse], par=par))

    def _first_layer(self, network: str, cell: Cell, seed: int, objective: str) -> Outcome:
        key = f"{cell.key(network, seed)} first layer by {objective}"
        return Outcome(**self._results.get(key, lambda: first_layer_outcome(network, cell, seed, objective)))  # type: ignore[arg-type]

    def figure7(self, network: str, width: int, samples: int) -> None:
        """Stochastic roundings of the first layer; seed 0."""
        cell = PLAIN + first_layer_bits(network, width, 0)
        key = f"{cell.key(network, 0)} figure 7, {samples}"
        found = self._results.get(key, lambda: figure7(network, cell, 0, samples))
        print(f"Figure 7, first layer W{width}: {network}, {samples} stochastic roundings")
        print(f"  nearest {found['nearest']:.1f} %, best {found['best']:.1f} %, {found['better']} better than nearest")
        for what in ("accuracy", "loss"):
            costs = [f"{found[f'{what}_{cost}']:+.2f}" for cost in ("task", "layer")]
            print(f"  rank correlation of {what:8} with eq 30: {costs[0]}, with eq 31: {costs[1]}")
        print()
        for cost in ("task", "layer"):
            rank, name = float(str(found[f"accuracy_{cost}"])), "eq 30" if cost == "task" else "eq 31"
            told = f"{'holds  ' if rank < 0 else 'does NOT'}    rank correlation {rank:+.2f}"
            self.note("Figure 7", network, f"W{width}: less {name}, more accuracy", told)
        told = f"{'holds  ' if int(str(found['better'])) else 'does NOT'}    {found['better']} of {samples}"
        self.note("Figure 7", network, f"W{width}: some roundings beat nearest", told)


def accuracy(outcomes: Sequence[Outcome]) -> str:
    """Mean over seeds in percent, and the deviation where there are several."""
    values = [o.accuracy for o in outcomes]
    return f"{np.mean(values):.1f}" + (f" ±{np.std(values, ddof=1):.1f}" if len(values) > 1 else "")


def print_table(title: str, header: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """Columns as wide as needed."""
    print(title)
    widths = [max(len(line[i]) for line in (header, *lines)) for i in range(len(header))]
    for line in (header, *lines):
        print(
            "  "
            + "  ".join(c.ljust(w) if not i else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True)))
        )
    print(flush=True)


def main() -> None:
    """Print the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=", ".join(NETWORKS))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--results", type=Path, metavar="FILE")
    parser.add_argument("--tables", default="1234567", metavar="DIGITS", help="which tables; 7 is figure 7")
    options = parser.parse_args()
    networks = options.networks or (SMALL if options.quick else NETWORKS)
    if unknown := set(networks) - set(NETWORKS):
        parser.error(f"no such network: {', '.join(sorted(unknown))}")
    if options.seeds < 1:
        parser.error("--seeds is positive")
    study = Study(Results(options.results), 1 if options.quick else options.seeds)
    for number, make in enumerate((table1, table2, table3, table4), 1):
        for network in networks if str(number) in options.tables else ():
            columns, rows, claims = make(network)
            study.table(f"Table {number}", network, columns, rows)
            study.judge(f"Table {number}", network, claims)
    rounded = [n for n in networks if n in SMALL]
    for network in rounded:
        for width in (4, 3):
            if "5" in options.tables:
                study.table5(network, width)
            if "7" in options.tables:
                study.figure7(network, width, 20 if options.quick else 100)
    if "6" in options.tables:
        six(study, networks)
    study.verdicts()


def six(study: Study, networks: Sequence[str]) -> None:
    """Table 6, all networks in one."""
    lines = [(n, *(accuracy(study.outcomes(n, cell)) for cell in table6())) for n in networks]
    header = "", "FP32", "per tensor W8A8", "W4A8", "per channel W8A8", "W4A8"
    print_table("Table 6", header, lines)
    for network in networks:
        study.judge("Table 6", network, list(table6_claims()))


if __name__ == "__main__":
    sys.exit(main())
