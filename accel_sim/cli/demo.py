"""accel-sim demo."""

import click
import numpy as np
from numpy.typing import NDArray

from accel_sim import api, demo_data
from accel_sim.analysis.mismatch.run import Comparison
from accel_sim.analysis.overflow.report import analyze_overflow
from accel_sim.analysis.samples import stored
from accel_sim.cli.files import output_files
from accel_sim.cli.options import hardware_of, hardware_options, json_option, threads_option
from accel_sim.cli.output import publish
from accel_sim.cli.progress import stage
from accel_sim.hardware import AcceleratorConfig
from accel_sim.numerics.profiles import PROFILES
from accel_sim.report.demonstration import Accuracies, DemoReport
from accel_sim.report.run_report import RunReport
from accel_sim.sim.result import Level

_PROFILE = "tflite"  # what microcontrollers and most NPUs compute


@click.command("demo")
@hardware_options
@threads_option
@json_option
def demo_command(hw: str, overrides: tuple[str, ...], threads: int | None, json_path: str | None) -> int:
    """Quantize the bundled network, run 360 handwritten digits on the simulated accelerator, and judge the result."""
    hardware = hardware_of(hw, overrides)
    with output_files((hw,), json=json_path) as files:
        publish(_demonstrate(hardware, threads), files)
    return 0


def _demonstrate(hardware: AcceleratorConfig, threads: int | None) -> DemoReport:
    from accel_sim.quantization.float_runner import FloatRunner

    images, labels = demo_data.heldout()
    with stage("quantizing"):
        network = api.load(demo_data.network_path())
        quantized = api.quantize(network, demo_data.calibration(), "fast")
        inputs, source = {quantized.inputs[0]: images}, f"{len(images)} held-out digits"
    with stage("compiling"):
        program = api.compile(quantized, hardware, _PROFILE)
        # causes of differences would take as long again; `accel-sim compare` finds them
        comparison = Comparison(quantized, hardware, PROFILES[_PROFILE], explain=False, labels=labels)
    with stage("running") as advance:
        result = api.run(program, inputs, Level.CYCLE, keep=comparison.tensors, threads=threads, progress=advance)
    with stage("comparing"):
        comparison.add_result(inputs, result)
        mismatch = comparison.report(source, result.samples)
        floating = dict(FloatRunner(network).tensors(stored(network, inputs)))[network.outputs[0]]
    assert mismatch.accuracy is not None
    provenance = api.provenance(program, source)
    return DemoReport(
        Accuracies(_top1(floating, labels), mismatch.accuracy.simulated, mismatch.accuracy.machine),
        RunReport(provenance, result),
        mismatch,
        analyze_overflow(quantized, PROFILES[_PROFILE], provenance, run=result),
    )


def _top1(scores: NDArray[np.generic], labels: NDArray[np.int64]) -> float:
    """Share of samples whose largest score is at their label."""
    return float(np.mean(scores.reshape(len(labels), -1).argmax(1) == labels))
