"""The recursion for serial lines against the event engine, on random lines: all results alike."""

from __future__ import annotations

import random
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tests.line.lines import compiled

from firsttoken.line import engine_serial_machine as module
from firsttoken.line.collect import Collector
from firsttoken.line.engine_serial_lines import is_serial
from firsttoken.line.engine_serial_state import SLOTS
from firsttoken.line.result import LineResult
from firsttoken.line.simulate import simulate
from firsttoken.line.state import DYNAMIC
from firsttoken.line.system import System
from firsttoken.twin.findings import BalanceError


def spread(draw: random.Random, mean: float) -> str:
    """A distribution of times without atoms and with about this mean."""
    low, high = 0.4 * mean, 1.7 * mean
    return draw.choice(
        [
            f"exponential({mean:.4f}) s",
            f"uniform({low:.4f}, {high:.4f}) s",
            f"triangular({low:.4f}, {mean:.4f}, {high:.4f}) s",
            f"lognormal(mean={mean:.4f}, sd={0.5 * mean:.4f}) s",
            f"gamma(mean={mean:.4f}, sd={0.7 * mean:.4f}) s",
            f"weibull(1.5, {mean:.4f}) s",
            f"beta_pert({low:.4f}, {mean:.4f}, {high:.4f}) s",
        ]
    )


def station(draw: random.Random, first: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"time": spread(draw, draw.uniform(0.5, 2.0))}
    if draw.random() < (0.2 if first else 0.6):
        found["buffer"] = draw.choice([0, 0, 1, 2, 5])
    elif draw.random() < 0.3:
        found["transport"] = f"{draw.uniform(0.1, 4.0):.4f} s"
    failures: dict[str, Any] = {}
    for name, chance in (("a", 0.4), ("b", 0.3), ("c", 0.2)):
        if draw.random() < chance:
            mean = draw.choice([3.0, 15.0, 60.0])
            counts = draw.choice(["time", "operation"])
            failures[name] = {"mtbf": spread(draw, mean), "counts": counts}
            repair = draw.uniform(0.1, 0.6) * mean
            failures[name]["mttr"] = spread(draw, repair)
            if counts == "operation" and draw.random() < 0.3:
                failures[name] |= {"mtbf": f"{mean:.4f} s", "mttr": f"{repair:.4f} s"}
            if draw.random() < 0.2:
                failures[name]["first"] = spread(draw, 5.0)
    found["failures"] = failures
    return found


def releases(draw: random.Random, products: int) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    kind = draw.choice(["every", "every", "backlog", "wip"]) if products == 1 else "every"
    for k in range(products):
        given: dict[str, Any] = {}
        if kind == "every":
            given["every"] = spread(draw, draw.uniform(1.5, 5.0) * products)
            given["lots"] = draw.choice([1, 1, 1, 3])
        else:
            given[kind] = draw.choice([1, 1, 2, 7])
        if draw.random() < 0.3:
            given["first"] = f"{draw.uniform(0, 40):.4f} s"
        if draw.random() < 0.2:
            given["until"] = "2026-01-05 00:05"
        if draw.random() < 0.2:
            given["limit"] = draw.randint(1, 150)
        if draw.random() < 0.4:
            given["due"] = f"{draw.uniform(3, 40):.4f} s"
        found[f"p{k}"] = {"pieces": 2 if draw.random() < 0.2 else 1, "releases": {f"r{k}": given}}
    pieces = draw.choice([1, 2])
    for product in found.values():
        product["pieces"] = pieces
    return found


def in_hours(line: Any) -> Any:
    """The same line with hours for seconds, which has many report periods."""
    if isinstance(line, dict):
        return {key: in_hours(given) for key, given in line.items()}
    if isinstance(line, str) and line.endswith(" s"):
        return line[:-1] + "hour"
    return {"2026-01-05 00:05": "2026-01-17", "2026-01-05 00:03": "2026-01-12"}.get(line, line)


