"""What `compile_line` puts into the tables, against what the words of the file say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.line.lines import compiled, load

from firsttoken.chain.ports import Resolver
from firsttoken.kernel import streams
from firsttoken.kernel.parameters import check_tables, evaluate_series, fixed_parameters
from firsttoken.kernel.streams import entity_key
from firsttoken.line import system
from firsttoken.line.compile import compile_line
from firsttoken.line.system import RESTART, SCRAP, SHIP, System
from firsttoken.twin.findings import TwinError

HOUR, DAY, WEEK = 3600.0, 86400.0, 7 * 86400.0

ONE = """
stations: {bench: {time: 1 hour}}
products: {rack: {releases: {base: {every: 6 hour}}}}
"""


def mean(line: System, row: int) -> float:
    """Expected value of a parameter."""
    return float(fixed_parameters(line.parameters)[row])


def step(line: System, name: str) -> Any:
    return line.tables.step[line.names.steps.index(name)]


def station(line: System, name: str) -> Any:
    return line.tables.station[line.names.stations.index(name)]


def stream(line: System, row: int) -> Any:
    return line.tables.stream[row]


def stream_mean(line: System, row: int) -> float:
    return mean(line, stream(line, row)["parameter"])


def level(line: System, row: int, time: float) -> float:
    """A level at a time, its parameters at their means: the product of its series."""
    record = line.tables.level[row]
    edges = np.array([time, time + 1e-3])
    out = np.empty((line.series.kind.size, 1))
    values = fixed_parameters(line.parameters)
    evaluate_series(line.series, line.parameters, values, edges, 0, -1, out)
    rows = line.tables.factor[record["factor"] : record["factor"] + record["factors"]]["series"]
    found = float(np.prod(out[rows, 0]))
    return float(np.floor(found + 1e-9)) if record["whole"] else found


def finding(folder: Path, line: str, **more: str) -> str:
    """What compiling says about a line that is wrong."""
    with pytest.raises(TwinError) as error:
        compiled(folder, line, **more)
    return str(error.value)


# A line as a whole ------------------------------------------------------------------------


def test_one_station_is_a_route_of_one_step(tmp_path: Path) -> None:
    line = compiled(tmp_path, ONE)
    assert line.names.steps == ("rack.bench",)
    assert line.names.classes == ("base",)
    assert line.names.class_product == (0,)
    bench = step(line, "rack.bench")
    assert (bench["next"], bench["station"], bench["product"]) == (SHIP, 0, 0)
    assert stream_mean(line, bench["time"]) == HOUR
    assert (line.servers, line.marks, line.tools) == (1, 0, 0)
    assert (line.horizon, line.warmup) == (10 * DAY, 0)
    check_tables(line.parameters, line.series)


def test_report_periods_end_with_the_horizon(tmp_path: Path) -> None:
    """Ten days are a week and three days."""
    assert compiled(tmp_path, ONE).edges.tolist() == [0, WEEK, 10 * DAY]
    daily = compiled(tmp_path, ONE + "report: day\nwarmup: 2 day\n")
    assert daily.edges.tolist() == [day * DAY for day in range(11)]
    assert daily.warmup == 2 * DAY


def test_a_product_without_route_visits_every_station_in_order(tmp_path: Path) -> None:
    line = compiled(
        tmp_path,
        """
        stations: {b: {}, a: {}, c: {}}
        products:
          rack: {releases: {base: {every: 6 hour}}}
          ordered: {}
          inside: {}
          bought: {supplied: true, stock: 5}
        orders: {o: {product: ordered, due: 2026-01-09}}
        wip: [{product: inside, step: c}]
        """,
    )
    assert line.names.steps == tuple(
        f"{product}.{name}" for product in ("rack", "ordered", "inside") for name in "bac"
    )
    product = line.tables.product[line.names.products.index("bought")]
    assert (product["step"], product["steps"]) == (-1, 0)
    assert (product["supplied"], mean(line, product["stock"])) == (1, 5)
    assert line.names.classes == ("base", "ordered", "inside")


# Streams and parameters -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("time", "each"),
    [
        ("2 hour", 0),
        ("exponential(2) hour", 1),
        ("exponential(2) hour each time", 1),
        ("{dist: exponential(2) hour, drawn: once}", 0),
        ("{low: 1 hour, value: 2 hour, high: 3 hour}", 0),
        ("{low: 1 hour, value: 2 hour, high: 3 hour, drawn: each time}", 1),
    ],
)
def test_what_varies_is_drawn_each_time_and_what_is_unknown_once(
    tmp_path: Path, time: str, each: int
) -> None:
    line = compiled(tmp_path, ONE.replace("1 hour", time))
    drawn = stream(line, step(line, "rack.bench")["time"])
    assert drawn["each"] == each
    assert drawn["purpose"] == streams.PROCESS
    assert drawn["entity"] == entity_key("line.x.stations.bench.time")
    assert mean(line, drawn["parameter"]) == pytest.approx(2 * HOUR)
    uncertain = {row.path for row in line.inputs if row.once}
    assert uncertain == (set() if each or time == "2 hour" else {"line.x.stations.bench.time"})


def test_steps_share_the_stream_of_their_station_and_have_their_own(tmp_path: Path) -> None:
    line = compiled(
        tmp_path,
        """
        stations: {bench: {time: exponential(1) hour, transport: exponential(5) min}}
        products:
          rack:
            route: [{station: bench}, {station: bench}, {station: bench, time: exponential(1) hour}]
        """,
    )
    first, second, third = (step(line, f"rack.bench{suffix}") for suffix in ("", "_2", "_3"))
    assert first["time"] == second["time"] != third["time"]
    assert stream(line, third["time"])["entity"] == entity_key("line.x.products.rack.route.2.time")
    assert first["transport"] == third["transport"] >= 0
    assert stream(line, first["transport"])["purpose"] == streams.TRANSPORT


def test_no_time_is_no_stream(tmp_path: Path) -> None:
    line = compiled(tmp_path, ONE.replace("1 hour", "0 s, transport: 0 s, load: 0 s"))
    bench = step(line, "rack.bench")
    assert (bench["time"], bench["transport"], bench["load"]) == (-1, -1, -1)
    # An interval of nothing is not the same as none: the tool takes all loads at once.
    cascade = compiled(tmp_path, ONE.replace("1 hour", "1 hour, interval: 0 s"))
    assert stream_mean(cascade, step(cascade, "rack.bench")["interval"]) == 0
    assert bench["interval"] == -1


def test_a_fact_is_drawn_once_and_named_in_the_inputs(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "facts.csv").write_text(
        "id,low,value,high,unit,known_from,confidence,source\n"
        "burn_in,24,48,72,hour,2025-01-01,D,a range\n"
    )
    line = compiled(tmp_path, ONE.replace("1 hour", "fact(burn_in)"), header="library: [own]\n")
    bench = step(line, "rack.bench")
    assert stream(line, bench["time"])["each"] == 0
    assert bench["work"] == pytest.approx(48 * HOUR)
    assert "fact:burn_in" in {row.path for row in line.inputs}
    assert line.users == {"fact:burn_in": ["line.x.stations.bench.time"]}


def test_draws_for_yes_or_no_are_keyed_by_names_not_by_positions(tmp_path: Path) -> None:
    text = """
    stations: {a: {}, b: {pass: 0.9, on_fail: restart}}
    products: {rack: {route: [%s{station: b}]}}
    """
    alone = compiled(tmp_path, text % "")
    after = compiled(tmp_path, text % "{station: a}, ")
    entity = {
        int(stream(line, step(line, "rack.b")["chance"])["entity"]) for line in (alone, after)
    }
    assert entity == {entity_key("line.x.products.rack.route.b")}
    assert step(after, "rack.a")["chance"] == -1
    drawn = stream(after, step(after, "rack.b")["chance"])
    assert (drawn["parameter"], drawn["each"], drawn["purpose"]) == (-1, 1, streams.QUALITY)


# Routes -----------------------------------------------------------------------------------

ROUTE = """
stations:
  a: {time: 1 hour}
  b: {time: 2 hour}
  c: {time: 4 hour}
