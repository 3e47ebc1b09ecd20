"""Sections on token factories: tokens, latencies against goals, power, what could be deployed."""

from __future__ import annotations

import datetime as dt
import math

from firsttoken.report import formats
from firsttoken.report.outlook import fan_of, quantile_table
from firsttoken.report.page import HALF, Card, DataTable, Figure, Section, figure, half_figure
from firsttoken.report.reading import Reading, Row, by, unique
from firsttoken.report.svg_canvas import Canvas
from firsttoken.report.svg_course import Curve, draw_curve
from firsttoken.report.svg_fan import draw_fan

_POINTS = ("tokens_per_mw", "peak_power", "used", "cost")
_OF_SERVICE = (
    *("tokens", "attained", "ttft_p95", "tpot_p95", "gpus", "tokens_per_gpu", "joules"),
    "dollars",
)
_HEADS = (
    *("Service", "Tokens/s", "Reach all goals", "TTFT, P95", "TPOT, P95", "GPUs"),
    *("Tokens/s a GPU", "J a token", "USD for a million"),
)
_OF_JOB = (
    *("steps", "tokens", "throughput", "ettr", "mfu", "time_to_train", "energy", "token_energy"),
    *("cost", "failures"),
)
_JOB_HEADS = (
    *("Job", "Steps", "Tokens", "Tokens/s", "ETTR", "MFU", "Time to train", "Energy"),
    *("J a token", "USD", "Failures"),
)
_COURSES = {"power": "Power of GPUs and hosts", "tokens_per_mw": "Output tokens/s of a megawatt"}
_SERVICES = {"attained": "Requests that reach all goals, %", "tokens": "Output tokens/s"}
_MOST = 6


_WORDS = {"gpus": "GPUs", "ttft": "TTFT", "tpot": "TPOT", "e2e": "E2E"}


def _words(name: str) -> str:
    return name.replace("_", " ").replace("gpu", "GPU")


def tokens(reading: Reading) -> list[Section]:
    """Sections on each token factory: what it does, and what its plan found."""
    names = unique(row["factory"] for row in reading.rows("serving_summary"))
    found = [_factory(reading, name, alone=len(names) == 1) for name in names]
    planned = unique(row["factory"] for row in reading.rows("serving_plan"))
    return found + [_plan(reading, name, alone=len(planned) == 1) for name in planned]


def _figures(reading: Reading, factory: str, service: str) -> dict[str, Row]:
    """Headline figures by the last part of their name."""
    rows = reading.rows("serving_summary", factory=factory, service=service)
    return {str(row["kpi"]).rpartition(".")[2]: row for row in rows if math.isfinite(row["p50"])}


def _factory(reading: Reading, factory: str, alone: bool) -> Section:
    said = "Tokens" if alone else f"{formats.label(factory)}: tokens"
    figures = _figures(reading, factory, "")
    section = Section(f"tokens-{factory}", said, _title(reading, factory, figures))
    section.points = [
        f"{formats.sentence(str(row['label']).rpartition(': ')[2])}: "
        f"{formats.quantity(row['p50'], str(row['unit']))}."
        for kpi in _POINTS
        if (row := figures.get(kpi)) is not None
    ]
    section.points += [
        f"{formats.sentence(str(row['sentence']))}."
        for row in reading.rows("serving_binding", factory=factory)
        if row["rank"] <= 2
    ][: 2 * _MOST]
    services = _services(reading, factory, "requests")
    section.cards = [_card(reading, factory, name) for name in services[:_MOST]]
    jobs = _services(reading, factory, "step_time")
    section.cards += [_job_card(reading, factory, name) for name in jobs[:_MOST]]
    periods = reading.rows("serving_period", factory=factory)
    groups = by(periods, "service", "metric")
    trained = by(reading.rows("serving_training_period", factory=factory), "job", "metric")
    section.figures += _main(reading, groups.get(("", "tokens"), []), "Output tokens a second")
    if not services:
        for job in jobs[:_MOST]:
            name = f"{formats.label(job)}: tokens trained a second, stops included"
            section.figures += _main(reading, trained.get((job, "throughput"), []), name)
    for metric, name in _COURSES.items():
        section.figures += _half(groups.get(("", metric), []), name)
    for service in services[:_MOST]:
        for metric, name in _SERVICES.items():
            title = name if len(services) == 1 else f"{formats.label(service)}: {name.lower()}"
            if metric != "tokens" or len(services) > 1:
                section.figures += _half(groups.get((service, metric), []), title)
    for job in jobs[:_MOST] if services else []:
        name = f"{formats.label(job)}: tokens trained a second"
        section.figures += _half(trained.get((job, "throughput"), []), name)
    section.tables += _tables(reading, factory, services)
    section.tables += _job_tables(reading, factory, jobs)
    return section


