"""Model files: a path or bytes -> a Graph. The only layer that knows protobuf and flatbuffers.

    graph = load("net.tflite")

The format is told from the contents, never from the name of the file.
"""

from pathlib import Path

from accel_sim.errors import Fault, ModelError
from accel_sim.frontend._limits import MAX_FILE_BYTES
from accel_sim.frontend._listing import ListedOperator, SupportedOperator
from accel_sim.ir import Graph

__all__ = [
    "ListedOperator",
    "SupportedOperator",
    "list_operators",
    "load",
    "load_without_weights",
    "supported_operators",
]

_TFLITE_MARK = slice(4, 8), b"TFL3"
_OTHER_KINDS = {
    b"PK\x03\x04": "a ZIP archive (.keras, .pt, .npz, .zip)",
    b"\x1f\x8b": "a gzip archive",
    b"\x89HDF": "an HDF5 file (.h5)",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"\x93NUMPY": "a NumPy array (.npy)",
    b"\x7fELF": "an executable",
    b"%PDF": "a PDF document",
    b"GGUF": "a GGUF file",
    b"{": "JSON text",
    b"<": "markup text",
    b"version https://git-lfs": "a Git LFS pointer (fetch the file itself)",
}


def load(source: str | Path | bytes) -> Graph:
    """Read a model file.

    Args:
        source: a path, or the file's bytes; .tflite or .onnx by contents.

    Raises:
        ModelError: the file cannot be read, is damaged, contradicts itself or is of another kind; all faults listed.
        UnsupportedModelError: all of its faults are things that are not modelled.
    """
    data, name, directory = _open(source)
    if _is_tflite(data):
        from accel_sim.frontend.tflite import load_tflite

        return load_tflite(data, name)
    _refuse_other_kinds(data, name)
    from accel_sim.frontend.onnx import load_onnx

    return load_onnx(data, name, directory)


def load_without_weights(source: str | Path | bytes) -> tuple[Graph, tuple[str, ...]]:
    """Read an ONNX file that lacks weights: a graph of the right shapes, and the names of what it lacks.

    Missing are weights whose file beside the model is, initializers without data, and graph inputs in the place of
    weights. Something stands in for each, so that the network's time is known; what it computes is not.

    Raises:
        ModelError: as `load`, for everything that is wrong besides. Nothing is missing from a TFLite file.
    """
    data, name, directory = _open(source)
    if _is_tflite(data):
        return load(source), ()
    _refuse_other_kinds(data, name)
    from accel_sim.frontend.onnx import load_onnx

    missing: list[str] = []
    graph = load_onnx(data, name, directory, missing)
    return graph, tuple(missing)


def list_operators(source: str | Path | bytes) -> tuple[ListedOperator, ...]:
    """Every operator of a readable file, in its order, whether or not it is supported.

    Raises:
        ModelError: the file cannot be read, is damaged, or is of another kind.
    """
    data, name, _ = _open(source)
    if _is_tflite(data):
        from accel_sim.frontend.tflite import list_tflite

        return list_tflite(data)
    _refuse_other_kinds(data, name)
    from accel_sim.frontend.onnx import list_onnx

    return list_onnx(data)


def supported_operators() -> tuple[SupportedOperator, ...]:
    """One row for each supported operator of each format; the constraints are the sentences that errors say."""
    from accel_sim.frontend.onnx import supported_onnx
    from accel_sim.frontend.tflite import supported_tflite

    return (*supported_tflite(), *supported_onnx())


def _open(source: str | Path | bytes) -> tuple[bytes, str, Path | None]:
    """The bytes, a name for the network, and where the file lies (None for bytes)."""
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source), "model", None
    path = Path(source)
    subject = f"model {str(path)!r}"
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise ModelError(subject, [Fault("file", f"{size} bytes", f"a model has at most {MAX_FILE_BYTES} bytes")])
        return path.read_bytes(), path.stem, path.parent
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelError(subject, [Fault("file", reason, "a model is a file that can be read")]) from error


def _is_tflite(data: bytes) -> bool:
    place, mark = _TFLITE_MARK
    return data[place] == mark


def _refuse_other_kinds(data: bytes, name: str) -> None:
    kind = "empty" if not data else next((k for start, k in _OTHER_KINDS.items() if data.startswith(start)), None)
    if kind is not None:
        raise ModelError(f"model {name!r}", [Fault("file", kind, "a model is a .tflite or .onnx file")])
