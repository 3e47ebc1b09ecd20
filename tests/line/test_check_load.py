"""The figures of the static check: against other computations, the testbed and the test floor."""

from __future__ import annotations

import math
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tests.line.lines import load

from firsttoken import api
from firsttoken.kernel import codes, sampling, series
from firsttoken.line import check_load, compile_slots, model, state
from firsttoken.line.check_capacity import MOST_NEEDS
from firsttoken.line.check_fields import MOST_SERVERS
from firsttoken.line.check_view import View, mean
from firsttoken.line.test_floor import floor
from firsttoken.twin.findings import Findings
from firsttoken.twin.grammar import parse_value
from firsttoken.twin.values import Constant, Distribution

KINDS = {
    "uniform(2, 5) hour": codes.UNIFORM,
    "triangular(2, 3, 7) hour": codes.TRIANGULAR,
    "normal(5, 1) hour": codes.NORMAL,
    "lognormal(5, 2) hour": codes.LOGNORMAL,
    "gamma(3, 2) hour": codes.GAMMA,
    "beta_pert(2, 3, 7) hour": codes.BETA_PERT,
    "exponential(3) hour": codes.EXPONENTIAL,
    "weibull(1.5, 3) hour": codes.WEIBULL,
}
TABLES = {
    "discrete(1: 0.25, 2: 0.25, 6: 0.5) hour": 3.75 * 3600,
}


def view(folder: Path, line: str) -> View:
    """A line as its checks see it."""
    twin = load(folder, line)
    declared = twin.rooms["line"]["x"]
    assert isinstance(declared, model.Line)
    return View(twin, "x", declared, Findings())


@pytest.mark.parametrize("text", KINDS)
def test_means_are_those_of_the_kernel(text: str) -> None:
    value = parse_value(text, "s")
    assert isinstance(value, Distribution)
    args = (*value.args, *(0.0,) * (4 - len(value.args)))
    expected = sampling.mean(KINDS[text], args, np.empty((0, 2)))
    assert mean(value) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("text", TABLES)
def test_means_of_tables(text: str) -> None:
    value = parse_value(text, "s")
    assert isinstance(value, Distribution)
    assert mean(value) == pytest.approx(TABLES[text])


def test_means_of_observations_are_those_of_the_kernel() -> None:
    numbers = [1.0, 2.0, 4.0, 9.0]
    rows = sampling.empirical_rows(numbers)
    value = Distribution("empirical", table=tuple(map(tuple, rows.tolist())))
    expected = sampling.mean(codes.EMPIRICAL, (0, len(rows), 0, 0), rows)
    assert mean(value) == pytest.approx(expected)
    assert mean(Distribution("empirical", table=((3.0, 1.0),))) == 3.0


@pytest.mark.parametrize(
    "knots",
    [
        {"2026-01-07": 2.0, "2026-01-10": 8.0},
        {"2026-01-01": 2.0, "2026-01-10": 8.0, "2026-03-01": 4.0},
        {"2026-02-01": 3.0, "2026-03-01": 9.0},
        {"2025-02-01": 3.0, "2025-03-01": 9.0},
    ],
)
@pytest.mark.parametrize(("kind", "code"), [("step", codes.STEP), ("linear", codes.LINEAR)])
def test_averages_of_series_are_those_of_the_kernel(
    knots: dict[str, float], kind: str, code: int, tmp_path: Path
) -> None:
    seen = view(tmp_path, "{stations: {a: {}}, products: {}}")
    value = parse_value({"interpolate": kind, **knots}, "each")
    times = [
        moment.value for moment, _ in getattr(value, "knots", ()) if isinstance(moment, Constant)
    ]
    expected = series.knots_mean(
        code,
        np.array(times),
        np.array(list(knots.values())),
        len(times),
        seen.twin.start,
        seen.twin.end,
    )
    assert seen.average(value, "each") == pytest.approx(expected)


ROUTE = """
stations:
  a: {time: 1 hour}
  b: {time: 2 hour, per: piece, load: 6 min, unload: 3 min}
  c: {time: 8 hour, pass: 0.8, fail_after: 0.5, repair: 1 hour}
  d: {tasks: {count: 100, time: 30 s, success: 0.9, recovery: 2 min}}
products:
  p:
    pieces: 3
    releases: {some: {every: 1 day}}
    route:
      - {station: a, pass: 0.9, on_fail: d}
      - {station: b, then: {a: 0.1, scrap: 0.05, c: 0.6}}
      - {station: a, name: again, share: 0.5, pass: 0.7, on_fail: scrap}
      - {station: c, then: ship}
      - {station: d, then: a}
"""