products:
  rack:
    route:
      - {station: a}
      - {station: b, pass: 0.9, on_fail: fix, then: {a: 0.25, ship: 0.1}}
      - {station: c, then: ship}
      - {name: fix, station: a, time: 30 min, then: b, pass: 0.5, on_fail: scrap}
"""


def test_where_lots_go(tmp_path: Path) -> None:
    line = compiled(tmp_path, ROUTE)
    a, b, c, fix = (step(line, f"rack.{name}") for name in ("a", "b", "c", "fix"))
    assert (a["next"], b["next"], c["next"], fix["next"]) == (1, 2, SHIP, 1)
    assert (b["fail_to"], fix["fail_to"]) == (3, SCRAP)
    branches = line.tables.branch[b["branch"] : b["branch"] + b["branches"]]
    assert branches["to"].tolist() == [0, SHIP]
    assert [mean(line, row) for row in branches["probability"]] == [0.25, 0.1]
    assert mean(line, b["pass_"]) == 0.9
    assert a["pass_"] == -1
    assert a["branches"] == 0


def test_expected_work_follows_the_route(tmp_path: Path) -> None:
    line = compiled(tmp_path, ROUTE)
    work = {name: step(line, f"rack.{name}")["work"] / HOUR for name in ("a", "b", "c", "fix")}
    assert work == {"a": 1, "b": 2, "c": 4, "fix": 0.5}
    left = {name: step(line, f"rack.{name}")["work_left"] / HOUR for name in work}
    assert left == {"a": 7, "b": 6, "c": 4, "fix": 6.5}


def test_a_circle_without_exit_has_an_end(tmp_path: Path) -> None:
    """Such a route is an error of `check`; compiling it must end all the same."""
    line = compiled(
        tmp_path,
        "stations: {a: {time: 1 hour}, b: {time: 2 hour}}\n"
        "products: {rack: {route: [{station: a}, {station: b, then: a}]}}\n",
    )
    left = line.tables.step["work_left"]
    assert (left >= 3 * HOUR).all()
    assert np.isfinite(left).all()


def test_expected_work_counts_loading_pieces_tasks_and_shares(tmp_path: Path) -> None:
    """10 min + 25 x 2 min + 100 tasks of 6 s, of which 2 % take 60 s more + 5 min; then half
    of 1 h; a tool that takes the next of 25 wafers every 30 s needs 5 min + 24 x 30 s."""
    line = compiled(
        tmp_path,
        """
        stations:
          a:
            {load: 10 min, unload: 5 min, time: 2 min, per: piece,
             tasks: {count: 100, time: 6 s, success: 98 %, recovery: 60 s}}
          b: {time: 1 hour}
          c: {time: 5 min, per: piece, interval: 30 s, interval_per: piece}
        products:
          lot:
            pieces: 25
            route: [{station: a}, {station: b, share: 0.5}, {station: c}]
        """,
    )
    minutes = line.tables.step["work"] / 60
    assert minutes.tolist() == pytest.approx([10 + 50 + 10 + 2 + 5, 60, 17])
    assert line.tables.step["work_left"].tolist() == pytest.approx(
        [60 * (77 + 30 + 17), 60 * (60 + 17), 60 * 17]
    )
    a = step(line, "lot.a")
    tasks = line.tables.tasks[a["tasks"]]
    assert [mean(line, tasks[name]) for name in ("count", "time", "success", "recovery")] == (
        [100, 6, 0.98, 60]
    )
    assert stream(line, tasks["normal"])["parameter"] == -1
    assert a["per_piece"] == 1


def test_unnamed_visits_of_a_station_are_numbered(tmp_path: Path) -> None:
    line = compiled(
        tmp_path,
        "stations: {a: {}, b: {}}\n"
        "products: {p: {route: [{station: a}, {station: b, name: a_2}, {station: a},"
        " {station: a}]}}\n",
    )
    assert line.names.steps == ("p.a", "p.a_2", "p.a_3", "p.a_4")


def test_limits_tools_and_holds_refer_to_steps_by_name(tmp_path: Path) -> None:
    line = compiled(
        tmp_path,
        """
        stations: {a: {}, b: {}, c: {}}
        pools: {cart: {count: 3}, card: {count: 9}}
        products:
          rack:
            route:
              - {station: a, holds: {cart: {until: c}, card: {count: 2, until: b}}}
              - {station: b, queue_limit: {after: a, within: 4 hour}}
              - {station: c, queue_limit: {after: a, within: 6 hour, on_miss: scrap}}
              - {station: a, same_tool: a, queue_limit: {after: b, within: 1 hour, on_miss: b}}
        """,
    )
    a, b, c, again = (step(line, f"rack.{name}") for name in ("a", "b", "c", "a_2"))
    assert (line.marks, line.tools) == (2, 1)
    assert [row["mark"] for row in (a, b, c, again)] == [0, 1, -1, -1]
    assert [row["limit_mark"] for row in (a, b, c, again)] == [-1, 0, 0, 1]
    assert [mean(line, row["limit"]) for row in (b, c, again)] == [4 * HOUR, 6 * HOUR, HOUR]
    assert [row["limit_to"] for row in (b, c, again)] == [system.COUNT, SCRAP, 1]
    assert (a["tool_put"], again["tool_get"]) == (0, 0)
    assert station(line, "a")["tools"] == 1
    assert station(line, "b")["tools"] == 0

    def held(first: int, count: int) -> list[tuple[int, float]]:
        rows = line.tables.hold[first : first + count]
        return [(int(row["pool"]), mean(line, row["amount"])) for row in rows]

    assert held(a["hold"], a["holds"]) == [(0, 1), (1, 2)]
    assert held(c["give"], c["gives"]) == [(0, 1)]
    assert held(b["give"], b["gives"]) == [(1, 2)]


def test_assembly_and_disassembly(tmp_path: Path) -> None:
    line = compiled(
        tmp_path,
        """
        stations: {join: {}, split: {}, test: {}}
        products:
          rack:
            route: [{station: join, consumes: {tray: 18, shelf: 8}}]
            releases: {base: {every: 1 day}}
          crate: {route: [{station: split, produces: {tray: 4}}], releases: {c: {every: 1 day}}}
          tray: {route: [{station: test}], pieces: 2}
          shelf: {supplied: true}
        """,
    )
    join, split = step(line, "rack.join"), step(line, "crate.split")
    parts = line.tables.take[join["part"] : join["part"] + join["parts"]]
    assert [(int(p["product"]), mean(line, p["amount"])) for p in parts] == [(2, 18), (3, 8)]
    made = line.tables.take[split["make"] : split["make"] + split["makes"]]
    assert [(int(p["product"]), mean(line, p["amount"])) for p in made] == [(2, 4)]
    product = line.tables.product
    assert product["component"].tolist() == [0, 0, 1, 1]
    assert product["pieces"].tolist() == [1, 1, 2, 1]
    assert line.names.classes == ("base", "c", "tray")
    assert product["own_class"].tolist() == [-1, -1, 2, -1]


def test_quality(tmp_path: Path) -> None:
    line = compiled(
        tmp_path,
        """
        stations:
          a: {defects: 2 %, attempts: 3, pass: 0.8, on_fail: restart, repair: "uniform(1, 3) hour",
              fail_after: "uniform(0, 1)"}
          b: {inspect: {share: 0.5, escape: 0.1, false_call: 0.01}}
        products: {rack: {route: [{station: a}, {station: b, on_fail: a}, {station: a, attempts: 5,
          name: last}]}}
        """,
    )
    a, b, last = (step(line, f"rack.{name}") for name in ("a", "b", "last"))
    assert (a["fail_to"], b["fail_to"]) == (RESTART, 0)
    assert (a["attempts"], b["attempts"], last["attempts"]) == (3, 0, 5)
    assert (mean(line, a["defects"]), mean(line, a["pass_"])) == (0.02, 0.8)
    assert stream_mean(line, a["fail_after"]) == 0.5
    assert stream_mean(line, a["repair"]) == 2 * HOUR
    assert [mean(line, b[name]) for name in ("inspect", "escape", "false_call")] == [0.5, 0.1, 0.01]
    assert a["inspect"] == -1
    assert last["repair"] == a["repair"]


# Stations ---------------------------------------------------------------------------------


def test_servers_are_numbered_through(tmp_path: Path) -> None:
    line = compiled(
        tmp_path,
        "stations: {a: {servers: 3, buffer: 0}, b: {servers: 2.9, shift_end: pause}, c: {}}\n"
        "products: {}\n",
    )
    assert line.tables.station["server"].tolist() == [0, 3, 5]
    assert line.tables.station["servers"].tolist() == [3, 2, 1]
    assert line.tables.station["level"].tolist() == [-1, -1, -1]
    assert line.tables.station["buffer"].tolist() == [0, -1, -1]
    assert line.tables.station["pause"].tolist() == [0, 1, 0]
    assert line.servers == 6


def test_servers_that_change_are_as_many_as_there_may_ever_be(tmp_path: Path) -> None:
    line = compiled(
        tmp_path,
        """
        stations:
          grow: {servers: {2026-01-05: 2, 2026-01-08: 6.5}}
          unsure: {servers: "triangular(2, 3, 5)"}
          shift: {servers: 4, available: day}
        products: {}
        calendars: {day: {shifts: ["mon-fri 06:00-14:00"], closed: [2026-01-06]}}
        """,
    )
    assert line.tables.station["servers"].tolist() == [6, 5, 4]
    grow, unsure, shift = line.tables.station["level"].tolist()
    assert [level(line, grow, day * DAY) for day in (0, 2.9, 3, 9)] == [2, 2, 6, 6]
    assert level(line, unsure, 0.0) == 3  # the mean 10/3, in whole servers
    hours = (5.9, 6, 13.9, 14, 24 + 10, 48 + 10, 5 * 24 + 10, 7 * 24 + 10)
    assert [level(line, shift, h * HOUR) for h in hours] == [0, 4, 4, 0, 0, 4, 0, 4]


def test_every_level_has_one_user(tmp_path: Path) -> None:
    line = compiled(
        tmp_path,
        "stations: {a: {servers: '{n}'}, b: {servers: '{n}'}}\n".replace("'{n}'", '"uniform(1, 3)"')
        + "products: {p: {releases: {r: {wip: 2}, s: {wip: 2}}}}\n"
        "pools: {x: {count: 2}, y: {count: 2}}\n",
    )
    tables = line.tables
    used = [
        *tables.station["level"].tolist(),
        *tables.pool["level"].tolist(),
        *tables.source["level"].tolist(),
    ]
    assert sorted(used) == list(range(6)) == list(range(len(tables.level)))


def test_families_are_alike_in_set_up_and_load(tmp_path: Path) -> None:
    line = compiled(
        tmp_path,
        """
        stations:
          tool: {min_run: {gas_b: 7}}
          oven: {batch: {minimum: 2, maximum: 6, wait: 1 hour}}
          bath: {batch: {maximum: 50, family: any}}
        products:
          p:
            route:
              - {station: tool, setup: gas_a}
              - {station: tool, setup: gas_b}
              - {station: tool, setup: gas_a, name: third}
              - {station: tool, name: plain}
              - {station: oven}
              - {station: oven}
              - {station: bath}
              - {station: bath}
        """,
    )
    family = line.tables.family
    assert family["station"].tolist() == [0, 0, 0, 1, 1, 2]
    assert line.tables.step["family"].tolist() == [0, 1, 0, 2, 3, 4, 5, 5]
    assert family["setup"].tolist() == [0, 1, -1, -1, -1, -1]
    assert family["min_run"].tolist() == [0, 7, 0, 0, 0, 0]
    assert family["batch_min"].tolist() == [0, 0, 0, 2, 2, 1]
    assert family["batch_max"].tolist() == [0, 0, 0, 6, 6, 50]
    assert mean(line, family["batch_wait"][3]) == HOUR
    assert family["batch_wait"][5] == -1
    assert line.tables.station["families"].tolist() == [3, 2, 1]
    assert line.tables.station["setups"].tolist() == [3, 0, 0]


def test_set_ups_from_any_and_from_one(tmp_path: Path) -> None:
    """Rows are the set-up before (first: none yet), columns the one after, in minutes."""
    line = compiled(
        tmp_path,
        """
        stations:
          tool:
            setups:
              - {from: b, to: a, time: 5 min}
              - {to: a, time: 30 min}
              - {to: b, time: exponential(20) min}
        products: {p: {route: [{station: tool, setup: a}, {station: tool, setup: c}]}}
        """,
    )
    tool = station(line, "tool")
    size = int(tool["setups"])
    table = line.tables.change[tool["setup"] : tool["setup"] + size * size].reshape(size, size)
    minutes = [
        [stream_mean(line, row) / 60 if row >= 0 else None for row in line_] for line_ in table
    ]
    none, a, b, c = 0, 2, 1, 3  # in the order in which the file names them: b, a, c
    assert [minutes[row][a] for row in (none, a, b, c)] == [30, None, 5, 30]
    assert [minutes[row][b] for row in (none, a, b, c)] == [20, 20, None, 20]
    assert [minutes[row][c] for row in (none, a, b, c)] == [None] * 4
    assert [row[none] for row in minutes] == [None] * 4
    assert stream(line, table[none][b])["purpose"] == streams.SETUP
    assert line.tables.family["setup"].tolist() == [a - 1, c - 1]


def test_failures_and_maintenance(tmp_path: Path) -> None:
    line = compiled(
        tmp_path,
        """
        stations:
          a: {}
          b:
            failures:
              jam: {mtbf: exponential(10) hour, mttr: 30 min, counts: operation, crew: {fitter: 1}}
              dead: {mtbf: exponential(100) hour, mttr: 0 s, first: 5 hour}
            maintenance:
              daily: {every: 1 day, takes: 1 hour, stagger: true}
              count: {every_pieces: 500, first_pieces: 100, takes: "uniform(1, 2) hour"}
              loads: {every_loads: 20, takes: 1 hour, crew: {fitter: 2}}
        products: {}
        pools: {fitter: {count: 2}}
        """,
    )
    tables = line.tables
    assert line.names.failures == ("b.jam", "b.dead")
    assert line.names.maintenances == ("b.daily", "b.count", "b.loads")
    assert tables.failure["clock"].tolist() == [system.BY_WORK, system.BY_TIME]
    assert [stream_mean(line, row) for row in tables.failure["mtbf"]] == [10 * HOUR, 100 * HOUR]
    assert [stream_mean(line, row) for row in tables.failure["mttr"]] == [0.5 * HOUR, 0]
    assert tables.failure["first"][0] == -1
    assert stream_mean(line, tables.failure["first"][1]) == 5 * HOUR
    assert tables.failure["needs"].tolist() == [1, 0]
    assert tables.maintenance["clock"].tolist() == [
        system.BY_TIME,
        system.BY_PIECES,
        system.BY_LOADS,
    ]
    daily, count, loads = tables.maintenance
    assert stream_mean(line, daily["every"]) == DAY
    assert (daily["first"], daily["stagger"]) == (-1, 1)
    assert (mean(line, count["every"]), mean(line, count["first"])) == (500, 100)
    assert (mean(line, loads["every"]), loads["first"]) == (20, -1)
    need = tables.need[loads["need"]]
    assert (loads["needs"], mean(line, need["amount"])) == (1, 2)
    b = station(line, "b")
    assert (b["failure"], b["failures"], b["maintenance"], b["maintenances"]) == (0, 2, 0, 3)


def test_rules(tmp_path: Path) -> None:
    line = compiled(
        tmp_path,
        "stations: {a: {}, b: {dispatch: setup}, c: {dispatch: 'own.py:rule'}}\n"
        "products: {}\ndispatch: cr\n",
    )
    assert line.tables.station["rule"].tolist() == [system.CR, system.SETUP, system.USER]
    assert line.user_rule == (str(tmp_path / "own.py"), "rule")


# Pools and budgets ------------------------------------------------------------------------


def test_crews_are_pools_or_skills(tmp_path: Path) -> None:
    """A pool's own people come first, then those of others that have the skill."""
    line = compiled(
        tmp_path,
        """
        stations: {a: {crew: {tester: 2, hands: 1}}, b: {crew: {hands: 0}}}
        products: {p: {releases: {r: {every: 1 day}}}}
        pools:
          hands: {count: 4, skills: [tester]}
          robots: {count: 1, skills: [tester, hands]}
          tester: {count: 2, available: day}
        calendars: {day: {shifts: ["daily 06:00-14:00"]}}
        """,
    )
    a, b = step(line, "p.a"), step(line, "p.b")
    needs = line.tables.need[a["need"] : a["need"] + a["needs"]]
    found = [
        (
            line.tables.alternative[row["pool"] : row["pool"] + row["pools"]]["pool"].tolist(),
            mean(line, row["amount"]),
        )
        for row in needs
    ]
    assert found == [([2, 0, 1], 2), ([0, 1], 1)]
    assert b["needs"] == 0
    assert [level(line, row, 10 * HOUR) for row in line.tables.pool["level"]] == [4, 1, 2]
    assert [level(line, row, 15 * HOUR) for row in line.tables.pool["level"]] == [4, 1, 0]


