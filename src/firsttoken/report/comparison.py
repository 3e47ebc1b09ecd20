"""Sections that compare: scenarios side by side, and the model with what really happened."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable

from firsttoken.report import formats
from firsttoken.report.outlook import fan_of, observation_points
from firsttoken.report.page import HALF, DataTable, Figure, Section, figure, half_figure
from firsttoken.report.reading import Reading, Row, by, unique
from firsttoken.report.svg_dots import Dot, Panel, draw_dots
from firsttoken.report.svg_fan import draw_fan
from firsttoken.results.compare import MANIFOLD, ComparedKpi, compare
from firsttoken.results.figures import year_day

_MOST_PANELS = 6
_OF_LINES = {
    kpi: place
    for place, kpi in enumerate(
        ("throughput", "cycle_time.p90", "on_time", "orders.on_time", "energy.lot", "wip",
         "cycle_time.p50", "yield.final", "throughput.any_period", "energy", "cycle_time")
    )
}  # fmt: skip
"""Figures of a line in the order of their importance."""


_OF_TOKENS = {
    kpi: place
    for place, kpi in enumerate(
        ("attained", "tokens", "throughput", "tpot_p95", "ttft_p95", "dollars", "joules",
         "tokens_per_mw", "token_cost", "token_energy", "ettr", "time_to_train", "goodput",
         "e2e_p95", "power", "peak_power", "energy", "cost", "steps", "gpus", "used", "requests")
    )
}  # fmt: skip
"""Figures of a token factory in the order of their importance."""
_LEAST_LOSS = 5e-3
"""Share of a figure of a token factory from which a loss is worth a headline."""
_MOST_DIFFERENCES = 24


def scenarios(reading: Reading) -> Section | None:
    """Scenarios side by side."""
    told = {row["scenario"] for row in reading.figures()}
    names = [name for name in reading.run.scenario_names if name in told]
    if len(names) < 2:
        return None
    panels = (_date_panels(reading, names) + _kpi_panels(reading, names))[:_MOST_PANELS]
    if not panels:
        return None
    titles = [reading.title(name) for name in names]
    drawn = figure(
        lambda width: draw_dots(panels, titles, width),
        "Every scenario beside the base",
        "Median and P10–P90; the dashed line is the base's median, an arrow points beyond the "
        "horizon",
        table=_kpi_table(reading, names),
        legend=[("s1", "base"), ("s2", "scenario")],
        note=f"All scenarios share seed {reading.run.seed} and so the same random numbers: "
        "differences come from the scenario, not from chance.",
    )
    section = Section("scenarios", "What if", _worst(reading, names), figures=[drawn])
    section.figures += _paths(reading, names)
    section.tables = [_differences(reading, names), _definitions(reading, names)]
    return section


def _paths(reading: Reading, names: list[str]) -> list[Figure]:
    """Output by period, of the last stage or else of the lines: medians over the base's band."""
    found = []
    for line in reading.lines() if not reading.all("supply_stage") else ():
        found += _line_paths(reading, line, names)
    stage = reading.final_stage()
    base = reading.simulated("supply_stage", metric="completed", stage=stage)
    for name in names[1:] if base else ():
        rows = reading.simulated("supply_stage", name, metric="completed", stage=stage)
        drawn = _path(reading, name, base, rows, stage)
        found += [drawn] if drawn else []
    return found


def _line_paths(reading: Reading, line: str, names: list[str]) -> list[Figure]:
    chosen = {"line": line, "product": "all", "metric": "finished"}
    base = [row for row in reading.rows("line_throughput", **chosen) if row["whole"]]
    drawn = [
        _path(reading, name, base, reading.rows("line_throughput", name, **chosen), line)
        for name in (names[1:] if base else ())
    ]
    return [figure for figure in drawn if figure]


