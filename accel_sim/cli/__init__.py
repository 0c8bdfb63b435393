"""The command line: arguments, exit codes, progress; nothing else."""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """The command `accel-sim`."""
    from accel_sim.cli.application import application
    from accel_sim.cli.boundary import guard

    sys.exit(guard(lambda: application(standalone_mode=False) or 0))
