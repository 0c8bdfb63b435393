"""Before the second stage: two pairs of QuantizeLinear and DequantizeLinear in a row, which ONNX Runtime makes one of.

Q1 -> DQ1 -> Q2 -> DQ2, where each value has that one reader and each pair states one scale and one zero point, of one
type for both, becomes Q1 -> DQ2 on one grid (DoubleQDQPairsRemover of version 1.32): their own if it is the same, else
one that covers what the ranges of both have in common, in float32:

    low = max(low1, low2), high = min(high1, high2), scale = (high - low) / 255, zero point = round(least - low / scale)

with halves away from zero. Codes are then rounded once, on a grid that the file does not have. DQ2 has one reader here,
since ONNX Runtime first gives each reader a DequantizeLinear of its own.

Not modelled, and refused: a Transpose between two pairs on different grids in a network with another Transpose. ONNX
Runtime may move it towards the other one, so that both cancel and two pairs come to lie in a row.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from accel_sim.errors import Fault
from accel_sim.frontend.onnx.model import Array
from accel_sim.frontend.onnx.network import Network, Step
from accel_sim.numerics.floats import round_half_away_scalar

_Q, _DQ = "QuantizeLinear", "DequantizeLinear"
_STATED = 3  # operands: data, scale, zero point


def merge_pairs(network: Network) -> None:
    """Rewrite the network in place; see the module's rules."""
    _refuse_moved_pairs(network)
    around = _Around(network)
    for name in [s.outputs[0] for s in network.steps if s.operator == _DQ]:
        pairs = around.pairs(name)
        if pairs is None:
            continue
        first, last = pairs[0], pairs[3]
        scale, zero = _common(network, pairs)
        names = f"{last.outputs[0]}/scale", f"{last.outputs[0]}/zero_point"
        network.constants.update(zip(names, (scale, zero), strict=True))
        merged = {
            id(first): _reading(first, first.inputs[0], *names),
            id(last): _reading(last, first.outputs[0], *names),
        }
        gone = {id(pairs[1]), id(pairs[2])}
        network.steps = [merged.get(id(s), s) for s in network.steps if id(s) not in gone]
        around = _Around(network)


def _refuse_moved_pairs(network: Network) -> None:
    makers, readers = network.makers(), network.readers()
    transposes = [s for s in network.steps if s.operator == "Transpose"]
    for step in transposes if len(transposes) > 1 else ():
        before = makers.get(step.inputs[0])
        grids = [_grid(network, s) for s in readers.get(step.outputs[0], []) if s.operator == _Q]
        own = _grid(network, before) if before is not None and before.operator == _DQ else None
        other = next((g for g in grids if own is not None and g is not None and not _equal(own, g)), None)
        if own is not None and other is not None:
            value = " to ".join(f"scale {scale.item():.9g} zero point {zero.item()}" for scale, zero in (own, other))
            rule = "a Transpose changes no grid where there is another one: ONNX Runtime may move it through a grid"
            network.fail(step, Fault(step.where, value, rule, "quantize its result on its operand's grid"))


class _Around:
    """Who makes and who reads the values of a network as it is."""

    def __init__(self, network: Network) -> None:
        self._network, self._makers, self._readers = network, network.makers(), network.readers()
        self._uses = Counter({name: len(steps) for name, steps in self._readers.items()})
        self._uses.update(network.outputs.values())

    def pairs(self, dequantized: str) -> tuple[Step, Step, Step, Step] | None:
        """Q1, DQ1 (which makes the value), Q2, DQ2; None where they are not two pairs in a row."""
        inner = self._makers.get(dequantized)
        chain = [self._makers.get(inner.inputs[0]) if inner else None, inner]
        while len(chain) < 4 and chain[-1] is not None:
            following = self._readers.get(chain[-1].outputs[0], [])
            chain.append(following[0] if len(following) == 1 else None)
        if [s.operator if s else "" for s in chain] != [_Q, _DQ, _Q, _DQ]:
            return None
        first, second, third, last = (s for s in chain if s is not None)
        found = first, second, third, last
        alone = all(self._uses[s.outputs[0]] == 1 for s in found)
        return found if alone and _stated(self._network, found) else None


def _stated(network: Network, steps: Sequence[Step]) -> bool:
    """Whether all state a scale and a zero point, of one type, each pair the same ones."""
    grids = [grid for step in steps if (grid := _grid(network, step)) is not None]
    if len(grids) != len(steps):
        return False
    same = all(_equal(grids[i], grids[i + 1]) for i in (0, 2))
    return same and grids[0][1].dtype == grids[2][1].dtype and grids[0][1].dtype.kind in "iu"


def _grid(network: Network, step: Step) -> list[Array] | None:
    """The scale and the zero point, each of one element, that a step states; None if it does not."""
    arrays = [network.constants[n] for n in step.inputs[1:_STATED] if n in network.constants]
    return arrays if len(arrays) == _STATED - 1 and all(a.size == 1 for a in arrays) else None


def _equal(a: list[Array], b: list[Array]) -> bool:
    return all(x.dtype == y.dtype and x.ravel()[0] == y.ravel()[0] for x, y in zip(a, b, strict=True))


def _common(network: Network, pairs: tuple[Step, Step, Step, Step]) -> tuple[Array, Array]:
    """Scale and zero point of what two pairs become."""
    (s1, z1), (s2, z2) = ([network.constants[n].ravel()[0] for n in p.inputs[1:_STATED]] for p in (pairs[1], pairs[2]))
    if (s1, z1) == (s2, z2):
        return np.array(s1), np.array(z1)
    f, least, most = np.float32, np.iinfo(z1.dtype).min, np.iinfo(z1.dtype).max
    low = max(f(least - int(z)) * f(s) for s, z in ((s1, z1), (s2, z2)))
    high = min(f(most - int(z)) * f(s) for s, z in ((s1, z1), (s2, z2)))
    scale = (high - low) / f(most - least)
    return np.array(scale), np.array(round_half_away_scalar(float(f(least) - low / scale)), z1.dtype)


def _reading(step: Step, source: str, scale: str, zero: str) -> Step:
    return replace(step, node=step.node.reading((source, scale, zero)))
