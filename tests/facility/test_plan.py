"""The plan of a site: what limits its racks, least cost, and what would make a plan feasible."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from firsttoken.chain.run import execute
from firsttoken.facility import model
from firsttoken.facility.plan import plan_tables, shown
from firsttoken.facility.plan_check import check_design
from firsttoken.facility.plan_plant import (
    RANGE,
    Chiller,
    Cooler,
    ambient,
    plant_hours,
    units_without_chillers,
)
from firsttoken.facility.plan_reliability import Lineups, enough, lineups_of, powered, up
from firsttoken.facility.plan_search import present_value
from firsttoken.twin.findings import Findings, InfeasibleError
from firsttoken.twin.loading import load_twin
from firsttoken.twin.result_table import ResultTable
from firsttoken.twin.room import Outcome, Room, Settings

ROOM = Room(
    "facility",
    model.Facility,
    lambda twin, name, findings: None,
    lambda twin, name, resolve, settings: Outcome(
        tuple(plan_tables(twin, name, resolve, settings))
    ),
    lambda instance: (),
)
HEADER = "twin: site\nstart: 2027-01-01\nhorizon: 52 week\nlibrary: [ai-hardware]\n"
HOT = 35 + 273.15


def weather(folder: Path, dry: float = 30.0, wet: float = 20.0) -> str:
    """A year of hours with a daily swing of 10 K about `dry`, a seasonal one of 10 K."""
    hours = np.arange(8760)
    day = 5 * np.sin(2 * np.pi * (hours % 24) / 24)
    season = 10 * np.sin(2 * np.pi * (hours / 8760 - 0.25))
    lines = ["time,dry_bulb,wet_bulb,pressure"]
    start = np.datetime64("2027-01-01T00", "h")
    for hour, (a, b) in enumerate(zip(day, season, strict=True)):
        warm = a + b
        stamp = str(start + np.timedelta64(hour, "h")).replace("T", " ") + ":00"
        lines.append(f"{stamp},{dry + warm:.2f},{wet + warm / 2:.2f},1000")
    (folder / "weather.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return "weather.csv"


def planned(folder: Path, design: str, site: str = "") -> dict[str, ResultTable]:
    text = f"{HEADER}facility:\n  hall:\n{site}    design:\n{design}"
    (folder / "twin.yaml").write_text(text, encoding="utf-8")
    findings = Findings()
    twin = load_twin(folder / "twin.yaml", {"facility": ROOM}, findings)
    findings.raise_if_errors()
    assert twin is not None
    done = execute(twin, ["base"], Settings(engines=("plan",)))
    return {table.name: table for table in done.tables}


def figure(tables: dict[str, ResultTable], name: str) -> float:
    columns = tables["facility_plan"].columns
    return float(dict(zip(columns["figure"], columns["value"], strict=True))[name])


def limits(tables: dict[str, ResultTable]) -> dict[str, int]:
    columns = tables["facility_limits"].columns
    return dict(zip(columns["limit"], columns["racks"], strict=True))


SMALL = """      rack: gb300_nvl72
      feed: 20 MW
      topologies: [2N, N+1]
      plants: [dry]
      ups: [ups_2500kw]
      generators: [generator_3mw]
      main_transformers: []
      water: [35 degC]
