"""Networks whose answers are known: textbooks, links of all four types, phases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.build.programmes import DAY, case, dates, simulated, twin_of

WEEK = 7 * DAY
PROJECT = case("build_reliable_construction", "project.json")


def reliable(duration: str) -> dict[str, Any]:
    """The textbook's project; the duration is a format of its three estimates and their mean."""
    activities = {}
    for name, row in PROJECT["activities"].items():
        low, mode, high = row["estimates"]
        mean = (low + 4 * mode + high) / 6
        given = duration if low < high else "{mean} week"
        activities[name] = {
            "duration": given.format(low=low, mode=mode, high=high, mean=mean),
            "after": row["after"],
        }
    return twin_of({"activities": activities})


def test_the_textbook_network(tmp_path: Path) -> None:
    """Hillier and Lieberman: 44 weeks, and the slack of every activity."""
    system, found = simulated(tmp_path, reliable("{mean} week"))
    assert found.last[0] == pytest.approx(PROJECT["length"] * WEEK)
    slack = dict(zip(system.names.tasks, found.total_float[:, 0] / WEEK, strict=True))
    expected = {name: row["slack"] for name, row in PROJECT["activities"].items()}
    assert slack == pytest.approx(expected, abs=1e-5)
    critical = {name for name, c in zip(slack, found.criticality[1], strict=True) if c}
    assert critical == {name for name, value in expected.items() if value == 0}
    # Of roof, siding, painting and fixtures only the last can slip alone.
    free = dict(zip(slack, found.free_float / WEEK, strict=True))
    assert free["exterior_fixtures"] == pytest.approx(4)
    assert free["roof"] == free["exterior_siding"] == pytest.approx(0, abs=1e-6)


def longest(work: dict[str, np.ndarray]) -> np.ndarray:
    """The project's length by its paths: an independent forward pass."""
    end: dict[str, np.ndarray] = {}
    for name, row in PROJECT["activities"].items():
        begin = np.max([end[before] for before in row["after"]] or [0 * work[name]], axis=0)
        end[name] = begin + work[name]
    result: np.ndarray = np.max(list(end.values()), axis=0)
    return result


def test_uncertain_durations_of_the_textbook(tmp_path: Path) -> None:
    """Against numpy's own beta numbers, 400,000 of them: mean and P80 of the length.

    The mean lies above the 44 weeks of the means (Malcolm et al. 1959 neglect the merge bias).
    """
    _, found = simulated(tmp_path, reliable("beta_pert({low}, {mode}, {high}) week"), 20_000)
    random = np.random.default_rng(5)
    work = {}
    for name, row in PROJECT["activities"].items():
        low, mode, high = row["estimates"]
        if low == high:
            work[name] = np.full(400_000, float(low))
            continue
        shapes = 1 + 4 * (mode - low) / (high - low), 1 + 4 * (high - mode) / (high - low)
        work[name] = low + (high - low) * random.beta(*shapes, 400_000)
    expected = longest(work)
    assert found.last.mean() / WEEK == pytest.approx(expected.mean(), abs=0.08)
    assert found.last.std() / WEEK == pytest.approx(expected.std(), rel=0.03)
    assert np.quantile(found.last, 0.8) / WEEK == pytest.approx(np.quantile(expected, 0.8), abs=0.1)
    assert found.last.mean() / WEEK > 44.3


def by_type(kind: str, lag: str, first: str = "10 day", second: str = "4 day") -> dict[str, Any]:
    link = {"activity": "a", "type": kind, "lag": lag}
    return twin_of(
        {"activities": {"a": {"duration": first}, "b": {"duration": second, "after": [link]}}}
    )


@pytest.mark.parametrize(
    ("kind", "lag", "start", "finish"),
    [
        ("FS", "0 day", 10, 14),
        ("FS", "3 day", 13, 17),
        ("FS", "-2 day", 8, 12),
        ("SS", "0 day", 0, 4),
        ("SS", "5 day", 5, 9),
        ("FF", "0 day", 6, 10),
        ("FF", "2 day", 8, 12),
        ("SF", "9 day", 5, 9),
        ("SF", "0 day", 0, 4),
    ],
)
def test_links(tmp_path: Path, kind: str, lag: str, start: float, finish: float) -> None:
    """Fondahl's precedence diagram: what waits for what, and how much later."""
    system, found = simulated(tmp_path, by_type(kind, lag))
    assert dates(system, found)["b"] == pytest.approx((start, finish), abs=1e-3)


@pytest.mark.parametrize(
    ("kind", "lag", "first", "second", "slack"),
    [
        ("FS", "0 day", "10 day", "4 day", (0, 0)),
        ("SS", "5 day", "10 day", "4 day", (0, 1)),  # b may end with a
        ("SS", "8 day", "10 day", "4 day", (0, 0)),
        ("FF", "0 day", "10 day", "4 day", (0, 0)),
        ("FF", "-3 day", "10 day", "4 day", (0, 3)),
    ],
)
def test_float_of_links(
    tmp_path: Path, kind: str, lag: str, first: str, second: str, slack: tuple[float, float]
) -> None:
    _, found = simulated(tmp_path, by_type(kind, lag, first, second))
    assert found.total_float[:, 0] / DAY == pytest.approx(slack, abs=1e-3)


