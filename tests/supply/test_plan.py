"""Plans of small networks whose best plan is known by hand or from a textbook."""

from __future__ import annotations

import numpy as np
import pytest
from tests.supply.plan_systems import Planned, profile

from firsttoken.supply.plan import PlanResult, plan
from firsttoken.twin.findings import InfeasibleError, UsageError

WEEK = 7 * 86400.0


def chain(lead: float = 1.0, periods: int = 6, **values: object) -> Planned:
    """One item, made with a lead time, wanted once a period."""
    net = Planned(periods)
    net.node("rack")
    net.activity("make", {}, {"rack": 1.0}, lead_time=lead, **values)
    net.demand("order", "rack", 10.0, price=100.0, late_cost=1.0)
    return net


@pytest.mark.parametrize(
    ("lead", "arrivals"),
    [
        (0.0, [8, 0, 0, 0, 0, 0]),
        (1.0, [0, 8, 0, 0, 0, 0]),
        (0.5, [4, 4, 0, 0, 0, 0]),
        (2.25, [0, 0, 6, 2, 0, 0]),
    ],
)
def test_output_arrives_in_proportion_to_the_overlap(lead: float, arrivals: list[float]) -> None:
    # 8 runs start evenly over period 0, so they arrive evenly over [lead, lead + 1)
    net = chain(lead, capacity=profile([8.0, 0, 0, 0, 0, 0]))
    result = plan(net.plannable(), objectives=["value"])
    assert result.runs[:, 0] == pytest.approx([8, 0, 0, 0, 0, 0])
    assert np.diff(np.cumsum(result.delivered[:, 0]), prepend=0) == pytest.approx(
        result.delivered[:, 0]
    )
    made = result.delivered[:, 0] + np.diff(result.stock[:, 0], prepend=0)
    assert made == pytest.approx(arrivals)


def test_unequal_periods_share_by_overlap_too() -> None:
    # [0, 4) starts 8 with lead 2: even over [2, 6) = 4 in [0, 4), 2 in [4, 5), 2 in [5, 7)
    net = chain(2.0, capacity=profile([2.0, 2.0, 2.0, 2.0, 0]), periods=3)
    net.edges = [0, 4, 5, 7]
    result = plan(net.plannable(), objectives=["value"])
    made = result.delivered[:, 0] + np.diff(result.stock[:, 0], prepend=0)
    assert made == pytest.approx([4, 2, 2])


def test_lead_time_that_changes_counts_from_the_start() -> None:
    net = chain(profile([3.0, 1.0, 1, 1, 1, 1]), capacity=profile([5.0, 5.0, 0, 0, 0, 0]))
    result = plan(net.plannable(), objectives=["value"])
    assert result.delivered[:, 0] == pytest.approx([0, 0, 5, 5, 0, 0])


def test_a_series_may_be_planned_in_coarser_periods() -> None:
    net = chain(0.0, capacity=profile([4.0, 6.0, 0.0, 2.0, 20.0, 20.0]))
    result = plan(net.plannable(), objectives=["value"], edges=np.array([0.0, 2, 4, 6]))
    assert result.activity_capacity[:, 0] == pytest.approx([10, 2, 40])
    assert result.delivered[:, 0] == pytest.approx([10, 2, 40])
    assert result.runs_by(np.arange(7.0))[:, 0] == pytest.approx([5, 5, 1, 1, 20, 20])


def test_capacity_times_calendar_is_averaged_as_a_product() -> None:
    # Means of each factor would give 0.5 * 5 * 2 = 5 instead of 10.
    net = chain(0.0, capacity=profile([10.0, 0.0]), periods=2)
    calendar = net.expressions[net.expression(profile([1.0, 0.0]))][0]
    capacity = net.activities["make"]["capacity"]
    net.expressions[capacity] = [[*net.expressions[capacity][0], *calendar]]
    result = plan(net.plannable(), objectives=["value"], edges=np.array([0.0, 2]))
    assert result.activity_capacity[0, 0] == pytest.approx(10.0)


def test_closed_means_closed_even_without_a_capacity() -> None:
    net = chain(0.0, available=profile([0.0, 0.0, 0.0, 0.5, 1, 1]))
    result = plan(net.plannable(), objectives=["value", "earliest"])
    assert result.runs[:3, 0] == pytest.approx([0, 0, 0])
    assert result.delivered[:, 0] == pytest.approx([0, 0, 0, 40, 10, 10])
    assert result.backlog[:, 0] == pytest.approx([10, 20, 30, 0, 0, 0])


