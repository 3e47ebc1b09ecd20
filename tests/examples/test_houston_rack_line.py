"""The bundled example `houston-rack-line`: it loads clean, obeys the laws that it must, and reacts
to its scenarios as a plant would.

Independent of the engine are: Little's law (Operations Research 9 (1961) 383-387), the law of the
test floor (slots = racks/week x hours / 168), the bill of materials of the rack, and the estimate
of the programme's example (staff over the hours that a rack takes).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from firsttoken import api
from firsttoken.results.store import Results

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "houston-rack-line"
SCENARIOS = (
    "base",
    "burn-in-24h",
    "burn-in-72h",
    "burn-in-168h",
    "more-test-power",
    "more-test-power-72h",
    "third-shift",
    "robot-cabling-98",
    "robot-cabling-98-retrained",
    "hot-orders",
    "one-cdu-down",
    "coolant-down",
)
REPLICATIONS = 12
WEEK = 168.0
DRAW = 132.0


def simulated(file: Path, scenarios: tuple[str, ...], folder: Path, replications: int) -> Results:
    run = api.run(
        file,
        scenarios=scenarios,
        engines=("simulate",),
        replications=replications,
        out=folder / "run",
        report=False,
    )
    return run.results


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    folder = tmp_path_factory.mktemp("houston")
    with simulated(EXAMPLE, SCENARIOS, folder, REPLICATIONS) as found:
        yield found


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    folder = tmp_path_factory.mktemp("floor")
    with simulated(EXAMPLE / "test-floor.yaml", ("all",), folder, 3) as found:
        yield found


def rows(results: Results, query: str) -> list[dict[str, Any]]:
    columns = results.sql(query)
    names = list(columns)
    return [dict(zip(names, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def figure(results: Results, scenario: str, kpi: str, column: str = "mean") -> float:
    (row,) = rows(
        results,
        f"select {column} as x from line_summary where scenario = '{scenario}' and kpi = '{kpi}'",
    )
    return float(row["x"])


def racks(results: Results, scenario: str) -> float:
    """Racks a week, mean over replications."""
    return figure(results, scenario, "houston.throughput")


def order(results: Results, scenario: str, name: str) -> float:
    """Probability that an order is on time."""
    (row,) = rows(
        results,
        f"select on_time from line_orders where scenario = '{scenario}' and \"order\" = '{name}'",
    )
    return float(row["on_time"])


@pytest.mark.parametrize("file", ["twin.yaml", "plant.yaml"])
def test_it_is_clean(file: str) -> None:
    assert not [str(finding) for finding in api.check(EXAMPLE / file)]


def test_the_test_floor_warns_of_feeds_that_are_too_small() -> None:
    found = api.check(EXAMPLE / "test-floor.yaml")
    assert not found.errors
    for scenario in ("five-percent-less", "same-power-72h", "first-pass-90"):
        assert any(f"'{scenario}'" in str(finding) for finding in found), scenario


@pytest.mark.parametrize("file", ["twin.yaml", "test-floor.yaml", "plant.yaml"])
def test_every_scenario_says_why(file: str) -> None:
    for name, scenario in api.load(EXAMPLE / file).scenarios.items():
        assert len(scenario.description) > 70, name


# The law of the test floor ------------------------------------------------------------------------


def needed_megawatts(racks_a_week: float, hours: float) -> float:
    return racks_a_week * hours / WEEK * DRAW / 1000


def test_a_thousand_racks_a_week_take_19_57_132_megawatts(floor: Results) -> None:
    """The power in use is the law's, and a feed that holds just those racks makes them all."""
    assert [round(needed_megawatts(1000, hours)) for hours in (24, 72, 168)] == [19, 57, 132]
    for scenario, hours in (("base", 24), ("hours-72", 72), ("hours-168", 168)):
        (row,) = rows(
            floor,
            "select used, level from line_pools "
            f"where scenario = '{scenario}' and pool = 'test_power'",
        )
        needed = needed_megawatts(1000, hours) * 1000
        assert row["used"] == pytest.approx(needed, rel=2e-3), scenario
        assert needed * (1 - 1e-9) <= row["level"] < needed + DRAW, scenario
        made = figure(floor, scenario, "floor.throughput")
        assert made == pytest.approx(1000, rel=2e-3), scenario


@pytest.mark.parametrize(
    ("scenario", "megawatts", "hours", "passes"),
    [
        ("five-percent-less", 17.94, 24, 1.0),
        ("same-power-72h", 18.88, 72, 1.0),
        ("first-pass-90", 18.88, 24, 0.9),
    ],
)
def test_less_power_makes_as_many_racks_as_the_law_says(
    floor: Results, scenario: str, megawatts: float, hours: float, passes: float
) -> None:
    """Whole slots fit into the feed; each gives a rack every `hours` / first-pass yield."""
    slots = int(megawatts * 1000 / DRAW)
    law = slots * WEEK / hours * passes
    # Queues in front of the floor let its slots stay in step: a round more or less may be counted.
    assert figure(floor, scenario, "floor.throughput") == pytest.approx(law, rel=0.01)


# The line -----------------------------------------------------------------------------------------


