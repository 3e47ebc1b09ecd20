"""Futures of a line: what is not known at a snapshot has its conditional distribution."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from tests.line.fake_result import rows
from tests.line.lines import compiled, load

from firsttoken.line import model
from firsttoken.line.forecast import Forecast, covered, forecast, randomised_pit
from firsttoken.line.forecast_tables import forecast_tables
from firsttoken.line.result import Snapshot
from firsttoken.line.simulate import identity, simulate, snapshot
from firsttoken.line.state import WORKED
from firsttoken.line.system import System
from firsttoken.twin.findings import TwinError

HOUR, DAY, WEEK = 3600.0, 86400.0, 604800.0
N = 2000


def one_order(folder: Path, station: str) -> System:
    """A station that works on one order of one lot, released at the start."""
    return compiled(
        folder,
        f"""
        stations: {{a: {{{station}}}}}
        products: {{p: {{}}}}
        orders: {{o: {{product: p, due: 2026-01-06}}}}
        """,
        "horizon: 90 day",
    )


def ends(system: System, at: float, replication: int = 0, seed: int = 5) -> np.ndarray:
    """Hours at which the order is complete in futures from its state at `at` hours."""
    state = snapshot(system, seed, replication, at * HOUR)
    return forecast(system, state, seed, futures=N).order_finished[:, 0] / HOUR


def even(values: np.ndarray, low: float, high: float) -> bool:
    """Whether values are plausible as uniform between two bounds."""
    return bool(stats.kstest(values, "uniform", (low, high - low)).pvalue > 0.01)


def test_work_in_hand_ends_as_it_may_given_how_long_it_lasts(tmp_path: Path) -> None:
    system = one_order(tmp_path, 'time: "uniform(10, 30) hour"')
    replication = next(r for r in range(50) if simulate_one(system, r) > 15)
    state = snapshot(system, 5, replication, 8 * HOUR)
    known = simulate(system, 5, 9, initial_state=state).order_finished[:, 0]
    assert set(known / HOUR) == {simulate_one(system, replication)}  # without being drawn anew
    assert even(ends(system, 8, replication), 10, 30)
    assert even(ends(system, 15, replication), 15, 30)


def test_exponential_work_has_no_memory(tmp_path: Path) -> None:
    system = one_order(tmp_path, "time: exponential(20) hour")
    known = simulate(system, 1, 5).order_finished[0, 0] / HOUR
    rest = ends(system, known - 1) - (known - 1)
    assert stats.kstest(rest, "expon", (0, 20)).pvalue > 0.01


def test_certain_work_ends_when_it_ends(tmp_path: Path) -> None:
    system = one_order(tmp_path, "time: 20 hour, load: 1 hour")
    assert set(ends(system, 15)) == {21.0}


def test_a_repair_ends_as_it_may_given_how_long_it_lasts(tmp_path: Path) -> None:
    # Broken after one hour of five: at hour 12 the repair lasts eleven.
    system = one_order(
        tmp_path,
        "time: 5 hour, failures: {f: {first: 1 hour, mtbf: 9000 hour, "
        'mttr: "uniform(10, 20) hour"}}',
    )
    replication = next(r for r in range(50) if simulate_one(system, r) > 17)
    assert even(ends(system, 12, replication), 16, 25)


def simulate_one(system: System, replication: int) -> float:
    """The hour at which the order is complete in one replication."""
    return float(simulate(system, replication + 1, 5).order_finished[replication, 0] / HOUR)


def test_work_that_stands_still_keeps_what_was_worked(tmp_path: Path) -> None:
    # One hour of work is done; its total, and ten hours of repair, are still to come or to end.
    system = one_order(
        tmp_path,
        'time: "uniform(0.5, 5) hour", failures: {f: {first: 1 hour, mtbf: 9000 hour, '
        "mttr: 10 hour}}",
    )
    replication = next(r for r in range(50) if simulate_one(system, r) > 10)
    assert even(ends(system, 5, replication), 11, 15)
    # Two hours after the repair three hours are worked.
    replication = next(r for r in range(50) if simulate_one(system, r) > 14)
    assert even(ends(system, 13, replication), 13, 15)


def test_the_next_breakdown_comes_as_it_may_given_the_age(tmp_path: Path) -> None:
    system = one_order(
        tmp_path,
        'time: 15 hour, failures: {f: {mtbf: "weibull(3, 20) hour", mttr: 1000 hour}}',
    )
    replication = next(r for r in range(50) if simulate_one(system, r) < 100)
    late = int((ends(system, 8, replication) > 100).sum())
    # Of servers that are eight hours old, those that break before they are fifteen.
    broken = 1 - math.exp(-((15 / 20) ** 3) + (8 / 20) ** 3)
    assert stats.binomtest(late, N, broken).pvalue > 0.01


def test_the_outcome_of_work_in_hand_is_not_known(tmp_path: Path) -> None:
    # Half of the tests fail, at any time; the others take ten hours.
    system = one_order(
        tmp_path,
        'time: 10 hour, pass: 0.5, on_fail: restart, fail_after: "uniform(0, 1)"',
    )
    for replication in range(50):
        state = snapshot(system, 5, replication, 4 * HOUR)
        lots = state.arrays["lot"]
        if lots["began"][lots["place"] == WORKED].tolist() == [0.0]:
            break  # its first test goes on
    first = int((ends(system, 4, replication) == 10.0).sum())
    # Bayes: it has not failed in four hours of ten.
    assert stats.binomtest(first, N, 0.5 / (0.5 + 0.5 * 0.6)).pvalue > 0.01


LINE = """
report: day
stations:
  a: {time: "gamma(4, 15) min",
      failures: {f: {mtbf: exponential(20) hour, mttr: "gamma(2, 2) hour"}}}
  b: {time: "lognormal(60, 20) min", buffer: 3, pass: 0.85, on_fail: restart,
      fail_after: "uniform(0, 1)"}
  c: {servers: 2, time: exponential(110) min, buffer: 2,
      failures: {f: {mtbf: exponential(30) hour, mttr: exponential(3) hour, counts: operation}}}
