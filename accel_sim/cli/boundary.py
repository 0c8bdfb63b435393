"""The one place where an exception becomes a message and an exit code.

| code | meaning |
| --- | --- |
| 0 | done |
| 1 | a comparison or check that the user asked for found differences |
| 2 | the user's input is at fault; one message on stderr |
| 3 | a defect of accel_sim itself; ACCEL_SIM_TRACEBACK=1 shows where |
| 128 + n | ended by signal n: 130 interrupted, 141 the reader of the output went away, 143 terminated |
"""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import click

from accel_sim.errors import AccelSimError

DONE, DIFFERENCES, USER_ERROR, DEFECT = 0, 1, 2, 3


def guard(command: Callable[[], int]) -> int:
    """Run a command; its exit code, whatever happens. Writes at most one message to stderr."""
    _encode_anything()
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = command()
        sys.stdout.flush()
        return code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else USER_ERROR
    except BrokenPipeError:
        _abandon_stdout()
        return 128 + signal.SIGPIPE
    except (KeyboardInterrupt, click.Abort):
        return _say("interrupted", 128 + signal.SIGINT)
    except click.ClickException as error:
        error.show()
        return USER_ERROR
    except AccelSimError as error:
        return _say(str(error), USER_ERROR)
    except OSError as error:  # no space left, a file that vanished
        return _say(_describe(error), USER_ERROR)
    except MemoryError:
        return _say("not enough memory for this model and these inputs; run fewer samples at a time", USER_ERROR)
    except Exception as error:
        return _defect(error)


def _say(message: str, code: int) -> int:
    click.echo(f"error: {message}" if code != 128 + signal.SIGINT else message, err=True)
    return code


def _describe(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename else reason


def _defect(error: Exception) -> int:
    if os.environ.get("ACCEL_SIM_TRACEBACK"):
        raise error
    kind = type(error).__name__
    return _say(f"internal error: {kind}: {error} (a defect of accel_sim; ACCEL_SIM_TRACEBACK=1 shows where)", DEFECT)


def _encode_anything() -> None:
    """A terminal that cannot show a character shows a question mark, and the run goes on."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # absent where a test has replaced the stream
        if reconfigure:
            reconfigure(errors="replace")


def _abandon_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's last flush does not fail as well."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _terminate(number: int, _: FrameType | None) -> NoReturn:
    """SIGTERM unwinds the stack, so that unfinished output files are removed."""
    raise SystemExit(128 + number)
