"""The one place where an exception becomes a message and an exit code.

| code | meaning |
| --- | --- |
| 0 | done |
| 1 | a comparison or check that the user asked for found differences |
| 2 | the user's input is at fault; one message on stderr |
| 3 | a defect of accel_sim itself; ACCEL_SIM_TRACEBACK=1 shows where |
| 128 + n | ended by signal n: 130 interrupted, 141 the reader of the output went away, 143 terminated |
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import click

from accel_sim.cli.signals import unwinding
from accel_sim.errors import AccelSimError

DONE, DIFFERENCES, USER_ERROR, DEFECT = 0, 1, 2, 3
INTERRUPTED, BROKEN_PIPE = 128 + signal.SIGINT, 128 + signal.SIGPIPE


def guard(command: Callable[[], int]) -> int:
    """Run a command; its exit code, whatever happens. Writes at most one message to stderr."""
    _prepare_streams()
    with unwinding():
        return _guarded(command)


def _guarded(command: Callable[[], int]) -> int:
    try:
        code = command()
        sys.stdout.flush()
        return code
    except click.exceptions.Exit as end:  # --help, --version
        return end.exit_code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else USER_ERROR
    except BrokenPipeError:
        return BROKEN_PIPE
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return USER_ERROR
    except AccelSimError as error:
        return _blame_user(str(error))
    except OSError as error:  # no space left, a file that vanished
        return _blame_user(_describe(error))
    except MemoryError:
        return _blame_user("not enough memory for this model and these inputs; run fewer samples at a time")
    except Exception as error:
        return _blame_us(error)
    finally:
        _abandon_broken_stdout()


def _blame_user(message: str) -> int:
    click.echo(f"error: {message}", err=True)
    return USER_ERROR


def _blame_us(error: Exception) -> int:
    if os.environ.get("ACCEL_SIM_TRACEBACK"):
        raise error
    where = "a defect of accel_sim; ACCEL_SIM_TRACEBACK=1 shows where"
    click.echo(f"error: internal error: {type(error).__name__}: {error} ({where})", err=True)
    return DEFECT


def _describe(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename else f"output: {reason}"


def _prepare_streams() -> None:
    """What a terminal cannot show becomes a question mark; what was closed by the caller goes nowhere."""
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as the process lives
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # absent where a test has replaced the stream
        if reconfigure:
            reconfigure(errors="replace")


def _abandon_broken_stdout() -> None:
    """Where stdout takes nothing more, point it at nothing, so that the interpreter's last flush does not fail too."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
