"""A programme feeds other rooms: `model(build.site.racks)`, `model(build.site.first_power)`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from firsttoken import api
from firsttoken.chain.ports import order
from firsttoken.chain.run import execute
from firsttoken.twin.room import Settings

SITE: dict[str, Any] = {
    "phases": {
        "one": {"racks": 4, "power": "40 MW", "ready": "one"},
        "two": {"racks": 6, "power": "60 MW", "ready": "two"},
    },
    "activities": {
        "one": {"duration": "uniform(4, 8) week"},
        "two": {"duration": "uniform(4, 8) week", "after": ["one"]},
    },
}
"""Four slots after four to eight weeks, ten after eight to sixteen."""


def run(folder: Path, rooms: dict[str, Any], replications: int = 200) -> dict[str, Any]:
    data = {"twin": "both", "start": "2026-01-05", "horizon": "30 week",
            "replications": replications, **rooms}  # fmt: skip
    (folder / "twin.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    assert api.check(folder).as_text() == ""
    twin = api.load(folder)
    assert order(twin)[0] == ("build", "site")
    found: dict[str, Any] = {}
    for table in execute(twin, None, Settings(engines=("simulate",))).tables:
        columns = {name: table.array(name).tolist() for name in table.columns}
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        found.setdefault(table.name, []).extend(rows)
    return found


def test_racks_become_slots_as_they_are_ready(tmp_path: Path) -> None:
    """Slots of one day each: what is finished is the time integral of the slots that are there.

    E: 4 slots from week 6, 6 more from week 12 to 30: (4 * 24 + 6 * 18) weeks = 1428 racks.
    """
    line = {
        "unit": "rack",
        "stations": {"burn_in": {"servers": "model(build.site.racks)", "time": "1 day"}},
        "products": {"rack": {"releases": {"all": {"backlog": 12}}}},
    }
    found = run(tmp_path, {"line": {"floor": line}, "build": {"site": SITE}})
    (row,) = [row for row in found["line_summary"] if row["kpi"] == "floor.throughput"]
    assert row["mean"] * 30 == pytest.approx((4 * 24 + 6 * 18) * 7, rel=0.03)
    first = next(row for row in found["line_throughput"] if row["metric"] == "finished")
    assert first["period"] == "2026-01-05"
    assert first["p90"] == 0  # nobody is ready in the first weeks


def test_a_site_runs_the_racks_that_are_there(tmp_path: Path) -> None:
    """Four racks of 100 kW from week 6 on, ten from week 12 to 30: 3,427.2 MWh."""
    certain = {"one": {"duration": "6 week"}, "two": {"duration": "6 week", "after": ["one"]}}
    racks = {
        "power": "100 kW",
        "idle": "100 kW",
        "count": "model(build.site.racks)",
        "from": "grid",
    }
    facility = {"dc": {"feeds": {"grid": {"rating": "2 MW"}}, "racks": {"all": racks},
                       "step": "1 day"}}  # fmt: skip
    rooms = {"build": {"site": {**SITE, "activities": certain}}, "facility": facility}
    found = run(tmp_path, rooms, 1)
    (row,) = [r for r in found["facility_summary"] if r["label"] == "energy of IT"]
    assert row["unit"] == "MWh"
    assert row["p50"] == pytest.approx((4 * 6 + 10 * 18) * 168 * 0.1, rel=1e-6)


def test_one_programme_waits_for_another(tmp_path: Path) -> None:
    """Both dates are the same draw: what comes after is ten days later in every quantile."""
    after = {
        "activities": {
            "network": {"duration": "10 day", "earliest": "model(build.site.first_power)"}
        }
    }
    found = run(tmp_path, {"build": {"campus": after, "site": SITE}}, 2000)
    kpis = {row["kpi"]: row for row in found["build_summary"]}
    for quantile in ("p10", "p50", "p80", "p90"):
        apart = kpis["campus.finish"][quantile] - kpis["site.first_power"][quantile]
        assert apart * 365 == pytest.approx(10, abs=1.0)
