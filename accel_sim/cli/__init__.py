"""The command line: arguments, exit codes, progress; nothing else."""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """The command `accel-sim`."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line; its exit code (`boundary` lists them)."""
    from accel_sim.cli.application import execute
    from accel_sim.cli.boundary import guard

    return guard(lambda: execute(arguments))
