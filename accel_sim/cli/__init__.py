"""The command line: arguments, exit codes, progress; nothing else."""

import gc
import os
import sys
from typing import NoReturn

_SIGNALS, _INTERRUPT = 128, 2
"""Exit codes of commands that a signal ended: 128 and its number."""
_COLLECTED_AFTER = 100_000
"""Objects. Importing makes three quarters of them, which stay: looking through them takes a twentieth of a start."""


def main() -> NoReturn:
    """The command `accel-sim`."""
    gc.set_threshold(_COLLECTED_AFTER)
    code = run(sys.argv[1:])
    if code >= _SIGNALS:
        os._exit(code)  # what was interrupted may have left a thread that waits for work: nobody waits for it
    gc.freeze()  # the process ends: nothing needs to look for garbage in what it holds
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command line; its exit code (`boundary` lists them)."""
    try:
        from accel_sim.cli.application import execute
        from accel_sim.cli.boundary import guard
    except KeyboardInterrupt:  # before `guard` can take it
        sys.stderr.write("interrupted\n")
        return _SIGNALS + _INTERRUPT

    return guard(lambda: execute(arguments))
