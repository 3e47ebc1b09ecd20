"""Analyses of simulated lines against Markov chains of the same lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.line.chains import serial_line
from tests.line.evidence import case_system
from tests.line.fake_result import rows
from tests.line.lines import compiled, load

from firsttoken.line import model
from firsttoken.line.analyse import analyse
from firsttoken.line.analyse_bottleneck import bottlenecks
from firsttoken.line.analyse_buffers import allocate, even, exchanges, servers_needed, splits
from firsttoken.line.analyse_changes import Change, Runs, changes, sensitivity
from firsttoken.line.analyse_tables import analysis_tables
from firsttoken.line.result import LineResult
from firsttoken.line.simulate import simulate
from firsttoken.line.system import System

KNOWN = Path(__file__).parents[1] / "known_answers"
HOUR, WEEK = 3600.0, 604800.0


def serial(times: tuple[float, ...], buffers: tuple[int, ...]) -> str:
    """A saturated line of exponential stations, mean times in minutes."""
    stations = "".join(
        f"  s{i}: {{time: exponential({time}) min{f', buffer: {buffers[i - 1]}' if i else ''}}}\n"
        for i, time in enumerate(times)
    )
    return f"stations:\n{stations}products: {{part: {{releases: {{all: {{backlog: 1}}}}}}}}\n"


TIMES, BUFFERS = (1.0, 1.5, 1.0), (2, 1)
"""The second station is the slowest."""


def line(folder: Path, horizon: str = "30 day") -> System:
    return compiled(folder, "warmup: 1 day\n" + serial(TIMES, BUFFERS), f"horizon: {horizon}")


def exact(times: tuple[float, ...] = TIMES, buffers: tuple[int, ...] = BUFFERS) -> float:
    """Parts per minute, by the Markov chain."""
    return serial_line([1 / time for time in times], buffers)


def faster(station: int) -> tuple[float, ...]:
    return tuple(time * (0.95 if i == station else 1.0) for i, time in enumerate(TIMES))


def wanted(system: System, *names: tuple[str, str]) -> list[Change]:
    return [change for change in changes(system) if (change.name, change.parameter) in names]


def test_sensitivities_are_those_of_the_markov_chain(tmp_path: Path) -> None:
    system = line(tmp_path)
    truth = {(f"s{i}", "time"): exact(faster(i)) - exact() for i in range(3)}
    truth |= {("s1", "buffer"): exact(buffers=(3, 1)) - exact()}
    truth |= {("s2", "buffer"): exact(buffers=(2, 2)) - exact()}
    found = sensitivity(system, 40, Runs(11), wanted(system, *truth))
    assert found.throughput.low < exact() / 60 < found.throughput.high
    for effect in found.effects:
        gain = truth[effect.change.name, effect.change.parameter] / 60
        low, high = effect.throughput.low, effect.throughput.high
        margin = 0.5 * (high - low)  # five intervals, each once and a half as wide
        assert low - margin / 2 < gain < high + margin / 2, effect
        # Paired: narrower than the gain itself, which separate runs of this length are not.
        if effect.change.name == "s1" and effect.change.parameter == "time":
            assert high - low < gain
    best = found.effects[0].change
    assert (best.name, best.parameter) == max(truth, key=lambda key: truth[key])


def test_of_many_changes_the_promising_ones_are_looked_at_closely(tmp_path: Path) -> None:
    system = line(tmp_path)
    asked: list[tuple[int, int]] = []
    runs = Runs(11)

    def run(changed: System, replications: int, stream: int = 0) -> LineResult:
        asked.append((replications, stream))
        return runs(changed, replications, stream)

    said: list[tuple[int, int]] = []
    found = sensitivity(system, 30, run, say=lambda *a: said.append(a), finalists=4)
    count = len(changes(system))
    assert asked == [(8, 0)] * (1 + count) + [(30, 1)] * 5
    assert said[0] == (0, 8 * count + 120)
    assert said[-1] == (8 * count + 120,) * 2
    # The four that bring most by the Markov chain are among them, and come out on top.
    assert {(e.change.name, e.change.parameter) for e in found.effects if e.replications == 30} >= {
        ("s1", "servers"),
        ("s1", "time"),
    }
    first = found.effects[0].change
    assert (first.name, first.parameter) == ("s1", "servers")
    assert not any(e.sure or e.quicker for e in found.effects if e.replications == 8)


def test_the_slowest_station_is_the_bottleneck(tmp_path: Path) -> None:
    system = line(tmp_path)
    found = bottlenecks(system, simulate(system, 20, 5))
    active = [interval.estimate for interval in found.active]
    assert sum(active) == pytest.approx(1, abs=1e-3)  # somebody always is
    assert int(np.argmax(active)) == 1
    assert found.active[1].low > max(found.active[0].high, found.active[2].high)
    assert found.turning_point.tolist() == [False, True, False]
    assert found.turning[1] > 0.9


@pytest.mark.parametrize(
    ("case", "best", "rate"),
    [("line_31", (2, 2), 0.734017), ("line_32", (1, 2, 1), 0.657175)],
)
def test_the_best_split_of_four_places(case: str, best: tuple[int, ...], rate: float) -> None:
    (folder,) = KNOWN.glob(f"{case}*")
    system = case_system(folder)
    buffers = system.tables.station["buffer"]
    buffers[buffers >= 0] = [4] + [0] * (int((buffers >= 0).sum()) - 1)  # the worst start
    found = allocate(system, Runs(3))
    assert found is not None
    assert (found.best, found.decided, found.exhaustive) == (best, True, True)
    time = float(system.parameters.args[system.tables.stream["parameter"][0], 0])
    throughput = found.throughput_best
    assert throughput.low < rate / time < throughput.high
    assert throughput.high - throughput.low < 0.01 * rate / time
    assert found.gain.low > 0


def test_many_places_are_moved_pair_by_pair(tmp_path: Path) -> None:
    # 12 places over three stations, all before the last one: 91 splits, too many to try them all.
    times, buffers = (1.0, 1.0, 1.0, 1.0), (0, 0, 12)
    text = "warmup: 1 day\n" + serial(times, buffers)
    found = allocate(compiled(tmp_path, text, "horizon: 12 day"), Runs(3), zone=4e-3, most=6)
    assert found is not None
    assert not found.exhaustive
    assert found.lines < 91
    truth = {split: exact(times, split) for split in splits(12, 3)}
    best = max(truth.values())
    # Within the indifference zone of the best of all splits, by the Markov chain.
    assert truth[found.best] > best * (1 - 4e-3)
    assert sum(found.best) == 12


def test_splits_and_exchanges() -> None:
    assert list(splits(2, 2)) == [(0, 2), (1, 1), (2, 0)]
    assert len(list(splits(4, 3))) == 15
    assert sorted(exchanges((2, 0, 1), 1)) == [(1, 0, 2), (1, 1, 1), (2, 1, 0), (3, 0, 0)]
    assert exchanges((2, 0), 3) == []
    assert even(7, 3) == (2, 3, 2)  # the middle gets what is left over: the storage bowl
    assert even(8, 3) in ((3, 3, 2), (2, 3, 3))


def test_there_is_nothing_to_split_without_two_limited_buffers(tmp_path: Path) -> None:
    assert allocate(compiled(tmp_path, serial((1.0, 1.0), (3,))), Runs(1)) is None


TESTERS = """
warmup: 4 week
stations: {test: {servers: 2, time: 48 hour, pass: 0.8, on_fail: restart}, pack: {time: 1 hour}}
products: {rack: {releases: {all: {every: 6 hour}}}}
"""


def test_the_number_of_testers_for_a_rate(tmp_path: Path) -> None:
    system = compiled(tmp_path, TESTERS, "horizon: 60 week")
    # 28 racks a week x 48 h / 0.8 / 168 h = 10.0 testers at full load: eleven are needed.
    found = servers_needed(system, 0, 1 / (6 * HOUR), 60 * HOUR, Runs(2), 6)
    assert (found.law, found.needed) == (11, 11)
    # At 30 racks a week nothing helps: 28 are released.
    found = servers_needed(system, 0, 30 / WEEK, 60 * HOUR, Runs(2), 6)
    assert found.law == 11
    assert found.needed is None
    assert found.throughput.estimate * WEEK == pytest.approx(28, rel=0.01)
    with pytest.raises(ValueError, match="no target"):
        servers_needed(system, 0, 0.0, 1.0, Runs(2), 2)


FLOOR = """
unit: rack
warmup: 4 week
stations:
  integrate: {servers: 3, time: "uniform(10, 14) hour", crew: {hands: 2}}
  burn_in: {servers: 25, time: 48 hour, buffer: 2, pass: 0.8, on_fail: restart,
            draws: {test_power: 132 kW}}
  pack: {servers: 1, time: 2 hour, buffer: 2}
