"""The debugging flow of figure 9: where a quantized network loses accuracy, and what helps.

1. Sanity check: with quantizers of 32 bits everywhere the network gives what the float network gives.
2. All quantizers at their target width; then only the weights', then only the activations'.
3. Each quantizer alone at its target width, all others off; ranked by the noise it makes.
4. The channels of the worst weights, as figure 5 shows them.
5. Cures, chosen by what step 2 and 3 found; the network is quantized with each, and scored.

Every score is written to a journal as soon as it is known, and taken from it when the flow is started again.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from accel_sim.analysis.debug.cures import cures_for
from accel_sim.analysis.debug.quantizers import Judge, Kind, QuantizedNetwork, Quantizer, Score
from accel_sim.errors import Fault, InputError
from accel_sim.ir import Graph
from accel_sim.quantization import Recipe, get_recipe, quantize_with_report, recipe_text
from accel_sim.quantization.affine_grid import channels_first
from accel_sim.quantization.calibration import Calibration
from accel_sim.quantization.layers import channel_axis
from accel_sim.records import dataclass
from accel_sim.whole_file import WholeFile, write_whole

SANE_DB = 60.0
"""Signal to noise that 32-bit quantizers in float32 reach at least."""
_SHOWN_WEIGHTS = 3


@dataclass(frozen=True)
class Trial:
    """A quantizer alone."""

    quantizer: Quantizer
    score: Score


@dataclass(frozen=True)
class Cure:
    """A change of the recipe, and the score of the network quantized with it."""

    change: str
    reason: str
    score: Score


@dataclass(frozen=True)
class ChannelRanges:
    """Figure 5: the weights of one layer; each of the five has one number per output channel."""

    node: str
    minimum: tuple[float, ...]
    first_quartile: tuple[float, ...]
    median: tuple[float, ...]
    third_quartile: tuple[float, ...]
    maximum: tuple[float, ...]


@dataclass(frozen=True)
class DebugReport:
    """What the flow found.

    Attributes:
        model: the network's name.
        recipe: what it is quantized with.
        samples: that the scores are of.
        floating: of the float network, against itself.
        wide: with 32-bit quantizers.
        everything: all quantizers at target width.
        weights, activations: only these.
        trials: each quantizer alone, the noisiest first.
        channels: of the noisiest weights.
        cures: the best first.
    """

    model: str
    recipe: str
    samples: int
    floating: Score
    wide: Score
    everything: Score
    weights: Score
    activations: Score
    trials: tuple[Trial, ...]
    channels: tuple[ChannelRanges, ...]
    cures: tuple[Cure, ...]

    @property
    def is_sane(self) -> bool:
        """Step 1."""
        return self.wide.signal_to_noise_db >= SANE_DB

    @property
    def suggestion(self) -> Cure | None:
        """The cure that helps most; None if none does."""
        best = self.cures[0] if self.cures else None
        helps = best is not None and best.score.signal_to_noise_db > self.everything.signal_to_noise_db
        return best if helps else None

    @property
    def worse_kind(self) -> Kind:
        """Which quantizers alone make more noise."""
        weights_lose = self.weights.signal_to_noise_db <= self.activations.signal_to_noise_db
        return Kind.WEIGHTS if weights_lose else Kind.ACTIVATION


class Journal:
    """Scores by what was measured, in a JSON file that grows with every score; in memory without a file."""

    def __init__(self, path: Path | None, key: str) -> None:
        """`key`: of everything that scores depend on; a journal of another key is refused.

        Raises:
            InputError: a file that is no journal, or one of another network, recipe or data, or that cannot be written.
        """
        self._path, self._key = path, key
        self._scores: dict[str, Score] = {}
        if path is None:
            return
        if path.exists():
            self._scores = _read_journal(path, key)
        _refuse_unwritable(path)

    def score(self, label: str, measure: Callable[[], Score]) -> Score:
        """The score of that label, measured if it is not known."""
        if label not in self._scores:
            self._scores[label] = measure()
            self._save()
        return self._scores[label]

    def _save(self) -> None:
        if self._path is None:
            return
        content = {"schema": "accel-sim/debug-journal/1", "key": self._key}
        scores = {label: asdict(score) for label, score in self._scores.items()}
        write_whole(self._path, json.dumps(content | {"scores": scores}, indent=1).encode())


def _refuse_unwritable(path: Path) -> None:
    """Before the first score, which may take minutes, is there to be kept."""
    try:
        WholeFile(path).discard()
    except OSError as error:
        rule = "lies in a folder that can be written"
        raise InputError(f"journal {str(path)!r}", [Fault("path", error.strerror or str(error), rule)]) from None


def _read_journal(path: Path, key: str) -> dict[str, Score]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found, scores = content["key"], {label: Score(**s) for label, s in content["scores"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"journal {str(path)!r}", [Fault("content", str(error), "is a journal of debug")]) from None
    if found != key:
        fault = Fault("key", "another", "belongs to the same network, recipe and data", "name another file")
        raise InputError(f"journal {str(path)!r}", [fault])
    return scores


def debug(
    graph: Graph,
    calibration: Calibration,
    inputs: Calibration,
    labels: NDArray[np.generic] | None = None,
    recipe: Recipe | str | Path = "standard",
    *,
    most_samples: int = 64,
    journal: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> DebugReport:
    """Run the flow.

    Args:
        graph: float.
        calibration: for quantization.
        inputs: that scores are measured on.
        labels: of the inputs, if known.
        recipe: to quantize with.
        most_samples: of the inputs that are used.
        journal: where scores are kept; the flow continues from it.
        progress: called after every score of step 3.

    Raises:
        QuantizationError: as `quantize`. InputError: labels or a journal that do not fit.
    """
    chosen = get_recipe(recipe)
    judge = Judge(graph, inputs, labels, most_samples)
    kept = Journal(journal, _key(graph, chosen, judge))
    network = QuantizedNetwork(quantize_with_report(graph, calibration, chosen))

    def score(label: str, quantizers: Collection[Quantizer]) -> Score:
        return kept.score(label, lambda: judge.score(*network.with_quantizers(quantizers)))

    wide = kept.score("32 bits", lambda: judge.score(*network.with_wide_quantizers()))
    everything = score("all", network.quantizers)
    by_kind = {kind: [q for q in network.quantizers if q.kind is kind] for kind in Kind}
    weights, activations = (score(kind.value, by_kind[kind]) for kind in Kind)
    trials = []
    for number, quantizer in enumerate(network.quantizers):
        trials.append(Trial(quantizer, score(f"{quantizer.kind.value} {quantizer.name}", [quantizer])))
        if progress is not None:
            progress(number + 1, len(network.quantizers))
    trials.sort(key=lambda t: t.score.signal_to_noise_db)
    worse = Kind.WEIGHTS if weights.signal_to_noise_db <= activations.signal_to_noise_db else Kind.ACTIVATION
    cures = []
    for overrides, reason in cures_for(network.reference, chosen, worse, [t.quantizer for t in trials]):
        made = kept.score(", ".join(overrides), partial(_cured, judge, graph, calibration, chosen, overrides))
        cures.append(Cure(", ".join(overrides), reason, made))
    cures.sort(key=lambda c: -c.score.signal_to_noise_db)
    channels = tuple(_channels(network.reference, t.quantizer) for t in _worst_weights(trials))
    return DebugReport(
        graph.name, chosen.name, judge.samples, judge.float_score, wide, everything, weights, activations,
        tuple(trials), channels, tuple(cures),
    )  # fmt: skip


def _cured(judge: Judge, graph: Graph, calibration: Calibration, recipe: Recipe, overrides: tuple[str, ...]) -> Score:
    network = QuantizedNetwork(quantize_with_report(graph, calibration, get_recipe(recipe, overrides)))
    return judge.score(*network.with_quantizers(network.quantizers))


def _worst_weights(trials: list[Trial]) -> Iterator[Trial]:
    weights = (t for t in trials if t.quantizer.kind is Kind.WEIGHTS)
    return (t for t, _ in zip(weights, range(_SHOWN_WEIGHTS), strict=False))


def _channels(graph: Graph, quantizer: Quantizer) -> ChannelRanges:
    node = next(n for n in graph.nodes if n.name == quantizer.name)
    weights = graph.operand(node, 1).constant.astype(np.float64)
    rows = channels_first(weights, channel_axis(node, weights.ndim))
    five = np.percentile(rows, (0, 25, 50, 75, 100), axis=1)
    return ChannelRanges(node.name, *(tuple(map(float, values)) for values in five))


def _key(graph: Graph, recipe: Recipe, judge: Judge) -> str:
    text = "\n".join([graph.sha256, graph.name, recipe_text(recipe), judge.digest])
    return hashlib.sha256(text.encode()).hexdigest()
