"""Two scenarios side by side: what they differ in, and what comes of it."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from firsttoken.results.figures import figure, finite, scaled, year_day
from firsttoken.results.run import Run, ScenarioRecord
from firsttoken.results.store import Results
from firsttoken.twin.findings import UsageError
from firsttoken.twin.result_table import Column

_NOT_KEYS = frozenset(
    {"scenario", "line", "kpi", "label", "unit", "p10", "p50", "p80", "p90", "mean", "interval",
     "title", "target", "factory", "service"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ComparedKpi:
    """One figure in both scenarios; `difference` is b - a.

    Attributes
    ----------
    kpi : its name, with the rest of its key, if any, after a dot.
    a, b : medians in `unit`; ISO days if `unit` is date, '' for beyond the horizon.
    a_low, a_high, b_low, b_high : P10 and P90.
    difference : in `unit`, or in days for dates; None where either side is unknown.
    relative : difference / |a|; None for dates and where a is 0.
    """

    table: str
    kpi: str
    label: str
    unit: str
    a: float | str
    b: float | str
    a_low: float | str
    a_high: float | str
    b_low: float | str
    b_high: float | str
    difference: float | None
    relative: float | None


@dataclass(frozen=True, slots=True)
class InputDifference:
    """One input that differs; '' where a side does not set it."""

    path: str
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """All figures that two scenarios have in common, and what differs in their inputs.

    Attributes
    ----------
    a, b : `<twin> <scenario>` of each side.
    paired : whether both sides used the same random numbers (same twin name, seed and
        replications), so that their difference is not chance.
    note : what `paired` means, in a sentence.
    only_a, only_b : figures that the other side does not have.
    """

    a: str
    b: str
    paired: bool
    note: str
    inputs: tuple[InputDifference, ...]
    kpis: tuple[ComparedKpi, ...]
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()

    def as_json(self) -> str:
        """A JSON object; unknown numbers are null."""
        return json.dumps(finite(asdict(self)), indent=2, ensure_ascii=False)

    def as_text(self) -> str:
        """Lines for a terminal: inputs that differ, then a table of figures."""
        lines = [f"a: {self.a}", f"b: {self.b}", self.note, ""]
        lines += [f"  {d.path}: {d.a or '-'} -> {d.b or '-'}" for d in self.inputs]
        lines += [""] if self.inputs else ["  (no input differs)", ""]
        rows = [("", "unit", "a (P10-P90)", "b (P10-P90)", "b - a", "")]
        rows += [_text_row(kpi) for kpi in self.kpis]
        widths = [max(len(row[i]) for row in rows) for i in range(6)]
        for row in rows:
            cells = [row[0].ljust(widths[0]), row[1].ljust(widths[1])]
            cells += [text.rjust(width) for text, width in zip(row[2:], widths[2:], strict=True)]
            lines.append("  ".join(cells).rstrip())
        for side, names in (("a", self.only_a), ("b", self.only_b)):
            if names:
                lines += ["", f"only in {side}: {', '.join(names)}"]
        return "\n".join(lines)


def compare(a: tuple[Results, str], b: tuple[Results, str]) -> Comparison:
    """Compare a scenario of a run with one of the same or another run.

    Every table that has the columns `scenario`, `kpi` and `p50` is joined on its key; the
    dates of goals (`supply_goal_date`) too.

    Raises
    ------
    UsageError
        If a run has no such scenario, or the two have no figure in common.
    """
    record_a, record_b = a[0].run.scenario(a[1]), b[0].run.scenario(b[1])
    rows_a, rows_b = _figures(*a), _figures(*b)
    kpis = []
    for key, row in rows_a.items():
        if key in rows_b and row["unit"] == rows_b[key]["unit"]:
            kpis.append(_compared(key, row, rows_b[key]))
    common = {(kpi.table, kpi.kpi) for kpi in kpis}
    if not kpis:
        raise UsageError(f"{a[0].folder} and {b[0].folder} have no figure in common")
    paired = (
        a[0].run.twin == b[0].run.twin
        and a[0].run.seed == b[0].run.seed
        and a[0].run.replications == b[0].run.replications
    )
    note = (
        f"Paired: both used the same {a[0].run.replications:,} random replications "
        f"(seed {a[0].run.seed}), so the differences come from the inputs."
        if paired
        else "Not paired: twin, seed or replications differ, so part of each difference is chance."
    )
    return Comparison(
        f"{a[0].run.twin} {a[1]}",
        f"{b[0].run.twin} {b[1]}",
        paired,
        note,
        input_differences(a[0].run, record_a, b[0].run, record_b),
        tuple(kpis),
        tuple(key[1] for key in rows_a if key not in common),
        tuple(key[1] for key in rows_b if key not in common),
    )


def input_differences(
    run_a: Run, a: ScenarioRecord, run_b: Run, b: ScenarioRecord
) -> tuple[InputDifference, ...]:
    """What two scenarios set differently: facts' date, overrides, disruptions, twin, engines."""
    found = []
    pairs = [
        ("twin", run_a.twin, run_b.twin),
        ("twin's content", run_a.twin_hash, run_b.twin_hash),
        ("as_of", a.as_of or run_a.as_of, b.as_of or run_b.as_of),
        ("start", run_a.start, run_b.start),
        ("end", run_a.end, run_b.end),
        ("engines", ", ".join(run_a.engines), ", ".join(run_b.engines)),
    ]
    paths = dict.fromkeys((*a.overrides, *b.overrides))
    pairs += [(path, a.overrides.get(path, ""), b.overrides.get(path, "")) for path in paths]
    for line in dict.fromkeys((*a.disruptions, *b.disruptions)):
        left, right = (line if line in record.disruptions else "" for record in (a, b))
        pairs.append(("disruption", left, right))
    for path, left, right in pairs:
        if left != right:
            found.append(InputDifference(path, left, right))
    return tuple(found)