def _path(
    reading: Reading, name: str, base: list[Row], rows: list[Row], what: str
) -> Figure | None:
    """A scenario's medians over the base's band; None if they are the same."""
    base = sorted(base, key=lambda row: str(row["period"]))
    unit = base[0]["unit"]
    medians = {row["period"]: float(row["p50"]) for row in rows}
    values = [medians.get(row["period"], math.nan) for row in base]
    if not _differs(values, [float(row["p50"]) for row in base]):
        return None
    title = reading.title(name)
    fan = fan_of(base, unit, "", lines=[("", values, "s2")], only_lines=True)
    word = formats.period_word(fan.labels)
    canvas = draw_fan(fan, HALF, 210)
    table = DataTable(
        (word.capitalize(), "Base", title),
        [
            (str(row["label"]), *(formats.quantity(v, unit, 4) for v in (row["p50"], value)))
            for row, value in zip(base, values, strict=True)
        ],
        frozenset({1, 2}),
    )
    said = f"{formats.output_of(what, unit, word)}: median, over the base’s band"
    return half_figure(canvas, title, said, table=table)


def _differs(values: list[float], others: list[float]) -> bool:
    """Whether two courses differ anywhere by more than 2 % of the largest value."""
    least = 0.02 * max((value for value in others if math.isfinite(value)), default=0.0)
    return any(abs(a - b) > least for a, b in zip(values, others, strict=True))


def _date_panels(reading: Reading, names: list[str]) -> list[Panel]:
    rows = {(r["scenario"], r["goal"]): r for r in reading.all("supply_goal_date")}
    panels = []
    for goal in unique(goal for _, goal in rows):
        dots: list[Dot | None] = []
        for name in names:
            row = rows.get((name, goal))
            if row is None:
                dots.append(None)
                continue
            at = [formats.ordinal(row[q]) if row[q] else None for q in ("p10", "p50", "p90")]
            said = [formats.month(row[q]) for q in ("p10", "p50", "p90")]
            tip = f"{reading.title(name)}: median {said[1]}, P10–P90 {said[0]} – {said[2]}"
            dots.append(Dot(at[0], at[1], at[2], said[1], tip))
        title = next(r["title"] for (_, g), r in rows.items() if g == goal)
        panels.append(
            Panel(f"{formats.sentence(title)}: date", "date", dots, _year_tick, dated=True)
        )
    return panels


def _year_tick(days: float) -> str:
    when = dt.date.fromordinal(round(days))
    return str(when.year) if when.month == 1 else f"{when:%b %Y}"


def _kpi_panels(reading: Reading, names: list[str]) -> list[Panel]:
    rows = {(r["scenario"], r["kpi"]): r for r in reading.figures()}
    goals = bool(reading.all("supply_goal_date"))
    kpis = unique(kpi for scenario, kpi in rows if scenario == reading.base)
    kpis = [kpi for kpi in kpis if not (goals and kpi.endswith(".date"))]
    kpis = [kpi for kpi in kpis if kpi not in _twice(reading)]
    kept = sorted((k for k in kpis if _moves(rows, names, k)), key=lambda k: _rank(reading, k))
    panels = []
    for kpi in kept:
        unit = rows[reading.base, kpi]["unit"]
        if unit == "year":
            title = formats.sentence(rows[reading.base, kpi]["label"])
            found = [_year_dot(reading.title(name), rows.get((name, kpi))) for name in names]
            panels.append(Panel(title, "date", found, _year_tick, dated=True))
            continue
        shown = "share" if _is_share(kpi, unit) else unit
        known = [rows[name, kpi]["p90"] for name in names if (name, kpi) in rows]
        fitting, size = formats.fitting(shown, max(filter(math.isfinite, known), default=0.0))
        dots = [_kpi_dot(reading.title(name), rows.get((name, kpi)), shown, size) for name in names]
        title = formats.sentence(rows[reading.base, kpi]["label"])
        said = formats.plural(fitting).partition("/")[0]
        bare = shown in ("USD", "share", "", "1") or said in title.lower().split()
        noted = "" if bare else f", {formats.plural(fitting)}"
        panels.append(Panel(title + noted, shown, dots, _ticker(shown)))
    return panels