def _services(reading: Reading, factory: str, kpi: str) -> list[str]:
    """Services (or training jobs) of a factory: those that have a figure."""
    rows = reading.rows("serving_summary", factory=factory)
    ending = f".{kpi}"
    return unique(str(row["service"]) for row in rows if str(row["kpi"]).endswith(ending))


def _title(reading: Reading, factory: str, figures: dict[str, Row]) -> str:
    made, power = figures.get("tokens"), figures.get("power")
    jobs = _services(reading, factory, "step_time")
    if made is None and jobs:
        return _trained(reading, factory, jobs)
    if made is None or power is None:
        return "Nothing is served in the time simulated"
    text = f"{formats.number(made['p50'])} output tokens a second on "
    text += formats.quantity(power["p50"], str(power["unit"]))
    shares = {
        name: float(row["p50"]) / 100.0
        for name in _services(reading, factory, "requests")
        if (row := _figures(reading, factory, name).get("attained")) is not None
    }
    if not shares:
        return text
    worst = min(shares, key=lambda name: shares[name])
    if shares[worst] > 0.9995:
        return f"{text}; all requests reach their goals"
    of = "" if len(shares) == 1 else f" of {formats.words(worst)}, the least,"
    return f"{text}; {formats.share(shares[worst])} of the requests{of} reach their goals"


def _trained(reading: Reading, factory: str, jobs: list[str]) -> str:
    """What training comes to where nothing is served."""
    found = [_figures(reading, factory, job) for job in jobs]
    total = sum(float(one["tokens"]["p50"]) for one in found if "tokens" in one)
    of = f"{len(jobs)} jobs train" if len(jobs) > 1 else f"{formats.label(jobs[0])} trains"
    text = f"{of} {formats.number(total)} tokens"
    if len(jobs) == 1 and "steps" in found[0]:
        text += f" in {formats.number(found[0]['steps']['p50'])} steps"
    shares = [float(one["ettr"]["p50"]) / 100.0 for one in found if "ettr" in one]
    if shares:
        least = "" if len(jobs) == 1 else " or more"
        text += f"; {formats.share(min(shares))}{least} of the time counts (ETTR)"
    if len(jobs) == 1 and "time_to_train" in found[0]:
        text += f"; done after {formats.quantity(found[0]['time_to_train']['p50'], 'day')}"
    return text


def _card(reading: Reading, factory: str, service: str) -> Card:
    """What one service does, in short."""
    found = _figures(reading, factory, service)
    first = found.get("tokens")
    value = formats.number(first["p50"]) if first is not None else "–"
    shown = (
        ("TTFT, P95", "ttft_p95"),
        ("TPOT, P95", "tpot_p95"),
        ("GPUs", "gpus"),
        ("a token", "joules"),
    )
    facts = [(name, _said(found[kpi])) for name, kpi in shown if kpi in found]
    detail = "output tokens/s"
    if "attained" in found:
        detail += f"; {formats.share(found['attained']['p50'] / 100.0)} of requests reach all goals"
    return Card(formats.label(service), value, detail, facts)


def _job_card(reading: Reading, factory: str, job: str) -> Card:
    """What one training job does, in short."""
    found = _figures(reading, factory, job)
    rate = found.get("throughput")
    value = formats.number(rate["p50"]) if rate is not None else "–"
    shown = (("MFU", "mfu"), ("ETTR", "ettr"), ("a step", "step_time"), ("a token", "token_energy"))
    facts = [(name, _said(found[kpi])) for name, kpi in shown if kpi in found]
    return Card(formats.label(job), value, "tokens trained a second, stops included", facts)