def test_yield_and_bill_of_material() -> None:
    net = Planned(3)
    net.node("die", onhand=100.0)
    net.node("package", holding=0.1)
    net.activity("pack", {"die": 2.0}, {"package": 1.0}, yield_=0.8, cost=3.0, duty=1.0, energy=7.0)
    net.demand("order", "package", 16.0, price=100.0, late_cost=1.0)
    result = plan(net.plannable())
    assert result.runs[:, 0] == pytest.approx([20, 20, 10])
    assert result.delivered[:, 0] == pytest.approx([16, 16, 8])
    assert result.stock[-1, 0] == pytest.approx(0)
    assert result.spend[0, 0] == pytest.approx(60)
    assert result.duty[0, 0] == pytest.approx(20)
    assert result.energy[0, 0] == pytest.approx(140)


def test_a_loss_scraps_stock_and_work_in_process() -> None:
    # 100 of the stock and the 10 under way each lose a half as period 1 begins
    net = Planned(3)
    net.node("rack", onhand=100.0)
    net.activity("make", {}, {"rack": 1.0}, lead_time=2.0, capacity=profile([10.0, 0, 0]))
    net.demand("order", "rack", profile([0.0, 0.0, 100.0]), price=1.0)
    net.loss(1.0, 0.5, ["rack"], ["make"])
    result = plan(net.plannable(), objectives=["value"])
    assert result.delivered[:, 0] == pytest.approx([0, 0, 55])


def test_lost_demand_does_not_wait() -> None:
    net = Planned(3)
    net.node("x")
    net.activity("make", {}, {"x": 1.0}, capacity=profile([0.0, 30.0, 5.0]))
    net.demand("walk-in", "x", 10.0, price=4.0, lost=True)
    result = plan(net.plannable())
    assert result.delivered[:, 0] == pytest.approx([0, 10, 10])
    assert result.backlog[:, 0] == pytest.approx([0, 0, 0])
    assert result.costs["undelivered"] == pytest.approx(40)


def test_shared_resource_goes_to_the_better_paid() -> None:
    # textbook product mix: 4 hours; A brings 3 per hour, B 5 per 2 hours = 2.5 per hour
    net = Planned(1)
    for name, price, hours in (("a", 3.0, 1.0), ("b", 5.0, 2.0)):
        net.node(name)
        net.activity(f"make {name}", {}, {name: 1.0}, uses={"line": hours})
        net.demand(name, name, 3.0, price=price, lost=True)
    net.resource("line", 4.0)
    result = plan(net.plannable(), objectives=["value"])
    assert result.runs[0] == pytest.approx([3.0, 0.5])
    assert result.resource_use[0] == pytest.approx([4.0])
    assert result.marginal_usd_resource[0, 0] == pytest.approx(2.5)
    assert result.marginal_units_resource[0, 0] == pytest.approx(0.5)


def test_wyndor_glass() -> None:
    # Hillier, Lieberman, Introduction to Operations Research, section 3.1: doors 2, windows 6,
    # profit 36 (thousand), shadow prices of the plants 0, 1.5 and 1.
    net = Planned(1)
    for name, price, uses in (
        ("door", 3.0, {"plant 1": 1.0, "plant 3": 3.0}),
        ("window", 5.0, {"plant 2": 2.0, "plant 3": 2.0}),
    ):
        net.node(name)
        net.activity(name, {}, {name: 1.0}, uses=uses)
        net.demand(name, name, 1000.0, price=price, lost=True)
    for name, hours in (("plant 1", 4.0), ("plant 2", 12.0), ("plant 3", 18.0)):
        net.resource(name, hours)
    result = plan(net.plannable(), objectives=["value"])
    assert result.runs[0] == pytest.approx([2, 6])
    assert result.objectives["value"] == pytest.approx(36)
    assert result.marginal_usd_resource[0] == pytest.approx([0, 1.5, 1])