def _rank(reading: Reading, kpi: str) -> tuple[int, str]:
    """Order of importance: goals, value, content, duty, the last stage by year, the rest."""
    line = next((name for name in reading.lines() if kpi.startswith(f"{name}.")), "")
    if line:
        place = _OF_LINES.get(kpi.removeprefix(f"{line}."), len(_OF_LINES))
        return 20 + place if place else 5, kpi
    if kpi.startswith(_factories(reading)):
        return 40 + _OF_TOKENS.get(kpi.rpartition(".")[2], len(_OF_TOKENS)), kpi
    final = f"completed.{reading.final_stage()}."
    leading = ("goal.", "value.", "home.", "duty", "spend")
    place = next((i for i, start in enumerate(leading) if kpi.startswith(start)), len(leading))
    if kpi.startswith(final):
        # Later years first: the first ones are as good as decided.
        return len(leading) + 1, str(9999 - int(kpi.rpartition(".")[2]))
    return (place if place < len(leading) else len(leading) + 2), kpi


def _factories(reading: Reading) -> tuple[str, ...]:
    """What the figures of token factories begin with."""
    return tuple(
        f"{name}." for name in unique(r["factory"] for r in reading.all("serving_summary"))
    )


def _twice(reading: Reading) -> set[str]:
    """Tokens of factories with one service, which are those of the service."""
    rows = reading.rows("serving_summary")
    made = [
        str(row["kpi"]).rpartition(".")[0] for row in rows if str(row["kpi"]).endswith(".ttft_p95")
    ]
    factories = [path.partition(".")[0] for path in made]
    return {f"{name}.tokens" for name in factories if factories.count(name) == 1}


def _is_share(kpi: str, unit: str) -> bool:
    return unit in ("", "1") and "share" in kpi


def _ticker(unit: str) -> Callable[[float], str]:
    return lambda value: formats.quantity(value, unit if unit in ("USD", "share") else "")


def _moves(rows: dict[tuple[str, str], Row], names: list[str], kpi: str) -> bool:
    found = [rows[n, kpi]["p50"] for n in names if (n, kpi) in rows]
    known = [value for value in found if math.isfinite(value)]
    if len(known) < 2:
        return False
    dates = any(rows[n, kpi]["unit"] == "year" for n in names if (n, kpi) in rows)
    # what a table rounds to no change is none; of dates it shows days
    least = 0.0 if dates else 5e-4 * max(abs(value) for value in known)
    return bool(max(known) - min(known) > least)


def _kpi_dot(name: str, row: Row | None, unit: str, size: float) -> Dot | None:
    if row is None:
        return None
    at = [float(row[q]) / size if math.isfinite(row[q]) else None for q in ("p10", "p50", "p90")]
    said = [formats.quantity(row[q], unit) for q in ("p10", "p50", "p90")]
    tip = f"{name}: median {said[1]}, P10–P90 {said[0]} – {said[2]}"
    return Dot(at[0], at[1], at[2], said[1], tip)


def _year_dot(name: str, row: Row | None) -> Dot | None:
    """A date that is given as a decimal year."""
    if row is None:
        return None
    days = [year_day(row[q]) if math.isfinite(row[q]) else "" for q in ("p10", "p50", "p90")]
    at = [formats.ordinal(day) if day else None for day in days]
    said = [formats.day(day) for day in days]
    tip = f"{name}: median {said[1]}, P10–P90 {said[0]} – {said[2]}"
    return Dot(at[0], at[1], at[2], said[1], tip)