BUDGETS = """
stations: {a: {draws: {power: 132 kW, coolant: 30 L/min, sockets: 2}}}
products: {p: {releases: {r: {every: 1 day}}}}
pools: {hands: {count: 1.5}}
budgets: {power: 20 MW, coolant: "{unit: L/min, 2026-01-05: 90, 2026-01-08: 180}", sockets: 4.5}
""".replace('"', "")


def test_budgets_stand_after_the_pools_in_si(tmp_path: Path) -> None:
    """30 L/min are 0.5 L/s."""
    line = compiled(tmp_path, BUDGETS)
    assert line.names.pools == ("hands", "power", "coolant", "sockets")
    assert line.names.pool_units == ("each", "W", "m**3/s", "each")
    assert line.tables.pool["budget"].tolist() == [0, 1, 1, 1]
    rows = line.tables.pool["level"]
    assert [level(line, row, 0.0) for row in rows] == pytest.approx([1, 20e6, 1.5e-3, 4.5])
    assert level(line, rows[2], 4 * DAY) == pytest.approx(3e-3)
    a = step(line, "p.a")
    amounts = [mean(line, row["amount"]) for row in line.tables.need[a["need"] :][: a["needs"]]]
    assert amounts == pytest.approx([132e3, 5e-4, 2])


