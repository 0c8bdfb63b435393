"""accel-sim inspect."""

import click

from accel_sim import api
from accel_sim.cli.boundary import DONE, USER_ERROR
from accel_sim.cli.files import output_files
from accel_sim.cli.options import hardware_of, json_option, machine_options, model_argument
from accel_sim.cli.output import publish
from accel_sim.cli.progress import stage


@click.command("inspect")
@model_argument
@machine_options
@json_option
def inspect_command(model: str, hw: str, overrides: tuple[str, ...], profile: str | None, json_path: str | None) -> int:
    """List MODEL's operators, shapes and grids, what each runs on, and everything unsupported.

    Exits with 2 where MODEL cannot run.
    """
    hardware = hardware_of(hw, overrides)
    with output_files((model, hw), json=json_path) as files:
        with stage(f"reading {model}"):
            inspection = api.inspect(model, hardware, profile)
        publish(inspection, files)
    if inspection.unsupported:
        broken = len(inspection.unsupported)
        rules = "1 rule is" if broken == 1 else f"{broken} rules are"
        click.echo(f"error: {model}: cannot run, {rules} broken", err=True)
        return USER_ERROR
    return DONE
