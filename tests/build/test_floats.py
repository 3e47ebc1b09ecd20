"""Floats mean what they say: slip a task by its float and nothing moves, by more and it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.build.programmes import compiled, simulated, twin_of

from firsttoken.build.simulate import no_change, simulate

HOUR = 3600.0
TYPES = ("FS", "FS", "FS", "SS", "FF", "SF")


def random_network(seed: int) -> dict[str, Any]:
    """Fourteen activities in two calendars and all time, with links of all types and lags."""
    random = np.random.default_rng(seed)
    activities: dict[str, Any] = {}
    for i in range(14):
        before = sorted({int(b) for b in random.integers(0, i, 2)}) if i > 2 else []
        links = [
            {"activity": f"a{b}", "type": TYPES[int(random.integers(0, len(TYPES)))],
             "lag": f"{int(random.integers(-6, 20))} hour"}
            for b in before
        ]  # fmt: skip
        calendar = ("day", "night", "all")[i % 3 if i < 3 else int(random.integers(0, 3))]
        hours = int(random.integers(4, 90))
        activities[f"a{i}"] = {"duration": f"{hours} hour", "after": links, "calendar": calendar}
    calendars = {
        "day": {"shifts": ["mon-fri 08:00-16:00"], "closed": ["2026-01-14"]},
        "night": {"shifts": ["mon-sat 20:00-04:00"]},
    }
    return twin_of({"calendars": calendars, "activities": activities})


@pytest.mark.parametrize("seed", range(12))
def test_total_float_is_what_the_end_can_bear(tmp_path: Path, seed: int) -> None:
    """Longer by its float, whatever its links are, the end holds."""
    system = compiled(tmp_path, random_network(seed))
    plain = no_change(system.network)
    found = simulate(system, 1, 1)
    for i in range(len(system.names.tasks)):
        slack = float(found.total_float[i, 0])
        assert slack >= 0
        cut = np.zeros(len(system.names.tasks))
        cut[i] = -(slack - 60.0) if slack > 60.0 else 0.0  # dates are kept to a few seconds
        longer = simulate(system, 1, 1, change=plain._replace(cut=cut))
        assert longer.last[0] == pytest.approx(found.last[0], abs=1.0), system.names.tasks[i]


@pytest.mark.parametrize("seed", range(12))
def test_beyond_its_float_a_task_moves_the_end(tmp_path: Path, seed: int) -> None:
    """In finish-to-start networks an hour more than the float is felt at the end."""
    data = random_network(seed)
    for activity in data["build"]["x"]["activities"].values():
        activity["after"] = [link["activity"] for link in activity["after"]]
    system = compiled(tmp_path, data)
    plain = no_change(system.network)
    found = simulate(system, 1, 1)
    for i in range(len(system.names.tasks)):
        slack = float(found.total_float[i, 0])
        cut = np.zeros(len(system.names.tasks))
        cut[i] = -(slack + HOUR)
        longer = simulate(system, 1, 1, change=plain._replace(cut=cut))
        assert longer.last[0] > found.last[0] + 60, system.names.tasks[i]


@pytest.mark.parametrize("seed", range(12))
def test_in_one_calendar_what_drives_the_end_has_no_float(tmp_path: Path, seed: int) -> None:
    """There the longest path is where the float is least (Kelley and Walker 1959)."""
    data = random_network(seed)
    for activity in data["build"]["x"]["activities"].values():
        activity["after"] = [link["activity"] for link in activity["after"]]
        activity["calendar"] = "day" if seed % 2 else "all"
    del data["build"]["x"]["calendars"]["night"]
    if not seed % 2:
        del data["build"]["x"]["calendars"]
    _, found = simulated(tmp_path, data)
    assert ((found.total_float[:, 0] < 1.0) == (found.criticality[1] == 1)).all()


@pytest.mark.parametrize("seed", range(6))
def test_free_float_moves_nobody(tmp_path: Path, seed: int) -> None:
    """Longer by its free float, an activity moves no other's start."""
    data = random_network(seed)
    for activity in data["build"]["x"]["activities"].values():
        activity["after"] = [link["activity"] for link in activity["after"]]
    system = compiled(tmp_path, data)
    plain = no_change(system.network)
    found = simulate(system, 1, 1)
    for i in range(len(system.names.tasks)):
        cut = np.zeros(len(system.names.tasks))
        cut[i] = -max(float(found.free_float[i]) - 60.0, 0.0)
        longer = simulate(system, 1, 1, change=plain._replace(cut=cut))
        others = np.arange(len(cut)) != i
        assert longer.start[others, 0] == pytest.approx(found.start[others, 0], abs=1.0)
