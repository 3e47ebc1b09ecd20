"""What schedules of Microsoft Project and Primavera P6 have in common, as data of a programme.

Both know activities with working time in a calendar, four types of links with lags, calendars
with exceptions, constraints, resources, and progress. What a programme cannot say is told by a
finding where it stands, and left out or read as the nearest that it can say.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from firsttoken.twin.findings import Finding, Findings, Place
from firsttoken.twin.schedule_files import PARENT
from firsttoken.twin.source import SourceMap
from firsttoken.twin.tables import Table

Row = dict[str, Any]
Spans = tuple[tuple[int, int], ...]
"""Working times of a day: (from, to) in minutes from midnight."""

HOUR: Final = 3600.0
MILESTONE: Final = "0 hour"
"""Duration of a milestone."""
DAY_MINUTES: Final = 24 * 60
ALL_TIME: Final = "all"
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SHOWN: Final = 3

Constraint = Literal[
    "start from", "start on", "start by", "finish from", "finish on", "finish by", "late"
]


@dataclass(frozen=True, slots=True)
class WorkCalendar:
    """A calendar as the schedule has it.

    Attributes
    ----------
    title : its name there.
    week : working times of Monday to Sunday.
    exceptions : working times of days that differ from their weekday.
    """

    title: str
    week: tuple[Spans, ...]
    exceptions: Mapping[dt.date, Spans] = field(default_factory=dict)
    place: Place = field(default_factory=Place)


def whole_days(spans: Iterable[tuple[int, int]]) -> Spans:
    """Spans in order; one that ends where it begins, at midnight, is the whole day."""
    return tuple(
        sorted((first, last if last > first else last + DAY_MINUTES) for first, last in spans)
    )


def hours(seconds: float) -> str:
    """A duration as it stands in a file: `36.5 hour`."""
    return f"{seconds / HOUR:.10g} hour"


def key_of(text: str) -> str:
    """A name that can stand in a path: letters, digits, underscores and hyphens."""
    return re.sub(r"[^\w\-]+", "_", text.strip()).strip("_") or "unnamed"


class Programme:
    """A programme in the making: plain data in the shape of `build.model.Build`."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.sources = SourceMap()
        self.activities: dict[str, Row] = {}
        self.crews: dict[str, Row] = {}
        self.phases: dict[str, Row] = {}
        self.calendars: dict[str, Row] = {}
        self.begin: str | None = None
        self._known: dict[str, WorkCalendar] = {}
        self._empty: set[str] = set()
        self._limits: dict[str, float] = {}

    # What cannot be said.

    def left_out(self, place: Place, what: str, why: str = "", hint: str = "") -> None:
        """Tell of something that a programme cannot say; the schedule is read without it."""
        self.findings.add(Finding(what, why, hint, "", "not-modelled", "warning", place))

    def wrong(self, place: Place, what: str, why: str = "", hint: str = "") -> None:
        """Tell of something that cannot be read."""
        self.findings.add(Finding(what, why, hint, code="schedule", place=place))

    def rest(self, tables: Sequence[Table], read: Iterable[str]) -> None:
        """Tell of tables with rows that nothing has read."""
        names = sorted(table.name for table in tables if len(table) and table.name not in read)
        if names:
            file = tables[0].file
            what = f"not read, as a programme has no use for it: {', '.join(names)}"
            place = Place(file, 1)
            self.findings.add(Finding(what, "", "", "", "not-used", "note", place))

    def add_costs(self, costs: Mapping[str, float], currency: str, place: Place) -> None:
        """Give activities their costs, if they are in USD."""
        known = {name: cost for name, cost in costs.items() if cost > 0}
        if known and currency != "USD":
            what = f"costs in {currency or 'an unnamed currency'} are left out"
            self.left_out(place, what, "costs are in USD", "write the activities' `cost`")
            return
        for name, cost in known.items():
            self.activities[name]["cost"] = f"{cost:.10g} USD"

    # Parts.

    def add_activity(self, wanted: str, other: str, row: Row, place: Place) -> str:
        """Add an activity under a name like `wanted`, made different by `other`; returns it."""
        name = key_of(wanted)
        if name in self.activities:
            name = f"{name}_{key_of(other)}"
        first, count = name, 2
        while name in self.activities:
            name, count = f"{first}_{count}", count + 1
        self.activities[name] = row
        self.sources.add_line(("activities", name), place.file, place.line)
        return name

    def know_calendar(self, key: str, calendar: WorkCalendar) -> None:
        """Keep a calendar, to be written when something uses it."""
        self._known[key] = calendar

    def use_calendar(self, key: str, place: Place) -> str | None:
        """Name of a calendar that something uses; all time is `all`; None: unknown, reported."""
        calendar = self._known.get(key)
        if calendar is None:
            self.wrong(place, f"calendar {key!r} is not in the file", "", "export it with its own")
            return None
        if not any(calendar.week):
            if key not in self._empty:
                what = f"calendar {calendar.title!r} has no working time"
                self.wrong(calendar.place, what, "work in it would never be done")
            self._empty.add(key)
            return None
        everything = ((0, DAY_MINUTES),)
        if not calendar.exceptions and all(spans == everything for spans in calendar.week):
            return ALL_TIME
        name = key_of(calendar.title)
        if name == ALL_TIME:
            name = f"calendar_{name}"
        if name in self.calendars and self.calendars[name]["_key"] != key:
            name = f"{name}_{key_of(key)}"
        if name not in self.calendars:
            self.calendars[name] = {"_key": key} | self._calendar(calendar)
            place = calendar.place
            self.sources.add_line(("calendars", name), place.file, place.line)
        return name

    def _calendar(self, calendar: WorkCalendar) -> Row:
        """Shifts and days off; days worked otherwise than their weekday are told."""
        closed, other = [], []
        for day, spans in sorted(calendar.exceptions.items()):
            if spans == calendar.week[day.weekday()]:
                continue
            if spans:
                other.append(day)
            else:
                closed.append(day.isoformat())
        if other:
            shown = ", ".join(day.isoformat() for day in other[:_SHOWN])
            more = f" and {len(other) - _SHOWN} more" if len(other) > _SHOWN else ""
            self.left_out(
                calendar.place,
                f"calendar {calendar.title!r}: {shown}{more} have hours of their own",
                "a calendar has shifts of a week and days off",
                "they are read as ordinary days of their weekday",
            )
        shifts = [_shift(days, spans) for spans, days in _alike(calendar.week)]
        return {"shifts": shifts, "closed": closed} if closed else {"shifts": shifts}

    def know_crew(self, name: str, limit: float) -> None:
        """Keep how many there are of a crew, to be written when something needs it."""
        self._limits[name] = limit

    def need_crew(self, row: Row, name: str, title: str, need: float, place: Place) -> None:
        """Let an activity need some of a crew; one needs at most what there is."""
        limit = self._limits[name]
        if need > limit * (1 + 1e-9):
            self.left_out(
                place,
                f"needs {need:g} of {title!r}, of which there are {limit:g}",
                "it could never begin",
                f"it is read as {limit:g}",
            )
        if min(need, limit) > 0:
            need = min(row.get("crew", {}).get(name, 0) + need, limit)
            row.setdefault("crew", {})[name] = float(f"{need:.10g}")
            self.crews.setdefault(name, {"description": title, "count": float(f"{limit:.10g}")})

    def constrain(self, name: str, kind: Constraint, date: str, place: Place) -> None:
        """Bind an activity to a date, as far as a programme can."""
        row = self.activities[name]
        if kind == "late":
            why = "activities are as early as they can be"
            self.left_out(place, f"{name}: as late as possible is not modelled", why)
        elif kind == "start by":
            why = "a deadline is of the end"
            self.left_out(place, f"{name}: to start by {date} is not modelled", why)
        elif kind in ("start from", "start on"):
            if kind == "start on":
                why = "it starts no earlier, but later if it must"
                self.left_out(place, f"{name}: to start on {date} is read as not before", why)
            if "started" not in row:
                row["earliest"] = max(date, row.get("earliest", date))
        else:
            if kind == "finish on":
                why = "it finishes no earlier, but later if it must"
                self.left_out(place, f"{name}: to finish on {date} is read as a deadline", why)
            if kind in ("finish on", "finish by"):
                row["deadline"] = min(date, row.get("deadline", date))
            if kind in ("finish on", "finish from") and "finished" not in row:
                self._not_before(name, row, date, place)

    def _not_before(self, name: str, row: Row, date: str, place: Place) -> None:
        """Let an activity finish no earlier: a milestone on that day finishes first."""
        milestone = {
            "description": f"{name} is not finished before this day",
            "duration": MILESTONE,
            "calendar": ALL_TIME,
            "earliest": date,
        }
        before = self.add_activity(f"{name}_not_before", "", milestone, place)
        row.setdefault("after", []).append({"activity": before, "type": "FF"})

    def link(self, before: str, after: str, kind: str, lag: float, calendar: str | None) -> None:
        """Link two activities; `lag` in s, in a calendar or (None) all time."""
        links = self.activities[after].setdefault("after", [])
        if kind == "FS" and not lag:
            links.append(before)
            return
        row: Row = {"activity": before, "type": kind}
        if lag:
            row["lag"] = hours(lag)
            if calendar not in (None, ALL_TIME):
                row["lag_calendar"] = calendar
        links.append(row)

    def data(self) -> tuple[Row, SourceMap]:
        """The programme as plain data, and where its parts stand."""
        calendars = {
            name: {key: item for key, item in row.items() if key != "_key"}
            for name, row in self.calendars.items()
        }
        found: Row = {"begin": self.begin, "calendars": calendars}
        found |= {"crews": self.crews, "phases": self.phases, "activities": self.activities}
        return {key: item for key, item in found.items() if item}, self.sources


