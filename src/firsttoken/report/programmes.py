"""Sections on construction programmes: when phases are ready, what drives them, money in time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from firsttoken.report import formats
from firsttoken.report.outlook import fan_of, quantile_table
from firsttoken.report.page import HALF, DataTable, Figure, Section, figure, half_figure
from firsttoken.report.reading import Reading, Row, by, unique
from firsttoken.report.svg_fan import draw_fan
from firsttoken.report.svg_ranges import Range, date_marks, draw_ranges

_DATES = ("p10", "p50", "p80", "p90")
_MOST_TASKS = 24
_MOST_POINTS = 5
_CURVES = {
    "spent": "Money spent",
    "racks": "Rack positions ready",
    "power": "Power ready",
}


def programmes(reading: Reading) -> list[Section]:
    """All sections of all programmes, in order."""
    names = unique(row["programme"] for row in reading.rows("build_activities"))
    made = []
    for name in names:
        for make in (dates, curves):
            section = make(reading, name)
            if section is not None:
                made.append(section)
    return made


def _kicker(reading: Reading, name: str, word: str) -> str:
    names = unique(row["programme"] for row in reading.rows("build_activities"))
    return f"{formats.label(name)}: {word.lower()}" if len(names) > 1 else word


# Dates ------------------------------------------------------------------------------------------


def dates(reading: Reading, name: str) -> Section | None:
    """When phases are ready, what drives the first, and the activities that do."""
    tasks = [row for row in reading.rows("build_activities", programme=name) if row["p50"]]
    if not tasks:
        return None
    phases = reading.rows("build_phases", programme=name)
    section = Section(
        f"build-{name}-dates",
        _kicker(reading, name, "Construction"),
        _title([row for row in phases if row["p50"]], tasks),
    )
    told = reading.rows("build_binding", programme=name)
    section.points = [f"{formats.sentence(str(row['sentence']))}." for row in told[:_MOST_POINTS]]
    due = _deadlines(reading, name)
    ready = [_range(row, row["phase"], _brings(row), due.get(row["ready"])) for row in phases]
    compared = reading.rows("build_outlook", programme=name)
    views = [_range(row, row["view"], _class(row), None) for row in compared]
    ends = formats.label(str(compared[0]["end"])) if compared else ""
    for ranges, title, said in (
        (ready, "When each phase is ready", "Median and P10–P90 by the network of activities"),
        (views, f"{ends}, by each view", "Median and P10–P90"),
    ):
        chart = _chart(ranges, title, said, None)
        if chart is not None:
            section.figures.append(chart)
    ranked = sorted(tasks, key=lambda row: -max(row["criticality"], row["criticality_finish"]))
    kept = sorted(ranked[:_MOST_TASKS], key=lambda row: (str(row["p50"]), str(row["start_p50"])))
    ranges = [_task(row, due.get(row["task"])) for row in kept]
    left = len(tasks) - len(kept)
    chart = _chart(
        ranges,
        "The activities that drive the dates",
        "From the median start to the median finish, and to the P10 and P90 of the finish",
        _task_table(tasks),
        f"The {len(kept)} that drive a date most; {left} more are in the table." if left else "",
    )
    if chart is not None:
        section.figures.append(chart)
    return section


def _title(phases: Sequence[Row], tasks: Sequence[Row]) -> str:
    rows, what = (phases, "The first phase") if phases else (tasks, "Everything")
    if phases:
        row = min(rows, key=lambda row: str(row["p50"]))
    else:
        row = max(rows, key=lambda row: str(row["p50"]))
    half = f"{what} is ready by {formats.day(row['p50'])} in half of the futures"
    return f"{half}, by {formats.day(row['p80'])} in four of five" if row["p80"] else half


def _deadlines(reading: Reading, name: str) -> dict[str, str]:
    rows = reading.rows("build_deadlines", programme=name)
    return {str(row["task"]): str(row["deadline"]) for row in rows if row["deadline"]}


def _brings(row: Row) -> str:
    parts = [
        formats.quantity(row[key], unit)
        for key, unit in (("racks", "rack"), ("power", "MW"))
        if math.isfinite(row[key]) and row[key] > 0
    ]
    return ", ".join(parts)


def _class(row: Row) -> str:
    if not math.isfinite(row["sites"]):
        return ""
    return f"{row['sites']:.0f} sites, {row['finished']:.0f} of them finished"


def _ordinal(text: str) -> float | None:
    return formats.ordinal(text) if text else None


def _range(row: Row, name: str, note: str, due: str | None) -> Range:
    low, middle, high = (_ordinal(row[q]) for q in ("p10", "p50", "p90"))
    tip = f"{formats.label(name)}: median {_day(row['p50'])}, P10–P90 {_day(row['p10'])} – "
    tip += f"{_day(row['p90'])}"
    mark = _ordinal(due) if due else None
    return Range(formats.label(name), note, low, None, middle, None, high, mark, tip)


def _task(row: Row, due: str | None) -> Range:
    start, low, middle, high = (_ordinal(row[q]) for q in ("start_p50", "p10", "p50", "p90"))
    name = _named(row)
    drives = formats.share(row["criticality"])
    tip = f"{name}: {_day(row['start_p50'])} to {_day(row['p50'])}, P10–P90 of the finish "
    tip += f"{_day(row['p10'])} – {_day(row['p90'])}; drives the first phase in {drives}"
    note = f"drives it in {drives}" if row["criticality"] >= 0.005 else ""
    hot = row["criticality"] >= 0.5
    first = start if low is None or (start is not None and start < low) else low
    return Range(name, note, first, start, middle, middle, high, _ordinal(due or ""), tip, hot)


def _named(row: Row) -> str:
    """An activity with its phase, as words."""
    name, phase = formats.label(str(row["activity"])), str(row["phase"])
    return f"{name}, {formats.words(phase)}" if phase else name


def _day(text: str) -> str:
    return formats.day(text) if text else "never"


def _chart(
    ranges: Sequence[Range], title: str, said: str, table: DataTable | None, note: str = ""
) -> Figure | None:
    days = [
        at for row in ranges for at in (row.low, row.left, row.middle, row.high) if at is not None
    ]
    if not days:
        return None
    first, last = min(days) - 1, max(days) + 1
    return figure(
        lambda width: draw_ranges(
            ranges, date_marks(first, last, 5 if width < 560 else 10), (first, last), width
        ),
        title,
        said,
        table=table,
        legend=[("dot", "median"), ("thin", "P10–P90"), ("peak", "deadline")],
        note=note,
    )


def _task_table(rows: Sequence[Row]) -> DataTable:
    headers = ("Activity", "Kind", "Days", "Start P50", "Start P80", "P10", "P50", "P80", "P90",
               "Drives the first phase", "Drives the end", "Cruciality", "Float, days",
               "Free float, days")  # fmt: skip
    cells = [
        (
            _named(row),
            str(row["kind"]),
            formats.number(row["days"]),
            *(_day(row[q]) for q in ("start_p50", "start_p80", *_DATES)),
            formats.share(row["criticality"]),
            formats.share(row["criticality_finish"]),
            formats.number(row["cruciality"], 2),
            formats.number(row["total_float"], 2),
            formats.number(row["free_float"], 2),
        )
        for row in rows
    ]
    return DataTable(headers, cells, frozenset(range(2, len(headers))))


# Money, racks and power in time -------------------------------------------------------------------


def curves(reading: Reading, name: str) -> Section | None:
    """S-curves of money, racks and power."""
    groups = by(reading.rows("build_curves", programme=name), "metric")
    figures = [_curve(groups[metric,], metric) for metric in _CURVES if (metric,) in groups]
    if not figures:
        return None
    said = "What is spent, and what stands, by when"
    section = Section(f"build-{name}-curves", _kicker(reading, name, "S-curves"), said)
    section.figures = figures
    return section


def _curve(rows: Sequence[Row], metric: str) -> Figure:
    unit = str(rows[0]["unit"])
    fan = fan_of(rows, unit, "")
    named = "" if unit == "USD" else f", {formats.plural(unit) if unit == 'rack' else unit}"
    return half_figure(
        draw_fan(fan, HALF),
        _CURVES[metric],
        f"until the end of the period{named}: median and P10–P90",
        table=quantile_table(rows, unit),
    )
