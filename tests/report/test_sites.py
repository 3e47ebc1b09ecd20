"""The report of a site: its figures, its charts, and what is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.facility.sites import CHAIN, COOLED

from firsttoken import api
from firsttoken.chain.run import execute
from firsttoken.report.report import render
from firsttoken.results.run import Run, ScenarioRecord
from firsttoken.results.store import write_run
from firsttoken.twin.room import Settings


def page_of(folder: Path, site: dict[str, object], horizon: str = "90 day") -> str:
    """The report of a twin of one site."""
    import yaml

    data = {
        "twin": "made-up", "start": "2026-01-05", "horizon": horizon, "replications": 3,
        "facility": {"x": site},
    }  # fmt: skip
    (folder / "twin.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    done = execute(api.load(folder), None, Settings(engines=("simulate",)))
    run = Run(
        twin="made-up", twin_hash="ab" * 20, seed=1, replications=3, engines=("simulation",),
        scenarios=(ScenarioRecord("base"),), as_of="2026-01-01", start="2026-01-05",
        end="2026-04-05",
    )  # fmt: skip
    with write_run(folder / "run", run, done.tables) as results:
        return render(results)


def test_a_site_has_its_section(tmp_path: Path) -> None:
    page = page_of(tmp_path, COOLED)
    assert re.findall(r'<section id="(site[^"]*)"', page) == ["site-x"]
    assert "Where the energy goes that IT does not get" in page
    text = re.sub(r"<[^>]+>", " ", page)
    assert re.search(r"PUE is 1\.\d{3}", text)
    assert "Power taken, MW" in text
    assert "Hours without chillers: 100" in text


@pytest.mark.parametrize("report", ["hour", "year"])
def test_few_or_many_periods(tmp_path: Path, report: str) -> None:
    """Hours have no axis of days, one year no course: the figures stand alone."""
    page = page_of(tmp_path, {**CHAIN, "report": report}, "3 day")
    assert 'id="site-x"' in page
    assert "PUE is 1.074" in page


def test_what_the_utility_allows_is_told(tmp_path: Path) -> None:
    job = {"racks": "r", "step": "2 s", "compute": 0.5}
    grid = {"jobs": {"train": job}, "window": "60 s", "allowed": {"ramp": "0.1 MW/s"}}
    text = re.sub(r"<[^>]+>", " ", page_of(tmp_path, {**CHAIN, "grid": grid}))
    assert "Fastest ramp 0.638 MW/s, allowed 0.1 MW/s: 6.38 times as much as allowed." in text
