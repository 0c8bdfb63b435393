"""The facade: load, quantize, compile, run, compare, overflow; a file for each kind of question.

Everything slow to import (the kernels, the file formats, the analyses) is imported where it is used.
"""

from accel_sim.api.comparing import compare, compare_profiles
from accel_sim.api.files import (
    apply_encodings,
    inspect,
    load,
    load_encodings,
    load_without_weights,
    write_encodings,
    write_onnx,
)
from accel_sim.api.looking import golden_vectors, timeline, topology_timeline, waveform
from accel_sim.api.overflowing import certify, check_certificates, count_overflow, overflow
from accel_sim.api.quantizing import debug, quantize, quantize_with_report
from accel_sim.api.running import compile, provenance, run

__all__ = [
    "apply_encodings",
    "certify",
    "check_certificates",
    "compare",
    "compare_profiles",
    "compile",
    "count_overflow",
    "debug",
    "golden_vectors",
    "inspect",
    "load",
    "load_encodings",
    "load_without_weights",
    "overflow",
    "provenance",
    "quantize",
    "quantize_with_report",
    "run",
    "timeline",
    "topology_timeline",
    "waveform",
    "write_encodings",
    "write_onnx",
]
