"""Primavera P6's XER: each term of its tables, and what is told instead of dropped."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from tests.build.schedules import Plan, Work, as_xer, read

from firsttoken.build.table_xer import parse_calendar

Row = dict[str, Any]
OFFICE = ((480, 720), (780, 1020))


def programme(folder: Path, plan: Plan, **tables: list[dict[str, object]]) -> tuple[Row, list[str]]:
    path = as_xer(plan, folder, **tables)
    data, _, findings = read(path)
    return data, [str(found).removeprefix(f"{path}:") for found in findings]


def one(folder: Path, **cells: str) -> tuple[Row, list[str]]:
    """A programme of one activity A0 of 40 hours."""
    data, said = programme(folder, Plan([Work(40, more=cells)]))
    return data.get("activities", {}), said


# Calendars; the texts are shaped like those of P6 19 to 24.


def test_a_week_with_holidays() -> None:
    days = "".join(f"(0||{n}()((0||0(s|08:00|f|16:00)())))" for n in range(2, 7))
    week, exceptions = parse_calendar(
        f"(0||CalendarData()((0||DaysOfWeek()((0||1()()){days}(0||7()())))"
        "(0||Exceptions()((0||0(d|40179)())(0||0(d|46192)())))))"
    )
    assert week == (((480, 960),),) * 5 + ((), ())
    # Day 40179 from 1899-12-30 is 2010-01-01, day 46192 is 2026-06-19.
    assert exceptions == {dt.date(2010, 1, 1): (), dt.date(2026, 6, 19): ()}


def test_line_marks_and_short_hours_do_not_matter() -> None:
    text = (
        "(0||CalendarData()(\x7f\x7f  (0||DaysOfWeek()(\x7f\x7f    (0||2()(\x7f\x7f"
        "      (0||0(s|8:00|f|12:00)())\x7f\x7f      (0||1(s|13:00|f|17:00)())))\x7f\x7f"
        "    (0||3()())))\x7f\x7f  (0||VIEW(ShowTotal|N)())\x7f\x7f  (0||Exceptions()(\x7f\x7f"
        "    (0||24(d|45868)(\x7f\x7f      (0||0(s|08:00|f|17:00)())))))))"
    )
    week, exceptions = parse_calendar(text)
    assert week == (OFFICE, (), (), (), (), (), ())
    assert exceptions == {dt.date(2025, 7, 30): ((480, 1020),)}


@pytest.mark.parametrize("slot", ["s|00:00|f|00:00", "s|00:00|f|23:59", "f|00:00|s|00:00"])
def test_whole_days(slot: str) -> None:
    week, _ = parse_calendar(f"(0||CalendarData()((0||DaysOfWeek()((0||1()((0||0({slot})()))))))")
    assert week[6] == ((0, 1440),)


def test_older_slots_finish_first() -> None:
    week, _ = parse_calendar("(0||DaysOfWeek()((0||2()((0||0(f|16:00|s|08:00)())))))")
    assert week[0] == ((480, 960),)


def test_a_calendar_takes_over_the_exceptions_of_its_base(tmp_path: Path) -> None:
    holiday = dt.date(2026, 5, 25)
    serial = (holiday - dt.date(1899, 12, 30)).days
    days = "(0||2()((0||0(s|08:00|f|12:00)())))"
    text = f"(0||CalendarData()((0||DaysOfWeek()({days}))(0||Exceptions()({{}}))))"
    data, said = programme(
        tmp_path,
        Plan([Work(8, 8)]),
        CALENDAR=[
            {
                "clndr_id": 108,
                "clndr_name": "Own",
                "base_clndr_id": 7,
                "clndr_data": text.format(""),
            },
            {
                "clndr_id": 7,
                "clndr_name": "All",
                "clndr_data": text.format(f"(0||0(d|{serial})())"),
            },
        ],
    )
    assert not said
    assert data["calendars"] == {"Own": {"shifts": ["mon 08:00-12:00"], "closed": ["2026-05-25"]}}


def test_calendars_that_are_missing_or_never_open(tmp_path: Path) -> None:
    _, said = one(tmp_path, clndr_id="5")
    assert "error: calendar '5' is not in the file" in said[0]
    extra: list[dict[str, object]] = [{"clndr_id": 105, "clndr_name": "Empty"}]
    _, said = programme(tmp_path, Plan([Work(8, 5)]), CALENDAR=extra)
    assert "error: calendar 'Empty' has no working time" in said[0]


def test_times_and_days_that_do_not_exist(tmp_path: Path) -> None:
    texts = ("(0||2()((0||0(s|25:00|f|26:00)())))", "(0||2()())Exceptions(0||0(d|9999999)())")
    for text, what in zip(texts, ("no such time of day", "beyond all calendars"), strict=True):
        extra: list[dict[str, object]] = [
            {"clndr_id": 105, "clndr_name": "Odd", "clndr_data": f"DaysOfWeek{text}"}
        ]
        _, said = programme(tmp_path, Plan([Work(8)]), CALENDAR=extra)
        assert len(said) == 1
        assert "error: calendar 'Odd'" in said[0]
        assert what in said[0]


def test_what_stands_twice_or_waits_for_itself(tmp_path: Path) -> None:
    extra: list[dict[str, object]] = [{"task_id": 1, "task_code": "X", "clndr_id": 100}]
    links: list[dict[str, object]] = [{"task_id": 1, "pred_task_id": 1, "pred_type": "PR_FS"}]
    _, said = programme(tmp_path, Plan([Work(8)]), TASK=extra, TASKPRED=links)
    assert "error: task_id 1 stands twice" in said[0]
    assert "error: A0 waits for itself" in said[1]


# Activities.


def test_milestones_and_what_spans(tmp_path: Path) -> None:
    assert one(tmp_path, task_type="TT_Mile")[0]["A0"]["duration"] == "0 hour"
    assert one(tmp_path, task_type="TT_FinMile")[0]["A0"]["duration"] == "0 hour"
    for kind in ("TT_LOE", "TT_WBS"):
        found, said = one(tmp_path, task_type=kind)
        assert not found
        assert f"A0 spans other activities ({kind}) and is left out" in said[0]
    found, said = one(tmp_path, task_type="TT_Rsrc")
    assert "A0" in found
    assert "goes by its resources' calendars" in said[0]


@pytest.mark.parametrize(
    ("kind", "fields", "told"),
    [
        ("CS_MSOA", {"earliest"}, ""),
        ("CS_MEOB", {"deadline"}, ""),
        ("CS_MEOA", {"after"}, ""),
        ("CS_MSO", {"earliest"}, "is read as not before"),
        ("CS_MANDSTART", {"earliest"}, "is read as not before"),
        ("CS_MEO", {"deadline", "after"}, "is read as a deadline"),
        ("CS_MANDFIN", {"deadline", "after"}, "is read as a deadline"),
        ("CS_MSOB", set(), "to start by 2026-06-01T08:00 is not modelled"),
        ("CS_ALAP", set(), "as late as possible is not modelled"),
        ("CS_NEW", set(), "unknown constraint 'CS_NEW'"),
    ],
)
@pytest.mark.parametrize("suffix", ["", "2"])
def test_constraints(tmp_path: Path, kind: str, fields: set[str], told: str, suffix: str) -> None:
    cells = {f"cstr_type{suffix}": kind, f"cstr_date{suffix}": "2026-06-01 08:00"}
    found, said = one(tmp_path, **cells)
    assert {key for key in ("earliest", "deadline", "after") if key in found["A0"]} == fields
    assert [told in text for text in said] == ([True] if told else [])


def test_both_constraints_count(tmp_path: Path) -> None:
    found, said = one(
        tmp_path,
        cstr_type="CS_MSOA",
        cstr_date="2026-06-01 08:00",
        cstr_type2="CS_MEOB",
        cstr_date2="2026-07-01 17:00",
    )
    assert not said
    assert found["A0"]["earliest"] == "2026-06-01T08:00"
    assert found["A0"]["deadline"] == "2026-07-01T17:00"


def test_progress(tmp_path: Path) -> None:
    begun = {"act_start_date": "2026-05-18 08:00"}
    done = begun | {"status_code": "TK_Complete", "act_end_date": "2026-05-20 17:00"}
    found, said = one(tmp_path, **done)
    assert found["A0"]["finished"] == "2026-05-20T17:00"
    assert "the schedule holds progress up to its data date" in said[0]
    active = begun | {"status_code": "TK_Active", "remain_drtn_hr_cnt": "12.5"}
    found, _ = one(tmp_path, **active)
    assert found["A0"]["started"] == "2026-05-18T08:00"
    assert found["A0"]["remaining"] == "12.5 hour"
    _, said = one(tmp_path, **active, suspend_date="2026-05-19 08:00")
    assert "A0 is suspended since 2026-05-19T08:00" in said[0]
    _, said = one(tmp_path, **active, expect_end_date="2026-06-30 17:00")
    assert "A0 is expected to end on 2026-06-30T17:00" in said[0]
    _, said = one(tmp_path, status_code="TK_Active")
    assert "A0 is TK_Active without an actual date" in said[0]


def test_what_is_begun_is_not_held_back(tmp_path: Path) -> None:
    found, _ = one(
        tmp_path,
        status_code="TK_Active",
        act_start_date="2026-05-18 08:00",
        cstr_type="CS_MSOA",
        cstr_date="2026-06-01 08:00",
    )
    assert "earliest" not in found["A0"]


def test_nothing_begins_before_the_data_date(tmp_path: Path) -> None:
    extra: list[dict[str, object]] = [
        {
            "proj_id": 2,
            "plan_start_date": "2026-06-01 08:00",
            "last_recalc_date": "2026-05-20 00:00",
        }
    ]
    data, said = programme(tmp_path, Plan([Work(8)]), PROJECT=extra)
    assert data["begin"] == "2026-05-20T00:00"
    assert not said
    extra[0]["plan_end_date"] = "2027-01-01 17:00"
    _, said = programme(tmp_path, Plan([Work(8)]), PROJECT=extra)
    assert "the project must finish by 2027-01-01T17:00" in said[0]


# Links.


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("rcal_Predecessor", "C0"),
        ("rcal_Successor", "C1"),
        ("rcal_24Hour", None),
        ("rcal_ProjDefault", "C0"),
        ("", "C0"),
    ],
)
def test_the_calendar_of_lags(tmp_path: Path, rule: str, expected: str | None) -> None:
    week = (((7, 17),),) * 7
    office = (((8, 12), (13, 17)),) * 5 + ((), ())
    plan = Plan([Work(8), Work(8, 1, ((0, "FS", 16),))], (office, week))
    path = as_xer(plan, tmp_path)
    path.write_text(path.read_text().replace("rcal_Successor", rule))
    found = read(path)[0]["activities"]["A1"]["after"][0]
    assert found["lag"] == "16 hour"
    assert found.get("lag_calendar") == expected


def test_links_that_lead_nowhere_are_told(tmp_path: Path) -> None:
    extra: list[dict[str, object]] = [
        {"task_id": 1, "pred_task_id": 77, "pred_type": "PR_FS"},
        {"task_id": 1, "pred_task_id": 2, "pred_type": "PR_XX"},
        {"task_id": 1, "pred_task_id": 2, "pred_type": "PR_FS", "lag_hr_cnt": "soon"},
    ]
    _, said = programme(tmp_path, Plan([Work(8), Work(8)]), TASKPRED=extra)
    assert ["activity 77, which is not in the file" in said[0]] == [True]
    assert "unknown type of link 'PR_XX'" in said[1]
    assert "lag_hr_cnt 'soon' is not a number" in said[2]


# Resources, costs, phases.


def test_crews(tmp_path: Path) -> None:
    plan = Plan([Work(8, crew=2.0), Work(8, crew=6.0), Work(0, crew=1.0)])
    data, said = programme(
        tmp_path,
        plan,
        RSRC=[
            {"rsrc_id": 2, "rsrc_short_name": "MAT", "rsrc_type": "RT_Mat"},
            {"rsrc_id": 3, "rsrc_short_name": "FREE", "rsrc_type": "RT_Equip"},
        ],
        TASKRSRC=[
            {"task_id": 1, "rsrc_id": 2, "target_qty_per_hr": 5},
            {"task_id": 1, "rsrc_id": 3, "target_qty_per_hr": 5},
        ],
        RSRCRATE=[{"rsrc_id": 1, "max_qty_per_hr": 3.0}],
    )
    assert data["crews"] == {"Crew": {"description": "1", "count": 4.0}}
    assert data["activities"]["A0"]["crew"] == {"Crew": 2.0}
    assert data["activities"]["A1"]["crew"] == {"Crew": 4.0}
    assert "crew" not in data["activities"]["A2"]
    assert [text.partition("warning: ")[2].split(":")[0].split(",")[0] for text in said] == [
        "resource 1",
        "needs 6 of '1'",
        "1 resources have no maximum (rsrc_id 3)",
    ]


def test_costs(tmp_path: Path) -> None:
    costs: list[dict[str, object]] = [{"task_id": 1, "target_cost": 100.5}]
    for currency, told in (("USD", 0), ("KRW", 1)):
        data, said = programme(
            tmp_path,
            Plan([Work(8)]),
            PROJCOST=costs,
            TASKRSRC=[{"task_id": 1, "rsrc_id": 9, "target_cost": 9.5}],
            CURRTYPE=[{"curr_id": 1, "curr_short_name": currency}],
        )
        assert data["activities"]["A0"].get("cost") == ("110 USD" if currency == "USD" else None)
        assert len(said) == told


def test_phases(tmp_path: Path) -> None:
    done = {"task_type": "TT_FinMile"}
    plan = Plan(
        [
            Work(8, more={"wbs_id": "2"}),
            Work(0, more=done | {"wbs_id": "2"}),
            Work(0, more=done | {"wbs_id": "3"}),
            Work(0, more=done | {"wbs_id": "4"}),
            Work(0, more=done | {"wbs_id": "4"}),
            Work(0, more=done | {"wbs_id": "1"}),
        ]
    )
    data, _ = programme(
        tmp_path,
        plan,
        PROJWBS=[
            {"wbs_id": 1, "proj_node_flag": "Y", "wbs_short_name": "ROOT", "wbs_name": "All"},
            {"wbs_id": 2, "proj_node_flag": "N", "wbs_short_name": "H", "wbs_name": "Hall A"},
            {"wbs_id": 3, "proj_node_flag": "N", "wbs_short_name": "H", "wbs_name": "Hall B"},
            {"wbs_id": 4, "proj_node_flag": "N", "wbs_short_name": "X", "wbs_name": "Two ends"},
        ],
    )
    assert data["phases"] == {
        "H": {"description": "Hall A", "ready": "A1"},
        "H_3": {"description": "Hall B", "ready": "A2"},
    }


def test_names_that_stand_twice(tmp_path: Path) -> None:
    plan = Plan([Work(8), Work(8, more={"task_code": "A0"}), Work(8, more={"task_code": "A.1"})])
    assert list(programme(tmp_path, plan)[0]["activities"]) == ["A0", "A0_2", "A_1"]


def test_tables_that_nothing_reads_are_told(tmp_path: Path) -> None:
    _, said = programme(tmp_path, Plan([Work(8)]), UDFVALUE=[{"udf_type_id": 1}])
    assert "not read, as a programme has no use for it: udfvalue" in said[0]


def test_a_file_without_activities(tmp_path: Path) -> None:
    _, said = programme(tmp_path, Plan([]))
    assert "error: there is no activity" in said[0]
