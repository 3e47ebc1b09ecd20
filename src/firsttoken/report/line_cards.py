"""The first answers about production lines: what comes out, what binds, how long it takes."""

from __future__ import annotations

import re

from firsttoken.report import formats
from firsttoken.report.page import Card
from firsttoken.report.reading import Reading, Row

_MOST_LINES = 2
_IDENTIFIER = r"\b[a-z0-9]+(?:_[A-Za-z0-9]+)+\b"
_QUANTILES = (("P10", "p10"), ("P50", "p50"), ("P80", "p80"), ("P90", "p90"))


def line_cards(reading: Reading) -> list[Card]:
    """Cards of the first lines."""
    cards = []
    for line in reading.lines()[:_MOST_LINES]:
        made = (_output(reading, line), _limit(reading, line), _time(reading, line),
                _power(reading, line), _kept(reading, line), _yield(reading, line))  # fmt: skip
        cards += [card for card in made if card]
    return cards


def line_sentence(reading: Reading) -> str:
    """What the first line makes and what sets its pace; '' if there is no line."""
    for line in reading.lines():
        row = reading.figure(line, "throughput")
        if row is None:
            continue
        text = f"{formats.label(line)} makes {weekly(row)} in the median future"
        limit = binding(reading, line)
        if limit is None:
            return text
        often = "" if limit["binds"] else "most often "
        if limit["kind"] == "release" and limit["binds"]:
            return f"{text}, all that is released"
        if limit["kind"] in ("wip", "release"):
            what = (
                "the number of lots allowed in the line" if limit["kind"] == "wip" else "releases"
            )
            return f"{text}; {what} {often}set{'s' * (limit['kind'] == 'wip')} the pace"
        return f"{text}; {_article(limit)} is {often}the limit"
    return ""


def _article(limit: Row) -> str:
    name = formats.label(limit["name"])
    return f"the station “{name}”" if limit["kind"] == "station" else f"“{name}”"


def weekly(row: Row, quantile: str = "p50") -> str:
    """A rate of `rack/week` as `413 racks a week`."""
    unit = str(row["unit"]).partition("/")[0]
    return f"{formats.quantity(row[quantile], unit)} a week"


def binding(reading: Reading, line: str) -> Row | None:
    """What limits a line in most futures; None if nothing is known to."""
    rows = sorted(reading.rows("line_binding", line=line), key=lambda row: int(row["rank"]))
    return next((row for row in rows if row["binds"] or row["futures"] > 0), None)


def title(reading: Reading, line: str, text: str) -> str:
    """A text with the line's name before it, where the run tells of other things too."""
    alone = len(reading.lines()) == 1 and len(reading.tables("_summary")) <= 1
    if alone:
        return text
    rest = text[:1].lower() + text[1:] if text[1:2].islower() else text
    return f"{formats.label(line)}: {rest}"


def _output(reading: Reading, line: str) -> Card | None:
    row = reading.figure(line, "throughput")
    if row is None:
        return None
    unit = str(row["unit"]).partition("/")[0]
    name = f"{formats.sentence(formats.plural(unit))} a week – median"
    facts = [(name_of, formats.number(row[q])) for name_of, q in _QUANTILES]
    detail = ""
    one = reading.figure(line, "throughput.any_period")
    if one is not None:
        period = str(one["unit"]).partition("/")[2]
        low, high = formats.number(one["p10"]), formats.number(one["p90"])
        detail = f"Mean over the time simulated; any one {period}: {low} to {high} (P10–P90)"
    return Card(title(reading, line, name), formats.number(row["p50"]), detail, facts, cls="wide")


def _limit(reading: Reading, line: str) -> Card | None:
    limit = binding(reading, line)
    if limit is None:
        return None
    if limit["binds"]:
        said = spoken(reading, line, limit)
        return Card(
            title(reading, line, "What sets the pace"), formats.sentence(named(limit)), said
        )
    detail = f"the limit in {formats.share(limit['futures'])} of the futures"
    others = [f"{named(row)} in {formats.share(row['futures'])}" for row in rivals(reading, line)]
    if len(others) > 1:
        detail += f"; {', '.join(others[1:])}"
    name = title(reading, line, "What sets the pace most often")
    return Card(name, formats.sentence(named(limit)), detail)


