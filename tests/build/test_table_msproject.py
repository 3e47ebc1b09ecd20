"""Microsoft Project's XML: each term of the schema, and what is told instead of dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.build.schedules import read

Row = dict[str, Any]
DAY = "<FromTime>08:00:00</FromTime><ToTime>16:00:00</ToTime>"


def calendar(uid: int, name: str, more: str = "", base: str = "") -> str:
    derived = f"<BaseCalendarUID>{base}</BaseCalendarUID>" if base else ""
    kind = 0 if base else 1
    return (
        f"\n<Calendar><UID>{uid}</UID><Name>{name}</Name><IsBaseCalendar>{kind}</IsBaseCalendar>"
        f"{derived}{more}</Calendar>"
    )


def task(uid: int, name: str, hours: int = 8, level: int = 1, **cells: object) -> str:
    links = str(cells.pop("links", ""))
    more = "".join(f"<{key}>{text}</{key}>" for key, text in cells.items())
    return (
        f"\n<Task><UID>{uid}</UID><Name>{name}</Name><OutlineLevel>{level}</OutlineLevel>"
        f"<Duration>PT{hours}H0M0S</Duration><DurationFormat>7</DurationFormat>"
        f"{more}{links}</Task>"
    )


def link(uid: int, kind: int = 1, lag: int = 0, unit: int = 7, more: str = "") -> str:
    return (
        f"<PredecessorLink><PredecessorUID>{uid}</PredecessorUID><Type>{kind}</Type>"
        f"<LinkLag>{lag}</LinkLag><LagFormat>{unit}</LagFormat>{more}</PredecessorLink>"
    )


def project(
    folder: Path,
    tasks: str,
    calendars: str = calendar(1, "Standard"),
    more: str = "",
    top: str = "",
) -> tuple[Row, list[str]]:
    path = folder / "plan.xml"
    path.write_text(
        '<Project xmlns="http://schemas.microsoft.com/project">'
        f"<StartDate>2026-05-18T08:00:00</StartDate><CalendarUID>1</CalendarUID>{top}"
        f"<Calendars>{calendars}</Calendars><Tasks>{tasks}</Tasks>{more}</Project>"
    )
    data, _, findings = read(path)
    return data, [str(found).removeprefix(f"{path}:") for found in findings]


def activities(folder: Path, tasks: str, **more: str) -> tuple[Row, list[str]]:
    data, said = project(folder, tasks, **more)
    return data.get("activities", {}), said


# Durations and calendars.


def test_days_that_a_calendar_does_not_say_are_projects_own(tmp_path: Path) -> None:
    data, said = project(tmp_path, task(1, "A"))
    assert not said
    assert data["calendars"] == {"Standard": {"shifts": ["mon-fri 08:00-12:00 13:00-17:00"]}}


def test_a_file_without_calendars_has_projects_own(tmp_path: Path) -> None:
    path = tmp_path / "plan.xml"
    path.write_text(
        f"<Project><StartDate>2026-05-18T08:00:00</StartDate><Tasks>{task(1, 'A')}"
        f"{task(2, 'B')}</Tasks></Project>"
    )
    data, _, findings = read(path)
    assert data["calendars"] == {"Standard": {"shifts": ["mon-fri 08:00-12:00 13:00-17:00"]}}
    assert [found.what.split(":")[0] for found in findings] == ["the file has no calendar"]


def test_elapsed_durations_run_all_the_time(tmp_path: Path) -> None:
    found, said = activities(tmp_path, task(1, "A", 72).replace("Format>7", "Format>8"))
    assert not said
    assert found["A"] == {"description": "A", "duration": "72 hour", "calendar": "all"}


def test_hours_and_minutes(tmp_path: Path) -> None:
    found, _ = activities(tmp_path, task(1, "A").replace("PT8H0M0S", "PT8H30M18S"))
    assert found["A"]["duration"] == "8.505 hour"
    _, said = activities(tmp_path, task(1, "A").replace("PT8H0M0S", "P3D"))
    assert "duration 'P3D' is not such as PT8H0M0S" in said[0]


def test_a_derived_calendar_takes_over_its_base(tmp_path: Path) -> None:
    night = "<WorkingTime><FromTime>22:00:00</FromTime><ToTime>00:00:00</ToTime></WorkingTime>"
    week = (
        "<WeekDays><WeekDay><DayType>6</DayType><DayWorking>1</DayWorking>"
        f"<WorkingTimes>{night}</WorkingTimes></WeekDay></WeekDays>"
    )
    off = (
        "<Exceptions><Exception><TimePeriod><FromDate>2026-12-24T00:00:00</FromDate>"
        "<ToDate>2026-12-28T23:59:00</ToDate></TimePeriod><Type>1</Type>"
        "<DayWorking>0</DayWorking></Exception></Exceptions>"
    )
    calendars = calendar(1, "Base", off) + calendar(2, "Nights", week, base="1")
    data, said = project(tmp_path, task(1, "A", CalendarUID=2), calendars)
    assert not said
    assert data["calendars"]["Nights"] == {
        "shifts": ["mon-thu 08:00-12:00 13:00-17:00", "fri 22:00-24:00"],
        "closed": ["2026-12-24", "2026-12-25", "2026-12-28"],  # 26 and 27 are a weekend
    }


def test_exceptions_of_older_files_stand_among_the_days(tmp_path: Path) -> None:
    days = (
        "<WeekDays><WeekDay><DayType>0</DayType><DayWorking>0</DayWorking><TimePeriod>"
        "<FromDate>2026-05-25T00:00:00</FromDate><ToDate>2026-05-25T23:59:00</ToDate>"
        "</TimePeriod></WeekDay></WeekDays>"
    )
    data, said = project(tmp_path, task(1, "A"), calendar(1, "Standard", days))
    assert not said
    assert data["calendars"]["Standard"]["closed"] == ["2026-05-25"]


@pytest.mark.parametrize(
    ("exception", "what"),
    [
        (f"<Type>1</Type><DayWorking>1</DayWorking><WorkingTimes><WorkingTime>{DAY}"
         "</WorkingTime></WorkingTimes>", "2026-05-23, 2026-05-24, 2026-05-25 and 2 more have"),
        ("<Type>6</Type><DayWorking>0</DayWorking>", "recurs in a way (type 6) that is not read"),
    ],
)  # fmt: skip
def test_exceptions_that_a_calendar_cannot_say_are_told(
    tmp_path: Path, exception: str, what: str
) -> None:
    period = (
        "<TimePeriod><FromDate>2026-05-23T00:00:00</FromDate>"
        "<ToDate>2026-05-27T23:59:00</ToDate></TimePeriod>"
    )
    more = f"<Exceptions><Exception>{period}{exception}</Exception></Exceptions>"
    _, said = project(tmp_path, task(1, "A"), calendar(1, "Standard", more))
    assert len(said) == 1
    assert what in said[0]
    assert "warning" in said[0]


def test_weeks_of_their_own_are_told(tmp_path: Path) -> None:
    more = "<WorkWeeks><WorkWeek><Name>Summer</Name></WorkWeek></WorkWeeks>"
    _, said = project(tmp_path, task(1, "A"), calendar(1, "Standard", more))
    assert "weeks with working times of their own are not modelled" in said[0]


def test_days_that_do_not_exist(tmp_path: Path) -> None:
    """29 February recurs in leap years only; an exception without dates is an error."""
    period = (
        "<TimePeriod><FromDate>2026-01-01T00:00:00</FromDate>"
        "<ToDate>2032-12-31T00:00:00</ToDate></TimePeriod>"
    )
    leap = (
        f"<Exception>{period}<Type>2</Type><Month>1</Month><MonthDay>29</MonthDay>"
        "<DayWorking>0</DayWorking></Exception>"
    )
    none = "<Exception><TimePeriod><Days>1</Days></TimePeriod><Type>1</Type></Exception>"
    more = f"<Exceptions>{leap}{none}</Exceptions>"
    data, said = project(tmp_path, task(1, "A"), calendar(1, "Standard", more))
    assert data["calendars"]["Standard"]["closed"] == ["2028-02-29"]  # 2032-02-29 is a Sunday
    assert "error: an exception has no dates" in said[0]


def test_times_that_do_not_exist(tmp_path: Path) -> None:
    day = (
        "<WeekDays><WeekDay><DayType>2</DayType><DayWorking>1</DayWorking><WorkingTimes>"
        "<WorkingTime><FromTime>25:00:00</FromTime><ToTime>26:00:00</ToTime></WorkingTime>"
        "</WorkingTimes></WeekDay></WeekDays>"
    )
    _, said = project(tmp_path, task(1, "A"), calendar(1, "Standard", day))
    assert "error: a working time has no such time of day" in said[0]


def test_what_stands_twice_or_waits_for_itself(tmp_path: Path) -> None:
    _, said = project(tmp_path, task(1, "A", links=link(1)) + task(1, "B"))
    assert "error: UID 1 stands twice" in said[1] or "error: UID 1 stands twice" in said[0]
    assert any("error: A waits for itself" in text for text in said)


def test_an_exception_of_years_is_told(tmp_path: Path) -> None:
    more = (
        "<Exceptions><Exception><TimePeriod><FromDate>2026-01-01T00:00:00</FromDate>"
        "<ToDate>2099-12-31T23:59:00</ToDate></TimePeriod><Type>1</Type></Exception></Exceptions>"
    )
    _, said = project(tmp_path, task(1, "A"), calendar(1, "Standard", more))
    assert "an exception of 27028 days" in said[0]


def test_a_calendar_that_is_not_there_or_never_opens(tmp_path: Path) -> None:
    _, said = project(tmp_path, task(1, "A", CalendarUID=9))
    assert "error: calendar '9' is not in the file" in said[0]
    closed = "".join(
        f"<WeekDay><DayType>{day}</DayType><DayWorking>0</DayWorking></WeekDay>"
        for day in range(1, 8)
    )
    calendars = calendar(1, "Never", f"<WeekDays>{closed}</WeekDays>")
    _, said = project(tmp_path, task(1, "A") + task(2, "B"), calendars)
    assert len(said) == 1
    assert "error: calendar 'Never' has no working time" in said[0]


# Links.


@pytest.mark.parametrize(
    ("unit", "lag", "expected"),
    [
        (7, 4800, {"lag": "8 hour", "lag_calendar": "Standard"}),
        (7, -4800, {"lag": "-8 hour", "lag_calendar": "Standard"}),
        (8, 43200, {"lag": "72 hour"}),
        (19, 25, {"lag": "10 hour", "lag_calendar": "Standard"}),
        (20, -50, {"lag": "-20 hour"}),
    ],
)
@pytest.mark.parametrize(("code", "kind"), [(0, "FF"), (1, "FS"), (2, "SF"), (3, "SS")])
def test_lags_are_tenths_of_minutes_or_shares(
    tmp_path: Path, unit: int, lag: int, expected: Row, code: int, kind: str
) -> None:
    found, said = activities(
        tmp_path, task(1, "A", 40) + task(2, "B", links=link(1, code, lag, unit))
    )
    assert not said
    assert found["B"]["after"] == [{"activity": "A", "type": kind} | expected]


def test_links_of_summary_tasks(tmp_path: Path) -> None:
    tasks = (
        task(1, "Shell")
        + task(2, "Steel", level=2)
        + task(3, "Roof", level=2, links=link(2))
        + task(4, "Fit-out", links=link(1))
        + task(5, "Cables", level=2)
        + task(6, "Racks", level=2)
        + task(7, "Early", links=link(1, 3))
        + task(8, "Vague", links=link(4, 3) + link(1, 0, 4800))
        + task(9, "Ends", links="")
        + task(10, "Below", level=2)
        + task(11, "Last", links=link(8))
    ).replace("<Name>Ends</Name>", f"<Name>Ends</Name>{link(8, 0)}")
    found, said = activities(tmp_path, tasks)
    assert found["Cables"]["after"] == ["Shell_done"]
    assert found["Racks"]["after"] == ["Shell_done"]
    assert found["Shell_done"]["after"] == ["Steel", "Roof"]
    assert found["Early"]["after"] == [{"activity": "Steel", "type": "SS"}]
    assert found["Vague"]["after"][:2] == [
        {"activity": "Cables", "type": "SS"},
        {"activity": "Racks", "type": "SS"},
    ]
    assert found["Vague"]["after"][2]["activity"] == "Shell_done"
    assert [text.partition(": ")[2] for text in said] == [
        "warning: a link (SS) from the start of a summary task waits for all that begin it, "
        "2 tasks below it have none before",
        "warning: a link (FF) to the end of a summary task is left out, "
        "only its tasks can be linked",
    ]


def test_links_that_lead_nowhere_are_told(tmp_path: Path) -> None:
    tasks = (
        task(1, "Off", Active=0)
        + task(2, "Other", ExternalTask=1)
        + task(3, "B", links=link(1) + link(2) + link(77) + link(1, 9))
        + task(4, "C", links=link(3, more="<CrossProject>1</CrossProject>") + link(3, 9))
    )
    found, said = activities(tmp_path, tasks)
    assert list(found) == ["B", "C"]
    assert [text.partition("warning: ")[2] or text.partition("error: ")[2] for text in said] == [
        "'Off' is inactive and is left out",
        "'Other' belongs to another project and is left out",
        "a link leads to task 77, which is not in the file",
        "a link leads to task 3, which is not in the file",
        "unknown type of link '9'",
    ]


# Constraints.


def constrained(folder: Path, code: int, **more: object) -> tuple[Row, list[str]]:
    cells = {"ConstraintType": code, "ConstraintDate": "2026-06-01T08:00:00", **more}
    return activities(folder, task(1, "A", **cells))


def test_constraints(tmp_path: Path) -> None:
    date = "2026-06-01T08:00"
    assert constrained(tmp_path, 4)[0]["A"]["earliest"] == date
    assert constrained(tmp_path, 7)[0]["A"]["deadline"] == date
    found, said = constrained(tmp_path, 6)
    assert not said
    assert found["A_not_before"]["earliest"] == date
    assert found["A_not_before"]["duration"] == "0 hour"
    assert found["A"]["after"] == [{"activity": "A_not_before", "type": "FF"}]
    found, said = constrained(tmp_path, 2)
    assert found["A"]["earliest"] == date
    assert "to start on 2026-06-01T08:00 is read as not before" in said[0]
    found, said = constrained(tmp_path, 3)
    assert found["A"]["deadline"] == found["A_not_before"]["earliest"] == date
    assert "is read as a deadline" in said[0]
    found, said = constrained(tmp_path, 5)
    assert "earliest" not in found["A"]
    assert "to start by 2026-06-01T08:00 is not modelled" in said[0]
    _, said = constrained(tmp_path, 1)
    assert "as late as possible is not modelled" in said[0]
    assert not constrained(tmp_path, 0)[1]
    _, said = activities(tmp_path, task(1, "A", ConstraintType=4))
    assert "error: 'A': the constraint 4 has no date" in said[0]


def test_the_earlier_deadline_counts(tmp_path: Path) -> None:
    found, _ = constrained(tmp_path, 7, Deadline="2026-05-29T17:00:00")
    assert found["A"]["deadline"] == "2026-05-29T17:00"


def test_dates_of_summary_tasks_hold_for_those_below(tmp_path: Path) -> None:
    tasks = (
        task(
            1,
            "Hall",
            ConstraintType=4,
            ConstraintDate="2026-06-01T08:00:00",
            Deadline="2026-07-01T17:00:00",
        )
        + task(2, "A", level=2)
        + task(3, "B", level=2)
        + task(4, "Yard", ConstraintType=2, ConstraintDate="2026-06-01T08:00:00")
        + task(5, "C", level=2)
    )
    found, said = activities(tmp_path, tasks)
    assert found["A"]["earliest"] == found["B"]["earliest"] == "2026-06-01T08:00"
    assert found["Hall_done"]["deadline"] == "2026-07-01T17:00"
    assert found["Hall_done"]["after"] == ["A", "B"]
    assert "a summary task's constraint (start on) is left out" in said[0]


def test_tasks_scheduled_by_hand_and_levelled(tmp_path: Path) -> None:
    found, said = activities(
        tmp_path, task(1, "A", Manual=1, Start="2026-06-08T08:00:00", LevelingDelay=4800)
    )
    assert found["A"]["earliest"] == "2026-06-08T08:00"
    assert "scheduled by hand" in said[0]
    assert "a delay by levelling is left out" in said[1]


# Progress.


def test_progress(tmp_path: Path) -> None:
    begun = {"ActualStart": "2026-05-18T08:00:00"}
    tasks = (
        task(1, "A", 40, PercentComplete=100, ActualFinish="2026-05-22T17:00:00", **begun)
        + task(2, "B", 40, PercentComplete=25, RemainingDuration="PT36H0M0S", **begun)
        + task(3, "C", 40, PercentComplete=25, **begun)
        + task(4, "D", 40)
    )
    found, said = activities(tmp_path, tasks, top="<StatusDate>2026-05-25T08:00:00</StatusDate>")
    assert found["A"]["started"] == "2026-05-18T08:00"
    assert found["A"]["finished"] == "2026-05-22T17:00"
    assert "remaining" not in found["A"]
    assert found["B"]["remaining"] == "36 hour"
    assert found["C"]["remaining"] == "30 hour"
    assert "started" not in found["D"]
    assert len(said) == 1
    assert "progress up to 2026-05-25T08:00 (hint: let the twin's as_of be that day)" in said[0]
    _, said = activities(tmp_path, task(1, "A", PercentComplete=50))
    assert "'A' is begun without an actual start" in said[0]


# Resources, costs, phases, names.


def test_resources_are_crews(tmp_path: Path) -> None:
    more = (
        "<Resources><Resource><UID>1</UID><Name>Riggers</Name><Type>1</Type>"
        "<MaxUnits>2</MaxUnits></Resource><Resource><UID>2</UID><Name>Steel</Name><Type>0</Type>"
        "</Resource><Resource><UID>3</UID><Name>Idle</Name><Type>1</Type><MaxUnits>9</MaxUnits>"
        "</Resource></Resources><Assignments>"
        "\n<Assignment><TaskUID>1</TaskUID><ResourceUID>1</ResourceUID><Units>1</Units></Assignment>"
        "\n<Assignment><TaskUID>1</TaskUID><ResourceUID>2</ResourceUID><Units>7</Units></Assignment>"
        "\n<Assignment><TaskUID>2</TaskUID><ResourceUID>1</ResourceUID><Units>3</Units></Assignment>"
        "\n<Assignment><TaskUID>1</TaskUID><ResourceUID>-65535</ResourceUID></Assignment>"
        "</Assignments>"
    )
    data, said = project(tmp_path, task(1, "A") + task(2, "B"), more=more)
    assert data["crews"] == {"Riggers": {"description": "Riggers", "count": 2.0}}
    assert data["activities"]["A"]["crew"] == {"Riggers": 1.0}
    assert data["activities"]["B"]["crew"] == {"Riggers": 2.0}
    assert len(said) == 1
    assert "needs 3 of 'Riggers', of which there are 2" in said[0]


def test_the_calendar_of_a_resource_is_told(tmp_path: Path) -> None:
    own = "<WeekDays><WeekDay><DayType>6</DayType><DayWorking>0</DayWorking></WeekDay></WeekDays>"
    calendars = calendar(1, "Standard") + calendar(2, "Riggers", own, base="1")
    more = (
        "<Resources><Resource><UID>1</UID><Name>Riggers</Name><CalendarUID>2</CalendarUID>"
        "</Resource></Resources>"
    )
    _, said = project(tmp_path, task(1, "A"), calendars, more)
    assert "the calendar of resource 'Riggers' is not used" in said[0]


def test_costs_are_in_hundredths_of_usd(tmp_path: Path) -> None:
    dollars = "<CurrencyCode>USD</CurrencyCode>"
    found, said = activities(tmp_path, task(1, "A", Cost=123450), top=dollars)
    assert found["A"]["cost"] == "1234.5 USD"
    assert not said
    euros = "<CurrencyCode>EUR</CurrencyCode>"
    found, said = activities(tmp_path, task(1, "A", Cost=1) + task(2, "B", Cost=1), top=euros)
    assert "cost" not in found["A"]
    assert len(said) == 1
    assert "costs in EUR are left out" in said[0]


def test_names_are_different_and_without_dots(tmp_path: Path) -> None:
    tasks = task(1, "L1.2 test") + task(2, "Install") + task(3, "Install") + task(4, "Install_3")
    found, _ = activities(tmp_path, tasks + "<Task><UID>9</UID><IsNull>1</IsNull></Task>")
    assert list(found) == ["L1_2_test", "Install", "Install_3", "Install_3_4"]


def test_tables_that_nothing_reads_are_told(tmp_path: Path) -> None:
    more = "<OutlineCodes><OutlineCode><Guid>1</Guid></OutlineCode></OutlineCodes>"
    _, said = project(tmp_path, task(1, "A"), more=more)
    assert len(said) == 1
    assert "note: not read, as a programme has no use for it: outlinecode, outlinecodes" in said[0]


def test_a_project_without_tasks(tmp_path: Path) -> None:
    data, said = project(tmp_path, task(1, "Nothing", Summary=1))
    assert "activities" not in data
    assert "error: there is no task" in said[0]
