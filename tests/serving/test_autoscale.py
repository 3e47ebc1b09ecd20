"""Autoscaling in both engines: the rule of Kubernetes, and replicas that come to rest."""

from __future__ import annotations

import numpy as np
import pytest
from tests.serving.fluid_services import always, straight

from firsttoken.serving import factory_simulate, requests_simulate
from firsttoken.serving import factory_state as columns
from firsttoken.serving import factory_system as fluid
from firsttoken.serving import requests_system as by_request
from firsttoken.serving.autoscale import SLOTS, recommended, slot_seconds, slots_back
from firsttoken.serving.factory_compile import compile_factory

MOST = 24
SEATS = 16
RULE = (1, 0.7, 10.0, 30.0, 60.0)
"""Least, target, interval, startup, cooldown."""
LAW = straight(step=0.01, token=1.5e-3)
"""Steps that are the longer the fuller the batch: the load falls by more than replicas rise."""
OUTPUT = 200


def rule(have: float, hand: float) -> float:
    function = getattr(recommended, "py_func", recommended)
    return float(function(have, hand / 10.0, 0.1))


def test_the_algorithm_of_kubernetes() -> None:
    """Its documentation: 200m for a target of 100m doubles the replicas, 50m halves them."""
    assert rule(4, 4 * 20.0) == 8
    assert rule(4, 4 * 5.0) == 2
    assert rule(3, 3 * 12.0) == 4  # rounded up
    # "will skip if the ratio is sufficiently close to 1.0 (within 0.1 by default)"
    assert rule(10, 10 * 10.9) == 10
    assert rule(10, 10 * 9.1) == 10
    assert rule(10, 10 * 11.1) == 12
    assert rule(10, 10 * 8.9) == 9
    assert rule(0, 35.0) == 4


@pytest.mark.parametrize(("interval", "window"), [(10.0, 60.0), (1.0, 3600.0), (30.0, 0.0)])
def test_slots_hold_the_window(interval: float, window: float) -> None:
    length = getattr(slot_seconds, "py_func", slot_seconds)(interval, window)
    back = slots_back(interval, window) if not hasattr(slots_back, "py_func") else None
    if back is not None:
        assert back < SLOTS
        assert window - length <= back * length <= window
    assert interval <= length


def by_requests(rate: np.ndarray) -> np.ndarray:
    """Replicas by second, request by request, of requests that come evenly at rates/s."""
    come = np.cumsum(rate)
    arrival = np.interp(np.arange(0.5, come[-1]), np.r_[0.0, come], np.arange(len(rate) + 1.0))
    size = len(arrival)
    system = by_request.System(
        by_request.Pool(LAW, MOST, SEATS, 4096, scaling=by_request.Scaling(*RULE)),
        by_request.requests_of(arrival, np.full(size, 8), np.full(size, OUTPUT)),
        (by_request.Tenant("all"),),
        float(len(rate)),
    )
    found: np.ndarray = requests_simulate.simulate(system, 1, 1, threads=1).replicas[0, 0]
    return found


def by_flows(rate: np.ndarray) -> np.ndarray:
    """The same as flows."""
    pool = fluid.Pool(LAW, 4096.0, float(SEATS), 0.0, scaling=fluid.Scaling(*RULE))
    kinds = (fluid.Class("all", always(8.0, OUTPUT)),)
    ones = np.ones((1, len(rate)))
    inputs = fluid.Inputs(rate[None], MOST * ones, ones, np.inf * ones, 0.0 * ones)
    system = compile_factory([fluid.Service("s", kinds, pool)], inputs)
    found: np.ndarray = factory_simulate.simulate(system, 1, 1, threads=1).rows[
        0, 0, :, columns.REPLICAS
    ]
    return found


def reversals(replicas: np.ndarray) -> int:
    """How often a rise is followed by a fall, or a fall by a rise."""
    steps = np.diff(replicas)
    signs = np.sign(steps[np.abs(steps) > 1e-6])
    return int((np.diff(signs) != 0).sum())


@pytest.mark.parametrize("engine", [by_requests, by_flows])
@pytest.mark.parametrize("rate", [3.0, 5.0, 7.4, 9.0, 11.0, 16.3, 23.0])
def test_a_constant_load_ends_in_a_constant_number(engine, rate: float) -> None:  # type: ignore[no-untyped-def]
    replicas = engine(np.full(2400, rate))
    assert (replicas[1500:] == replicas[-1]).all()
    # What it takes: in hand are rate x tokens x step, a batch of b makes steps of 10 + 1.5 b ms.
    batch = 0.7 * SEATS
    least = rate * OUTPUT * (0.01 + 1.5e-3 * batch) / (batch * 1.1)
    assert np.ceil(least) <= replicas[-1] <= np.ceil(1.1 * least) + 1


@pytest.mark.parametrize("engine", [by_requests, by_flows])
def test_a_ramp_has_no_reversals(engine) -> None:  # type: ignore[no-untyped-def]
    """Up for half an hour, then down: replicas rise, then fall."""
    t = np.arange(4800)
    rate = 3.0 + 17.0 * np.minimum(t, 4800 - t) / 2400
    replicas = engine(rate)[300:]  # without the backlog of the start
    top = int(np.argmax(replicas))
    assert replicas.max() >= 8
    assert reversals(replicas[:top]) == 0
    assert reversals(replicas[top:]) == 0
    assert replicas[-1] <= 3


@pytest.mark.parametrize("engine", [by_requests, by_flows])
def test_fewer_only_after_the_window(engine) -> None:  # type: ignore[no-untyped-def]
    """The load falls at once; the replicas stay for the stabilisation window of a minute."""
    rate = np.r_[np.full(900, 12.0), np.full(600, 3.0)]
    replicas = engine(rate)
    before = replicas[899]
    assert (replicas[900:955] == before).all()
    assert replicas[-1] < before


def test_replicas_under_way_count() -> None:
    """A start takes longer than looks are apart: nothing more is started for the same load."""
    rate = np.r_[np.full(10, 1.0), np.full(590, 8.0)]
    slow = (1, 0.7, 10.0, 200.0, 60.0)
    pool = fluid.Pool(LAW, 4096.0, float(SEATS), 0.0, scaling=fluid.Scaling(*slow))
    ones = np.ones((1, len(rate)))
    inputs = fluid.Inputs(rate[None], MOST * ones, ones, np.inf * ones, 0.0 * ones)
    kinds = (fluid.Class("all", always(8.0, 2)),)
    system = compile_factory([fluid.Service("s", kinds, pool)], inputs)
    row = factory_simulate.simulate(system, 1, 1, threads=1).rows[0, 0, :, columns.REPLICAS]
    assert (row == 1.0).all()  # two tokens each: one replica does it
