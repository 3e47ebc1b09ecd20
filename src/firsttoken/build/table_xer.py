"""Primavera P6's XER tables to the plain data of a programme.

Tables and fields are those of the XER export of P6 19 to 24: PROJECT, CALENDAR, PROJWBS, TASK,
TASKPRED, RSRC, RSRCRATE, TASKRSRC, SCHEDOPTIONS. Durations and lags are hours of working time.
How P6's terms are read:

* an activity's name is its `task_code`; level-of-effort and WBS-summary activities span others
  and drive none: they are left out;
* `target_drtn_hr_cnt` is the duration, of work in progress `remain_drtn_hr_cnt` what remains;
* a lag runs in the calendar of the predecessor, unless SCHEDOPTIONS says otherwise;
* labour and equipment with a maximum are crews, material is not;
* a WBS element with one finish milestone is a phase, ready with it;
* all projects of the file are read as one programme, which begins with the earliest of them.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Final

from firsttoken.build.table_schedule import (
    ALL_TIME,
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
from firsttoken.twin.findings import Findings
from firsttoken.twin.source import SourceMap
from firsttoken.twin.tables import Table

_READ: Final = (
    "project calendar projwbs task taskpred rsrc rsrcrate taskrsrc projcost currtype schedoptions"
)
_EPOCH: Final = dt.date(1899, 12, 30)
_DAY: Final = re.compile(r"\(0\|\|([1-7])\(\)")
_SLOT: Final = re.compile(r"s\|(\d{1,2}):(\d{2})\|f\|(\d{1,2}):(\d{2})")
_FINISH_FIRST: Final = re.compile(r"f\|(\d{1,2}:\d{2})\|s\|(\d{1,2}:\d{2})")
_EXCEPTION: Final = re.compile(r"\(d\|(\d+)\)")
_TYPES: Final = {"PR_FS": "FS", "PR_SS": "SS", "PR_FF": "FF", "PR_SF": "SF"}
_MILESTONES: Final = ("TT_Mile", "TT_FinMile")
_CONSTRAINTS: Final[Mapping[str, Constraint]] = {
    "CS_MSO": "start on",
    "CS_MSOA": "start from",
    "CS_MSOB": "start by",
    "CS_MEO": "finish on",
    "CS_MEOA": "finish from",
    "CS_MEOB": "finish by",
    "CS_MANDSTART": "start on",
    "CS_MANDFIN": "finish on",
    "CS_ALAP": "late",
}


def read_xer_schedule(tables: Mapping[str, Table], findings: Findings) -> tuple[Row, SourceMap]:
    """Read the tables of an XER file; findings get what a programme cannot say."""
    reader = _Reader(tables, findings)
    reader.projects()
    reader.calendars()
    reader.resources()
    reader.tasks()
    reader.links()
    reader.assignments()
    reader.costs()
    reader.wbs()
    reader.programme.rest(list(tables.values()), _READ.split())
    return reader.programme.data()


def parse_calendar(text: str) -> tuple[tuple[Spans, ...], dict[dt.date, Spans]]:
    """Working times of Monday to Sunday, and of days that differ, from `clndr_data`.

    A day of the week is `(0||2()(slots))` with 1 for Sunday, a slot `(0||0(s|08:00|f|12:00)())`,
    an exception `(0||0(d|46192)(slots))` with days from 1899-12-30; without slots nobody works.
    Days end with 24:00, which is also written 00:00 and 23:59.

    Raises
    ------
    ValueError
        If a slot has no such time of day, or an exception no such day.
    """
    text = _FINISH_FIRST.sub(r"s|\2|f|\1", text)
    head, _, tail = text.partition("Exceptions")
    week: list[Spans] = [()] * 7
    _, _, days = head.partition("DaysOfWeek")
    found = list(_DAY.finditer(days))
    for index, match in enumerate(found):
        end = found[index + 1].start() if index + 1 < len(found) else len(days)
        week[(int(match[1]) + 5) % 7] = _slots(days[match.end() : end])
    exceptions: dict[dt.date, Spans] = {}
    marks = list(_EXCEPTION.finditer(tail))
    for index, match in enumerate(marks):
        end = marks[index + 1].start() if index + 1 < len(marks) else len(tail)
        if len(match[1]) > 6:
            raise ValueError(f"day {match[1]} of an exception is beyond all calendars")
        exceptions[_EPOCH + dt.timedelta(days=int(match[1]))] = _slots(tail[match.end() : end])
    return tuple(week), exceptions


def _slots(text: str) -> Spans:
    spans = []
    for match in _SLOT.finditer(text):
        first, last = (int(match[i]) * 60 + int(match[i + 1]) for i in (1, 3))
        if first >= 24 * 60 or last > 24 * 60 or max(int(match[2]), int(match[4])) > 59:
            raise ValueError(f"{match[0]} has no such time of day")
        spans.append((first, 24 * 60 if last == 24 * 60 - 1 else last))
    return whole_days(spans)


class _Reader:
    """Reads one table after the other."""

    def __init__(self, tables: Mapping[str, Table], findings: Findings) -> None:
        self.tables = tables
        self.programme = Programme(findings)
        self.names: dict[str, str] = {}
        self.skipped: dict[str, str] = {}
        self.calendar_of: dict[str, str | None] = {}
        self.crews: dict[str, tuple[str, str]] = {}
        self.default: dict[str, str] = {}
        self.milestones: dict[str, list[str]] = {}
        self.progress = False
        self.data_date = ""

    def view(self, name: str) -> View:
        """A table; one without rows if it is not there."""
        return View(self.tables.get(name), self.programme)

    def projects(self) -> None:
        """The first day, the calendars by default, and whether there is progress."""
        view = self.view("project")
        begins = []
        for row in view.rows:
            self.default[view.text(row, "proj_id")] = view.text(row, "clndr_id")
            begin = view.date(row, "plan_start_date")
            if begin:
                begins.append(begin)
            self.data_date = max(self.data_date, view.date(row, "last_recalc_date") or "")
            finish = view.date(row, "plan_end_date")
            if finish:
                what = f"the project must finish by {finish}: no activity has this deadline"
                hint = "write a `deadline`, or `due`"
                self.programme.left_out(view.place(row), what, "", hint)
        if begins:
            self.programme.begin = min(begins)

    def calendars(self) -> None:
        """Calendars; one that has a base takes over the base's exceptions."""
        view = self.view("calendar")
        read: dict[str, tuple[tuple[Spans, ...], dict[dt.date, Spans]]] = {}
        base = {}
        for row in view.rows:
            key = view.text(row, "clndr_id")
            try:
                read[key] = parse_calendar(view.text(row, "clndr_data"))
            except ValueError as error:
                what = f"calendar {view.text(row, 'clndr_name') or key!r}: {error}"
                self.programme.wrong(view.place(row), what, "", "correct clndr_data")
                read[key] = ((),) * 7, {}
            base[key] = view.text(row, "base_clndr_id")
        for row in view.rows:
            key = view.text(row, "clndr_id")
            week, exceptions = read[key]
            inherited = read.get(base[key], (week, {}))[1] if base[key] != key else {}
            title = view.text(row, "clndr_name") or key
            everything = inherited | exceptions
            place = view.place(row)
            self.programme.know_calendar(key, WorkCalendar(title, week, everything, place))

    def resources(self) -> None:
        """Labour and equipment of which there is a maximum."""
        most: dict[str, float] = {}
        rates = self.view("rsrcrate")
        for row in rates.rows:
            key, limit = rates.text(row, "rsrc_id"), rates.number(row, "max_qty_per_hr")
            if key in most and limit != most[key]:
                what = f"resource {key}: its maximum changes with time"
                hint = "the largest counts; write a series as the crew's `count`"
                self.programme.left_out(rates.place(row), what, "", hint)
            most[key] = max(limit, most.get(key, 0.0))
        view = self.view("rsrc")
        for row in view.rows:
            key = view.text(row, "rsrc_id")
            if view.text(row, "rsrc_type") not in ("RT_Labor", "RT_Equip", ""):
                continue  # material is used up: no crew
            title = view.text(row, "rsrc_name") or key
            name = key_of(view.text(row, "rsrc_short_name") or title)
            if most.get(key, 0.0) > 0:
                self.programme.know_crew(name, most[key])
                self.crews[key] = (name, title)

    def tasks(self) -> None:
        """Activities with durations, calendars, states and constraints."""
        view = self.view("task")
        if not view.rows:
            hint = "export the activities too"
            self.programme.wrong(self.view("project").place(-1), "there is no activity", "", hint)
        for row in view.rows:
            self._task(view, row)
        if self.progress:
            project = self.view("project")
            what = f"the schedule holds progress up to {self.data_date or 'its data date'}"
            hint = "let the twin's as_of be that day"
            self.programme.left_out(project.place(-1), what, "", hint)
        elif self.data_date and self.programme.begin:
            self.programme.begin = max(self.programme.begin, self.data_date)

    def _task(self, view: View, row: int) -> None:
        key, code, place = view.text(row, "task_id"), view.text(row, "task_code"), view.place(row)
        kind = view.text(row, "task_type")
        if key in self.names or key in self.skipped:
            self.programme.wrong(place, f"task_id {key} stands twice", "", "export the file again")
            return
        if kind in ("TT_LOE", "TT_WBS"):
            self.skipped[key] = code
            what = f"{code} spans other activities ({kind}) and is left out"
            self.programme.left_out(place, what, "it drives none of them")
            return
        if kind == "TT_Rsrc":
            what = f"{code} goes by its resources' calendars: its own is used"
            self.programme.left_out(place, what)
        calendar = view.text(row, "clndr_id") or self.default.get(view.text(row, "proj_id"), "")
        self.calendar_of[key] = name = self.programme.use_calendar(calendar, place)
        duration = 0.0 if kind in _MILESTONES else view.number(row, "target_drtn_hr_cnt")
        activity: Row = {"duration": hours(duration * HOUR)}
        if view.text(row, "task_name"):
            activity = {"description": view.text(row, "task_name")} | activity
        if name:
            activity["calendar"] = name
        self._status(view, row, activity, duration)
        self.names[key] = self.programme.add_activity(code or key, key, activity, place)
        self._constraints(view, row, self.names[key])
        if kind == "TT_FinMile":
            self.milestones.setdefault(view.text(row, "wbs_id"), []).append(self.names[key])

    def _status(self, view: View, row: int, activity: Row, duration: float) -> None:
        """What was begun and done."""
        status, code = view.text(row, "status_code"), view.text(row, "task_code")
        started, finished = view.date(row, "act_start_date"), view.date(row, "act_end_date")
        if status == "TK_NotStart" or not (started or finished):
            if status in ("TK_Active", "TK_Complete"):
                self.programme.wrong(view.place(row), f"{code} is {status} without an actual date")
            return
        self.progress = True
        activity["started"] = started or finished
        if status == "TK_Complete" and finished:
            activity["finished"] = finished
            return
        remaining = view.number(row, "remain_drtn_hr_cnt", duration)
        activity["remaining"] = hours(remaining * HOUR)
        for column, what in (("suspend_date", "suspended"), ("expect_end_date", "expected")):
            date = view.date(row, column)
            if date:
                self.programme.left_out(
                    view.place(row),
                    f"{code} is {what} {'since' if what == 'suspended' else 'to end on'} {date}",
                    "work in progress goes on with what remains",
                    "change `remaining`",
                )

    def _constraints(self, view: View, row: int, name: str) -> None:
        for suffix in ("", "2"):
            given = view.text(row, f"cstr_type{suffix}")
            if not given:
                continue
            kind, place = _CONSTRAINTS.get(given), view.place(row)
            date = view.date(row, f"cstr_date{suffix}")
            if kind is None:
                self.programme.wrong(place, f"{name}: unknown constraint {given!r}")
            elif date or kind == "late":
                self.programme.constrain(name, kind, date or "", place)
            else:
                self.programme.wrong(place, f"{name}: the constraint {given} has no date")

    def links(self) -> None:
        """Links with types and lags."""
        options = self.view("schedoptions")
        rule = options.text(0, "sched_calendar_on_relationship_lag") if options.rows else ""
        view = self.view("taskpred")
        for row in view.rows:
            after, before = view.text(row, "task_id"), view.text(row, "pred_task_id")
            if after in self.skipped or before in self.skipped:
                continue  # told with the activity
            place = view.place(row)
            if after not in self.names or before not in self.names:
                missing = after if after not in self.names else before
                what = f"a link leads to activity {missing}, which is not in the file"
                self.programme.left_out(place, what, "", "export that project too")
                continue
            given = view.text(row, "pred_type")
            if given not in _TYPES:
                self.programme.wrong(place, f"unknown type of link {given!r}")
                continue
            if before == after:
                self.programme.wrong(place, f"{self.names[after]} waits for itself")
                continue
            lag = view.number(row, "lag_hr_cnt") * HOUR
            calendar = self._lag_calendar(rule, before, after, view.text(row, "proj_id"))
            names = self.names[before], self.names[after]
            self.programme.link(*names, _TYPES[given], lag, calendar)

    def _lag_calendar(self, rule: str, before: str, after: str, project: str) -> str | None:
        if rule == "rcal_24Hour":
            return ALL_TIME
        if rule == "rcal_Successor":
            return self.calendar_of[after]
        if rule.startswith("rcal_Proj"):
            place = self.view("project").place(-1)
            return self.programme.use_calendar(self.default.get(project, ""), place)
        return self.calendar_of[before]

    def assignments(self) -> None:
        """Crews that activities need."""
        view = self.view("taskrsrc")
        unlimited: set[str] = set()
        for row in view.rows:
            task, key = view.text(row, "task_id"), view.text(row, "rsrc_id")
            need = view.number(row, "target_qty_per_hr")
            activity = self.programme.activities.get(self.names.get(task, ""))
            if activity is None or "finished" in activity:
                continue
            if activity["duration"] == MILESTONE:
                continue
            if key in self.crews:
                name, title = self.crews[key]
                self.programme.need_crew(activity, name, title, need, view.place(row))
            elif key and need > 0 and self._is_worker(key):
                unlimited.add(key)
        if unlimited:
            shown = ", ".join(sorted(unlimited)[:3])
            what = f"{len(unlimited)} resources have no maximum (rsrc_id {shown}): no limit"
            hint = "write a crew for them if they are few"
            self.programme.left_out(view.place(-1), what, "", hint)

    def _is_worker(self, key: str) -> bool:
        view = self.view("rsrc")
        return any(
            view.text(row, "rsrc_id") == key
            and view.text(row, "rsrc_type") in ("RT_Labor", "RT_Equip", "")
            for row in view.rows
        )

    def costs(self) -> None:
        """Costs of assignments and expenses."""
        money = self.view("currtype")
        currency = money.text(0, "curr_short_name") if len(money.rows) == 1 else ""
        costs: dict[str, float] = {}
        for table in ("taskrsrc", "projcost"):
            view = self.view(table)
            for row in view.rows:
                name = self.names.get(view.text(row, "task_id"))
                if name is not None:
                    costs[name] = costs.get(name, 0.0) + view.number(row, "target_cost")
        self.programme.add_costs(costs, currency, self.view("task").place(-1))

    def wbs(self) -> None:
        """Phases: WBS elements with one finish milestone."""
        view = self.view("projwbs")
        for row in view.rows:
            ready = self.milestones.get(view.text(row, "wbs_id"), [])
            if len(ready) != 1 or view.text(row, "proj_node_flag") == "Y":
                continue
            name = key_of(view.text(row, "wbs_short_name") or view.text(row, "wbs_name"))
            if name in self.programme.phases:
                name = f"{name}_{view.text(row, 'wbs_id')}"
            phase = {"description": view.text(row, "wbs_name"), "ready": ready[0]}
            self.programme.phases[name] = phase
            place = view.place(row)
            self.programme.sources.add_line(("phases", name), place.file, place.line)
