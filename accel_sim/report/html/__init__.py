"""Reports as HTML: one file that needs nothing else, for screen (light and dark) and paper.

Figures are drawn by matplotlib as vector graphics, pages are made by Jinja with everything escaped. Nothing in a page
reaches outside of it, and a content security policy in its head says so. Equal reports give equal bytes. As on the
terminal, which function makes which page is a table of names: what is not needed is not imported.
"""

from importlib import import_module

_PAGES = {
    "accel_sim.analysis.debug.flow.DebugReport": ("debug", "debug_page"),
    "accel_sim.analysis.mismatch.report.MismatchReport": ("mismatch", "mismatch_page"),
    "accel_sim.analysis.mismatch.profiles.ProfileReport": ("profiles", "profiles_page"),
    "accel_sim.analysis.overflow.report.OverflowReport": ("overflow", "overflow_page"),
    "accel_sim.quantization.quantization_report.QuantizationReport": ("quantization", "quantization_page"),
    "accel_sim.report.run_report.RunReport": ("run", "run_page"),
}
"""Class of a report -> the module of this package and its function."""


def to_html(report: object) -> str:
    """A report as an HTML document.

    Raises:
        TypeError: not a report that has a page.
    """
    from accel_sim.report.html.page import render

    kind = type(report)
    place = _PAGES.get(f"{kind.__module__}.{kind.__qualname__}")
    if place is None:
        raise TypeError(f"{kind.__name__} has no page")
    module, function = place
    return render(getattr(import_module(f"accel_sim.report.html.{module}"), function)(report))
