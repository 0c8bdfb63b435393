"""Any report as a page for the terminal, or as plain text."""

from functools import singledispatch

from rich.console import RenderableType

from accel_sim.analysis.debug import DebugReport
from accel_sim.analysis.mismatch import MismatchReport
from accel_sim.analysis.mismatch_profiles import ProfileReport
from accel_sim.analysis.overflow import OverflowReport
from accel_sim.quantization.quantization_report import QuantizationReport
from accel_sim.report.demonstration import DemoReport
from accel_sim.report.inspection import Inspection
from accel_sim.report.run_report import RunReport
from accel_sim.report.terminal.debug import debug_page
from accel_sim.report.terminal.demonstration import demonstration_page
from accel_sim.report.terminal.inspection import inspection_page
from accel_sim.report.terminal.mismatch import mismatch_page
from accel_sim.report.terminal.overflow import overflow_page
from accel_sim.report.terminal.profiles import profiles_page
from accel_sim.report.terminal.quantization import quantization_page
from accel_sim.report.terminal.run import run_page
from accel_sim.report.terminal.style import to_string
from accel_sim.report.terminal.vectors import vectors_page
from accel_sim.report.vectors import GoldenVectors


def to_text(report: object, width: int | None = None, *, color: bool = False) -> str:
    """A report as text of at most `width` columns; the terminal's width, or 100 without one, by default."""
    return to_string(page_of(report), width=width, color=color)


@singledispatch
def page_of(report: object) -> RenderableType:
    """The page of a report, by its type.

    Raises:
        TypeError: not a report.
    """
    raise TypeError(f"{type(report).__name__} is not a report")


page_of.register(RunReport, run_page)
page_of.register(GoldenVectors, vectors_page)
page_of.register(MismatchReport, mismatch_page)
page_of.register(ProfileReport, profiles_page)
page_of.register(OverflowReport, overflow_page)
page_of.register(Inspection, inspection_page)
page_of.register(DemoReport, demonstration_page)
page_of.register(QuantizationReport, quantization_page)
page_of.register(DebugReport, debug_page)
