"""Float graphs for tests, built by hand: stored NHWC, inputs and outputs in the axis order of an ONNX file."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from accel_sim.ir import BatchNorm, ElementType, Graph, ModelFormat, Node, Operator, Tensor

NCHW = (0, 2, 3, 1)


class FloatGraph:
    """Collects tensors and nodes; every method that makes a tensor returns its name."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self._tensors: dict[str, Tensor] = {}
        self._nodes: list[Node] = []
        self._inputs: list[str] = []

    def input(self, name: str, shape: Sequence[int]) -> str:
        axes = NCHW if len(shape) == 4 else ()
        self._inputs.append(name)
        return self._tensor(Tensor(name, tuple(shape), ElementType.FLOAT32, file_axes=axes))

    def constant(self, values: NDArray[np.floating] | Sequence[float] | float, name: str = "constant") -> str:
        data = np.ascontiguousarray(values, np.float32).reshape(np.shape(values))
        return self._tensor(Tensor(self._fresh(name), data.shape, ElementType.FLOAT32, None, data))

    def normal(self, *shape: int, scale: float = 1.0) -> str:
        return self.constant(self.random.normal(0, scale, shape), "normal")

    def op(
        self,
        op: Operator,
        *inputs: str,
        shape: Sequence[int],
        name: str = "",
        element: ElementType = ElementType.FLOAT32,
    ) -> str:
        axes = NCHW if len(shape) == 4 else ()
        output = self._tensor(Tensor(name or self._fresh(op.name.lower()), tuple(shape), element, file_axes=axes))
        self._nodes.append(Node(f"node_{output}", op, inputs, (output,)))
        return output

    def batchnorm(self, x: str, name: str = "", **fixed: NDArray[np.floating]) -> str:
        channels = self._tensors[x].shape[-1]
        values = {
            "gamma": self.random.uniform(0.5, 2.0, channels),
            "beta": self.random.normal(0, 1, channels),
            "mean": self.random.normal(0, 1, channels),
            "variance": self.random.uniform(0.2, 3.0, channels),
        } | fixed
        parameters = [self.constant(v, f"{x}_{k}") for k, v in values.items()]
        return self.op(BatchNorm(1e-3), x, *parameters, shape=self._tensors[x].shape, name=name)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._tensors[name].shape

    def graph(self, *outputs: str) -> Graph:
        return Graph(
            "test", tuple(self._nodes), self._tensors, tuple(self._inputs), outputs, ModelFormat.ONNX, "digest"
        )

    def _tensor(self, tensor: Tensor) -> str:
        self._tensors[tensor.name] = tensor
        return tensor.name

    def _fresh(self, wish: str) -> str:
        number = 0
        while f"{wish}{number}" in self._tensors:
            number += 1
        return f"{wish}{number}"


def random_inputs(graph: Graph, seed: int = 0, samples: int = 1) -> list[dict[str, NDArray[np.float32]]]:
    """Normal inputs in stored layout, one dictionary per sample."""
    random = np.random.default_rng(seed)
    return [
        {n: random.normal(0, 1, graph.tensors[n].shape).astype(np.float32) for n in graph.inputs}
        for _ in range(samples)
    ]


def operators(graph: Graph) -> list[str]:
    """The operators' names in order."""
    return [n.op.name for n in graph.nodes]
