"""What holds for every network: conservation, limits, common random numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from tests.supply.small_systems import Draw, Small, Steps, Value, normal, triangular, uniform

from firsttoken.kernel import codes
from firsttoken.kernel.parameters import draw_parameters, redraw
from firsttoken.supply.sim_series import _normal_row
from firsttoken.supply.simulate import SimulationResult, simulate

RELAXED = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])

numbers = st.floats(0.0, 30.0).map(lambda x: round(x, 2))
positive = st.floats(0.1, 3.0).map(lambda x: round(x, 2))
values = st.one_of(
    numbers,
    st.builds(lambda x, y: uniform(x, x + y), numbers, numbers),
    st.builds(lambda x, y: uniform(x, x + y, once=True), numbers, numbers),
    st.builds(lambda x, y: normal(x, y), numbers, numbers),
    st.builds(lambda x, y: Draw(codes.GAMMA, (x, y)), positive, positive),
    st.builds(lambda x, y: Steps(((0.0, x), (5.0, y))), numbers, numbers),
    st.builds(lambda x, y: Steps(((0.0, x), (9.0, y)), codes.LINEAR), numbers, numbers),
)
leads = st.one_of(st.none(), st.floats(0, 6), st.just(triangular(0.0, 1.0, 5.0)))
yields = st.sampled_from([None, 0.5, triangular(0.2, 0.9, 1.0)])


@st.composite
def networks(draw: st.DrawFn) -> Small:
    """A network of up to five nodes in which anything may be made of anything, even in cycles."""
    small = Small(12, report=[0] * 12)
    names = [f"n{k}" for k in range(draw(st.integers(1, 5)))]
    for name in names:
        small.node(
            name,
            draw(numbers),
            unit_cost=draw(st.sampled_from([0.0, 3.0])),
            holding=draw(st.sampled_from([None, 1.0])),
            base_stock=draw(st.one_of(st.none(), numbers)),
            maximum=draw(st.one_of(st.none(), values)),
        )
    small.resource("line", draw(values))
    bills = st.dictionaries(st.sampled_from(names), positive, max_size=2)
    for k in range(draw(st.integers(0, 6))):
        optional: dict[str, Value | None] = {
            "lead_time": draw(leads),
            "yield_": draw(yields),
            "cost": draw(st.one_of(st.none(), values)),
            "setup_cost": draw(st.sampled_from([None, 7.0])),
            "duty": draw(st.sampled_from([None, 2.0])),
            "available": draw(st.sampled_from([None, Steps(((0.0, 1.0), (4.0, 0.0), (7.0, 1.0)))])),
        }
        inputs, release = draw(bills), draw(st.sampled_from(["push", "pull"]))
        endless = release == "push" and not inputs
        optional["capacity"] = draw(values if endless else st.one_of(st.none(), values))
        small.activity(
            f"a{k}",
            inputs,
            draw(st.dictionaries(st.sampled_from(names), positive, min_size=1, max_size=2)),
            uses=draw(st.sampled_from([{}, {"line": 0.5}])),
            release=release,
            priority=draw(st.integers(0, 1)),
            share=draw(st.one_of(st.none(), positive)),
            domestic=draw(st.booleans()),
            **{name: value for name, value in optional.items() if value is not None},
        )
    for k in range(draw(st.integers(0, 3))):
        node, lost = draw(st.sampled_from(names)), draw(st.booleans())
        small.demand(f"d{k}", node, draw(values), price=2.0, late_cost=1.0, lost=lost)
    if draw(st.booleans()):
        small.loss(draw(st.floats(0, 14)), draw(st.floats(0, 1)), names, list(small.activities))
    return small


@RELAXED
@given(networks(), st.integers(0, 2**62))
def test_books_balance_in_every_network(small: Small, seed: int) -> None:
    # simulate raises BalanceError otherwise: units of every node, runs of every activity, dollars.
    result = simulate(small.system(), 9, seed, block=4, threads=1)
    everything = [result.started, result.stock_end, result.wip_end, result.delivered]
    assert all(np.isfinite(values).all() and (values >= 0).all() for values in everything)
    assert_allclose(
        result.due.sum(axis=1),
        result.delivered.sum(axis=1) + result.lost.sum(axis=1) + result.backlog_end[:, -1],
        rtol=1e-5,
        atol=1e-4,
    )
    periods = result.limited.sum(axis=2)
    assert_array_equal(periods, np.full(periods.shape, 9 * 12))
    assert (result.utilisation_activity <= 1 + 1e-5).all()
    assert (result.utilisation_resource <= 1 + 1e-5).all()
    assert (result.delivered_home <= result.delivered_cost * (1 + 1e-5) + 1e-4).all()


@RELAXED
@given(networks(), st.integers(1, 11))
def test_every_network_continues_to_the_same_bits(small: Small, stop: int) -> None:
    system = small.system()
    whole = simulate(system, 5, 8, threads=1)
    middle = simulate(system, 5, 8, until=stop, threads=1, block=2).state
    end = simulate(system, 5, 8, middle, threads=1, block=3).state
    for name in ("stock", "value", "home", "backlog", "wip", "outstanding", "begun"):
        assert_array_equal(getattr(end, name), getattr(whole.state, name), err_msg=name)


def chain(capacity: float) -> SimulationResult:
    small = Small(60, report=[0] * 60)
    small.node("wafer", 1e6)
    small.node("die")
    small.node("rack")
    small.activity("fab", {"wafer": 1.0}, {"die": 1.0}, capacity=capacity,
                   lead_time=triangular(2, 3, 6), yield_=triangular(0.6, 0.9, 1.0))  # fmt: skip
    small.activity("build", {"die": 2.0}, {"rack": 1.0}, capacity=uniform(2, 8), lead_time=1.5)
    small.demand("customer", "rack", 6.0)
    return simulate(small.system(), 300, 5)


def test_more_capacity_never_delivers_less_under_common_random_numbers() -> None:
    delivered = [chain(capacity).delivered[:, 0, 0] for capacity in (4.0, 8.0, 12.0)]
    assert (np.diff(delivered, axis=0) >= -1e-4).all()
    assert (delivered[-1] > delivered[0]).all()


@pytest.mark.parametrize(
    "value",
    [
        normal(5.0, 2.0),
        uniform(1.0, 3.0),
        triangular(1.0, 2.0, 5.0),
        Draw(codes.EXPONENTIAL, (2.0,)),
        Draw(codes.BETA_PERT, (1.0, 2.0, 5.0, 4.0)),
        Draw(codes.DISCRETE, (1.0, 0.25, 4.0, 1.0)),
    ],
)
def test_draws_of_a_period_are_those_of_the_kernel(value: Draw) -> None:
    small = Small(20)
    small.node("shop")
    small.demand("customer", "shop", value)
    system = small.system()
    result = simulate(system, 7, 123)
    p = int(system.series.knot_value[system.series.start[-2]])
    for r in range(7):
        expected = np.empty(20)
        redraw(system.parameters, p, 123, r, 1, expected)
        assert_array_equal(result.due[r, :, 0], np.maximum(expected, 0).astype(np.float32))


def test_draws_once_are_those_of_the_kernel() -> None:
    small = Small(2)
    small.node("shop")
    small.demand("customer", "shop", uniform(1.0, 3.0, once=True))
    system = small.system()
    result = simulate(system, 40, 99, block=16)
    expected = np.empty(len(system.parameters.code))
    for r in range(40):
        draw_parameters(system.parameters, 99, r, expected)
        assert result.parameters[r, 0] == expected[system.uncertain[0]]


def test_normal_numbers_far_out_are_recognised() -> None:
    rows = np.array([[0.5, 2e-11, 1e-12, 0.99, 1 - 1e-13]])
    assert _normal_row(rows, 0, 0.0, 1.0) == 2  # where sqrt(-log p) > 5: p < 1.4e-11