_BARE = {"each": "", "token": "", "day": " days"}


def _said(row: Row) -> str:
    """A figure with its unit; counts without."""
    unit = str(row["unit"])
    text = formats.number(row["p50"])
    short = {"J/token": " J", "gpu": "", "token/s": "", "%": " %", "USD": "", **_BARE}.get(
        unit, f" {unit}"
    )
    return text + short


def _hourly(rows: list[Row]) -> bool:
    return any("T" in str(row["period"]) for row in rows)


def _curve(rows: list[Row]) -> Curve:
    """Hours as a curve, with the days below."""
    moments = [dt.datetime.fromisoformat(str(row["period"])) for row in rows]
    start = moments[0]
    x = [(moment - start).total_seconds() / 3600.0 for moment in moments]
    days = len(rows) > 48
    marks = [
        (at, f"{moment:%a %d %b}" if days else f"{moment:%H:%M}")
        for at, moment in zip(x, moments, strict=True)
        if not days or moment.hour == 0
    ]
    low, middle, high = ([float(row[q]) for row in rows] for q in ("p10", "p50", "p90"))
    tips = [
        f"{moment:%a %d %b %H:%M}: {formats.quantity(row['p50'], str(row['unit']))}"
        for moment, row in zip(moments, rows, strict=True)
    ]
    return Curve(x, low, middle, high, marks=marks, tips=tips)


def _draw(rows: list[Row], width: float, height: float = 0) -> Canvas:
    if _hourly(rows):
        return draw_curve(_curve(rows), width, height)
    return draw_fan(fan_of(rows, "", ""), width, height)


def _known(rows: list[Row]) -> list[Row]:
    return sorted(
        (row for row in rows if math.isfinite(row["p50"])), key=lambda row: str(row["period"])
    )


def _main(reading: Reading, rows: list[Row], name: str) -> list[Figure]:
    known = _known(rows)
    if len(known) < 2:
        return []
    word = "hour" if _hourly(known) else formats.period_word([str(row["label"]) for row in known])
    return [
        figure(
            lambda width: _draw(known, width),
            name,
            f"mean of the {word}; {reading.run.replications:,} replications, "
            f"scenario {reading.base}",
            table=quantile_table(known, "token/s"),
            legend=[("s1", "median"), ("band s1", "P10–P90")],
        )
    ]


def _half(rows: list[Row], name: str) -> list[Figure]:
    known = _known(rows)
    if len(known) < 2 or not any(row["p90"] > 0 for row in known):
        return []
    unit = str(known[0]["unit"])
    title = f"{name}, {unit}" if unit in ("MW", "kW") else name
    word = "hour" if _hourly(known) else formats.period_word([str(row["label"]) for row in known])
    table = quantile_table(known, unit)
    return [half_figure(_draw(known, HALF, 220), title, f"by {word}", table=table)]


def _tables(reading: Reading, factory: str, services: list[str]) -> list[DataTable]:
    """Services side by side, and what their replicas are."""
    rows = []
    for service in services:
        found = _figures(reading, factory, service)
        cells = [_said(found[kpi]) if kpi in found else "–" for kpi in _OF_SERVICE]
        rows.append((formats.label(service), *cells))
    numeric = frozenset(range(1, len(_HEADS)))
    caption = "Medians of each service"
    tables = [DataTable(_HEADS, rows, numeric, caption=caption, opened=True)] if rows else []
    replicas = reading.rows("serving_replicas", factory=factory)
    if replicas:
        heads = (
            "Service",
            "Role",
            "Model",
            "Layout",
            "GPUs",
            "Weights, GB",
            "KV, tokens",
            "Step, ms",
            "Layout is",
        )
        made = [
            (
                *(formats.label(str(row[key])) for key in ("service", "role")),
                *(str(row[key]) for key in ("model", "layout")),
                *(formats.number(row[key]) for key in ("gpus", "weights", "kv", "step")),
                str(row.get("chosen", "declared")),
            )
            for row in replicas
        ]
        said = "One replica: GPUs, weights on each, room for KV, a step of one sequence"
        tables.append(DataTable(heads, made, frozenset({4, 5, 6, 7}), caption=said))
    return tables


