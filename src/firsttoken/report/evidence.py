"""Sections on where it comes from: inputs with their sources, and the run itself."""

from __future__ import annotations

import math
import re

from markupsafe import Markup

from firsttoken.report import formats
from firsttoken.report.page import DataTable, Section
from firsttoken.report.reading import Reading, Row, unique

_ROOM = re.compile(r"^(supply|line|build|facility)\.")
_CONFIDENCE = {
    "A": "statement or primary document reported by several outlets",
    "B": "named analyst or one reputable outlet",
    "C": "secondary page or sources that conflict",
    "D": "assumption; keep the wide range",
}


def inputs(reading: Reading) -> Section | None:
    """Every input with value, range, date, confidence and source."""
    rows = reading.inputs()
    if not rows:
        return None
    assumed = sum(1 for row in rows if not row["source"] or row["source"] == "assumption")
    cells = [_input_row(number, row) for number, row in enumerate(rows, 1)]
    grades = [g for g in unique(row["confidence"] for row in rows) if g in _CONFIDENCE]
    lead = Markup("Grades of confidence: ") + Markup("; ").join(
        Markup("<b>{}</b> {}").format(grade, _CONFIDENCE[grade]) for grade in sorted(grades)
    ) if grades else ""  # fmt: skip
    section = Section(
        "inputs",
        "Inputs and sources",
        f"{_counted(len(rows), 'input')}: {len(rows) - assumed} with a cited source, "
        f"{_counted(assumed, 'assumption')}",
        lead,
    )
    section.tables = [
        DataTable(
            ("#", "Input", "Low", "Value", "High", "Unit", "Known from", "Grade", "Source"),
            cells,
            frozenset({0, 2, 3, 4}),
            [f"input-{number}" for number in range(1, len(rows) + 1)],
            "Inputs of the base scenario",
            opened=True,
            filtered=True,
        )
    ]
    return section


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _input_row(number: int, row: Row) -> tuple[str, ...]:
    path = _ROOM.sub("", row["path"]).removeprefix("fact:")
    fact = row["fact"] if row["fact"] and row["fact"] not in path else ""
    name = Markup('<span class="path">{}</span>').format(_breakable(path))
    if fact:
        name += Markup('<br><span class="more">fact {}</span>').format(_breakable(fact))
    if row.get("valid_from"):
        name += Markup('<br><span class="more">from {}</span>').format(row["valid_from"])
    if row.get("used_by"):
        slots = [_ROOM.sub("", slot) for slot in row["used_by"].split("; ")]
        more = f" and {len(slots) - 2} more" if len(slots) > 2 else ""
        users = Markup(", ").join(_breakable(slot) for slot in slots[:2])
        name += Markup('<br><span class="more">in {}{}</span>').format(users, more)
    said = Markup('<span class="source">{}</span>').format(_linked(row["source"]))
    if row["note"]:
        said += Markup('<br><span class="more">{}</span>').format(row["note"])
    if row["superseded"]:
        said += Markup('<br><span class="more">other vintages: {}</span>').format(row["superseded"])
    grade = row["confidence"]
    badge = Markup('<span class="grade {0}">{0}</span>').format(grade) if grade else ""
    low, value, high = (_value(row[column]) for column in ("low", "value", "high"))
    when = Markup('<span class="when">{}</span>').format(row["known_from"])
    if low in ("", value) and high in ("", value):
        low = high = ""
    return (str(number), name, low, value, high, row["unit"], when, badge, said)


def _breakable(path: str) -> Markup:
    """A path that may be broken after its dots."""
    return Markup(".<wbr>").join(path.split("."))


def _linked(source: str) -> Markup:
    words = []
    for word in source.split(" "):
        if word.startswith(("http://", "https://")):
            link = '<a href="{0}" rel="noreferrer noopener">{0}</a>'
            words.append(Markup(link).format(word))
        else:
            words.append(Markup("{}").format(word))
    return Markup(" ").join(words)


def _in_groups(digits: str) -> Markup:
    """A long hash that may be broken every eight digits."""
    return Markup("<wbr>").join(digits[i : i + 8] for i in range(0, len(digits), 8))


def _value(value: str | float) -> str:
    try:
        known = float(value)
    except ValueError:
        return str(value)
    return formats.number(known, 4) if math.isfinite(known) else ""


def record(reading: Reading) -> Section:
    """What was run, on what, with which versions, and what it cost."""
    run = reading.run
    rows: list[tuple[str, str | Markup]] = [
        ("Twin", run.twin),
        ("Content hash", _in_groups(run.twin_hash)),
        ("Horizon", f"{run.start} to {run.end}" if run.start else ""),
        ("Facts known to", run.as_of),
        ("Scenarios", ", ".join(run.scenario_names)),
        ("Engines", ", ".join(run.engines)),
        ("Seed", str(run.seed)),
        ("Replications", f"{run.replications:,}"),
        ("Run at", run.created),
        ("Time used", f"{run.cpu_s:,.1f} s of CPU in {run.wall_s:,.1f} s"),
        ("Versions", ", ".join(f"{name} {version}" for name, version in run.versions.items())),
        ("Platform", run.platform),
    ]
    section = Section(
        "run", "The run", "Same twin, scenario and seed give the same numbers, bit for bit"
    )
    section.tables = [
        DataTable(
            ("What", "Value"), [row for row in rows if row[1]], caption="Record", opened=True
        ),
        DataTable(
            ("Table", "Rows", "What a row is"),
            [(t.name, f"{t.rows:,}", t.description) for t in run.tables],
            frozenset({1}),
            caption="Tables in the run folder (Parquet)",
        ),
    ]
    return section