def test_budgets_of_facts(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "facts.csv").write_text(
        "id,value,unit,known_from,confidence,source\n"
        "flow,90,L/min,2025-01-01,D,a guess\nrack,30,L/min,2025-01-01,D,a guess\n"
        "heat,132,kW,2025-01-01,D,a guess\n"
    )
    text = BUDGETS.replace("{unit: L/min, 2026-01-05: 90, 2026-01-08: 180}", "fact(flow)")
    text = text.replace("30 L/min", "fact(rack)").replace("132 kW", "fact(heat)")
    line = compiled(tmp_path, text, header="library: [own]\n")
    assert line.names.pool_units == ("each", "W", "m**3/s", "each")
    assert level(line, line.tables.pool["level"][2], 0.0) == pytest.approx(1.5e-3)
    wrong = text.replace("fact(rack)", "fact(heat)")
    said = finding(tmp_path, wrong, header="library: [own]\n")
    assert "not in the unit of budget 'coolant'" in said


def test_a_budget_may_be_a_series_of_facts_or_a_port(tmp_path: Path) -> None:
    """What another room computes counts as a power."""
    from firsttoken.twin.values import Constant

    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "facts.csv").write_text(
        "id,value,unit,known_from,confidence,source\nflow,90,L/min,2025-01-01,D,a guess\n"
    )
    text = BUDGETS.replace("{unit: L/min, 2026-01-05: 90, 2026-01-08: 180}", "{2026: fact(flow)}")
    text = text.replace("20 MW", "model(line.y.power)").replace("sockets: 2", "sockets: 0")
    twin = load(tmp_path, text, header="library: [own]\n")
    resolver = Resolver(twin)
    resolver.provide(("line", "y"), {"power": Constant(7e6)})
    line = compile_line(twin, "x", resolver)
    assert line.names.pool_units == ("each", "W", "m**3/s", "each")
    rows = line.tables.pool["level"]
    assert [level(line, row, 0.0) for row in rows[1:3]] == pytest.approx([7e6, 1.5e-3])
    assert step(line, "p.a")["needs"] == 2