def test_transport_between_factories_and_markets() -> None:
    # Dantzig, Linear Programming and Extensions (1963), section 3-3: canneries at Seattle and
    # San Diego, markets at New York, Chicago and Topeka; least freight 153.675 (thousand US$).
    distance = {
        ("Seattle", "New York"): 2.5,
        ("Seattle", "Chicago"): 1.7,
        ("Seattle", "Topeka"): 1.8,
        ("San Diego", "New York"): 2.5,
        ("San Diego", "Chicago"): 1.8,
        ("San Diego", "Topeka"): 1.4,
    }
    net = Planned(1)
    net.node("Seattle", onhand=350.0)
    net.node("San Diego", onhand=600.0)
    for market, cases in (("New York", 325.0), ("Chicago", 300.0), ("Topeka", 275.0)):
        net.node(market)
        net.demand(market, market, cases, price=10.0)
    for (origin, market), miles in distance.items():
        net.activity(f"{origin}-{market}", {origin: 1.0}, {market: 1.0}, cost=90 * miles / 1000)
    result = plan(net.plannable(), objectives=["cost"])
    assert result.objectives["cost"] == pytest.approx(153.675)


def test_earliest_completes_as_soon_as_possible_and_value_does_not_care() -> None:
    net = Planned(4)
    net.node("x", holding=0.0)
    net.activity("slow and cheap", {}, {"x": 1.0}, lead_time=3.0, cost=1.0)
    net.activity("fast and dear", {}, {"x": 1.0}, cost=5.0)
    net.demand("order", "x", profile([10.0, 0, 0, 0]), price=50.0, late_cost=0.1)
    system = net.plannable()
    cheap = plan(system, objectives=["value", "cost"])
    fast = plan(system, objectives=["value", "earliest", "cost"])
    assert cheap.runs.sum(axis=0) == pytest.approx([10, 0])
    assert fast.runs.sum(axis=0) == pytest.approx([0, 10])
    assert fast.objectives["value"] == pytest.approx(cheap.objectives["value"])
    # nobody waits: delivered in the period in which it is due
    assert fast.objectives["earliest"] == pytest.approx(0)


def test_least_cost_weighs_lateness_against_expediting() -> None:
    for late, runs in ((1.0, [10, 0]), (2.0, [0, 10])):  # 3 periods late: 3 or 6 against 4
        net = Planned(4)
        net.node("x")
        net.activity("slow and cheap", {}, {"x": 1.0}, lead_time=3.0, cost=1.0)
        net.activity("fast and dear", {}, {"x": 1.0}, cost=5.0)
        net.demand("order", "x", profile([10.0, 0, 0, 0]), price=50.0, late_cost=late)
        result = plan(net.plannable(), objectives=["cost"])
        assert result.runs.sum(axis=0) == pytest.approx(runs)


def test_safety_stock_is_kept_but_customers_come_first() -> None:
    net = Planned(8, width=WEEK)
    net.node("x", holding=0.001 * 100 / WEEK, unit_cost=100.0)
    net.activity("make", {}, {"x": 1.0}, cost=100.0, capacity=12.0 / WEEK)
    price = 150.0
    net.demand("order", "x", 10.0 / WEEK, price=price, late_cost=0.005 * price / WEEK)
    net.minimum("x", 6.0)
    result = plan(net.plannable(), beyond=0.0)
    assert result.delivered[:, 0] == pytest.approx([10] * 8)
    assert result.stock[:, 0] == pytest.approx([2, 4, 6, 6, 6, 6, 6, 6])
    assert result.missing[:, 0] == pytest.approx([4, 2, 0, 0, 0, 0, 0, 0])


def test_the_plan_goes_on_buying_to_its_last_period() -> None:
    # lead time of 3 periods: without continuation the last 3 periods would start nothing
    system = chain(3.0, cost=1.0).plannable()
    stopping, going = plan(system, beyond=0.0), plan(system)
    assert stopping.runs[3:, 0] == pytest.approx([0, 0, 0])
    assert going.runs[3:, 0] == pytest.approx([10, 10, 10])
    assert going.delivered == pytest.approx(stopping.delivered)


def test_lots_come_whole_and_not_below_the_minimum() -> None:
    net = Planned(3)
    net.node("x", holding=1.0)
    net.activity("make", {}, {"x": 1.0}, cost=1.0)
    net.lot("make", minimum=10.0, multiple=4.0)
    net.demand("order", "x", profile([3.0, 3.0, 9.0]), price=100.0, late_cost=50.0)
    result = plan(net.plannable())
    # 16 at once: 16 + 13 + 10 + 1 held; two lots of at least 12: 24 + 9 + 6 + 9 held
    assert result.runs[:, 0] == pytest.approx([16, 0, 0])
    assert result.lots[:, 0] == pytest.approx([4, 0, 0])
    assert result.objectives["cost"] == pytest.approx(40)
    relaxed = plan(net.plannable(), integer=False)
    assert relaxed.runs[:, 0] == pytest.approx([3, 3, 9])
    net.lot("make", multiple=4.0)
    whole = plan(net.plannable())
    assert whole.runs[:, 0] == pytest.approx([4, 4, 8])