def rivals(reading: Reading, line: str, most: int = 4) -> list[Row]:
    """What limits a line in some futures, that of most futures first."""
    rows = sorted(reading.rows("line_binding", line=line), key=lambda row: int(row["rank"]))
    return [row for row in rows if row["futures"] >= 0.05][:most]


def named(row: Row) -> str:
    """What binds as words within a sentence."""
    words = {"release": "releases", "wip": "the number of lots in the line"}
    return words.get(row["kind"]) or formats.words(row["name"])


def spoken(reading: Reading, line: str, row: Row) -> str:
    """The sentence of a row on what binds, for people: names as words."""
    sentence, name = str(row["sentence"]), str(row["name"])
    sentence = sentence.removeprefix(f"{line}: ")
    names = rf"\b{re.escape(name)}\b|{_IDENTIFIER}"
    return formats.sentence(re.sub(names, lambda match: formats.words(match[0]), sentence))


def _time(reading: Reading, line: str) -> Card | None:
    middle, most = (reading.figure(line, f"cycle_time.{q}") for q in ("p50", "p90"))
    if middle is None or most is None:
        return None
    detail = f"nine in ten within {formats.hours(most['p50'])}"
    factor = reading.figure(line, "x_factor")
    if factor is not None:
        detail += f"; {formats.number(factor['p50'])} times the processing time on average"
    name = title(reading, line, "Cycle time, median lot")
    return Card(name, formats.hours(middle["p50"]), detail)


def _power(reading: Reading, line: str) -> Card | None:
    """The budget that is used most."""
    rows = [r for r in reading.rows("line_pools", line=line) if r["kind"] == "budget"]
    if not rows:
        return None
    row = max(rows, key=lambda r: float(r["use"]) if r["use"] == r["use"] else 0.0)
    name = formats.label(row["pool"])
    detail = f"{formats.share(row['use'])} of {name} in use on average; highest use "
    detail += formats.quantity(row["peak"], row["unit"])
    value = f"{used_of(row)}"
    return Card(title(reading, line, f"{name} in use"), value, detail)


def used_of(row: Row) -> str:
    """Use and level of a pool: `18.9 of 20 MW`."""
    used = formats.quantity(row["used"], row["unit"])
    level = formats.quantity(row["level"], row["unit"])
    if row["unit"] == "each":
        return f"{formats.number(row['used'])} of {formats.number(row['level'])}"
    head, _, unit = used.rpartition(" ")
    return f"{head} of {level}" if level.endswith(f" {unit}") else f"{used} of {level}"


def _kept(reading: Reading, line: str) -> Card | None:
    """Orders on time, or else lots on time."""
    for kpi in ("orders.on_time", "on_time"):
        row = reading.figure(line, kpi)
        if row is not None:
            what = "Orders on time" if kpi == "orders.on_time" else "Finished on time"
            return Card(title(reading, line, what), formats.share(row["mean"] / 100), _span(row))
    return None


def _yield(reading: Reading, line: str) -> Card | None:
    """First-pass yield of the product, if there is one; else the share that is not scrapped."""
    for kpi, what in (("yield.first_pass", "First-pass yield"), ("yield.final", "Not scrapped")):
        row = reading.figure(line, kpi)
        if row is not None:
            detail = "pass every step at once; " if kpi == "yield.first_pass" else ""
            value = formats.share(row["p50"] / 100)
            return Card(title(reading, line, what), value, detail + _span(row))
    return None


def _span(row: Row) -> str:
    low, high = (formats.share(row[q] / 100) for q in ("p10", "p90"))
    return f"P10–P90 {low} to {high}" if low != high else "in all replications"
