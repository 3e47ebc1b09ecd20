"""Sections on what to change on a line, and on what comes next from a state of it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from firsttoken.report import formats
from firsttoken.report.line_cards import title
from firsttoken.report.outlook import fan_of
from firsttoken.report.page import HALF, DataTable, Figure, Section, figure, half_figure
from firsttoken.report.reading import Reading, Row
from firsttoken.report.svg_bars import Bar, draw_bars
from firsttoken.report.svg_fan import draw_fan

_MOST_GAINS = 10
_MOST_ROWS = 60
_BANDS = ("p5", "p10", "p25", "p50", "p75", "p90", "p95")


# What to change -----------------------------------------------------------------------------


def gains(reading: Reading, line: str) -> Section | None:
    """What one step of each parameter would bring, the split of buffers, the test floor's law."""
    rows = sorted(reading.rows("line_sensitivity", line=line), key=lambda row: int(row["rank"]))
    tables = [table for table in (_buffers(reading, line), _floor(reading, line)) if table]
    if not rows and not tables:
        return None
    sure = [row for row in rows if row["sure"] and row["throughput"] > 0]
    said = "No small change alone would surely give more"
    if sure:
        said = _spoken(sure[0]).partition(" (")[0]
    section = Section(f"line-{line}-gains", title(reading, line, "What to change next"), said)
    if sure:
        section.figures.append(_gains(sure, rows))
    elif rows:
        section.tables.append(_gain_table(rows))
    section.tables += tables
    return section


def _spoken(row: Row) -> str:
    """`litho: one more server = +3 lots a week` for people."""
    name = re.escape(str(row["name"]))
    text = re.sub(rf"\b{name}\b", formats.words(row["name"]), str(row["sentence"]), count=1)
    return formats.sentence(text).replace(" = ", " brings ")


def _gains(sure: Sequence[Row], rows: Sequence[Row]) -> Figure:
    bars = []
    for row in sure[:_MOST_GAINS]:
        unit = str(row["unit"]).partition("/")[0]
        amount = f"+{formats.quantity(row['throughput'], unit)} a week"
        said = _spoken(row)
        _, _, words = said.partition(": ")
        note = words.partition(" brings ")[0]
        bars.append(Bar(formats.label(row["name"]), note, float(row["throughput"]), amount, said))
    return figure(
        lambda width: draw_bars(bars, width),
        "What one step of each would bring",
        "By paired simulations with the same random numbers; only what is sure at 95 %",
        table=_gain_table(rows),
    )


def _gain_table(rows: Sequence[Row]) -> DataTable:
    headers = ("Change", "Step", "More a week", "Low", "High", "Share", "Cycle time", "Sure")
    cells = [
        (
            f"{formats.label(row['name'])}: {formats.label(row['parameter']).lower()}",
            str(row["step"]),
            *(formats.number(row[column]) for column in ("throughput", "low", "high")),
            formats.share(row["share"]),
            formats.quantity(row["cycle_time"], "hour"),
            "yes" if row["sure"] else "no",
        )
        for row in rows
    ]
    return DataTable(
        headers, cells[:_MOST_ROWS], frozenset(range(2, 7)), caption="All changes that were tried",
        total=len(cells),
    )  # fmt: skip


def _buffers(reading: Reading, line: str) -> DataTable | None:
    rows = reading.rows("line_buffers", line=line)
    if not rows:
        return None
    first = rows[0]
    gain = f"{formats.number(first['gain'])} {formats.plural(str(first['unit']))}"
    low, high = formats.number(first["gain_low"]), formats.number(first["gain_high"])
    cells = [
        (formats.label(row["station"]), f"{row['places']:.0f}", f"{row['best']:.0f}")
        for row in rows
    ]
    caption = f"The best split of the same buffer space: {gain} more ({low} to {high})"
    return DataTable(("Before", "Places now", "Best"), cells, frozenset({1, 2}), caption=caption,
                     opened=True)  # fmt: skip


def _floor(reading: Reading, line: str) -> DataTable | None:
    rows = reading.rows("line_test_floor", line=line)
    if not rows:
        return None
    headers = ("Station", "Budget", "Rate a week", "Time of one", "First pass", "Slots by the law",
               "Slots in use", "Servers", "Draw by the law", "Draw", "Level")  # fmt: skip
    cells = [
        (
            formats.label(row["station"]),
            formats.label(row["budget"]),
            formats.number(row["rate"]),
            formats.quantity(row["time"], "hour"),
            formats.share(row["first_pass"]),
            formats.number(row["slots_law"]),
            formats.number(row["slots"]),
            formats.number(row["servers"]),
            *(
                formats.quantity(row[column], row["unit"])
                for column in ("draw_law", "draw", "level")
            ),
        )
        for row in rows
    ]
    caption = (
        "The law of the test floor: slots = rate × time ÷ first-pass yield, beside the simulation"
    )
    return DataTable(
        headers, cells, frozenset(range(2, len(headers))), caption=caption, opened=True
    )


# Forecasts ----------------------------------------------------------------------------------


def forecast(reading: Reading, line: str) -> Section | None:
    """What is finished from a state on, by period and in all."""
    rows = reading.rows("line_forecast", line=line, product="all")
    made = [row for row in rows if row["metric"] == "finished"]
    total = [row for row in rows if row["metric"] == "finished_in_all"]
    held = [row for row in rows if row["metric"] == "wip"]
    if not made or not total:
        return None
    last, unit = total[-1], str(total[-1]["unit"])
    low, high = formats.number(last["p10"]), formats.number(last["p90"])
    said = f"{formats.quantity(last['p50'], unit)} by {formats.day(str(last['end']))} in the median"
    said += f" future, {low} to {high} in eight of ten"
    section = Section(f"line-{line}-forecast", title(reading, line, "Forecast"), said)
    section.lead = (
        f"{reading.run.replications:,} futures from the state of the line on "
        f"{formats.day(str(made[0]['period']))}."
    )
    word = formats.period_word([str(row["label"]) for row in made])
    fan = fan_of(total, unit, "")
    section.figures.append(
        figure(
            lambda width: draw_fan(fan, width),
            f"{formats.sentence(formats.plural(unit))} finished in all",
            f"at the end of the {word}",
            table=_bands(total, unit),
            legend=[("s1", "median"), ("band s1", "P10–P90")],
        )
    )
    for part, name, of in ((made, "By period", f"a {word}"), (held, "In the line", "at its end")):
        if len(part) > 1:
            section.figures.append(
                half_figure(
                    draw_fan(fan_of(part, unit, ""), HALF, 220),
                    name,
                    f"{formats.plural(unit)} {of}",
                    table=_bands(part, unit),
                )
            )
    return section


def _bands(rows: Sequence[Row], unit: str) -> DataTable:
    cells = [
        (str(row["period"]), *(formats.quantity(row[q], unit, 4) for q in _BANDS))
        for row in rows
        if math.isfinite(row["p50"])
    ]
    headers = ("From", *(band.upper() for band in _BANDS))
    return DataTable(headers, cells, frozenset(range(1, len(headers))))
