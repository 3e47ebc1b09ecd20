"""The plan explained in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.supply.plan_systems import Planned, profile

from firsttoken.supply.explain import MONTH, binding, short
from firsttoken.supply.plan import plan
from firsttoken.twin.dates import parse_date, period_edges

WEEK = 7 * 86400.0
START = parse_date("2026-01-01")


def two_stages(packages: list[float], racks: float, weeks: int = 52) -> Planned:
    """Packages, then racks, in weeks of 2026; a rack takes two packages and costs 4 M USD."""
    net = Planned(weeks, width=WEEK)
    net.node("package")
    net.node("rack")
    net.activity("pack", {}, {"package": 1.0}, capacity=profile([p / WEEK for p in packages], WEEK))
    net.activity("assemble", {"package": 2.0}, {"rack": 1.0}, capacity=racks / WEEK)
    net.demand("cloud", "rack", 1000.0 / WEEK, price=4e6, late_cost=1.0)
    return net


def in_quarters(net: Planned):  # type: ignore[no-untyped-def]
    system = net.plannable()
    end = START + system.edges[-1]
    report_edges = np.array(period_edges(START, end, "quarter")) - START
    middle = (system.edges[:-1] + system.edges[1:]) / 2
    report = np.searchsorted(report_edges, middle, "right") - 1
    return replace(system, start=START, report=report, report_edges=report_edges)


def test_the_binding_stage_moves_from_packages_to_racks() -> None:
    # packages for 100 racks a week in the first half, for 500 in the second; racks at most 300
    system = in_quarters(two_stages([200.0] * 26 + [1000.0] * 26, 300.0))
    result = plan(system, objectives=["value", "cost"])
    rows = [row for row in binding(result, system) if row.marginal_usd > 0]
    assert [(row.label, row.name) for row in rows] == [
        ("2026Q1", "pack"),
        ("2026Q2", "pack"),
        ("2026Q3", "assemble"),
        ("2026Q4", "assemble"),
    ]
    first = rows[0]
    weeks = int(np.sum(system.report == 0))
    assert first.share == 1.0
    assert first.capacity == pytest.approx(200 / WEEK * MONTH)
    assert (first.step, first.capacity_unit, first.item_unit) == (100, "package/month", "rack")
    # 100 packages a month for the quarter's weeks, two for a rack, 4 M USD each
    assert first.marginal_units == pytest.approx(100 * weeks * WEEK / MONTH / 2)
    assert first.marginal_usd == pytest.approx(4e6 * first.marginal_units)
    assert first.sentence == ("2026Q1: pack at here binds; +100 package/month = +149 rack, +$598 M")


def test_a_step_brings_what_the_sentence_says() -> None:
    packages = np.array([200.0] * 26 + [1000.0] * 26)
    system = in_quarters(two_stages(packages.tolist(), 300.0))
    before = plan(system, objectives=["value"])
    row = next(r for r in binding(before, system) if r.name == "pack" and r.label == "2026Q2")
    packages[system.report == row.period] += row.step / MONTH * WEEK
    after = plan(in_quarters(two_stages(packages.tolist(), 300.0)), objectives=["value"])
    gained = after.objectives["value"] - before.objectives["value"]
    assert gained == pytest.approx(row.marginal_usd, rel=1e-9)
    assert (after.delivered - before.delivered).sum() == pytest.approx(row.marginal_units)


def test_closed_plants_are_named_but_not_those_that_never_opened() -> None:
    packages = [0.0] * 13 + [200.0] * 13 + [0.0] * 13 + [200.0] * 13
    system = in_quarters(two_stages(packages, 300.0))
    rows = binding(plan(system, objectives=["value"]), system)
    found = {row.label: row for row in rows if row.name == "pack"}
    assert list(found) == ["2026Q2", "2026Q3", "2026Q4"]
    assert [row.closed for row in found.values()] == [False, True, False]
    assert "is closed" in found["2026Q3"].sentence


def test_what_only_comes_sooner_is_said_so() -> None:
    # all 10 are delivered in the end anyway; more capacity early only shortens the wait
    net = Planned(4, width=86400.0)
    net.node("x")
    net.activity("make", {}, {"x": 1.0}, capacity=5.0 / 86400)
    net.demand("d", "x", profile([10 / 86400, 0, 0, 0], 86400.0), price=9.0, late_cost=1 / 86400)
    system = net.plannable()
    (row,) = binding(plan(system), system)
    assert (row.marginal_usd, row.marginal_units) == (0.0, 0.0)
    assert row.marginal_net > 0
    assert "nothing more in the end, but sooner or cheaper" in row.sentence


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0"),
        (190.4, "190"),
        (999.7, "1 k"),
        (1234.5, "1.23 k"),
        (7.6e8, "760 M"),
        (1.5e12, "1.5 T"),
        (-2500.0, "-2.5 k"),
    ],
)
def test_short_numbers(number: float, text: str) -> None:
    assert short(number) == text


@pytest.mark.parametrize("limit", [40.0, 0.0])
def test_a_limit_for_a_while_is_told_by_the_rates_of_that_while(limit: float) -> None:
    # packaging has no limit but in the second quarter; dies come at 200, racks leave at 110 a week,
    # so that what is not packaged then is not caught up with by the end of the year
    packages = [np.inf] * 13 + [limit] * 13 + [np.inf] * 26
    net = Planned(52, width=WEEK)
    for node in ("die", "package", "rack"):
        net.node(node)
    net.activity("fab", {}, {"die": 1.0}, capacity=200.0 / WEEK)
    pack = profile([p / WEEK for p in packages], WEEK)
    net.activity("pack", {"die": 1.0}, {"package": 1.0}, capacity=pack)
    net.activity("assemble", {"package": 2.0}, {"rack": 1.0}, capacity=110.0 / WEEK)
    net.demand("cloud", "rack", 1000.0 / WEEK, price=4e6, late_cost=1.0)
    system = in_quarters(net)
    rows = [r for r in binding(plan(system, objectives=["value"]), system) if r.name == "pack"]
    weeks = {label: np.sum(system.report == q) for q, label in enumerate(("2026Q1", "2026Q2"))}
    row = next(r for r in rows if r.label == "2026Q2")
    assert row.closed is (limit == 0)
    limited = min(13, weeks["2026Q2"])
    assert row.share == pytest.approx(limited / weeks["2026Q2"])
    assert row.capacity == pytest.approx(limit / WEEK * MONTH)
    # a power of ten below a fifth of 174 a month, or, where nothing is let through, of what runs
    # over the year (fewer than 200 dies a week come)
    assert row.step == (10 if limit else 100)
    # two packages more are a rack more, for all the weeks that the limit lasts
    assert row.marginal_units == pytest.approx(row.step / MONTH * WEEK * limited / 2)
    assert row.marginal_usd == pytest.approx(4e6 * row.marginal_units)
