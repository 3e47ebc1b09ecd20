"""Tables of the cooling plant."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.facility.power_sites import load

from firsttoken.chain.ports import Resolver
from firsttoken.facility.compile import compile_site
from firsttoken.facility.cooling_kpi import cooling_table
from firsttoken.facility.kpi import Kpis
from firsttoken.facility.simulate import simulate

SITE = """
weather: weather.csv
racks: {r: {count: 10, power: 100 kW, liquid: 1, cooled_by: c}}
cdus: {c: {count: 2, rating: 500 kW, water: w, approach: 4 K}}
loops: {w: {supply: 30 degC, coolers: [d, x]}}
dry_coolers: {d: {rating: 1.3 MW, approach: 8 K}}
chillers: {x: {rating: 1.2 MW}}
step: 1 hour
"""


@pytest.mark.parametrize("detail", ["group", "unit"])
def test_temperatures_and_running_time(tmp_path: Path, detail: str) -> None:
    """A dry cooler below the loop's 30 degC in the cold first half, chillers in the warm second."""
    hours = [f"2026-01-{day:02d} {hour:02d}:00" for day in range(1, 32) for hour in range(24)]
    temperature = [5 if int(hour[8:10]) < 10 else 45 for hour in hours]
    text = "time,temperature_2m,relative_humidity_2m\n" + "".join(
        f"{hour},{value},20\n" for hour, value in zip(hours, temperature, strict=True)
    )
    (tmp_path / "weather.csv").write_text(text)
    twin = load(tmp_path, SITE + f"detail: {detail}\n")
    system = compile_site(twin, "x", Resolver(twin))
    site = twin.rooms["facility"]["x"]
    result = simulate(system, 2, 1)
    rows = [2 if detail == "unit" else 1, 1]  # of CDUs and of the loop: always a temperature
    for group, count in enumerate(rows):
        assert result.heat[0, group, :-2].sum() == pytest.approx(count * result.time)
    table = cooling_table(Kpis("base", site, system, result, ""))  # type: ignore[arg-type]
    columns = table.columns
    found = {
        (group, metric): value
        for group, metric, value in zip(
            columns["group"], columns["metric"], columns["p50"], strict=True
        )
    }
    for share in ("p1", "p50", "p99"):
        assert found["w", f"temperature_{share}"] == pytest.approx(30.0, abs=0.26)
    assert found["c", "temperature_p50"] == pytest.approx(34.0, abs=0.3)
    # ten days from the 5th: five of them cold
    assert found["d", "running"] == pytest.approx(50.0, abs=2.0)
    assert found["x", "running"] == pytest.approx(50.0, abs=2.0)
    assert found["x", "water"] == 0.0