def random_line(seed: int) -> tuple[dict[str, Any], str]:
    """A plain serial line and the header of its twin."""
    draw = random.Random(seed)
    count = draw.randint(1, 5)
    line: dict[str, Any] = {
        "warmup": draw.choice(["0 s", "100 s", "250 s"]),
        "stations": {f"s{i}": station(draw, i == 0) for i in range(count)},
        "products": releases(draw, draw.choice([1, 1, 1, 2, 3])),
    }
    if draw.random() < 0.15:
        line["orders"] = {
            f"o{k}": {"product": "p0", "lots": draw.randint(1, 9), "due": "2026-01-05 00:03"}
            for k in range(draw.randint(1, 3))
        }
        for product in line["products"].values():
            for release in product["releases"].values():
                if "every" not in release:
                    product["releases"] = {}
                    break
    if draw.random() < 0.1 and count > 1 and "orders" not in line:
        time = line["stations"]["s1"]
        time["time"] = f"{draw.uniform(0.5, 2):.4f} s"
        line["products"] = dict(list(line["products"].items())[:1])
        for release in line["products"]["p0"]["releases"].values():
            release.pop("first", None)
    alone = "wip" not in str(line["products"]) and "orders" not in line
    if alone and draw.random() < 0.3:
        last = line["stations"][f"s{count - 1}"]
        last["servers"] = draw.randint(2, 5)
        last["time"] = spread(draw, draw.uniform(1.0, 6.0))
        last.pop("failures")
    if "wip" in str(line["products"]):
        for given in line["stations"].values():
            given.pop("buffer", None)
    horizon = f"{draw.choice([400, 600, 1000])}"
    if draw.random() < 0.4:
        return in_hours(line) | {"report": draw.choice(["day", "week"])}, f"horizon: {horizon} hour"
    return line, f"horizon: {horizon} s"


def assert_alike(found: LineResult, expected: LineResult, what: str) -> None:
    for field in fields(LineResult):
        a, b = getattr(found, field.name), getattr(expected, field.name)
        if field.name == "trace":
            continue
        if isinstance(b, float) or b.dtype.kind == "i":
            np.testing.assert_array_equal(a, b, err_msg=f"{what}: {field.name}")
        else:
            np.testing.assert_allclose(a, b, 1e-9, 1e-9, err_msg=f"{what}: {field.name}")


def assert_both_alike(system: System, seed: int = 1, **options: Any) -> LineResult:
    """Simulate by both engines and compare; return the result of the recursion."""
    assert is_serial(system), seed
    found = simulate(system, 2, seed, threads=1, **options)
    expected = simulate(system, 2, seed, threads=1, by_events=True, **options)
    assert_alike(found, expected, str(seed))
    return found


@pytest.mark.parametrize("first", range(0, 120, 20))
def test_the_recursion_does_what_the_event_engine_does(tmp_path: Path, first: int) -> None:
    for seed in range(first, first + 20):
        system = compiled(tmp_path, *random_line(seed))
        assert_both_alike(system, seed)


PLAIN = """
warmup: 10 hour
report: day
stations:
  a: {time: exponential(1) hour}
  b: {time: exponential(0.9) hour, buffer: 2}
products: {part: {releases: {plan: {every: exponential(1.3) hour}}}}
"""
"""A plain line, to be changed."""


LOTS = "{every: exponential(80) min, lots: 4}"


def test_an_earlier_end_than_the_horizon(tmp_path: Path) -> None:
    system = compiled(tmp_path, PLAIN)
    for end in (11 * 3600.0, 3 * 86400.0, 5.5 * 86400.0):
        found = assert_both_alike(system, horizon=end)
        assert found.time == end - 36000.0


@pytest.mark.parametrize(
    "release", ["{backlog: 2}", "{every: exponential(50) min}", "{wip: 3}", LOTS, "{backlog: 0}"]
)
def test_work_that_ends_just_when_a_period_does(tmp_path: Path, release: str) -> None:
    # Half-hours: with a backlog, the end of the warm-up, of each day and of the run meet an end
    # of work.
    line = f"""
warmup: 10 hour
report: day
stations: {{a: {{time: 30 min}}}}
products: {{part: {{releases: {{plan: {release}}}}}}}
"""
    found = assert_both_alike(compiled(tmp_path, line))
    if "wip" not in release:
        assert_both_alike(compiled(tmp_path, line.replace("time:", "servers: 3, time:")))
    if "backlog: 2" in release:
        assert found.finished[0, 0] == 230 * 2 + 1  # ends at 10:00 and at the very end both count
        assert found.period_finished[0, :, 0].tolist() == [47, *[48] * 8, 49]


def test_releases_that_meet_the_end_of_a_period_and_each_other(tmp_path: Path) -> None:
    line = """
warmup: 24 hour
report: day
stations: {a: {time: exponential(10) min, buffer: 1}, b: {time: exponential(11) min}}
products:
  p: {releases: {r: {every: 1 hour}, s: {every: 2 hour, first: 4 hour, due: 40 min}}}
  q: {releases: {t: {every: 3 hour, lots: 2}}}
orders:
  late: {product: q, lots: 4, release: 2026-01-08, due: 2026-01-09}
  early: {product: p, lots: 3, due: 2026-01-05 01:00}
"""
    found = assert_both_alike(compiled(tmp_path, line))
    assert np.isfinite(found.order_finished).all()


