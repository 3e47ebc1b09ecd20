"""Changed copies of a compiled line: the change is there, and nothing else is different."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.line.lines import compiled

from firsttoken.kernel.parameters import check_tables, evaluate_series, fixed_parameters
from firsttoken.kernel.sampling import sample
from firsttoken.line import analyse_edit as edit
from firsttoken.line.analyse_changes import changes
from firsttoken.line.system import System

LINE = """
stations:
  a: {servers: 2, time: "triangular(1, 2, 4) hour", load: 6 minute}
  b:
    servers: {unit: each, 2026-01-05: 3, 2026-01-08: 5}
    available: days
    buffer: 2
    time: exponential(2) hour
    tasks: {count: 100, time: 10 s, success: 0.98, recovery: 60 s}
    pass: 0.9
    failures: {jam: {mtbf: exponential(50) hour, mttr: "gamma(2, 1) hour", counts: operation}}
    crew: {hands: 1}
    draws: {power: 10 kW}
  c: {time: "lognormal(2, 1) hour", buffer: 0}
pools: {hands: {count: 4, available: days}}
budgets: {power: {unit: kW, 2026-01-05: 50, 2026-01-09: 80}}
calendars: {days: {shifts: ["mon-fri 06:00-14:00"]}}
products:
  rack: {releases: {base: {every: exponential(1) hour}, more: {wip: 3}}}
