"""accel-sim quantize."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from accel_sim import api
from accel_sim.cli.files import OutputFile, output_files, save_bytes
from accel_sim.cli.options import json_option, report_option
from accel_sim.cli.output import publish
from accel_sim.cli.progress import stage

if TYPE_CHECKING:
    from accel_sim.quantization import Quantized

_DEFAULT_RECIPE = "standard"


@click.command("quantize")
@click.argument("model", metavar="FLOAT.onnx")
@click.option(
    "--calibration",
    metavar="X.npz|X.npy|FOLDER",
    help="Real inputs, float32: one array per model input, first axis = samples; or a folder of .npy or .npz files, "
    "read one after the other.",
)
@click.option("--output", required=True, metavar="Q.onnx", help="The quantized network, as an ONNX file.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["qdq", "qoperator"]),
    default="qdq",
    show_default=True,
    help="Float operators between quantizers, or integer operators (QLinearConv, ...).",
)
@click.option(
    "--recipe",
    metavar="NAME|FILE.toml",
    help="How grids and ranges are chosen: standard, fast, data-free, minmax, or a file.  "
    f"[default: {_DEFAULT_RECIPE}]",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override one key of the recipe, e.g. weights.bits=4. Repeatable.",
)
@click.option(
    "--encodings",
    metavar="FILE.json",
    help="AIMET encodings of the network: its grids are taken from there, in place of calibration and recipe.",
)
@click.option("--export-encodings", metavar="FILE.json", help="Write the grids as AIMET encodings.")
@click.option(
    "--encodings-version",
    type=click.Choice(["0.6.1", "1.0.0", "2.0.0", "2.1.0"]),
    help="Of --export-encodings.  [default: 2.0.0, or that of --encodings]",
)
@click.option(
    "--export-float",
    metavar="FILE.onnx",
    help="Write the float network that the encodings belong to: equalized, weights as rounded, biases corrected.",
)
@json_option
@report_option
def quantize_command(
    model: str,
    calibration: str | None,
    output: str,
    form: str,
    recipe: str | None,
    overrides: tuple[str, ...],
    encodings: str | None,
    export_encodings: str | None,
    encodings_version: str | None,
    export_float: str | None,
    json_path: str | None,
    report_path: str | None,
) -> int:
    """Quantize a float network after training, and write it for ONNX Runtime and for this simulator."""
    _refuse_contradictions(encodings, {"--calibration": calibration, "--recipe": recipe, "--set": overrides})
    if encodings_version and not export_encodings:
        raise click.UsageError("--encodings-version says what --export-encodings FILE writes")
    outputs = {
        "output": output,
        "export-encodings": export_encodings,
        "export-float": export_float,
        "json": json_path,
        "report": report_path,
    }
    with output_files((model, calibration, recipe, encodings), **outputs) as files:
        if encodings is None:
            quantized = _by_recipe(model, calibration, recipe or _DEFAULT_RECIPE, overrides)
        else:
            with stage("quantizing"):
                quantized = api.apply_encodings(model, encodings)
                encodings_version = encodings_version or api.load_encodings(encodings).version
        contents, losses = _contents(quantized, form, encodings_version or "2.0.0", files)
        for name, content in contents.items():
            files[name].write(save_bytes(content))
        publish(quantized.report, files)
        count, size = len(quantized.graph.nodes), len(contents["output"])
        click.echo(f"\n{output}: {count} operators quantized, {size:,} bytes")
        for line in losses:
            click.echo(f"{export_encodings}: does not say {line}")
    return 0


def _refuse_contradictions(encodings: str | None, others: Mapping[str, object]) -> None:
    given = [name for name, value in others.items() if value]
    if encodings is not None and given:
        raise click.UsageError(f"--encodings gives all grids: {', '.join(given)} would have nothing to do")


def _by_recipe(model: str, calibration: str | None, recipe: str, overrides: tuple[str, ...]) -> "Quantized":
    with stage(f"reading {model}"):
        graph = api.load(model)
    with stage("quantizing") as advance:
        return api.quantize_with_report(
            graph,
            None if calibration is None else Path(calibration),
            recipe,
            overrides=overrides,
            progress=lambda _, done, total: advance(done, total or 0),
        )


def _contents(
    quantized: "Quantized", form: str, version: str, files: Mapping[str, OutputFile]
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """What each file holds, all made before any is written; and what the encodings leave unsaid."""
    with stage("writing the network"):
        made = {"output": api.write_onnx(quantized.graph, form=form)}
        losses: tuple[str, ...] = ()
        if "export-encodings" in files:
            text, losses = api.write_encodings(quantized.graph, version)
            made["export-encodings"] = text.encode()
            if "export-float" not in files:
                losses += _unsaid_changes(quantized)
        if "export-float" in files:
            made["export-float"] = api.write_onnx(quantized.adjusted, form="float")
    return made, losses


def _unsaid_changes(quantized: "Quantized") -> tuple[str, ...]:
    """The steps that changed the network itself, which is not in encodings."""
    changing = {"cross-layer equalization", "bias absorption", "AdaRound", "bias correction"}
    found = [step.name for step in quantized.report.steps if step.name in changing]
    if not found:
        return ()
    return (f"what {', '.join(found)} did to weights and biases: --export-float FILE.onnx writes the network with it",)
