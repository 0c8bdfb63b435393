"""Cross-layer equalization (3.2): the channels between two layers are rescaled so that both use their grids equally.

For an activation with f(s x) = s f(x) (eq 20) and S = diag(s), layer 1 followed by layer 2 is unchanged by (eq 21)

    W1' = S^-1 W1,   b1' = S^-1 b1,   W2' = W2 S.

The dynamic ranges r1_i (output channel i of W1) and r2_i (input channel i of W2) become equal with (eq 22)

    s_i = (1 / r2_i) sqrt(r1_i r2_i) = sqrt(r1_i / r2_i).

A piecewise linear f scales with its break points: the bounds [a, b] of a clamp become [a / s_i, b / s_i] per channel,
so ReLU6 keeps its meaning as a cap of 6 / s_i, and slopes (PReLU, leaky ReLU) stay. A chain of more layers (a
depthwise triple) is equalized pair by pair until no factor moves.

Dead channels: where r1_i or r2_i is (next to) zero, eq 22 would multiply a bias, or a next weight, without bound. Such
a channel keeps s_i = 1, unless its other side exceeds the largest range M = max sqrt(r1 r2) of the live channels (a
trained network may hold weights of 56 on a channel that is always 0, beside 1 elsewhere). Then that side is brought
down to M, but never so far that the channel's constant f(b1_i) outgrows the biases of the live channels.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault, QuantizationError
from accel_sim.numerics.elementary import log
from accel_sim.quantization.affine_grid import F64, require_finite
from accel_sim.records import dataclass

DEAD_RATIO = 1e-6
"""A channel is dead if its range is below this share of the tensor's."""


@dataclass(frozen=True, eq=False)
class ChainLayer:
    """One linear layer of a chain, as equalization sees it.

    Attributes:
        name: for messages.
        weight: [Co, ..., Ci / groups] (OHWI), or [Co, K] where K may be a flattened map [..., Ci], channels last.
        bias: [Co] or None.
        groups: of a convolution; Ci for depthwise.
        low, high: bounds of the clamp after the layer, numbers or [Co]; infinite for none.
    """

    name: str
    weight: F64
    bias: F64 | None = None
    groups: int = 1
    low: float | F64 = -np.inf
    high: float | F64 = np.inf

    @property
    def channels(self) -> int:
        """Output channels."""
        return int(self.weight.shape[0])


@dataclass(frozen=True, eq=False)
class EqualizedChain:
    """A chain with equalized ranges.

    Attributes:
        layers: as given, with new weights, biases and per-channel bounds.
        factors: s between layer k and k + 1, one [C] each; the tensor between them is divided by s.
        dead: which channels between layer k and k + 1 have no range to equalize, one bool [C] each.
        sweeps: passes over the chain until no factor moved.
    """

    layers: tuple[ChainLayer, ...]
    factors: tuple[F64, ...]
    dead: tuple[NDArray[np.bool_], ...]
    sweeps: int


def equalize(
    layers: Sequence[ChainLayer],
    *,
    tolerance: float = 1e-4,
    sweeps: int = 100,
    dead_ratio: float = DEAD_RATIO,
) -> EqualizedChain:
    """Equalize a chain in which each layer feeds only the next, through an activation that eq 20 allows.

    Args:
        layers: two or more.
        tolerance: stop when every factor of a sweep is within 1 +- tolerance.
        sweeps: stop after so many in any case; one is enough for a pair.
        dead_ratio: see `DEAD_RATIO`.

    Raises:
        QuantizationError: fewer than two layers, channels that do not match, or weights that are not finite.
    """
    _check(layers)
    chain = [replace(layer, weight=np.asarray(layer.weight, np.float64)) for layer in layers]
    totals = [np.ones(layer.channels) for layer in chain[:-1]]
    dead = [np.zeros(layer.channels, bool) for layer in chain[:-1]]
    done = 0
    for done in range(1, sweeps + 1):  # noqa: B007 - the count is part of the result
        largest = 0.0
        for k in range(len(chain) - 1):
            s, dead[k] = equalizing_factors(chain[k], chain[k + 1], dead_ratio)
            chain[k], chain[k + 1] = scaled_outputs(chain[k], s), scaled_inputs(chain[k + 1], s)
            totals[k] = totals[k] * s
            largest = max(largest, float(np.abs(log(s)).max(initial=0.0)))
        if largest <= tolerance or len(chain) == 2:
            break
    return EqualizedChain(tuple(chain), tuple(totals), tuple(dead), done)


