"""Any report as a page for the terminal, or as plain text.

Which function draws which report is a table of names: a command imports what it shows and nothing else.
"""

from importlib import import_module

from rich.console import RenderableType

from accel_sim.report.terminal.style import to_string

_PAGES = {
    "accel_sim.analysis.debug.flow.DebugReport": ("debug", "debug_page"),
    "accel_sim.analysis.mismatch.report.MismatchReport": ("mismatch", "mismatch_page"),
    "accel_sim.analysis.mismatch.profiles.ProfileReport": ("profiles", "profiles_page"),
    "accel_sim.analysis.overflow.report.OverflowReport": ("overflow", "overflow_page"),
    "accel_sim.quantization.quantization_report.QuantizationReport": ("quantization", "quantization_page"),
    "accel_sim.report.demonstration.DemoReport": ("demonstration", "demonstration_page"),
    "accel_sim.report.inspection.Inspection": ("inspection", "inspection_page"),
    "accel_sim.report.run_report.RunReport": ("run", "run_page"),
    "accel_sim.report.vectors.capture.GoldenVectors": ("vectors", "vectors_page"),
}
"""Class of a report -> the module of `accel_sim.report.terminal` and its function."""


def to_text(report: object, width: int | None = None, *, color: bool = False) -> str:
    """A report as text of at most `width` columns; the terminal's width, or 100 without one, by default."""
    return to_string(page_of(report), width=width, color=color)


def page_of(report: object) -> RenderableType:
    """The page of a report, by its type.

    Raises:
        TypeError: not a report.
    """
    kind = type(report)
    place = _PAGES.get(f"{kind.__module__}.{kind.__qualname__}")
    if place is None:
        raise TypeError(f"{kind.__name__} is not a report")
    module, function = place
    page: RenderableType = getattr(import_module(f"accel_sim.report.terminal.{module}"), function)(report)
    return page
