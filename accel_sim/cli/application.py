"""The group of commands."""

import click

from accel_sim.cli.compare import compare_command
from accel_sim.cli.debug import debug_command
from accel_sim.cli.demo import demo_command
from accel_sim.cli.hw import hw_command
from accel_sim.cli.inspect import inspect_command
from accel_sim.cli.overflow import overflow_command
from accel_sim.cli.quantize import quantize_command
from accel_sim.cli.run import run_command
from accel_sim.cli.vectors import vectors_command
from accel_sim.version import __version__


@click.group("accel-sim", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="accel-sim")
def application() -> None:
    """Run quantized neural networks on simulated integer hardware: exact integers, overflow, cycles."""


for command in (
    demo_command,
    inspect_command,
    run_command,
    vectors_command,
    compare_command,
    overflow_command,
    quantize_command,
    debug_command,
    hw_command,
):
    application.add_command(command)


def execute(arguments: list[str]) -> int:
    """Parse and run a command line; the command's exit code. Exceptions are `boundary`'s."""
    with application.make_context("accel-sim", list(arguments)) as context:
        return int(application.invoke(context) or 0)
