"""Sections on what comes when: headline answers, the chain, output, goals, domestic content."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from firsttoken.report import formats
from firsttoken.report.line_cards import line_cards, line_sentence
from firsttoken.report.page import HALF, Card, DataTable, Figure, Section, figure, half_figure
from firsttoken.report.reading import Reading, Row, by, node_parts, unique, worth_of_percent
from firsttoken.report.svg_bars import Column, draw_columns
from firsttoken.report.svg_fan import Fan, Point, draw_fan
from firsttoken.report.svg_sankey import Flow, draw_sankey

_MOST_DEMANDS = 4
QUANTILES = ("p10", "p50", "p80", "p90", "mean")
QUANTILE_HEADERS = ("P10", "P50", "P80", "P90", "mean")


def headline(reading: Reading) -> Section | None:
    """Cards with the answers that are asked for first."""
    cards = [_goal_card(row) for row in reading.rows("supply_goal_date")]
    cards += _year_cards(reading)
    cards += [card for card in (_binding_card(reading), _next_card(reading)) if card]
    cards += line_cards(reading)
    if not cards:
        return None
    first = reading.rows("supply_goal_date")
    title = _goal_sentence(first[0]) if first else line_sentence(reading)
    title = title or "The answers in short"
    lead = (
        "P10, P50, P80 and P90 are the values that 10, 50, 80 and 90 per cent of "
        f"{reading.run.replications:,} simulated futures stay at or below. For a date, P80 is the "
        "day by which four futures in five have got there."
    )
    return Section("answers", "In short", title, lead, cards)


def _goal_sentence(row: Row) -> str:
    target = formats.quantity(row["target"], row["unit"])
    chance = formats.share(row["probability"])
    if row["p50"]:
        text = f"{target} is reached in {formats.month(row['p50'])} in the median future"
        if row["p80"]:
            return f"{text}, and by {formats.month(row['p80'])} with 80 % confidence"
        return f"{text}; {chance} of futures get there within the horizon"
    if row["probability"] > 0:
        return f"{target} lies beyond the horizon in most futures: {chance} get there"
    return f"{target} is not reached within the horizon in any simulated future"


def _goal_card(row: Row) -> Card:
    facts = [
        (h, formats.month(row[q])) for h, q in zip(QUANTILE_HEADERS[:4], QUANTILES, strict=False)
    ]
    detail = f"{formats.share(row['probability'])} of futures reach it within the horizon"
    value = formats.month(row["p50"]) if row["p50"] else "Beyond the horizon"
    return Card(f"{formats.sentence(row['title'])} – median date", value, detail, facts, cls="wide")


def _year_cards(reading: Reading) -> list[Card]:
    """Output of the last stage by calendar year."""
    stage = reading.final_stage()
    rows = [r for r in reading.rows("supply_summary") if r["kpi"].startswith("completed.")]
    mine = [r for r in rows if r["kpi"].rpartition(".")[0] == f"completed.{stage}"]
    kept = [r for r in mine if math.isfinite(r["p50"])]
    if not kept:
        return []
    columns = [
        Column(r["kpi"].rpartition(".")[2], r["p10"], r["p50"], r["p90"], formats.number(r["p50"]))
        for r in kept
    ]
    best = max(kept, key=lambda r: float(r["p50"]))
    year = best["kpi"].rpartition(".")[2]
    drawing = Markup(draw_columns(columns, 400, 250).svg(f"{formats.label(stage)} by year"))
    detail = "Median by calendar year; whiskers P10–P90"
    value = f"{formats.quantity(best['p50'], best['unit'])} in {year}"
    return [
        Card(
            formats.output_of(stage, kept[0]["unit"], "year"),
            value,
            detail,
            (),
            drawing,
            "wide tall",
        )
    ]


def _binding_card(reading: Reading) -> Card | None:
    found = binding_now(reading)
    if not found:
        return None
    stage, label, share, limit = found
    return Card(
        f"Binding stage, {label}",
        formats.label(stage),
        f"held back by its own {limit} in {formats.share(share)} of the futures",
    )


def binding_now(reading: Reading) -> tuple[str, str, float, str] | None:
    """(stage, period label, share, limit) of the stage that binds where the facts end.

    Where the plan's shadow prices are known it is the stage whose dearest capacity is worth
    most. Else: upstream of a stage that runs at its own limit nothing can be the limit of what
    comes out, so it is the last stage of the chain that is at its limit at least half of the
    time, or the one that is so most often.
    """
    order = reading.chain_order()
    end = order.get(reading.final_stage(), len(order))
    rows = [
        r
        for r in reading.simulated("supply_binding")
        if r["limit"] in ("capacity", "resource")
        and math.isfinite(r["share"])
        and order.get(r["stage"], 0) <= end
    ]
    periods = sorted({row["period"] for row in rows})
    if not periods:
        return None
    past = [period for period in periods if period <= (reading.run.as_of or periods[0])]
    now = past[-1] if past else periods[0]
    rows = [row for row in rows if row["period"] == now]
    priced = [r for r in reading.rows("supply_marginal", period=now) if worth_of_percent(r) > 0]
    dearest = max(priced, key=worth_of_percent)["stage"] if priced else ""
    often = [row for row in rows if row["share"] >= 0.5]
    last = max((order.get(row["stage"], 0) for row in often), default=-1)
    chosen = (
        [row for row in rows if row["stage"] == dearest]
        or [row for row in often if order.get(row["stage"], 0) == last]
        or rows
    )
    best = max(chosen, key=lambda row: float(row["share"]))
    if best["share"] <= 0:
        return None
    return best["stage"], str(best["label"]), float(best["share"]), best["limit"]


def _next_card(reading: Reading) -> Card | None:
    rows = reading.rows("supply_marginal")
    rows = [row for row in rows if worth_of_percent(row) > 0]
    if not rows:
        return None
    best = max(rows, key=worth_of_percent)
    worth = formats.quantity(worth_of_percent(best), "USD")
    return Card("Where more capacity is worth most", formats.label(best["name"]),
                f"1\N{NO-BREAK SPACE}% more in {best['label']} is worth {worth}")  # fmt: skip


def chain(reading: Reading) -> Section | None:
    """The supply Sankey."""
    rows = reading.simulated("supply_flow")
    whole = [row for row in rows if str(row["year"]) == "all"]
    rows = [row for row in whole or rows if row["quantity"] > 0]
    if not rows:
        return None
    by_value = sum(row["value_usd"] for row in rows if math.isfinite(row["value_usd"])) > 0
    largest = {
        item[0]: max(float(r["quantity"]) for r in group)
        for item, group in by(rows, "item").items()
    }
    flows = []
    for row in rows:
        size = float(row["value_usd"]) if by_value else row["quantity"] / largest[row["item"]]
        if not (math.isfinite(size) and size > 0):
            continue
        said = formats.quantity(row["quantity"], row["unit"])
        if by_value:
            said += f", {formats.quantity(row['value_usd'], 'USD')}"
        names = f"{_node_name(row['source_node'])} → {_node_name(row['target_node'])}"
        tip = f"{formats.label(row['item'])}: {names}: {said}"
        flows.append(Flow(row["source_node"], row["target_node"], size, tip, row["stage_from"]))
    order = reading.chain_order()
    groups = sorted(unique(f.group for f in flows), key=lambda g: order.get(g, 0))
    details = _node_details(rows)
    total = max((r for r in rows), key=lambda r: order.get(r["stage_to"], 0))
    title = _chain_title(reading, rows)
    measure = "Bands are as wide as the value of the goods" if by_value else (
        "Bands are as wide as their share of the item's largest flow"
    )  # fmt: skip
    table = DataTable(
        ("From", "To", "Item", "Quantity", "Unit", "Value", "Sources"),
        [
            (
                _node_name(r["source_node"]), _node_name(r["target_node"]),
                formats.label(r["item"]), formats.number(r["quantity"], 4),
                formats.plural(r["unit"]), formats.quantity(r["value_usd"], "USD"),
                reading.sources.notes(*reading.makers(r["source_node"])),
            )
            for r in sorted(rows, key=lambda r: (order.get(r["stage_from"], 0), -r["quantity"]))
        ],
        frozenset({3, 5}),
    )  # fmt: skip
    drawn = figure(
        lambda width: draw_sankey(
            flows,
            width,
            _node_name,
            lambda n: details.get(n, ""),
            lambda n: reading.sources.anchor(*reading.makers(n)),
            groups,
        ),
        "What each site sends on, from first to last stage",
        f"{measure}, whole horizon, {_engine(total)}; point at a band for its quantity",
        table=table,
        legend=[(f"g{i % 10 + 1}", formats.label(g)) for i, g in enumerate(groups)],
        scroll=True,
    )
    return Section("chain", "The chain", title, figures=[drawn])


def _chain_title(reading: Reading, rows: Sequence[Row]) -> str:
    """Which site makes most of the last stage's output."""
    final = reading.final_stage()
    senders = {row["source_node"] for row in rows}
    last = [r for r in rows if r["target_node"] not in senders and r["stage_from"] == final]
    totals = {
        n[0]: sum(float(r["quantity"]) for r in g) for n, g in by(last, "source_node").items()
    }
    if len(totals) < 2 or len({row["unit"] for row in last}) > 1:
        return "What each site sends on, from wafer to rack"
    best = max(totals, key=lambda node: totals[node])
    share = formats.share(totals[best] / sum(totals.values()))
    name = formats.label(node_parts(best)[-1])
    return f"Most {formats.plural(last[0]['unit'])} come from one site: {share} from {name}"


