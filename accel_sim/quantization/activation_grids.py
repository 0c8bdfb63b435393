"""Which grid each activation gets.

1. A graph input, and the result of every operator not named below: the range that it took on the calibration data
   (3.1), which includes 0. After a fused ReLU that range starts at 0.
2. Max pooling, average pooling, reshape, transpose, slice, padding with 0, resizing, space to depth and back: the grid
   of the operand (2.3.3). Max pooling and moving values makes no new ones; an average's range does not significantly
   change.
3. Softmax and logistic: [0, 1) in steps of 2^-bits; tanh: [-1, 1) in steps of 2^-(bits-1); hard sigmoid: [0, 1]. Their
   ranges are known without data, and these are the grids that runtimes require.
4. Concatenation and addition have a grid of their own (rule 1): their operands are requantized (2.3.3), unless the
   recipe ties them (`tied_grids`).
"""

from collections.abc import Mapping

from accel_sim.ir import (
    AveragePool2D,
    DepthToSpace,
    GlobalAveragePool2D,
    Graph,
    HardSigmoid,
    Logistic,
    MaxPool2D,
    Node,
    Operator,
    Pad,
    QuantParams,
    Reshape,
    ResizeBilinear,
    ResizeNearest,
    Slice,
    Softmax,
    SpaceToDepth,
    Tanh,
    Transpose,
)
from accel_sim.quantization.affine_grid import AffineGrid, GridScheme, Symmetry, grid_of_range
from accel_sim.quantization.observation import MinMax
from accel_sim.quantization.recipe import ActivationRecipe, Recipe

_SHARING = (
    MaxPool2D,
    AveragePool2D,
    GlobalAveragePool2D,
    Reshape,
    Transpose,
    Slice,
    ResizeNearest,
    ResizeBilinear,
    SpaceToDepth,
    DepthToSpace,
)


def observed_tensors(graph: Graph) -> frozenset[str]:
    """The activations that need a range (rules 1 and 4)."""
    made = [n.outputs[0] for n in graph.nodes if not shares_grid(n.op) and _fixed_range(n.op) is None]
    return frozenset(n for n in (*graph.inputs, *made) if graph.tensors[n].element.is_float)


def assign_grids(graph: Graph, own: Mapping[str, QuantParams], recipe: Recipe) -> dict[str, QuantParams]:
    """The grid of every float activation by name.

    Args:
        graph: a float graph.
        own: of the `observed_tensors`.
        recipe: width, symmetry and signedness of the others.
    """
    grids = dict(own)
    for node in graph.nodes:
        name = node.outputs[0]
        if name not in grids and graph.tensors[name].element.is_float:
            grids[name] = _grid(graph, node, grids, recipe.activations_of(node.name))
    return grids


def affine_grid_of(values: MinMax, recipe: ActivationRecipe) -> AffineGrid:
    """The grid for values of a range, which is enlarged to hold 0; a tensor of zeros has scale 1."""
    return grid_of_range(values.low, values.high, activation_scheme(recipe, has_negative=values.low < 0))


def grid_of(values: MinMax, recipe: ActivationRecipe) -> QuantParams:
    """`affine_grid_of` as the graph stores it."""
    return affine_grid_of(values, recipe).params()


def activation_scheme(recipe: ActivationRecipe, *, has_negative: bool) -> GridScheme:
    """The family of grids for activations; 2.2.1: unsigned symmetric codes suit one-tailed values only."""
    symmetry = Symmetry.SYMMETRIC if recipe.symmetric else Symmetry.ASYMMETRIC
    signed = recipe.signed or (recipe.symmetric and has_negative)
    return GridScheme(recipe.bits, symmetry, signed, power_of_two=recipe.power_of_two)


def shares_grid(op: Operator) -> bool:
    """Rule 2."""
    return isinstance(op, _SHARING) or (isinstance(op, Pad) and (op.mode != "constant" or op.value == 0.0))


def _grid(graph: Graph, node: Node, grids: Mapping[str, QuantParams], recipe: ActivationRecipe) -> QuantParams:
    known = _fixed_range(node.op)
    if known is None:  # rule 2
        operand = graph.operand(node, 0)
        return grid_of(MinMax.of(operand.constant), recipe) if operand.is_constant else grids[operand.name]
    if isinstance(node.op, HardSigmoid):  # it reaches 1
        return grid_of(known, recipe)
    scheme = activation_scheme(recipe, has_negative=known.low < 0)
    if scheme.is_symmetric:
        return QuantParams.per_tensor(1 / (scheme.high + 1), 0, bits=recipe.bits, signed=scheme.signed)
    zero_point = scheme.low if known.low == 0 else scheme.low + (1 << (recipe.bits - 1))
    scale = (known.high - known.low) / (1 << recipe.bits)
    return QuantParams.per_tensor(scale, zero_point, bits=recipe.bits, signed=scheme.signed)


def _fixed_range(op: Operator) -> MinMax | None:
    """Rule 3."""
    if isinstance(op, Softmax | Logistic | HardSigmoid):
        return MinMax(0.0, 1.0)
    return MinMax(-1.0, 1.0) if isinstance(op, Tanh) else None
