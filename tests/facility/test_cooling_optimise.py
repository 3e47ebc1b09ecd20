"""Set-points for least energy: the path against all paths, the plant against its declared state."""

from __future__ import annotations

from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.facility.sites import compiled

from firsttoken.facility.cooling_kpi import set_point_tables
from firsttoken.facility.cooling_path import cheapest_path
from firsttoken.twin.findings import TwinError

WEATHER = "time,temperature_2m,relative_humidity_2m\n" + "".join(
    f"{str(hour)[:10]} {str(hour)[11:13]}:00,"
    f"{15 + 10 * np.sin(n / 8760 * 6.283) + 5 * np.sin(n / 24 * 6.283):.1f},50\n"
    for n, hour in enumerate(np.arange("2024-01-01T00", "2025-01-01T00", dtype="datetime64[h]"))
)

SITE = """
weather: WEATHER
racks:
  gb: {count: 8, cooled_by: row, power: 135 kW, liquid: 1, warmest: 40 degC, flow: 200 L/min}
cdus: {row: {count: 2, rating: 600 kW, water: w, approach: 4 K, supply: 30 degC}}
loops: {w: {supply: 22 degC, coolers: [tower, x]}}
towers: {tower: {rating: 1.2 MW, approach: 4 K, range: 8 K}}
chillers: {x: {rating: 1.2 MW}}
set_points: {s: {loop: w, coldest: 20 degC, hottest: 36 degC, step: 2 K, ramp: 2 K}}
"""


@pytest.mark.parametrize("most", [0, 1, 3])
def test_the_path_is_the_cheapest_of_all(most: int) -> None:
    rng = np.random.default_rng(most)
    cost = rng.uniform(0.0, 1.0, (3, 3, 2))
    hours = rng.integers(0, 3, 5)
    path = np.empty(5, np.int64)
    cheapest_path(cost, hours, most, path)

    def total(states: tuple[tuple[int, int], ...]) -> float:
        return sum(cost[k, a, b] for k, (a, b) in zip(hours, states, strict=True))

    def allowed(states: tuple[tuple[int, int], ...]) -> bool:
        return all(abs(a - c) <= most and abs(b - d) <= most for (a, b), (c, d) in pairwise(states))

    pairs = list(product(range(3), range(2)))
    best = min(total(states) for states in product(pairs, repeat=5) if allowed(states))
    found = tuple((int(s) // 2, int(s) % 2) for s in path)
    assert allowed(found)
    assert total(found) == pytest.approx(best)


def found(folder: Path, site: str) -> tuple[dict[str, Any], dict[str, Any]]:
    (folder / "weather.csv").write_text(WEATHER)
    tables = set_point_tables("base", compiled(folder, site.replace("WEATHER", "weather.csv")))
    summary = {name: cells[0] for name, cells in tables[0].columns.items()}
    return summary, {name: np.array(cells) for name, cells in tables[1].columns.items()}


def test_set_points_save_energy_within_limits_and_ramps(tmp_path: Path) -> None:
    summary, hours = found(tmp_path, SITE)
    assert summary["found"] < summary["declared"]
    assert summary["without_ramps"] <= summary["found"] * (1 + 1e-12)
    assert summary["found_beyond"] == 0.0
    assert hours["supply"].max() <= 40.0 + 0.1
    assert (hours["supply"] > hours["water"]).all()
    for name in ("water", "supply"):
        assert np.abs(np.diff(hours[name])).max() <= 2.0 + 1e-9
    saved = 1.0 - hours["power"].sum() / hours["declared_power"].sum()
    assert 100.0 * saved == pytest.approx(summary["saving"])


def test_the_declared_pair_is_not_beaten_by_itself(tmp_path: Path) -> None:
    """With one pair on the grid, the one declared, nothing is saved."""
    site = SITE.replace("coldest: 20 degC, hottest: 36 degC, step: 2 K", "coldest: 22 degC, "
                        "hottest: 22 degC, step: 8 K")  # fmt: skip
    summary, hours = found(tmp_path, site)
    assert set(hours["water"].round(6)) == {22.0}
    assert summary["saving"] == pytest.approx(0.0, abs=0.01)


def test_racks_whose_flow_grows_with_temperature_have_a_best_supply(tmp_path: Path) -> None:
    """Vera Rubin's law: warmer liquid needs so much more of it that its pumps decide."""
    law = "flow_law: {scale: 17370 K, limit: 57.2 degC, exponent: 0.796}"
    site = SITE.replace("flow: 200 L/min", law).replace("warmest: 40", "warmest: 50")
    site = site.replace("approach: 4 K, supply", "pumps: {flow: 1500 L/min, head: 400 kPa}, supply")
    summary, _ = found(tmp_path, site)
    assert 20.0 < summary["mean_supply"] < 36.0


def test_an_unknown_loop(tmp_path: Path) -> None:
    with pytest.raises(TwinError, match="'v' is not declared"):
        found(tmp_path, SITE.replace("{loop: w", "{loop: v"))


def test_no_searches_no_tables(tmp_path: Path) -> None:
    (tmp_path / "weather.csv").write_text(WEATHER)
    site = SITE.replace("WEATHER", "weather.csv").split("set_points:")[0]
    assert set_point_tables("base", compiled(tmp_path, site)) == []
