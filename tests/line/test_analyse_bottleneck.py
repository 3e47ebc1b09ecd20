"""Bottlenecks from hand-made results: the definitions, worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from tests.line import fake_result
from tests.line.lines import compiled

from firsttoken.line.analyse_bottleneck import bottlenecks, flow, turning_points


def turning(blocked: list[float], starved: list[float]) -> list[int]:
    return np.flatnonzero(turning_points(np.array(blocked), np.array(starved))).tolist()


@pytest.mark.parametrize(
    ("blocked", "starved", "found"),
    [
        # Blocked before the third station, starved after it: Li, Chang and Ni's definition.
        ([0.30, 0.25, 0.05, 0.02, 0.00], [0.00, 0.05, 0.04, 0.20, 0.25], [2]),
        # The first station limits: everything behind it starves.
        ([0.01, 0.02, 0.01, 0.00], [0.00, 0.30, 0.31, 0.35], [0]),
        # The last station limits: everything before it is blocked.
        ([0.40, 0.35, 0.30, 0.00], [0.00, 0.02, 0.05, 0.01], [3]),
        # Two segments, each with a turning point of its own.
        ([0.30, 0.05, 0.02, 0.25, 0.04, 0.0], [0.0, 0.04, 0.25, 0.05, 0.03, 0.3], [1, 4]),
        # The release starves even the first station: no turning point within the line.
        ([0.00, 0.00, 0.00], [0.20, 0.30, 0.10], []),
    ],
)
def test_turning_points(blocked: list[float], starved: list[float], found: list[int]) -> None:
    assert turning(blocked, starved) == found


def test_where_the_sign_changes_the_station_that_waits_less_turns() -> None:
    # Signs change between the second (waits 0.3) and the third (waits 0.1).
    assert turning([0.4, 0.2, 0.04, 0.0], [0.0, 0.1, 0.06, 0.3]) == [2]
    # The third waits most of all three, so that only the second can be it.
    assert turning([0.4, 0.1, 0.2, 0.0], [0.0, 0.05, 0.25, 0.3]) == [1]


def test_flow_is_the_route_of_the_product_that_leaves_with_the_most_steps(tmp_path: Path) -> None:
    line = compiled(
        tmp_path,
        """
        stations: {a: {time: 1 hour}, b: {time: 1 hour}, c: {time: 1 hour}, d: {time: 1 hour}}
        products:
          small: {route: [{station: a}], releases: {r: {every: 1 hour}}}
          large:
            route:
            - {station: c}
            - {station: a}
            - {name: again, station: c}
            - {station: d}
            releases: {r2: {every: 1 hour}}
        """,
    )
    assert flow(line).tolist() == [2, 0, 3]


def test_shares_are_means_over_replications_with_students_interval(tmp_path: Path) -> None:
    _, system = fake_result.system(tmp_path)
    shares = np.array(
        [[0.0, 0.3, 0.7, 0.0], [0.1, 0.2, 0.7, 0.0], [0.0, 0.5, 0.5, 0], [0, 0.4, 0.6, 0]]
    )
    found = bottlenecks(system, replace(fake_result.result(), active_bottleneck=shares))
    integrate = shares[:, 1]
    half = stats.t.ppf(0.975, 3) * integrate.std(ddof=1) / 2
    assert found.active[1] == pytest.approx((0.35, 0.35 - half, 0.35 + half))
    assert found.active[0].low == 0.0  # a share is not negative, whatever the formula says
    assert found.active[3] == (0.0, 0.0, 0.0)


def test_waiting_is_a_share_of_the_open_time(tmp_path: Path) -> None:
    _, system = fake_result.system(tmp_path)
    found = bottlenecks(system, fake_result.result())
    # tray_test: 1.0 of 2 servers starved, 0.5 closed; integrate: 0.8 of 4 blocked.
    assert found.starved[0] == pytest.approx(1.0 / 1.5)
    assert found.blocked[1] == pytest.approx(0.2)
    # Along integrate, burn_in, pack: blocked 0.2, 0, 0; starved 0.1, 0.01, 0.9.
    assert found.turning_point.tolist() == [False, False, True, False]
    assert np.isnan(found.turning[0])
    assert found.turning[1:].tolist() == [0.0, 1.0, 0.0]


def test_without_limited_buffers_nothing_turns(tmp_path: Path) -> None:
    line = compiled(
        tmp_path,
        "{stations: {a: {time: 1 hour}, b: {time: 1 hour}}, "
        "products: {p: {releases: {r: {every: 2 hour}}}}}",
    )
    given = fake_result.result()
    small = replace(
        given, state_time=given.state_time[:, :2], active_bottleneck=given.active_bottleneck[:, :2]
    )
    assert np.isnan(bottlenecks(line, small).turning).all()