def test_racks_a_week_are_those_of_staff_over_hours(results: Results) -> None:
    """600 people, 65 % direct, 4 person-weeks a rack (facts of the programme's example): 97.5."""
    assert racks(results, "base") == pytest.approx(600 * 0.65 / 4, rel=0.15)


def test_uncertain_yields_and_hours_spread_the_answer(results: Results) -> None:
    low, high = (figure(results, "base", "houston.throughput", q) for q in ("p10", "p90"))
    assert 5 < high - low < 40


def test_littles_law(results: Results) -> None:
    hours = figure(results, "base", "houston.cycle_time")
    wip = figure(results, "base", "houston.wip")
    assert wip == pytest.approx(racks(results, "base") * hours / WEEK, rel=0.05)


def test_trays_are_made_for_the_racks_that_are_built(results: Results) -> None:
    """18 compute and 9 switch trays a rack; stocks may drift by some racks' worth in 18 weeks."""
    for product, pieces in (("compute_tray_gb300", 18), ("switch_tray", 9)):
        made = figure(results, "base", f"houston.throughput.{product}")
        assert made == pytest.approx(pieces * racks(results, "base"), rel=0.04)


def test_a_rack_takes_at_least_the_energy_of_its_burn_in(results: Results) -> None:
    """48 h at 132 kW are 6.3 MWh; all tests at full power for two weeks would be 45."""
    energy = figure(results, "base", "houston.energy.lot")
    assert 48 * 132 < energy < 45_000


def test_budgets_are_kept(results: Results) -> None:
    found = rows(
        results,
        "select scenario, pool, level, peak from line_pools where kind = 'budget' and "
        "pool in ('test_power', 'coolant')",
    )
    assert found
    for row in found:
        # The highest level in any replication: 9 and 11 MW, 14,000 and 17,000 L/min.
        most = (11_000 if row["pool"] == "test_power" else 17_000) * (1 + 1e-6)
        assert row["peak"] <= most, row


def test_longer_burn_in_costs_racks(results: Results) -> None:
    made = [racks(results, f"burn-in-{hours}h") for hours in (24, 72, 168)]
    base = racks(results, "base")
    assert made[0] >= base > made[1] > made[2]
    # At 168 h power is all that counts: three and a half times the hours, with the tests around it.
    assert made[2] < 0.55 * base
    assert figure(results, "burn-in-168h", "houston.use.test_power") > 85


def test_power_gives_back_what_72_hours_cost(results: Results) -> None:
    base, longer = racks(results, "base"), racks(results, "burn-in-72h")
    assert racks(results, "more-test-power-72h") > longer + 0.7 * (base - longer)
    # At 48 hours hands bind more often than power, so the same megawatts bring little.
    assert racks(results, "more-test-power") - base < 0.5 * (base - longer)


def test_more_hands_make_more_racks(results: Results) -> None:
    base = racks(results, "base")
    assert racks(results, "third-shift") > 1.03 * base
    assert racks(results, "robot-cabling-98-retrained") > 1.03 * base


def test_robots_alone_replace_hands_and_make_few_racks_more(results: Results) -> None:
    base, robots = racks(results, "base"), racks(results, "robot-cabling-98")
    assert 0.95 * base < robots < 1.08 * base
    twin = api.load(EXAMPLE)
    people = [
        float(t.data["line"]["houston"]["pools"]["cablers"]["count"])
        for t in (twin, twin.with_scenario("robot-cabling-98"))
    ]
    assert people[1] * 4.2 < 0.3 * people[0] * 2  # in shifts around the clock against two shifts


def test_hot_orders_overtake(results: Results) -> None:
    hot = ("lab_apr", "sovereign_may")
    before, after = (sum(order(results, s, o) for o in hot) for s in ("base", "hot-orders"))
    assert after >= before
    assert racks(results, "hot-orders") == pytest.approx(racks(results, "base"), rel=0.02)


def test_losing_a_hall_costs_less_than_its_share_of_the_time(results: Results) -> None:
    """Ten of 126 days without L10 are 8 %; trays in stock last for some of them."""
    base, down = racks(results, "base"), racks(results, "one-cdu-down")
    assert 0.9 * base < down < base
    assert racks(results, "coolant-down") < base


# The plant in its chain ---------------------------------------------------------------------------


def test_the_line_is_the_capacity_of_the_chain(tmp_path: Path) -> None:
    """A change on the floor comes out at the end of the chain, and no rack that no line made."""
    scenarios = ("base", "burn-in-72h")
    with simulated(EXAMPLE / "plant.yaml", scenarios, tmp_path, 6) as found:
        delivered, made = (
            [
                float(row["x"])
                for scenario in scenarios
                for row in rows(
                    found,
                    f"select mean as x from {table} where scenario = '{scenario}' "
                    f"and kpi = '{kpi}'",
                )
            ]
            for table, kpi in (
                ("supply_summary", "delivered.clouds"),
                ("line_summary", "houston.throughput"),
            )
        )
    assert delivered[1] < 0.93 * delivered[0]
    for racks_delivered, racks_a_week in zip(delivered, made, strict=True):
        assert 0.8 * 52 * racks_a_week < racks_delivered <= 1.02 * 52 * racks_a_week