def test_a_fact_of_no_unit_of_a_budget_is_refused_on_loading(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "facts.csv").write_text(
        "id,value,unit,known_from,confidence,source\nprice,3,USD,2025-01-01,D,a guess\n"
    )
    text = BUDGETS.replace("20 MW", "fact(price)")
    with pytest.raises(AssertionError, match=r"fact\(price\): USD does not fit"):
        load(tmp_path, text, header="library: [own]\n")


# Releases, orders, work in process --------------------------------------------------------


def test_ways_of_release(tmp_path: Path) -> None:
    line = compiled(
        tmp_path,
        """
        stations: {a: {}}
        products:
          p:
            releases:
              timed: {every: exponential(6) hour, lots: 2, first: 1 hour,
                      until: 2026-01-10, due: 2 day}
              conwip: {wip: {2026-01-05: 5, 2026-01-06: 8}, limit: 100, priority: 20}
              kanban: {stock: 12}
              full: {backlog: 1}
        """,
    )
    source = line.tables.source
    assert line.names.sources == ("p.timed", "p.conwip", "p.kanban", "p.full")
    assert source["mode"].tolist() == [system.TIMED, system.WIP, system.STOCK, system.BACKLOG]
    timed = source[0]
    assert stream(line, timed["every"])["purpose"] == streams.ARRIVAL
    assert stream_mean(line, timed["every"]) == 6 * HOUR
    assert (mean(line, timed["first"]), mean(line, timed["until"])) == (HOUR, 5 * DAY)
    assert (timed["lots"], mean(line, timed["due"])) == (2, 2 * DAY)
    assert source["level"][0] == -1
    assert [level(line, source["level"][1], day * DAY) for day in (0, 1)] == [5, 8]
    assert source["limit"].tolist() == [-1, 100, -1, -1]
    assert source["priority"].tolist() == [10, 20, 10, 10]
    assert source["until"].tolist()[1:] == [-1, -1, -1]


