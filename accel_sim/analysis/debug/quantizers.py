"""The quantizers of a network, switched on one by one (section 3.7): figure 4b with any subset of its blocks."""

import hashlib
import itertools
import math
from collections.abc import Collection, Mapping
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_sim.analysis.labels import checked_labels, classes_of, label_vector
from accel_sim.ir import Graph, QuantParams, Tensor
from accel_sim.quantization import Quantized
from accel_sim.quantization.activation_grids import shares_grid
from accel_sim.quantization.adjusted import reals
from accel_sim.quantization.calibration import Calibration, samples
from accel_sim.quantization.float_runner import FloatRunner
from accel_sim.quantization.layers import Change, changed, weighted_nodes
from accel_sim.quantization.observation import groups, stacked
from accel_sim.records import dataclass

_WIDE = 32


class Kind(Enum):
    """What a quantizer rounds."""

    WEIGHTS = "weights"
    ACTIVATION = "activation"


@dataclass(frozen=True)
class Quantizer:
    """One quantizer: of the weights of a node, or of a tensor.

    Attributes:
        kind: what it rounds.
        name: of the node, or of the tensor.
        bits: its target width.
    """

    kind: Kind
    name: str
    bits: int


@dataclass(frozen=True)
class Score:
    """How near a network is to the float one.

    Attributes:
        signal_to_noise_db: of all results, in dB; inf where nothing differs.
        agreement: share of samples whose largest result is where the float network has it.
        accuracy: share of samples whose largest result is at their label; None without labels.
    """

    signal_to_noise_db: float
    agreement: float
    accuracy: float | None


class Judge:
    """Scores networks against one float network on the same samples.

    Attributes:
        samples: how many.
        digest: of their contents.
        float_score: of the float network itself.
    """

    def __init__(
        self, graph: Graph, inputs: Calibration, labels: NDArray[np.generic] | None = None, most_samples: int = 64
    ) -> None:
        """`labels`: one per sample; `inputs` beyond `most_samples` are left out.

        Raises:
            InputError: labels that are no classes of the network, or not as many as samples.
        """
        self._samples = list(itertools.islice(samples(graph, inputs), most_samples))
        self.samples = len(self._samples)
        self._labels = None
        if labels is not None:
            used = label_vector(labels)[:most_samples]
            self._labels = checked_labels(used, self.samples, classes_of(graph)).astype(np.int64)
        data: list[NDArray[Any]] = [values for sample in self._samples for values in sample.values()]
        data += [] if self._labels is None else [self._labels]
        self.digest = hashlib.sha256(b"".join(values.tobytes() for values in data)).hexdigest()
        self._exact = self._results(FloatRunner(graph))
        self.float_score = self._score(self._exact)

    def score(self, graph: Graph, grids: Mapping[str, QuantParams] | None = None) -> Score:
        """Of a float graph with tensors rounded to grids."""
        return self._score(self._results(FloatRunner(graph, grids)))

    def _results(self, runner: FloatRunner) -> list[NDArray[np.float64]]:
        """Each result of the network as [samples, values]."""
        found: dict[str, list[NDArray[np.generic]]] = {name: [] for name in runner.graph.outputs}
        for group in groups(self._samples, runner.samples_at_once):
            for name, values in runner.tensors(stacked(group)):
                if name in found:
                    found[name].append(values)
        return [np.concatenate(parts).reshape(self.samples, -1).astype(np.float64) for parts in found.values()]

    def _score(self, results: list[NDArray[np.float64]]) -> Score:
        signal = sum(float(np.square(exact).sum()) for exact in self._exact)
        noise = sum(float(np.square(got - exact).sum()) for got, exact in zip(results, self._exact, strict=True))
        best = results[0].argmax(axis=1)
        agreement = float((best == self._exact[0].argmax(axis=1)).mean())
        accuracy = None if self._labels is None else float((best == self._labels).mean())
        ratio = math.inf if not noise else 10.0 * math.log10(max(signal, 1e-300) / noise)
        return Score(ratio, agreement, accuracy)


class QuantizedNetwork:
    """A quantized network whose quantizers can be switched."""

    def __init__(self, quantized: Quantized) -> None:
        self.reference, self._integer = quantized.reference, quantized.graph
        weights = [
            Quantizer(Kind.WEIGHTS, node.name, _grid(self._integer.operand(node, 1)).bits)
            for node in weighted_nodes(self._integer)
        ]
        moved = {n.outputs[0] for n in self.reference.nodes if shares_grid(n.op)}
        self._grids = {t.name: t.quant for t in self._integer.activations() if t.quant is not None}
        own = [Quantizer(Kind.ACTIVATION, name, grid.bits) for name, grid in self._grids.items() if name not in moved]
        self.quantizers: tuple[Quantizer, ...] = (*weights, *own)

    def with_quantizers(self, chosen: Collection[Quantizer]) -> tuple[Graph, dict[str, QuantParams]]:
        """The float graph with the weights of some quantizers, and the grids of some; the rest is exact.

        A tensor that shares its operand's grid is rounded where all activations are.
        """
        names = {q.name for q in chosen if q.kind is Kind.WEIGHTS}
        changes = {node.name: self._change(node.name) for node in weighted_nodes(self.reference) if node.name in names}
        tensors = {q.name for q in chosen if q.kind is Kind.ACTIVATION}
        everything = all(q in chosen for q in self.quantizers if q.kind is Kind.ACTIVATION)
        grids = {name: grid for name, grid in self._grids.items() if everything or name in tensors}
        return changed(self.reference, changes), grids

    def with_wide_quantizers(self) -> tuple[Graph, dict[str, QuantParams]]:
        """The same with quantizers of 32 bits everywhere, 128 times as far as the target range reaches."""
        grids = {
            name: QuantParams.per_tensor(grid.scale[0] * 2.0 ** (grid.bits + 8 - _WIDE), 0, bits=_WIDE)
            for name, grid in self._grids.items()
        }
        changes = {}
        for node in weighted_nodes(self.reference):
            exact = self.reference.operand(node, 1).constant.astype(np.float64)
            scale = float(np.abs(exact).max(initial=0.0)) / (2.0 ** (_WIDE - 1) - 1) or 1.0
            changes[node.name] = Change(np.rint(exact / scale) * scale)
        return changed(self.reference, changes), grids

    def _change(self, name: str) -> Change:
        """The weights of an integer node, and its bias, as numbers."""
        node = next(n for n in self._integer.nodes if n.name == name)
        bias = self._integer.optional(node, 2)
        return Change(reals(self._integer.operand(node, 1)), None if bias is None else reals(bias))


def _grid(tensor: Tensor) -> QuantParams:
    assert tensor.quant is not None
    return tensor.quant
