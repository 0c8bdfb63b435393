"""Which constant of the ONNX file a constant of a graph in canonical form is.

Canonical form gives constants that it changes new names: `.folded` behind a weight or bias that took in a batch norm,
`.rows` behind a matrix [K, N] that became the weights [N, K] of a fully connected layer, and quantization `@node.slot`
behind one that several operators read. AIMET folds in place: encodings use the file's names.
"""

import re
from pathlib import Path

from accel_sim.errors import ModelError
from accel_sim.ir import Tensor

_ADDED = re.compile(r"(\.folded|\.rows)(_\d+)?$|@.*\.\d+$")
_MADE = re.compile(r"\.bias\.folded(_\d+)?(@|$)")
_TURNED = re.compile(r"\.rows(_\d+)?(\.folded|@|$)")


def file_name(tensor: Tensor) -> str:
    """The name that the file has for a constant, or for an activation."""
    name = tensor.name
    while tensor.is_constant and _ADDED.search(name):
        name = _ADDED.sub("", name)
    return name


def file_axis(tensor: Tensor, axis: int) -> int:
    """A stored axis as the file counts it."""
    if is_turned(tensor):
        return 1 - axis
    return tensor.file_axes[axis] if tensor.file_axes else axis


def is_made(tensor: Tensor) -> bool:
    """Whether folding a batch norm made this bias, so that the file has none of its name."""
    return tensor.is_constant and bool(_MADE.search(tensor.name))


def is_turned(tensor: Tensor) -> bool:
    """Whether a matrix is stored transposed."""
    return tensor.is_constant and bool(_TURNED.search(tensor.name))


def names_in_file(source: str | Path | bytes) -> frozenset[str]:
    """Every value that an ONNX file names, those included that reading it folds away; none of other files."""
    from accel_sim.frontend.onnx.proto import read_model  # protobuf, only where a file is read

    data = source if isinstance(source, bytes) else Path(source).read_bytes()
    try:
        model = read_model(data, "model", with_weights=False)
    except ModelError:
        return frozenset()
    made = {name for node in model.nodes for name in node.outputs}
    return frozenset(made | set(model.constants) | {value.name for value in model.inputs})
