"""Equipment that comes with the racks: a part of them, the same part of it, in whole units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.facility.sites import ran

from firsttoken import api

SITE: dict[str, Any] = {
    "feeds": {"grid": {"rating": "10 MW"}},
    "ups": {
        "a": {"from": "grid", "count": 4, "no_load_loss": "1 kW", "efficiency": 1, "with": "r"}
    },
    "racks": {
        "r": {
            "count": {"2026-01-05": 0, "2026-01-06": 5, "2026-01-07": 7, "2026-01-08": 10},
            "power": "100 kW",
            "from": "a",
        }
    },
    "overheads": {"light": {"power": "10 kW", "from": "grid", "with": "r"}},
    "trace": True,
}


def losses(folder: Path, site: dict[str, Any], **options: Any) -> list[float]:
    """Loss in kW of the first hour of each of the first four days."""
    found = ran(folder, site, trace=True, **options)
    return [round(float(found.trace[24 * day, 3]) / 1e3, 6) for day in range(4)]


def test_units_come_in_whole_numbers(tmp_path: Path) -> None:
    """Of four for ten racks: none, two for five, three (2.8) for seven, all for ten."""
    assert losses(tmp_path, SITE) == [0.0, 2.0, 3.0, 4.0]


def test_all_are_there_without(tmp_path: Path) -> None:
    ups = {"a": {key: value for key, value in SITE["ups"]["a"].items() if key != "with"}}
    assert losses(tmp_path, {**SITE, "ups": ups}) == [4.0] * 4


def test_every_unit_on_its_own(tmp_path: Path) -> None:
    assert losses(tmp_path, {**SITE, "detail": "unit"}) == [0.0, 2.0, 3.0, 4.0]


def test_overheads_follow_in_proportion(tmp_path: Path) -> None:
    found = ran(tmp_path, SITE, trace=True)
    power, it, loss = (found.trace[[0, 24, 48, 72], column] / 1e3 for column in (0, 1, 3))
    assert power - it - loss == pytest.approx([0.0, 5.0, 7.0, 10.0])


def test_racks_that_close_keep_what_came_with_them(tmp_path: Path) -> None:
    """A closure takes the load, not the equipment."""
    close = "disruptions: [{close: facility.x.racks.r, from: 2026-01-08, for: 1 day}]"
    assert losses(tmp_path, SITE, header=close)[3] == 4.0


def test_an_unknown_group_is_found(tmp_path: Path) -> None:
    data = {"twin": "t", "start": "2026-01-05", "horizon": "1 day", "facility": {"x": {**SITE}}}
    data["facility"]["x"]["ups"] = {"a": {**SITE["ups"]["a"], "with": "q"}}  # type: ignore[index]
    (tmp_path / "twin.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    found = [f for f in api.check(tmp_path) if f.severity == "error"]
    assert [f.path for f in found] == ["facility.x.ups.a.with"]
    assert "group of racks" in found[0].what