def _alike(week: Sequence[Spans]) -> list[tuple[Spans, list[int]]]:
    """Working times that occur in a week, each with its days."""
    found: dict[Spans, list[int]] = {}
    for day, spans in enumerate(week):
        if spans:
            found.setdefault(spans, []).append(day)
    return list(found.items())


def _shift(days: Sequence[int], spans: Spans) -> str:
    if len(days) == 7:
        label = "daily"
    elif len(days) > 2 and days[-1] - days[0] == len(days) - 1:
        label = f"{_DAYS[days[0]]}-{_DAYS[days[-1]]}"
    else:
        label = ",".join(_DAYS[day] for day in days)
    return f"{label} {' '.join(f'{_clock(first)}-{_clock(last)}' for first, last in spans)}"


def _clock(minutes: int) -> str:
    """Time of day; 24:00 is the end of a day, beyond it the time of the day after."""
    if minutes > DAY_MINUTES:
        minutes -= DAY_MINUTES
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


class View:
    """Cells of one table."""

    def __init__(self, table: Table | None, programme: Programme) -> None:
        self.table, self.programme = table, programme

    @property
    def rows(self) -> range:
        """Numbers of the rows."""
        return range(len(self.table) if self.table is not None else 0)

    def place(self, row: int) -> Place:
        """Where a row stands."""
        return self.table.place(row) if self.table is not None else Place()

    def text(self, row: int, column: str) -> str:
        """A cell; '' if it is blank or there is no such column."""
        cells = self.table.columns.get(column) if self.table is not None else None
        return "" if cells is None or cells[row] is None else str(cells[row])

    def number(self, row: int, column: str, default: float = 0.0) -> float:
        """A number; what is none is reported and read as the default."""
        text = self.text(row, column)
        try:
            number = float(text) if text else default
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self.programme.wrong(self.place(row), f"{column} {text!r} is not a number")
            return default
        return number

    def date(self, row: int, column: str) -> str | None:
        """A moment such as `2026-03-02T08:00`; what is none is reported."""
        text = self.text(row, column)
        if not text:
            return None
        try:
            return dt.datetime.fromisoformat(text).strftime("%Y-%m-%dT%H:%M")
        except ValueError:
            self.programme.wrong(self.place(row), f"{column} {text!r} is not a date")
            return None


def read_schedule_tables(tables: Mapping[str, Table], findings: Findings) -> tuple[Row, SourceMap]:
    """A programme's plain data from the tables of a schedule.

    Parameters
    ----------
    tables : those of one file: XML of Microsoft Project, or XER of Primavera P6.
    findings : gets what cannot be read, or cannot be said of a programme.
    """
    from firsttoken.build.table_msproject import read_msproject
    from firsttoken.build.table_xer import read_xer_schedule

    first = next(iter(tables.values()), None)
    if first is None:
        return {}, SourceMap()
    if first.name == "project" and PARENT in first.columns:
        return read_msproject(tables, findings)
    if "project" in tables and "proj_id" in tables["project"].columns:
        return read_xer_schedule(tables, findings)
    what = "these tables are no schedule of Microsoft Project or Primavera P6"
    hint = "name an XML file of Microsoft Project, or an XER file"
    if first.name == "apibusinessobjects":
        hint = "this is Primavera's own XML: export the schedule as XER"
    findings.add(Finding(what, "", hint, code="schedule", place=first.place(-1)))
    return {}, SourceMap()
