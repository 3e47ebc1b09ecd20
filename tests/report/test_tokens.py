"""The report of a token factory: what it says of services, hours, and the plan's frontier."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.serving.factories import factory, twin_of, write

from firsttoken import api
from firsttoken.chain.run import execute
from firsttoken.report.report import render
from firsttoken.report.svg_course import Curve, draw_curve
from firsttoken.results.run import Run, ScenarioRecord
from firsttoken.results.store import write_run
from firsttoken.twin.room import Settings

ENGINES = ("plan", "simulate")


def page_of(folder: Path, declared: dict[str, object], **header: object) -> str:
    """The report of a twin of one token factory."""
    write(folder, twin_of(declared, **header))
    done = execute(api.load(folder), None, Settings(engines=ENGINES))
    run = Run(
        twin="made-up", twin_hash="ab" * 20, seed=1, replications=2, engines=ENGINES,
        scenarios=(ScenarioRecord("base"),), as_of="2026-01-01", start="2026-11-02",
        end="2026-11-03",
    )  # fmt: skip
    with write_run(folder / "run", run, done.tables) as results:
        return render(results)


@pytest.mark.parametrize("report", ["hour", "day"])
def test_a_factory_has_its_sections(tmp_path: Path, report: str) -> None:
    changes = {"report": report, "services.chat.search": {}, "step": "10 s"}
    page = page_of(tmp_path, factory(**changes), horizon="2 hour")
    sections = re.findall(r'<section id="((?:tokens|deployment)[^"]*)"', page)
    assert sections == ["tokens-x", "deployment-x"]
    text = re.sub(r"<[^>]+>", " ", page)
    assert "output tokens a second on" in text
    assert "of the requests reach their goals" in text or "all requests reach their goals" in text
    assert "output tokens/s of a GPU against those of a user" in text
    # hours are drawn as a course, one day alone has none
    assert ("mean of the hour" in text) == (report == "hour")


JOB = {
    "model": "llama3_1_8b",
    "gpus": 32,
    "batch": 128,
    "sequence": 4096,
    "step_time": "4 s",
}


def test_a_factory_that_only_trains_leads_with_training(tmp_path: Path) -> None:
    """Two hours of steps of 4 s: 1800 less five minutes of start, 524,288 tokens each."""
    changes = {"services": {}, "training": {"job": JOB}, "report": "hour", "step": "60 s"}
    page = page_of(tmp_path, factory(**changes), horizon="2 hour")
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    assert "Job trains" in text
    assert "in 1.73k steps" in text or "in 1.72k steps" in text
    assert "Medians of each training job" in text
    assert "Job: tokens trained a second, stops included" in text
    assert "Medians of each service" not in text
    assert "Nothing is served" not in text


def test_scenarios_lead_with_goals_and_tokens(tmp_path: Path) -> None:
    """Half the speed costs goals of the latency; the figure that says so comes first."""
    declared = factory(**{"services.chat.slo": {"tpot": "12 ms"}, "step": "10 s"})
    slow = {"half": {"overrides": {"serving.x.throttle": 0.5}}}
    write(tmp_path, twin_of(declared, scenarios=slow, horizon="5 minute"))
    done = api.run(tmp_path, scenarios=["base", "half"], engines=("simulate",), out=tmp_path / "r")
    assert done.report_path is not None
    page = done.report_path.read_text()
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    assert re.search(r"“Half” costs most: \d+ points less \(Chat: requests that reach", text)
    changes = text[text.index("What each scenario changes against the base") :]
    assert changes.index("Chat: requests that reach all goals") < changes.index("Highest power")


def test_a_curve_names_its_dots_and_keeps_marks_apart() -> None:
    x = [float(i) for i in range(100)]
    y = [2.0 * i for i in x]
    marks = [(i, f"{i:.0f} hours") for i in x]
    drawn = draw_curve(Curve(x, y, y, y, marks, dots=[(99.0, 198.0, "chosen")]), 400).svg("curve")
    assert drawn.count("hours") < 10
    assert 'text-anchor="end">chosen' in drawn, "a name at the right edge stands left of its dot"
    assert "band" not in drawn, "a frontier has no band"