def test_lags_run_in_their_calendar(tmp_path: Path) -> None:
    """Concrete that sets at night too, what needs three working days, what may overlap."""
    week = {"shifts": ["mon-fri 08:00-16:00"]}
    links = {
        "any": {"activity": "pour", "lag": "60 hour"},
        "working": {"activity": "pour", "lag": "24 hour", "lag_calendar": "week"},
        "back": {"activity": "pour", "lag": "-4 hour", "lag_calendar": "week"},
    }
    build = {
        "calendars": {"week": week},
        "calendar": "week",
        "activities": {
            "pour": {"duration": "40 hour"},  # to Friday, 16:00
            **{name: {"duration": "8 hour", "after": [link]} for name, link in links.items()},
        },
    }
    found = dates(*simulated(tmp_path, twin_of(build)))
    assert found["pour"] == pytest.approx((8 / 24, 4 + 16 / 24))
    assert found["any"] == pytest.approx((7 + 8 / 24, 7 + 16 / 24))  # Monday, at the shift's start
    assert found["working"] == pytest.approx((10 + 8 / 24, 10 + 16 / 24))
    assert found["back"] == pytest.approx((4 + 12 / 24, 7 + 12 / 24))


def test_float_over_a_week_end_is_none(tmp_path: Path) -> None:
    """What ends on Friday and drives what begins on Monday has no float, and is critical."""
    build = {
        "calendars": {"week": {"shifts": ["mon-fri 08:00-16:00"]}},
        "calendar": "week",
        "activities": {
            "a": {"duration": "40 hour"},
            "short": {"duration": "8 hour"},
            "b": {"duration": "8 hour", "after": ["a", "short"]},
        },
    }
    system, found = simulated(tmp_path, twin_of(build))
    assert found.total_float[:, 0] == pytest.approx([0, 32 * 3600, 0], abs=1)
    assert found.criticality[1].tolist() == [1, 0, 1]
    assert dates(system, found)["b"][0] == pytest.approx(7 + 8 / 24)


def test_phases_become_tasks(tmp_path: Path) -> None:
    """Names mean the same phase, what is done once, or all phases; `in_turn` is one by one."""
    build = {
        "phases": {p: {"ready": "test", "racks": 10} for p in ("one", "two", "three")},
        "activities": {
            "road": {"duration": "5 day"},
            "shell": {"duration": "10 day", "after": ["road"], "phases": ["one", "two", "three"],
                      "in_turn": True},
            "test": {"duration": "2 day", "after": ["shell"], "phases": ["one", "two", "three"]},
            "party": {"duration": "1 day", "after": ["test"]},
            "fence": {"duration": "1 day", "after": ["test.two"]},
        },
    }  # fmt: skip
    system, found = simulated(tmp_path, twin_of(build))
    when = dates(system, found)
    assert list(when) == [
        "road", "shell.one", "shell.two", "shell.three",
        "test.one", "test.two", "test.three", "party", "fence",
    ]  # fmt: skip
    assert when["shell.two"] == pytest.approx((15, 25))
    assert when["test.three"] == pytest.approx((35, 37))
    assert when["party"][0] == pytest.approx(37)
    assert when["fence"][0] == pytest.approx(27)
    assert found.ready[:, 0] / DAY == pytest.approx([17, 27, 37])
    assert found.first[0] / DAY == pytest.approx(17)


def test_phases_draw_their_own_durations(tmp_path: Path) -> None:
    """A distribution is drawn for each phase anew; one drawn once is the same in all."""
    build = {
        "phases": {p: {"ready": "own"} for p in ("one", "two")},
        "activities": {
            "own": {"duration": "uniform(1, 9) day", "phases": ["one", "two"]},
            "same": {
                "duration": {"dist": "uniform", "low": 1, "high": 9, "unit": "day"}
                | {"drawn": "once"},
                "phases": ["one", "two"],
            },
            "other": {"duration": "uniform(1, 9) day", "phases": ["one", "two"],
                      "by_phase": {"two": {"duration": "3 day"}}},
        },
    }  # fmt: skip
    system, found = simulated(tmp_path, twin_of(build), 2000)
    work = dict(zip(system.names.tasks, found.work / DAY, strict=True))
    assert abs(np.corrcoef(work["own.one"], work["own.two"])[0, 1]) < 0.1
    assert np.array_equal(work["same.one"], work["same.two"])
    assert work["other.two"] == pytest.approx(np.full(2000, 3.0))
    assert work["other.one"].std() == pytest.approx(8 / 12**0.5, rel=0.05)


def test_dates_hold_back(tmp_path: Path) -> None:
    build = {
        "begin": "2026-01-10",
        "activities": {
            "a": {"duration": "2 day"},
            "b": {"duration": "2 day", "after": ["a"], "earliest": "2026-02-04"},
        },
    }
    found = dates(*simulated(tmp_path, twin_of(build)))
    assert found["a"] == pytest.approx((5, 7))
    assert found["b"] == pytest.approx((30, 32))
