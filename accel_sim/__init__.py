"""Bit-exact and cycle-accurate simulation of integer neural-network hardware.

    graph   = accel_sim.load("net.tflite")                     # or .onnx; a path or the file's bytes
    graph   = accel_sim.quantize(graph, calibration)           # for a float network
    program = accel_sim.compile(graph, hardware="edge-16x16")
    result  = accel_sim.run(program, inputs)                   # exact codes, cycles, accumulators
    accel_sim.compare(graph, inputs)                           # integer machine against fake-quant simulation
    accel_sim.overflow(graph, inputs)                          # which accumulators can overflow

README.md in this folder is the guide to the code, layer by layer.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from accel_sim.version import __version__

if TYPE_CHECKING:
    from accel_sim.analysis.causes.cause import Cause
    from accel_sim.analysis.debug.flow import DebugReport
    from accel_sim.analysis.mismatch.profiles import ProfileReport
    from accel_sim.analysis.mismatch.report import MismatchReport, TensorMismatch
    from accel_sim.analysis.overflow.certificates import Certificate
    from accel_sim.analysis.overflow.counts import LayerCounts, OverflowCounts, StructureCounts
    from accel_sim.analysis.overflow.report import LayerOverflow, OverflowReport
    from accel_sim.analysis.samples import random_inputs
    from accel_sim.api import (
        apply_encodings,
        certify,
        check_certificates,
        compare,
        compare_profiles,
        compile,
        count_overflow,
        debug,
        golden_vectors,
        inspect,
        load,
        load_encodings,
        overflow,
        quantize,
        quantize_with_report,
        run,
        timeline,
        topology_timeline,
        waveform,
        write_encodings,
        write_onnx,
    )
    from accel_sim.errors import (
        AccelSimError,
        CompileError,
        Fault,
        GraphError,
        HardwareError,
        InputError,
        ModelError,
        ProgramError,
        QuantizationError,
        UnsupportedModelError,
    )
    from accel_sim.frontend.encodings import Encodings
    from accel_sim.hardware import AcceleratorConfig, load_hardware, preset_names, resolve_structure, structure_names
    from accel_sim.ir import Graph, Node, QuantParams, Tensor
    from accel_sim.numerics.profiles import PROFILES, Profile, get_profile
    from accel_sim.program import Program
    from accel_sim.quantization import QuantizationReport, Quantized, Recipe
    from accel_sim.report.html import to_html
    from accel_sim.report.json_form import to_json
    from accel_sim.report.run_report import RunReport
    from accel_sim.report.terminal.pages import to_text
    from accel_sim.sim.machine import Machine
    from accel_sim.sim.result import LayerResult, Level, RunResult

# What is not used is not imported: `import accel_sim` costs nothing, the kernels come with the first run.
_MODULES = {
    "accel_sim.analysis.causes.cause": ["Cause"],
    "accel_sim.analysis.debug.flow": ["DebugReport"],
    "accel_sim.analysis.overflow.certificates": ["Certificate"],
    "accel_sim.analysis.mismatch.report": ["MismatchReport", "TensorMismatch"],
    "accel_sim.analysis.mismatch.profiles": ["ProfileReport"],
    "accel_sim.analysis.overflow.report": ["LayerOverflow", "OverflowReport"],
    "accel_sim.analysis.overflow.counts": ["LayerCounts", "OverflowCounts", "StructureCounts"],
    "accel_sim.analysis.samples": ["random_inputs"],
    "accel_sim.api": [
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
        "quantize",
        "quantize_with_report",
        "run",
        "timeline",
        "topology_timeline",
        "waveform",
        "write_encodings",
        "write_onnx",
    ],
    "accel_sim.errors": [
        "AccelSimError",
        "CompileError",
        "Fault",
        "GraphError",
        "HardwareError",
        "InputError",
        "ModelError",
        "ProgramError",
        "QuantizationError",
        "UnsupportedModelError",
    ],
    "accel_sim.frontend.encodings": ["Encodings"],
    "accel_sim.hardware": [
        "AcceleratorConfig",
        "load_hardware",
        "preset_names",
        "resolve_structure",
        "structure_names",
    ],
    "accel_sim.ir": ["Graph", "Node", "QuantParams", "Tensor"],
    "accel_sim.numerics.profiles": ["PROFILES", "Profile", "get_profile"],
    "accel_sim.program": ["Program"],
    "accel_sim.quantization": ["QuantizationReport", "Quantized", "Recipe"],
    "accel_sim.report.html": ["to_html"],
    "accel_sim.report.json_form": ["to_json"],
    "accel_sim.report.run_report": ["RunReport"],
    "accel_sim.report.terminal.pages": ["to_text"],
    "accel_sim.sim.machine": ["Machine"],
    "accel_sim.sim.result": ["LayerResult", "Level", "RunResult"],
}
_ORIGIN = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "PROFILES",
    "AccelSimError",
    "AcceleratorConfig",
    "Cause",
    "Certificate",
    "CompileError",
    "DebugReport",
    "Encodings",
    "Fault",
    "Graph",
    "GraphError",
    "HardwareError",
    "InputError",
    "LayerCounts",
    "LayerOverflow",
    "LayerResult",
    "Level",
    "Machine",
    "MismatchReport",
    "ModelError",
    "Node",
    "OverflowCounts",
    "OverflowReport",
    "Profile",
    "ProfileReport",
    "Program",
    "ProgramError",
    "QuantParams",
    "QuantizationError",
    "QuantizationReport",
    "Quantized",
    "Recipe",
    "RunReport",
    "RunResult",
    "StructureCounts",
    "Tensor",
    "TensorMismatch",
    "UnsupportedModelError",
    "__version__",
    "apply_encodings",
    "certify",
    "check_certificates",
    "compare",
    "compare_profiles",
    "compile",
    "count_overflow",
    "debug",
    "get_profile",
    "golden_vectors",
    "inspect",
    "load",
    "load_encodings",
    "load_hardware",
    "load_without_weights",
    "overflow",
    "preset_names",
    "quantize",
    "quantize_with_report",
    "random_inputs",
    "resolve_structure",
    "run",
    "structure_names",
    "timeline",
    "to_html",
    "to_json",
    "to_text",
    "topology_timeline",
    "waveform",
    "write_encodings",
    "write_onnx",
]


def __getattr__(name: str) -> object:
    if name not in _ORIGIN:
        raise AttributeError(f"module 'accel_sim' has no attribute {name!r}")
    value = getattr(import_module(_ORIGIN[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
