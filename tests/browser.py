"""Headless Chromium for tests of pages: what it draws, what it asks the network for."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from html import unescape

import pytest

_OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--no-first-run", "--disable-sync", "--proxy-server=127.0.0.1:9",
)  # fmt: skip  # a proxy that nobody is: what Chromium itself asks for does not leave the machine either
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_SECONDS = 120
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
_MEASURE = """
<script>
addEventListener("load", () => {
  const box = e => e.getBoundingClientRect();
  const light = c => { const [r, g, b] = c.match(/[0-9.]+/g).map(v => v / 255).map(
    v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b };
  const ground = light(getComputedStyle(document.documentElement).backgroundColor);
  const contrast = c => { const [a, b] = [light(c), ground].sort((x, y) => y - x); return (a + 0.05) / (b + 0.05) };
  const figure = f => {
    const svg = f.querySelector("svg"), outer = box(svg);
    const shapes = [...svg.querySelectorAll("path, use, rect, circle, line")].map(box);
    const texts = [...svg.querySelectorAll("text")];
    const beyond = texts.filter(t => { const b = box(t); return b.left < 0 || b.right > innerWidth
      || b.top < outer.top - 30 || b.bottom > outer.bottom + 5 });
    f.scrollLeft = f.scrollTop = 1e6;
    const reached = {scrolled: f.scrollLeft, hidden: f.scrollWidth - f.clientWidth, down: f.scrollTop};
    f.scrollLeft = f.scrollTop = 0;
    return {title: f.querySelector("figcaption").textContent, width: outer.width, height: outer.height, ...reached,
      marks: shapes.filter(b => b.width + b.height > 0).length, texts: texts.length,
      beyond: beyond.map(t => t.textContent),
      contrast: Math.min(...texts.map(t => contrast(getComputedStyle(t).fill)))} };
  const found = {inner: innerWidth,
    figures: [...document.querySelectorAll("figure")].map(figure), ground,
    cut: [...document.querySelectorAll(".scroll")].filter(e => e.scrollWidth > e.clientWidth).map(
      e => e.querySelector("caption").textContent),
    wide: document.documentElement.scrollWidth > innerWidth,
    elements: [...new Set([...document.querySelectorAll("*")].map(e => e.localName))], scripts: document.scripts.length,
    errors: [...document.querySelectorAll("parsererror")].length };
  document.documentElement.setAttribute("data-found", JSON.stringify(found));
});
</script>
"""


@dataclass(frozen=True)
class Opened:
    """What a page was when it was open.

    Attributes:
        found: what `_MEASURE` measured: figures, tables that are cut, elements.
        requests: addresses that the page asked the network for.
    """

    found: dict
    requests: frozenset[str]


def chromium() -> str:
    """The browser's path; skips the test where there is none."""
    for name in _NAMES:
        path = shutil.which(name)
        if path:
            return path
    pytest.skip(f"no browser: none of {', '.join(_NAMES)}")


def open_page(html, folder, *, dark=False, width=1100) -> Opened:
    """Open a copy of a page that measures itself and that nothing forbids to reach outside.

    Args:
        html: the page.
        folder: for its file, the browser's profile and its log.
        dark: as on a dark screen.
        width: of the window, pixels.
    """
    measured = _POLICY.sub("", html).replace("</body>", f"{_MEASURE}</body>")
    page, log = folder / "page.html", folder / "net.json"
    page.write_text(measured, "utf-8")
    options = [f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}", f"--window-size={width},1000"]
    options += ["--blink-settings=preferredColorScheme=0"] * dark
    command = [chromium(), *_OPTIONS, *options, "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True)
    match = re.search(r'data-found="([^"]*)"', done.stdout)
    assert match, done.stderr
    return Opened(json.loads(unescape(match[1])), _requests(json.loads(log.read_text())))


def print_page(html, folder) -> bytes:
    """A page as a PDF file."""
    page, printed = folder / "paper.html", folder / "paper.pdf"
    page.write_text(html, "utf-8")
    options = [f"--user-data-dir={folder / 'printer'}", "--no-pdf-header-footer", f"--print-to-pdf={printed}"]
    subprocess.run([chromium(), *_OPTIONS, *options, page.as_uri()], capture_output=True, timeout=_SECONDS, check=True)
    return printed.read_bytes()


def _requests(log) -> frozenset[str]:
    """Of all requests in a log, those that a file asked for; Chromium's own have no such origin."""
    events = (event.get("params", {}) for event in log["events"])
    return frozenset(e["url"] for e in events if "file:" in e.get("network_isolation_key", "") and "url" in e)
