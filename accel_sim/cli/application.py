"""The group of commands; each command's module is imported when the command is asked for."""

from importlib import import_module

import click

from accel_sim.version import __version__

_COMMANDS = {
    "demo": "Quantize the bundled network, run it on digits, judge the result.",
    "inspect": "List a model's operators, shapes, grids, and what is unsupported.",
    "run": "Run a quantized model on the simulated accelerator.",
    "vectors": "Write golden vectors of one layer, for test benches of hardware.",
    "compare": "Compare the accelerator's integers with float fake-quant.",
    "overflow": "Prove which accumulators cannot overflow, count in the others.",
    "quantize": "Quantize a float network after training, and write it as ONNX.",
    "debug": "Find out where a quantized network loses accuracy, what helps.",
    "hw": "List the accelerators, or print one as TOML, to start from.",
}
"""In the order of the help page: `NAME` is `NAME_command` of the module `accel_sim.cli.NAME`."""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"accel_sim.cli.{cmd_name}"), f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Without importing the commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group("accel-sim", cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="accel-sim")
def application() -> None:
    """Run quantized neural networks on simulated integer hardware: exact integers, overflow, cycles."""


def execute(arguments: list[str]) -> int:
    """Parse and run a command line; the command's exit code. Exceptions are `boundary`'s."""
    with application.make_context("accel-sim", list(arguments)) as context:
        return int(application.invoke(context) or 0)
