"""The report in a real browser, headless."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--v=0",
    "--timeout=20000",
    "--virtual-time-budget=3000",
)

pytestmark = pytest.mark.skipif(not BROWSER, reason="no Chromium on this machine")


def browse(path: Path, profile: Path, *options: str) -> tuple[str, list[str]]:
    """(standard output, lines of the page's console)."""
    command = [BROWSER, *QUIET, f"--user-data-dir={profile}", *options, path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_scripts_run_without_a_word_on_the_console(page_file: Path, tmp_path: Path) -> None:
    dom, console = browse(page_file, tmp_path / "profile", "--dump-dom")
    assert console == []
    assert len(re.findall(r"<svg", dom)) > 20
    # The script takes the tips out of the shapes' titles and shows the hidden controls.
    assert dom.count("data-tip=") > 200
    assert re.search(r'<button type="button" id="theme"[^>]*>(Dark|Light)</button>', dom)
    assert not re.search(r"<button[^>]*hidden", dom)


def test_console_lines_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "bad.html"
    path.write_text("<script>null.x</script>")
    _, console = browse(path, tmp_path / "profile", "--dump-dom")
    assert any("TypeError" in line for line in console)


PROBE = """
<script>addEventListener("load", () => {
  const outside = [], touching = [];
  document.querySelectorAll("svg").forEach((svg) => {
    const box = svg.getBoundingClientRect();
    if (!box.width) return;
    const texts = [...svg.querySelectorAll("text")];
    const boxes = texts.map((text) => [text.textContent, text.getBoundingClientRect()]);
    boxes.forEach(([said, t], i) => {
      if (t.left < box.left - 3 || t.right > box.right + 3) outside.push(said);
      if (t.top < box.top - 3 || t.bottom > box.bottom + 3) outside.push(said);
      boxes.slice(i + 1).forEach(([other, q]) => {
        const across = t.left < q.right - 1 && q.left < t.right - 1;
        const down = t.top < q.bottom - 4 && q.top < t.bottom - 4;
        if (across && down) touching.push(said + " | " + other);
      });
    });
  });
  const wide = document.documentElement.scrollWidth - innerWidth;
  document.body.dataset.probe = JSON.stringify({ outside, touching, wide });
});</script></body>
"""


@pytest.mark.parametrize("width", [1200, 800, 500])
def test_no_text_is_clipped_overlapping_or_wider_than_the_screen(
    page: str, tmp_path: Path, width: int
) -> None:
    path = tmp_path / "probe.html"
    path.write_text(page.replace("</body>", PROBE), encoding="utf-8")
    dom, _ = browse(path, tmp_path / "profile", f"--window-size={width},1200", "--dump-dom")
    found = json.loads(html.unescape(re.search(r'data-probe="([^"]*)"', dom)[1]))
    assert found["outside"] == []
    assert found["touching"] == []
    assert found["wide"] <= 0


def test_screenshot_is_painted(page_file: Path, tmp_path: Path) -> None:
    picture = tmp_path / "page.png"
    browse(page_file, tmp_path / "p", f"--screenshot={picture}", "--window-size=1100,3000")
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    # An unpainted page of this size compresses to some ten kilobytes.
    assert picture.stat().st_size > 60_000
