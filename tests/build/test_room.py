"""A programme as the rest of the house sees it: tables, levers, ports, findings."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.build.programmes import findings, load, tables, twin_of

from firsttoken.build.room import ROOM
from firsttoken.build.room import port_names as names
from firsttoken.chain.run import execute
from firsttoken.twin.room import Settings

SITE: dict[str, Any] = {
    "phases": {
        "one": {"racks": 100, "power": "15 MW", "ready": "test"},
        "two": {"racks": 300, "power": "45 MW", "ready": "test"},
    },
    "due": "2026-03-01",
    "cost_of_delay": "1 MUSD/day",
    "crews": {"testers": {"count": 1}},
    "activities": {
        "shell": {"duration": "50 day", "cost": "100 MUSD"},
        "fit_out": {"duration": "10 day", "after": ["shell"], "phases": ["one", "two"],
                    "cost": "20 MUSD", "by_phase": {"two": {"duration": "40 day"}}},
        "transformer": {"duration": "20 day", "kind": "procurement"},
        "test": {"duration": "5 day", "after": ["fit_out", "transformer"],
                 "phases": ["one", "two"], "crew": {"testers": 1}, "deadline": "2026-04-01"},
    },
}  # fmt: skip
"""Ready on day 65 (11 March) and on day 95 (10 April), with nothing left to chance."""


def changed(**more: Any) -> dict[str, Any]:
    return twin_of({**copy.deepcopy(SITE), **more}, horizon="180 day", replications=10)


def kpi(found: dict[str, list[dict[str, Any]]], name: str) -> dict[str, Any]:
    (row,) = [row for row in found["build_summary"] if row["kpi"] == f"x.{name}"]
    return row


def test_key_figures(tmp_path: Path) -> None:
    found = tables(tmp_path, changed())
    # 11 March is day 69 of the year, counted from 0.
    assert kpi(found, "first_power")["p50"] == pytest.approx(2026 + 69 / 365)
    assert kpi(found, "ready.two")["p90"] == pytest.approx(2026 + 99 / 365)
    assert kpi(found, "delay")["p50"] == pytest.approx(10)
    assert kpi(found, "cost_of_delay")["mean"] == pytest.approx(10e6)
    assert kpi(found, "on_time")["p50"] == 0
    assert kpi(found, "spent")["p50"] == pytest.approx(140e6)
    assert kpi(found, "racks")["p50"] == 400
    assert kpi(found, "power")["p50"] == pytest.approx(60)


def test_tables_of_activities_phases_and_deadlines(tmp_path: Path) -> None:
    found = tables(tmp_path, changed())
    rows = {row["task"]: row for row in found["build_activities"]}
    assert list(rows) == [
        "shell", "fit_out.one", "fit_out.two", "transformer", "test.one", "test.two"
    ]  # fmt: skip
    assert rows["test.one"]["p50"] == "2026-03-11"
    assert rows["fit_out.two"]["start_p80"] == "2026-02-24"
    assert rows["transformer"]["total_float"] == pytest.approx(70)  # until all is done
    assert rows["transformer"]["free_float"] == pytest.approx(40, abs=1e-3)
    assert rows["fit_out.one"]["total_float"] == pytest.approx(30, abs=1e-3)
    assert rows["fit_out.one"]["criticality"] == 1
    assert rows["fit_out.one"]["criticality_finish"] == 0
    ready = {row["phase"]: row for row in found["build_phases"]}
    assert (ready["one"]["p50"], ready["two"]["p50"]) == ("2026-03-11", "2026-04-10")
    assert (ready["one"]["first"], ready["two"]["first"]) == (1, 0)
    late = {row["task"]: row for row in found["build_deadlines"]}
    assert late["test.one"]["on_time"] == 1
    assert late["test.two"]["on_time"] == 0
    assert late["test.two"]["late"] == pytest.approx(9, abs=1e-3)
    # Wilson's interval of none of ten: to z2 / (n + z2), z = 1.96.
    assert late["due"]["on_time_high"] == pytest.approx(1.96**2 / (10 + 1.96**2), rel=1e-3)


def test_curves_rise_to_all(tmp_path: Path) -> None:
    """100 MUSD evenly over 50 days: by the end of January (day 27) 54 of them."""
    found = tables(tmp_path, changed())
    curves = {(row["metric"], row["period"]): row for row in found["build_curves"]}
    assert curves["spent", "2026-01-05"]["p50"] == pytest.approx(100e6 * 27 / 50)
    assert curves["racks", "2026-02-01"]["p50"] == 0
    assert curves["racks", "2026-03-01"]["p50"] == 100
    assert curves["power", "2026-04-01"]["p50"] == pytest.approx(60)
    spent = [row["p50"] for row in found["build_curves"] if row["metric"] == "spent"]
    assert spent == sorted(spent)
    assert spent[-1] == pytest.approx(140e6)


def test_what_a_week_less_is_worth(tmp_path: Path) -> None:
    """Seven days of the shell are seven days of both phases; the transformer has float."""
    found = tables(tmp_path, changed(), Settings(engines=("explain",)))
    gains = {(row["kind"], row["name"]): row for row in found["build_levers"]}
    shell = gains["activity", "shell"]
    assert shell["gain"] == pytest.approx(7)
    assert shell["finish"] == pytest.approx(7)
    assert shell["worth"] == pytest.approx(7e6)
    assert gains["activity", "test.one"]["gain"] == pytest.approx(5)  # it is no longer than that
    assert gains["activity", "fit_out.two"]["gain"] == pytest.approx(0, abs=1e-6)
    assert gains["activity", "fit_out.two"]["finish"] == pytest.approx(7)
    assert ("activity", "transformer") not in gains
    assert gains["crew", "testers"]["gain"] == pytest.approx(0, abs=1e-6)
    first = found["build_binding"][0]
    assert (first["kind"], first["share"], first["binds"]) == ("activity", 1, True)
    assert "drives the first phase in 100 % of the futures" in first["sentence"]
    assert "7.0 days forward, worth 7 MUSD" in first["sentence"]


def test_what_a_crew_and_a_risk_are_worth(tmp_path: Path) -> None:
    """Two lifts of 30 days by one crane, one of which a risk of 20 days always hits."""
    lift = {"duration": "30 day", "crew": {"crane": 1}}
    build = {
        "crews": {"crane": {"count": 1}},
        "risks": {"wind": {"factor": 1.1, "affects": ["a"]}},
        "activities": {
            "a": lift,
            "b": {**lift, "risks": {"broken": {"probability": 1, "delay": "20 day"}}},
        },
    }
    found = tables(tmp_path, twin_of(build, replications=10))
    gains = {(row["kind"], row["name"]): row["gain"] for row in found["build_levers"]}
    # 83 days one after the other; side by side the longer lasts 50.
    assert gains["crew", "crane"] == pytest.approx(33)
    assert gains["risk", "b.broken"] == pytest.approx(20)
    assert gains["driver", "wind"] == pytest.approx(3)


def test_what_never_comes_is_told_as_such(tmp_path: Path) -> None:
    data = changed()
    data["disruptions"] = [{"close": "build.x.activities.shell", "from": "2026-01-10"}]
    found = tables(tmp_path, data)
    assert math.isnan(kpi(found, "first_power")["p50"])
    assert {row["p50"] for row in found["build_phases"]} == {""}
    assert all(row["on_time"] == 0 for row in found["build_deadlines"])


def test_ports_are_those_that_were_announced(tmp_path: Path) -> None:
    twin = load(tmp_path, changed())
    declared = twin.rooms["build"]["x"]

    def nothing(*_: object) -> Any:
        raise AssertionError

    outcome = ROOM.execute(twin, "x", nothing, Settings(engines=("simulate",)))
    assert set(outcome.ports) == set(names(declared))
    assert set(names(declared)) == {
        "first_power", "finish", "racks", "power", "one_ready", "two_ready"
    }  # fmt: skip
    bare = twin_of({"activities": {"a": {"duration": "1 day"}}}, replications=2)
    assert names(load(tmp_path, bare).rooms["build"]["x"]) == ("finish",)


def with_sites(folder: Path, weight: float) -> dict[str, Any]:
    """Twenty sites that took 100 to 195 days, and one that is not finished after 400."""
    day = np.datetime64("2023-01-01")
    rows = [f"s{i},2023-01-01,{day + 100 + 5 * i}," for i in range(20)]
    (folder / "sites.csv").write_text(
        "\n".join(["site,start,end,seen", *rows, f"open,2023-01-01,,{day + 400}", ""])
    )
    own = {"file": "sites.csv", "weight": weight, "method": "kaplan_meier"}
    return changed(reference=own)


def test_the_weight_of_comparable_sites(tmp_path: Path) -> None:
    """At 0 the network's date holds, at 1 theirs; between, the mean of the quantiles."""
    found = {}
    for weight in (0, 0.5, 1):
        rows = tables(tmp_path, with_sites(tmp_path, weight))
        views = {row["view"]: row for row in rows["build_outlook"]}
        months = {view: row["months"] * 365.25 / 12 for view, row in views.items()}
        assert months["network"] == pytest.approx(65)
        # The eleventh of 21, the one not finished counted among them.
        assert months["comparable sites"] == pytest.approx(150, abs=3)
        found[weight] = months["both"]
        shown = kpi(rows, "outlook")["p50"]
        assert (shown - 2026) * 365 == pytest.approx(months["both"] + 4, abs=5)
    assert found[0] == pytest.approx(65)
    assert found[1] == pytest.approx(150, abs=8)
    assert found[0.5] == pytest.approx((found[0] + found[1]) / 2, abs=1)