def test_an_investment_is_bought_when_it_pays() -> None:
    def bought(cost: float, **options: float) -> PlanResult:
        net = Planned(6)
        net.node("x")
        net.activity("make", {}, {"x": 1.0}, capacity=4.0)
        net.demand("order", "x", 10.0, price=20.0, lost=True)
        net.invest("line 2", "make", adds=3.0, cost=cost, maximum=3, lead_time=2.0, **options)
        return plan(net.plannable(), objectives=["cost"])

    # each unit adds 3 a period for the 4 periods left: 12 units, worth 240
    assert bought(239.0).invested == ((0, 0, 2.0),)
    assert bought(241.0).invested == ()
    late = bought(239.0 / 4, earliest=3.0)
    assert late.invested == ((0, 3, 2.0),)
    assert late.activity_capacity[:, 0] == pytest.approx([4, 4, 4, 4, 4, 10])
    assert late.costs["investments"] == pytest.approx(2 * 239 / 4)


def test_an_investment_in_a_shared_resource() -> None:
    net = Planned(2)
    net.node("x")
    net.activity("make", {}, {"x": 1.0}, uses={"line": 2.0})
    net.resource("line", 4.0)
    net.demand("order", "x", 5.0, price=10.0, lost=True)
    net.invest("shift", "line", adds=6.0, cost=1.0)
    result = plan(net.plannable())
    assert result.resource_capacity[:, 0] == pytest.approx([10, 10])
    assert result.delivered[:, 0] == pytest.approx([5, 5])


def test_stock_without_room_is_named() -> None:
    net = chain()
    net.node("scrap", onhand=9.0, maximum=5.0)
    with pytest.raises(InfeasibleError, match=r"scrap: 9 units must be in stock .* at most 5 fit"):
        plan(net.plannable())


def test_room_that_shrinks_is_named_with_its_period() -> None:
    net = Planned(3, width=86400.0)
    net.node("x", onhand=9.0, maximum=profile([9.0, 9.0, 5.0], 86400.0))
    net.activity("use", {"x": 1.0}, {}, capacity=profile([0.0, 1 / 86400, 1 / 86400], 86400.0))
    net.demand("d", "x", 0.0, price=1.0)
    with pytest.raises(InfeasibleError, match=r"x: 7 units .* 1970-01-03, but at most 5 fit"):
        plan(net.plannable())


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"objectives": []}, "objectives must be some of"),
        ({"objectives": ["profit"]}, "not .'profit'."),
        ({"objectives": ["cost", "cost"]}, "each once"),
        ({"uncertain": "worst"}, "median or the mean"),
        ({"edges": np.array([0.0, 2.0, 1.0])}, "must ascend"),
        ({"edges": np.array([1.0, 2.0])}, "begin at the twin's start"),
        ({"edges": np.array([0.0, 99.0])}, "end in its horizon"),
    ],
)
def test_wrong_calls_are_refused(options: dict[str, object], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        plan(chain().plannable(), **options)


def test_progress_is_told_rank_by_rank() -> None:
    told: list[tuple[str, int, int]] = []
    plan(chain().plannable(), progress=lambda *said: told.append(said))
    assert told == [
        ("plan small: most value", 0, 2),
        ("plan small: least cost", 1, 2),
        ("plan small: done", 2, 2),
    ]


def test_free_demand_is_planned_in_units() -> None:
    net = chain(0.0, capacity=4.0)
    net.demands.clear()
    net.demand("gift", "rack", 10.0)
    result = plan(net.plannable())
    assert result.objectives["value"] == pytest.approx(24)


def test_same_twice() -> None:
    system = chain(0.5, capacity=9.0).plannable()
    first, second = plan(system), plan(system)
    assert np.array_equal(first.runs, second.runs)
    assert np.array_equal(first.marginal_usd_activity, second.marginal_usd_activity)