def _engine(row: Row) -> str:
    return "mean of the replications" if row.get("engine") == "simulation" else "plan"


def _node_name(node: str) -> str:
    parts = node_parts(node)
    if parts[0] == "delivered" and len(parts) > 1:
        parts = parts[1:]
    return ", ".join(formats.label(part) for part in parts)


def _node_details(rows: Sequence[Row]) -> dict[str, str]:
    """What a node sends on, or takes in if it sends nothing."""
    details = {}
    for end in ("target_node", "source_node"):
        for (node,), group in by(rows, end).items():
            items = {
                item[0]: (sum(float(r["quantity"]) for r in part), part[0]["unit"])
                for item, part in by(group, "item").items()
            }
            _, (amount, unit) = max(items.items(), key=lambda pair: pair[1][0])
            details[node] = formats.quantity(amount, unit)
    return details


def quantile_table(rows: Sequence[Row], unit: str, first: str = "Period") -> DataTable:
    """Periods down, quantiles across."""
    cells = [
        (str(row["label"]), *(formats.quantity(row[q], unit, 4) for q in QUANTILES)) for row in rows
    ]
    return DataTable((first, *QUANTILE_HEADERS), cells, frozenset(range(1, 6)))


def fan_of(rows: Sequence[Row], unit: str, now: str, **more: Any) -> Fan:
    """A fan of rows in the order of their periods."""
    rows = sorted(rows, key=lambda row: str(row["period"]))
    return Fan(
        [row["period"] for row in rows],
        [str(row["label"]) for row in rows],
        [float(row["p10"]) for row in rows],
        [float(row["p50"]) for row in rows],
        [float(row["p90"]) for row in rows],
        say=lambda value: formats.quantity(value, unit if unit in ("USD", "share") else ""),
        now=now,
        **more,
    )