products: {p: {releases: {all: {backlog: 1}}}}
"""


def test_forecasts_are_calibrated(tmp_path: Path) -> None:
    """Truth is one more future: its place among them is even, if they are what may be."""
    begin, end = 10 * DAY, 10.5 * DAY
    system = compiled(tmp_path, LINE, "horizon: 20 day")
    system = replace(system, edges=np.array([0.0, begin, end]), horizon=end)
    states = 400
    truth = simulate(system, states, 7).period_finished[:, 1, 0]
    found = np.array(
        [
            forecast(system, snapshot(system, 7, r, begin), 8, futures=39, threads=1).total[:, 0]
            for r in range(states)
        ]
    )
    pit = randomised_pit(found, truth, np.random.default_rng(1).uniform(size=states))
    assert stats.kstest(pit, "uniform").pvalue > 0.01
    share = covered(pit)
    assert share.low < 0.9 < share.high
    # And it is worth something: sharper than the same forecast from every state.
    always = truth - truth.mean()
    assert np.mean((truth - found.mean(axis=1)) ** 2) < 0.8 * np.mean(always**2)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> tuple[System, Snapshot, Forecast]:
    system = compiled(tmp_path_factory.mktemp("line"), LINE, "horizon: 20 day")
    taken = snapshot(system, 3, 0, 4.5 * DAY)
    return system, taken, forecast(system, taken, 3, futures=100, horizon=8.25 * DAY)


def test_periods_run_from_the_snapshot_to_the_horizon(
    state: tuple[System, Snapshot, Forecast],
) -> None:
    system, _, found = state
    assert (found.edges / DAY).tolist() == [4.5, 5, 6, 7, 8, 8.25]
    assert found.finished.shape == (100, 5, 1)
    # What was made before the snapshot does not count.
    np.testing.assert_array_equal(found.total, found.result.finished)
    assert found.result.time == 3.75 * DAY
    rate = simulate(system, 20, 4).throughput.mean()
    assert found.finished.mean(axis=(0, 2))[1:4] == pytest.approx(rate * DAY, rel=0.2)
    assert found.finished.mean(axis=(0, 2))[0] < 0.7 * rate * DAY  # half a day
    np.testing.assert_allclose(found.result.state_time.sum(axis=2), [[1, 1, 2]] * 100)


def test_futures_do_not_depend_on_the_threads(state: tuple[System, Snapshot, Forecast]) -> None:
    system, taken, found = state
    alone = forecast(system, taken, 3, futures=100, horizon=8.25 * DAY, threads=1)
    np.testing.assert_array_equal(alone.finished, found.finished)
    few = forecast(system, taken, 3, futures=10, horizon=8.25 * DAY)
    np.testing.assert_array_equal(few.finished, found.finished[:10])


def test_futures_differ(state: tuple[System, Snapshot, Forecast]) -> None:
    _, _, found = state
    assert len(np.unique(found.finished[:, :, 0], axis=0)) > 90


def test_a_forecast_needs_time(state: tuple[System, Snapshot, Forecast]) -> None:
    system, taken, _ = state
    with pytest.raises(ValueError, match="no time"):
        forecast(system, taken, 3, futures=2, horizon=4.5 * DAY)


def test_a_state_of_another_line_is_refused(
    state: tuple[System, Snapshot, Forecast], tmp_path: Path
) -> None:
    _, taken, _ = state
    other = compiled(tmp_path, LINE.replace("servers: 2", "servers: 3"), "horizon: 20 day")
    assert identity(other) != taken.identity
    with pytest.raises(TwinError, match="the snapshot is of another line"):
        forecast(other, taken, 3, futures=2)


def test_from_the_snapshot_on_levels_are_those_of_the_line_at_hand(tmp_path: Path) -> None:
    text = """
    stations: {{a: {{servers: 4, time: exponential(1) hour, crew: {{hands: 1}}, available: days}}}}
    pools: {{hands: {{unit: each, 2026-01-05: {first}, 2026-01-09: {second}}}}}
    calendars: {{days: {{shifts: ["daily {shift}"]}}}}
    products: {{p: {{releases: {{all: {{backlog: 1}}}}}}}}
    """.replace("hands: {{unit", "hands: {{count: {{unit").replace("{second}}}", "{second}}}}}")
    base = compiled(tmp_path, text.format(first=2, second=3, shift="06:00-18:00"))
    taken = snapshot(base, 1, 0, 2.5 * DAY)
    changed = compiled(tmp_path, text.format(first=1, second=4, shift="00:00-12:00"))
    for system, levels, share in ((base, (2, 3), 0.5), (changed, (1, 4), 0.5)):
        found = forecast(system, taken, 2, futures=30, horizon=9 * DAY).result
        # 1.5 days until the ninth, then five.
        mean = (1.5 * levels[0] + 5 * levels[1]) / 6.5
        np.testing.assert_allclose(found.pool_level[:, 0], mean)
        rate = found.throughput[:, 0].mean() * HOUR
        assert rate == pytest.approx(share * mean, rel=0.1)


ORDERS = """
unit: rack
stations: {a: {time: exponential(10) hour}}
products: {p: {}}
orders:
  done: {product: p, due: 2026-01-10}
  queue: {product: p, lots: 3, release: 2026-01-10, due: 2026-01-12, customer: cloud}
  later: {product: p, lots: 1, release: 2026-01-12, due: 2026-01-11}
  never: {product: p, lots: 90, release: 2026-01-12, due: 2026-03-01}
