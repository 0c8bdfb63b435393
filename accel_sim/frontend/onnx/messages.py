"""The messages of an ONNX file: the module that protobuf generated for package onnx, without the rest of the package.

Importing `onnx` itself brings in composition, a model hub, text formats and number types that reading a file does not
need; they take a sixth of a short run.
"""

from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

_GENERATED = "onnx_ml_pb2"


def _generated() -> ModuleType:
    """A module object of our own, that the package knows nothing of; protobuf keeps one class for each message."""
    package = find_spec("onnx")  # does not import it
    folder = Path(package.origin).parent if package and package.origin else None
    path = folder / f"{_GENERATED}.py" if folder else None
    spec = spec_from_file_location(_GENERATED, path) if path and path.is_file() else None
    if spec is None or spec.loader is None:
        return import_module(f"onnx.{_GENERATED}")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_messages = _generated()
ModelProto, TensorProto, AttributeProto = _messages.ModelProto, _messages.TensorProto, _messages.AttributeProto
