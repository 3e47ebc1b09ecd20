"""The bundled example `stargate-site`: it loads clean, obeys the laws of heat and water, and the
plan and the simulation, which are different programs, agree.

Independent of the engines are: the racks' data sheet (72 GPUs, 132 to 142 kW), the heat of
evaporation of water (2.45 MJ/kg at 20 degC), and energy balances.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from firsttoken import api
from firsttoken.results.store import Results

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "stargate-site"
SCENARIOS = ("base", "arizona", "dry", "transformers-late")
RACKS = 1248


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    run = api.run(
        EXAMPLE,
        scenarios=SCENARIOS,
        replications=3,
        out=tmp_path_factory.mktemp("site") / "run",
        report=False,
    )
    with run.results as found:
        yield found


def figure(results: Results, kpi: str, scenario: str = "base", column: str = "p50") -> float:
    room = "build" if kpi in ("finish", "racks", "first_power") else "facility"
    found = results.sql(
        f"select {column} as x from {room}_summary where scenario = '{scenario}' "
        f"and kpi = 'abilene.{kpi}'"
    )
    return float(found["x"][0])


def full(results: Results, metric: str, scenario: str = "base") -> float:
    """Mean of the last months' medians, with all halls at work."""
    found = results.sql(
        f"select p50 from facility_period where scenario = '{scenario}' "
        f"and metric = '{metric}' and period >= '2030-02-01'"
    )
    return float(np.nanmean([float(x) for x in found["p50"]]))


def planned(results: Results, name: str, scenario: str = "base") -> float:
    found = results.sql(
        f"select value from facility_plan where scenario = '{scenario}' and figure = '{name}'"
    )
    return float(found["value"][0])


def test_it_is_clean() -> None:
    assert not [str(finding) for finding in api.check(EXAMPLE)]


def test_every_scenario_says_why() -> None:
    scenarios = api.load(EXAMPLE).scenarios
    assert len(scenarios) == 12
    for name, scenario in scenarios.items():
        assert len(scenario.description) > 80, name


def test_all_racks_of_the_halls_come(results: Results) -> None:
    assert figure(results, "racks") == RACKS
    assert planned(results, "gpus") == RACKS * 72


def test_halls_come_in_turn(results: Results) -> None:
    ready = [
        float(
            results.sql(
                f"select p50 from build_summary where scenario = 'base' "
                f"and kpi = 'abilene.ready.hall_{hall}'"
            )["p50"][0]
        )
        for hall in range(1, 9)
    ]
    assert ready[0] == min(ready)
    assert ready[-1] > ready[0] + 0.4  # five weeks of racks for each hall


def test_power_is_that_of_the_racks_at_their_load(results: Results) -> None:
    """At 70 to 90 % between idle (30 to 50 kW) and full load (132 to 142 kW)."""
    low = RACKS * (30 + 0.7 * (132 - 30)) / 1e3
    high = RACKS * (50 + 0.9 * (142 - 50)) / 1e3
    assert low <= figure(results, "peak_it", column="p10")
    assert figure(results, "peak_it", column="p90") <= high
    assert figure(results, "peak_power", column="p90") <= 200


def test_energy_is_that_of_the_racks_and_the_rest(results: Results) -> None:
    energy, pue = figure(results, "energy"), figure(results, "pue")
    assert energy / figure(results, "it_energy") == pytest.approx(pue, rel=0.02)
    assert 1.04 < full(results, "pue") < 1.15


def test_no_more_water_is_taken_than_evaporates_the_heat(results: Results) -> None:
    """All heat by evaporation, and the blow-down of four cycles: 3.6 / 2.45 x 4 / 3 L/kWh."""
    most = 3.6 / 2.45 * 4 / 3
    for scenario in ("base", "arizona"):
        assert 0 < full(results, "wue", scenario) < most
    dry = results.sql(
        "select p90 from facility_summary where scenario = 'dry' and kpi = 'abilene.water'"
    )
    assert not any(float(taken) for taken in dry["p90"])


def test_heat_costs_energy_and_water(results: Results) -> None:
    assert full(results, "pue", "arizona") > full(results, "pue")
    assert full(results, "wue", "arizona") > 2 * full(results, "wue")
    assert figure(results, "peak_power", "dry") > figure(results, "peak_power") + 5


def test_late_transformers_are_late_racks(results: Results) -> None:
    """26 weeks later at the transformers, at most that at the halls."""
    slip = figure(results, "finish", "transformers-late") - figure(results, "finish")
    assert 0 < slip <= 26 * 7 / 365.25 + 0.02
    assert figure(results, "gpus", "transformers-late") < figure(results, "gpus")


def test_plan_and_simulation_agree_on_the_dry_site(results: Results) -> None:
    """Both at 0.8 of full load; the plan's loop is at 40 degC, the simulation's at 35."""
    whole_year = results.sql(
        "select p50 from facility_period where scenario = 'dry' and metric = 'pue' "
        "and period >= '2029-07-01' and period < '2030-07-01'"
    )
    simulated = float(np.nanmean([float(x) for x in whole_year["p50"]]))
    assert planned(results, "pue", "dry") == pytest.approx(simulated, abs=0.02)


def test_phoenix_takes_more_of_the_feed(results: Results) -> None:
    assert planned(results, "racks") == RACKS
    assert planned(results, "racks", "arizona") < RACKS
    limits = results.sql(
        "select \"limit\" from facility_limits where scenario = 'arizona' and rank = 1"
    )
    assert limits["limit"][0] == "power"