def test_visits_solve_the_equations_of_flow(tmp_path: Path) -> None:
    # Visits of a Markov chain: v = start + P' v (Kemeny, Snell: Finite Markov chains, 1960, 3.2).
    work = check_load.Work(view(tmp_path, ROUTE), "p")
    jump = np.zeros((5, 5))
    jump[0, [1, 4]] = 0.9, 0.1
    jump[1, [0, 3, 2]] = 0.1, 0.6, 0.25
    jump[2, 3] = 0.5 + 0.5 * 0.7
    jump[4, 0] = 1.0
    visits = np.linalg.solve(np.eye(5) - jump.T, np.eye(5)[0])
    assert work.visits == pytest.approx(visits.tolist(), rel=1e-6)
    assert work.finished == pytest.approx(visits[3], rel=1e-6)
    # Until it passes, a test takes 0.25 failed attempts of half the time, each with a repair.
    hours = [1.0, 3 * 2 + 0.15, 1.0, 8 + 0.25 * (4 + 1), 100 * (30 + 0.1 * 120) / 3600]
    assert work.times == pytest.approx([3600 * h for h in hours])
    raw = 3600 * sum(v * h for v, h in zip(visits * [1, 1, 0.5, 1, 1], hours, strict=True))
    assert work.raw == pytest.approx(raw)


def test_attempts_end_repeated_tests(tmp_path: Path) -> None:
    line = ROUTE.replace("pass: 0.8,", "pass: 0.8, attempts: 3,")
    work = check_load.Work(view(tmp_path, line), "p")
    # 1 + 0.2 + 0.04 attempts, of which 0.2 of each fail; no repair after the third.
    attempts = 1 + 0.2 + 0.2**2
    hours = attempts * (0.8 * 8 + 0.2 * 4) + (attempts - 1) * 1
    assert work.times[3] == pytest.approx(3600 * hours)
    assert work.finished == pytest.approx(work.visits[3] * (1 - 0.2**3))


def test_what_only_a_run_can_know_is_not_judged(tmp_path: Path) -> None:
    line = ROUTE.replace("8 hour", "model(line.x.lead_time)")
    work = check_load.Work(view(tmp_path, line), "p")
    assert math.isnan(work.raw)