def _kpi_table(reading: Reading, names: list[str]) -> DataTable:
    """Figures down, scenarios across: medians with P10-P90."""
    rows = {(r["scenario"], r["kpi"]): r for r in reading.figures()}
    cells = []
    for kpi in unique(kpi for _, kpi in rows):
        first = next(r for (_, k), r in rows.items() if k == kpi)
        unit = "share" if _is_share(kpi, first["unit"]) else first["unit"]
        line = [formats.sentence(first["label"])]
        for name in names:
            row = rows.get((name, kpi))
            line.append("–" if row is None else _kpi_cell(row, unit))
        cells.append(line)
    return DataTable(
        ("Figure (P10–P90)", *(reading.title(name) for name in names)),
        cells,
        frozenset(range(1, len(names) + 1)),
    )


def _kpi_cell(row: Row, unit: str) -> str:
    if unit == "year":
        texts = [
            formats.day(year_day(row[q])) if math.isfinite(row[q]) else "beyond"
            for q in ("p50", "p10", "p90")
        ]
    else:
        texts = [formats.quantity(row[q], unit) for q in ("p50", "p10", "p90")]
    return f"{texts[0]} ({texts[1]} – {texts[2]})"


def _differences(reading: Reading, names: list[str]) -> DataTable:
    """Figures down, scenarios across: what each changes against the base."""
    results = reading.results
    compared = [compare((results, names[0]), (results, name)) for name in names[1:]]
    found = [{kpi.kpi: kpi for kpi in comparison.kpis} for comparison in compared]
    kpis = {k.kpi: k for side in reversed(found) for k in side.values()}
    if any(k.table == "supply_goal_date" for k in kpis.values()):  # the same dates, once
        kpis = {name: k for name, k in kpis.items() if k.unit != "year"}
    final = f"completed.{reading.final_stage()}."
    shown = [k for k in kpis if k.startswith(final) or not k.startswith("completed.")]
    shown = [k for k in shown if k not in _twice(reading)]
    ranked = sorted(shown, key=lambda k: (kpis[k].table != "supply_goal_date", _rank(reading, k)))
    cells = []
    for kpi in ranked:
        changes = [_change(side[kpi]) if kpi in side else "–" for side in found]
        if any(change not in ("no change", "–") for change in changes):
            cells.append((formats.sentence(kpis[kpi].label), *changes))
    headers = ("Change of the median", *(reading.title(name) for name in names[1:]))
    caption = "What each scenario changes against the base"
    if len(cells) > _MOST_DIFFERENCES:
        caption += f": the first {_MOST_DIFFERENCES} of {len(cells)} figures"
    numeric = frozenset(range(1, len(headers)))
    return DataTable(
        headers, cells[:_MOST_DIFFERENCES], numeric, caption=caption, opened=True, loose=True
    )


def _change(kpi: ComparedKpi) -> str:
    difference, relative, unit = kpi.difference, kpi.relative, kpi.unit
    if difference is None:
        return "to beyond horizon" if kpi.a and not kpi.b else "–"
    least = 0.5 / 365 if unit == "year" else 0.0
    if abs(difference) <= least or (
        unit != "year" and relative is not None and abs(relative) < 5e-4
    ):
        return "no change"
    sign = "+" if difference > 0 else "−"
    size = abs(difference)
    if unit == "year":
        size, unit = 365.2425 * size, "date"
    if unit == "date":
        days = "1 day" if round(size) == 1 else f"{size:.0f} days"
        return f"{days} {'later' if difference > 0 else 'earlier'}"
    if unit in ("", "1"):
        return f"{sign}{100 * size:.1f} points" if size >= 5e-4 else "no change"
    amount = f"{size:.2g} points" if unit == "%" else formats.quantity(size, unit)
    text = f"{sign}{amount}"
    if relative is not None and relative >= MANIFOLD:
        return f"{text} (×{formats.number(1.0 + relative)})"
    return text if relative is None else f"{text} ({sign}{formats.share(abs(relative))})"