def test_a_replication_that_is_not_plain_goes_event_by_event(tmp_path: Path) -> None:
    for change in (
        {
            "products": {
                "part": {"releases": {"r": {"backlog": {"2026-01-05": 1, "2026-01-09": 4}}}}
            }
        },
        {"stations": {"a": {"time": "discrete(0: 0.5, 1: 0.5) hour"}}},
        {"stations": {"a": {"time": "normal(10, 1) min"}}},
    ):
        system = compiled(tmp_path, yaml.safe_load(PLAIN) | change)
        assert_both_alike(system)


def test_more_active_periods_wait_than_there_is_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = compiled(tmp_path, PLAIN.replace("buffer: 2", "buffer: 100"))
    expected = simulate(system, 3, 1, threads=1)
    monkeypatch.setattr(module, "RUNS", 4)
    found = simulate(system, 3, 1, threads=1)
    for field in fields(LineResult):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(expected, field.name))


NOT_PLAIN: dict[str, dict[str, Any]] = {
    "two servers before others": {"stations": {"a": {"servers": 2}}},
    "servers that fail": {
        "stations": {"b": {"servers": 2, "failures": {"f": {"mtbf": "9 h", "mttr": "1 h"}}}}
    },
    "servers on a shift": {"stations": {"b": {"servers": {"2026-01-05": 1, "2026-01-06": 2}}}},
    "other rule": {"stations": {"b": {"dispatch": "spt"}}},
    "maintenance": {"stations": {"b": {"maintenance": {"m": {"every": "9 h", "takes": "1 h"}}}}},
    "batch": {"stations": {"b": {"batch": {"minimum": 2, "maximum": 3}}}},
    "no time": {"stations": {"b": {"time": "0 h"}}},
    "pass": {"stations": {"b": {"pass": 0.9}}},
    "load": {"stations": {"b": {"load": "1 min"}}},
    "transport into a buffer": {"stations": {"b": {"transport": "1 min"}}},
    "two constants": {"stations": {"a": {"time": "1 h"}, "b": {"time": "2 h"}}},
    "constant failures": {
        "stations": {
            "a": {"time": "1 h"},
            "b": {"failures": {"f": {"mtbf": "9 h", "mttr": "1 h", "counts": "time"}}},
        }
    },
    "crew": {"pools": {"p": {"count": 1}}, "stations": {"b": {"crew": {"p": 1}}}},
    "lots in the line": {"wip": [{"product": "part", "step": "b", "lots": 1}]},
    "stock": {"products": {"part": {"stock": 3}}},
    "conwip with limited buffers": {"products": {"part": {"releases": {"plan": {"wip": 4}}}}},
    "two priorities": {
        "products": {"part": {"releases": {"hot": {"every": "9 h", "priority": 20}}}}
    },
    "two routes": {
        "products": {
            "other": {
                "route": [{"station": "b"}, {"station": "a"}],
                "releases": {"r": {"every": "exponential(9) h"}},
            }
        }
    },
    "a station twice": {"products": {"part": {"route": [{"station": s} for s in ("a", "b", "a")]}}},
    "rework": {
        "products": {"part": {"route": [{"station": "a"}, {"station": "b", "then": {"a": 0.1}}]}}
    },
    "no lots": {"products": {"part": {"releases": {}}}},
}


def changed(given: Any, change: Any) -> Any:
    """Data with some of it changed, deeply; a release is replaced."""
    if not isinstance(given, dict) or not isinstance(change, dict) or not change:
        return change
    if "every" in given and "wip" in change:
        return change
    return given | {key: changed(given.get(key), new) for key, new in change.items()}


@pytest.mark.parametrize("what", NOT_PLAIN)
def test_what_the_recursion_does_not_know_goes_event_by_event(tmp_path: Path, what: str) -> None:
    assert is_serial(compiled(tmp_path, PLAIN))
    line = changed(yaml.safe_load(PLAIN), NOT_PLAIN[what])
    assert not is_serial(compiled(tmp_path, line))


@pytest.mark.parametrize(
    ("table", "field"), [("serial", "idle"), ("serial", "wait"), ("serial", "blocked")]
)
def test_time_that_does_not_add_up_is_an_error(tmp_path: Path, table: str, field: str) -> None:
    system = compiled(tmp_path, PLAIN)
    machine = module.SerialMachine(system)
    machine.begin(1, 0, system.horizon)
    machine.run()
    machine.memory[SLOTS[table]][field][1] += 60.0
    with pytest.raises(BalanceError):
        machine.check_time()


def test_a_lot_that_is_lost_is_an_error(tmp_path: Path) -> None:
    system = compiled(tmp_path, PLAIN)
    machine = module.SerialMachine(system)
    machine.begin(1, 0, system.horizon)
    machine.run()
    machine.memory[DYNAMIC["line"]]["lots"] += 1
    with pytest.raises(BalanceError, match="lots do not balance"):
        Collector(system, 1, None, system.horizon).take(machine, 0)
