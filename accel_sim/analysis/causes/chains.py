"""The chain of each operator, from a device's arithmetic to the exact one, at some elements of its result.

Matrix operators, sums and means follow their requantization rule by rule. Every other operator has one step, because
its arithmetic is one table or one division: from what the device computes to the exact value.
"""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_sim.analysis.causes.accumulators import (
    MATRIX_OPERATORS,
    Accumulators,
    accumulator_kind,
    accumulators,
    activation_of,
    is_wide,
)
from accel_sim.analysis.causes.cause import Cause, Codes, Step
from accel_sim.analysis.causes.exact import ExactReal, Term
from accel_sim.analysis.causes.requantization import Bounds, at_channels, device_codes, requantization_steps
from accel_sim.analysis.causes.sums import elementwise_steps, exact_elementwise
from accel_sim.arithmetic import (
    activation_bounds,
    derive_elementwise,
    derive_float_dot_products,
    derive_float_transpose_convolution,
    derive_mean,
    derive_requantization,
    derive_requantize,
)
from accel_sim.ir import (
    Add,
    AveragePool2D,
    Clip,
    Conv2D,
    FullyConnected,
    GlobalAveragePool2D,
    Graph,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Logistic,
    MatMul,
    Mean,
    Multiply,
    Node,
    Operator,
    PRelu,
    Requantize,
    ResizeBilinear,
    Softmax,
    Subtract,
    Tanh,
    TransposeConv2D,
)
from accel_sim.numerics import PAPER, BinaryKind, Profile, SumRequantization
from accel_sim.numerics.requantization import Requantization
from accel_sim.records import dataclass
from accel_sim.reference import evaluate_integer
from accel_sim.reference.integer_context import Site

Array = NDArray[Any]
_SINGLE_STEP: dict[type[Operator], Cause] = {
    AveragePool2D: Cause.AVERAGE_ROUNDING,
    GlobalAveragePool2D: Cause.AVERAGE_ROUNDING,
    Mean: Cause.AVERAGE_ROUNDING,
    Clip: Cause.ACTIVATION,
    ResizeBilinear: Cause.INTERPOLATION,
    **dict.fromkeys((Conv2D, FullyConnected, MatMul, TransposeConv2D), Cause.DEVICE_FLOAT),
    **dict.fromkeys((HardSigmoid, HardSwish, LeakyRelu, Logistic, PRelu, Softmax, Tanh), Cause.LOOKUP_TABLE),
}
_SUMS: dict[type[Operator], BinaryKind] = {
    Add: BinaryKind.ADD,
    Subtract: BinaryKind.SUBTRACT,
    Multiply: BinaryKind.MULTIPLY,
}


@dataclass(frozen=True, eq=False)
class Chain:
    """Codes of D elements on a device with plain 32-bit accumulators, and the steps from there to the exact value."""

    start: Codes
    steps: tuple[Step, ...]

    @property
    def exact(self) -> Codes:
        """The codes of exact arithmetic, rounded once, halves to even."""
        return self.steps[-1][1] if self.steps else self.start

    def reversed_steps(self) -> list[Step]:
        """From the exact value back to the device."""
        codes = [self.start, *(codes for _, codes in self.steps)]
        return [(cause, codes[i]) for i, (cause, _) in reversed(list(enumerate(self.steps)))]


def layer_graph(graph: Graph, node: Node) -> Graph:
    """One node as a graph of its own, fed what it reads."""
    names = dict.fromkeys(n for n in (*node.inputs, *node.outputs) if n)
    tensors = {name: graph.tensors[name] for name in names}
    fed = tuple(name for name in dict.fromkeys(node.inputs) if name and not tensors[name].is_constant)
    return Graph(node.name, (node,), tensors, fed, node.outputs[:1], graph.source)


@dataclass(frozen=True, eq=False)
class LayerSample:
    """One node, and the codes of its operands in one sample, in stored layout."""

    layer: Graph
    operands: Mapping[str, Array]

    @property
    def node(self) -> Node:
        """The node."""
        return self.layer.nodes[0]

    def site(self, profile: Profile) -> Site:
        """The node as the integer reference sees it."""
        return Site(self.layer, self.node, profile, self.operands)

    @cached_property
    def sums(self) -> Accumulators:
        """The exact accumulators of a matrix operator."""
        return accumulators(self.site(PAPER))

    def golden(self, profile: Profile) -> Codes:
        """The codes of a device with plain accumulators, flat."""
        result = evaluate_integer(self.layer, self.operands, profile)[self.node.outputs[0]]
        return result.astype(np.int64).reshape(-1)

    def chain(self, profile: Profile, elements: Codes) -> Chain:
        """From the profile's device to exact arithmetic, at flat element numbers of the result."""
        site, op = self.site(profile), self.node.op
        if isinstance(op, MATRIX_OPERATORS) and not in_float(site):
            return _matrix_chain(site, self.sums, elements)
        if site.result.quant is not None:
            if type(op) in _SUMS:
                return _sum_chain(site, elements)
            found = _reduction(site, op)
            if found is not None:
                return _requantization_chain(site, *found, elements)
        return self._single_step(profile, elements)

    def with_own_bias(self, elements: Codes) -> Codes | None:
        """Exact codes with the bias as its own grid says; None where that is s_x s_w, or where there is no bias."""
        if not isinstance(self.node.op, MATRIX_OPERATORS):
            return None
        return _bias_chain(self.site(PAPER), self.sums, elements)

    def _single_step(self, profile: Profile, elements: Codes) -> Chain:
        exact = self.golden(PAPER)[elements]
        cause = _SINGLE_STEP.get(type(self.node.op), Cause.RESCALING)
        return Chain(self.golden(profile)[elements], ((cause, exact),))


