"""The sections on construction programmes, of a run whose dates are known by hand."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from firsttoken import api

TWIN = """
twin: campus
start: 2026-01-05
horizon: 180 day
replications: 10
build:
  site:
    phases:
      hall_1: {racks: 100, power: 15 MW, ready: test}
      hall_2: {racks: 300, power: 45 MW, ready: test}
    activities:
      shell: {duration: 50 day, cost: 100 MUSD}
      fit_out: {duration: 10 day, after: [shell], phases: [hall_1, hall_2], in_turn: true}
      test: {duration: 5 day, after: [fit_out], phases: [hall_1, hall_2], deadline: 2026-04-01}
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("campus")
    (folder / "twin.yaml").write_text(TWIN)
    done = api.run(folder, engines=("simulate",), out=folder / "run")
    assert done.report_path is not None
    return done.report_path.read_text(encoding="utf-8")


def text(page: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page))).replace("\u2011", "-")


def test_the_dates_are_told(page: str) -> None:
    """Day 65 is the eleventh of March, and nothing is left to chance."""
    said = text(page)
    assert "The first phase is ready by 11 Mar 2026 in half of the futures" in said
    assert "100 racks, 15 MW" in said
    assert "Fit out, hall 2" in said
    assert "Shell drives the first phase in 100 % of the futures; a week less brings" in said


def test_what_stands_when_is_drawn(page: str) -> None:
    said = text(page)
    for title in ("When each phase is ready", "The activities that drive the dates",
                  "Money spent", "Rack positions ready", "Power ready"):  # fmt: skip
        assert title in said
    assert "by each view" not in said  # there is no reference class


def test_dates_of_scenarios_are_days(tmp_path: Path) -> None:
    """The shell 20 days later brings the first phase from 11 to 31 March."""
    late = "scenarios:\n  late:\n    overrides: {build.site.activities.shell.duration: 70 day}\n"
    (tmp_path / "twin.yaml").write_text(TWIN + late)
    done = api.run(tmp_path, engines=("simulate",), scenarios=("all",), out=tmp_path / "run")
    assert done.report_path is not None
    said = text(done.report_path.read_text(encoding="utf-8"))
    assert "First phase ready 20 days later" in said
    assert "11 Mar 2026 (11 Mar 2026 – 11 Mar 2026) 31 Mar 2026" in said
    assert "2.03k" not in said


def test_a_twin_without_programmes_has_no_such_section(tmp_path: Path) -> None:
    line = TWIN.partition("build:")[0] + (
        "line:\n  l:\n    stations: {s: {time: 1 hour}}\n"
        "    products: {p: {releases: {all: {backlog: 1}}}}\n"
    )
    (tmp_path / "twin.yaml").write_text(line)
    done = api.run(tmp_path, engines=("simulate",), out=tmp_path / "run")
    assert done.report_path is not None
    assert "build-" not in done.report_path.read_text(encoding="utf-8")