def test_another_end_moves_the_phases_as_far(tmp_path: Path) -> None:
    """The shell, 50 days by the network, takes 150 with the sites: the phase moves by 100."""
    data = with_sites(tmp_path, 1)
    data["build"]["x"]["reference"]["end"] = "shell"
    found = tables(tmp_path, data)
    rows = {row["view"]: row for row in found["build_outlook"]}
    assert {row["end"] for row in rows.values()} == {"shell"}
    moved = (rows["both"]["months"] - rows["network"]["months"]) * 365.25 / 12
    shown = kpi(found, "outlook")["p50"] - kpi(found, "first_power")["p50"]
    # Of ten futures the lower of the two in the middle, and the mean of both.
    assert shown * 365 == pytest.approx(moved, abs=8)


def test_other_rooms_see_the_date_of_both_views(tmp_path: Path) -> None:
    """All phases move as far as the first: the second stays thirty days behind it."""
    twin = load(tmp_path, with_sites(tmp_path, 1))
    ports = ROOM.execute(twin, "x", lambda *_: None, Settings(engines=("simulate",))).ports
    first, second = (ports[name].table for name in ("one_ready", "two_ready"))  # type: ignore[union-attr]
    apart = [(b[0] - a[0]) / 86400 for a, b in zip(first, second, strict=True)]
    assert apart == pytest.approx([30.0] * len(apart))
    assert ports["racks"].knots[1][0].table == first  # type: ignore[union-attr]


