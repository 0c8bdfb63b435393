"""The encodings of an integer graph."""

from collections.abc import Iterable

from accel_sim.errors import Fault, InputError
from accel_sim.frontend.encodings.names import file_axis, file_name, is_made
from accel_sim.frontend.encodings.records import Encoding, Encodings, Role
from accel_sim.ir import Graph, Tensor, TransposeConv2D


def encodings_of(graph: Graph, version: str = "2.0.0") -> Encodings:
    """The grids of all tensors of an integer graph under the names of its file, activations first.

    Tensors without grid (indices, raw accumulators) and biases that folding made have no encoding. Other biases are
    parameters of 32 bits.

    Args:
        graph: from `quantize`, or a quantized file.
        version: that the encodings are written in by default.

    Raises:
        InputError: a graph of floats; or tensors of one name on different grids.
    """
    floats = [t.name for t in graph.activations() if t.element.is_float]
    if floats:
        fault = Fault(f"tensor {floats[0]!r}", "float32", "every tensor is an integer one", "quantize the graph")
        raise InputError(f"graph {graph.name!r} as encodings", [fault])
    grouped = _grouped_transposed(graph)
    activations = [_encoding(t, Role.ACTIVATION) for t in graph.activations() if t.quant is not None]
    constants = [t for t in graph.tensors.values() if t.is_constant and t.quant is not None and not is_made(t)]
    parameters = [_encoding(t, Role.PARAMETER) for t in constants]
    faults = [
        Fault(f"tensor {n!r}", "per channel in groups", "the file's weights have an axis with all output channels")
        for n in grouped
    ]
    entries = _unique([*activations, *parameters], faults)
    if faults:
        raise InputError(f"graph {graph.name!r} as encodings", faults)
    return Encodings(version, entries)


def _grouped_transposed(graph: Graph) -> list[str]:
    """Weights of transposed convolutions in groups, whose file layout has no axis of all output channels."""
    nodes = [n for n in graph.nodes if isinstance(n.op, TransposeConv2D) and n.op.groups > 1]
    weights = [graph.operand(n, 1) for n in nodes]
    return [w.name for w in weights if w.quant is not None and w.quant.is_per_channel]


def _encoding(tensor: Tensor, role: Role) -> Encoding:
    grid = tensor.quant
    assert grid is not None
    low = 1 << (grid.bits - 1) if grid.signed else 0
    offset = tuple(-zero - low for zero in grid.zero_point)
    axis = None if grid.axis is None else file_axis(tensor, grid.axis)
    name = file_name(tensor)
    return Encoding(name, grid.bits, grid.scale, offset, grid.signed, axis, axis is not None, role=role)


def _unique(entries: Iterable[Encoding], faults: list[Fault]) -> tuple[Encoding, ...]:
    """One entry per name; copies of a constant on one grid are one."""
    found: dict[str, Encoding] = {}
    for entry in entries:
        if found.setdefault(entry.name, entry) != entry:
            rule = "a tensor of the file has one grid"
            faults.append(Fault(f"tensor {entry.name!r}", "on several grids", rule, "give its layers one width"))
    return tuple(found.values())
