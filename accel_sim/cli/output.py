"""Reports to stdout and to files."""

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from accel_sim.cli.files import OutputFile, save_text
from accel_sim.cli.progress import stage

if TYPE_CHECKING:
    from rich.console import RenderableType


def publish(report: object, files: Mapping[str, OutputFile]) -> None:
    """Write a report where --json and --report ask for it, then print it."""
    from accel_sim.report.terminal.pages import page_of  # rich takes a tenth of a second to import

    write_json(report, files)
    write_html(report, files)
    show(page_of(report))


def write_json(report: object, files: Mapping[str, OutputFile], option: str = "json") -> None:
    """Write a report where --json, or another option, asks for it."""
    if option in files:
        from accel_sim.report.json_form import to_json  # knows every kind of report

        files[option].write(save_text(to_json(report)))


def write_html(report: object, files: Mapping[str, OutputFile]) -> None:
    """Write a report where --report asks for it."""
    if "report" in files:
        from accel_sim.report.html import to_html

        with stage("drawing the report"):
            files["report"].write(save_text(to_html(report)))


def show(page: "RenderableType") -> None:
    """Print to stdout, in colour and bold where it is a terminal that shows them and the user wants them."""
    from accel_sim.report.terminal.style import to_string

    click.echo(to_string(page, color=_has_styles()), nl=False)


def _has_styles() -> bool:
    """Whether to write escape sequences; NO_COLOR asks for none (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
