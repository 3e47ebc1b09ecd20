"""Sections on production lines: output, what binds, cycle times, orders, losses."""

from __future__ import annotations

import math
from collections.abc import Sequence

from firsttoken.report import formats
from firsttoken.report.line_cards import binding, named, rivals, spoken, title, used_of, weekly
from firsttoken.report.line_next import forecast, gains
from firsttoken.report.outlook import fan_of, quantile_table
from firsttoken.report.page import HALF, DataTable, Figure, Section, figure, half_figure
from firsttoken.report.reading import Reading, Row, by
from firsttoken.report.svg_canvas import ticks
from firsttoken.report.svg_fan import draw_fan
from firsttoken.report.svg_ranges import Range, date_marks, draw_histogram, draw_ranges
from firsttoken.report.svg_states import Gauge, StateBar, draw_gauges, draw_states

STATES = {
    "working": "working",
    "setup": "set-up",
    "maintenance": "maintenance",
    "down": "down",
    "short": "short of hands, power or parts",
    "blocked": "blocked",
    "starved": "starved",
    "closed": "closed",
}
_MOST_STATIONS = 24
_MOST_POOLS = 16
_MOST_CLASSES = 16
_MOST_ORDERS = 30
_MOST_PRODUCTS = 6
_MOST_POINTS = 6
_MOST_LOSSES = 24
KINDS = ("failed", "rework", "scrapped", "escaped", "queue limit")


def lines(reading: Reading) -> list[Section]:
    """All sections of all lines, in order."""
    made = []
    for line in reading.lines():
        for make in (output, forecast, limits, gains, times, orders, losses):
            section = make(reading, line)
            if section is not None:
                made.append(section)
    return made


def _section(reading: Reading, line: str, kind: str, kicker: str, said: str) -> Section:
    return Section(f"line-{line}-{kind}", title(reading, line, kicker), said)


# Output -------------------------------------------------------------------------------------


def output(reading: Reading, line: str) -> Section | None:
    """Lots finished by period, cycle time and lots in the line."""
    whole = [row for row in reading.rows("line_throughput", line=line) if row["whole"]]
    groups = by(whole, "product", "lot_class", "metric")
    rows = groups.get(("all", "all", "finished"), [])
    if not any(math.isfinite(row["p50"]) for row in rows):
        return None
    unit = str(rows[0]["unit"])
    fan = fan_of(rows, unit, reading.run.as_of)
    word = formats.period_word(fan.labels)
    section = _section(reading, line, "output", "Output", _output_title(reading, line))
    section.figures.append(
        figure(
            lambda width: draw_fan(fan, width),
            f"{formats.sentence(formats.plural(unit))} a {word}",
            f"{reading.run.replications:,} replications, scenario {reading.base}; warm-up included",
            table=quantile_table(rows, unit),
            legend=[("s1", "median"), ("band s1", "P10–P90")],
        )
    )
    for metric, name in (("cycle_time", "Cycle time of what is finished"), ("wip", "In the line")):
        found = groups.get(("all", "all", metric), [])
        section.figures += _half(found, name, word, metric)
    products = [key for key in groups if key[2] == "finished" and key[0] != "all"]
    for product, lot_class, metric in products[:_MOST_PRODUCTS] if len(products) > 1 else ():
        found = groups[product, lot_class, metric]
        name = ", ".join(filter(None, (formats.label(product), class_name(product, lot_class))))
        section.figures += _half(found, name, word, metric)
    return section


def class_name(product: str, lot_class: str) -> str:
    """A lot class as words, without its product's name before it; '' if it is the product's."""
    rest = lot_class.removeprefix(f"{product}.").removeprefix(f"{product}_")
    return "" if rest == product else formats.label(rest)[:1].lower() + formats.label(rest)[1:]


def _output_title(reading: Reading, line: str) -> str:
    row = reading.figure(line, "throughput")
    if row is None:
        return "Nothing is finished in the time simulated"
    text = f"{weekly(row)} in the median future"
    low, high = formats.number(row["p10"]), formats.number(row["p90"])
    return formats.sentence(text if low == high else f"{text}, {low} to {high} in eight of ten")