def _definitions(reading: Reading, names: list[str]) -> DataTable:
    cells = []
    for name in names:
        record = reading.run.scenario(name)
        changes = [f"{path} = {value}" for path, value in record.overrides.items()]
        changes += list(record.disruptions)
        if record.as_of and record.as_of != reading.run.as_of:
            changes.append(f"facts as known on {record.as_of}")
        cells.append((reading.title(name), record.description, "; ".join(changes) or "–"))
    return DataTable(("Scenario", "What it is", "What it changes"), cells,
                     caption="The scenarios", opened=True)  # fmt: skip


_BETTER_IF_MORE = ("attained", "goodput", "tokens", "throughput", "tokens_per_mw", "ettr")


def _worst_of_tokens(
    reading: Reading, names: list[str], rows: dict[tuple[str, str], Row], kpis: list[str]
) -> str:
    """The scenario that takes most of what is served or trained: shares of goals, then tokens."""
    for last in _BETTER_IF_MORE:
        losses = [
            (rows[name, kpi]["p50"] / rows[names[0], kpi]["p50"] - 1.0, kpi, name)
            for kpi in kpis
            if kpi.rpartition(".")[2] == last and rows[names[0], kpi]["p50"] > 0
            for name in names[1:]
            if (name, kpi) in rows and math.isfinite(rows[name, kpi]["p50"])
        ]
        change, kpi, name = min(losses, default=(0.0, "", ""))
        if change < -_LEAST_LOSS:
            row = rows[names[0], kpi]
            before, after = (rows[one, kpi]["p50"] for one in (names[0], name))
            unit = str(row["unit"])
            loss = f"{before - after:.2g} points" if unit == "%" else formats.share(-change)
            what = formats.sentence(row["label"])
            return f"“{reading.title(name)}” costs most: {loss} less ({what}, median)"
    return "No scenario costs tokens or goals"


def _worst(reading: Reading, names: list[str]) -> str:
    """The scenario that takes most from the delivered value (else the first figure)."""
    rows = {(r["scenario"], r["kpi"]): r for r in reading.figures()}
    kpis = unique(kpi for scenario, kpi in rows if scenario == names[0])
    rest = tuple(f"{line}." for line in reading.lines())
    kpis = [k for k in kpis if not k.startswith(rest) or k.endswith(".throughput")]
    ordered = sorted(kpis, key=lambda k: ("goal" not in k or "value" not in k, "value" not in k))
    tokens = [k for k in kpis if k.startswith(_factories(reading))]
    if tokens and not any(
        "value" in k or (k.endswith(".throughput") and k not in tokens) for k in kpis
    ):
        return _worst_of_tokens(
            reading, names, rows, sorted(tokens, key=lambda k: _rank(reading, k))
        )
    for kpi in ordered:
        if not _moves(rows, names, kpi) or rows[names[0], kpi]["unit"] == "year":
            continue
        base = rows[names[0], kpi]["p50"]
        lows = {
            n: rows[n, kpi]["p50"] - base
            for n in names[1:]
            if (n, kpi) in rows and _as_of(reading, n) == reading.run.as_of
        }
        lows = {n: value for n, value in lows.items() if math.isfinite(value)}
        if not lows:
            continue
        name = min(lows, key=lambda n: lows[n])
        if lows[name] < -1e-9 * abs(base):  # less than rounding is no loss
            unit = str(rows[names[0], kpi]["unit"])
            if unit.endswith("/week"):
                loss = formats.quantity(-lows[name], unit.removesuffix("/week"))
                return f"“{reading.title(name)}” costs most: {loss} a week less (median)"
            loss = formats.quantity(-lows[name], unit)
            what = formats.sentence(rows[names[0], kpi]["label"])
            return f"“{reading.title(name)}” costs most: {loss} less ({what}, median)"
    return "The scenarios beside the base"


