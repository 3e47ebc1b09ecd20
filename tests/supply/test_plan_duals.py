"""Marginal values against finite differences, and plans of random networks.

A plan's value is concave and piecewise linear in its capacities, so a marginal value lies
between the gain from a little more and the loss from a little less; where both agree so must
it, in dollars and in units.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.supply.plan_systems import Planned, profile

from firsttoken.supply import lp
from firsttoken.supply.plan import PlanResult, plan

PERIODS = 6
ACTIVITIES = ("buy", "make a", "make b", "ship")
STEP = 1e-3


def factory(
    seed: int, more: dict[tuple[str, int], float] | None = None, lost: bool = False
) -> Planned:
    """Two products from one part, a shared line, a lane, random data; `more` adds capacity."""
    rng = np.random.default_rng(seed)
    net = Planned(PERIODS)

    def capacity(name: str, low: float, high: float):  # type: ignore[no-untyped-def]
        values = rng.uniform(low, high, PERIODS)
        for p in range(PERIODS):
            values[p] += (more or {}).get((name, p), 0.0)
        return profile(values.tolist())

    net.node("part", onhand=rng.uniform(0, 5), holding=rng.uniform(0.01, 0.1))
    net.node("a", onhand=rng.uniform(0, 5), holding=rng.uniform(0.01, 0.1))
    net.node("b", holding=rng.uniform(0.01, 0.1))
    net.node("b there", holding=rng.uniform(0.01, 0.1))
    made = {"part": 1.0}
    net.activity(
        *("buy", {}, made),
        lead_time=rng.uniform(0, 2),
        cost=rng.uniform(1, 2),
        capacity=capacity("buy", 15, 40),
    )
    for name, used in (("a", rng.uniform(1, 2)), ("b", rng.uniform(1, 2))):
        net.activity(
            f"make {name}",
            {"part": used},
            {name: 1.0},
            uses={"line": rng.uniform(0.5, 1.5)},
            yield_=rng.uniform(0.7, 1.0),
            lead_time=rng.uniform(0, 1.5),
            cost=rng.uniform(1, 3),
            capacity=capacity(f"make {name}", 5, 30),
        )
    net.activity(
        *("ship", {"b": 1.0}, {"b there": 1.0}),
        lead_time=rng.uniform(0, 1),
        duty=rng.uniform(0, 1),
        capacity=capacity("ship", 5, 20),
    )
    net.resource("line", capacity("line", 8, 25))
    for name, node in (("a", "a"), ("b", "b there")):
        wanted = rng.uniform(3, 14, PERIODS)
        for p in range(PERIODS):
            wanted[p] += (more or {}).get((f"demand {name}", p), 0.0)
        price = rng.uniform(10, 30)
        net.demand(
            name, node, profile(wanted.tolist()), price=price, late_cost=0.05 * price, lost=lost
        )
    return net


def solved(seed: int, objectives: tuple[str, ...], **options: object) -> PlanResult:
    return plan(factory(seed, **options).plannable(), objectives=objectives, beyond=0.0)


def dollars(result: PlanResult, objectives: tuple[str, ...]) -> float:
    if objectives[0] == "cost":
        return -result.objectives["cost"]
    return result.objectives["value"]


def slopes(
    seed: int, objectives: tuple[str, ...], key: tuple[str, int], lost: bool
) -> tuple[np.ndarray, np.ndarray]:
    """(gain of one more, loss of one less) in dollars, net and units."""
    found = []
    for step in (-STEP, 0.0, STEP):
        result = solved(seed, (*objectives,), more={key: step}, lost=lost)
        net = -result.objectives["cost"]
        found.append([dollars(result, objectives), net, result.delivered.sum()])
    below, here, above = np.array(found)
    return (above - here) / STEP, (here - below) / STEP


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize(
    "objectives", [("cost",), ("value", "cost"), ("value", "earliest", "cost")]
)
def test_marginals_are_finite_differences(objectives: tuple[str, ...], lost: bool) -> None:
    smooth = compared = 0
    for seed in range(3):
        result = solved(seed, objectives, lost=lost)
        limits = [(name, a, "activity") for a, name in enumerate(ACTIVITIES)]
        limits += [("line", 0, "resource"), ("demand a", 0, "demand"), ("demand b", 1, "demand")]
        for name, k, kind in limits:
            for p in (0, 2, 4):
                gain, loss = slopes(seed, objectives, (name, p), lost)
                usd = getattr(result, f"marginal_usd_{kind}")[p, k]
                low, high = min(gain[0], loss[0]), max(gain[0], loss[0])
                assert low - 1e-4 <= usd <= high + 1e-4, (seed, name, p)
                compared += 1
                if np.allclose(gain, loss, atol=1e-5):
                    net = getattr(result, f"marginal_net_{kind}")[p, k]
                    units = getattr(result, f"marginal_units_{kind}")[p, k]
                    assert [usd, net, units] == pytest.approx(gain.tolist(), abs=1e-4), (name, p)
                    smooth += 1
    assert smooth > 0.8 * compared


def test_stock_room_has_a_marginal_value() -> None:
    # 10 made before demand comes, but room for 4 only: one more unit of room sells one more
    net = Planned(2)
    net.node("x", maximum=4.0)
    net.activity("make", {}, {"x": 1.0}, capacity=profile([10.0, 0.0]))
    net.demand("d", "x", profile([0.0, 10.0]), price=7.0)
    result = plan(net.plannable(), objectives=["value"])
    assert result.objectives["value"] == pytest.approx(28)
    assert result.marginal_usd_stock[:, 0] == pytest.approx([7, 0])


def test_marginals_of_a_plan_with_integers_are_those_of_its_decisions() -> None:
    net = Planned(2)
    net.node("x")
    net.activity("make", {}, {"x": 1.0}, capacity=4.0)
    net.demand("d", "x", 10.0, price=7.0)
    net.invest("line", "make", adds=2.0, cost=1.0)
    result = plan(net.plannable())
    assert result.activity_capacity[:, 0] == pytest.approx([6, 6])
    assert result.marginal_usd_activity[:, 0] == pytest.approx([7, 7])
    assert result.marginal_units_activity[:, 0] == pytest.approx([1, 1])


@pytest.mark.parametrize("objectives", [("cost",), ("value", "cost")])
def test_interior_point_and_simplex_find_the_same_plan_value(
    objectives: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = solved(5, objectives)
    monkeypatch.setattr(lp, "SIMPLEX_COLUMNS", 0)
    other = solved(5, objectives)
    assert (one.method, other.method) == ("simplex", "ipx")
    for name in objectives:
        assert one.objectives[name] == pytest.approx(other.objectives[name], rel=1e-9)
    assert one.marginal_usd_resource == pytest.approx(other.marginal_usd_resource, abs=1e-6)


def test_lexicographic_ranks_are_exact() -> None:
    for seed in range(5):
        alone = solved(seed, ("value",)).objectives["value"]
        both = solved(seed, ("value", "cost")).objectives
        assert both["value"] == pytest.approx(alone, rel=1e-12)
        least = solved(seed, ("cost",)).objectives["cost"]
        assert both["cost"] >= least * (1 - 1e-9)


networks = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


@networks
@given(
    seed=st.integers(0, 10_000),
    name=st.sampled_from([*ACTIVITIES, "line"]),
    period=st.integers(0, PERIODS - 1),
    more=st.floats(0, 50),
    lost=st.booleans(),
)
def test_more_capacity_is_never_worse(
    seed: int, name: str, period: int, more: float, lost: bool
) -> None:
    before = solved(seed, ("value", "cost"), lost=lost)
    after = solved(seed, ("value", "cost"), lost=lost, more={(name, period): more})
    assert after.objectives["value"] >= before.objectives["value"] * (1 - 1e-9)
    cheapest = solved(seed, ("cost",), lost=lost).objectives["cost"]
    cheaper = solved(seed, ("cost",), lost=lost, more={(name, period): more}).objectives["cost"]
    assert cheaper <= cheapest + 1e-6 * abs(cheapest)


@networks
@given(
    seed=st.integers(0, 10_000),
    cuts=st.sets(st.integers(1, PERIODS - 1), max_size=3),
    loss=st.tuples(st.floats(0.1, 5.0), st.floats(0.0, 1.0)),
)
def test_books_balance_in_any_periods(seed: int, cuts: set[int], loss: tuple[float, float]) -> None:
    # the engine raises BalanceError itself; here the totals once more, over the whole plan
    net = factory(seed)
    net.loss(*loss, ["part", "a"], ["make a", "make b"])
    system = net.plannable()
    edges = np.array([0.0, *sorted(cuts), PERIODS])
    result = plan(system, objectives=("value", "cost"), edges=edges)
    assert sum(result.costs.values()) == pytest.approx(result.objectives["cost"])
    waiting = np.cumsum(result.due - result.delivered, axis=0)
    assert waiting == pytest.approx(result.backlog, abs=1e-6)
    assert result.runs.min() >= 0
    assert np.all(result.runs <= result.activity_capacity * (1 + 1e-9) + 1e-9)
    assert np.all(result.resource_use <= result.resource_capacity * (1 + 1e-6))