def warnings(folder: Path, line: dict[str, Any], horizon: str = "10 week") -> list[str]:
    data = {"twin": "t", "start": "2026-01-05", "horizon": horizon, "line": {"x": line}}
    (folder / "twin.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    return [f.what + ": " + f.why for f in api.check(folder) if f.code == "overload"]


@pytest.mark.parametrize(("hours", "megawatts"), [(24, 18.9), (72, 56.6), (168, 132.0)])
def test_the_law_of_the_test_floor(hours: int, megawatts: float, tmp_path: Path) -> None:
    # Issue of the line room: 1,000 racks a week at 132 kW need 19, 57 and 132 MW.
    expected = floor(1000 / 604800, 3600 * hours, 132e3).power / 1e6
    assert expected == pytest.approx(megawatts, abs=0.05)
    line: dict[str, Any] = {
        "budgets": {"power": "10 MW"},
        "stations": {
            "burn_in": {"servers": 1100, "time": f"{hours} hour", "draws": {"power": "132 kW"}}
        },
        "products": {"rack": {"releases": {"r": {"every": "10.08 min"}}}},
    }
    (said,) = warnings(tmp_path, line)
    assert f"{expected / 10:.0%} of it" in said
    assert f"{expected:.4g} of 10 MW" in said


STATION = {"servers": 2, "time": "1 hour"}
LOADS: dict[str, tuple[dict[str, Any], str, str]] = {
    # name: (station, time between releases, words or nothing)
    "just enough": ({}, "30 min", ""),
    "too little": ({}, "29 min", "103% of it: 2.069 servers of 2"),
    "failures by the clock": (
        {"failures": {"f": {"mtbf": "9 hour", "mttr": "1 hour"}}},
        "32 min",
        "104% of it: 1.875 servers of 1.8 ",
    ),
    "failures at work": (
        {"failures": {"f": {"mtbf": "9 hour", "mttr": "1 hour", "counts": "operation"}}},
        "32 min",
        "104% of it: 2.083 servers of 2 ",
    ),
    "maintenance by the calendar": (
        {"maintenance": {"m": {"every": "10 hour", "takes": "1 hour"}}},
        "32 min",
        "1.875 servers of 1.8 ",
    ),
    "maintenance by pieces": (
        {"maintenance": {"m": {"every_pieces": 20, "takes": "3 hour"}}},
        "32 min",
        "2.156 servers of 2 ",
    ),
    "maintenance by loads": (
        {"maintenance": {"m": {"every_loads": 10, "takes": "1 hour"}}},
        "32 min",
        "2.062 servers of 2 ",
    ),
    "full loads": ({"batch": {"maximum": 5}}, "7 min", ""),
    "more than full loads": ({"batch": {"maximum": 5}}, "5 min", "2.4 servers of 2 "),
    "a cascade": ({"interval": "20 min"}, "11 min", ""),
    "a short cascade": ({"interval": "20 min"}, "9 min", "2.222 servers of 2 "),
    "more servers later": (
        {"servers": {"2026-01-05": 1, "2026-02-09": 2}},
        "35 min",
        "1.714 servers of 1.5 ",
    ),
    "shifts": ({"available": "day"}, "40 min", "1.5 servers of 0.75 "),
    "shifts after which work is finished": ({"available": "day", "time": "20 hour"}, "15 hour", ""),
}


@pytest.mark.parametrize("name", LOADS)
def test_servers(name: str, tmp_path: Path) -> None:
    station, every, words = LOADS[name]
    line: dict[str, Any] = {
        "calendars": {"day": {"shifts": ["daily 08:00-16:00"]}},
        "stations": {"s": {**STATION, **station}},
        "products": {"p": {"releases": {"r": {"every": every}}}},
    }
    if "available" not in station:
        del line["calendars"]
    said = warnings(tmp_path, line)
    assert bool(said) == bool(words), said
    assert words in "".join(said) + " "


def test_limited_and_ended_releases_ask_for_less(tmp_path: Path) -> None:
    def line(**release: Any) -> dict[str, Any]:
        return {
            "stations": {"s": {"time": "2 hour"}},
            "products": {"p": {"releases": {"r": {"every": "1 hour", **release}}}},
        }

    assert "200% of it" in "".join(warnings(tmp_path, line()))
    assert "120% of it" in "".join(warnings(tmp_path, line(until="2026-02-16")))
    assert "119% of it" in "".join(warnings(tmp_path, line(limit=1000)))
    assert not warnings(tmp_path, line(limit=800))


def test_components_are_asked_for_by_what_consumes_them(tmp_path: Path) -> None:
    line: dict[str, Any] = {
        "stations": {"press": {"time": "10 min", "pass": 0.9, "on_fail": "scrap"}, "join": {}},
        "products": {
            "tray": {"route": [{"station": "press"}], "releases": {"pull": {"stock": 20}}},
            "rack": {
                "route": [{"station": "join", "time": "1 hour", "consumes": {"tray": 18}}],
                "releases": {"r": {"every": "3 hour"}},
            },
        },
    }
    (said,) = warnings(tmp_path, line)
    assert "1.111 servers of 1" in said  # 6 an hour, of which 90 % are good, 10 minutes each
    line["products"]["rack"]["releases"]["r"]["every"] = "4 hour"
    assert not warnings(tmp_path, line)


def test_skills_are_shared(tmp_path: Path) -> None:
    line: dict[str, Any] = {
        "pools": {
            "juniors": {"count": 1, "skills": ["pack"]},
            "seniors": {"count": 1, "skills": ["pack", "test"]},
        },
        "stations": {
            "pack": {"servers": 9, "time": "50 min", "crew": {"pack": 1}},
            "test": {"servers": 9, "time": "50 min", "crew": {"test": 1}},
        },
        "products": {"p": {"releases": {"r": {"every": "1 hour"}}}},
    }
    assert not warnings(tmp_path, line)
    line["stations"]["pack"]["time"] = "75 min"
    (said,) = warnings(tmp_path, line)
    assert "'juniors' and 'seniors' is overloaded" in said
    assert "2.083 of 2 " in said
    line["stations"]["test"]["time"] = "65 min"
    assert len(warnings(tmp_path, line)) == 2


def test_the_capacity_of_the_testbed(shared_data: Path, tmp_path: Path) -> None:
    # Kopp et al., SMT2020, IEEE TSM 33 (2020) 522-531: dataset 1 is run at 10,000 wafer starts a
    # week; its capacity is 10,200. Change-overs and waiting for full loads are not in our bound.
    packed = shared_data / "smt2020" / "SMT2020_HVLM.tar.xz"
    if not packed.is_file():
        pytest.skip("the SMT2020 tables are not there")
    with tarfile.open(packed) as archive:
        archive.extractall(tmp_path, filter="data")
    header = "{twin: fab, start: 2018-01-01, horizon: 730 day, line: {fab: {tables: SMT2020_HVLM}}}"
    (tmp_path / "twin.yaml").write_text(header)
    twin = api.load(tmp_path)
    findings = Findings()
    line = twin.rooms["line"]["fab"]
    assert isinstance(line, model.Line)
    seen = View(twin, "fab", line, findings)
    works = {name: check_load.Work(seen, name) for name in seen.routes}
    rates = check_load._rates(seen, works)
    assert 25 * 604800 * sum(rates.values()) == pytest.approx(10_000, rel=0.002)

    def overloaded(wafers: float) -> set[str]:
        said = Findings()
        again = View(twin, "fab", line, said)
        load = check_load.Load()
        for name, work in works.items():
            check_load._add(again, load, work, rates[name] * wafers / 10_000)
        for name in load.servers:
            check_load._station(again, load, name)
        return {finding.path for finding in said}

    assert not overloaded(10_200)
    (bottleneck,) = overloaded(10_400)
    assert ".Litho_" in bottleneck


def test_limits_are_those_of_compile_and_engine() -> None:
    assert MOST_NEEDS == state.MOST_NEEDS
    assert MOST_SERVERS == compile_slots._MOST_SERVERS
