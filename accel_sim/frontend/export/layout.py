"""Axis orders: which order each tensor of the graph has in the ONNX file.

An order is written like `Tensor.file_axes`: stored axis i is axis order[i] of the file. ONNX's spatial operators work
on NCHW. Inputs and outputs of the network keep the order of the file that the graph came from; a tensor inside is NCHW
if a spatial operator touches it, or touches a tensor that an operator without axis order of its own connects it with.
Everything else stays as stored.
"""

from collections.abc import Iterator

from accel_sim.ir import (
    AveragePool2D,
    Conv2D,
    DepthToSpace,
    FullyConnected,
    GlobalAveragePool2D,
    Graph,
    MatMul,
    MaxPool2D,
    Node,
    Reshape,
    ResizeBilinear,
    ResizeNearest,
    SpaceToDepth,
    Transpose,
    TransposeConv2D,
)

Order = tuple[int, ...]

NCHW: Order = (0, 2, 3, 1)
"""NHWC as stored, NCHW in the file."""
OIHW: Order = (0, 2, 3, 1)
"""OHWI weights as stored, OIHW in the file."""
IOHW: Order = (1, 2, 3, 0)
"""OHWI weights as stored, IOHW in the file (ConvTranspose)."""

_SPATIAL = (
    Conv2D,
    TransposeConv2D,
    MaxPool2D,
    AveragePool2D,
    GlobalAveragePool2D,
    ResizeNearest,
    ResizeBilinear,
    SpaceToDepth,
    DepthToSpace,
)
_REORDERING = (Reshape, Transpose, MatMul, FullyConnected)


def stored_order(rank: int) -> Order:
    """The order in which stored and file axes are the same."""
    return tuple(range(rank))


def choose_orders(graph: Graph) -> dict[str, Order]:
    """The order of every tensor that is not constant."""
    images = _images(graph)
    orders = {t.name: NCHW if t.name in images else stored_order(len(t.shape)) for t in graph.activations()}
    for name in (*graph.inputs, *graph.outputs):
        tensor = graph.tensors[name]
        orders[name] = tensor.file_axes or stored_order(len(tensor.shape))
    return orders


def _images(graph: Graph) -> set[str]:
    """The tensors that are NCHW, found by spreading from spatial operators through those without order."""
    touching: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for name in _image_names(graph, node):
            touching.setdefault(name, []).append(node)
    waiting = [n for node in graph.nodes if isinstance(node.op, _SPATIAL) for n in _image_names(graph, node)]
    images: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in images:
            continue
        images.add(name)
        for node in touching[name]:
            if not isinstance(node.op, _REORDERING):
                waiting.extend(_image_names(graph, node))
    return images


def _image_names(graph: Graph, node: Node) -> Iterator[str]:
    """The node's operands and results that can be images: of rank 4, and not constant."""
    for name in (*node.inputs, *node.outputs):
        if name and len(graph.tensors[name].shape) == 4 and not graph.tensors[name].is_constant:
            yield name


def permutation(source: Order, target: Order) -> tuple[int, ...]:
    """ONNX's `perm` that turns a value in order `source` into order `target`."""
    perm = [0] * len(source)
    for stored in range(len(source)):
        perm[target[stored]] = source[stored]
    return tuple(perm)


def ordered(values: tuple[int, ...], order: Order) -> tuple[int, ...]:
    """Per-stored-axis values in the file's axis order."""
    result = [0] * len(values)
    for stored, axis in enumerate(order):
        result[axis] = values[stored]
    return tuple(result)


def moves_nothing(perm: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether a transposition leaves the elements of a value of that shape in place: only axes of length 1 move."""
    long_axes = [axis for axis in perm if shape[axis] != 1]
    return long_axes == sorted(long_axes)