def test_orders_are_sources_with_dates_from_the_start(tmp_path: Path) -> None:
    line = compiled(
        tmp_path,
        """
        stations: {a: {}}
        products: {p: {releases: {base: {every: 1 day}}}, q: {}}
        orders:
          soon: {product: q, lots: 3, due: 2026-01-08}
          late: {product: p, release: 2026-01-07, due: 2026-01-12, priority: 30}
        """,
    )
    assert line.names.orders == ("soon", "late")
    assert line.names.classes == ("base", "p_orders", "q")
    soon, late = line.tables.source[1:]
    assert [(row["mode"], row["order"], row["every"], row["level"]) for row in (soon, late)] == [
        (system.ORDER, 0, -1, -1),
        (system.ORDER, 1, -1, -1),
    ]
    assert [mean(line, row["first"]) for row in (soon, late)] == [0, 2 * DAY]
    assert [mean(line, row["due"]) for row in (soon, late)] == [3 * DAY, 7 * DAY]
    assert [mean(line, row) for row in line.order_due] == [3 * DAY, 7 * DAY]
    assert line.order_lots.tolist() == [3, 1]
    assert (soon["lots"], soon["limit"], late["priority"]) == (3, 3, 30)
    assert [line.names.classes[row["lot_class"]] for row in (soon, late)] == ["q", "p_orders"]


