"""The short ways of the engine: flags follow from what is declared, results do not follow them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.line.lines import compiled

from firsttoken.line import machine, system
from firsttoken.line.compile_ways import plain_stations, what_steps_do
from firsttoken.line.simulate import simulate
from firsttoken.line.system import System

FAB = """
stations:
  wet:
    servers: 3
    time: uniform(20, 30) min
    load: 1 min
    interval: uniform(8, 12) min
    failures: {stop: {mtbf: exponential(3) day, mttr: exponential(2) hour}}
    maintenance: {clean: {every_loads: 40, takes: "uniform(1, 2) hour"}}
  track:
    servers: 3
    time: uniform(20, 26) min
    setups: [{to: red, time: 3 min}, {to: blue, time: 2 min}]
    maintenance: {check: {every: 2 day, takes: 2 hour, stagger: true}}
  scanner:
    servers: 4
    time: uniform(18, 22) min
    transport: uniform(5, 10) min
    failures: {stop: {counts: operation, mtbf: exponential(1) day, mttr: exponential(2) hour}}
  oven: {servers: 2, time: "uniform(60, 70) min", batch: {minimum: 3, maximum: 5}}
  gauge: {servers: 2, time: "uniform(4, 6) min", per: piece, buffer: 6}
  crewed: {servers: 2, time: "uniform(4, 6) min", crew: {hand: 1}}
pools: {hand: {count: 2}}
products:
  lot:
    pieces: 2
    releases:
      hot: {every: exponential(150) min, priority: 20}
      base: {every: exponential(27) min}
    route:
      - {station: wet}
      - {station: track, setup: red}
      - {station: scanner}
      - {station: gauge, share: 0.5}
      - {station: oven}
      - {station: wet, name: rinse, queue_limit: {after: oven, within: 10 min}}
      - {station: track, name: track_2, setup: blue}
      - {station: scanner, name: scanner_2, same_tool: scanner}
      - {station: crewed, pass: 0.9, on_fail: restart}
"""

LINKED = system.OVERLAPS | system.TAKES_MORE


@pytest.fixture(scope="module")
def fab(tmp_path_factory: pytest.TempPathFactory) -> System:
    return compiled(tmp_path_factory.mktemp("fab"), FAB)


def test_a_station_is_plain_where_an_idle_server_is_all_that_is_needed(fab: System) -> None:
    found = dict(zip(fab.names.stations, plain_stations(fab.tables), strict=True))
    assert found == {
        "wet": system.ONE_QUEUE,
        "track": system.PLAIN,  # two queues: one a set-up
        "scanner": system.PLAIN,  # a lot may be bound to a server
        "oven": system.GENERAL,  # a batch needs its mates
        "gauge": system.ONE_QUEUE,
        "crewed": system.GENERAL,  # needs a hand
    }


@pytest.mark.parametrize(
    ("old", "new", "station"),
    [
        ("within: 10 min", "within: 20 min, on_miss: scrap", "wet"),  # lots are sent away
        ("    setups: [", "    dispatch: setup\n    setups: [", "track"),  # looks at the servers
        ("    setups: [", "    min_run: {red: 3}\n    setups: [", "track"),  # servers wait
        ("  gauge: {", "  gauge: {dispatch: cr, ", "gauge"),  # the order changes with time
    ],
)
def test_a_station_is_not_plain(tmp_path: Path, old: str, new: str, station: str) -> None:
    line = compiled(tmp_path, FAB.replace(old, new))
    row = line.names.stations.index(station)
    assert plain_stations(line.tables)[row] == system.GENERAL


def test_what_steps_do(fab: System) -> None:
    found = dict(zip(fab.names.steps, what_steps_do(fab.tables).tolist(), strict=True))
    cascade = system.CASCADES | system.OVERLAPS | system.COUNTS | system.TAKES_MORE
    assert found["lot.wet"] == cascade
    assert found["lot.rinse"] == cascade | system.HURRIES
    assert found["lot.track"] == system.SETS_UP  # maintenance by the calendar counts nothing
    bound = system.WEARS | system.MOVES
    assert found["lot.scanner"] == bound | system.LEAVES  # its server is kept for later
    assert found["lot.scanner_2"] == bound
    assert found["lot.gauge"] == system.SKIPS | system.LIMITED | system.TAKES_MORE
    assert found["lot.oven"] == system.LOADS | system.SEIZES | system.LEAVES  # its end is kept
    assert found["lot.crewed"] == system.SEIZES | system.FAILS


def test_the_short_ways_are_only_shorter(fab: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every station taken the general way, and every server's loads linked: the same."""
    short = simulate(fab, 3, 1)
    monkeypatch.setattr(machine, "plain_stations", lambda tables: 0)
    monkeypatch.setattr(machine, "what_steps_do", lambda tables: what_steps_do(tables) | LINKED)
    long = simulate(fab, 3, 1)
    assert np.all(short.finished.sum(axis=1) > 500)
    assert np.all(short.limit_missed.sum(axis=1) > 0)
    for name in ("finished", "steps_done", "limit_missed", "rework"):
        assert np.array_equal(getattr(short, name), getattr(long, name)), name
    for name in ("cycle_mean", "cycle_sd", "cycle_quantiles", "wip", "raw_time", "queue"):
        np.testing.assert_allclose(getattr(short, name), getattr(long, name), rtol=1e-12)
    np.testing.assert_allclose(short.state_time, long.state_time, rtol=1e-9, atol=1e-12)
