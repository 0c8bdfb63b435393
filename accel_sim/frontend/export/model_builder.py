"""An ONNX model under construction: nodes, initializers, unique value names."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from accel_sim.ir import ElementType

_ONNX_TYPES = {
    ElementType.FLOAT32: TensorProto.FLOAT,
    ElementType.INT8: TensorProto.INT8,
    ElementType.UINT8: TensorProto.UINT8,
    ElementType.INT16: TensorProto.INT16,
    ElementType.UINT16: TensorProto.UINT16,
    ElementType.INT32: TensorProto.INT32,
    ElementType.INT64: TensorProto.INT64,
}


class ModelBuilder:
    """Collects nodes in order. Values are named by strings; every method that makes one returns its name."""

    def __init__(self, opset: int, reserved: Iterable[str], titles: Iterable[str]) -> None:
        """Only `node(..., output=)` may give a value a name from `reserved`, only `title=` a node one from `titles`."""
        self.opset = opset
        self._taken = set(reserved)
        self._titles = set(titles)
        self._named: set[str] = set()
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        *,
        wish: str,
        output: str | None = None,
        title: str = "",
        **attributes: Any,
    ) -> str:
        """Append a node with one result, and return the result's name: `output`, or a unique one like `wish`.

        `operator` has its domain in front where it is not ONNX's own ("com.microsoft.QGemm"). `title` is the node's own
        name; otherwise it is named after its result.
        """
        result = self.fresh(wish) if output is None else output
        domain, _, plain = operator.rpartition(".")
        name = title or _fresh(f"{result}/{plain}", self._titles)
        made = helper.make_node(plain, list(inputs), [result], name=name, domain=domain or None, **attributes)
        self.nodes.append(made)
        return result

    def named(self, value: str, name: str) -> str:
        """The value under a name of its own: its node's result is renamed if nothing has read it, else copied."""
        made = self.nodes[-1] if self.nodes else None
        if made is None or list(made.output) != [value] or value in self._named:
            return self.node("Identity", [value], wish=name, output=self._own(name))
        made.output[0] = self._own(name)
        return name

    def _own(self, name: str) -> str:
        self._named.add(name)
        return name

    def constant(self, values: NDArray[np.generic], wish: str) -> str:
        """An initializer with these contents; equal contents share one."""
        key = (str(values.dtype), values.shape, values.tobytes())
        if key not in self._constants:
            self._constants[key] = self.unshared_constant(values, wish)
        return self._constants[key]

    def unshared_constant(self, values: NDArray[np.generic], wish: str) -> str:
        """An initializer of its own, for constants that ONNX Runtime rewrites: it refuses to where they are shared."""
        name = self.fresh(wish)
        self.initializers.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def integers(self, values: Iterable[int], wish: str) -> str:
        """An int64 vector, as shapes, axes and pads are given."""
        return self.constant(np.array(list(values), np.int64), wish)

    def fresh(self, wish: str) -> str:
        """The wished name, or the first unused one with a number behind it; it is taken from now on."""
        return _fresh(wish, self._taken)

    def serialized(
        self, name: str, inputs: Sequence[Any], outputs: Sequence[Any], metadata: Mapping[str, str]
    ) -> bytes:
        """The model as bytes, after ONNX's own checker has accepted it."""
        graph = helper.make_graph(self.nodes, name, list(inputs), list(outputs), self.initializers)
        further = sorted({node.domain for node in self.nodes} - {""})
        versions = [helper.make_opsetid("", self.opset), *(helper.make_opsetid(domain, 1) for domain in further)]
        model = helper.make_model(graph, opset_imports=versions, producer_name="accel_sim")
        model.ir_version = (
            10 if self.opset >= 21 else 7
        )  # the oldest that knows the opset: the file runs on old runtimes too
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString(deterministic=True))


def _fresh(wish: str, taken: set[str]) -> str:
    name, number = wish, 1
    while name in taken:
        name, number = f"{wish}_{number}", number + 1
    taken.add(name)
    return name


def value_info(name: str, element: ElementType, shape: Sequence[int | str]) -> Any:
    """The declaration of an input or output; a string axis is symbolic."""
    return helper.make_tensor_value_info(name, _ONNX_TYPES[element], list(shape))
