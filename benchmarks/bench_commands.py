"""Native steps beside kernels of arrays called from Python, command by command, one thread.

    PYTHONPATH=.:kernels:tests python benchmarks/bench_commands.py [--times 20]

Both give the same bytes, which is checked. Samples alternate; the fastest of each counts.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from math import prod
from unittest import mock

import numpy as np

import accel_sim
from accel_kernels.native.tier import tier
from accel_sim import ir
from accel_sim.ir import ElementType, Graph, Node, QuantParams, Tensor
from accel_sim.sim import prepared as preparing
from accel_sim.sim.prepared import prepared
from accel_sim.sim.result import Level

Shape = tuple[int, ...]


def main() -> None:
    """Print a line for each command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=20)
    options = parser.parse_args()
    print(f"{tier().name}\n{'command':48s} {'native':>10s} {'arrays':>10s}  ratio")
    for name, profile, graph in commands():
        native, arrays = _compared(graph, profile, options.times)
        print(f"{name:48s} {native * 1e6:7.0f} us {arrays * 1e6:7.0f} us {arrays / native:6.1f}")


def commands() -> Iterator[tuple[str, str, Graph]]:
    """Name, profile, and a graph of one node."""
    wide, narrow, unsigned = ElementType.INT16, ElementType.INT8, ElementType.UINT8
    conv = ir.Conv2D(padding=ir.Padding2D(1, 1, 1, 1))
    yield (
        "3x3 convolution 28x28x128, 16x8, 64-bit sums",
        "tflite",
        _graph(conv, [(1, 28, 28, 128)], wide, (128, 3, 3, 128)),
    )
    yield "the same, 32 bits suffice", "tflite", _graph(conv, [(1, 28, 28, 32)], wide, (128, 3, 3, 32))
    depthwise = ir.Conv2D(padding=ir.Padding2D(1, 1, 1, 1), groups=256)
    yield "3x3 depthwise 28x28x256, 16x8", "tflite", _graph(depthwise, [(1, 28, 28, 256)], wide, (256, 3, 3, 1))
    up, large = ir.TransposeConv2D((2, 2)), (1, 56, 56, 64)
    yield (
        "transposed 3x3 / 2, 28x28x128 -> 64",
        "tflite",
        _graph(up, [(1, 28, 28, 128)], narrow, (64, 3, 3, 128), large),
    )
    yield "the same in float32", "onnxruntime", _graph(up, [(1, 28, 28, 128)], unsigned, (64, 3, 3, 128), large)
    product = [(8, 128, 64), (8, 64, 128)]
    yield "8 products 128x64 by 64x128", "tflite", _graph(ir.MatMul(), product, narrow, None, (8, 128, 128))
    image = (1, 56, 56, 128)
    yield "product of elements 56x56x128", "tflite", _graph(ir.Multiply(), [image, image], narrow, None, image)
    yield (
        "the same by one number for each channel",
        "tflite",
        _graph(ir.Multiply(), [image, (128,)], narrow, None, image),
    )
    yield "sum of 56x56x128, 16 bits", "tflite", _graph(ir.Add(), [image, image], wide, None, image)
    resize, twice = ir.ResizeBilinear(), (1, 56, 56, 64)
    yield "bilinear 28x28x64 -> 56x56", "tflite", _graph(resize, [(1, 28, 28, 64)], narrow, None, twice)
    yield "the same, dequantized", "onnxruntime", _graph(resize, [(1, 28, 28, 64)], unsigned, None, twice)
    pool = ir.AveragePool2D((3, 3), (1, 1), ir.Padding2D(1, 1, 1, 1))
    yield "3x3 average 28x28x128, exact", "paper", _graph(pool, [(1, 28, 28, 128)], narrow, None, (1, 28, 28, 128))
    yield "softmax of 196 x 196", "tflite", _graph(ir.Softmax(), [(196, 196)], narrow, None, (196, 196))


def _graph(
    op: ir.Operator, shapes: list[Shape], codes: ElementType, weights: Shape | None, result: Shape | None = None
) -> Graph:
    """Random weights of sane scale; every activation on one grid, except a softmax's result."""
    rng = np.random.default_rng(0)
    bits, zero = (16, 0) if codes is ElementType.INT16 else (8, 128 if codes is ElementType.UINT8 else -3)
    grid = QuantParams.per_tensor(0.05, zero, bits=bits, signed=codes is not ElementType.UINT8)
    tensors = {f"x{i}": Tensor(f"x{i}", shape, codes, grid) for i, shape in enumerate(shapes)}
    operands, inputs = list(tensors), tuple(tensors)
    if weights:
        scale = 1 / (40.0 * prod(weights[1:]) ** 0.5)
        array = rng.normal(0, 40, weights).round().clip(-127, 127).astype(np.int8)
        per_channel = QuantParams.per_channel([scale] * weights[0], axis=0)
        bias_type = ElementType.INT64 if bits == 16 else ElementType.INT32
        bias = rng.integers(-1000, 1000, weights[0]).astype(bias_type.dtype)
        tensors["w"] = Tensor("w", weights, ElementType.INT8, per_channel, array)
        tensors["b"] = Tensor("b", bias.shape, bias_type, None, bias)
        operands += ["w", "b"]
    quant = QuantParams.per_tensor(1 / 256, -128) if isinstance(op, ir.Softmax) else grid
    tensors["y"] = Tensor("y", result or (*shapes[0][:3], weights[0] if weights else 0), codes, quant)
    return Graph("one", (Node("node", op, tuple(operands), ("y",)),), tensors, inputs, ("y",))


def _compared(graph: Graph, profile: str, times: int) -> tuple[float, float]:
    """Seconds natively, and on kernels of arrays."""
    program = accel_sim.compile(graph, profile=profile)
    native = prepared(program, program.hardware, Level.FUNCTIONAL)
    assert native.operations == (None,) * len(program.commands), "every command is a step"
    again = accel_sim.compile(graph, profile=profile)
    with mock.patch.object(preparing, "available", return_value=False):
        arrays = prepared(again, again.hardware, Level.FUNCTIONAL)
    workers, rng = (native.worker(), arrays.worker()), np.random.default_rng(1)
    for port in program.inputs:
        limits = np.iinfo(port.operand.dtype)
        codes = rng.integers(limits.min, limits.max, port.operand.shape, port.operand.dtype, endpoint=True)
        for worker in workers:
            worker.memory.view(port.operand)[...] = codes
    runs: list[Callable[[], None]] = [lambda w=worker: w.execute(0, len(program.commands)) for worker in workers]
    fastest = [float("inf")] * 2
    for _ in range(times):
        for index, run in enumerate(runs):
            start = time.thread_time()
            run()
            fastest[index] = min(fastest[index], time.thread_time() - start)
    results = [worker.memory.view(program.outputs[0].operand) for worker in workers]
    np.testing.assert_array_equal(*results)
    return fastest[0], fastest[1]


if __name__ == "__main__":
    main()
