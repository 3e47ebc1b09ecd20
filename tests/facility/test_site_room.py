"""The room as the rest of the house sees it: tables, ports, checks, scenarios."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tests.facility.sites import CHAIN, COOLED

from firsttoken import api
from firsttoken.chain.run import execute
from firsttoken.facility.kpi_ports import PORTS
from firsttoken.facility.room import ROOM, port_names
from firsttoken.twin.room import Settings

SIMULATE = Settings(engines=("simulate",))
Rows = list[dict[str, Any]]


def twin_of(site: dict[str, Any], **header: Any) -> dict[str, Any]:
    """A twin of one site, of ten days from 2026-01-05."""
    start = {"twin": "t", "start": "2026-01-05", "horizon": "10 day", "replications": 4}
    return {**start, **header, "facility": {"x": site}}


def check(folder: Path, data: dict[str, Any]) -> str:
    (folder / "twin.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    return api.check(folder).as_text()


def tables(
    folder: Path, data: dict[str, Any], scenarios: list[str] | None = None, **settings: Any
) -> dict[str, Rows]:
    """Rows of all tables by name."""
    (folder / "twin.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    done = execute(api.load(folder), scenarios, Settings(**{"engines": ("simulate",), **settings}))
    found: dict[str, Rows] = {}
    for table in done.tables:
        columns = list(table.columns)
        values = [table.array(name).tolist() for name in columns]
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]
        found.setdefault(table.name, []).extend(rows)
    return found


def figure(found: dict[str, Rows], kpi: str, scenario: str = "base") -> dict[str, Any]:
    rows = found["facility_summary"]
    return next(r for r in rows if r["kpi"] == f"x.{kpi}" and r["scenario"] == scenario)


def test_headline_figures_by_hand(tmp_path: Path) -> None:
    """1 MW behind 0.98 and 0.95 at 50 USD/MWh, 10 USD/kW a month, 300 g/kWh."""
    site = copy.deepcopy(CHAIN)
    site["feeds"]["grid"] |= {"price": "50 USD/MWh", "carbon": "300 g/kWh"}
    site["demand_charge"] = "10 USD/kW"
    found = tables(tmp_path, twin_of(site))
    pue = 1 / (0.98 * 0.95)
    assert figure(found, "pue")["p50"] == pytest.approx(pue)
    assert figure(found, "cue")["mean"] == pytest.approx(0.3 * pue)
    assert figure(found, "it_energy")["p10"] == pytest.approx(240)
    assert figure(found, "peak_power")["p90"] == pytest.approx(pue)
    assert figure(found, "demand_charges")["p50"] == pytest.approx(10 * 1000 * pue)
    assert figure(found, "cost")["p50"] == pytest.approx(50 * 240 * pue + 10 * 1000 * pue)
    assert figure(found, "carbon")["p50"] == pytest.approx(0.3 * 240 * pue)
    assert figure(found, "availability")["p50"] == 100
    assert figure(found, "throttled")["p50"] == 0


def test_bands_are_over_replications(tmp_path: Path) -> None:
    """Racks of 80, 100 or 120 kW, equally likely: energy of IT in MWh is 2.4 times that."""
    site = copy.deepcopy(CHAIN)
    site["racks"]["r"]["power"] = "discrete(80: 0.34, 100: 0.33, 120: 0.33) kW"
    found = figure(tables(tmp_path, twin_of(site, replications=200)), "it_energy")
    assert (found["p10"], found["p50"], found["p90"]) == pytest.approx((192, 240, 288))


def test_periods_and_hours(tmp_path: Path) -> None:
    site = {**COOLED, "report": "day", "weather": "w.csv"}
    rows = ["time,dry_bulb,relative_humidity"]
    for hour in range(241):
        air = 15 + 10 * np.sin(2 * np.pi * hour / 24)
        rows.append(f"{np.datetime64('2026-01-05T00') + hour}:00,{air:.3f},50")
    (tmp_path / "w.csv").write_text("\n".join(rows))
    found = tables(tmp_path, twin_of(site))
    days = [r for r in found["facility_period"] if r["metric"] == "pue"]
    assert [r["period"] for r in days] == [f"2026-01-{d:02d}" for d in range(5, 15)]
    energy = [r["p50"] for r in found["facility_period"] if r["metric"] == "energy"]
    assert sum(energy) == pytest.approx(figure(found, "energy")["p50"])
    wue = [r["p50"] for r in found["facility_hour"] if r["metric"] == "wue"]
    assert len(wue) == 24
    assert np.argmax(wue) in range(4, 10)  # the air is warmest at 6:00
    years = found["facility_weather"]
    assert [r["quantity"] for r in years] == ["dry_bulb", "wet_bulb"]
    assert years[0]["p50"] == pytest.approx(15, abs=0.2)
    assert years[0]["p99_6"] == pytest.approx(25, abs=0.1)


def test_groups_and_units(tmp_path: Path) -> None:
    found = tables(tmp_path, twin_of({**COOLED, "detail": "unit"}))
    groups = {(r["group"], r["metric"]): r["p50"] for r in found["facility_groups"]}
    losses = [value for (_, metric), value in groups.items() if metric == "loss"]
    motors = [value for (_, metric), value in groups.items() if metric == "motors"]
    taken = figure(found, "energy")["p50"]
    assert sum(losses) + sum(motors) + 240 == pytest.approx(taken)
    assert groups[("r", "energy")] == pytest.approx(240)
    assert groups[("a", "loss")] == pytest.approx(240 / 0.95 - 240)
    units = found["facility_units"]
    assert sum(r["collection"] == "racks" for r in units) == 10
    assert sum(r["group"] == "cdu" for r in units) == 2
    racks = [r["energy"] for r in units if r["group"] == "r"]
    assert racks == pytest.approx([24.0] * 10)


def test_halls(tmp_path: Path) -> None:
    site = {**copy.deepcopy(CHAIN), "halls": {"north": {"area": "50 m**2", "positions": 12}}}
    site["racks"]["r"]["hall"] = "north"
    found = {r["metric"]: r["p50"] for r in tables(tmp_path, twin_of(site))["facility_halls"]}
    assert found == pytest.approx({"racks": 10, "it_power": 1000, "density": 20})
    site["racks"]["r"] |= {"count": 13, "weight": "2 t"}
    assert "13 racks stand in a hall of 12 positions" in check(tmp_path, twin_of(site))
    site["halls"]["north"] = {"area": "50 m**2", "floor_load": "500 kg/m**2"}
    said = check(tmp_path, twin_of(site))
    assert "racks weigh 520 kg/m2 of the hall, its floor carries 500 kg/m2" in said


def test_a_trace_is_a_table(tmp_path: Path) -> None:
    found = tables(tmp_path, twin_of({**CHAIN, "trace": True}))["facility_trace"]
    assert len(found) == 240
    assert found[7]["seconds"] == 7 * 3600
    assert found[7]["it_power"] == pytest.approx(1000)


def test_scenarios_change_the_climate(tmp_path: Path) -> None:
    data = twin_of(COOLED, scenarios={"heat": {"overrides": {"facility.x.warmer": "12 K"}}})
    found = tables(tmp_path, data, ["base", "heat"])
    assert figure(found, "water", "heat")["p50"] > 1.05 * figure(found, "water")["p50"]


def test_ports(tmp_path: Path) -> None:
    """Racks at one site by another's power: ports are series of the report periods."""
    site = copy.deepcopy(CHAIN)
    site["racks"]["r"]["power"] = "uniform(90, 110) kW"
    other = {"overheads": {"copy": {"power": "model(facility.x.it_power)"}}}
    data = twin_of(site)
    data["facility"]["y"] = other
    found = tables(tmp_path, data)
    rows = {r["kpi"]: r for r in found["facility_summary"]}
    assert rows["y.energy"]["mean"] == pytest.approx(rows["x.it_energy"]["mean"], rel=0.1)
    assert rows["y.peak_power"]["label"].startswith("y: ")
    assert set(port_names(api.load(tmp_path).rooms["facility"]["x"])) == set(PORTS)
    assert ROOM.name == "facility"