"""


@pytest.fixture
def line(tmp_path: Path) -> System:
    return compiled(tmp_path, LINE)


def level(system: System, row: int, time: float) -> float:
    """A level at a time: the product of its series at the means of the parameters."""
    record = system.tables.level[row]
    out = np.empty((system.series.kind.size, 1))
    values = fixed_parameters(system.parameters)
    edges = np.array([time, time + 1e-3])
    evaluate_series(system.series, system.parameters, values, edges, 0, -1, out)
    rows = system.tables.factor[record["factor"] : record["factor"] + record["factors"]]["series"]
    return float(np.prod(out[rows, 0]))


def same(one: System, other: System, *but: str) -> None:
    """Assert that two lines have the same tables but for those named."""
    for name in one.tables._fields:
        if name not in but:
            before, after = getattr(one.tables, name), getattr(other.tables, name)
            np.testing.assert_array_equal(before, after[: len(before)], err_msg=name)
    count = len(one.parameters.code)
    np.testing.assert_array_equal(one.parameters.args, other.parameters.args[:count])


FAMILIES = (
    "2 hour",
    "uniform(1, 3) hour",
    "triangular(1, 2, 4) hour",
    "normal(9, 1) hour",
    "lognormal(2, 1) hour",
    "gamma(2, 3) hour",
    "gamma(0.5, 3) hour",
    "beta_pert(1, 2, 4) hour",
    "exponential(2) hour",
    "weibull(1.5, 3) hour",
    "discrete(1: 0.3, 2: 0.7) hour",
)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_scaled_distribution_draws_the_same_times_a_factor(tmp_path: Path, family: str) -> None:
    line = compiled(
        tmp_path, f"{{stations: {{a: {{time: '{family}'}}}}, products: {{p: {{releases: "
        "{r: {every: 1 hour}}}}}",
    )  # fmt: skip
    changed = edit.scale_time(line, 0, 0.95)
    same(line, changed, "stream", "step")
    drawn = []
    for system in (line, changed):
        p = int(system.tables.stream["parameter"][system.tables.step["time"][0]])
        code, args = int(system.parameters.code[p]), system.parameters.args[p]
        drawn.append([sample(code, args, system.parameters.table, 1, 2, 3, 4, i) for i in range(9)])
    np.testing.assert_allclose(np.array(drawn[1]), 0.95 * np.array(drawn[0]), rtol=1e-12)
    assert changed.tables.step["work"][0] == pytest.approx(0.95 * line.tables.step["work"][0])


def test_time_is_loading_processing_and_tasks_of_one_station(line: System) -> None:
    for station, fields in ((0, ("load",)), (1, ())):
        changed = edit.scale_time(line, station, 0.5)
        same(line, changed, "stream", "step", "tasks")
        before = fixed_parameters(line.parameters)
        after = fixed_parameters(changed.parameters)
        for k in range(3):
            factor = 0.5 if k == station else 1.0
            streams = [
                s.tables.stream["parameter"][s.tables.step["time"][k]] for s in (line, changed)
            ]
            assert after[streams[1]] == pytest.approx(factor * before[streams[0]])
        for field in fields:
            rows = line.tables.step[field][station], changed.tables.step[field][station]
            assert after[rows[1]] == pytest.approx(0.5 * before[rows[0]])
    tasks = [s.tables.tasks[s.tables.step["tasks"][1]] for s in (line, changed)]
    assert after[tasks[1]["time"]] == 5.0
    assert after[tasks[1]["recovery"]] == 30.0
    assert after[tasks[1]["success"]] == before[tasks[0]["success"]] == 0.98
    assert after[tasks[1]["count"]] == 100


def test_one_more_server(line: System) -> None:
    changed = edit.add_server(line, 0)
    same(line, changed, "station")
    assert changed.tables.station["servers"].tolist() == [3, 5, 1]
    assert changed.tables.station["server"].tolist() == [0, 3, 8]
    assert changed.servers == line.servers + 1 == 9


def test_one_more_server_works_the_shifts_of_the_others(line: System) -> None:
    changed = edit.add_server(line, 1)
    row = int(changed.tables.station["level"][1])
    monday, thursday, hour = 0.0, 3 * 86400.0, 3600.0
    found = [level(changed, row, t + 8 * hour) for t in (monday, thursday)]
    assert found == [4, 6]
    assert level(changed, row, monday + 20 * hour) == 0
    assert changed.tables.station["servers"].tolist() == [2, 6, 1]
    assert level(line, int(line.tables.station["level"][1]), 8 * hour) == 3


def test_so_many_servers(line: System) -> None:
    changed = edit.set_servers(line, 1, 2)
    assert changed.tables.station["servers"].tolist() == [2, 2, 1]
    assert changed.tables.station["server"].tolist() == [0, 2, 4]
    row = int(changed.tables.station["level"][1])
    assert [level(changed, row, t * 3600.0) for t in (8, 20, 80)] == [2, 0, 2]
    assert edit.set_servers(line, 0, 4).tables.station["servers"][0] == 4
    with pytest.raises(ValueError, match="needs servers"):
        edit.set_servers(line, 0, 0)


def test_breakdowns(line: System) -> None:
    changed = edit.scale_failures(line, 0, mtbf=1.1, mttr=1 / 1.1)
    same(line, changed, "stream")
    before, after = fixed_parameters(line.parameters), fixed_parameters(changed.parameters)
    for field, factor in (("mtbf", 1.1), ("mttr", 1 / 1.1)):
        rows = [s.tables.stream["parameter"][s.tables.failure[field][0]] for s in (line, changed)]
        assert after[rows[1]] == pytest.approx(factor * before[rows[0]])


def test_pass_buffers_pools_budgets_and_releases(line: System) -> None:
    def x(system: System, row: int) -> float:
        return float(fixed_parameters(system.parameters)[row])

    better = edit.add_pass(line, 1, 0.01)
    assert x(better, better.tables.step["pass_"][1]) == pytest.approx(0.91)
    assert better.tables.step["pass_"][0] == -1

    wider = edit.set_buffers(line, [1, 2], [7, 8])
    assert wider.tables.station["buffer"].tolist() == [-1, 7, 8]

    hands = edit.add_pool(line, 0, 1)
    row = int(hands.tables.pool["level"][0])
    assert [level(hands, row, t * 3600.0) for t in (8, 20)] == [5, 0]

    power = edit.scale_pool(line, 1, 1.05)
    row = int(power.tables.pool["level"][1])
    assert [level(power, row, d * 86400.0) for d in (1, 5)] == pytest.approx([52.5e3, 84e3])

    oftener = edit.scale_releases(line, 0, 1.05)
    p = oftener.tables.stream["parameter"][oftener.tables.source["every"][0]]
    assert x(oftener, p) == pytest.approx(3600 / 1.05)
    more = edit.scale_releases(line, 1, 1.05)
    assert level(more, int(more.tables.source["level"][1]), 0.0) == 4


def test_the_changes_of_a_line_and_their_tables_hold_together(line: System) -> None:
    found = changes(line)
    names = {(c.name, c.parameter, c.step) for c in found}
    assert names == {
        ("a", "time", "-5 %"), ("a", "servers", "+1"),
        ("b", "time", "-5 %"), ("b", "servers", "+1"), ("b", "buffer", "+1"),
        ("b", "mtbf of jam", "+10 %"), ("b", "mttr of jam", "-10 %"), ("b", "pass", "+1 point"),
        ("c", "time", "-5 %"), ("c", "servers", "+1"), ("c", "buffer", "+1"),
        ("hands", "count", "+1"), ("power", "level", "+10 kW"),
        ("rack.base", "releases", "+5 %"), ("rack.more", "releases", "+1"),
    }  # fmt: skip
    for change in found:
        changed = change.apply(line)
        check_tables(changed.parameters, changed.series)
        assert changed.tables.factor["series"].max() < len(changed.series.kind)
        assert changed is not line
