"""Training jobs over time: sums by hand, books, snapshots, elasticity, power."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.serving.training_jobs import DAY, RATE, job

from firsttoken.serving import training_state as of
from firsttoken.serving.training_engine import must_compile
from firsttoken.serving.training_simulate import (
    course_of_power,
    prices,
    simulate_training,
    snapshot,
)
from firsttoken.twin.findings import TwinError

BUSY = {"mtbf": (1024 * 2 * 3600.0,), "replace": 0.5, "interval": 900.0, "pause": 20.0}
SLOW = {"write": 100.0, "detect": 200.0, "start": 300.0, "load": 60.0, "repair": DAY, "spares": 2}


def test_without_failures_by_hand() -> None:
    """2 h + 100 s to start; 1 h of training and 30 s of pause by turns."""
    system = job(days=1.0, begin=7200.0, interval=3600.0, pause=30.0, start=100.0)
    total = simulate_training(system, 1, 1).period[0, 0]
    left = DAY - 7300.0
    turns, rest = divmod(left, 3630.0)
    trained = turns * 3600.0 + min(rest, 3600.0)
    assert total[of.TOKENS] == pytest.approx(RATE * trained)
    assert total[of.TRAINING] == pytest.approx(1024 * trained)
    assert total[of.SAVED] == turns
    assert total[of.RESTARTING] == pytest.approx(1024 * 100.0)
    assert total[of.FREE] == pytest.approx(1024 * 7200.0)
    joules = 1024 * (1000.0 * trained + 300.0 * (left - trained + 100.0))
    assert total[of.ENERGY] == pytest.approx(joules)


def test_it_is_finished_when_all_tokens_are_trained() -> None:
    system = job(days=2.0, interval=7200.0, pause=60.0, start=50.0, target=RATE * 36000.0)
    found = simulate_training(system, 1, 1)
    # ten hours are four pauses
    assert found.finish[0] == pytest.approx(50.0 + 36000.0 + 4 * 60.0, abs=0.01)
    assert found.period[0, 0, of.TOKENS] == pytest.approx(RATE * 36000.0)
    assert found.period[0, 0, of.FREE] == pytest.approx(1024 * (2 * DAY - found.finish[0]))
    system = job(days=0.25, interval=7200.0, target=RATE * 36000.0)
    assert np.isnan(simulate_training(system, 1, 1).finish[0])


def test_speed_follows_the_throttle_and_power_with_it() -> None:
    system = job(days=4.0, interval=1e9, speed=[1.0, 0.5, 0.0, 1.0])
    total = simulate_training(system, 1, 1).period[0, 0]
    assert total[of.TOKENS] == pytest.approx(RATE * 2.5 * DAY)
    # 200 W without work; 800 W above go with the speed to the power of 2.5
    watts = [1000.0, 200.0 + 800.0 * 0.5**2.5, 200.0, 1000.0]
    assert total[of.ENERGY] == pytest.approx(1024 * DAY * sum(watts))


def test_books_and_periods() -> None:
    """GPU-hours offered are used; periods add up to the whole."""
    edges = np.linspace(0.0, 10 * DAY, 41)
    system = job(days=10.0, edges=edges, **BUSY, **SLOW)
    found = simulate_training(system, 8, 1).period
    held = (1024 + 16) * DAY / 4
    np.testing.assert_allclose(found[..., : of.STATES].sum(axis=-1), held, rtol=1e-9)
    np.testing.assert_allclose(found[..., of.SECONDS], DAY / 4, rtol=1e-9)
    whole = simulate_training(job(days=10.0, **BUSY, **SLOW), 8, 1).period[:, 0]
    np.testing.assert_allclose(found.sum(axis=1), whole, rtol=1e-6)
    assert whole[:, of.FAILURES].min() > 20
    assert np.all(whole[:, of.LOST_TOKENS] < whole[:, of.TOKENS])


def test_results_do_not_depend_on_threads() -> None:
    system = job(days=10.0, **BUSY, **SLOW)
    one = simulate_training(system, 30, 9, threads=1)
    two = simulate_training(system, 30, 9, threads=2)
    assert np.array_equal(one.period, two.period)
    assert not must_compile()


@pytest.mark.parametrize("at", [0.3, 2.7, 5.0, 8.123])
def test_a_snapshot_goes_on_as_if_nothing_had_been(at: float) -> None:
    edges = np.array([0.0, at * DAY, 10 * DAY])
    system = job(days=10.0, edges=edges, **BUSY, **SLOW)
    whole = simulate_training(system, 4, 11)
    for r in range(4):
        state = snapshot(system, 11, r, at * DAY)
        assert state.time == at * DAY
        rest = simulate_training(system, r + 1, 11, state)
        np.testing.assert_allclose(rest.period[r, 1], whole.period[r, 1], rtol=1e-9)
        assert rest.period[r, 0].sum() == 0.0
        assert rest.time == pytest.approx((10 - at) * DAY)


def test_a_state_of_another_job_is_named() -> None:
    system = job(days=10.0, **BUSY, **SLOW)
    state = snapshot(system, 1, 0, DAY)
    with pytest.raises(TwinError, match="of another training job"):
        simulate_training(job(gpus=512.0, **BUSY, **SLOW), 1, 1, state)
    with pytest.raises(TwinError, match="after the end"):
        simulate_training(job(days=0.5, **BUSY, **SLOW), 1, 1, state)


def test_an_elastic_job_goes_on_with_fewer_replicas() -> None:
    """Half of the GPUs are gone for a day: a rigid job waits, an elastic one is half as fast."""
    pool = [1024.0, 512.0, 1024.0]
    rigid = job(days=3.0, pool=pool, interval=3600.0, start=60.0)
    total = simulate_training(rigid, 1, 1).period[0, 0]
    assert total[of.TOKENS] == pytest.approx(RATE * 2 * DAY, rel=0.01)
    assert total[of.WAITING] == pytest.approx(512 * DAY)
    bending = job(days=3.0, pool=pool, interval=3600.0, start=60.0, elastic=True)
    total = simulate_training(bending, 1, 1).period[0, 0]
    assert total[of.TOKENS] == pytest.approx(RATE * 2.5 * DAY, rel=0.01)
    assert total[of.WAITING] == 0.0


def test_planned_stops_lose_nothing() -> None:
    system = job(
        mtbf=(1024 * 3600.0,), planned=True, days=5.0, interval=1e9, detect=600.0, start=60.0
    )
    total = simulate_training(system, 10, 1).period[:, 0]
    assert total[:, of.FAILURES].min() > 50
    # But for failures while it starts.
    assert np.all(total[:, of.LOST] == 0.0)


def test_a_checkpoint_counts_once_it_is_whole() -> None:
    """One failure, 500 s after the second checkpoint began: whole in 400 s or in 600 s."""
    lost = {}
    for write in (400.0, 600.0):
        system = job(
            mtbf=(1e30,), days=1.0, interval=3600.0, pause=10.0, write=write, start=0.0, detect=5.0
        )
        state = snapshot(system, 1, 0, 1.0)
        moment = 2 * 3610.0 + 500.0
        # Failures are due when the hazard has used up this much.
        state.state[of.HAZARD] = (moment - 1.0) * 1024 / 1e30
        total = simulate_training(system, 1, 1, state).period[0, 0]
        assert total[of.FAILURES] == 1
        lost[write] = total[of.LOST_TOKENS] / RATE
    assert lost[400.0] == pytest.approx(500.0, abs=0.1)
    assert lost[600.0] == pytest.approx(500.0 + 3600.0, abs=0.1)


def test_power_dips_at_checkpoints() -> None:
    system = job(days=0.1, interval=1800.0, pause=30.0, start=60.0)
    seconds = np.arange(0.0, 7201.0)
    watts, counts = course_of_power(system, 1, 0, seconds)
    assert len(watts) == 7200
    low = np.flatnonzero(watts < 0.5 * watts.max())
    begins = low[np.flatnonzero(np.diff(low, prepend=-10) > 1)]
    assert begins.tolist() == [0, 1860, 3690, 5520]
    assert watts[low] == pytest.approx(1024 * 300.0)
    assert watts[1000] == pytest.approx(1024 * 1000.0)
    assert counts[:, of.SECONDS] == pytest.approx(np.ones(7200))
    later, _ = course_of_power(system, 1, 0, seconds[3600:])
    assert later == pytest.approx(watts[3600:])


def test_prices_by_period() -> None:
    found = prices(job(edges=np.array([0.0, DAY, 2 * DAY])), 3, 1)
    assert found.shape == (3, 3, 2)
    assert found[2] == pytest.approx(1.2)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    hours=st.floats(0.2, 50.0),
    interval=st.floats(1.0, 1e5),
    pause=st.floats(0.0, 500.0),
    write=st.floats(0.0, 2000.0),
    detect=st.floats(0.0, 5000.0),
    start=st.floats(0.0, 5000.0),
    replace=st.floats(0.0, 1.0),
    spares=st.integers(0, 5),
    elastic=st.booleans(),
    pool=st.lists(st.floats(0.0, 2000.0), min_size=1, max_size=6),
)
def test_books_balance_whatever_happens(
    hours: float,
    interval: float,
    replace: float,
    elastic: bool,
    pool: list[float],
    **seconds: float,
) -> None:
    """The engine raises if its books do not balance; more work is never lost than was done."""
    system = job(
        mtbf=(1024 * hours * 3600.0,),
        replace=replace,
        elastic=elastic,
        pool=pool,
        days=6.0,
        interval=interval,
        repair=40000.0,
        **seconds,
    )
    total = simulate_training(system, 2, 3).period[:, 0]
    assert np.all(total[:, of.LOST_TOKENS] <= total[:, of.TOKENS] * (1 + 1e-9))
    assert np.all(total >= 0.0)
    assert total[:, of.SECONDS] == pytest.approx(6 * DAY)
    assert math.isfinite(total.sum())