def test_lot_classes_have_names_of_their_own(tmp_path: Path) -> None:
    line = compiled(
        tmp_path,
        "stations: {a: {}}\n"
        "products: {p: {releases: {base: {every: 1 day}, hot: {every: 9 day}}},"
        " q: {releases: {base: {every: 1 day}}}}\n",
    )
    assert line.names.classes == ("p.base", "hot", "q.base")
    assert line.names.class_product == (0, 0, 1)
    line = compiled(
        tmp_path,
        "stations: {a: {}}\n"
        "products: {p: {releases: {q: {every: 1 day}}}, q: {}}\n"
        "orders: {o: {product: q, due: 2026-01-09}}\n",
    )
    assert line.names.classes == ("q", "q.q")


def test_work_in_process(tmp_path: Path) -> None:
    line = compiled(
        tmp_path,
        """
        stations: {a: {}, b: {}}
        products: {p: {releases: {base: {every: 1 day}, hot: {every: 9 day}}}}
        wip:
          - {product: p, step: b, lots: 4}
          - {product: p, lot_class: hot, step: a, priority: 20, due: 2026-01-07,
             released: 2026-01-02}
        """,
    )
    first, second = line.tables.wip
    assert (first["step"], first["lot_class"], first["lots"]) == (1, 0, 4)
    assert (first["due"], first["released"]) == (np.inf, 0)
    assert (second["step"], second["lot_class"], second["priority"]) == (0, 1, 20)
    assert (second["due"], second["released"]) == (2 * DAY, -3 * DAY)


