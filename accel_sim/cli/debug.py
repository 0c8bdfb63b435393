"""accel-sim debug."""

from pathlib import Path

import click

from accel_sim import api
from accel_sim.cli.files import output_files
from accel_sim.cli.options import json_option, labels_option, read_labels, report_option
from accel_sim.cli.output import publish
from accel_sim.cli.progress import stage


@click.command("debug")
@click.argument("model", metavar="FLOAT.onnx")
@click.option(
    "--calibration", required=True, metavar="X.npz|X.npy|FOLDER", help="Real inputs, float32, for quantization."
)
@click.option(
    "--inputs",
    metavar="X.npz|X.npy|FOLDER",
    help="Inputs that networks are judged on.  [default: the calibration data]",
)
@labels_option
@click.option("--recipe", default="standard", show_default=True, metavar="NAME|FILE.toml", help="What is debugged.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one key of the recipe.")
@click.option(
    "--samples",
    "most_samples",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    metavar="N",
    help="Inputs that are used at most.",
)
@click.option("--journal", metavar="FILE", help="Keeps every result, so that the flow resumes where it stopped.")
@json_option
@report_option
def debug_command(
    model: str,
    calibration: str,
    inputs: str | None,
    labels_path: str | None,
    recipe: str,
    overrides: tuple[str, ...],
    most_samples: int,
    journal: str | None,
    json_path: str | None,
    report_path: str | None,
) -> int:
    """Find out where a quantized network loses accuracy, and what helps (figure 9 of the white paper)."""
    from accel_sim.quantization import get_recipe

    with output_files(
        (model, calibration, inputs, labels_path, recipe, journal), json=json_path, report=report_path
    ) as files:
        with stage(f"reading {model}"):
            graph = api.load(model)
            data = Path(calibration)
            judged = data if inputs is None else Path(inputs)
        with stage("debugging") as advance:
            report = api.debug(
                graph,
                data,
                judged,
                get_recipe(recipe, overrides),
                labels=read_labels(labels_path) if labels_path else None,
                most_samples=most_samples,
                journal=journal,
                progress=advance,
            )
        publish(report, files)
    return 0 if report.is_sane else 1
