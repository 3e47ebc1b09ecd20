"""Loads from files: traces, jobs on nodes, and what they add up to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.facility.sites import energies, ran

from firsttoken.facility import simulate_state as of
from firsttoken.facility.loads import Jobs, place_jobs, read_jobs, read_trace
from firsttoken.twin.dates import parse_date
from firsttoken.twin.findings import Findings, TwinError

START = parse_date("2026-01-05")


def racks(**fields: Any) -> dict[str, Any]:
    """Two racks of 20 to 100 kW, four nodes each."""
    return {"racks": {"r": {"count": 2, "power": "100 kW", "idle": "20 kW", **fields}}}


# Traces -------------------------------------------------------------------------------------


def test_a_trace_holds_each_level_until_the_next(tmp_path: Path) -> None:
    """1 day at 0, 6 hours at 50 %, the rest of ten days at full load."""
    (tmp_path / "t.csv").write_text("time,load (%)\n0,0\n86400,50\n108000,100\n")
    for step in ("1 hour", "5 hour", "7 minute"):
        found = energies(ran(tmp_path, {**racks(trace="t.csv"), "step": step}))
        assert found["it"] == pytest.approx(2 * (24 * 0.02 + 6 * 0.06 + 210 * 0.1))


def test_a_trace_of_power_by_dates(tmp_path: Path) -> None:
    """Before its first row the first level holds."""
    (tmp_path / "t.csv").write_text("time,power (kW)\n2026-01-07T00:00,30\n2026-01-10T12:00,80\n")
    found = energies(ran(tmp_path, racks(trace="t.csv")))
    assert found["it"] == pytest.approx(2 * (5.5 * 24 * 0.03 + 4.5 * 24 * 0.08))


@pytest.mark.parametrize("first", ["2026-01-05", "2021-03-01", "2026-01-08"])
def test_a_trace_repeats(tmp_path: Path, first: str) -> None:
    """A day of two halves, whenever it was recorded: ten days have 120 hours of each."""
    text = f"time,load\n{first}T00:00,0\n{first}T12:00,1\n"
    (tmp_path / "t.csv").write_text(text)
    site = racks(trace="t.csv", repeat=True)
    found = ran(tmp_path, {**site, "step": "5 hour"}, trace=True)
    assert energies(found)["it"] == pytest.approx(2 * 120 * (0.02 + 0.1))
    fine = ran(tmp_path, site, trace=True)
    power = fine.trace[:, of.TRACES.index("it_power")].reshape(10, 24)
    assert power[4] == pytest.approx(np.repeat([4e4, 2e5], 12))


# Jobs ---------------------------------------------------------------------------------------

JOBS = """start,end,nodes,load
2026-01-05T00:00,2026-01-07T00:00,4,1
2026-01-05T06:00,2026-01-06T00:00,3,0.5
2026-01-07T00:00,2026-01-07T12:00,8,
2026-01-08T00:00,2026-01-09T00:00,0-1;5-7,0.2
"""


def test_jobs_by_hand(tmp_path: Path) -> None:
    """Node-hours at full load: 4 x 48 + 0.5 x 3 x 18 + 8 x 12 + 0.2 x 5 x 24, of 8 x 240."""
    (tmp_path / "j.csv").write_text(JOBS)
    busy = 4 * 48 + 0.5 * 3 * 18 + 8 * 12 + 0.2 * 5 * 24
    for detail in ("group", "unit"):
        site = {**racks(jobs="j.csv", nodes=4), "detail": detail, "step": "5 hour"}
        found = energies(ran(tmp_path, site))
        assert found["it"] == pytest.approx(2 * 240 * 0.02 + busy / 4 * 0.08, rel=1e-6)


def test_jobs_run_on_the_nodes_of_lowest_number(tmp_path: Path) -> None:
    """The first rack: the first job, half of the third, nodes 0 and 1 of the last."""
    (tmp_path / "j.csv").write_text(JOBS)
    found = ran(tmp_path, {**racks(jobs="j.csv", nodes=4), "detail": "unit"})
    hours = [48 + 12 + 0.2 * 24 * 2 / 4, 0.5 * 18 * 3 / 4 + 12 + 0.2 * 24 * 3 / 4]
    expected = [240 * 0.02 + 0.08 * own for own in hours]
    assert found.unit[:2, of.ROW_ENERGY] / 3.6e9 == pytest.approx(expected, rel=1e-6)


def test_too_many_jobs_are_found(tmp_path: Path) -> None:
    text = "start,end,nodes\n0,7200,6\n3600,5400,3\n"
    (tmp_path / "j.csv").write_text(text)
    with pytest.raises(TwinError, match=r"j\.csv:3: error: the job finds no free nodes: 2 of 8"):
        ran(tmp_path, racks(jobs="j.csv", nodes=4))
    (tmp_path / "j.csv").write_text("start,end,nodes\n0,7200,0-3\n3600,5400,3-5\n")
    with pytest.raises(TwinError, match=r"j\.csv:3: error: the job finds no free nodes"):
        ran(tmp_path, racks(jobs="j.csv", nodes=4))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.integers(0, 30), st.integers(0, 5), st.integers(0, 4)),
        max_size=30,
    )
)
def test_placement_keeps_node_hours(listed: list[tuple[int, int, int, int]]) -> None:
    """Whatever comes and goes: load x nodes x time is that of the jobs, and nothing is left."""
    begin = np.array([float(job[0]) for job in listed])
    end = begin + np.array([float(job[1]) for job in listed])
    nodes = tuple(job[2] for job in listed)
    load = np.array([job[3] / 4 for job in listed])
    jobs = Jobs(begin, end, nodes, load, np.arange(2, len(listed) + 2))
    findings = Findings()
    placed = place_jobs(jobs, 50, 3, Path("j.csv"), findings, "")
    assert placed is not None
    time, rack, change = placed
    assert (np.diff(time) >= 0).all()
    level = np.zeros(50)
    area = np.zeros(50)
    last = 0.0
    for moment, row, delta in zip(time, rack, change, strict=True):
        area += level * (moment - last)
        level[row] += delta
        last = moment
        assert level.min() >= 0
    assert (level == 0).all()
    expected = float((load * np.array(nodes) * (end - begin)).sum()) if listed else 0.0
    assert area.sum() * 3 == pytest.approx(expected, abs=1e-6)


# Bad files ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("time,load\n0,1.5\n", 2, "out of range"),
        ("time,load\n0,0.5\n60,\n", 3, "the load is missing"),
        ("time,lode\n0,0.5\n", 1, "no column 'power'"),
        ("time,power (degC)\n0,0.5\n", 1, "power"),
        ("time,load\n0,0.5\nnever,1\n", 2, "'0' is no time"),
    ],
)
def test_bad_traces_are_findings(tmp_path: Path, text: str, where: int, what: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    findings = Findings()
    assert read_trace(path, START, False, None, findings, "x") is None
    assert what in findings.as_text()
    assert f"t.csv:{where}: error" in findings.as_text()


def test_a_trace_of_one_moment_cannot_repeat(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("time,load\n0,0.5\n")
    findings = Findings()
    assert read_trace(tmp_path / "t.csv", START, True, None, findings, "x") is None
    assert "cannot repeat" in findings.as_text()


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("start,nodes\n0,4\n", 1, "no column end"),
        ("start,end,nodes\n0,60,four\n", 2, "'four' says no nodes"),
        ("start,end,nodes\n60,0,4\n", 2, "ends before it starts"),
        ("start,end,nodes,load\n0,60,4,2\n", 2, "out of range"),
        ("start,end,nodes\nnow,60,4\n", 2, "'now' is no time"),
    ],
)
def test_bad_jobs_are_findings(tmp_path: Path, text: str, where: int, what: str) -> None:
    path = tmp_path / "j.csv"
    path.write_text(text)
    findings = Findings()
    assert read_jobs(path, START, findings, "x") is None
    assert what in findings.as_text()
    assert f"j.csv:{where}: error" in findings.as_text()