"""


# Availability ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("needed", "spare"), [(1, 0), (1, 1), (3, 1), (6, 1), (5, 3)])
def test_k_of_n_is_the_sum_over_all_states(needed: int, spare: int) -> None:
    share = 0.93
    total = 0.0
    for state in itertools.product((0, 1), repeat=needed + spare):
        if sum(state) >= needed:
            total += share ** sum(state) * (1 - share) ** (needed + spare - sum(state))
    assert float(enough(float(needed), float(spare), share)) == pytest.approx(total, rel=1e-12)


def test_a_unit_is_up_for_its_mtbf_of_the_sum() -> None:
    """IEEE Std 493-2007: utility of one circuit, 1.956 failures a year of 1.32 h each."""
    assert up(8760 / 1.956, 1.32) == pytest.approx(1 - 1.956 * 1.32 / (8760 + 1.956 * 1.32))
    assert up(0.0, 5.0) == 1.0


@pytest.mark.parametrize("topology", ["N", "2N", "4-to-make-3", "N+1", "catcher"])
def test_power_of_a_rack_is_the_sum_over_all_states(topology: str) -> None:
    """Every state of utility, line-ups and their generators, weighted by its probability."""
    lineups = lineups_of(topology, 3)
    source, backup, line, way = 0.97, 0.9, 0.95, 0.99
    total = 0.0
    for utility in (0, 1):
        chance = source if utility else 1 - source
        works = line if utility else line * backup
        for state in itertools.product((0, 1), repeat=lineups.total):
            if sum(state) >= lineups.needed:
                total += chance * works ** sum(state) * (1 - works) ** (lineups.total - sum(state))
    ways = 1 - (1 - way) ** 2 if lineups.two_ways else way
    assert powered(source, backup, line, lineups, way, 1.0) == pytest.approx(total * ways)


def test_topologies_are_those_of_the_trade() -> None:
    assert lineups_of("4-to-make-3", 6) == Lineups(3, 4, two_ways=True)
    assert lineups_of("catcher", 6) == Lineups(6, 7, switch=True)
    with pytest.raises(ValueError, match="3N"):
        lineups_of("3N", 6)


# Plants ---------------------------------------------------------------------------------------

DRY = Cooler("dry", 1.0e6, 8.0, 20e3)
CHILLER = Chiller(1.5e6, 3.4, 28.0)


def test_a_dry_cooler_at_its_rating_leaves_water_its_approach_above_the_air() -> None:
    """At 8 K below the set-point, one rating of coolers does it alone, at full fans."""
    air = np.array([HOT])
    at_rating = plant_hours(DRY, 1 / DRY.rating, CHILLER, HOT + 8.0, air, air)
    assert at_rating.chilled[0] == pytest.approx(0.0, abs=1e-12)
    assert at_rating.power[0] == pytest.approx(20e3 / 1e6)
    warmer = plant_hours(DRY, 1 / DRY.rating, CHILLER, HOT + 7.9, air, air)
    assert warmer.chilled[0] > 0
    assert units_without_chillers(DRY, HOT + 4.0, HOT) == pytest.approx(2 / DRY.rating)
    assert units_without_chillers(DRY, HOT, HOT) == float("inf")


def test_what_the_air_cannot_take_goes_to_chillers() -> None:
    """With leaving water above the set-point: heat taken = conductance x (leaving - air)."""
    air = np.array([HOT])
    supply = HOT + 2.0
    found = plant_hours(DRY, 1 / DRY.rating, CHILLER, supply, air, air)
    conductance, flow = 1 / DRY.approach, 1 / RANGE
    taken = 1.0 - found.chilled[0]
    leaving = supply + found.chilled[0] / flow
    assert taken == pytest.approx(conductance * (leaving - HOT))
    compressors = found.power[0] - 20e3 / 1e6
    lift = HOT + 15 - supply
    assert compressors == pytest.approx(found.chilled[0] / (3.4 * 43 / lift))


def test_fans_follow_the_cube_of_the_heat() -> None:
    air = np.array([HOT - 8.0])
    found = plant_hours(DRY, 1 / DRY.rating, CHILLER, HOT + 8.0, air, air)
    assert found.power[0] == pytest.approx(0.02 * 0.5**3)


def test_a_tower_evaporates_its_heat() -> None:
    """1.47 L for each kWh of heat (3.6 MJ / 2.45 MJ/kg), and the blow-down of five cycles."""
    tower = Cooler("tower", 5e6, 4.0, 50e3, 0.0, 5.0, 0.0)
    dry, wet = np.array([HOT]), np.array([HOT - 10.0])
    found = plant_hours(tower, 1 / 5e6, CHILLER, HOT, dry, wet)
    assert found.water[0] * 3.6e6 == pytest.approx(3.6 / 2.45 * 5 / 4)
    assert ambient(tower, dry, wet)[0] == wet[0]


def test_pads_are_dry_while_dry_air_will_do() -> None:
    pads = Cooler("adiabatic", 1e6, 8.0, 20e3, 0.8, 4.0)
    dry, wet = np.array([HOT - 20, HOT]), np.array([HOT - 25, HOT - 10])
    found = plant_hours(pads, 1e-6, CHILLER, HOT + 2, dry, wet)
    assert found.water[0] == 0.0
    assert found.water[1] > 0.0
    assert ambient(pads, dry, wet)[1] == pytest.approx(HOT - 8)


def test_dallas_gives_40_degree_water_without_chillers_in_90_percent_of_hours(
    shared_data: Path,
) -> None:
    """Dry coolers of 8 K: 90 % of the hours in Dallas, 72 % in Phoenix, 98.7 % in N. Virginia."""
    import lzma

    folder = shared_data / "weather_epw"
    if not folder.is_dir():
        pytest.skip("the weather is not here")
    for site, share in (
        ("USA_TX_Dallas-Fort.Worth", 0.90),
        ("USA_AZ_Phoenix-Sky.Harbor", 0.72),
        ("USA_VA_Leesburg.Exec", 0.987),
    ):
        with lzma.open(folder / f"{site}.epw.xz", "rt", encoding="utf-8") as stream:
            rows = stream.readlines()[8:]
        dry = np.array([float(row.split(",")[6]) for row in rows]) + 273.15
        found = plant_hours(DRY, 1 / DRY.rating, CHILLER, 313.15, dry, dry - 5)
        assert (found.chilled <= 1e-9).mean() == pytest.approx(share, abs=0.006), site


def test_present_value_is_the_annuity() -> None:
    by_year = sum(1.07**-year for year in range(1, 11))
    assert present_value(0.07, 10) == pytest.approx(by_year)
    assert present_value(0.0, 10) == 10


# The plan -------------------------------------------------------------------------------------


def test_racks_are_those_that_the_feed_carries(tmp_path: Path) -> None:
    site = f"    weather: {weather(tmp_path)}\n"
    tables = planned(tmp_path, SMALL, site)
    racks, peak = figure(tables, "racks"), figure(tables, "peak_power")
    assert peak <= 20.0 < peak * (racks + 1) / racks
    assert figure(tables, "it_power") == pytest.approx(racks * 0.135)
    assert figure(tables, "gpus") == racks * 72


def test_each_limit_lets_in_its_racks(tmp_path: Path) -> None:
    """GB300 NVL72 of the library: 1,580 kg, 3 m2."""
    site = (
        f"    weather: {weather(tmp_path)}\n"
        "    halls: {a: {area: 240 m^2, floor_load: 600 kg/m^2, positions: 95}}\n"
    )
    found = limits(planned(tmp_path, SMALL, site))
    assert found["floor area"] == 80
    assert found["floor weight"] == 91
    assert found["positions"] == 95
    assert figure(planned(tmp_path, SMALL, site), "racks") == 80


def test_a_bill_is_the_sum_of_its_units(tmp_path: Path) -> None:
    tables = planned(tmp_path, SMALL, f"    weather: {weather(tmp_path)}\n")
    columns = tables["facility_plan_units"].columns
    total = sum(
        count * each / 1e3 for count, each in zip(columns["count"], columns["each"], strict=True)
    )
    assert figure(tables, "capital") == pytest.approx(total)
    assert sum(columns["cost"]) == pytest.approx(total)


def test_the_chosen_design_costs_least_of_those_that_place_as_many(tmp_path: Path) -> None:
    tables = planned(tmp_path, SMALL, f"    weather: {weather(tmp_path)}\n")
    columns = tables["facility_designs"].columns
    rows = list(zip(columns["chosen"], columns["racks"], columns["cost"], strict=True))
    most = max(racks for _, racks, _ in rows)
    (chosen,) = [cost for is_chosen, _, cost in rows if is_chosen]
    assert chosen == min(cost for _, racks, cost in rows if racks >= 0.98 * most)


def test_more_availability_costs_more(tmp_path: Path) -> None:
    site = f"    weather: {weather(tmp_path)}\n"
    costs = []
    for target in ("99 %", "99.95 %", "99.99 %"):
        tables = planned(tmp_path, f"{SMALL}      racks: 100\n      availability: {target}\n", site)
        costs.append(figure(tables, "cost"))
        assert 1 - figure(tables, "downtime") / 8766 >= float(target[:-2]) / 100
    assert costs == sorted(costs)
    assert costs[0] < costs[-1]


def test_what_a_refusal_asks_for_makes_it_feasible(tmp_path: Path) -> None:
    site = f"    weather: {weather(tmp_path)}\n"
    with pytest.raises(InfeasibleError, match="power limits") as refused:
        planned(tmp_path, f"{SMALL}      racks: 200\n", site)
    assert refused.value.exit_code == 4
    feed = re.search(r"a feed of ([\d.]+) MW", str(refused.value), re.IGNORECASE)
    assert feed is not None
    design = SMALL.replace("20 MW", f"{float(feed[1]) + 0.1} MW")
    assert figure(planned(tmp_path, f"{design}      racks: 200\n", site), "racks") == 200


def test_an_availability_out_of_reach_is_refused_with_the_best(tmp_path: Path) -> None:
    site = f"    weather: {weather(tmp_path)}\n"
    with pytest.raises(InfeasibleError, match="no design reaches") as refused:
        planned(tmp_path, f"{SMALL}      availability: 99.9999999 %\n", site)
    best = re.search(r"feasible with availability: ([\d.]+ %)", str(refused.value))
    assert best is not None
    planned(tmp_path, f"{SMALL}      availability: {best[1]}\n", site)


def test_water_too_warm_for_the_racks_is_left_out_and_said(tmp_path: Path) -> None:
    design = SMALL.replace("[35 degC]", "[35 degC, 43 degC]")
    tables = planned(tmp_path, design, f"    weather: {weather(tmp_path)}\n")
    said = [str(text) for text in tables["facility_plan"].columns["sentence"]]
    assert any("43 degC gives the racks 47.0 degC" in text for text in said)
    design = SMALL.replace("[35 degC]", "[43 degC]")
    with pytest.raises(InfeasibleError, match="no cooling works"):
        planned(tmp_path, design, f"    weather: {weather(tmp_path)}\n")


def test_a_tower_within_little_water_places_fewer_racks(tmp_path: Path) -> None:
    """1.84 L/kWh at five cycles: 5 L/s carry 9.8 MW of heat."""
    site = f"    weather: {weather(tmp_path)}\n    water_limit: 5 L/s\n"
    design = SMALL.replace("[dry]", "[tower]")
    found = limits(planned(tmp_path, design, site))
    heat = 5 * 3600 / (3.6 / 2.45 * 5 / 4)
    assert found["water"] == pytest.approx(heat / 135, rel=0.02)


def test_availabilities_show_their_nines() -> None:
    assert shown(0.999952) == "99.99520 %"
    assert shown(0.99) == "99.00 %"


# Checks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("rack: gb300_nvl72", "rack: gb300_nvl27", "'gb300_nvl27' is no group of racks"),
        ("ups: [ups_2500kw]", "ups: [ups_2500]", "part 'ups_2500' is unknown"),
        ("plants: [dry]", "plants: []", "plants is empty"),
        ("      feed: 20 MW\n", "", "nothing limits the racks"),
    ],
)
def test_designs_that_lead_nowhere_are_found(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = f"{HEADER}facility:\n  hall:\n    design:\n{SMALL.replace(old, new)}"
    (tmp_path / "twin.yaml").write_text(text, encoding="utf-8")
    findings = Findings()
    twin = load_twin(tmp_path / "twin.yaml", {"facility": ROOM}, findings)
    findings.raise_if_errors()
    assert twin is not None
    check_design(twin, "hall", findings)
    (error,) = findings.errors
    assert said in error.what
    assert error.place.line