def test_racks_arrive_as_another_room_says(tmp_path: Path) -> None:
    """A hall that is built by the fifth day holds its racks from then on."""
    build = {
        "activities": {"works": {"duration": "5 day"}},
        "phases": {"hall": {"ready": "works", "racks": 10, "power": "1 MW"}},
    }
    site = copy.deepcopy(CHAIN)
    site["racks"]["r"]["count"] = "model(build.b.racks)"
    data = {**twin_of(site), "build": {"b": build}}
    assert "error" not in check(tmp_path, data)
    found = tables(tmp_path, data)
    assert figure(found, "it_energy")["p50"] == pytest.approx(120, rel=0.02)


def test_contingencies_in_explanations(tmp_path: Path) -> None:
    found = tables(tmp_path, twin_of(CHAIN), engines=("explain",))
    assert any(name.startswith("facility_contingenc") or "single" in name for name in found)


# Checks -------------------------------------------------------------------------------------


def test_nothing_is_wrong_with_the_examples(tmp_path: Path) -> None:
    assert "error" not in check(tmp_path, twin_of(CHAIN))
    assert "error" not in check(tmp_path, twin_of({**COOLED, "weather": None}))


@pytest.mark.parametrize(
    ("path", "value", "what"),
    [
        ("racks.r.from", "b", "'b' is no group of the power chain"),
        ("racks.r.cooled_by", "nobody", "'nobody' is no CDU"),
        ("racks.r.air_by", "nobody", "'nobody' is no air unit"),
        ("racks.r.hall", "north", "'north' is no hall"),
        ("racks.r.part", "gb999", "part 'gb999' is unknown"),
        ("racks.r.trace", "none.csv", "cannot read none.csv"),
        ("racks.r.nodes", 4, "'nodes' is read with 'jobs' only"),
        ("racks.r.repeat", True, "'repeat' is read with 'trace' only"),
        ("racks.r.feeds", 3, "racks have 3 sources"),
        ("racks.r.idle", "200 kW", "idle of 200 kW is above power, 100 kW"),
        ("racks.r.power", None, "'power' is missing"),
        ("racks.r.liquid", None, "'liquid' is missing"),
        ("weather", "none.epw", "cannot read none.epw"),
        ("energy_prices", "none.csv", "cannot read none.csv"),
        ("overheads", {"o": {"power": "1 kW", "from": "z"}}, "'z' is no group"),
        ("boards", {"a": {"from": "main"}}, "'a' names two groups"),
        ("cdus.cdu.water", "sea", "'sea'"),
        ("ups.a.mtbf", "100 hour", "'mttr' is missing"),
        ("step", "0 s", "must be > 0"),
        ("step", "1 us", "time steps are too many"),
        ("cdus.cdu.rating", "0 MW", "must be > 0"),
    ],
)
def test_bad_sites_are_findings(tmp_path: Path, path: str, value: Any, what: str) -> None:
    site = copy.deepcopy(COOLED)
    *way, last = path.split(".")
    node = site
    for key in way:
        node = node[key]
    node[last] = value
    said = check(tmp_path, twin_of(site))
    assert what in said
    line = next(row for row in said.splitlines() if what in row)
    assert ": error: " in line
    assert "twin.yaml:" in line or ".csv" in line or ".epw" in line