def output(reading: Reading) -> Section | None:
    """Fan chart of the last stage's output, with what was observed; small ones of the others."""
    stage = reading.final_stage()
    rows = reading.rows("supply_stage", metric="completed")
    mine = [r for r in rows if r["stage"] == stage and r["engine"] == "simulation"]
    plan = [r for r in rows if r["stage"] == stage and r["engine"] == "plan"]
    shown = [row for row in mine or plan if math.isfinite(row["p50"])]
    if not shown:
        return None
    unit = shown[0]["unit"]
    planned = {row["period"]: float(row["p50"]) for row in plan} if mine else {}
    ordered = sorted(shown, key=lambda row: str(row["period"]))
    observed = observation_points(reading, reading.base, [r["period"] for r in ordered], stage)
    fan = fan_of(
        ordered, unit, reading.run.as_of, points=observed,
        plan=[planned.get(r["period"], math.nan) for r in ordered] if planned else (),
    )  # fmt: skip
    best = max(ordered, key=lambda row: float(row["p50"]))
    word = formats.period_word(fan.labels)
    peak = f"{formats.number(best['p50'])} {formats.plural(unit)} a {word}"
    title = f"Median output peaks at {peak} in {best['label']}"
    legend = [("s1", "median"), ("band s1", "P10–P90")]
    legend += [("obs", "reported, with its range")] if observed else []
    legend += [("plan", "plan")] if planned else []
    main = figure(
        lambda width: draw_fan(fan, width),
        formats.output_of(stage, unit, word),
        f"{reading.run.replications:,} replications, scenario {reading.base}",
        table=quantile_table(ordered, unit),
        legend=legend,
        note=_verdicts(reading),
    )
    return Section("output", "Output", title, figures=[main, *_other_stages(reading, stage)])


