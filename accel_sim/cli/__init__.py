"""The command line: arguments, exit codes, progress; nothing else."""

import gc
import sys
from typing import NoReturn

_COLLECTED_AFTER = 100_000
"""Objects. Importing makes three quarters of them, which stay: looking through them takes a twentieth of a start."""


def main() -> NoReturn:
    """The command `accel-sim`."""
    gc.set_threshold(_COLLECTED_AFTER)
    code = run(sys.argv[1:])
    gc.freeze()  # the process ends: nothing needs to look for garbage in what it holds
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command line; its exit code (`boundary` lists them)."""
    from accel_sim.cli.application import execute
    from accel_sim.cli.boundary import guard

    return guard(lambda: execute(arguments))