def _half(rows: list[Row], name: str, word: str, metric: str) -> list[Figure]:
    rows = [row for row in rows if math.isfinite(row["p50"])]
    if len(rows) < 2 or not any(row["p90"] > 0 for row in rows):
        return []
    unit = str(rows[0]["unit"])
    table = quantile_table(rows, unit)
    time, size = "", 1.0
    if metric == "cycle_time":
        time, size = formats.fitting("hour", max(float(row["p90"]) for row in rows))
        rows = [row | {q: float(row[q]) / size for q in ("p10", "p50", "p90")} for row in rows]
    fan = fan_of(rows, unit if size == 1.0 else "", "")
    said = {
        "cycle_time": f"mean of the {word}, {time}",
        "wip": f"{formats.plural(unit)} at the end of the {word}",
    }.get(metric, f"{formats.plural(unit)} a {word}")
    return [half_figure(draw_fan(fan, HALF, 220), name, said, table=table)]


# What binds ---------------------------------------------------------------------------------


def limits(reading: Reading, line: str) -> Section | None:
    """What sets the pace: sentences, stations by state, pools and budgets by use."""
    points = sorted(reading.rows("line_binding", line=line), key=lambda row: int(row["rank"]))
    stations, pools = (reading.rows(f"line_{kind}", line=line) for kind in ("stations", "pools"))
    if not (points or stations or pools):
        return None
    section = _section(reading, line, "limits", "What binds", _limit_title(reading, line, points))
    section.points = [spoken(reading, line, row) for row in points[:_MOST_POINTS]]
    if stations:
        section.figures.append(_stations(stations, points))
    if pools:
        section.figures.append(_pools(pools, points))
    return section


def _limit_title(reading: Reading, line: str, points: Sequence[Row]) -> str:
    limit = binding(reading, line)
    if limit is None and not points:
        return "Nothing is known to limit the line"
    if limit is not None and not limit["binds"]:
        often = [
            f"{named(row)} in {formats.share(row['futures'])}" for row in rivals(reading, line)
        ]
        return f"What binds differs from future to future: {', '.join(often)}"
    return spoken(reading, line, limit or points[0]).partition(";")[0].rstrip(".")


def _hot(points: Sequence[Row], *kinds: str) -> set[str]:
    return {str(row["name"]) for row in points if row["binds"] and row["kind"] in kinds}


def _stations(rows: list[Row], points: Sequence[Row]) -> Figure:
    hot = _hot(points, "station")

    def load(row: Row) -> float:
        opened = 1 - float(row["closed"])
        idle = sum(float(row[state]) for state in ("starved", "blocked", "short"))
        return 1 - idle / opened if opened > 0 else 0.0

    kept = rows
    if len(rows) > _MOST_STATIONS:
        busiest = sorted(rows, key=load, reverse=True)[:_MOST_STATIONS]
        kept = [row for row in rows if row in busiest]
    bars = [_state_bar(row, row["station"] in hot) for row in kept]
    used = [state for state in STATES if any(float(row[state]) >= 0.0005 for row in rows)]
    left = len(rows) - len(kept)
    return figure(
        lambda width: draw_states(bars, width),
        "What the servers of each station do",
        "Share of their time, per cent; at the right OEE, of the time that is not closed",
        table=_station_table(rows),
        legend=[(f"st-{state}", STATES[state]) for state in used],
        note=f"The {len(kept)} busiest stations; {left} more are in the table." if left else "",
    )


def _state_bar(row: Row, hot: bool) -> StateBar:
    name = formats.label(row["station"])
    parts = [
        (f"st-{state}", float(row[state]), f"{name}: {word} {formats.share(row[state])}")
        for state, word in STATES.items()
        if math.isfinite(row[state])
    ]
    servers = float(row["servers"])
    note = "1 server" if servers == 1 else f"{formats.number(servers)} servers"
    if math.isfinite(row["queue"]) and row["queue"] >= 0.05:
        note += f", queue {formats.number(row['queue'], 2)}"
    said = f"OEE {formats.share(row['oee'])}" if math.isfinite(row["oee"]) else ""
    return StateBar(name, note, parts, said, hot)