# Mistakes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("station: a}", "station: aa}", "station 'aa' is unknown"),
        ("on_fail: fix", "on_fail: fox", "step 'fox' is unknown (hint: did you mean 'fix'?)"),
        ("then: b", "then: bb", "step 'bb' is unknown"),
        ("station: c, then", "name: fix, station: c, then", "step 'fix' stands in the route twice"),
        ("{a: 0.25", "{zz: 0.25", "step 'zz' is unknown"),
        ("{station: a}", "{station: a, crew: {nobody: 1}}", "pool or skill 'nobody' is unknown"),
        ("{station: a}", "{station: a, draws: {power: 1}}", "budget 'power' is unknown"),
        ("{station: a}", "{station: a, consumes: {tray: 1}}", "product 'tray' is unknown"),
        ("{station: a}", "{station: a, same_tool: zz}", "step 'zz' is unknown"),
        ("{station: a}", "{station: a, holds: {cart: {until: b}}}", "pool 'cart' is unknown"),
        ("a: {time: 1 hour}", "a: {available: never}", "calendar 'never' is unknown"),
        ("a: {time: 1 hour}", "a: {dispatch: lifo}", "rule 'lifo' is unknown"),
        ("a: {time: 1 hour}", "a: {servers: 'exponential(3)'}", "beyond every number of servers"),
        (
            "a: {time: 1 hour}",
            "a: {servers: 'uniform(1, 3) each period'}",
            "a level is drawn once (hint: leave out 'each period')",
        ),
        (
            "a: {time: 1 hour}",
            "a: {maintenance: {m: {takes: 1 hour}}}",
            "maintenance has no interval",
        ),
        (
            "- {station: a}",
            "- {station: a, batch: {maximum: 4, family: f}}\n"
            "      - {station: a, name: x, batch: {maximum: 5, family: f}}",
            "batch family 'f' has other bounds elsewhere",
        ),
    ],
)
def test_what_is_not_declared_is_a_finding_with_its_line(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    assert ROUTE.count(old) >= 1
    said = finding(tmp_path, ROUTE.replace(old, new, 1))
    assert problem in said
    assert said.startswith(f"{tmp_path / 'twin.yaml'}:")


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("calendars: {c: {shifts: [always]}}", "'always' is not a shift"),
        (
            "calendars: {c: {shifts: ['daily 06:00-14:00'], closed: ['uniform(2026-01-05, "
            "2026-01-09)']}}",
            "a day off must be a certain date",
        ),
        ("orders: {o: {product: zz, due: 2026-02-01}}", "product 'zz' is unknown"),
        ("wip: [{product: rack, step: zz}]", "step 'zz' is unknown"),
        ("wip: [{product: zz, step: zz}]", "product 'zz' is unknown"),
        ("wip: [{product: rack, step: bench, lot_class: zz}]", "release 'zz' is unknown"),
    ],
)
def test_mistakes_beside_the_route(tmp_path: Path, more: str, problem: str) -> None:
    text = ONE.replace("time: 1 hour", "time: 1 hour, available: c" if "c:" in more else "")
    assert problem in finding(tmp_path, text + more)


def test_a_release_has_one_way(tmp_path: Path) -> None:
    for given in ("{}", "{every: 1 day, wip: 3}"):
        said = finding(tmp_path, ONE.replace("{every: 6 hour}", given))
        assert "exactly one way" in said


def test_one_rule_of_ones_own_a_line(tmp_path: Path) -> None:
    two = "stations: {a: {dispatch: 'x.py:f'}, b: {dispatch: 'x.py:g'}}\nproducts: {}\n"
    assert "one rule of its own" in finding(tmp_path, two)


def test_a_series_from_another_room_is_no_single_value(tmp_path: Path) -> None:
    from firsttoken.twin.values import Constant, Series

    twin = load(tmp_path, ONE.replace("1 hour", "model(line.y.rate)"))
    resolver = Resolver(twin)
    series = Series("step", ((Constant(0.0), Constant(1.0)), (Constant(1.0), Constant(2.0))))
    resolver.provide(("line", "y"), {"rate": series})
    with pytest.raises(TwinError, match="one value is needed"):
        compile_line(twin, "x", resolver)
