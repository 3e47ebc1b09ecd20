"""Schedules of both programs: what they say, and the dates that they state themselves."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.build.schedules import FOLDER, OFFICE, Plan, Week, Work, as_xer, as_xml, read

import firsttoken
from firsttoken.build.compile import compile_build
from firsttoken.build.simulate import simulate
from firsttoken.chain.ports import Resolver
from firsttoken.twin.dates import to_datetime
from firsttoken.twin.findings import Findings, TwinError
from firsttoken.twin.tables import read_tables

Dates = dict[str, tuple[dt.datetime, dt.datetime]]


def twin_of(folder: Path, file: str, more: str = "") -> Path:
    path = folder / "twin.yaml"
    path.write_text(
        "twin: schedule\nstart: 2026-05-01\nas_of: 2026-05-01\nhorizon: 1 year\nreplications: 2\n"
        f"build:\n  hall:\n    tables: {file}\n{more}"
    )
    return path


def simulated(path: Path) -> Dates:
    """Start and finish of every task, to the minute."""
    twin = firsttoken.load(path)
    system = compile_build(twin, "hall", Resolver(twin))
    result = simulate(system, 1, 1)

    def moment(seconds: float) -> dt.datetime:
        return to_datetime(system.start + 60 * round(seconds / 60))

    return {
        name: (moment(float(result.start[i, 0])), moment(float(result.finish[i, 0])))
        for i, name in enumerate(system.names.tasks)
    }


def stated_in_xml(path: Path) -> Dates:
    space = "{http://schemas.microsoft.com/project}"
    found: Dates = {}
    for task in ElementTree.parse(path).iter(f"{space}Task"):
        cells = {child.tag.removeprefix(space): child.text or "" for child in task}
        if "EarlyStart" in cells:
            name = cells["Name"].replace(", ", "_").replace(" ", "_")
            start, finish = (
                dt.datetime.fromisoformat(cells[key]) for key in ("EarlyStart", "EarlyFinish")
            )
            found[name] = (start, finish)
    return found


def stated_in_xer(path: Path) -> Dates:
    lines = path.read_text(encoding="utf-8").split("\n")
    begin = next(i for i, line in enumerate(lines) if line.strip() == "%T\tTASK")
    end = next(i for i, line in enumerate(lines) if i > begin and line.startswith("%T"))
    rows = csv.DictReader(lines[begin + 1 : end], delimiter="\t")
    return {
        row["task_code"]: (
            dt.datetime.fromisoformat(row["early_start_date"]),
            dt.datetime.fromisoformat((row["early_end_date"] or "").strip()),
        )
        for row in rows
        if row["task_type"] != "TT_LOE"
    }


@pytest.mark.parametrize("file", ["hall.xml", "hall.xer"])
def test_early_dates_are_those_that_the_file_states(tmp_path: Path, file: str) -> None:
    """The dates in both files are worked out by hand, day by day, in their calendars."""
    path = FOLDER / file
    expected = stated_in_xml(path) if file.endswith("xml") else stated_in_xer(path)
    assert len(expected) == 7
    found = simulated(twin_of(tmp_path, str(path)))
    assert {name: found[name] for name in expected} == expected


def test_the_sample_of_project() -> None:
    data, sources, findings = read(FOLDER / "hall.xml")
    assert not list(findings)
    assert data["begin"] == "2026-05-18T08:00"
    assert data["calendars"] == {
        "Standard": {
            "shifts": ["mon-fri 08:00-12:00 13:00-17:00"],
            "closed": ["2026-05-25", "2026-07-03"],  # 2027-07-03 is a Saturday
        },
        "Six_days": {"shifts": ["mon-sat 07:00-17:00"]},
    }
    assert data["crews"] == {"Electricians": {"description": "Electricians", "count": 4.0}}
    assert data["phases"] == {"Hall_A": {"description": "Hall A", "ready": "Hall_A_ready"}}
    fit_out = data["activities"]["Electrical_fit-out"]
    assert fit_out["crew"] == {"Electricians": 2.0}
    assert fit_out["deadline"] == "2026-07-03T17:00"
    half_of_steel = {"activity": "Steel", "type": "SS", "lag": "40 hour"}
    assert fit_out["after"][0] == half_of_steel | {"lag_calendar": "Standard"}
    assert data["activities"]["Transformer_delivery"]["calendar"] == "all"
    assert data["activities"]["Land_clearing"]["cost"] == "125000 USD"
    assert data["activities"]["Site_done"]["after"] == ["Land_clearing", "Foundations"]
    assert sources.place(("activities", "Steel")).line == 110


def test_the_sample_of_primavera() -> None:
    data, sources, findings = read(FOLDER / "hall.xer")
    said = [str(found) for found in findings]
    assert len(said) == 2
    assert "2026-09-12 have hours of their own" in said[0]
    assert "A1070 spans other activities" in said[1]
    assert data["calendars"]["Six_days"] == {"shifts": ["mon-sat 07:00-17:00"]}
    assert data["activities"]["A1030"]["calendar"] == "all"
    assert data["activities"]["A1040"]["cost"] == "58000 USD"
    assert data["activities"]["A1040"]["crew"] == {"ELEC": 2.0}
    assert data["activities"]["A1060"]["after"] == [
        {"activity": "A1060_not_before", "type": "FF"},
        "A1050",
    ]
    assert data["phases"] == {"A": {"description": "Hall A", "ready": "A1060"}}
    assert sources.place(("activities", "A1000")).line == 30


def test_what_a_twin_adds_is_merged(tmp_path: Path) -> None:
    more = "    phases: {Hall_A: {racks: 40}}\n    cost_of_delay: 1 MUSD/day\n    due: 2026-07-01\n"
    twin = firsttoken.load(twin_of(tmp_path, str(FOLDER / "hall.xml"), more))
    assert twin.data["build"]["hall"]["phases"]["Hall_A"]["racks"] == 40


# Both programs say the same.

weeks = st.sampled_from(
    [
        OFFICE,
        (((7, 17),),) * 6 + ((),),
        (((0, 24),),) * 7,
        (((6, 14),), ((6, 14),), ((22, 24),), (), ((8, 12),), (), ((8, 9), (10, 11))),
        (((22, 30),),) * 5 + ((), ()),
    ]
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    chosen: list[Week] = draw(st.lists(weeks, min_size=1, max_size=3))
    work = []
    for number in range(draw(st.integers(1, 8))):
        links = draw(
            st.lists(
                st.tuples(
                    st.integers(0, max(number - 1, 0)),
                    st.sampled_from(["FS", "SS", "FF", "SF"]),
                    st.integers(-40, 80),
                ),
                max_size=3 if number else 0,
                unique_by=lambda link: (link[0], link[1]),
            )
        )
        work.append(
            Work(
                draw(st.integers(0, 500)),
                draw(st.integers(0, len(chosen) - 1)),
                tuple(links),
                draw(st.sampled_from([0.0, 1.0, 2.5])),
            )
        )
    days = st.dates(dt.date(2026, 1, 1), dt.date(2027, 12, 31))
    return Plan(work, chosen, draw(st.lists(days, max_size=4, unique=True)))


@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(plans())
def test_what_is_written_is_read(tmp_path: Path, plan: Plan) -> None:
    for write in (as_xml, as_xer):
        data, _, findings = read(write(plan, tmp_path))
        assert not list(findings)
        names = [name for name in data["activities"] if name.startswith("A")]
        assert names == [f"A{number}" for number in range(len(plan.work))]
        for number, work in enumerate(plan.work):
            found = data["activities"][f"A{number}"]
            assert found["duration"] == f"{work.hours} hour"
            links = [
                (link, "FS", 0)
                if isinstance(link, str)
                else (link["activity"], link["type"], int(link.get("lag", "0 ").split()[0]))
                for link in found.get("after", [])
            ]
            assert links == [(f"A{before}", kind, lag) for before, kind, lag in work.links]
            calendar = data.get("calendars", {}).get(found["calendar"])
            week = plan.weeks[work.calendar]
            if calendar is None:
                assert found["calendar"] == "all"
                assert week == (((0, 24),),) * 7
                assert not plan.off
            else:
                assert hours_of(calendar["shifts"]) == sum(b - a for day in week for a, b in day)
                closed = [day.isoformat() for day in sorted(plan.off) if week[day.weekday()]]
                assert calendar.get("closed", []) == closed
            if work.hours and work.crew:
                assert found["crew"] == {"Crew": work.crew}
            else:
                assert "crew" not in found
            lagged = [link for link in found.get("after", []) if not isinstance(link, str)]
            own = None if found["calendar"] == "all" else found["calendar"]
            assert all(link.get("lag_calendar") == own for link in lagged if "lag" in link)


def hours_of(shifts: list[str]) -> float:
    from firsttoken.build.calendars import weekly_work
    from firsttoken.twin.calendars import parse_shift

    return weekly_work([parse_shift(text) for text in shifts]) / 3600


JUNK = [
    *("", "0", "-1", "7", "nan", "1e999", "9" * 40, "2026-13-45T00:00:00", "1899-01-01"),
    *("PT9" + "9" * 30 + "H0M0S", "s|99:99|f|00:61", "(d|99999999)", "..", "TK_Active", "CS_MEOA"),
]


@settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.sampled_from(["hall.xml", "hall.xer"]),
    st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from(JUNK)), min_size=1, max_size=6),
)
def test_no_junk_in_cells_breaks_the_reader(
    tmp_path: Path, file: str, changes: list[tuple[int, str]]
) -> None:
    """Junk is read as something, or is a finding; the twin is loaded or refused with findings."""
    content = (FOLDER / file).read_text(encoding="utf-8")
    cell = r">([^<>]+)<" if file.endswith("xml") else r"(?<=\t)([^\t\n\r]+)(?=[\t\r])"
    for place, junk in changes:
        cells = list(re.finditer(cell, content))
        start, end = cells[place % len(cells)].span(1)
        content = content[:start] + junk + content[end:]
    (tmp_path / file).write_text(content, encoding="utf-8", newline="")
    read(tmp_path / file)
    with contextlib.suppress(TwinError):
        firsttoken.load(twin_of(tmp_path, file))


def test_deep_outlines_are_read(tmp_path: Path) -> None:
    tasks = "".join(
        f"<Task><UID>{i}</UID><Name>T{i}</Name><OutlineLevel>{i}</OutlineLevel>"
        "<Duration>PT8H0M0S</Duration></Task>"
        for i in range(3000)
    )
    path = tmp_path / "plan.xml"
    path.write_text(f"<Project><Tasks>{tasks}</Tasks></Project>")
    assert list(read(path)[0]["activities"]) == ["T2999"]


# What is no schedule.


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.xml"
    path.write_text("<Plan><Step><Name>A</Name></Step></Plan>")
    data, _, findings = read(path)
    assert not data
    assert "no schedule of Microsoft Project or Primavera P6" in str(*findings)
    path.write_text("<APIBusinessObjects><Project><Id>1</Id></Project></APIBusinessObjects>")
    assert "this is Primavera's own XML: export the schedule as XER" in str(*read(path)[2])


def test_a_folder_of_tables_is_no_schedule(tmp_path: Path) -> None:
    (tmp_path / "item.csv").write_text("name\nx\n")
    findings = Findings()
    from firsttoken.build.table_schedule import read_schedule_tables

    assert read_schedule_tables(read_tables(tmp_path, findings), findings)[0] == {}
    assert findings.errors


def test_a_twin_with_a_broken_schedule_says_where(tmp_path: Path) -> None:
    (tmp_path / "plan.xer").write_text("ERMHDR\t19\n%T\tTASK\n%F\ta\tb\n%R\t1\t2\t3\n%E\n")
    with pytest.raises(TwinError, match=r"plan\.xer:4: error: TASK: the row has 3 cells"):
        firsttoken.load(twin_of(tmp_path, "plan.xer"))
