"""What all ONNX files that we write have in common: checks, declarations, and that they appear whole or not at all."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from accel_sim.errors import Fault, UnsupportedModelError
from accel_sim.frontend.export.batch import has_free_batch
from accel_sim.frontend.export.emitters import EMITTERS
from accel_sim.frontend.export.layout import choose_orders, ordered
from accel_sim.frontend.export.model_builder import ModelBuilder, value_info
from accel_sim.frontend.export.values import InexpressibleError, Values, container
from accel_sim.ir import ArgMax, ElementType, Graph, HardSwish, Node, Operator, Tensor
from accel_sim.records import dataclass
from accel_sim.whole_file import write_whole


@dataclass(frozen=True)
class Form:
    """One way of saying a graph in ONNX.

    Attributes:
        name: for messages.
        values: how tensors become values of the file.
        emitters: which function writes which operator.
    """

    name: str
    values: type[Values]
    emitters: Mapping[type[Operator], Any]


QDQ = Form("QDQ ONNX", Values, EMITTERS)


def written(graph: Graph, form: Form, path: str | Path | None) -> bytes:
    """An integer graph in that form; in `path` as well, if given.

    Raises:
        UnsupportedModelError: listing everything that the form cannot say. OSError: `path` cannot be written.
    """
    subject = f"graph {graph.name!r} as {form.name}"
    if all(tensor.element.is_float for tensor in graph.activations()):
        fault = Fault("tensors", "all are float32", "an integer network is written", "quantize the graph")
        raise UnsupportedModelError(subject, [fault])
    faults = [*_grid_faults(graph), *operator_faults(graph, form)]
    if faults:
        raise UnsupportedModelError(subject, faults)
    content = serialized(graph, form)
    if path is not None:
        write_whole(path, content)
    return content


def serialized(graph: Graph, form: Form) -> bytes:
    """The bytes of a graph that the form can say.

    Raises:
        UnsupportedModelError: listing the operators that it cannot.
    """
    builder = ModelBuilder(_opset(graph), (t.name for t in graph.activations()), (n.name for n in graph.nodes))
    values = form.values(graph, builder, choose_orders(graph), free_batch=has_free_batch(graph))
    for name in graph.inputs:
        values.write_input(graph.tensors[name])
    faults: list[Fault] = []
    for node in graph.nodes:
        try:
            form.emitters[type(node.op)](values, node, node.op)
        except InexpressibleError as error:
            faults += error.faults
            _stand_in(values, node)
    if faults:
        raise UnsupportedModelError(f"graph {graph.name!r} as {form.name}", faults)
    inputs, outputs = ([_declared(values, n) for n in names] for names in (graph.inputs, graph.outputs))
    return builder.serialized(graph.name or "network", inputs, outputs, graph.metadata)


def _stand_in(values: Values, node: Node) -> None:
    """Results for the readers of a node that could not be written, so that their own faults are found too."""
    for name in node.outputs:
        tensor = values.graph.tensors[name]
        values.write(tensor, values.scalar(0.0, "absent"), values.order(tensor))


def _opset(graph: Graph) -> int:
    if any(t.quant is not None and container(t.quant).itemsize == 2 for t in graph.tensors.values()):
        return 21
    return 14 if any(isinstance(n.op, HardSwish) for n in graph.nodes) else 13


def _declared(values: Values, name: str) -> Any:
    tensor = values.graph.tensors[name]
    shape: list[int | str] = list(ordered(tensor.shape, values.order(tensor)))
    if values.free_batch:
        shape[0] = "N"
    return value_info(name, ElementType.FLOAT32 if tensor.quant is not None else _plain_type(values.graph, name), shape)


def _plain_type(graph: Graph, name: str) -> ElementType:
    """The type in the file of a tensor without grid: accumulators as they are, indices int64, wherever moved."""
    maker = graph.producer(name)
    if maker is not None and isinstance(maker.op, ArgMax):
        return ElementType.INT64
    moved = maker is not None and graph.operand(maker, 0).quant is None
    return _plain_type(graph, maker.inputs[0]) if maker is not None and moved else graph.tensors[name].element


def _grid_faults(graph: Graph) -> Iterator[Fault]:
    for tensor in graph.activations():
        if tensor.element.is_float:
            yield Fault(f"tensor {tensor.name!r}", "float32", "every tensor is an integer one", "quantize the graph")
        elif tensor.quant is not None and (tensor.quant.is_per_channel or tensor.quant.bits > 16):
            yield Fault(f"tensor {tensor.name!r}", _grid_text(tensor), "activations have one grid of at most 16 bits")


def operator_faults(graph: Graph, form: Form) -> Iterator[Fault]:
    """The operators that a form lacks, and outputs that are not computed."""
    for node in graph.nodes:
        if type(node.op) not in form.emitters:
            yield Fault(node.where, node.op.name, "is an operator of ONNX")
    for name in graph.outputs:
        if name in graph.inputs or graph.tensors[name].is_constant:
            yield Fault(f"output {name!r}", "not computed", "an output is made by an operator")


def _grid_text(tensor: Tensor) -> str:
    assert tensor.quant is not None
    return f"{tensor.quant.bits} bits{', per channel' if tensor.quant.is_per_channel else ''}"
