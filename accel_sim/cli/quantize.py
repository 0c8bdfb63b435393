"""accel-sim quantize."""

import click

from accel_sim import api
from accel_sim.cli.files import output_files, read_npz, save_bytes
from accel_sim.cli.progress import stage


@click.command("quantize")
@click.argument("model", metavar="FLOAT.onnx")
@click.option(
    "--calibration",
    required=True,
    metavar="X.npz",
    help="Real inputs, float32: one array per model input, first axis = samples.",
)
@click.option("--output", required=True, metavar="Q.onnx", help="The quantized network, as a QDQ ONNX file.")
@click.option(
    "--recipe", default="standard", show_default=True, metavar="NAME|FILE.toml", help="How grids and ranges are chosen."
)
def quantize_command(model: str, calibration: str, output: str, recipe: str) -> int:
    """Quantize a float network after training, and write it for ONNX Runtime and for this simulator."""
    with output_files((model, calibration, recipe), output=output) as files:
        with stage(f"reading {model}"):
            graph = api.load(model)
            arrays = read_npz(calibration)
        with stage("quantizing"):
            quantized = api.quantize(graph, arrays, recipe)
            content = api.write_onnx(quantized)
        files["output"].write(save_bytes(content))
        click.echo(f"{output}: {len(quantized.nodes)} operators quantized with recipe {recipe}, {len(content):,} bytes")
    return 0
