"""The bundled example `us-ai-supercomputers`: it loads clean, runs, and reacts as it must.

The signs of the scenarios' effects follow from the chain itself: a closed or late stage
cannot add output, and knowledge of a day cannot contain what came after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from firsttoken import api
from firsttoken.results.store import Results

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "us-ai-supercomputers"
SCENARIOS = (
    "base",
    "known-2025-03",
    "taiwan-packaging-closed-90d",
    "quake-2024",
    "tariff-25",
    "labour-shortage",
    "amkor-slips-12m",
    "wisconsin-repeat",
)
REPLICATIONS = 50


def simulate(folder: Path, scenarios: tuple[str, ...], **settings: Any) -> Results:
    run = api.run(
        EXAMPLE,
        scenarios=scenarios,
        engines=("simulate",),
        replications=REPLICATIONS,
        out=folder / "run",
        report=False,
        **settings,
    )
    return run.results


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    with simulate(tmp_path_factory.mktemp("example"), SCENARIOS) as found:
        yield found


def total(results: Results, query: str) -> float:
    (column,) = results.sql(query).values()
    (value,) = column
    return float(value or 0.0)


def output(results: Results, scenario: str, stage: str, since: str, until: str) -> float:
    """Mean output of a stage between two days."""
    return total(
        results,
        "select sum(mean) as x from supply_stage where engine = 'simulation' "
        f"and metric = 'completed' and scenario = '{scenario}' and stage = '{stage}' "
        f"and period >= '{since}' and period < '{until}'",
    )


def made(results: Results, scenario: str, stage: str, country: str, until: str) -> float:
    """Mean output of a stage in one country until a day."""
    return total(
        results,
        "select sum(mean) as x from supply_activity where metric = 'completed' "
        f"and scenario = '{scenario}' and stage = '{stage}' and country = '{country}' "
        f"and engine = 'simulation' and period < '{until}'",
    )


def test_it_is_clean() -> None:
    assert not [str(finding) for finding in api.check(EXAMPLE)]


def test_every_scenario_says_why() -> None:
    for scenario in api.load(EXAMPLE).scenarios.values():
        assert scenario.title
        assert len(scenario.description) > 80


def test_racks_come_from_every_country(results: Results) -> None:
    for country in ("TW", "MX", "US"):
        assert made(results, "base", "racks", country, "2030-01-01") > 1000


def test_a_day_of_knowledge_holds_nothing_later(results: Results) -> None:
    rows = results.sql(
        "select path, known_from from supply_inputs where scenario = 'known-2025-03' "
        "and fact <> '' and known_from > '2025-03-31'"
    )
    assert list(rows["path"]) == []
    counted = total(
        results,
        "select count(*) as x from supply_inputs where scenario = 'known-2025-03' and fact <> ''",
    )
    assert counted > 80


def test_closed_packaging_costs_racks(results: Results) -> None:
    closed = "taiwan-packaging-closed-90d"
    before = [output(results, s, "racks", "2024-01-01", "2027-01-01") for s in ("base", closed)]
    assert before[0] == before[1]  # common random numbers: nothing differs before the closure
    after = [output(results, s, "racks", "2027-04-01", "2028-01-01") for s in ("base", closed)]
    assert after[1] < 0.8 * after[0]


def test_a_quake_is_a_small_thing(results: Results) -> None:
    base, quake = (
        output(results, s, "racks", "2027-04-01", "2028-04-01") for s in ("base", "quake-2024")
    )
    assert 0.9 * base < quake < base


def test_a_late_amkor_makes_us_packages_later(results: Results) -> None:
    base, late = (
        made(results, s, "packages", "US", "2030-01-01") for s in ("base", "amkor-slips-12m")
    )
    assert 0 < late < base


def test_a_duty_without_exemption_costs_money_not_racks(results: Results) -> None:
    base, taxed = (
        output(results, s, "racks", "2024-01-01", "2030-01-01") for s in ("base", "tariff-25")
    )
    assert taxed == pytest.approx(base, rel=1e-9)
    duties = {
        name: total(
            results,
            f"select mean as x from supply_summary where kpi = 'duty' and scenario = '{name}'",
        )
        for name in ("base", "tariff-25")
    }
    assert duties["tariff-25"] > 5 * duties["base"]


@pytest.mark.parametrize("scenario", ["labour-shortage", "wisconsin-repeat"])
def test_fewer_hands_or_plants_make_fewer_us_racks(results: Results, scenario: str) -> None:
    base, fewer = (made(results, name, "racks", "US", "2030-01-01") for name in ("base", scenario))
    assert 0 < fewer < base


def test_the_goal_is_compared(results: Results) -> None:
    rows = results.sql("select probability from supply_goal_date where scenario = 'base'")
    (probability,) = rows["probability"]
    assert 0.0 <= float(probability) <= 1.0


def test_observations_are_beside_the_simulation_not_in_it(results: Results) -> None:
    rows = results.sql(
        "select label, observed, p10, p90 from supply_observation "
        "where scenario = 'known-2025-03' order by label"
    )
    assert list(rows["label"]) == ["2025Q1", "2025Q2", "2025Q3", "2025Q4"]
    assert [float(x) for x in rows["observed"]] == [1000, 4300, 8500, 14300]
    used = results.sql("select fact from supply_inputs where fact like 'nvl72.racks.%'")
    assert list(used["fact"]) == []


def test_same_seed_same_result(results: Results, tmp_path: Path) -> None:
    query = "select * from supply_stage where scenario = 'base' order by stage, period, metric"
    with simulate(tmp_path, ("base",), threads=1) as again:
        first, second = results.sql(query), again.sql(query)
    assert {name: list(cells) for name, cells in first.items()} == {
        name: list(cells) for name, cells in second.items()
    }