def _other_stages(reading: Reading, final: str) -> list[Figure]:
    order = reading.chain_order()
    rows = reading.simulated("supply_stage", metric="completed")
    groups = [(s[0], g) for s, g in by(rows, "stage").items() if s[0] != final]
    flowing = {r["stage_from"] for r in reading.simulated("supply_flow")}
    moved = {
        r["stage"]
        for r in reading.rows("supply_activity", metric="completed")
        if r["kind"] in ("lane", "purchase")
    }
    groups = [(s, g) for s, g in groups if s not in moved and (not flowing or s in flowing)]
    groups.sort(key=lambda pair: order.get(pair[0], 0))
    found = []
    for stage, group in groups[:8]:
        if not any(row["p90"] > 0 for row in group):
            continue
        unit = group[0]["unit"]
        fan = fan_of(group, unit, "")
        canvas = draw_fan(fan, HALF, 220)
        word = formats.period_word(fan.labels)
        said = f"{formats.plural(unit)} a {word}"
        table = quantile_table(group, unit)
        found.append(half_figure(canvas, formats.label(stage), said, table=table))
    return found


def observation_points(
    reading: Reading, scenario: str, periods: Sequence[str], stage: str = ""
) -> list[Point]:
    """Observations of a scenario (of a stage, where the table says so) on a chart's periods."""
    index = {period: i for i, period in enumerate(periods)}
    points = []
    for row in reading.rows("supply_observation", scenario):
        known = all(math.isfinite(row[c]) for c in ("observed", "observed_low", "observed_high"))
        if not known or row["period"] not in index or (stage and row.get("stage", stage) != stage):
            continue
        value = formats.quantity(row["observed"], row["unit"])
        span = f"{formats.number(row['observed_low'])}–{formats.number(row['observed_high'])}"
        tip = f"{row['label']}: reported {value} ({span}); {row['verdict']}"
        points.append(
            Point(
                index[row["period"]],
                row["observed_low"],
                row["observed"],
                row["observed_high"],
                tip,
            )
        )
    return points


def _verdicts(reading: Reading) -> str:
    rows = reading.rows("supply_observation")
    if not rows:
        return ""
    inside = sum(1 for row in rows if row["inside"])
    outside = [f"{row['label']} {row['verdict']}" for row in rows if not row["inside"]]
    text = f"{inside} of {len(rows)} reported values lie inside the P10–P90 band"
    return f"{text}; outside: {', '.join(outside)}." if outside else f"{text}."


