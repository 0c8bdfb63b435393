"""Model files and encodings: read, listed, written."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from accel_sim.analysis.choices import Hardware, check_graph
from accel_sim.arguments import check_path, choice_faults, wrong_kind
from accel_sim.errors import InputError
from accel_sim.hardware import DEFAULT_HARDWARE
from accel_sim.ir import Graph
from accel_sim.numerics.profiles import Profile

if TYPE_CHECKING:
    from accel_sim.frontend.encodings import Encodings
    from accel_sim.quantization import Quantized
    from accel_sim.report.inspection import Inspection


def load(source: str | os.PathLike[str] | bytes) -> Graph:
    """A model file, or its bytes, as a Graph.

    Args:
        source: a .tflite or .onnx file. The content decides, not the name.

    Raises:
        ModelError: not a readable model. UnsupportedModelError: listing everything that is not supported.
        TypeError: neither a path nor bytes.
    """
    from accel_sim.frontend import load as read

    given = _source(source)
    if isinstance(given, bytes):
        return read(given)
    return replace(read(given), name=given.stem)  # a file names its graph "main" at best


def load_without_weights(source: str | os.PathLike[str] | bytes) -> tuple[Graph, tuple[str, ...]]:
    """An ONNX file that lacks weights, as a Graph of the right shapes, and the names of what it lacks.

    Missing are weights whose file beside the model is, initializers without data, and graph inputs in the place of
    weights. Something stands in for each: `compile` and the time of the program mean something, what it computes does
    not. A file that lacks nothing is as `load` has it.

    Args:
        source: an .onnx file, or its bytes.

    Raises:
        ModelError: as `load`, for everything that is wrong besides. TypeError: neither a path nor bytes.
    """
    from accel_sim.frontend import load_without_weights as read

    given = _source(source)
    graph, missing = read(given)
    return (graph if isinstance(given, bytes) else replace(graph, name=given.stem)), missing


def inspect(
    source: str | os.PathLike[str] | bytes, hardware: Hardware = DEFAULT_HARDWARE, profile: str | Profile | None = None
) -> "Inspection":
    """A model file operator by operator: shapes, grids, what each runs on, and everything unsupported.

    Args:
        source: as for `load`.
        hardware: as for `compile`.
        profile: as for `compile`.

    Raises:
        ModelError: a file that cannot be read at all. A readable one that cannot run is listed with its faults.
        TypeError: neither a path nor bytes.
    """
    from accel_sim.report.inspection import inspect_model

    return inspect_model(_source(source), hardware, profile)


def write_onnx(graph: Graph, path: str | os.PathLike[str] | None = None, form: str = "qdq") -> bytes:
    """A graph as an ONNX file: its bytes, written to `path` as well if given.

    Args:
        graph: an integer graph; a float one for "float".
        path: of the file, which appears whole or not at all.
        form: "qdq": float operators between QuantizeLinear / DequantizeLinear pairs. "qoperator": integer operators
            (QLinearConv, ...) on codes. Both give in ONNX Runtime, byte for byte, what the machine computes in profile
            `onnxruntime`. "float": an ordinary network, such as `Quantized.adjusted`.

    Raises:
        InputError: an unknown form. UnsupportedModelError: listing everything that the form cannot say.
        OSError: naming `path`, which cannot be written. TypeError: no Graph, no path.
    """
    from accel_sim.frontend import export

    check_graph(graph)
    writers = {"qdq": export.write_qdq_onnx, "qoperator": export.write_qoperator_onnx, "float": export.write_float_onnx}
    faults = choice_faults("form", form, writers)
    if faults:
        raise InputError("ONNX", faults)
    return writers[form](graph, None if path is None else check_path("path", path, "the file to write"))


def load_encodings(path: str | os.PathLike[str]) -> "Encodings":
    """An AIMET encodings file (JSON) of version 0.6.1, 1.0.0, 2.0.0 or 2.1.0.

    Raises:
        InputError: a file that cannot be read, or is no such file; every fault is listed. TypeError: no path.
    """
    from accel_sim.frontend.encodings import load_encodings as read

    return read(check_path("encodings", path, "an AIMET encodings file"))


def write_encodings(source: "Graph | Encodings", version: str = "2.0.0") -> tuple[str, tuple[str, ...]]:
    """The JSON text of an AIMET encodings file, and what its version cannot say, a line each.

    Encodings hold grids, not how weights were rounded nor biases corrected: the float network that they are read with
    says that. For a network that `quantize` changed it is `Quantized.adjusted` (`write_onnx(..., form="float")`).

    Args:
        source: an integer graph, or encodings.
        version: "0.6.1", "1.0.0", "2.0.0" or "2.1.0".

    Raises:
        InputError: a graph of floats, or listing what the version cannot say at all. TypeError: neither.
    """
    from accel_sim.frontend.encodings import Encodings, encodings_of, encodings_text, losses

    if not isinstance(source, Graph | Encodings):
        raise wrong_kind("source", source, "is a Graph or Encodings")
    encodings = encodings_of(source) if isinstance(source, Graph) else source
    return encodings_text(encodings, version), losses(encodings, version)


def apply_encodings(
    model: "Graph | str | os.PathLike[str] | bytes", encodings: "Encodings | str | os.PathLike[str]"
) -> "Quantized":
    """A float network on the grids of an AIMET encodings file: no calibration.

    Weights are rounded to nearest, biases lie on the accumulators' grids; the report says what was not used.

    Args:
        model: a float graph, or its file. Of a file, encodings may also name values that reading it folds away.
        encodings: from `load_encodings`, or the path.

    Raises:
        InputError: encodings of tensors that do not exist, or that cannot be grids of theirs.
        QuantizationError: a network that cannot be quantized, or tensors without encodings.
    """
    from accel_sim.frontend.encodings import Encodings, names_in_file, resolve
    from accel_sim.quantization.given_grids import canonical_form, quantize_on_grids, weight_axes

    given = encodings if isinstance(encodings, Encodings) else load_encodings(encodings)
    graph = model if isinstance(model, Graph) else load(model)
    known = frozenset() if isinstance(model, Graph) else names_in_file(_source(model))
    canonical = canonical_form(graph)
    found = resolve(graph, canonical, given, weight_axes(canonical), known)
    return quantize_on_grids(canonical, found.grids, f"encodings {given.version}", found.notes)


def _source(model: object) -> Path | bytes:
    return model if isinstance(model, bytes) else check_path("source", model, "a model file, or the file's bytes")