def test_heat_to_the_air_that_nothing_takes(tmp_path: Path) -> None:
    site = copy.deepcopy(COOLED)
    site["racks"]["r"] |= {"liquid": 0.8, "air_by": None}
    said = check(tmp_path, twin_of(site))
    assert "warning: 20 % of the heat of racks 'r' goes to the air" in said


def test_two_loads(tmp_path: Path) -> None:
    site = copy.deepcopy(CHAIN)
    site["racks"]["r"] |= {"draws": "50 kW", "load": 0.5}
    assert "draws and load both say what the racks do" in check(tmp_path, twin_of(site))


def test_disruptions_that_cannot_act(tmp_path: Path) -> None:
    site = copy.deepcopy(CHAIN)
    wrong = [{"close": "facility.x.ups.z", "from": "2026-01-07"}]
    assert "unknown target 'facility.x.ups.z'" in check(tmp_path, twin_of(site, disruptions=wrong))
    wrong = [{"yield": "facility.x.ups.a", "factor": 0.5, "from": "2026-01-07"}]
    assert "groups of units close" in check(tmp_path, twin_of(site, disruptions=wrong))


def test_too_many_results_are_refused(tmp_path: Path) -> None:
    data = twin_of({**CHAIN, "report": "hour"}, horizon="2 year", replications=1000)
    assert "too many" in check(tmp_path, data)


def test_free_cooling_is_of_the_time_in_which_racks_run(tmp_path: Path) -> None:
    """Racks from the sixth day on, below a cold sky: all hours are free of chillers."""
    site = copy.deepcopy(COOLED)
    site["racks"]["r"]["count"] = {"2026-01-05": 0, "2026-01-10": 10}
    site |= {"warmer": "-10 K", "chillers": {"c": {"rating": "1 MW", "count": 2, "from": "main"}}}
    site["loops"]["fws"]["coolers"] = ["tower", "c"]
    assert figure(tables(tmp_path, twin_of(site)), "free_cooling")["p50"] == pytest.approx(100)
    site["loops"]["fws"] |= {"supply": "6 degC"}
    site["warmer"] = "20 K"
    found = tables(tmp_path, twin_of(site))
    assert figure(found, "free_cooling")["p50"] == 0
    early = [r for r in found["facility_period"] if r["metric"] == "pue"]
    assert len(early) == 1
