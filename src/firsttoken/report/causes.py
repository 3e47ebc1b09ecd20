"""Sections on why: what binds, what more of it is worth, which inputs matter."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace

from firsttoken.report import formats
from firsttoken.report.outlook import binding_now
from firsttoken.report.page import DataTable, Figure, Section, figure
from firsttoken.report.reading import Reading, Row, by, periods_of, worth_of_percent
from firsttoken.report.svg_bars import Bar, Swing, draw_bars, draw_steps, draw_tornado
from firsttoken.report.svg_heat import draw_heat, draw_heat_key

_OWN_LIMITS = ("capacity", "resource", "policy")
_MOST_STAGES = 16
_MOST_BARS = 10
_MOST_SWINGS = 12
_COLLECTIONS = frozenset(
    {"operations", "lanes", "purchases", "resources", "demands", "buffers", "items", "tariffs",
     "goals", "investments", "calendars", "locations"}
)  # fmt: skip


def binding(reading: Reading) -> Section | None:
    """Heat strips: which stage is the limit when."""
    rows = [r for r in reading.simulated("supply_binding") if math.isfinite(r["share"])]
    if not rows:
        return None
    periods, labels = periods_of(rows)
    index = {period: i for i, period in enumerate(periods)}
    shares: dict[tuple[str, int], float] = {}
    told: dict[tuple[str, int], list[str]] = {}
    for row in rows:
        key = row["stage"], index[row["period"]]
        if row["limit"] in _OWN_LIMITS:
            shares[key] = min(shares.get(key, 0.0) + float(row["share"]), 1.0)
        if row["share"] >= 0.005:
            what = "short of material" if row["limit"] == "material" else row["limit"]
            told.setdefault(key, []).append(f"{what} {formats.share(row['share'])}")
    weight: dict[str, float] = {}
    for (stage, _), value in shares.items():
        weight[stage] = weight.get(stage, 0.0) + value
    kept = sorted((s for s in weight if weight[s] >= 0.05), key=lambda s: -weight[s])
    kept = kept[:_MOST_STAGES]
    if not kept:
        return None
    order = reading.chain_order()
    kept.sort(key=lambda stage: order.get(stage, 0))
    tips = {
        (stage, i): f"{formats.label(stage)}, {labels[i]}: {'; '.join(parts)}"
        for (stage, i), parts in told.items()
    }
    table = DataTable(
        ("Stage", *labels),
        [(formats.label(s), *(_percent(shares.get((s, i), 0.0)) for i in range(len(labels))))
         for s in kept],
        frozenset(range(1, len(labels) + 1)),
    )  # fmt: skip
    left = len(weight) - len(kept)
    hidden = "1 stage that is" if left == 1 else f"{left} stages that are"
    drawn = figure(
        lambda width: draw_heat(
            [(s, formats.label(s)) for s in kept], periods, labels, shares, tips, width
        ),
        "Which stage is the limit, and when",
        "Share of the futures in which a stage was the bottleneck, per cent: its capacity used up, "
        "and all that it made taken at once",
        table=table,
        note=f"Not shown: {hidden} hardly ever the limit." if left else "",
    )
    keys = figure(draw_heat_key, "Key to the colours")
    section = Section("binding", "What binds", _binding_title(reading), figures=[drawn])
    section.figures[0] = _with_key(drawn, keys)
    return section


def _with_key(drawn: Figure, key: Figure) -> Figure:
    narrow = None if drawn.narrow is None else drawn.narrow + (key.narrow or "")
    return replace(drawn, wide=drawn.wide + key.wide, narrow=narrow)


def _percent(value: float) -> str:
    return formats.share(value) if value >= 0.005 else "–"


def _binding_title(reading: Reading) -> str:
    now = binding_now(reading)
    if now is None:
        return "No stage is at its limit where the known facts end"
    stage, label, share, _ = now
    often = formats.share(share)
    return f"{label}: the stage “{formats.label(stage)}” is the limit in {often} of the futures"


def marginal(reading: Reading) -> Section | None:
    """What one more unit of each capacity is worth."""
    rows = [row for row in reading.rows("supply_marginal") if worth_of_percent(row) > 0]
    if not rows:
        return None
    groups = by(rows, "name", "location")
    best = [max(group, key=worth_of_percent) for group in groups.values()]
    best.sort(key=worth_of_percent, reverse=True)
    bars = [_bar(reading, row) for row in best[:_MOST_BARS]]
    ranked = sorted(rows, key=worth_of_percent, reverse=True)
    table = DataTable(
        (
            "Capacity",
            "Where",
            "Period",
            "Capacity now",
            "1 % is worth",
            "A step",
            "A step is worth",
            "In output",
            "Sources",
        ),
        [_marginal_row(reading, row) for row in ranked[:80]],
        frozenset({3, 4, 5, 6, 7}),
    )
    top = best[0]
    title = (
        f"More capacity is worth most at {formats.label(top['name'])}: "
        f"1\N{NO-BREAK SPACE}% in {top['label']} brings "
        f"{formats.quantity(worth_of_percent(top), 'USD')}"
    )
    drawn = figure(
        lambda width: draw_bars(bars, width),
        "Worth of 1\N{NO-BREAK SPACE}% more of each capacity, US$",
        "Shadow price in the plan times a hundredth of the capacity, in the period in which that "
        "is highest",
        table=table,
    )
    section = Section("marginal", "Where the next dollar goes", title, figures=[drawn])
    steps = _steps(reading, best)
    if steps:
        section.figures.append(steps)
    return section


def _bar(reading: Reading, row: Row) -> Bar:
    worth = worth_of_percent(row)
    now = formats.quantity(row["capacity"], row["capacity_unit"])
    note = f"{row['label']} · of {now}"
    said = formats.quantity(worth, "USD")
    link = reading.sources.anchor(row["name"])
    return Bar(
        formats.label(row["name"]), note, worth, said, formats.sentence(row["sentence"]), link
    )


def _marginal_row(reading: Reading, row: Row) -> tuple[str, ...]:
    return (
        formats.label(row["name"]),
        formats.label(row["location"]),
        str(row["label"]),
        formats.quantity(row["capacity"], row["capacity_unit"]),
        formats.quantity(worth_of_percent(row), "USD"),
        f"+{formats.quantity(row['step'], row['capacity_unit'])}",
        formats.quantity(row["marginal_usd"], "USD"),
        formats.quantity(row["marginal_units"], row["item_unit"]),
        reading.sources.notes(row["name"]),
    )


def _steps(reading: Reading, best: list[Row]) -> Figure | None:
    periods, labels = periods_of(reading.rows("supply_binding") or reading.rows("supply_marginal"))
    index = {period: i for i, period in enumerate(periods)}
    series = []
    for top in best[:6]:
        values = [0.0] * len(periods)
        for row in reading.rows("supply_marginal", name=top["name"], location=top["location"]):
            if row["period"] in index:
                values[index[row["period"]]] += worth_of_percent(row)
        if sum(value > 0 for value in values):
            series.append((formats.label(top["name"]), values))
    if len(periods) < 2 or not series:
        return None
    return figure(
        lambda width: draw_steps(series, labels, lambda v: formats.quantity(v, "USD"), width),
        "When it is worth that",
        "Worth of 1\N{NO-BREAK SPACE}% more by period, all on one scale; the highest at the right",
    )


def tornado(reading: Reading) -> Section | None:
    """Which uncertain inputs move the outputs."""
    section = Section("tornado", "What the answer hangs on", "")
    section.lead = (
        "Each bar runs from the mean outcome where an input is in its lowest fifth to that where "
        "it is in its highest fifth; the texts at the ends are the input's P10 and P90."
    )
    outputs = by(reading.rows("supply_tornado"), "output").items()
    for (name,), rows in sorted(outputs, key=lambda pair: pair[1][0]["output_unit"] != "USD"):
        known = [r for r in rows if math.isfinite(r["low_mean"]) and math.isfinite(r["high_mean"])]
        known.sort(key=lambda row: -abs(row["high_mean"] - row["low_mean"]))
        # The knots of one series share their draws, so their rows tell the same.
        distinct = {(r["parameter"], r["low_mean"], r["high_mean"]): r for r in reversed(known)}
        moving = [r for r in known if r in distinct.values() and r["high_mean"] != r["low_mean"]]
        kept = moving[:_MOST_SWINGS]
        if not kept:
            continue
        unit = kept[0]["output_unit"]
        centre = statistics.median((row["low_mean"] + row["high_mean"]) / 2 for row in known)
        swings = [_swing(reading, row, unit) for row in kept]
        section.figures.append(
            figure(
                lambda width, swings=swings, centre=centre, unit=unit: draw_tornado(  # type: ignore[misc]
                    swings, centre, lambda v: formats.quantity(v, unit), width
                ),
                formats.sentence(name),
                f"{formats.plural(unit) if unit != 'USD' else 'US$'}, mean of the replications",
                legend=[("lowside", "input low"), ("highside", "input high")],
                table=_tornado_table(reading, known, unit),
            )
        )
        if not section.title:
            top = kept[0]
            swing = formats.quantity(abs(top["high_mean"] - top["low_mean"]), unit)
            section.title = f"{_parameter(top)} moves the outcome most: by {swing}"
    return section if section.figures else None


def _parameter(row: Row) -> str:
    """The words of a parameter; a library fact keeps its identifier."""
    parts = str(row["parameter"]).split(".")
    for i, part in enumerate(parts[:-1]):
        if part in _COLLECTIONS:
            rest = " ".join(formats.label(word) for word in parts[i + 2 :])
            return f"{formats.label(parts[i + 1])}: {rest[:1].lower()}{rest[1:]}".rstrip(": ")
    return str(row["parameter"])


def _swing(reading: Reading, row: Row, unit: str) -> Swing:
    low, high = (_input(row[side], row["input_unit"]) for side in ("low_input", "high_input"))
    tip = (
        f"{_parameter(row)} from {low} to {high}: "
        f"{formats.quantity(row['low_mean'], unit)} to {formats.quantity(row['high_mean'], unit)}"
    )
    return Swing(_parameter(row), str(row["source"]) or row["path"], row["low_mean"],
                 row["high_mean"], low, high, tip, reading.sources.anchor(row["path"]))  # fmt: skip


def _input(value: str | float, unit: str) -> str:
    if unit == "date":
        return formats.month(str(value))
    try:
        return formats.quantity(float(value), unit)
    except ValueError:
        return str(value)


def _tornado_table(reading: Reading, rows: list[Row], unit: str) -> DataTable:
    cells = [
        (
            str(row["parameter"]),
            _input(row["low_input"], row["input_unit"]),
            _input(row["high_input"], row["input_unit"]),
            formats.quantity(row["low_mean"], unit, 4),
            formats.quantity(row["high_mean"], unit, 4),
            f"{row['correlation']:+.2f}".replace("-", "−"),
            reading.sources.notes(row["path"]),
        )
        for row in rows[:60]
    ]
    headers = ("Input", "Low", "High", "Output at low", "Output at high", "Correlation", "Source")
    return DataTable(headers, cells, frozenset({1, 2, 3, 4, 5}), total=len(rows))
