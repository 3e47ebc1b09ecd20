"""From a declared programme and a scenario to a `System`: names become integers here only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from firsttoken.build import model, system
from firsttoken.build.calendars import clock_of, weekly_work
from firsttoken.build.disrupt import NONE, build_effects
from firsttoken.build.network import (
    ONCE,
    TaskKey,
    befores,
    calendar_of,
    driven,
    pairs,
    ready_tasks,
    task_name,
    tasks,
)
from firsttoken.build.priority import expected_order
from firsttoken.kernel import codes
from firsttoken.kernel.parameters import SeriesTable
from firsttoken.kernel.streams import entity_key
from firsttoken.twin.calendars import parse_shift
from firsttoken.twin.dates import DAY, WEEK, report_edges
from firsttoken.twin.findings import Finding, TwinError
from firsttoken.twin.parameters import ParameterBuilder, Resolve
from firsttoken.twin.schema import Declared, quantities
from firsttoken.twin.twin import Twin
from firsttoken.twin.values import Constant, Value

Integers = system.Integers
_BEFORE = 366 * DAY  # before the earliest date that is said, for lags that go back


def compile_build(twin: Twin, name: str, resolve: Resolve) -> system.System:
    """Compile one programme of a twin under the twin's active scenario.

    Parameters
    ----------
    name : instance under `build`.
    resolve : looks facts and ports of other rooms up.

    Raises
    ------
    TwinError
        If a reference cannot be resolved, or a disruption cannot act.
    """
    declared = twin.rooms["build"][name]
    assert isinstance(declared, model.Build)
    return Compiler(twin, name, declared, resolve).compiled()


class Compiler:
    """What the steps of compiling one programme share.

    Attributes
    ----------
    keys : tasks in order; number: their positions.
    """

    def __init__(self, twin: Twin, name: str, declared: model.Build, resolve: Resolve) -> None:
        self.twin, self.name, self.declared = twin, name, declared
        self.build = ParameterBuilder(twin.start, resolve)
        self.effects = build_effects(twin, name, declared, self.build)
        self.keys = tasks(declared)
        self.number = {key: i for i, key in enumerate(self.keys)}
        self.calendars = {label: i for i, label in enumerate(declared.calendars)}
        self.crew_names = list(declared.crews)

    def compiled(self) -> system.System:
        """The compiled programme."""
        declared, build = self.declared, self.build
        since = self._earliest() - _BEFORE
        clock = clock_of(declared.calendars, self.twin.start, since)
        begin = self._begin()
        rows, links = self._tasks(), self._links()
        crews, hazards, shocks = self._crews(), self._hazards(), self._shocks()
        ready = ready_tasks(declared)
        brings = [(phase.racks, phase.power) for phase in declared.phases.values()]
        nothing = [all(v == Constant(0.0, v.unit) for v in pair) for pair in brings]  # type: ignore[union-attr]
        network = system.Network(
            tasks=rows,
            links=links,
            crews=crews,
            hazards=hazards,
            shocks=shocks,
            begin=begin,
            status=self._status(),
            ready=_whole(self.number[key] for key in ready.values() if key is not None),
            counts=np.array([all(nothing) or not none for none in nothing], dtype=np.bool_),
        )
        deadlines = _whole(self._of(key, "deadline") for key in self.keys)
        due = self._scalar(declared, "due", ())
        cost_of_delay = self._scalar(declared, "cost_of_delay", ())
        racks, power = (
            _whole(self._scalar(p, field, ("phases", n)) for n, p in declared.phases.items())
            for field in ("racks", "power")
        )
        view = self._view()
        parameters, series = build.tables()
        network = network._replace(crews=self._with_room(crews, series))
        network = expected_order(network, clock, parameters, series)
        return system.System(
            names=self._names(),
            network=network,
            clock=clock,
            parameters=parameters,
            series=series,
            start=self.twin.start,
            horizon=self.twin.end - self.twin.start,
            edges=self._edges(),
            deadlines=deadlines,
            due=due,
            cost_of_delay=cost_of_delay,
            racks=racks,
            power=power,
            view=view,
            inputs=build.inputs,
            users=build.users,
        )

    # Words --------------------------------------------------------------------------------

    def path(self, *parts: str) -> str:
        """The parameter path of a slot of this programme."""
        return ".".join(("build", self.name, *parts))

    def _scalar(self, owner: Declared, field: str, keys: Sequence[str]) -> int:
        """Row of a slot; -1 if nothing is said."""
        value: Value | None = getattr(owner, field)
        return self._row(owner, field, value, self.path(*keys, field))

    def _row(self, owner: Declared, field: str, value: Value | None, path: str) -> int:
        if value is None:
            return NONE
        unit = quantities(type(owner))[field].unit
        return self.build.scalar(value, path, unit, date=unit == "date")

    def _of(self, key: TaskKey, field: str) -> int:
        """Row of a slot of a task: the phase's own, else the activity's.

        What is drawn each time has a path, and so a stream, for each phase.
        """
        name, phase = key
        activity = self.declared.activities[name]
        own = activity.by_phase.get(phase)
        keys = ("activities", name)
        if own is not None and getattr(own, field) is not None:
            return self._scalar(own, field, (*keys, "by_phase", phase))
        value = getattr(activity, field)
        path = self.path(*keys, field)
        drawn = getattr(value, "drawn", None) or quantities(model.Activity)[field].drawn
        if phase and drawn == "each time":
            path = f"{path}.{phase}"
        return self._row(activity, field, value, path)

    # Dates --------------------------------------------------------------------------------

    def _begin(self) -> int:
        with self.build.slipping(self.effects.slips.get((), [])):
            if self.declared.begin is None:
                first = Constant(self.twin.start)
                return self.build.scalar(first, self.path("begin"), "date", date=True)
            return self._scalar(self.declared, "begin", ())

    def _earliest(self) -> float:
        """The earliest certain date that is said, seconds from 1970-01-01."""
        found = [self.twin.start]
        given = [self.declared.begin]
        for part in self._states():
            given += [part.started, part.finished]
        return min([*found, *(date.value for date in given if isinstance(date, Constant))])

    def _status(self) -> float:
        """Moment at which the state of the work is known, if any is said."""
        if any(part.started is not None or part.finished is not None for part in self._states()):
            return self.twin.as_of - self.twin.start
        return -np.inf

    def _states(self) -> Iterator[model.Activity | model.InPhase]:
        """Whatever may say how far an activity is."""
        for activity in self.declared.activities.values():
            yield activity
            yield from activity.by_phase.values()

    def _edges(self) -> system.Floats:
        twin = self.twin
        return np.array(report_edges(twin.start, twin.end, self.declared.report))

    # Tables -------------------------------------------------------------------------------

    def _tasks(self) -> system.Tasks:
        columns: dict[str, list[int]] = {
            field: [self._of(key, field) for key in self.keys]
            for field in ("duration", "remaining", "earliest", "started", "finished", "cost")
        }
        calendars, shares = [], []
        for name, _ in self.keys:
            label = calendar_of(self.declared, self.declared.activities[name])
            calendars.append(NONE if label is None else self.calendars[label])
            shifts = [] if label is None else self.declared.calendars[label].shifts
            work = weekly_work([parse_shift(text) for text in shifts])
            shares.append(1.0 if label is None else work / WEEK)
        streams = [entity_key(self.path("activities", *key)) for key in self.keys]
        return system.Tasks(
            order=_whole(range(len(self.keys))),
            calendar=_whole(calendars),
            key=_whole(streams),
            share=np.array(shares, dtype=np.float64),
            **{field: _whole(values) for field, values in columns.items()},
        )

    def _links(self) -> system.Links:
        found: list[tuple[int, ...]] = []
        for pair in pairs(self.declared):
            link, (name, _) = pair.link, pair.after
            keys = ("activities", name, "after", str(pair.position))
            lag = self._row(link, "lag", link.lag, self.path(*keys, "lag"))
            calendar = NONE
            if link.lag_calendar not in (None, "all"):
                calendar = self.calendars[str(link.lag_calendar)]
            kind = system.LINK_TYPES.index(link.type)
            ends = self.number[pair.after], self.number[pair.before]
            found.append((*ends, kind, lag, calendar))
        found.sort()
        after, before, kind_, lag_, calendar_ = (
            _whole(row[column] for row in found) for column in range(5)
        )
        out = np.argsort(before, kind="stable").astype(np.int64)
        return system.Links(
            _starts(after, len(self.keys)),
            before,
            after,
            kind_,
            lag_,
            calendar_,
            _starts(before, len(self.keys)),
            out,
        )

    def _crews(self) -> system.Crews:
        needs: list[list[tuple[int, int]]] = []
        entries = [0] * len(self.crew_names)
        for name, _ in self.keys:
            activity = self.declared.activities[name]
            mine = []
            for crew, count in activity.crew.items():
                path = self.path("activities", name, "crew", crew)
                row = self.build.scalar(count, path, "each")
                mine.append((self.crew_names.index(crew), row))
                entries[mine[-1][0]] += 1
            needs.append(mine)
        level: list[int] = []
        for crew, declared in self.declared.crews.items():
            path = self.path("crews", crew, "count")
            level.append(self.build.series(declared.count, path, "each"))
        start, crews, counts = _flat(needs, 2)
        return system.Crews(start, crews, counts, _whole(level), _cumulated(entries))

    def _with_room(self, crews: system.Crews, series: SeriesTable) -> system.Crews:
        """Crews with the places that their timelines need: two a need, one a knot."""
        for crew, row in zip(self.crew_names, crews.level.tolist(), strict=True):
            if series.kind[row] != codes.STEP:
                path = self.path("crews", crew, "count")
                what = "the number of a crew changes in steps"
                raise TwinError(Finding(what, path=path, code="series"))
        room = 2 * np.diff(crews.room) + 4 + np.diff(series.start)[crews.level]
        return crews._replace(room=_cumulated(room.tolist()))

    def _hazards(self) -> system.Hazards:
        risks: list[list[tuple[int, int, int]]] = []
        drivers: list[list[tuple[int]]] = []
        affected = [set(driven(self.declared, d)) for d in self.declared.risks.values()]
        for name, phase in self.keys:
            activity = self.declared.activities[name]
            mine = []
            for label, risk in activity.risks.items():
                keys = ("activities", name, "risks", label)
                chance = self._scalar(risk, "probability", keys)
                path = ".".join(part for part in (self.path(*keys, "delay"), phase) if part)
                delay = self._row(risk, "delay", risk.delay, path)
                mine.append((chance, delay, entity_key(f"{path}.happens")))
            risks.append(mine)
            drivers.append([(d,) for d, names in enumerate(affected) if name in names])
        start, probability, delays, key = _flat(risks, 3)
        driver_start, driver = _flat(drivers, 1)
        declared = self.declared.risks
        return system.Hazards(
            start,
            probability,
            delays,
            key,
            driver_start,
            driver,
            _whole(self._scalar(d, "probability", ("risks", n)) for n, d in declared.items()),
            _whole(self._scalar(d, "factor", ("risks", n)) for n, d in declared.items()),
            _whole(entity_key(self.path("risks", n, "happens")) for n in declared),
        )

    def _shocks(self) -> system.Shocks:
        slowed: list[list[tuple[int, int, int]]] = []
        longer: list[list[tuple[int, int, int, int]]] = []
        slips: list[list[tuple[int, float]]] = []
        for name, phase in self.keys:
            needed = self.declared.activities[name].crew
            targets: list[tuple[str, ...]] = [("activities", name), ("phases", phase)]
            stops = [(), *targets, *(("crews", crew) for crew in needed)]
            slowed.append([row for t in stops for row in self.effects.slowed.get(t, [])])
            longer.append([row for t in targets for row in self.effects.longer.get(t, [])])
            slips.append([row for t in targets for row in self.effects.slips.get(t, [])])
        slow_start, first, last, pace = _flat(slowed, 3)
        longer_start, begin, end, factor, added = _flat(longer, 4)
        slip_start, slip = _flat([[(by,) for by, _ in mine] for mine in slips], 1)
        since = np.array([s for mine in slips for _, s in mine], dtype=np.float64)
        return system.Shocks(
            *(slow_start, first, last, pace),
            *(longer_start, begin, end, factor, added),
            *(slip_start, slip, since),
        )

    def _view(self) -> system.View | None:
        declared = self.declared.reference
        if declared is None:
            return None
        weight, since, until = (
            self._scalar(declared, field, ("reference",)) for field in ("weight", "since", "until")
        )
        start, end = (self._named(name) for name in (declared.start, declared.end))
        return system.View(weight, since, until, start, end)

    def _named(self, name: str | None) -> tuple[int, ...]:
        """Tasks that a name means; of an activity in phases, all."""
        keys = befores(self.declared, model.Link(activity=name), ONCE) if name else None
        return tuple(self.number[key] for key in keys or ())

    def _names(self) -> system.Names:
        declared = self.declared
        return system.Names(
            programme=self.name,
            tasks=tuple(task_name(key) for key in self.keys),
            activities=tuple(name for name, _ in self.keys),
            task_phases=tuple(phase for _, phase in self.keys),
            phases=tuple(declared.phases),
            crews=tuple(declared.crews),
            risks=tuple(
                (task_name((name, phase)), risk)
                for name, phase in self.keys
                for risk in declared.activities[name].risks
            ),
            drivers=tuple(declared.risks),
            calendars=tuple(declared.calendars),
        )


def _whole(values: Iterable[int]) -> Integers:
    return np.array(list(values), dtype=np.int64)


def _cumulated(counts: Sequence[int]) -> Integers:
    return np.cumsum([0, *counts]).astype(np.int64)


def _starts(owner: Integers, count: int) -> Integers:
    """First row of each owner in a table ordered by owner."""
    return np.searchsorted(np.sort(owner), np.arange(count + 1)).astype(np.int64)


def _flat(lists: Sequence[Sequence[tuple[Any, ...]]], width: int) -> tuple[Integers, ...]:
    """Lists of tuples as where each begins and one flat column for each place of the tuples."""
    flat = np.array([row for rows in lists for row in rows], dtype=np.int64).reshape(-1, width)
    columns = (np.ascontiguousarray(flat[:, column]) for column in range(width))
    return _cumulated([len(rows) for rows in lists]), *columns