def test_a_plan_alone_does_not_simulate(tmp_path: Path) -> None:
    done = execute(load(tmp_path, changed()), None, Settings(engines=("plan",)))
    assert [table.name for table in done.tables] == ["build_inputs"]


# Findings -------------------------------------------------------------------------------------


def wrong(folder: Path, **build: Any) -> str:
    return findings(folder, twin_of({**copy.deepcopy(SITE), **build}))


def work(**activities: Any) -> dict[str, Any]:
    return {"activities": {**copy.deepcopy(SITE["activities"]), **activities}}


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (work(a={"duration": "1 day", "after": ["shel"]}), "unknown activity 'shel'"),
        (work(a={"duration": "1 day", "after": ["fit_out.three"]}), "not done for a phase 'three'"),
        (work(a={"duration": "1 day", "after": ["shell.one"]}), "shell is done once"),
        (work(a={"duration": "1 day", "calendar": "nights"}), "unknown calendar 'nights'"),
        (work(a={"duration": "1 day", "phases": ["three"]}), "unknown phase 'three'"),
        (work(a={"duration": "1 day", "phases": ["one", "one"]}), "the phase 'one' stands twice"),
        (work(a={"duration": "1 day", "crew": {"masons": 1}}), "unknown crew 'masons'"),
        (work(a={"duration": "1 day", "crew": {"testers": 2}}), "'a' needs 2 of 'testers'"),
        (work(a={"duration": "1 day", "in_turn": True}), "'in_turn' needs phases"),
        (work(**{"a.b": {"duration": "1 day"}}), "has a dot in it"),
        (
            work(a={"duration": "1 day", "phases": ["one"]},
                 b={"duration": "1 day", "phases": ["two"], "after": ["a"]}),
            "'b' is done for phase 'two', 'a' is not",
        ),
        (
            work(a={"duration": "1 day", "after": ["c"]}, b={"duration": "1 day", "after": ["a"]},
                 c={"duration": "1 day", "after": [{"activity": "b", "type": "SS"}]}),
            "in a circle: a -> b -> c -> a",
        ),
        (
            work(a={"duration": "1 day", "after": [{"activity": "shell", "lag_calendar": "day"}]}),
            "unknown calendar 'day'",
        ),
        (work(a={"duration": "1 day", "deadline": "2025-12-01"}), "the deadline 2025-12-01"),
        (
            work(a={"duration": "1 day", "started": "2026-02-01", "finished": "2026-01-09"}),
            "before it was started",
        ),
        (work(a={"duration": "1 day", "started": "2030-02-01"}), "the day of knowledge"),
        (work(a={"duration": "1 day", "remaining": "1 day"}), "'remaining' is of work"),
        (work(a={"duration": "1 day", "by_phase": {"one": {"cost": "1 USD"}}}), "unknown phase"),
        ({"calendar": "week"}, "unknown calendar 'week'"),
        ({"calendars": {"c": {"shifts": []}}}, "the calendar 'c' never opens"),
        ({"calendars": {"c": {"shifts": ["monday morning"]}}}, "is not a shift"),
        ({"calendars": {"all": {"shifts": ["mon 08:00-09:00"]}}}, "'all' means all time"),
        ({"calendars": {"c": {"shifts": ["mon 08:00-09:00"]}}}, "nothing goes on in the calendar"),
        ({"crews": {"testers": {"count": 1}, "idle": {"count": 1}}}, "no activity needs the crew"),
        (
            {"crews": {"testers": {"count": {"interpolate": "linear", "2026": 1, "2027": 2}}}},
            "changes in steps",
        ),
        ({"crews": {"testers": {"count": "uniform(1, 3) each period"}}}, "changes in steps"),
        ({"due": "2025-01-01"}, "promised for 2025-01-01, before it begins"),
        ({"due": None}, "'cost_of_delay' needs the day"),
        ({"phases": {"one": {"ready": "nothing"}}}, "unknown activity 'nothing'"),
        ({"risks": {"r": {"factor": 1.1, "affects": ["wrok"]}}}, "unknown activity or kind 'wrok'"),
        ({"reference": {"end": "ready"}}, "unknown activity 'ready'"),
        ({"reference": {"file": "none.csv"}}, "none.csv"),
        ({"reference": {"since": "2029-01-01"}}, "comparable sites is finished"),
        ({"activities": {}}, "without activities"),
    ],
)  # fmt: skip
def test_findings(tmp_path: Path, build: dict[str, Any], said: str) -> None:
    found = wrong(tmp_path, **build)
    assert said in found
    line = next(line for line in found.splitlines() if said in line)
    assert "twin.yaml:" in line or ".csv" in line


def test_work_that_lasts_longer_than_it_can(tmp_path: Path) -> None:
    late = {"duration": "uniform(1, 9) day", "started": "2026-01-06"}
    data = twin_of({"activities": {"a": late}}, as_of="2026-02-04", replications=10)
    assert "longer than its longest duration" in findings(tmp_path, data)
    # It counts as done on the day of knowledge.
    (row,) = tables(tmp_path, data, said="warning")["build_activities"]
    assert (row["start_p50"], row["p50"]) == ("2026-01-06", "2026-02-04")
