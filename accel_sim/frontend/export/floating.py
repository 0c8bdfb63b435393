"""Writing a float graph as ONNX: what other software, and encodings, start from."""

from collections.abc import Iterator
from pathlib import Path

from accel_sim.errors import Fault, UnsupportedModelError
from accel_sim.frontend.export.emitters import EMITTERS
from accel_sim.frontend.export.float_values import FloatValues
from accel_sim.frontend.export.writer import Form, operator_faults, serialized
from accel_sim.ir import Graph
from accel_sim.whole_file import write_whole

FLOAT = Form("float ONNX", FloatValues, EMITTERS)


def write_float_onnx(graph: Graph, path: str | Path | None = None) -> bytes:
    """A float graph as the bytes of an ONNX file; written to `path` as a whole or not at all.

    Raises:
        UnsupportedModelError: an integer graph, or listing the operators that ONNX lacks.
        OSError: `path` cannot be written.
    """
    faults = [*_quantized_tensors(graph), *operator_faults(graph, FLOAT)]
    if faults:
        raise UnsupportedModelError(f"graph {graph.name!r} as {FLOAT.name}", faults)
    content = serialized(graph, FLOAT)
    if path is not None:
        write_whole(path, content)
    return content


def _quantized_tensors(graph: Graph) -> Iterator[Fault]:
    found = [tensor.name for tensor in graph.activations() if tensor.quant is not None]
    if found:
        yield Fault("tensors", f"{len(found)} are quantized, {found[0]!r} and on", "every tensor is a float one")
