"""Schedules of Microsoft Project and Primavera P6, written for tests from a plain description.

The writers follow the published formats (mspdi_pj12.xsd; XER of P6) and share nothing with the
readers.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

from firsttoken.twin.findings import Findings
from firsttoken.twin.source import SourceMap
from firsttoken.twin.tables import read_tables

FOLDER = Path(__file__).parent / "schedules"
Week = tuple[tuple[tuple[int, int], ...], ...]
"""Hours (from, to) of Monday to Sunday."""

OFFICE: Week = (((8, 12), (13, 17)),) * 5 + ((), ())


@dataclass(frozen=True)
class Work:
    """An activity: hours, links (before, type, lag in hours) by position."""

    hours: int
    calendar: int = 0
    links: tuple[tuple[int, str, int], ...] = ()
    crew: float = 0.0
    more: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """Activities in calendars with days off."""

    work: Sequence[Work]
    weeks: Sequence[Week] = (OFFICE,)
    off: Sequence[dt.date] = ()
    crew: float = 4.0


def read(path: Path) -> tuple[dict, SourceMap, Findings]:  # type: ignore[type-arg]
    """A file's programme as plain data."""
    from firsttoken.build.table_schedule import read_schedule_tables

    findings = Findings()
    data, sources = read_schedule_tables(read_tables(path, findings), findings)
    return data, sources, findings


def as_xml(plan: Plan, folder: Path) -> Path:
    """Write a plan as Microsoft Project does; activities are called A0, A1, ..."""
    codes = {"FF": 0, "FS": 1, "SF": 2, "SS": 3}
    calendars = ""
    for number, week in enumerate(plan.weeks):
        days = ""
        for day, spans in enumerate(week):
            times = "".join(
                f"<WorkingTime><FromTime>{a:02d}:00:00</FromTime>"
                f"<ToTime>{b % 24:02d}:00:00</ToTime></WorkingTime>"
                for a, b in spans
            )
            inner = f"<WorkingTimes>{times}</WorkingTimes>" if spans else ""
            working = 1 if spans else 0
            days += (
                f"<WeekDay><DayType>{(day + 1) % 7 + 1}</DayType>"
                f"<DayWorking>{working}</DayWorking>{inner}</WeekDay>"
            )
        off = "".join(
            f"<Exception><TimePeriod><FromDate>{day}T00:00:00</FromDate>"
            f"<ToDate>{day}T23:59:00</ToDate></TimePeriod><Type>1</Type>"
            "<DayWorking>0</DayWorking></Exception>"
            for day in plan.off
        )
        calendars += (
            f"<Calendar><UID>{number + 1}</UID><Name>C{number}</Name>"
            f"<IsBaseCalendar>1</IsBaseCalendar><WeekDays>{days}</WeekDays>"
            f"<Exceptions>{off}</Exceptions></Calendar>"
        )
    tasks, assignments = "", ""
    for number, work in enumerate(plan.work):
        links = "".join(
            f"<PredecessorLink><PredecessorUID>{before + 1}</PredecessorUID>"
            f"<Type>{codes[kind]}</Type><CrossProject>0</CrossProject>"
            f"<LinkLag>{lag * 600}</LinkLag><LagFormat>5</LagFormat></PredecessorLink>"
            for before, kind, lag in work.links
        )
        more = "".join(f"<{key}>{escape(text)}</{key}>" for key, text in work.more.items())
        tasks += (
            f"<Task>\n<UID>{number + 1}</UID><Name>A{number}</Name><OutlineLevel>1</OutlineLevel>"
            f"<Summary>0</Summary><Duration>PT{work.hours}H0M0S</Duration>"
            f"<DurationFormat>5</DurationFormat><CalendarUID>{work.calendar + 1}</CalendarUID>"
            f"{more}{links}</Task>\n"
        )
        if work.crew:
            assignments += (
                f"<Assignment><TaskUID>{number + 1}</TaskUID><ResourceUID>1</ResourceUID>"
                f"<Units>{work.crew}</Units></Assignment>"
            )
    path = folder / "plan.xml"
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<Project xmlns="http://schemas.microsoft.com/project">'
        "<StartDate>2026-05-18T08:00:00</StartDate><CalendarUID>1</CalendarUID>"
        f"<Calendars>{calendars}</Calendars><Tasks>\n{tasks}</Tasks>"
        f"<Resources><Resource><UID>1</UID><Name>Crew</Name><Type>1</Type>"
        f"<MaxUnits>{plan.crew}</MaxUnits></Resource></Resources>"
        f"<Assignments>{assignments}</Assignments></Project>\n"
    )
    return path


