"""Constant deduplication: equal constants are one tensor.

Constants are equal if shape, element type, grid, axis order and every byte are; -0.0 and 0.0 differ. The first name in
the graph stays.
"""

from dataclasses import replace

from accel_sim.ir import Graph, Tensor
from accel_sim.transforms.rewriting import rebuilt


def deduplicate_constants(graph: Graph) -> Graph:
    """The same function with each constant stored once; constants that are graph outputs stay as they are."""
    first: dict[object, str] = {}
    names = {
        t.name: first.setdefault(_identity(t), t.name)
        for t in graph.tensors.values()
        if t.is_constant and t.name not in graph.outputs
    }
    nodes = [replace(n, inputs=tuple(names.get(i, i) for i in n.inputs)) for n in graph.nodes]
    return rebuilt(graph, nodes)


def _identity(tensor: Tensor) -> object:
    return tensor.shape, tensor.element, tensor.quant, tensor.file_axes, tensor.constant.tobytes()