def hindcast(reading: Reading) -> Section | None:
    """Reported values beside the simulated range, for every scenario that has them."""
    rows = reading.all("supply_observation")
    if not rows:
        return None
    section = Section("hindcast", "Checked against what happened", _hindcast_title(reading))
    section.lead = (
        "Reported values are compared with the simulation and never fed into it. A miss means that "
        "an assumption was wrong or not yet known."
    )
    for (scenario, _), group in by(rows, "scenario", "observation").items():
        chart = _hindcast_figure(reading, scenario, group)
        if chart:
            section.figures.append(chart)
    for name in unique(row["scenario"] for row in rows):
        known = _known_when(reading, name)
        if known:
            section.tables.append(known)
    return section


def _as_of(reading: Reading, scenario: str) -> str:
    return reading.run.scenario(scenario).as_of or reading.run.as_of


def _hindcast_title(reading: Reading) -> str:
    parts = []
    for (scenario,), group in by(reading.all("supply_observation"), "scenario").items():
        if scenario != reading.base and _as_of(reading, scenario) == reading.run.as_of:
            continue
        inside = sum(1 for row in group if row["inside"])
        known = _as_of(reading, scenario)
        parts.append(f"{inside} of {len(group)} inside P10–P90 with facts known to {known}")
    return "; ".join(parts[:2]) if parts else "Reported values beside the simulated range"


def _hindcast_figure(reading: Reading, scenario: str, group: list[Row]) -> Figure | None:
    if scenario != reading.base and _as_of(reading, scenario) == reading.run.as_of:
        return None
    group = sorted(group, key=lambda row: str(row["period"]))
    unit = group[0]["unit"]
    points = observation_points(reading, scenario, [row["period"] for row in group])
    points = points[: len(group)]
    fan = fan_of(group, unit, "", points=points)
    verdicts = [f"{row['label']}: {row['verdict']}" for row in group]
    said = f"{formats.sentence(group[0]['title'])} – known to {_as_of(reading, scenario)}"
    canvas = draw_fan(fan, HALF, 270)
    table = DataTable(
        ("Period", "Reported", "Low", "High", "P10", "P50", "P90", "Verdict"),
        [
            (str(r["label"]), *(formats.quantity(r[c], unit, 4) for c in _OBSERVED), r["verdict"])
            for r in group
        ],
        frozenset(range(1, 7)),
    )
    word = formats.period_word(fan.labels)
    return half_figure(
        canvas,
        said,
        f"{formats.plural(unit)} a {word}, scenario {reading.title(scenario)}",
        table=table,
        note="; ".join(verdicts) + ".",
        legend=[("obs", "reported"), ("s1", "median"), ("band s1", "P10–P90")],
    )


_OBSERVED = ("observed", "observed_low", "observed_high", "p10", "p50", "p90")


def _known_when(reading: Reading, scenario: str) -> DataTable | None:
    """Inputs whose value in a scenario with an earlier `as_of` differs from the base's."""
    if scenario == reading.base or _as_of(reading, scenario) == reading.run.as_of:
        return None
    now = {row["path"]: row for row in reading.inputs()}
    cells = []
    for row in reading.inputs(scenario):
        later = now.get(row["path"])
        if later is None or _spoken(row) == _spoken(later):
            continue
        cells.append(
            (row["path"], _spoken(row), str(row["source"]), _spoken(later), str(later["source"]))
        )
    if not cells:
        return None
    then, later_day = _as_of(reading, scenario), reading.run.as_of
    headers = ("Input", f"Known to {then}", "Source", f"Known to {later_day}", "Source")
    return DataTable(headers, cells[:80], caption="What was known when", opened=len(cells) <= 12,
                     total=len(cells))  # fmt: skip


def _spoken(row: Row) -> str:
    """Low - value - high of an input."""
    return " / ".join(str(row[c]) if isinstance(row[c], str) else formats.number(row[c], 4)
                      for c in ("low", "value", "high")) + f" {row['unit']}"  # fmt: skip
