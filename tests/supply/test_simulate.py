"""What a period does: the rules of the simulation on systems small enough to do by hand."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.supply.small_systems import Draw, Small, Steps, normal, triangular, uniform

from firsttoken.kernel import codes
from firsttoken.kernel.replicate import CancelledError
from firsttoken.supply import simulate as engine
from firsttoken.supply.sim_block import split_lead
from firsttoken.supply.sim_ops import DELIVER
from firsttoken.supply.sim_program import write_program
from firsttoken.supply.simulate import BalanceError, SimulationResult, simulate
from firsttoken.twin.findings import TwinError

MATERIAL, CAPACITY, RESOURCE, POLICY = range(4)


def run(small: Small, replications: int = 1, **options: object) -> SimulationResult:
    return simulate(small.system(), replications, 1, **options)


def line(periods: int = 8, **options: object) -> Small:
    """Material in stock, one activity, a product."""
    small = Small(periods)
    small.node("material", 1000.0)
    small.node("product")
    small.activity("make", {"material": 2.0}, {"product": 1.0}, **options)
    return small


def test_lead_time_of_whole_periods() -> None:
    result = run(line(capacity=10.0, lead_time=3.0))
    assert_array_equal(result.started[0, :, 0], [10.0] * 8)
    assert_array_equal(result.completed[0, :, 0], [0, 0, 0, 10, 10, 10, 10, 10])
    assert_array_equal(result.stock_end[0, :, 1], [0, 0, 0, 10, 20, 30, 40, 50])
    assert_array_equal(result.stock_end[0, :, 0], 1000 - 20.0 * np.arange(1, 9))


def test_fractional_lead_time_is_split_between_two_periods() -> None:
    result = run(line(capacity=10.0, lead_time=1.25))
    assert_allclose(result.completed[0, :4, 0], [0, 7.5, 10, 10])


def test_littles_law_is_exact_in_steady_state() -> None:
    # Little, Operations Research 9 (1961): work in process = throughput x time in process.
    result = run(line(periods=12, capacity=10.0, lead_time=2.4))
    assert_allclose(result.wip_end[0, 3:, 0], 24.0, rtol=1e-6)
    assert_allclose(result.completed[0, 4:, 0], 10.0, rtol=1e-6)


def test_littles_law_with_random_lead_times() -> None:
    # Mean of triangular(1, 2, 6) is 3; standard error of the mean of 3,000 x 30 draws < 0.01.
    result = run(line(periods=40, capacity=10.0, lead_time=triangular(1, 2, 6)), 3000)
    assert result.wip_end[:, 10:, 0].mean() == pytest.approx(30.0, abs=0.1)


def test_output_without_lead_time_is_there_in_the_same_period() -> None:
    small = line(capacity=10.0)
    small.node("packed")
    small.activity("pack", {"product": 1.0}, {"packed": 1.0}, capacity=100.0)
    small.demand("customer", "packed", 7.0)
    result = run(small)
    assert_array_equal(result.delivered[0, :, 0], [7.0] * 8)
    assert_array_equal(result.wip_end[0], 0.0)


def test_lead_time_may_be_shorter_than_a_period() -> None:
    result = run(line(capacity=10.0, lead_time=0.25))
    assert_allclose(result.completed[0, :3, 0], [7.5, 10.0, 10.0])
    assert_allclose(result.wip_end[0, :, 0], 2.5)


def test_lead_times_cross_where_they_shrink() -> None:
    shrinking = Steps(((0.0, 4.0), (1.0, 1.0)))
    result = run(line(capacity=Steps(((0.0, 10.0), (2.0, 0.0))), lead_time=shrinking))
    assert_array_equal(result.completed[0, :6, 0], [0, 0, 10, 0, 10, 0])


def test_lead_times_on_periods_of_unequal_length() -> None:
    edges = np.array([0.0, 31.0, 59.0, 90.0, 120.0])
    assert split_lead(edges, 0, 0.0) == (0, 0.0)
    assert split_lead(edges, 0, 15.5) == (0, 0.5)
    assert split_lead(edges, 0, 31.0) == (1, 0.0)
    assert split_lead(edges, 0, 45.0) == (1, 0.5)  # half of February
    assert split_lead(edges, 1, 31.0 + 28.0) == (2, 0.0)
    assert split_lead(edges, 2, 31.0 + 30.0 + 45.0) == (3, 0.5)  # beyond: as long as the last
    small = line(periods=4, capacity=1.0, lead_time=45.0)
    small.edges = edges
    result = run(small)
    assert_allclose(result.started[0, :, 0], [31.0, 28.0, 31.0, 30.0])
    # Started at 31 + 45 = 76, 17 days into March; at 59 + 45 = 104, 14 days into April.
    april = 28.0 * 17 / 31 + 31.0 * 16 / 30
    assert_allclose(result.completed[0, :, 0], [0, 15.5, 15.5 + 28.0 * 14 / 31, april])


def test_yield_reduces_what_comes_out() -> None:
    result = run(line(capacity=10.0, yield_=0.9, lead_time=1.0))
    assert_allclose(result.completed[0, 1:, 0], 9.0)
    assert_allclose(result.wip_end[0, :, 0], 10.0)


def test_yield_drawn_each_period_never_exceeds_one() -> None:
    result = run(line(capacity=10.0, yield_=normal(0.9, 0.3)), 500)
    assert result.completed.max() == 10.0
    assert np.unique(result.completed[0, :, 0]).size > 3


def test_material_limits_and_is_never_overdrawn() -> None:
    small = Small(5)
    small.node("material", 25.0)
    small.node("product")
    small.activity("make", {"material": 2.0}, {"product": 3.0}, capacity=5.0)
    result = run(small)
    assert_array_equal(result.started[0, :, 0], [5.0, 5.0, 2.5, 0.0, 0.0])
    assert_array_equal(result.stock_end[0, -1], [0.0, 37.5])
    assert_array_equal(result.limited[:, 0].argmax(axis=1), [1, 1, 0, 0, 0])


def test_closed_activities_start_nothing() -> None:
    result = run(line(capacity=10.0, available=Steps(((0.0, 1.0), (2.0, 0.0), (4.0, 1.0)))))
    assert_array_equal(result.started[0, :, 0], [10, 10, 0, 0, 10, 10, 10, 10])
    assert_array_equal(result.limited[:, 0, CAPACITY], 1)


def test_shared_resource_is_shared_in_proportion_to_wishes() -> None:
    small = Small(2)
    for name in "ab":
        small.node(name)
    small.resource("line", 30.0)
    small.activity("make a", {}, {"a": 1.0}, uses={"line": 1.0}, capacity=10.0)
    small.activity("make b", {}, {"b": 1.0}, uses={"line": 2.0}, capacity=20.0)
    result = run(small)
    assert_allclose(result.started[0, 0], [6.0, 12.0])  # 50 wanted, 30 there
    assert_allclose(result.utilisation_resource[0], 1.0)
    assert_allclose(result.utilisation_activity[0, 0], [0.6, 0.6])
    assert_array_equal(result.limited[0, :, RESOURCE], [1, 1])


def test_what_others_cannot_use_is_granted_in_a_second_pass() -> None:
    small = Small(1)
    small.node("chip", 30.0)
    small.node("board", 5.0)
    small.node("a")
    small.node("b")
    small.activity("make a", {"chip": 1.0, "board": 1.0}, {"a": 1.0}, capacity=100.0)
    small.activity("make b", {"chip": 1.0}, {"b": 1.0}, capacity=20.0)
    small.activity("make c", {"board": 1.0}, {"a": 1.0}, capacity=5.0)
    result = run(small)
    # Boards go 100 : 5. Of the chips b gets 5 at first, and then what a cannot use.
    assert_allclose(result.started[0, 0], [500 / 105, 20.0, 25 / 105], rtol=1e-6)
    assert_array_equal(result.limited[0].argmax(axis=1), [MATERIAL, CAPACITY, MATERIAL])


def test_rest_of_scarce_material_goes_to_who_can_use_it() -> None:
    small = Small(1)
    small.node("chip", 30.0)
    small.resource("oven", 4.0)
    small.node("a")
    small.activity("make a", {"chip": 1.0}, {"a": 1.0}, capacity=30.0)
    small.activity("bake a", {"chip": 1.0}, {"a": 1.0}, uses={"oven": 1.0}, capacity=30.0)
    small.activity("bake b", {}, {"a": 1.0}, uses={"oven": 1.0}, capacity=30.0)
    result = run(small)
    assert_allclose(result.started[0, 0].sum() - result.started[0, 0, 2], 30.0)
    assert_allclose(result.started[0, 0, 1:].sum(), 4.0)


def test_declared_shares_ration_material() -> None:
    small = Small(1)
    small.node("chip", 30.0)
    for name in "abc":
        small.node(name)
    for name, share in (("a", 3.0), ("b", 1.0), ("c", 1.0)):
        capacity = 2.0 if name == "c" else 100.0
        small.activity(name, {"chip": 1.0}, {name: 1.0}, capacity=capacity, share=share)
    result = run(small)
    # Shares 18, 6, 6; c takes only 2; the rest of 4 goes on, first come first served.
    assert_allclose(result.started[0, 0], [22.0, 6.0, 2.0])


def test_priority_is_served_first() -> None:
    small = Small(1)
    small.node("chip", 30.0)
    small.node("a")
    small.activity("late", {"chip": 1.0}, {"a": 1.0}, capacity=20.0, priority=10)
    small.activity("urgent", {"chip": 1.0}, {"a": 1.0}, capacity=20.0, priority=1)
    assert_array_equal(run(small).started[0, 0], [10.0, 20.0])


def test_who_feeds_an_urgent_activity_at_once_inherits_its_priority() -> None:
    small = Small(1)
    small.node("chip", 30.0)
    small.node("board")
    small.node("a")
    small.activity("other", {"chip": 1.0}, {"a": 1.0}, capacity=20.0, priority=5)
    small.activity("board", {"chip": 1.0}, {"board": 1.0}, capacity=20.0, priority=10)
    small.activity("urgent", {"board": 1.0}, {"a": 1.0}, capacity=20.0, priority=1)
    assert_array_equal(run(small).started[0, 0], [10.0, 20.0, 20.0])


def test_stock_maximum_counts_what_is_under_way() -> None:
    small = line(capacity=10.0, lead_time=2.0)
    small.nodes["product"]["stock_maximum"] = small.expression(25.0)
    small.demand("customer", "product", Steps(((0.0, 0.0), (5.0, 4.0))))
    result = run(small)
    assert_array_equal(result.started[0, :, 0], [10, 10, 5, 0, 0, 4, 4, 4])
    assert_array_equal(result.limited[:, 0].argmax(axis=1), [1, 1, 3, 3, 3, 3, 3, 3])


def test_stock_maximum_with_several_suppliers_is_kept() -> None:
    small = Small(3)
    small.node("part", maximum=25.0)
    for name in "ab":
        small.activity(name, {}, {"part": 1.0}, capacity=10.0, lead_time=1.0, yield_=0.5)
    result = run(small, 1)
    assert_allclose(result.started[0].sum(axis=1), [20.0, 20.0, 10.0])


def test_a_push_without_limit_is_refused() -> None:
    small = Small(1)
    small.node("part")
    small.activity("buy", {}, {"part": 1.0})
    small.node("paper")
    small.activity("print", {"paper": Steps(((0.0, 1.0), (3.0, 0.0)))}, {"part": 1.0})
    small.activity("pack", {"paper": 1.0}, {"part": 1.0})
    with pytest.raises(TwinError, match="without any limit: buy, print,"):
        run(small)


def test_plan_is_followed_and_caught_up_with() -> None:
    small = line(release="plan", capacity=Steps(((0.0, 10.0), (2.0, 0.0), (3.0, 10.0))))
    plan = np.full((8, 1), 6.0)
    result = run(small, plan_runs=plan)
    assert_array_equal(result.started[0, :, 0], [6, 6, 0, 10, 8, 6, 6, 6])
    with pytest.raises(ValueError, match=r"plan_runs has shape \(3, 1\)"):
        run(small, plan_runs=plan[:3])


def test_orders_reach_upstream_in_the_same_period() -> None:
    small = Small(4)
    small.node("part", base_stock=0.0)
    small.node("kit", 10.0, base_stock=10.0)
    small.activity("buy", {}, {"part": 1.0}, lead_time=1.0, release="pull")
    small.activity("make", {"part": 2.0}, {"kit": 1.0}, lead_time=1.0, release="pull")
    small.demand("customer", "kit", Steps(((0.0, 3.0), (1.0, 0.0))))
    result = run(small)
    assert_array_equal(result.started[0], [[6, 0], [0, 3], [0, 0], [0, 0]])
    assert_array_equal(result.stock_end[0, :, 1], [7, 7, 10, 10])


def test_a_node_without_base_stock_is_made_to_order() -> None:
    small = Small(3)
    small.node("kit")
    small.activity("make", {}, {"kit": 1.0}, lead_time=1.0, release="pull")
    small.demand("customer", "kit", 3.0)
    result = run(small)
    assert_array_equal(result.started[0, :, 0], [3, 3, 3])
    assert_array_equal(result.backlog_end[0, :, 0], [3, 3, 3])


def test_orders_reckon_with_the_mean_yield() -> None:
    small = Small(400, report=[t // 200 for t in range(400)])
    small.node("kit", 50.0, base_stock=50.0)
    small.activity(
        "make", {}, {"kit": 1.0}, lead_time=1.0, release="pull", yield_=uniform(0.6, 1.0)
    )
    small.demand("customer", "kit", 8.0)
    result = run(small, 200)
    assert result.started[:, 1, 0].mean() / 200 == pytest.approx(10.0, rel=0.01)  # 8 / 0.8


def test_orders_are_split_by_share_or_capacity() -> None:
    small = Small(2)
    small.node("kit", base_stock=40.0)
    small.node("box", base_stock=40.0)
    for name, share in (("a", 1.0), ("b", 3.0)):
        small.activity(name, {}, {"kit": 1.0}, release="pull", share=share, lead_time=5.0)
    for name, capacity in (("c", 30.0), ("d", 50.0)):
        small.activity(name, {}, {"box": 1.0}, release="pull", capacity=capacity, lead_time=5.0)
    assert_allclose(run(small).started[0, 0], [10.0, 30.0, 15.0, 25.0])


def test_demand_is_served_in_order_and_lost_where_it_does_not_wait() -> None:
    small = Small(3)
    small.node("kit", 10.0)
    small.demand("first", "kit", 4.0, price=2.0, late_cost=1.0)
    small.demand("second", "kit", 3.0, lost=True)
    result = run(small)
    assert_array_equal(result.delivered[0], [[4, 3], [3, 0], [0, 0]])
    assert_array_equal(result.lost[0, :, 1], [0, 3, 3])
    assert_array_equal(result.backlog_end[0], [[0, 0], [1, 0], [5, 0]])
    assert_array_equal(result.delivered_value[0, :, 0], [8, 6, 0])
    assert_array_equal(result.late_cost[0], [0, 1, 5])


def test_cost_accumulates_at_moving_average() -> None:
    small = Small(3)
    small.node("part", 10.0, unit_cost=4.0)
    small.node("kit")
    small.activity("buy", {}, {"part": 1.0}, capacity=10.0, cost=6.0, duty=1.0, lead_time=1.0)
    small.activity(
        "make", {"part": 1.0}, {"kit": 1.0}, capacity=5.0, cost=2.0, yield_=0.5, domestic=True
    )
    small.demand("customer", "kit", 2.5)
    result = run(small)
    # Period 0: parts at 4; kits at (4 + 2) / 0.5 = 12, of which 2 / 0.5 = 4 domestic.
    # Period 1: 5 parts at 4 and 10 at 7 = 6 each; kits at (6 + 2) / 0.5 = 16.
    assert_allclose(result.delivered_cost[0, :2, 0], [2.5 * 12, 2.5 * 16])
    assert_allclose(result.delivered_home[0, :, 0], [10.0, 10.0, 10.0])
    assert_allclose(result.spend[0], [[60.0, 10.0]] * 3)
    assert_allclose(result.duty[0, :, 0], 10.0)


def test_joint_products_share_the_cost_by_units() -> None:
    small = Small(1)
    small.node("good")
    small.node("second")
    small.activity("bin", {}, {"good": 3.0, "second": 1.0}, capacity=10.0, cost=8.0)
    small.demand("a", "good", 30.0)
    small.demand("b", "second", 10.0)
    assert_allclose(run(small).delivered_cost[0, 0], [60.0, 20.0])


def test_fixed_cost_of_a_period_with_runs() -> None:
    small = line(setup_cost=100.0, cost=1.0, capacity=Steps(((0.0, 10.0), (2.0, 0.0))))
    assert_array_equal(run(small).spend[0, :4, 0], [110, 110, 0, 0])


def test_energy_and_utilisation_over_a_report_period() -> None:
    small = line(periods=4, capacity=Steps(((0.0, 10.0), (2.0, 30.0))), energy=5.0)
    small.report = [0, 0, 1, 1]
    small.node("material", 50.0)
    result = run(small)
    assert_array_equal(result.energy[0, :, 0], [100.0, 25.0])
    assert_allclose(result.utilisation_activity[0, :, 0], [1.0, 5 / 60])


def test_holding_cost_of_stock_and_of_work_at_the_cost_of_its_inputs() -> None:
    # In transit stock is held at the upstream stage's cost: Snyder and Shen 2019, section 6.2.
    small = Small(2)
    small.node("a", 10.0, holding=3.0)
    small.node("b", holding=5.0)
    small.activity("move", {"a": 2.0}, {"b": 1.0}, capacity=2.0, lead_time=1.0)
    result = run(small)
    assert_array_equal(result.holding_cost[0], [6 * 3 + 2 * 2 * 3, 2 * 3 + 2 * 2 * 3 + 2 * 5])


def test_losses_scrap_stock_and_work_at_their_date() -> None:
    small = line(capacity=10.0, lead_time=2.0, cost=1.0)
    small.loss(3.5, 0.5, ["product"], ["make"])
    result = run(small)
    # At the start of period 3: 10 in stock, 20 under way, of which half is lost.
    assert_array_equal(result.completed[0, :, 0], [0, 0, 10, 5, 5, 10, 10, 10])
    assert_array_equal(result.stock_end[0, :6, 1], [0, 0, 10, 10, 15, 25])


def test_goal_is_dated_within_the_period() -> None:
    small = line(capacity=10.0, lead_time=2.0)
    small.goal(25.0, {"make": 1.0})
    small.goal(1e6, {"make": 1.0})
    result = run(small)
    assert result.goal_date[0, 0] == pytest.approx(4.5)  # 20 at the end of 3, 30 at that of 4
    assert np.isnan(result.goal_date[0, 1])
    assert_array_equal(result.goal[0, :5, 0], [0, 0, 10, 20, 30])


def test_parameters_drawn_once_are_reported() -> None:
    result = run(line(capacity=uniform(5.0, 15.0, once=True)), 50)
    assert_allclose(result.started[:, 0, 0], result.parameters[:, 0], rtol=1e-6)
    assert np.unique(result.parameters).size == 50


def random_line(periods: int = 30) -> Small:
    """A line with everything random, costs, goals and losses."""
    small = line(
        periods,
        capacity=uniform(5.0, 15.0),
        lead_time=triangular(0.0, 1.5, 6.0),
        yield_=triangular(0.7, 0.9, 1.0),
        cost=Draw(codes.GAMMA, (4.0, 1.0)),
        domestic=True,
    )
    small.node("kit", 5.0, unit_cost=3.0, base_stock=60.0, holding=1.0)
    small.activity(
        "assemble",
        {"product": 1.0},
        {"kit": 1.0},
        release="pull",
        duty=0.5,
        lead_time=Steps(((0.0, 2.0), (12.0, uniform(1.0, 9.0, once=True)))),
    )
    small.demand("customer", "kit", normal(6.0, 2.0), price=9.0, late_cost=1.0)
    small.goal(100.0, {"make": uniform(1.0, 2.0)})
    small.loss(17.0, 0.3, ["product", "kit"], ["make"])
    return small


def fields_of(result: SimulationResult) -> dict[str, np.ndarray]:
    found = {f.name: getattr(result, f.name) for f in dataclasses.fields(result)}
    state = found.pop("state")
    return found | {f.name: getattr(state, f.name) for f in dataclasses.fields(state)}


def assert_same(one: SimulationResult, other: SimulationResult) -> None:
    first, second = fields_of(one), fields_of(other)
    for name, values in first.items():
        assert_array_equal(values, second[name], err_msg=name)


@pytest.mark.parametrize(("threads", "block"), [(1, 1), (2, 7), (3, 64)])
def test_same_bits_for_any_threads_and_block(threads: int, block: int) -> None:
    system = random_line().system()
    one = simulate(system, 40, 3, threads=1, block=40)
    assert_same(one, simulate(system, 40, 3, threads=threads, block=block))


def test_replications_do_not_depend_on_their_number() -> None:
    system = random_line().system()
    few, many = simulate(system, 5, 3), simulate(system, 50, 3)
    assert_array_equal(few.delivered, many.delivered[:5])


@pytest.mark.parametrize("stop", [1, 11, 17, 18, 29])
def test_continuing_gives_the_same_bits(stop: int) -> None:
    system = random_line().system()
    whole = simulate(system, 20, 3)
    first = simulate(system, 20, 3, until=stop)
    second = simulate(system, 20, 3, first.state, block=6)
    assert first.state.period == stop
    for name in ("started", "delivered", "stock_end", "holding_cost", "delivered_cost"):
        parts = getattr(first, name)[:, :stop], getattr(second, name)[:, stop:]
        joined = np.concatenate(parts, axis=1)
        assert_array_equal(joined, getattr(whole, name), err_msg=name)
    assert_array_equal(np.concatenate([first.goal, second.goal], axis=1), whole.goal)
    assert_array_equal(first.limited + second.limited, whole.limited)
    ends = dataclasses.asdict(second.state), dataclasses.asdict(whole.state)
    for name, values in ends[0].items():
        if name not in ("slots", "pipeline", "pipeline_value", "pipeline_home"):
            assert_array_equal(values, ends[1][name], err_msg=name)


def test_one_state_may_start_many_replications() -> None:
    system = random_line().system()
    state = simulate(system, 1, 3, until=10).state
    result = simulate(system, 30, 4, state, block=8)
    assert_same(result, simulate(system, 30, 4, state))
    assert np.unique(result.delivered[:, 20, 0]).size > 20


def test_a_state_of_another_system_is_refused() -> None:
    state = simulate(line(capacity=1.0).system(), 3, 1, until=2).state
    with pytest.raises(
        ValueError, match=r"not one of 3 replications of this system: stock\[3, 2\]"
    ):
        simulate(random_line().system(), 3, 1, state)
    with pytest.raises(ValueError, match="not one of 4 replications"):
        simulate(line(capacity=1.0).system(), 4, 1, state)
    with pytest.raises(ValueError, match="cannot simulate 1 replications of the periods 0 to 99"):
        simulate(random_line().system(), 1, 1, until=99)


def test_books_that_do_not_balance_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    program = write_program(random_line().system())
    wrong = [row for row in program.code if row[0] == DELIVER]
    wrong[0][5] = program.rows["gone"][0]  # deliveries booked at another node
    monkeypatch.setattr(engine, "write_program", lambda system: program)
    with pytest.raises(BalanceError) as caught:
        simulate(random_line().system(), 20, 3, block=4)
    assert caught.value.place == "material"
    assert caught.value.replication == 0
    assert caught.value.come != caught.value.gone


def test_cancelling_and_progress() -> None:
    seen: list[tuple[int, int]] = []
    system = line(capacity=1.0).system()
    simulate(system, 50, 1, block=10, progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 50)
    assert seen[-1] == (50, 50)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(CancelledError):
        simulate(system, 50, 1, cancel=cancel)


def test_no_replications_and_no_demand() -> None:
    result = simulate(line(capacity=1.0).system(), 0, 1)
    assert result.started.shape == (0, 8, 1)
    assert result.due.shape == (0, 8, 0)
    assert result.state.stock.shape == (0, 2)


def test_completed_counts_good_units_of_the_first_output() -> None:
    # A run slices one wafer: 62 dies before yield, 75 % of them good.
    small = Small(4)
    small.node("wafer", 1000.0)
    small.node("die")
    small.activity("slice", {"wafer": 1.0}, {"die": 62.0}, capacity=10.0, yield_=0.75)
    result = run(small)
    assert_allclose(result.started[0, :, 0], 10.0)
    assert_allclose(result.completed[0, :, 0], 10.0 * 62.0 * 0.75)
    assert_allclose(np.cumsum(result.completed[0, :, 0]), result.stock_end[0, :, 1])


def test_completed_follows_an_uncertain_quantity() -> None:
    small = Small(4)
    small.node("wafer", 1000.0)
    small.node("die")
    dies = uniform(55, 65, once=True)
    small.activity("slice", {"wafer": 1.0}, {"die": dies}, capacity=10.0)
    result = run(small, 50)
    assert np.unique(result.completed[:, 0, 0]).size == 50
    assert_allclose(result.completed[:, :, 0].sum(axis=1), result.stock_end[:, -1, 1], rtol=1e-6)
