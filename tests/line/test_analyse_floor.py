"""The law of the test floor of compiled lines, worked out by hand and played by chance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.line import fake_result
from tests.line.lines import compiled

from firsttoken.line.analyse_expected import Expected
from firsttoken.line.analyse_floor import floor_rows
from firsttoken.line.system import System

HOUR, WEEK = 3600.0, 604800.0


def route(folder: Path, steps: str, stations: str = "") -> System:
    return compiled(
        folder,
        f"""
        stations: {{a: {{time: 1 hour}}, b: {{time: 1 hour}}, c: {{time: 1 hour}}{stations}}}
        products: {{p: {{route: [{steps}], releases: {{r: {{every: 1 hour}}}}}}}}
        """,
    )


def test_visits_with_a_rework_loop(tmp_path: Path) -> None:
    # A lot that fails at b (20 %) goes back to a: both are visited 1 / 0.8 times, c once.
    line = route(tmp_path, "{station: a}, {station: b, pass: 0.8, on_fail: a}, {station: c}")
    assert Expected.of_means(line).visits(0)[0] == pytest.approx([1.25, 1.25, 1.0])


def test_visits_with_scrap(tmp_path: Path) -> None:
    # A tenth is lost at b, so that one shipped lot takes 1 / 0.9 at a and b.
    line = route(tmp_path, "{station: a}, {station: b, pass: 0.9, on_fail: scrap}, {station: c}")
    assert Expected.of_means(line).visits(0)[0] == pytest.approx([1 / 0.9, 1 / 0.9, 1.0])


def test_a_restart_is_one_visit_and_takes_longer(tmp_path: Path) -> None:
    line = route(
        tmp_path,
        "{station: a}, {station: b, pass: 0.8, on_fail: restart, fail_after: 0.5, repair: 6 min}",
    )
    expected = Expected.of_means(line)
    assert expected.visits(0)[0] == pytest.approx([1.0, 1.0])
    # 0.25 failures in the mean, each of half an hour and six minutes.
    assert expected.in_test(1)[0] == pytest.approx(HOUR * (1 + 0.25 * 0.6))


def test_visits_are_those_of_lots_that_walk_the_route(tmp_path: Path) -> None:
    line = route(
        tmp_path,
        """
        {station: a, then: {c: 0.3, third: 0.2}}, {station: b, share: 0.4},
        {station: c, pass: 0.7, on_fail: b}, {name: third, station: a, pass: 0.9, on_fail: scrap}
        """,
    )
    # Independent computation: lots that walk, one after the other.
    random = np.random.default_rng(1)
    visits, shipped = np.zeros(4), 0
    for _ in range(40_000):
        at = 0
        while at < 4:
            visits[at] += 1
            u = random.uniform()
            if at == 0:
                at = 2 if u < 0.3 else 3 if u < 0.5 else 1
            elif at == 1:
                at = 2
            elif at == 2:
                at = 3 if u < 0.7 else 1
            elif u < 0.9:
                shipped += 1
                at = 4
            else:
                break
    assert Expected.of_means(line).visits(0)[0] == pytest.approx(visits / shipped, rel=0.02)


def test_a_route_that_nothing_leaves_has_no_visits(tmp_path: Path) -> None:
    line = route(tmp_path, "{station: a, pass: 0, on_fail: scrap}")
    assert np.isnan(Expected.of_means(line).visits(0)).all()


def test_time_of_tasks(tmp_path: Path) -> None:
    line = route(
        tmp_path,
        "{station: a}, {station: d}",
        ", d: {time: 1 hour, load: 6 min, unload: 3 min, "
        "tasks: {count: 1000, time: 10 s, success: 0.98, recovery: 60 s}}",
    )
    # 1 h + 9 min + 1000 x (10 s + 0.02 x 60 s)
    assert Expected.of_means(line).time(1)[0] == pytest.approx(HOUR + 540 + 11_200)


def test_the_floor_of_a_line_by_hand(tmp_path: Path) -> None:
    _, system = fake_result.system(tmp_path)
    # 54 racks in 24 days, in the mean; at burn-in 48 h each, first-pass yield 0.9, 100 kW.
    rows = floor_rows(system, fake_result.result(), 1)
    burn_in, whole = rows
    racks = (46 + 8) / 24 * 7
    assert burn_in.rate * WEEK == pytest.approx(racks)
    assert burn_in.time == 48 * HOUR
    assert burn_in.passes == pytest.approx(0.9)
    assert burn_in.slots == pytest.approx(racks * 48 / 168 / 0.9)
    assert burn_in.draw == pytest.approx(racks * 48 / 168 / 0.9 * 100e3)
    assert burn_in.slots_simulated.estimate == pytest.approx(5.9)
    assert burn_in.draw_simulated.estimate == pytest.approx(590e3)
    assert (burn_in.servers, burn_in.needed) == (10, 6)  # load 5.0: six are the fewest
    assert whole.station == -1
    assert whole.draw == burn_in.draw
    assert whole.draw_simulated.estimate == pytest.approx(590e3)
    assert whole.level == 1e6


def test_a_thousand_racks_a_week_need_19_57_and_132_megawatts(tmp_path: Path) -> None:
    for hours, megawatts in ((24, 18.857), (72, 56.571), (168, 132.0)):
        line = compiled(
            tmp_path,
            f"""
            stations: {{test: {{servers: 1100, time: {hours} hour, draws: {{power: 132 kW}}}}}}
            budgets: {{power: 200 MW}}
            products: {{rack: {{releases: {{r: {{every: 605 s}}}}}}}}
            """,
        )
        given = fake_result.result()
        made = replace(
            given,
            time=WEEK,
            finished=np.full((4, 1), 1000),
            state_time=np.zeros((4, 1, 8)),
            pool_used=np.zeros((4, 1)),
            pool_level=np.full((4, 1), 200e6),
        )
        station, whole = floor_rows(line, made, 1)
        assert station.draw / 1e6 == whole.draw / 1e6 == pytest.approx(megawatts, abs=5e-4)