def _job_tables(reading: Reading, factory: str, jobs: list[str]) -> list[DataTable]:
    """Training jobs side by side, and where their GPU-hours go."""
    if not jobs:
        return []
    rows = []
    for job in jobs:
        found = _figures(reading, factory, job)
        cells = [_said(found[kpi]) if kpi in found else "–" for kpi in _OF_JOB]
        rows.append((formats.label(job), *cells))
    numeric = frozenset(range(1, len(_JOB_HEADS)))
    caption = "Medians of each training job"
    tables = [DataTable(_JOB_HEADS, rows, numeric, caption=caption, opened=True)]
    spent = reading.rows("serving_training_time", factory=factory)
    hours = [
        (
            formats.label(str(row["job"])),
            formats.sentence(str(row["label"])),
            formats.number(row["p50"]),
            f"{formats.number(row['share'])} %",
        )
        for row in spent
        if row["p50"] > 0
    ]
    heads = ("Job", "GPUs", "GPU-hours", "Share")
    if hours:
        said = "Where the GPU-hours of training go"
        tables.append(DataTable(heads, hours, frozenset({2, 3}), caption=said))
    return tables


def _plan(reading: Reading, factory: str, alone: bool) -> Section:
    """What the search found for each service."""
    rows = reading.rows("serving_plan", factory=factory)
    services = unique(row["service"] for row in rows)
    said = "Deployment" if alone else f"{formats.label(factory)}: deployment"
    first = {str(row["figure"]): row for row in rows if row["service"] == services[0]}
    title = f"{formats.label(services[0])}: {formats.number(first['gpus']['value'])} GPUs, "
    title += f"{first['gpus']['sentence']}; {first['units']['sentence']}"
    section = Section(f"deployment-{factory}", said, title)
    for service in services:
        mine = [row for row in rows if row["service"] == service]
        section.figures += _frontier(reading, factory, service)
        cells = [
            (
                _WORDS.get(str(row["figure"]), formats.sentence(_words(str(row["figure"])))),
                formats.quantity(row["value"], str(row["unit"])),
                str(row["sentence"]),
            )
            for row in mine
        ]
        heads = ("Figure", "Value", "")
        caption = f"{formats.label(service)}: the configuration that is best"
        section.tables.append(
            DataTable(heads, cells, frozenset({1}), caption=caption, opened=len(services) == 1)
        )
    return section


def _frontier(reading: Reading, factory: str, service: str) -> list[Figure]:
    """Tokens/s of a GPU against those that a user sees."""
    rows = reading.rows("serving_frontier", factory=factory, service=service)
    rows = sorted(rows, key=lambda row: float(row["per_user"]))
    if len(rows) < 3:
        return []
    x = [float(row["per_user"]) for row in rows]
    y = [float(row["per_gpu"]) for row in rows]
    tips = [
        f"{row['deployment']}, {row['format']}, {row['layout']}: {formats.number(v)} tokens/s a "
        f"GPU, {formats.number(u)} a user"
        for row, u, v in zip(rows, x, y, strict=True)
    ]
    plan = reading.rows("serving_plan", factory=factory, service=service)
    best = {str(row["figure"]): float(row["value"]) for row in plan}
    dots = [(best["per_user"], best["per_gpu"], "chosen")] if "per_user" in best else []
    curve = Curve(x, y, y, y, tips=tips, dots=dots, x_label="output tokens/s that a user sees")
    heads = ("Deployment", "Format", "Layout", "Tokens/s a user", "Tokens/s a GPU", "TTFT, ms")
    cells = [
        (
            *(str(row[key]) for key in ("deployment", "format", "layout")),
            *(formats.number(row[key]) for key in ("per_user", "per_gpu", "ttft")),
        )
        for row in rows
    ]
    return [
        figure(
            lambda width: draw_curve(curve, width),
            f"{formats.label(service)}: output tokens/s of a GPU against those of a user",
            "configurations of which none is better in both",
            table=DataTable(heads, cells, frozenset({3, 4, 5})),
        )
    ]
