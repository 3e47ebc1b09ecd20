"""What disruptions do to the levels and dates of a line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from tests.line.lines import compiled, load
from tests.line.test_compile import DAY, level, mean

from firsttoken.chain.ports import Resolver
from firsttoken.line import model
from firsttoken.line.compile import compile_line
from firsttoken.line.disrupt import problem
from firsttoken.line.system import System
from firsttoken.twin.findings import TwinError
from firsttoken.twin.scenario import Closure

LINE = """
stations: {a: {servers: 4}, b: {servers: {2026-01-05: 1, 2026-01-07: 3}}, c: {}}
products: {p: {}}
pools: {hands: {count: 6, available: all}}
budgets: {power: 10 MW}
calendars: {all: {shifts: ["daily 00:00-24:00"]}}
orders: {o: {product: p, release: 2026-01-06, due: 2026-01-12}}
"""


def disrupted(folder: Path, disruption: str) -> System:
    return compiled(folder, LINE, header=f"disruptions: [{{{disruption}}}]\n")


def servers(line: System, name: str, day: float) -> float:
    record = line.tables.station[line.names.stations.index(name)]
    number = float(record["servers"])
    return level(line, record["level"], day * DAY) if record["level"] >= 0 else number


def pool(line: System, name: str, day: float) -> float:
    record = line.tables.pool[line.names.pools.index(name)]
    return level(line, record["level"], day * DAY)


def test_a_closed_station_has_no_servers_for_a_time(tmp_path: Path) -> None:
    line = disrupted(tmp_path, "close: line.x.stations.a, from: 2026-01-06, for: 2 day")
    assert [servers(line, "a", day) for day in (0, 0.9, 1, 2.9, 3, 9)] == [4, 4, 0, 0, 4, 4]
    assert line.tables.station["servers"].tolist() == [4, 3, 1]
    assert servers(line, "c", 1) == 1


def test_a_closed_line_has_none_anywhere(tmp_path: Path) -> None:
    line = disrupted(tmp_path, "close: line.x, from: 2026-01-06, until: 2026-01-07")
    assert [servers(line, name, 1.5) for name in "abc"] == [0, 0, 0]
    assert [servers(line, name, 2) for name in "abc"] == [4, 3, 1]
    assert pool(line, "hands", 1.5) == 6


def test_a_share_of_the_servers_is_whole_servers(tmp_path: Path) -> None:
    line = disrupted(tmp_path, "capacity: line.x.stations.a, factor: 0.7, from: 2026-01-06")
    assert [servers(line, "a", day) for day in (0, 1, 9)] == [4, 2, 2]


def test_capacity_may_grow_and_there_are_servers_for_it(tmp_path: Path) -> None:
    line = disrupted(tmp_path, "capacity: line.x.stations.a, factor: 1.5, from: 2026-01-06")
    assert [servers(line, "a", day) for day in (0, 1)] == [4, 6]
    assert line.tables.station["servers"][0] == 6


def test_people_and_power(tmp_path: Path) -> None:
    line = disrupted(tmp_path, "capacity: line.x.pools.hands, factor: 0.5, from: 2026-01-06")
    assert [pool(line, "hands", day) for day in (0, 1)] == [6, 3]
    line = disrupted(tmp_path, "close: line.x.budgets.power, from: 2026-01-06, for: 1 day")
    assert [pool(line, "power", day) for day in (0, 1, 2)] == [10e6, 0, 10e6]


def test_capacity_returns_in_a_straight_line(tmp_path: Path) -> None:
    line = disrupted(
        tmp_path,
        "capacity: line.x.budgets.power, factor: 0, from: 2026-01-06, for: 1 day, recovery: 4 day",
    )
    found = [pool(line, "power", day) for day in (1.5, 2, 4, 6, 7)]
    assert found == pytest.approx([0, 0, 5e6, 10e6, 10e6], abs=1e3)


def test_dates_slip(tmp_path: Path) -> None:
    line = disrupted(tmp_path, "slip: line.x.stations.b, by: 3 day, from: 2026-01-06")
    assert [servers(line, "b", day) for day in (0, 2, 4.9, 5)] == [1, 1, 1, 3]
    line = disrupted(tmp_path, "slip: line.x.orders.o, by: 2 day")
    (source,) = line.tables.source
    assert (mean(line, source["first"]), mean(line, source["due"])) == (3 * DAY, 9 * DAY)


@pytest.mark.parametrize(
    ("disruption", "said"),
    [
        (
            "yield: line.x.stations.a, factor: 0.5, from: 2026-01-06",
            "only stations, pools and budgets close or change in capacity",
        ),
        (
            "close: line.x.products.p, from: 2026-01-06",
            "it acts on one of the stations, pools, budgets of a line",
        ),
        ("slip: line.x.stations.a, by: 1 day", "it has no dates"),
        ("slip: line.x.pools.hands, by: 1 day", "it has no dates"),
        ("slip: line.x.budgets.power, by: 1 day", "it has no dates"),
        ("capacity: line.x, factor: 0.5, from: 2026-01-06", "it acts on one of the stations"),
        (
            "slip: line.x.orders.o, by: 1 day, from: 'uniform(2026-01-05, 2026-01-09)'",
            "must be a certain date",
        ),
    ],
)
def test_what_a_line_cannot_suffer_is_said(tmp_path: Path, disruption: str, said: str) -> None:
    with pytest.raises(TwinError, match=said):
        disrupted(tmp_path, disruption)


def test_disruptions_of_others_leave_a_line_alone(tmp_path: Path) -> None:
    data = yaml.safe_load(LINE)
    twin = load(tmp_path, data, header="disruptions: [{close: line.x, from: 2026-01-06}]\n")
    other = replace(twin, rooms={"line": {"y": twin.rooms["line"]["x"]}})
    line = compile_line(other, "y", Resolver(other))
    assert servers(line, "a", 2) == 4


def test_targets_that_are_not_there() -> None:
    declared = model.Line.model_validate(yaml.safe_load(LINE))
    closure = Closure.model_validate({"close": "line.x.stations.d", "from": "2026-01-06"})
    assert problem(declared, closure, ("stations", "d")).startswith("there is none")
    assert problem(declared, closure, ("stations", "a")) == ""