def _station_table(rows: Sequence[Row]) -> DataTable:
    shares = ("oee", "availability", "performance", "quality", "utilisation")
    headers = ("Station", "Servers", "OEE", "Availability", "Performance", "Quality", "Utilisation",
               *(word.capitalize() for word in STATES.values()), "Operations a week", "Queue",
               "Wait", "Longest active")  # fmt: skip
    cells = [
        (
            formats.label(row["station"]),
            formats.number(row["servers"]),
            *(formats.share(row[column]) for column in shares),
            *(formats.share(row[state]) for state in STATES),
            formats.number(row["operations"]),
            formats.number(row["queue"]),
            formats.quantity(row["wait"], "hour"),
            formats.share(row["bottleneck"]),
        )
        for row in rows
    ]
    return DataTable(headers, cells, frozenset(range(1, len(headers))))


def _pools(rows: list[Row], points: Sequence[Row]) -> Figure:
    hot = _hot(points, "pool", "budget")
    ranked = sorted(rows, key=lambda row: (-_known(row["short"]), -_known(row["use"])))
    kept = [row for row in rows if row in ranked[:_MOST_POOLS]]
    gauges = [_gauge(row, row["pool"] in hot) for row in kept]
    left = len(rows) - len(kept)
    return figure(
        lambda width: draw_gauges(gauges, width),
        "People, robots and shared budgets",
        "Mean use, per cent of the level; whisker P10–P90 of the replications, mark: highest use",
        table=_pool_table(rows),
        legend=[("s1", "mean use"), ("level", "level"), ("peak", "highest use")],
        note=f"The {len(kept)} that are short most; {left} more are in the table." if left else "",
    )


