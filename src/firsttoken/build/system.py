"""The frozen arrays of a construction programme.

All times are seconds from the twin's start; "row" is an index into the parameters, -1: none. Lists
of lists are kept flat, with the first and the last of each in an array one longer (`..._start`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firsttoken.kernel.parameters import ParameterTable, SeriesTable, fixed_parameters

if TYPE_CHECKING:
    from firsttoken.build.clock import Clock
    from firsttoken.twin.parameters import Input

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LINK_TYPES: Final = ("FS", "SS", "FF", "SF")
FS, SS, FF, SF = range(4)

FIRST, LAST = 0, 1
"""Targets: the first phase that is ready, and the end of all."""


class Tasks(NamedTuple):
    """Tasks, one an activity and phase, in the order of the file; [T] each.

    Attributes
    ----------
    order : tasks in the order in which they are scheduled, none before what it waits for.
    calendar : in which they go on; -1: all time.
    duration, remaining, earliest, started, finished, cost : rows.
    key : of the task's random stream.
    share : working time in a second of the calendar, on average.
    """

    order: Integers
    calendar: Integers
    duration: Integers
    remaining: Integers
    earliest: Integers
    started: Integers
    finished: Integers
    cost: Integers
    key: Integers
    share: Floats


class Links(NamedTuple):
    """Links, ordered by the task after them.

    Attributes
    ----------
    start : links before task i are start[i] to start[i + 1] - 1, [T + 1].
    before, after, kind, lag, calendar : of each link; `lag` is a row, [L].
    out_start, out : numbers of the links after each task, [T + 1] and [L].
    """

    start: Integers
    before: Integers
    after: Integers
    kind: Integers
    lag: Integers
    calendar: Integers
    out_start: Integers
    out: Integers


class Crews(NamedTuple):
    """Limited crews, and who needs them.

    Attributes
    ----------
    need_start, need_crew, need_count : crews needed by each task; `need_count` are rows.
    level : series of how many there are of each crew, [C].
    room : places that the timeline of each crew needs, [C + 1], cumulated.
    """

    need_start: Integers
    need_crew: Integers
    need_count: Integers
    level: Integers
    room: Integers


class Hazards(NamedTuple):
    """What makes tasks longer: risks of one task, and drivers of several.

    Attributes
    ----------
    risk_start, probability, delay, key : risks of each task; rows, and keys of random streams.
    driver_start, driver : drivers of each task.
    driver_probability, driver_factor, driver_key : of each driver.
    """

    risk_start: Integers
    probability: Integers
    delay: Integers
    key: Integers
    driver_start: Integers
    driver: Integers
    driver_probability: Integers
    driver_factor: Integers
    driver_key: Integers


class Shocks(NamedTuple):
    """What disruptions do to tasks.

    Attributes
    ----------
    slow_start, slow_from, slow_until, pace : times in which each task goes on at a share of its
        pace, and that share; rows.
    longer_start, longer_from, longer_until, factor, added : of each task begun within a time, the
        factor on its duration and what is added to it; rows.
    slip_start, slip, slip_since : rows of what each task waits longer, if it would begin at
        `slip_since` [s] or later.
    """

    slow_start: Integers
    slow_from: Integers
    slow_until: Integers
    pace: Integers
    longer_start: Integers
    longer_from: Integers
    longer_until: Integers
    factor: Integers
    added: Integers
    slip_start: Integers
    slip: Integers
    slip_since: Floats


class Network(NamedTuple):
    """All that the engine reads of a programme but calendars and parameters.

    Attributes
    ----------
    begin : row of the first day.
    status : moment at which the state of the work is known; -inf: not said.
    ready : task at whose end each phase is ready, [P].
    counts : whether a phase brings racks or power, [P]; all do if none does.
    """

    tasks: Tasks
    links: Links
    crews: Crews
    hazards: Hazards
    shocks: Shocks
    begin: int
    status: float
    ready: Integers
    counts: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Names:
    """What the indices stand for.

    Attributes
    ----------
    tasks : `activity` or `activity.phase`; activities and task_phases: its parts.
    risks : (task, risk) of each risk.
    """

    programme: str
    tasks: tuple[str, ...]
    activities: tuple[str, ...]
    task_phases: tuple[str, ...]
    phases: tuple[str, ...]
    crews: tuple[str, ...]
    risks: tuple[tuple[str, str], ...]
    drivers: tuple[str, ...]
    calendars: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class View:
    """What the reference class is compared with.

    Attributes
    ----------
    weight, since, until : rows.
    start, end : tasks with whose first start and last finish the sites' durations begin and end;
        empty: the programme's begin, and the first phase.
    """

    weight: int
    since: int
    until: int
    start: tuple[int, ...]
    end: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class System:
    """A compiled programme.

    Attributes
    ----------
    start : of the twin, seconds from 1970-01-01; horizon: its length in s.
    edges : of the report periods, [B + 1].
    deadlines : row of each task's deadline, [T]; due: row of the promised day.
    cost_of_delay : row, USD/s.
    racks, power : rows of what each phase brings, [P].
    view : what the reference class is compared with, if there is one.
    """

    names: Names
    network: Network
    clock: Clock
    parameters: ParameterTable
    series: SeriesTable
    start: float
    horizon: float
    edges: Floats
    deadlines: Integers
    due: int
    cost_of_delay: int
    racks: Integers
    power: Integers
    view: View | None
    inputs: Sequence[Input]
    users: Mapping[str, Sequence[str]]

    def medians(self) -> Floats:
        """The parameters at their medians, [P]."""
        return fixed_parameters(self.parameters, "median")
