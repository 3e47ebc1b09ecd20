"""Microsoft Project's XML to the plain data of a programme.

Elements are those of the Project XML Data Interchange schema (mspdi_pj12.xsd, Microsoft Learn).
How Project's terms are read:

* an activity's name is the task's name; summary tasks are no activities: what is said of one holds
  for the tasks below it, or for a milestone after them;
* durations are working hours (`PT16H0M0S`), elapsed ones run all the time; `LinkLag` is in tenths
  of a minute, or in per cent of the predecessor's duration;
* a lag runs in the calendar of the successor, an elapsed one all the time;
* days that a calendar does not say are Project's own: Monday to Friday, 8 to 12 and 13 to 17;
* work resources with their `MaxUnits` are crews, material and costs are not;
* a summary task with one milestone that comes after something is a phase, ready with it;
* money stands in hundredths.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Final

from firsttoken.build.table_schedule import (
    ALL_TIME,
    DAY_MINUTES,
    HOUR,
    MILESTONE,
    Constraint,
    Programme,
    Row,
    Spans,
    View,
    WorkCalendar,
    hours,
    key_of,
    whole_days,
)
from firsttoken.twin.findings import Findings, Place
from firsttoken.twin.schedule_files import PARENT
from firsttoken.twin.source import SourceMap
from firsttoken.twin.tables import Table

_READ: Final = (
    "project calendars calendar weekdays weekday workingtimes workingtime exceptions exception "
    "timeperiod workweeks workweek tasks task predecessorlink resources resource assignments "
    "assignment availabilityperiods availabilityperiod"
)
_DURATION: Final = re.compile(r"PT(\d{1,9})H(\d{1,9})M(\d+(?:\.\d+)?)S")
_LINKS: Final = {"0": "FF", "1": "FS", "2": "SF", "3": "SS", "": "FS"}
_PERCENT: Final = ("19", "20", "51", "52")
_CONSTRAINTS: Final[Mapping[str, Constraint]] = {
    "1": "late",
    "2": "start on",
    "3": "finish on",
    "4": "start from",
    "5": "start by",
    "6": "finish from",
    "7": "finish by",
}
_OFFICE: Final[Spans] = ((8 * 60, 12 * 60), (13 * 60, 17 * 60))
_STANDARD: Final[tuple[Spans, ...]] = (_OFFICE,) * 5 + ((),) * 2
_GENERATIONS: Final = 20
"""Most calendars that derive one from the other."""

_FOREVER: Final = 400
"""Most days of an exception that are read one by one."""


def read_msproject(tables: Mapping[str, Table], findings: Findings) -> tuple[Row, SourceMap]:
    """Read the tables of a Project XML file; findings get what a programme cannot say."""
    reader = _Reader(tables, findings)
    reader.calendars()
    reader.tasks()
    reader.links()
    reader.resources()
    reader.dates_of_summaries()
    reader.phases()
    reader.programme.rest(list(tables.values()), _READ.split())
    return reader.programme.data()


def is_elapsed(code: str) -> bool:
    """Whether a format of durations (3 minutes, 4 elapsed minutes, ...) is elapsed: even codes."""
    return code.isdigit() and int(code) % 2 == 0


class _Task:
    """A task of the file: its row, those below it, and its activity if it is one."""

    def __init__(self, row: int, uid: str, level: int) -> None:
        self.row, self.uid, self.level = row, uid, level
        self.below: list[_Task] = []
        self.name: str | None = None
        self.seconds = 0.0
        self.calendar: str | None = None

    def leaves(self) -> list[_Task]:
        """The activities at or below it."""
        found, waiting = [], [self]
        while waiting:
            task = waiting.pop()
            if task.name is not None:
                found.append(task)
            waiting += reversed(task.below)
        return found


class _Reader:
    """Reads one table after the other."""

    def __init__(self, tables: Mapping[str, Table], findings: Findings) -> None:
        self.tables = tables
        self.programme = Programme(findings)
        self.project = self.view("project")
        self.view_of_tasks = self.view("task")
        self.by_uid: dict[str, _Task] = {}
        self.summaries: list[_Task] = []
        self.done: dict[str, str] = {}
        self.left: set[str] = set()
        self.assumed = False
        self.costs: dict[str, float] = {}
        self.rows_inside: dict[str, dict[tuple[str, int], list[int]]] = {}

    def view(self, name: str) -> View:
        """A table; one without rows if it is not there."""
        return View(self.tables.get(name), self.programme)

    def inside(self, name: str) -> dict[tuple[str, int], list[int]]:
        """Rows of a table by the (table, row) around them."""
        found = self.rows_inside.get(name)
        if found is None:
            found = self.rows_inside[name] = {}
            table = self.tables.get(name)
            for row, around in enumerate(table.columns[PARENT] if table is not None else ()):
                found.setdefault(around, []).append(row)
        return found

    # Calendars.

    def calendars(self) -> None:
        """Calendars; one derived from another takes over what it does not say."""
        view = self.view("calendar")
        rows = {view.text(row, "uid"): row for row in view.rows}
        read: dict[str, WorkCalendar] = {}

        def calendar(uid: str, trail: tuple[str, ...] = ()) -> WorkCalendar:
            if uid in read:
                return read[uid]
            row = rows[uid]
            base = view.text(row, "basecalendaruid")
            week, exceptions = list(_STANDARD), dict[dt.date, Spans]()
            if base in rows and base not in (uid, *trail) and len(trail) < _GENERATIONS:
                given = calendar(base, (*trail, uid))
                week, exceptions = list(given.week), dict(given.exceptions)
            self._week(row, week, exceptions)
            self._exceptions(row, exceptions)
            title = view.text(row, "name") or f"calendar {uid}"
            read[uid] = WorkCalendar(title, tuple(week), exceptions, view.place(row))
            return read[uid]

        for uid in rows:
            self.programme.know_calendar(uid, calendar(uid))

    def _week(self, row: int, week: list[Spans], exceptions: dict[dt.date, Spans]) -> None:
        """Days of the week; day 0 is an exception in the manner of older files."""
        view = self.view("weekday")
        for around in self.inside("weekdays").get(("calendar", row), []):
            for day in self.inside("weekday").get(("weekdays", around), []):
                spans = self._times("weekday", day)
                kind = view.text(day, "daytype")
                if view.text(day, "dayworking") in ("0", "false"):
                    spans = ()
                if kind == "0":
                    for period in self.inside("timeperiod").get(("weekday", day), []):
                        self._range(period, view.place(day), spans, exceptions)
                elif len(kind) == 1 and kind in "1234567":
                    week[(int(kind) + 5) % 7] = spans
        if ("calendar", row) in self.inside("workweeks") and len(self.view("workweek").rows):
            what = "weeks with working times of their own are not modelled"
            self.programme.left_out(
                self.view("workweek").place(0), what, "", "their days count as ordinary"
            )

    def _times(self, table: str, row: int) -> Spans:
        """Working times of a day or an exception."""
        view, spans = self.view("workingtime"), []
        for around in self.inside("workingtimes").get((table, row), []):
            for item in self.inside("workingtime").get(("workingtimes", around), []):
                first = _minutes(view.text(item, "fromtime"))
                last = _minutes(view.text(item, "totime"))
                if first is None or last is None:
                    self.programme.wrong(view.place(item), "a working time has no such time of day")
                else:
                    spans.append((first, last))
        return whole_days(spans)

    def _exceptions(self, row: int, exceptions: dict[dt.date, Spans]) -> None:
        view = self.view("exception")
        for around in self.inside("exceptions").get(("calendar", row), []):
            for item in self.inside("exception").get(("exceptions", around), []):
                spans = self._times("exception", item)
                if view.text(item, "dayworking") in ("0", "false"):
                    spans = ()
                periods = self.inside("timeperiod").get(("exception", item), [])
                kind = view.text(item, "type")
                if kind in ("", "1", "9") and view.number(item, "period", 1) <= 1:
                    for period in periods:
                        self._range(period, view.place(item), spans, exceptions)
                elif kind == "2":
                    self._yearly(item, periods, spans, exceptions)
                else:
                    name = view.text(item, "name") or "an exception"
                    what = f"{name} recurs in a way (type {kind}) that is not read"
                    hint = "write its days as exceptions of one day"
                    self.programme.left_out(view.place(item), what, "", hint)

    def _range(
        self, period: int, place: Place, spans: Spans, exceptions: dict[dt.date, Spans]
    ) -> None:
        """Every day of a period."""
        first, last = self._period(period)
        if first is None or last is None:
            self.programme.wrong(place, "an exception has no dates")
        elif (last - first).days >= _FOREVER:
            what = f"an exception of {(last - first).days + 1} days, from {first}, is left out"
            self.programme.left_out(place, what, f"at most {_FOREVER} days are read")
        else:
            for offset in range((last - first).days + 1):
                exceptions[first + dt.timedelta(days=offset)] = spans

    def _period(self, row: int) -> tuple[dt.date | None, dt.date | None]:
        view = self.view("timeperiod")
        ends = [view.date(row, column) for column in ("fromdate", "todate")]
        days = [dt.date.fromisoformat(end[:10]) if end else None for end in ends]
        return days[0], days[1]

    def _yearly(
        self, item: int, periods: list[int], spans: Spans, exceptions: dict[dt.date, Spans]
    ) -> None:
        """A day that recurs each year: `Month` 0 is January."""
        view = self.view("exception")
        month, day = int(view.number(item, "month")) + 1, int(view.number(item, "monthday", 1))
        for period in periods:
            first, last = self._period(period)
            if first is None or last is None:
                continue
            for year in range(first.year, min(last.year, first.year + _FOREVER) + 1):
                try:
                    found = dt.date(year, month, day)
                except ValueError:
                    continue  # 29 February
                if first <= found <= last:
                    exceptions[found] = spans

    # Tasks.

    def tasks(self) -> None:
        """Activities, and the summaries above them."""
        view, trail = self.view_of_tasks, list[_Task]()
        for row in view.rows:
            if view.text(row, "isnull") == "1":
                continue  # a blank line
            level = int(view.number(row, "outlinelevel", 1))
            task = _Task(row, view.text(row, "uid"), level)
            if task.uid in self.by_uid:
                what = f"UID {task.uid} stands twice"
                self.programme.wrong(view.place(row), what, "", "export the file again")
                continue
            while trail and trail[-1].level >= level:
                trail.pop()
            if trail:
                trail[-1].below.append(task)
            trail.append(task)
            self.by_uid[task.uid] = task
        begin = self.project.date(0, "startdate") if self.project.rows else None
        self.programme.begin = begin
        progress = False
        for task in self.by_uid.values():
            summary = bool(task.below) or view.text(task.row, "summary") == "1" or task.level == 0
            if summary:
                self.summaries.append(task)
            else:
                progress |= self._activity(task)
        if self.project.rows:
            currency, place = self.project.text(0, "currencycode"), self.project.place(0)
            self.programme.add_costs(self.costs, currency, place)
        if not any(task.name for task in self.by_uid.values()):
            hint = "export the tasks too"
            self.programme.wrong(self.project.place(0), "there is no task", "", hint)
        if progress:
            date = self.project.date(0, "statusdate") or self.project.date(0, "currentdate")
            what = f"the schedule holds progress up to {date or 'its status date'}"
            hint = "let the twin's as_of be that day"
            self.programme.left_out(self.project.place(0), what, "", hint)

    def _activity(self, task: _Task) -> bool:
        """One activity; returns whether it has progress."""
        view, row = self.view_of_tasks, task.row
        title, place = view.text(row, "name") or f"task {task.uid}", view.place(row)
        for column, bad, what in (
            ("active", "0", "is inactive"),
            ("externaltask", "1", "belongs to another project"),
        ):
            if view.text(row, column) == bad:
                self.left.add(task.uid)
                self.programme.left_out(place, f"{title!r} {what} and is left out")
                return False
        task.seconds = self._seconds(row, "duration")
        uid = view.text(row, "calendaruid")
        own = uid if uid not in ("", "-1") else self._default(place)
        elapsed = is_elapsed(view.text(row, "durationformat")) and task.seconds > 0
        task.calendar = ALL_TIME if elapsed else self.programme.use_calendar(own, place)
        activity: Row = {"description": title}
        activity["duration"] = hours(task.seconds)
        if task.calendar:
            activity["calendar"] = task.calendar
        progress = self._status(task, activity)
        task.name = self.programme.add_activity(title, task.uid, activity, place)
        self._constraints(task, title)
        self.costs[task.name] = view.number(row, "cost") / 100
        if view.number(row, "levelingdelay"):
            what = f"{title!r}: a delay by levelling is left out"
            self.programme.left_out(place, what, "crews are levelled when it is simulated")
        return progress

    def _default(self, place: Place) -> str:
        """The project's calendar; a file without any has Project's own."""
        uid = self.project.text(0, "calendaruid")
        if not uid and not self.view("calendar").rows:
            if not self.assumed:
                what = "the file has no calendar: Monday to Friday, 8 to 12 and 13 to 17, is used"
                self.programme.left_out(place, what, "", "export it with its calendars")
                self.programme.know_calendar("", WorkCalendar("Standard", _STANDARD, {}, place))
            self.assumed = True
        return uid

    def _seconds(self, row: int, column: str) -> float:
        text = self.view_of_tasks.text(row, column)
        match = _DURATION.fullmatch(text)
        if match is None:
            if text:
                place = self.view_of_tasks.place(row)
                self.programme.wrong(place, f"{column} {text!r} is not such as PT8H0M0S")
            return 0.0
        return int(match[1]) * HOUR + int(match[2]) * 60 + float(match[3])

    def _status(self, task: _Task, activity: Row) -> bool:
        """What was begun and done."""
        view, row = self.view_of_tasks, task.row
        started, finished = view.date(row, "actualstart"), view.date(row, "actualfinish")
        if not started and not finished:
            if view.number(row, "percentcomplete"):
                what = f"{activity['description']!r} is begun without an actual start"
                self.programme.wrong(view.place(row), what, "", "give it its ActualStart")
            return False
        activity["started"] = started or finished
        if finished:
            activity["finished"] = finished
        elif view.text(row, "remainingduration"):
            activity["remaining"] = hours(self._seconds(row, "remainingduration"))
        else:
            share = 1 - view.number(row, "percentcomplete") / 100
            activity["remaining"] = hours(task.seconds * share)
        return True

    def _constraints(self, task: _Task, title: str) -> None:
        view, row, name = self.view_of_tasks, task.row, task.name
        assert name is not None
        place, given = view.place(row), view.text(row, "constrainttype")
        date = view.date(row, "constraintdate")
        if given not in ("", "0"):
            kind = _CONSTRAINTS.get(given)
            if kind is None or (date is None and kind != "late"):
                self.programme.wrong(place, f"{title!r}: the constraint {given} has no date")
            else:
                self.programme.constrain(name, kind, date or "", place)
        deadline = view.date(row, "deadline")
        if deadline:
            self.programme.constrain(name, "finish by", deadline, place)
        start = view.date(row, "start")
        if view.text(row, "manual") == "1" and start:
            what = f"{title!r} is scheduled by hand: it starts no earlier than {start}"
            self.programme.left_out(place, what, "but later if it must")
            self.programme.constrain(name, "start from", start, place)

    # Links.

    def links(self) -> None:
        """Links between activities; those of a summary task hold for the tasks below it."""
        view, inside = self.view("predecessorlink"), self.inside("predecessorlink")
        for task in self.by_uid.values():
            for row in inside.get(("task", task.row), []):
                place, uid = view.place(row), view.text(row, "predecessoruid")
                before = self.by_uid.get(uid)
                if task.uid in self.left or uid in self.left:
                    continue  # told with the task
                if before is None or view.text(row, "crossproject") == "1":
                    what = f"a link leads to task {uid}, which is not in the file"
                    self.programme.left_out(place, what)
                    continue
                kind = _LINKS.get(view.text(row, "type"))
                if kind is None:
                    what = f"unknown type of link {view.text(row, 'type')!r}"
                    self.programme.wrong(place, what)
                    continue
                self._link(row, before, task, kind)

    def _link(self, row: int, before: _Task, after: _Task, kind: str) -> None:
        view = self.view("predecessorlink")
        place = view.place(row)
        if after.name is None and kind in ("FF", "SF"):
            what = f"a link ({kind}) to the end of a summary task is left out"
            self.programme.left_out(place, what, "only its tasks can be linked")
            return
        sources = self._sources(before, kind, place)
        number, unit = view.number(row, "linklag"), view.text(row, "lagformat")
        for target in after.leaves():
            for source, seconds in sources:
                lag = seconds * number / 100 if unit in _PERCENT else number * 6
                calendar = ALL_TIME if is_elapsed(unit) else target.calendar
                assert target.name is not None
                if source == target.name:
                    self.programme.wrong(place, f"{source} waits for itself")
                else:
                    self.programme.link(source, target.name, kind, lag, calendar)

    def _sources(self, before: _Task, kind: str, place: Place) -> list[tuple[str, float]]:
        """Names and durations of the activities that a link comes from."""
        if before.name is not None:
            return [(before.name, before.seconds)]
        if kind in ("FS", "FF"):
            return [(self._end_of(before), 0.0)] if before.leaves() else []
        first = self._first(before.leaves())
        if len(first) > 1:
            what = f"a link ({kind}) from the start of a summary task waits for all that begin it"
            self.programme.left_out(place, what, f"{len(first)} tasks below it have none before")
        return [(task.name, task.seconds) for task in first if task.name is not None]

    def _first(self, leaves: Sequence[_Task]) -> list[_Task]:
        """Activities that come after none of the others."""
        inside, view = self.inside("predecessorlink"), self.view("predecessorlink")
        own = {task.uid for task in leaves}
        return [
            task
            for task in leaves
            if not own
            & {view.text(r, "predecessoruid") for r in inside.get(("task", task.row), [])}
        ]

    def _end_of(self, summary: _Task) -> str:
        """The milestone after all activities of a summary task, made when it is needed."""
        if summary.uid not in self.done:
            view = self.view_of_tasks
            title = view.text(summary.row, "name") or f"task {summary.uid}"
            leaves = [leaf.name for leaf in summary.leaves()]
            row: Row = {
                "description": f"{title}: all done",
                "duration": MILESTONE,
                "calendar": ALL_TIME,
            }
            row["after"] = leaves
            name = self.programme.add_activity(
                f"{title}_done", summary.uid, row, view.place(summary.row)
            )
            self.done[summary.uid] = name
        return self.done[summary.uid]

    def dates_of_summaries(self) -> None:
        """Constraints and deadlines of summary tasks."""
        view = self.view_of_tasks
        for summary in self.summaries:
            place, given = view.place(summary.row), view.text(summary.row, "constrainttype")
            date = view.date(summary.row, "constraintdate")
            kind = _CONSTRAINTS.get(given)
            deadline = view.date(summary.row, "deadline")
            if (kind is None and not deadline) or not summary.leaves():
                continue
            if kind == "start from" and date:
                for leaf in summary.leaves():
                    assert leaf.name is not None
                    self.programme.constrain(leaf.name, "start from", date, place)
            elif kind == "finish by" and date:
                self.programme.constrain(self._end_of(summary), "finish by", date, place)
            elif kind is not None:
                what = f"a summary task's constraint ({kind}) is left out"
                self.programme.left_out(place, what)
            if deadline:
                self.programme.constrain(self._end_of(summary), "finish by", deadline, place)

    # Resources and phases.

    def resources(self) -> None:
        """Work resources as crews, and what activities need of them."""
        view, crews = self.view("resource"), dict[str, tuple[str, str]]()
        week = {view.text(row, "calendaruid") for row in view.rows}
        used: set[str] = set()
        for row in view.rows:
            kind = view.text(row, "type")
            title = view.text(row, "name")
            if kind in ("0", "2") or not title or view.text(row, "isnull") == "1":
                continue  # material and costs are no crews
            name, uid = key_of(title), view.text(row, "uid")
            if name in used:
                name = f"{name}_{uid}"
            used.add(name)
            limit = view.number(row, "maxunits", 1.0)
            if limit > 0:
                self.programme.know_crew(name, limit)
                crews[uid] = (name, title)
        self._resource_calendars(week)
        named = {task.uid: task.name for task in self.by_uid.values() if task.name}
        needs = self.view("assignment")
        for row in needs.rows:
            task = named.get(needs.text(row, "taskuid"))
            crew = crews.get(needs.text(row, "resourceuid"))
            if task is None or crew is None:
                continue  # of a summary task, or of nobody
            activity = self.programme.activities[task]
            if "finished" not in activity and activity["duration"] != MILESTONE:
                units = needs.number(row, "units", 1.0)
                self.programme.need_crew(activity, *crew, units, needs.place(row))

    def _resource_calendars(self, used: set[str]) -> None:
        """Calendars of resources with days of their own are told."""
        view = self.view("calendar")
        for row in view.rows:
            own = ("calendar", row) in self.inside("weekdays") | self.inside("exceptions")
            if view.text(row, "isbasecalendar") == "0" and view.text(row, "uid") in used and own:
                what = f"the calendar of resource {view.text(row, 'name')!r} is not used"
                why = "an activity goes on in its own calendar"
                self.programme.left_out(view.place(row), what, why)

    def phases(self) -> None:
        """Phases: summary tasks with one milestone that comes after something."""
        view = self.view_of_tasks
        for summary in self.summaries:
            if summary.level == 0:
                continue
            ready = [
                task.name
                for task in summary.below
                if task.name and not task.seconds and view.text(task.row, "milestone") == "1"
                if self.programme.activities[task.name].get("after")
            ]
            if len(ready) == 1:
                title = view.text(summary.row, "name") or f"task {summary.uid}"
                name = key_of(title)
                if name in self.programme.phases:
                    name = f"{name}_{summary.uid}"
                self.programme.phases[name] = {"description": title, "ready": ready[0]}
                place = view.place(summary.row)
                self.programme.sources.add_line(("phases", name), place.file, place.line)


def _minutes(text: str) -> int | None:
    """Minutes from midnight of `08:00:00`; None if it is no time of day."""
    match = re.fullmatch(r"(\d{2}):(\d{2})(?::\d{2})?", text)
    minutes = int(match[1]) * 60 + int(match[2]) if match else DAY_MINUTES + 1
    return minutes if minutes <= DAY_MINUTES else None