pools: {hands: {count: 6}}
budgets: {test_power: 1.5 MW}
products: {rack: {releases: {all: {backlog: 2}}}}
"""


def test_tables_of_a_floor_that_lacks_power(tmp_path: Path) -> None:
    header = "horizon: 40 week\nreplications: 8"
    twin = load(tmp_path, FLOOR, header)
    declared = twin.rooms["line"]["x"]
    assert isinstance(declared, model.Line)
    system = compiled(tmp_path, FLOOR, header)
    found = analyse(system, simulate(system, 8, 1), 1, replications=6)
    tables = {t.name: rows(t) for t in analysis_tables("base", declared, system, found)}
    assert set(tables) == {
        "line_bottlenecks", "line_sensitivity", "line_buffers", "line_test_floor"
    }  # fmt: skip
    # 1.5 MW feed eleven slots, which at 60 h a rack are 30.8 racks a week; with 25 slots it is
    # the power that binds: 132 kW more are one slot more, and one more slot without power nothing.
    first, second = tables["line_bottlenecks"][:2]
    assert (first["kind"], first["name"]) == ("budget", "test_power")
    assert first["change"] == "level +132 kW"
    assert first["gain"] == pytest.approx(1 / 11, abs=0.03)
    assert (second["kind"], second["name"]) == ("station", "burn_in")
    steps = {(r["name"], r["parameter"]): r for r in tables["line_sensitivity"]}
    assert steps["hands", "count"]["step"] == "+2"  # one more makes no crew of two
    assert steps["burn_in", "time"]["sure"]
    assert steps["burn_in", "time"]["share"] == pytest.approx(0.05, abs=0.02)
    assert steps["burn_in", "pass"]["sure"]
    for name, parameter in (("burn_in", "servers"), ("integrate", "time"), ("pack", "servers")):
        assert not steps[name, parameter]["sure"]
        assert (
            "no gain" in steps[name, parameter]["sentence"]
            or "sooner" in (steps[name, parameter]["sentence"])
        )
    floor = {(r["station"], r["budget"]): r for r in tables["line_test_floor"]}
    one, whole = floor["burn_in", "test_power"], floor["all", "test_power"]
    assert one["slots"] == pytest.approx(11, rel=0.02)
    assert one["slots_law"] == pytest.approx(one["slots"], rel=0.03)
    assert whole["draw"] == pytest.approx(11 * 132, rel=0.02)
    assert whole["level"] == pytest.approx(1500)
    assert [r["station"] for r in tables["line_buffers"]] == ["burn_in", "pack"]
    assert sum(r["best"] for r in tables["line_buffers"]) == 4
    text = steps["burn_in", "time"]["sentence"]
    assert text.startswith("burn_in: time -5 % = +")
    assert "racks a week" in text
