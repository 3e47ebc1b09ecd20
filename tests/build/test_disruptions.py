"""What disruptions do to a programme, each by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.build.programmes import compiled, dates, findings, simulated, twin_of

from firsttoken.build.simulate import simulate

X = "build.x"


def site(*disruptions: dict[str, Any]) -> dict[str, Any]:
    """Two activities of ten days in a row; the first needs a crew."""
    build = {
        "crews": {"masons": {"count": 2}},
        "phases": {"hall": {"ready": "b", "racks": 8}},
        "activities": {
            "a": {"duration": "10 day", "crew": {"masons": 1}},
            "b": {"duration": "10 day", "after": ["a"], "phases": ["hall"]},
        },
    }
    return twin_of(build, scenarios={"hit": {"disruptions": list(disruptions)}})


def hit(folder: Path, *disruptions: dict[str, Any]) -> dict[str, tuple[float, float]]:
    system, found = simulated(folder, site(*disruptions), scenario="hit")
    return dates(system, found)


@pytest.mark.parametrize("target", [X, f"{X}.activities.a", f"{X}.crews.masons"])
def test_what_is_closed_stands_still(tmp_path: Path, target: str) -> None:
    """Closed on days 5 to 11: five days of work are left on day 12."""
    found = hit(tmp_path, {"close": target, "from": "2026-01-10", "for": "7 day"})
    assert found["a"] == pytest.approx((0, 17))
    assert found["b.hall"] == pytest.approx((17, 27))


def test_a_phase_that_is_closed(tmp_path: Path) -> None:
    found = hit(tmp_path, {"close": f"{X}.phases.hall", "from": "2026-01-10", "for": "12 day"})
    assert found["a"] == pytest.approx((0, 10))
    assert found["b.hall"] == pytest.approx((17, 27))


def test_closures_that_overlap_count_once(tmp_path: Path) -> None:
    first = {"close": X, "from": "2026-01-10", "for": "7 day"}
    second = {"close": f"{X}.activities.a", "from": "2026-01-12", "until": "2026-01-20"}
    found = hit(tmp_path, first, second)
    assert found["a"] == pytest.approx((0, 20))


def test_closed_for_good_is_never_done(tmp_path: Path) -> None:
    found = hit(tmp_path, {"close": f"{X}.activities.b", "from": "2026-01-10"})
    assert found["a"] == pytest.approx((0, 10))
    assert found["b.hall"][1] > 365_000


def test_half_a_crew_works_at_half_the_pace(tmp_path: Path) -> None:
    """From day 4 on, for six days: three days' work is done in them, three are left."""
    change = {"capacity": f"{X}.crews.masons", "factor": 0.5, "from": "2026-01-09", "for": "6 day"}
    assert hit(tmp_path, change)["a"] == pytest.approx((0, 13))


def test_a_crew_comes_back_bit_by_bit(tmp_path: Path) -> None:
    """Nothing for two days, then in eight days from none to all: four days' work in them."""
    change = {"capacity": f"{X}.crews.masons", "factor": 0, "from": "2026-01-09", "for": "2 day",
              "recovery": "8 day"}  # fmt: skip
    assert hit(tmp_path, change)["a"] == pytest.approx((0, 4 + 2 + 8 + 2))


@pytest.mark.parametrize(
    ("change", "end"), [({"factor": 1.5}, 15), ({"add": "3 day"}, 13), ({"factor": 0.5}, 5)]
)
def test_lead_times_of_what_begins_within(tmp_path: Path, change: dict[str, Any], end: int) -> None:
    when = {"from": "2026-01-01", "for": "6 day"}
    found = hit(tmp_path, {"lead_time": f"{X}.activities.a", **change, **when})
    assert found["a"] == pytest.approx((0, end))
    later = {"lead_time": f"{X}.activities.b", **change, **when}
    assert hit(tmp_path, later)["b.hall"] == pytest.approx((10, 20))


def test_what_slips_begins_later(tmp_path: Path) -> None:
    found = hit(tmp_path, {"slip": f"{X}.activities.b", "by": "4 day"})
    assert found["b.hall"] == pytest.approx((14, 24))
    found = hit(tmp_path, {"slip": f"{X}.activities.b", "by": "4 day", "from": "2026-03-01"})
    assert found["b.hall"] == pytest.approx((10, 20))


def test_a_programme_that_slips_begins_later(tmp_path: Path) -> None:
    found = hit(tmp_path, {"slip": X, "by": "2 week"})
    assert found["a"] == pytest.approx((14, 24))


def test_what_slips_is_still_driven_by_what_it_waits_for(tmp_path: Path) -> None:
    data = site({"slip": f"{X}.activities.b", "by": "4 day"})
    found = simulate(compiled(tmp_path, data, "hit"), 1, 1)
    assert found.criticality.tolist() == [[1, 1], [1, 1]]
    assert found.total_float[:, 0] == pytest.approx([0, 0], abs=1)


@pytest.mark.parametrize(
    ("disruption", "said"),
    [
        ({"close": f"{X}.activities", "from": "2026-02"}, "one of the activities, crews, phases"),
        ({"yield": f"{X}.activities.a", "factor": 0.5, "from": "2026-02"}, "'yield' cannot act on"),
        ({"slip": f"{X}.crews.masons", "by": "1 week"}, "activities, phases"),
    ],
)
def test_what_cannot_act_is_said(tmp_path: Path, disruption: dict[str, Any], said: str) -> None:
    assert said in findings(tmp_path, site(disruption))
