"""The last step of quantization: float graph, codes of weights and grids of activations become one integer graph.

Constants that are not weights lie on grids of their own range. A stack of matrices has one grid: runtimes have no
integer product with a stack of per-channel ones.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from accel_sim.ir import AveragePool2D, ElementType, FullyConnected, Graph, Node, Operator, QuantParams, Tensor
from accel_sim.quantization.activation_grids import affine_grid_of, grid_of
from accel_sim.quantization.affine_grid import AffineGrid
from accel_sim.quantization.layers import channel_axis, has_weights, weighted_nodes
from accel_sim.quantization.observation import MinMax
from accel_sim.quantization.recipe import Recipe
from accel_sim.quantization.recipe_toml import recipe_text
from accel_sim.quantization.weights import QuantizedWeights, linear_constants
from accel_sim.records import dataclass
from accel_sim.transforms import deduplicate_constants
from accel_sim.transforms.rewriting import Uses

_CODE_BITS = 8


def nearest_weights(graph: Graph, recipe: Recipe) -> dict[str, QuantizedWeights]:
    """The weights of every node that has any, rounded to nearest on the grids of the recipe."""
    return {node.name: _nearest(graph, node, recipe) for node in weighted_nodes(graph)}


def _nearest(graph: Graph, node: Node, recipe: Recipe) -> QuantizedWeights:
    weights, rule = graph.operand(node, 1), recipe.weights_of(node.name)
    axis = channel_axis(node, len(weights.shape))
    is_stack = axis > 0 and len(weights.shape) > 2
    per_channel = rule.per_channel and not is_stack
    return QuantizedWeights.nearest(weights.constant.astype(np.float64), axis if per_channel else None, rule)


@dataclass(frozen=True, eq=False)
class IntegerForm:
    """What becomes of a float graph in canonical form.

    Attributes:
        graph: the float graph, biases corrected.
        grids: of every float activation; also of constants that are not weights, where they are given.
        weights: of every node in `weighted_nodes`.
        recipe: for biases and other constants.
    """

    graph: Graph
    grids: Mapping[str, QuantParams]
    weights: Mapping[str, QuantizedWeights]
    recipe: Recipe

    def integer_graph(self) -> Graph:
        """The integer graph: the same inputs and outputs, as codes."""
        graph = self.graph
        constants = dict(self._constants())
        activations = {t.name: _quantized(t, self.grids.get(t.name)) for t in graph.activations()}
        wide = any(grid.bits > _CODE_BITS for grid in self.grids.values())
        nodes = [
            replace(
                n, op=_as_written(n.op, wide=wide), inputs=tuple(_name(constants, n, i) for i in range(len(n.inputs)))
            )
            for n in graph.nodes
        ]
        tensors = activations | {t.name: t for t in constants.values()}
        kept = {n: graph.tensors[n] for node in nodes for n in node.inputs if n and n not in tensors}
        outputs = {n: graph.tensors[n] for n in graph.outputs if n not in tensors}
        metadata = dict(graph.metadata) | {"accel_sim.recipe": recipe_text(self.recipe)}
        whole = replace(graph, nodes=tuple(nodes), tensors=tensors | kept | outputs, metadata=metadata)
        return deduplicate_constants(whole)

    def _constants(self) -> Iterator[tuple["_Slot", Tensor]]:
        """An integer constant for every operand slot that holds a float one. Equal ones are merged later."""
        readers = Uses.of(self.graph).readers
        for node in self.graph.nodes:
            for index, tensor in self._slot_constants(node):
                unique = tensor.name if len(readers[tensor.name]) == 1 else f"{tensor.name}@{node.name}.{index}"
                yield (node.name, index), replace(tensor, name=unique)

    def _slot_constants(self, node: Node) -> Iterator[tuple[int, Tensor]]:
        operands = self.graph.inputs_of(node)
        if has_weights(self.graph, node):
            yield from self._linear_constants(node)
            operands = operands[:1]
        rule = self.recipe.activations_of(node.name)
        for index, tensor in enumerate(operands):
            if tensor is not None and tensor.is_constant and tensor.element.is_float:
                given = self.grids.get(tensor.name)
                grid = affine_grid_of(MinMax.of(tensor.constant), rule) if given is None else AffineGrid.of(given)
                yield index, _encoded(tensor, grid)

    def _linear_constants(self, node: Node) -> Iterator[tuple[int, Tensor]]:
        x, weights = self.graph.operand(node, 0), self.graph.operand(node, 1)
        if x.name in self.grids:
            scale = self.grids[x.name].scale[0]
        else:
            scale = grid_of(MinMax.of(x.constant), self.recipe.activations_of(node.name)).scale[0]
        chosen, exact = self.weights[node.name], weights.constant.astype(np.float64)
        made = linear_constants(weights, self.graph.optional(node, 2), scale, chosen, self.recipe.bias, exact=exact)
        yield 1, made.weights
        if made.bias is not None:
            yield 2, made.bias


_Slot = tuple[str, int]
"""A node's name and the index of an operand."""


def _encoded(tensor: Tensor, grid: AffineGrid) -> Tensor:
    """A float constant on a per-tensor grid."""
    element = ElementType.for_grid(grid.params())
    codes = grid.codes(tensor.constant.astype(np.float64))
    return replace(tensor, element=element, quant=grid.params(), data=codes.astype(element.dtype))


def _quantized(tensor: Tensor, grid: QuantParams | None) -> Tensor:
    return tensor if grid is None else replace(tensor, element=ElementType.for_grid(grid), quant=grid)


def _name(constants: Mapping[_Slot, Tensor], node: Node, index: int) -> str:
    made = constants.get((node.name, index))
    return node.inputs[index] if made is None else made.name


def _as_written(op: Operator, *, wide: bool) -> Operator:
    """In the form that a file of the integer graph will have (`write_onnx`): 16 bits need a newer set of operators."""
    if isinstance(op, FullyConnected):
        return replace(op, by_rows=True)
    return replace(op, by_pixel=wide) if isinstance(op, AveragePool2D) else op