def equalizing_factors(
    first: ChainLayer, second: ChainLayer, dead_ratio: float = DEAD_RATIO
) -> tuple[F64, NDArray[np.bool_]]:
    """eq 22 for the channels between two layers: s [C], and which channels are dead."""
    r1, r2 = output_ranges(first), input_ranges(second, first.channels)
    dead_first, dead_second = r1 <= dead_ratio * r1.max(initial=0.0), r2 <= dead_ratio * r2.max(initial=0.0)
    dead = dead_first | dead_second
    s = np.sqrt(np.where(dead, 1.0, r1) / np.where(dead, 1.0, r2))
    if dead.all():
        return s, dead
    largest = float(np.sqrt(r1 * r2)[~dead].max())
    lowered_second = np.minimum(1.0, largest / np.where(dead_first & ~dead_second, r2, largest))
    lowered_first = np.maximum(1.0, np.where(dead_second & ~dead_first, r1, largest) / largest)
    s = np.where(dead, np.maximum(lowered_second * lowered_first, _smallest_factors(first, s, dead)), s)
    return s, dead


def _smallest_factors(first: ChainLayer, s: F64, dead: NDArray[np.bool_]) -> F64:
    """The factors below which the constant of a dead channel would outgrow the biases of the live ones; at most 1."""
    if first.bias is None:
        return np.zeros(s.shape)
    constant = np.abs(np.clip(first.bias, first.low, first.high))
    room = float((np.abs(first.bias) / s)[~dead].max())
    return np.asarray(np.minimum(1.0, constant / room if room > 0 else np.sign(constant)))


def output_ranges(layer: ChainLayer) -> F64:
    """r1 of eq 22: max |w| of each output channel, [Co]."""
    return np.asarray(np.abs(layer.weight).reshape(layer.channels, -1).max(axis=1))


def input_ranges(layer: ChainLayer, channels: int) -> F64:
    """r2 of eq 22: max |w| over all that reads each of the `channels` input channels, [Ci]."""
    magnitude = np.abs(_by_input(layer, channels))
    return np.asarray(magnitude.max(axis=(1, 2)).reshape(channels))


def scaled_outputs(layer: ChainLayer, s: F64) -> ChainLayer:
    """W' = S^-1 W, b' = S^-1 b, bounds' = bounds / s."""
    weight = layer.weight / s.reshape((-1,) + (1,) * (layer.weight.ndim - 1))
    bias = None if layer.bias is None else np.asarray(layer.bias, np.float64) / s
    return replace(layer, weight=weight, bias=bias, low=_bound(layer.low, s), high=_bound(layer.high, s))


def scaled_inputs(layer: ChainLayer, s: F64) -> ChainLayer:
    """W' = W S, each weight times the factor of the input channel that it reads."""
    weight = _by_input(layer, s.size) * s.reshape(layer.groups, 1, 1, -1)
    return replace(layer, weight=weight.reshape(layer.weight.shape))


def _by_input(layer: ChainLayer, channels: int) -> F64:
    """The weights as [groups, Co / groups, taps, Ci / groups]."""
    return layer.weight.reshape(layer.groups, layer.channels // layer.groups, -1, channels // layer.groups)


def _bound(bound: float | F64, s: F64) -> float | F64:
    if np.ndim(bound) == 0 and (np.isinf(bound) or bound == 0):
        return bound
    return np.asarray(bound, np.float64) / s


def _check(layers: Sequence[ChainLayer]) -> None:
    if len(layers) < 2:
        rule = "a chain is at least two layers"
        raise QuantizationError("cross-layer equalization", [Fault("chain", f"{len(layers)} layers", rule)])
    for layer in layers:
        require_finite(np.asarray(layer.weight), f"cross-layer equalization of {layer.name!r}")
    faults = []
    for first, second in pairwise(layers):
        per_group, rest = divmod(first.channels, second.groups)
        if rest or second.channels % second.groups or second.weight.shape[-1] % max(per_group, 1):
            value = f"{first.channels} channels into weights {list(second.weight.shape)} of {second.groups} groups"
            faults.append(Fault(f"{first.name!r} -> {second.name!r}", value, "a layer reads what the one before makes"))
    if faults:
        raise QuantizationError("cross-layer equalization", faults)
