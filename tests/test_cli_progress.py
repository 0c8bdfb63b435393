"""Progress: on stderr, for a person at a terminal, once patience has ended; and it never disturbs the work."""

import io
import time

import pytest

from accel_sim.cli import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def put_terminal(monkeypatch):
    """A terminal for stderr, and no patience; for a test to call, as pytest undoes what fixtures do to stderr."""
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setenv("TERM", "xterm")
    return screen


def wait_for(screen, text):
    deadline = time.monotonic() + 60
    while text not in screen.getvalue() and time.monotonic() < deadline:
        time.sleep(0.02)


def test_long_work_is_told_at_a_terminal(monkeypatch):
    terminal = put_terminal(monkeypatch)
    with progress.stage("thinking hard") as advance:
        for done in range(20):
            advance(done + 1, 20)
        wait_for(terminal, "thinking hard")
    assert "thinking hard" in terminal.getvalue()


def test_short_work_is_not(monkeypatch):
    terminal = put_terminal(monkeypatch)
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 3600)
    with progress.stage("thinking hard") as advance:
        advance(1, 1)
    assert terminal.getvalue() == ""


def test_nothing_is_told_where_nobody_looks(capsys, monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0.01)
    with progress.stage("thinking hard") as advance:
        time.sleep(0.2)
        advance(1, 2)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def fail_visibly(screen):
    with progress.stage("thinking hard"):
        wait_for(screen, "thinking hard")
        raise RuntimeError("lost")


def test_an_error_passes_through_and_the_line_ends(monkeypatch):
    terminal = put_terminal(monkeypatch)
    with pytest.raises(RuntimeError, match="lost"):
        fail_visibly(terminal)
    shown = terminal.getvalue()
    assert shown
    time.sleep(0.3)
    assert terminal.getvalue() == shown
