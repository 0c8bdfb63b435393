"""accel-sim hw."""

import click

from accel_sim.cli.files import output_files
from accel_sim.cli.options import hardware_of, json_option
from accel_sim.cli.output import show, write_json
from accel_sim.hardware import load_hardware, preset_names, to_toml


@click.command("hw")
@click.argument("preset", metavar="[PRESET|FILE.toml]", required=False)
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one key, e.g. grid.rows=128. Repeatable."
)
@json_option
def hw_command(preset: str | None, overrides: tuple[str, ...], json_path: str | None) -> int:
    """List the accelerators, or print one as TOML: a file to start an accelerator of your own from.

    Beside each key stand its unit and range, or its choices.
    """
    if preset is None and (overrides or json_path):
        raise click.UsageError("--set and --json need a PRESET or a FILE.toml")
    if preset is None:
        from accel_sim.report.terminal.hardware import hardware_page

        show(hardware_page(load_hardware(name) for name in preset_names()))
        return 0
    with output_files((preset,), json=json_path) as files:
        config = hardware_of(preset, overrides)
        write_json(config, files)
        click.echo(to_toml(config, explained=True), nl=False)
    return 0