def _known(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def _gauge(row: Row, hot: bool) -> Gauge:
    name, level = formats.label(row["pool"]), float(row["level"])

    def part(column: str) -> float:
        return float(row[column]) / level if level > 0 and math.isfinite(row[column]) else 0.0

    said = used_of(row)
    note = str(row["description"])
    if row["short"] >= 0.005:
        note = f"waited for {formats.share(row['short'])} of the time"
    tip = f"{name}: {said} in use on average, at most {formats.quantity(row['peak'], row['unit'])}"
    return Gauge(
        name, note, part("used"), part("used_p10"), part("used_p90"), part("peak"), said, tip, hot
    )  # fmt: skip


def _pool_table(rows: Sequence[Row]) -> DataTable:
    headers = ("Name", "Level", "Used", "P10", "P90", "Highest", "In use", "Waited for",
               "Energy a week")  # fmt: skip
    columns = ("level", "used", "used_p10", "used_p90", "peak")
    cells = [
        (
            formats.label(row["pool"]),
            *(_amount(row[column], row["unit"]) for column in columns),
            formats.share(row["use"]),
            formats.share(row["short"]),
            formats.quantity(row["energy"], "kWh"),
        )
        for row in rows
    ]
    return DataTable(headers, cells, frozenset(range(1, len(headers))))


def _amount(value: float, unit: str) -> str:
    return formats.number(value) if unit == "each" else formats.quantity(value, unit)


# Cycle times --------------------------------------------------------------------------------


def times(reading: Reading, line: str) -> Section | None:
    """How long lots take: a histogram of all, and a range of each class."""
    rows = [
        row
        for row in reading.rows("line_cycle_times", line=line)
        if math.isfinite(row["mean"]) and math.isfinite(row["p50"])
    ]
    if not rows:
        return None
    section = _section(reading, line, "times", "Cycle time", _times_title(reading, line))
    chart = _histogram(reading, line)
    if chart is not None:
        section.figures.append(chart)
    section.figures.append(_classes(rows))
    return section


def _times_title(reading: Reading, line: str) -> str:
    middle, most = (reading.figure(line, f"cycle_time.{q}") for q in ("p50", "p90"))
    if middle is None or most is None:
        return "How long lots take"
    made = reading.figure(line, "throughput")
    unit = str(made["unit"]).partition("/")[0] if made else "lot"
    text = f"half of the {formats.plural(unit)} take {formats.hours(middle['p50'])} or less"
    return formats.sentence(f"{text}, nine in ten {formats.hours(most['p50'])}")


def _histogram(reading: Reading, line: str) -> Figure | None:
    groups = by(reading.rows("line_cycle_histogram", line=line), "lot_class")
    rows = groups.get(("all",)) or (next(iter(groups.values())) if len(groups) == 1 else [])
    if not rows:
        return None
    most = reading.figure(line, "cycle_time.p90")
    unit, size = formats.fitting("hour", float(most["p50"] if most else rows[-1]["high"]))
    bins = [
        (float(r["low"]) / size, float(r["high"]) / size, float(r["share"]),
         f"{formats.number(r['low'] / size)}–{formats.number(r['high'] / size)} {unit}: "
         f"{formats.share(r['share'])} of the lots")
        for r in rows
    ]  # fmt: skip
    marks = []
    for q, name in (("p50", "half within"), ("p90", "90 % within")):
        row = reading.figure(line, f"cycle_time.{q}")
        if row is not None:
            marks.append((float(row["p50"]) / size, f"{name} {formats.hours(row['p50'])}"))
    table = DataTable(
        (f"From, {unit}", "To", "Share"),
        [(formats.number(low), formats.number(high), formats.share(share))
         for low, high, share, _ in bins],
        frozenset({0, 1, 2}),
    )  # fmt: skip
    canvas = draw_histogram(bins, marks, formats.number, HALF)
    said = f"share of the finished lots by {unit}, all replications together"
    return half_figure(canvas, "From release to finish", said, table=table)


def _classes(rows: Sequence[Row]) -> Figure:
    kept = rows[:_MOST_CLASSES]
    most = max(float(row["p95"]) for row in kept)
    unit, size = formats.fitting("hour", most)
    places = ticks(0.0, most / size, 4)
    ranges = [_class_range(row) for row in kept]
    marks = [(place * size, formats.number(place)) for place in places]
    canvas = draw_ranges(ranges, marks, (0.0, marks[-1][0]), HALF)
    headers = ("Product", "Class", "Lots a week", "Mean", "P5", "P25", "P50", "P75", "P90", "P95",
               "Processing", "Factor", "On time")  # fmt: skip
    columns = ("mean", "p05", "p25", "p50", "p75", "p90", "p95", "processing")
    cells = [
        (
            formats.label(row["product"]),
            class_name(row["product"], row["lot_class"]) or "all",
            formats.number(row["finished"]),
            *(formats.quantity(row[column], "hour") for column in columns),
            formats.number(row["x_factor"]),
            formats.share(row["on_time"]),
        )
        for row in rows
    ]
    table = DataTable(headers, cells, frozenset(range(2, len(headers))))
    left = len(rows) - len(kept)
    return half_figure(
        canvas,
        "By class of lots",
        f"{unit}: median, half of the lots (thick), nine in ten of them (thin)",
        table=table,
        legend=[("peak", "processing time alone")],
        note=f"{left} more classes are in the table." if left else "",
    )


def _class_range(row: Row) -> Range:
    name = formats.label(row["product"])
    note = class_name(row["product"], row["lot_class"])
    tip = f"{name}, {note}: " if note else f"{name}: "
    tip += f"median {formats.hours(row['p50'])}, P5–P95 {formats.hours(row['p05'])} – "
    tip += f"{formats.hours(row['p95'])}; processing {formats.hours(row['processing'])}"
    low, left, middle, right, high = (float(row[q]) for q in ("p05", "p25", "p50", "p75", "p95"))
    mark = float(row["processing"]) if math.isfinite(row["processing"]) else None
    return Range(name, note, low, left, middle, right, high, mark, tip)


# Orders -------------------------------------------------------------------------------------


def orders(reading: Reading, line: str) -> Section | None:
    """When orders are complete, beside their due dates."""
    rows = reading.rows("line_orders", line=line)
    rows = rows or reading.rows("line_forecast_orders", line=line)
    if not rows:
        return None
    safe = sum(1 for row in rows if row["on_time"] >= 0.8)
    of = "the order is" if len(rows) == 1 else f"{safe} of {len(rows)} orders are"
    said = f"{of} on time in at least 80 % of the futures"
    if len(rows) == 1 and not safe:
        said = f"The order is on time in {formats.share(rows[0]['on_time'])} of the futures"
    section = _section(reading, line, "orders", "Orders", formats.sentence(said))
    shown = sorted(rows, key=lambda row: (str(row["due"]), str(row["order"])))
    worst = sorted(shown, key=lambda row: float(row["on_time"]))[:_MOST_ORDERS]
    kept = [row for row in shown if row in worst]
    days = [formats.ordinal(row[c]) for row in kept for c in ("due", "p10", "p50", "p90") if row[c]]
    first, last = min(days) - 1, max(days) + 1
    ranges = [_order_range(row) for row in kept]
    left = len(rows) - len(kept)
    section.figures.append(
        figure(
            lambda width: draw_ranges(
                ranges, date_marks(first, last, 5 if width < 560 else 10), (first, last), width
            ),
            "When each order is complete",
            "Median and P10–P90 of the day of the last lot; an arrow points beyond the horizon",
            table=_order_table(shown),
            legend=[("dot", "median"), ("thin", "P10–P90"), ("peak", "due date")],
            note=f"The {len(kept)} least certain; {left} more are in the table." if left else "",
        )
    )
    return section


def _order_range(row: Row) -> Range:
    low, middle, high = (formats.ordinal(row[q]) if row[q] else None for q in ("p10", "p50", "p90"))
    name = formats.label(row["order"])
    chance = formats.share(row["on_time"])
    tip = f"{name}: due {formats.day(row['due'])}, median {formats.day(row['p50'])}, "
    tip += f"P90 {formats.day(row['p90'])}; on time in {chance} of the futures"
    note = f"{row['lots']} × {formats.label(row['product'])}, {chance} on time"
    due = formats.ordinal(row["due"])
    return Range(name, note, low, None, middle, None, high, due, tip, row["on_time"] < 0.5)


def _order_table(rows: Sequence[Row]) -> DataTable:
    dates = [q for q in ("p10", "p50", "p80", "p90") if q in rows[0]]
    headers = ("Order", "Product", "Customer", "Lots", "Due", *(q.upper() for q in dates),
               "On time", "95 % interval")  # fmt: skip
    cells = [
        (
            formats.label(row["order"]),
            formats.label(row["product"]),
            str(row["customer"]),
            f"{row['lots']:,}",
            formats.day(row["due"]),
            *(formats.day(row[q]) for q in dates),
            formats.share(row["on_time"]),
            f"{formats.share(row['on_time_low'])} – {formats.share(row['on_time_high'])}",
        )
        for row in rows
    ]
    return DataTable(headers, cells, frozenset(range(3, len(headers))))


# Losses -------------------------------------------------------------------------------------


def losses(reading: Reading, line: str) -> Section | None:
    """What fails, is repeated or scrapped."""
    rows = reading.rows("line_losses", line=line)
    if not rows:
        return None
    failed = [row for row in rows if row["kind"] == "failed" and math.isfinite(row["share"])]
    rolled = [r for r in reading.rows("line_summary") if _is_rolled(r, line)]
    final = reading.figure(line, "yield.final")
    said = "What fails, is repeated or scrapped"
    if len(rolled) == 1 and math.isfinite(rolled[0]["p50"]):
        said = f"{formats.share(rolled[0]['p50'] / 100)} pass every step at the first attempt"
    elif final is not None:
        said = f"{formats.share(final['p50'] / 100)} are not scrapped"
    if failed:
        most = max(failed, key=lambda row: float(row["share"]))
        name = formats.label(most["name"])
        said += f"; most failures at “{name}”: {formats.share(most['share'])}"
    section = _section(reading, line, "losses", "Quality", said)
    order = {kind: place for place, kind in enumerate(KINDS)}
    rows.sort(key=lambda row: (order.get(row["kind"], len(order)), -_known(row["mean"])))
    cells = [
        (
            f"{formats.sentence(row['kind'])}: {_loss_name(row)}",
            *(formats.number(row[q]) for q in ("p10", "p50", "p90", "mean")),
            formats.share(row["share"]),
        )
        for row in rows
    ]
    headers = ("What", "P10", "P50", "P90", "Mean", "Share")
    caption = "A week; share of the operations, or of the finished lots"
    section.tables = [
        DataTable(headers, cells[:_MOST_LOSSES], frozenset(range(1, 6)), caption=caption,
                  opened=True, total=len(cells))
    ]  # fmt: skip
    return section


def _is_rolled(row: Row, line: str) -> bool:
    return str(row["kpi"]).startswith(f"{line}.yield.first_pass")


def _loss_name(row: Row) -> str:
    return ", ".join(formats.label(part) for part in str(row["name"]).split("."))