def goals(reading: Reading) -> Section | None:
    """Cumulative value towards each goal."""
    dates = {row["goal"]: row for row in reading.rows("supply_goal_date")}
    section = Section("goals", "The goal", "")
    for (goal,), found in by(reading.rows("supply_goal"), "goal").items():
        rows = [row for row in found if math.isfinite(row["p50"])]
        if not rows:
            continue
        first = rows[0]
        date = dates.get(goal)
        reached = tuple(date[q] for q in ("p10", "p50", "p80", "p90")) if date else None
        target = formats.quantity(first["target"], first["unit"])
        fan = fan_of(
            rows, first["unit"], reading.run.as_of,
            target=float(first["target"]), target_label=f"target {target}", dates=reached,
            tick=(lambda value: formats.quantity(value, "USD")),
        )  # fmt: skip
        end = sorted(rows, key=lambda row: str(row["period"]))[-1]
        note = _goal_note(date) if date else ""
        section.figures.append(
            figure(
                lambda width, fan=fan: draw_fan(fan, width),  # type: ignore[misc]
                f"{formats.sentence(first['title'])}, cumulative",
                f"at the end of each period; {formats.quantity(end['p50'], end['unit'])} in the "
                f"median by {end['label']}",
                table=quantile_table(rows, first["unit"], "By the end of"),
                note=Markup("{}{}").format(note, reading.sources.notes(goal)),
                legend=[("s1", "median"), ("band s1", "P10–P90")],
            )
        )
        if not section.title:
            share = end["p50"] / first["target"] if first["target"] else math.nan
            section.title = (
                f"By {end['label']} the median future has made {formats.share(share)} of {target}"
            )
    return section if section.figures else None


def _goal_note(row: Row) -> str:
    parts = [f"P{n} {formats.day(row[f'p{n}'])}" for n in (10, 50, 80, 90)]
    return f"Date reached: {', '.join(parts)}. "


def domestic(reading: Reading) -> Section | None:
    """Domestic content by period, of the demands of most value."""
    section = Section("domestic", "Domestic content", "")
    groups = by(reading.simulated("supply_demand", metric="home_share"), "demand")
    value = {
        name[0]: sum(float(row["mean"]) for row in rows)
        for name, rows in by(reading.simulated("supply_demand", metric="value"), "demand").items()
    }
    idle = {
        (row["demand"], row["period"])
        for row in reading.simulated("supply_demand", metric="value")
        if not row["p50"] > 0
    }
    names = sorted((name for (name,) in groups), key=lambda name: -value.get(name, 0.0))
    for demand in names:
        rows = sorted(groups[demand,], key=lambda row: str(row["period"]))
        rows = [r for r in rows if (demand, r["period"]) not in idle and math.isfinite(r["p50"])]
        if len(rows) < 2 or not any(row["p90"] > 0 for row in rows):
            continue
        if len(section.figures) == _MOST_DEMANDS:
            section.lead = f"The {_MOST_DEMANDS} of most value, of {len(names)} in all."
            break
        section.figures.append(_domestic_figure(demand, rows))
        if not section.title:
            first, last = (
                f"{formats.share(r['p50'])} in {r['label']}" for r in (rows[0], rows[-1])
            )
            of = "" if demand.startswith("all ") else f" of {formats.label(demand)}"
            section.title = f"Domestic content{of}: {first}, {last}"
    return section if section.figures else None


def _domestic_figure(demand: str, rows: Sequence[Row]) -> Figure:
    high = max(row["p90"] for row in rows)
    fan = fan_of(rows, "share", "", tick=formats.share, ceiling=1.0 if high > 0.5 else None)
    word = formats.period_word(fan.labels)
    title = f"{formats.label(demand)}: share of cost added at home"
    said = f"of what is delivered in the {word}; median and P10–P90"
    canvas = draw_fan(fan, HALF, 225)
    return half_figure(canvas, title, said, table=quantile_table(rows, "share"))
