"""The same network in ONNX Runtime, in LiteRT and here: one thread or two, quantized outputs in all of them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from networks import same_padding
from numpy.typing import NDArray
from oracles.tflite_builder import ModelBuilder, options

import accel_sim
from accel_sim import ir
from accel_sim.ir import Graph, Node

Array = NDArray[np.generic]
Run = Callable[[], Any]

_SAME, _VALID = 0, 1
_ACTIVATIONS = {ir.NO_ACTIVATION: 0, ir.RELU: 1}


def onnx_session(model: bytes, threads: int) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session on the CPU, all optimizations, threads that sleep between runs."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.inter_op_num_threads, settings.log_severity_level = threads, 1, 3
    settings.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])


def onnx_run(model: bytes, image: Array, threads: int = 1) -> Run:
    """A run of an ONNX model with one input."""
    session = onnx_session(model, threads)
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: image})


def onnx_tensors(model: bytes, image: Array) -> dict[str, Array]:
    """Every tensor inside a QOperator model, as ONNX Runtime computes it without rewriting the graph."""
    proto = onnx.load_from_string(model)
    for node in proto.graph.node:
        for name in node.output:
            if name not in {output.name for output in proto.graph.output}:
                proto.graph.output.append(onnx.ValueInfoProto(name=name))
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(proto.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {session.get_inputs()[0].name: image}), strict=True))


def litert_run(model: bytes, codes: Array, threads: int = 1, *, reference: bool = False) -> Run:
    """A run of a TFLite model with one input: XNNPACK, or the reference kernels."""
    kind = OpResolverType.BUILTIN_REF if reference else OpResolverType.AUTO
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=kind, num_threads=threads)
    interpreter.allocate_tensors()
    place, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run() -> Array:
        interpreter.set_tensor(place, codes)
        interpreter.invoke()
        output: Array = interpreter.get_tensor(result)
        return output

    return run


def our_run(graph: Graph, profile: str, image: Array, threads: int = 1) -> Run:
    """A run at the functional level: the first output."""
    program = accel_sim.compile(graph, profile=profile)

    def run() -> Array:
        result = accel_sim.run(program, image, "functional", threads=threads)
        return next(iter(result.outputs.values()))

    return run


def tflite_file(graph: Graph) -> bytes:
    """A graph of `networks` as a TFLite file."""
    model = ModelBuilder()
    places: dict[str, int] = {}
    for name, tensor in graph.tensors.items():
        grid = tensor.quant
        scale, zero = (grid.scale, grid.zero_point) if grid else _bias_grid(graph, name)
        shape, data = tensor.shape, tensor.data
        if name in _depthwise_weights(graph):  # TFLite: [1, kh, kw, channels]
            assert data is not None
            data = np.asarray(data).transpose(3, 1, 2, 0)
            shape = data.shape
        axis = len(shape) - 1 if name in _depthwise_weights(graph) else 0
        places[name] = model.tensor(shape, tensor.element.value, scale, zero, data=data, axis=axis, name=name)
    for node in graph.nodes:
        _write_node(model, graph, node, places)
    return model.build([places[name] for name in graph.inputs], [places[name] for name in graph.outputs])


def _bias_grid(graph: Graph, name: str) -> tuple[Any, Any]:
    """Scales of a bias: those of input and weights multiplied (eq 1)."""
    node = next(node for node in graph.nodes if name in node.inputs)
    image, weights = (graph.tensors[operand].quant for operand in node.inputs[:2])
    assert image is not None
    assert weights is not None
    return [image.scale[0] * scale for scale in weights.scale], 0


def _depthwise_weights(graph: Graph) -> set[str]:
    return {node.inputs[1] for node in graph.nodes if isinstance(node.op, ir.Conv2D) and node.op.groups > 1}


def _write_node(model: ModelBuilder, graph: Graph, node: Node, places: dict[str, int]) -> None:
    op, operands, results = node.op, [places[n] for n in node.inputs], [places[n] for n in node.outputs]
    if isinstance(op, ir.Conv2D | ir.MaxPool2D):
        stride = {"strideH": op.strides[0], "strideW": op.strides[1], "padding": _padding(graph, node)}
    if isinstance(op, ir.Conv2D):
        kind = "DepthwiseConv2D" if op.groups > 1 else "Conv2D"
        extra = {"depthMultiplier": 1} if op.groups > 1 else {}
        fields = options(kind, **stride, **extra, fusedActivationFunction=_ACTIVATIONS[op.activation])
        model.op("DEPTHWISE_CONV_2D" if op.groups > 1 else "CONV_2D", operands, results, fields, version=3)
    elif isinstance(op, ir.MaxPool2D):
        fields = options("Pool2D", **stride, filterHeight=op.kernel[0], filterWidth=op.kernel[1])
        model.op("MAX_POOL_2D", operands, results, fields, version=2)
    elif isinstance(op, ir.Add):
        fields = options("Add", fusedActivationFunction=_ACTIVATIONS[op.activation])
        model.op("ADD", operands, results, fields, version=2)
    elif isinstance(op, ir.Mean):
        axes = model.tensor((len(op.axes),), "int32", data=np.array(op.axes, np.int32), name=f"{node.name}/axes")
        model.op("MEAN", [*operands, axes], results, options("Reducer", keepDims=True), version=2)
    elif isinstance(op, ir.FullyConnected):
        model.op("FULLY_CONNECTED", operands, results, options("FullyConnected"), version=4)
    else:
        raise NotImplementedError(type(op).__name__)


def _padding(graph: Graph, node: Node) -> int:
    """TFLite's padding option, which is all it has to say how a window is padded."""
    op, image = node.op, graph.tensors[node.inputs[0]]
    assert isinstance(op, ir.Conv2D | ir.MaxPool2D)
    kernel = op.kernel if isinstance(op, ir.MaxPool2D) else graph.tensors[node.inputs[1]].shape[1:3]
    pad = op.padding
    if not (pad.top or pad.bottom or pad.left or pad.right):
        return _VALID
    wanted = (pad.top, pad.bottom), (pad.left, pad.right)
    assert wanted == tuple(map(same_padding, image.shape[1:3], kernel, op.strides)), f"{node.name}: {pad}"
    return _SAME