def in_float(site: Site) -> bool:
    """Whether the device computes a convolution or matrix product in float32."""
    op = site.node.op
    if site.result.quant is None:
        return False
    if not isinstance(op, TransposeConv2D):
        return derive_float_dot_products(site.profile, site.graph, site.node) is not None
    x, w, y = site.grid(0), site.grid(1), site.result_grid
    return derive_float_transpose_convolution(site.profile, op, x, w, None, y) is not None


def exact_bounds(site: Site) -> Bounds:
    """The clamp of the real numbers on the result's grid, rounded half to even."""
    q = site.result_grid
    low, high = activation_bounds(PAPER, activation_of(site.node.op), q)
    return Bounds(q.zero_point[0], np.array(low), np.array(high))


def matrix_recipe(site: Site) -> Requantization:
    """The device's requantization of a convolution or matrix product, with one value or one per output channel."""
    x, w, y = site.grid(0), site.grid(1), site.result_grid
    kind, activation = accumulator_kind(site.node.op), activation_of(site.node.op)
    return derive_requantization(site.profile, kind, x, w, y, activation, wide_accumulator=is_wide(site))


def matrix_ratios(site: Site) -> tuple[Fraction, ...]:
    """s_x s_w / s_y, one or one per output channel."""
    x, y = Fraction(site.grid(0).scale[0]), Fraction(site.result_grid.scale[0])
    return tuple(x * Fraction(s) / y for s in site.grid(1).scale)


def _matrix_chain(site: Site, sums: Accumulators, elements: Codes) -> Chain:
    total = sums.at(elements)
    bits = 64 if is_wide(site) else 32
    if site.result.quant is None:
        wrapped = ((total + (1 << 31)) & ((1 << 32) - 1)) - (1 << 31) if bits == 32 else total
        return Chain(wrapped, ((Cause.ACCUMULATOR, total),))
    channel = sums.channel(elements)
    recipe = at_channels(matrix_recipe(site), channel)
    exact = ExactReal((Term(total, matrix_ratios(site), channel),))
    final = (Cause.CLIP_ORDER, _at(exact_bounds(site), channel).codes(exact.half_even()))
    start = device_codes(recipe, total, bits)
    return Chain(start, (*requantization_steps(recipe, total, exact), final))


def _at(bounds: Bounds, channel: Codes) -> Bounds:
    low, high = (b[channel] if b.size > 1 else b for b in (bounds.low, bounds.high))
    return replace(bounds, low=low, high=high)


def _bias_chain(site: Site, sums: Accumulators, elements: Codes) -> Codes | None:
    bias = site.tensor(2).quant if site.has(2) else None
    if bias is None or site.result.quant is None:
        return None
    step = Fraction(site.result_grid.scale[0])
    ratios, own = matrix_ratios(site), tuple(Fraction(s) / step for s in bias.scale)
    if set(own) == set(ratios) and (own == ratios or len(own) == 1 or len(ratios) == 1):
        return None
    channel = sums.channel(elements)
    centred = sums.bias_at(elements) - bias.zero_point[0]
    exact = ExactReal((Term(sums.products[elements], ratios, channel), Term(centred, own, channel)))
    return _at(exact_bounds(site), channel).codes(exact.half_even())


def _sum_chain(site: Site, elements: Codes) -> Chain:
    a, b = (np.broadcast_to(site.centred(i), _shape(site)).reshape(-1)[elements] for i in (0, 1))
    grids = (site.grid(0), site.grid(1), site.result_grid)
    op, zeros = site.node.op, (site.grid(0).zero_point[0], site.grid(1).zero_point[0])
    recipe = derive_elementwise(site.profile, _SUMS[type(op)], *grids, activation_of(op))
    exact = exact_elementwise(op, a, b, grids)
    start: Codes = recipe.apply(a + zeros[0], b + zeros[1])
    return Chain(start, tuple(elementwise_steps(recipe, a, b, grids, exact, exact_bounds(site))))


def _shape(site: Site) -> tuple[int, ...]:
    return np.broadcast_shapes(site.codes(0).shape, site.codes(1).shape)


def _reduction(site: Site, op: Operator) -> tuple[Requantization, Codes, Fraction] | None:
    """Recipe, sums (flat) and exact ratio of means and of plain requantization, where the device works so."""
    if not isinstance(op, Mean | GlobalAveragePool2D | Requantize):
        return None
    x, y = site.grid(0), site.result_grid
    ratio = Fraction(x.scale[0]) / Fraction(y.scale[0])
    if isinstance(op, Requantize):
        return derive_requantize(site.profile, x, y), site.centred(0).reshape(-1), ratio
    axes = op.axes if isinstance(op, Mean) else (1, 2)
    count = prod(site.tensor(0).shape[axis] for axis in axes)
    in_float = isinstance(op, GlobalAveragePool2D) and op.in_float
    pool = isinstance(op, GlobalAveragePool2D)
    recipe = derive_mean(site.profile, count, x, y, global_pool=pool, in_float=in_float)
    if not isinstance(recipe, SumRequantization):
        return None
    return recipe.output, site.centred(0).sum(axis=axes).reshape(-1), ratio / count


def _requantization_chain(site: Site, recipe: Requantization, totals: Codes, ratio: Fraction, elements: Codes) -> Chain:
    total = totals[elements]
    exact = ExactReal((Term(total, (ratio,), np.zeros(len(total), np.int64)),))
    final = (Cause.CLIP_ORDER, exact_bounds(site).codes(exact.half_even()))
    return Chain(device_codes(recipe, total, 64), (*requantization_steps(recipe, total, exact), final))