def as_xer(plan: Plan, folder: Path, **tables: list[dict[str, object]]) -> Path:
    """Write a plan as Primavera P6 does; `tables` adds rows, or columns to those there are."""
    serial = dt.date(1899, 12, 30)

    def slots(spans: Sequence[tuple[int, int]]) -> str:
        return "".join(
            f"(0||{i}(s|{a:02d}:00|f|{b % 24:02d}:00)())" for i, (a, b) in enumerate(spans)
        )

    rows: dict[str, list[dict[str, object]]] = {
        "PROJECT": [{"proj_id": 1, "clndr_id": 100, "plan_start_date": "2026-05-18 08:00"}],
        "CALENDAR": [],
        "SCHEDOPTIONS": [{"sched_calendar_on_relationship_lag": "rcal_Successor"}],
        "RSRC": [{"rsrc_id": 1, "rsrc_short_name": "Crew", "rsrc_type": "RT_Labor"}],
        "RSRCRATE": [{"rsrc_id": 1, "max_qty_per_hr": plan.crew}],
        "TASK": [],
        "TASKPRED": [],
        "TASKRSRC": [],
    }
    for number, week in enumerate(plan.weeks):
        days = [f"(0||{(day + 1) % 7 + 1}()({slots(week[day])}))" for day in (6, 0, 1, 2, 3, 4, 5)]
        off = "".join(f"(0||{i}(d|{(day - serial).days})())" for i, day in enumerate(plan.off))
        text = f"(0||CalendarData()((0||DaysOfWeek()({''.join(days)}))(0||Exceptions()({off}))))"
        rows["CALENDAR"].append(
            {"clndr_id": 100 + number, "clndr_name": f"C{number}", "clndr_data": text}
        )
    for number, work in enumerate(plan.work):
        rows["TASK"].append(
            {
                "task_id": number + 1,
                "proj_id": 1,
                "clndr_id": 100 + work.calendar,
                "task_type": "TT_Task",
                "status_code": "TK_NotStart",
                "task_code": f"A{number}",
                "task_name": f"A{number}",
                "target_drtn_hr_cnt": work.hours,
                **work.more,
            }
        )
        for before, kind, lag in work.links:
            link = {"task_id": number + 1, "pred_task_id": before + 1, "proj_id": 1}
            rows["TASKPRED"].append({**link, "pred_type": f"PR_{kind}", "lag_hr_cnt": lag})
        if work.crew:
            rows["TASKRSRC"].append(
                {"task_id": number + 1, "rsrc_id": 1, "target_qty_per_hr": work.crew}
            )
    for name, extra in tables.items():
        rows.setdefault(name, []).extend(extra)
    lines = ["ERMHDR\t19.12\t2026-05-15\tProject"]
    for name, items in rows.items():
        names = list(dict.fromkeys(key for item in items for key in item))
        lines += [f"%T\t{name}", "\t".join(["%F", *names])]
        lines += ["\t".join(["%R", *(str(item.get(key, "")) for key in names)]) for item in items]
    path = folder / "plan.xer"
    path.write_text("\r\n".join([*lines, "%E", ""]), newline="")
    return path