_ROUNDING = 1e-12
"""Relative change that is none."""
MANIFOLD = 9.0
"""Relative change from which a factor is told instead of per cent."""

_REPEATED = {"serving_training": "serving_summary"}
"""Tables whose figures another table has too."""


def _figures(results: Results, scenario: str) -> dict[tuple[str, str], dict[str, Any]]:
    """(table, key) -> row, of every table of figures."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for name in results.tables:
        columns = set(results.info(name).columns)
        if name in _REPEATED and _REPEATED[name] in results:
            continue
        if {"scenario", "kpi", "unit", "p10", "p50", "p90"} <= columns:
            for row in rows_of(results.table(name), scenario):
                rest = [str(row[c]) for c in row if c not in _NOT_KEYS]
                found[name, ".".join([str(row["kpi"]), *rest])] = row
    if "supply_goal_date" in results:
        for row in rows_of(results.table("supply_goal_date"), scenario):
            label = f"{row['title'] or row['goal']}: date reached"
            key = "supply_goal_date", f"{row['goal']}.date"
            found[key] = {**row, "unit": "date", "label": label}
            chance = float(row["probability"])
            known = dict.fromkeys(("p10", "p50", "p90"), chance)
            label = f"{row['title'] or row['goal']}: probability within the horizon"
            found["supply_goal_date", f"{row['goal']}.probability"] = {
                **row, **known, "unit": "", "label": label,
            }  # fmt: skip
    return found


def rows_of(table: Mapping[str, Column], scenario: str | None = None) -> list[dict[str, Any]]:
    """A table's rows as dictionaries, of one scenario if it is given."""
    names = list(table)
    rows = [
        dict(zip(names, values, strict=True))
        for values in zip(*(table[n].tolist() for n in names), strict=True)
    ]
    return rows if scenario is None else [row for row in rows if row["scenario"] == scenario]


def _compared(key: tuple[str, str], a: Mapping[str, Any], b: Mapping[str, Any]) -> ComparedKpi:
    difference: float | None = None
    relative: float | None = None
    if isinstance(a["p50"], str) or isinstance(b["p50"], str):
        if a["p50"] and b["p50"]:
            days = dt.date.fromisoformat(b["p50"]) - dt.date.fromisoformat(a["p50"])
            difference = float(days.days)
    else:
        change = float(b["p50"]) - float(a["p50"])
        if math.isfinite(change):
            difference = change
            relative = change / abs(float(a["p50"])) if a["p50"] else None
    return ComparedKpi(
        key[0], key[1], str(a.get("label") or a.get("kpi") or key[1]), str(a["unit"]),
        a["p50"], b["p50"], a["p10"], a["p90"], b["p10"], b["p90"], difference, relative,
    )  # fmt: skip


def _text_row(kpi: ComparedKpi) -> tuple[str, str, str, str, str, str]:
    values = [kpi.a, kpi.a_low, kpi.a_high, kpi.b, kpi.b_low, kpi.b_high]
    relative = "" if kpi.relative is None else f"{kpi.relative:+.1%}"
    if kpi.relative is not None and kpi.relative >= MANIFOLD:
        times = 1.0 + kpi.relative
        relative = f"x {times:,.0f}" if times >= 100 else f"x {times:.3g}"
    unit, difference = kpi.unit, "-"
    if unit == "date":
        texts = [str(value) or "beyond" for value in values]
        unit = ""
        if kpi.difference is not None:
            difference = f"{kpi.difference:+.0f} day"
    elif unit == "year":  # a date as a decimal year
        texts = [year_day(float(value)) for value in values]
        unit = relative = ""
        if kpi.difference is not None:
            difference = f"{365.2425 * kpi.difference:+.0f} day"
    else:
        change = math.nan if kpi.difference is None else kpi.difference
        if kpi.relative is not None and abs(kpi.relative) < _ROUNDING:
            change = 0.0
        numbers, unit = scaled([*map(float, values), change], unit)
        texts = [figure(number) for number in numbers]
        difference = figure(numbers[6], "+")
    return kpi.label, unit, _text_side(*texts[:3]), _text_side(*texts[3:6]), difference, relative


def _text_side(middle: str, low: str, high: str) -> str:
    return middle if low == high else f"{middle} ({low} - {high})"
