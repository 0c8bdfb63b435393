"""accel-sim quantize."""

from pathlib import Path

import click

from accel_sim import api
from accel_sim.cli.files import output_files, read_npz, save_bytes
from accel_sim.cli.options import json_option
from accel_sim.cli.output import publish
from accel_sim.cli.progress import stage


@click.command("quantize")
@click.argument("model", metavar="FLOAT.onnx")
@click.option(
    "--calibration",
    metavar="X.npz|FOLDER",
    help="Real inputs, float32: one array per model input, first axis = samples; or a folder of .npy files.",
)
@click.option("--output", required=True, metavar="Q.onnx", help="The quantized network, as a QDQ ONNX file.")
@click.option(
    "--recipe",
    default="standard",
    show_default=True,
    metavar="NAME|FILE.toml",
    help="How grids and ranges are chosen: standard, fast, data-free, minmax, or a file.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override one key of the recipe, e.g. weights.bits=4. Repeatable.",
)
@json_option
def quantize_command(
    model: str, calibration: str | None, output: str, recipe: str, overrides: tuple[str, ...], json_path: str | None
) -> int:
    """Quantize a float network after training, and write it for ONNX Runtime and for this simulator."""
    with output_files((model, calibration, recipe), output=output, json=json_path) as files:
        with stage(f"reading {model}"):
            graph = api.load(model)
            is_folder = calibration is not None and Path(calibration).is_dir()
            data = Path(calibration) if calibration and is_folder else read_npz(calibration) if calibration else None
        with stage("quantizing") as advance:
            quantized = api.quantize_with_report(
                graph,
                data,
                recipe,
                overrides=overrides,
                progress=lambda _, done, total: advance(done, total or 0),
            )
            content = api.write_onnx(quantized.graph)
        files["output"].write(save_bytes(content))
        publish(quantized.report, files)
        click.echo(f"\n{output}: {len(quantized.graph.nodes)} operators quantized, {len(content):,} bytes")
    return 0
