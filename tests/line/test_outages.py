"""Outages of one server that meet, and what a cascade server does; hours counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from firsttoken.line.result import DOWN, MAINTENANCE, STARVED, WORKING
from firsttoken.line.simulate import simulate

from .lines import compiled

HOUR = 3600.0


NO_LOT = "{releases: {r: {every: 1000 hour, first: 1000 hour}}}"


def hours(folder: Path, station: str, horizon: float, product: str = NO_LOT) -> list[float]:
    """Hours of a station's one server: working, down, in maintenance, starved."""
    system = compiled(folder, f"stations: {{a: {station}}}\nproducts: {{p: {product}}}")
    time = simulate(system, 1, 1, threads=1, horizon=horizon * HOUR).state_time[0, 0] * horizon
    return [float(np.round(time[k], 6)) for k in (WORKING, DOWN, MAINTENANCE, STARVED)]


FAILS = "failures: {jam: {mtbf: 100 hour, first: 10 hour, mttr: 4 hour}}"


@pytest.mark.parametrize(
    ("first", "takes", "alone", "expected"),
    [
        # Down from 10 h to 14 h. Maintenance due at 11 h waits until 14 h, or is done meanwhile.
        (11, 2, True, [0.0, 4.0, 2.0, 14.0]),
        (11, 2, False, [0.0, 4.0, 0.0, 16.0]),
        # What outlasts the repair is maintenance: 14 h to 17 h.
        (11, 6, False, [0.0, 4.0, 3.0, 13.0]),
        # A failure does not wait for the end of maintenance, from 9 h to 12 h.
        (9, 3, True, [0.0, 4.0, 1.0, 15.0]),
        (9, 3, False, [0.0, 4.0, 1.0, 15.0]),
    ],
)
def test_maintenance_that_meets_a_repair(
    tmp_path: Path, first: int, takes: int, alone: bool, expected: list[float]
) -> None:
    care = f"{{every: 100 hour, first: {first} hour, takes: {takes} hour, alone: {alone}}}"
    station = f"{{time: 1 hour, {FAILS}, maintenance: {{m: {care.lower()}}}}}"
    assert hours(tmp_path, station, 20) == expected


@pytest.mark.parametrize(
    ("alone", "expected"), [("true", [0.0, 0.0, 9.0, 11.0]), ("false", [0.0, 0.0, 4.0, 16.0])]
)
def test_maintenance_due_together(tmp_path: Path, alone: str, expected: list[float]) -> None:
    """Of 2 h, 3 h and 4 h, due at 5 h: one after the other, or all at once."""
    cares = ", ".join(
        f"m{k}: {{every: 100 hour, first: 5 hour, takes: {k} hour, alone: {alone}}}"
        for k in (2, 3, 4)
    )
    assert hours(tmp_path, f"{{time: 1 hour, maintenance: {{{cares}}}}}", 20) == expected


def test_maintenance_waits_for_the_lot_in_hand(tmp_path: Path) -> None:
    """A lot of 6 h from 0 h; down from 3 h to 7 h; maintenance due at 5 h, from 10 h to 12 h."""
    care = "{every: 100 hour, first: 5 hour, takes: 2 hour, alone: false}"
    fails = "failures: {jam: {mtbf: 100 hour, first: 3 hour, mttr: 4 hour}}"
    station = f"{{time: 6 hour, {fails}, maintenance: {{m: {care}}}}}"
    product = "{releases: {r: {every: 100 hour}}}"
    assert hours(tmp_path, station, 20, product) == [6.0, 4.0, 2.0, 8.0]


def test_a_cascade_server_works_while_it_has_a_load(tmp_path: Path) -> None:
    """Every 10 h a load of 6 h, after 2 h of which the next one could enter: 6 h of 10 are work."""
    station = "{time: 6 hour, interval: 2 hour}"
    assert hours(tmp_path, station, 100, "{releases: {r: {every: 10 hour}}}") == [60.0, 0, 0, 40.0]


def test_loads_of_a_cascade_server_that_overlap_are_counted_once(tmp_path: Path) -> None:
    """Every 3 h a load of 4 h, interval 2 h: from the first on there is always one in hand."""
    station = "{time: 4 hour, interval: 2 hour}"
    assert hours(tmp_path, station, 99, "{releases: {r: {every: 3 hour}}}") == [99.0, 0, 0, 0.0]


def test_maintenance_of_a_cascade_server_waits_for_all_its_loads(tmp_path: Path) -> None:
    """Loads at 0 h and 3 h, of 6 h each; due at 4 h: work to 9 h, maintenance to 11 h."""
    care = "{every: 100 hour, first: 4 hour, takes: 2 hour}"
    station = f"{{time: 6 hour, interval: 2 hour, maintenance: {{m: {care}}}}}"
    product = "{releases: {r: {every: 3 hour, limit: 2}}}"
    assert hours(tmp_path, station, 20, product) == [9.0, 0.0, 2.0, 9.0]
