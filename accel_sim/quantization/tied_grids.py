"""Operands that share their result's grid (2.3.3): no requantization before a concatenation or an addition.

Tensors form groups: the operands and the result of each concatenation (and addition, if asked for), with all tensors
that share their grids anyway (rule 2 of `activation_grids`). A group's grid covers the grids of all its tensors, so
each gets coarser: that is the price, and the report shows it. A group in which some grid is fixed by its operator
(softmax, ...) is left alone.
"""

from collections.abc import Mapping

from accel_sim.ir import Add, Concat, Graph, Operator, QuantParams
from accel_sim.quantization.activation_grids import activation_scheme, observed_tensors, shares_grid
from accel_sim.quantization.affine_grid import grid_of_range
from accel_sim.quantization.recipe import ActivationRecipe, Tie

_TYING: Mapping[Tie, tuple[type[Operator], ...]] = {
    Tie.NONE: (),
    Tie.CONCAT: (Concat,),
    Tie.CONCAT_AND_ADD: (Concat, Add),
}


def tied_groups(graph: Graph, tie: Tie) -> list[frozenset[str]]:
    """The groups of float activations, of two or more, that will share a grid."""
    kinds = _TYING[tie]
    group = {t.name: {t.name} for t in graph.activations() if t.element.is_float}
    tying: set[str] = set()
    for node in graph.nodes:
        names = [n for n in (*node.inputs, *node.outputs) if n in group]
        if not names or not (shares_grid(node.op) or isinstance(node.op, kinds)):
            continue
        merged = set().union(*(group[n] for n in names))
        group |= dict.fromkeys(merged, merged)
        if isinstance(node.op, kinds):
            tying.add(names[0])
    fixed = group.keys() - observed_tensors(graph) - {n.outputs[0] for n in graph.nodes if shares_grid(n.op)}
    return [g for g in dict.fromkeys(frozenset(group[n]) for n in sorted(tying)) if not g & fixed]


def tie_grids(
    groups: list[frozenset[str]], own: Mapping[str, QuantParams], recipe: ActivationRecipe
) -> dict[str, QuantParams]:
    """The grids of observed tensors after tying.

    Args:
        groups: from `tied_groups`.
        own: the grid that each observed tensor would have alone.
        recipe: the family of grids; per-layer widths end at a group.
    """
    tied = dict(own)
    for group in groups:
        members = [n for n in own if n in group]
        low = min(_limit(own[n], own[n].low) for n in members)
        high = max(_limit(own[n], own[n].high) for n in members)
        shared = grid_of_range(low, high, activation_scheme(recipe, has_negative=low < 0)).params()
        tied |= dict.fromkeys(members, shared)
    return tied


def tie_note(group: frozenset[str], own: Mapping[str, QuantParams], shared: Mapping[str, QuantParams]) -> str:
    """A group, and how much coarser each grid has become."""
    members = sorted(n for n in own if n in group)
    factors = [f"{n} {shared[n].scale[0] / own[n].scale[0]:.3g}" for n in members]
    return f"one grid, coarser by: {', '.join(factors)}"


def spared_requantizations(
    graph: Graph, tie: Tie, own: Mapping[str, QuantParams], shared: Mapping[str, QuantParams]
) -> int:
    """Operands of tied operators that lie on their result's grid now and did not before."""
    kinds = _TYING[tie]
    before, after = _bases(graph, own), _bases(graph, shared)
    pairs = [(i, n.outputs[0]) for n in graph.nodes if isinstance(n.op, kinds) for i in n.inputs if i in before]
    return sum(before[i] != before[o] and after[i] == after[o] for i, o in pairs if o in before)


def _bases(graph: Graph, own: Mapping[str, QuantParams]) -> dict[str, QuantParams]:
    """The grids of observed tensors, and of those that share an operand's."""
    grids = dict(own)
    for node in graph.nodes:
        if shares_grid(node.op) and node.inputs[0] in grids:
            grids[node.outputs[0]] = grids[node.inputs[0]]
    return grids


def _limit(grid: QuantParams, code: int) -> float:
    return grid.scale[0] * (code - grid.zero_point[0])