"""


def test_tables_of_orders(tmp_path: Path) -> None:
    header = "horizon: 70 day"
    twin = load(tmp_path, ORDERS, header)
    declared = twin.rooms["line"]["x"]
    assert isinstance(declared, model.Line)
    system = compiled(tmp_path, ORDERS, header)
    # On the tenth at midnight three lots have come; nothing is done yet but the first order.
    taken = snapshot(system, 2, 0, 5 * DAY + 1)
    found = forecast(system, taken, 2, futures=N, horizon=21 * DAY)
    tables = {t.name: rows(t) for t in forecast_tables("base", declared, system, found)}
    orders = {row["order"]: row for row in tables["line_forecast_orders"]}
    assert orders["done"]["complete"] == orders["done"]["on_time"] == 1
    # Three exponential times of 10 h within 48 h: the Erlang distribution.
    chance = stats.gamma.cdf(48, 3, scale=10)
    assert orders["queue"]["on_time_low"] < chance < orders["queue"]["on_time_high"]
    assert orders["queue"]["customer"] == "cloud"
    days = [float(stats.gamma.ppf(q, 3, scale=10)) / 24 for q in (0.1, 0.5, 0.9)]
    for key, day in zip(("p10", "p50", "p90"), days, strict=True):
        assert orders["queue"][key] == f"2026-01-{10 + int(day):02}"
    assert orders["later"]["on_time"] == 0
    assert orders["never"]["complete"] == 0
    assert [orders["never"][key] for key in ("p10", "p50", "p90")] == ["", "", ""]


def test_tables_of_output(tmp_path: Path, state: tuple[System, Snapshot, Forecast]) -> None:
    system, _, found = state
    declared = load(tmp_path, LINE, "horizon: 20 day").rooms["line"]["x"]
    assert isinstance(declared, model.Line)
    (table, orders) = forecast_tables("base", declared, system, found)
    made = [row for row in rows(table) if row["metric"] == "finished"]
    assert [row["period"] for row in made] == [
        "2026-01-09 12:00", "2026-01-10 00:00", "2026-01-11 00:00", "2026-01-12 00:00",
        "2026-01-13 00:00",
    ]  # fmt: skip
    assert made[-1]["end"] == "2026-01-13 06:00"
    assert made[0]["label"] == "2026-01-09"
    second = np.sort(found.finished[:, 1, 0])
    assert made[1]["p50"] == pytest.approx(np.median(second))
    assert made[1]["p90"] == pytest.approx(np.quantile(second, 0.9))
    whole = [row for row in rows(table) if row["metric"] == "finished_in_all"]
    assert whole[-1]["mean"] == pytest.approx(found.total.mean())
    assert len(orders) == 0
