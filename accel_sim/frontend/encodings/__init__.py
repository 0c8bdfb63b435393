"""AIMET encodings: the grids of a network's tensors as a JSON file beside the float network.

Versions 0.6.1, 1.0.0, 2.0.0 and 2.1.0, as aimet-onnx 2.42 reads and writes them (`aimet_onnx/_encoding.py`,
`Docs/techniques/encoding_spec.rst`). Their common rule is x_q = clamp(round(x / scale - offset)): the offset is the
negative zero point of codes that count from 0.
"""

from accel_sim.frontend.encodings.from_graph import encodings_of
from accel_sim.frontend.encodings.names import names_in_file
from accel_sim.frontend.encodings.read import load_encodings, parse_encodings
from accel_sim.frontend.encodings.records import VERSIONS, Encoding, Encodings, Role
from accel_sim.frontend.encodings.resolve import Resolved, resolve
from accel_sim.frontend.encodings.write import encodings_text, losses

__all__ = [
    "VERSIONS",
    "Encoding",
    "Encodings",
    "Resolved",
    "Role",
    "encodings_of",
    "encodings_text",
    "load_encodings",
    "losses",
    "names_in_file",
    "parse_encodings",
    "resolve",
]
