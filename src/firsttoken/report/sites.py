"""Sections on sites: power and PUE by period, where the energy goes, racks that cannot run."""

from __future__ import annotations

import math

from firsttoken.report import formats
from firsttoken.report.outlook import fan_of, quantile_table
from firsttoken.report.page import HALF, DataTable, Figure, Section, figure, half_figure
from firsttoken.report.reading import Reading, Row, by, unique
from firsttoken.report.svg_bars import Bar, draw_bars
from firsttoken.report.svg_fan import draw_fan

_HALVES = {
    "pue": "Energy beside that of IT, % of it (PUE less 1)",
    "wue": "WUE, L/kWh",
    "racks": "Racks with supply",
    "throttled": "Throttled rack-hours",
}
_MOST_GROUPS = 12
_POINTS = ("free_cooling", "warmest_supply", "peak_water", "throttled", "lost", "cost", "carbon")


def sites(reading: Reading) -> list[Section]:
    """A section on each simulated site, in order."""
    names = unique(row["site"] for row in reading.rows("facility_summary"))
    return [_site(reading, name, alone=len(names) == 1) for name in names]


def _site(reading: Reading, site: str, alone: bool) -> Section:
    said = "Power and cooling" if alone else f"{formats.label(site)}: power and cooling"
    section = Section(f"site-{site}", said, _title(reading, site))
    section.points = _points(reading, site)
    groups = by(reading.rows("facility_period", site=site), "metric")
    power = _known(groups.get(("power",), []))
    if power:
        section.figures.append(_power(reading, power))
    for metric, name in _HALVES.items():
        section.figures += _half(_known(groups.get((metric,), [])), name)
    losses = _losses(reading, site)
    if losses is not None:
        section.figures.append(losses)
    return section


def _figure(reading: Reading, site: str, kpi: str) -> Row | None:
    for row in reading.rows("facility_summary", kpi=f"{site}.{kpi}"):
        return row if math.isfinite(row["p50"]) else None
    return None


def _title(reading: Reading, site: str) -> str:
    pue, peak = _figure(reading, site, "pue"), _figure(reading, site, "peak_power")
    if pue is None or peak is None:
        return "Nothing runs in the time simulated"
    low, middle, high = (f"{pue[q]:.3f}" for q in ("p10", "p50", "p90"))
    band = "" if low == high else f", {low} to {high} in eight of ten futures"
    return f"PUE is {middle}{band}; power peaks at {formats.number(peak['p50'])} MW"


def _points(reading: Reading, site: str) -> list[str]:
    """Further headline figures in sentences."""
    found = []
    for kpi in _POINTS:
        row = _figure(reading, site, kpi)
        if row is not None and row["p90"] > 0:
            unit = str(row["unit"]).replace("rack*hour", "rack-hours").replace("degC", "°C")
            said = f"{formats.quantity(row['p50'], unit)}"
            found.append(f"{formats.sentence(str(row['label']))}: {said}.")
    limits = reading.rows("facility_grid", site=site)
    return found + [f"{row['sentence']}." for row in limits if row["sentence"]]


def _known(rows: list[Row]) -> list[Row]:
    """Rows with a median, of periods of a day or longer: charts have an axis of days."""
    return [row for row in rows if math.isfinite(row["p50"]) and "T" not in str(row["period"])]


def _power(reading: Reading, rows: list[Row]) -> Figure:
    fan = fan_of(rows, "", reading.run.as_of)
    word = formats.period_word(fan.labels)
    return figure(
        lambda width: draw_fan(fan, width),
        "Power taken, MW",
        f"mean of the {word}; {reading.run.replications:,} replications, scenario {reading.base}",
        table=quantile_table(rows, "MW"),
        legend=[("s1", "median"), ("band s1", "P10–P90")],
    )


def _half(rows: list[Row], name: str) -> list[Figure]:
    if len(rows) < 2 or not any(row["p90"] > 0 for row in rows):
        return []
    table = quantile_table(rows, "")
    if rows[0]["metric"] == "pue":
        rows = [row | {q: 100.0 * (row[q] - 1.0) for q in ("p10", "p50", "p90")} for row in rows]
    fan = fan_of(rows, "", "")
    said = f"by {formats.period_word(fan.labels)}"
    return [half_figure(draw_fan(fan, HALF, 220), name, said, table=table)]


def _losses(reading: Reading, site: str) -> Figure | None:
    """Bars of what each group of equipment takes or loses."""
    rows = [
        row
        for row in reading.rows("facility_groups", site=site)
        if row["metric"] in ("loss", "motors") and row["p50"] > 0
    ]
    total = _figure(reading, site, "energy")
    if not rows or total is None:
        return None
    rows.sort(key=lambda row: -float(row["p50"]))
    bars, cells = [], []
    for row in rows:
        share = formats.share(float(row["p50"]) / float(total["p50"]))
        said = f"{formats.quantity(1000 * float(row['p50']), 'kWh')}, {share}"
        note = "loss" if row["metric"] == "loss" else "motors"
        name = formats.label(str(row["group"]))
        bars.append(Bar(name, note, float(row["p50"]), said, ""))
        kind = formats.label(str(row["collection"]))
        cells.append((name, kind, note, formats.number(float(row["p50"]), 4), share))
    heads = ("Group", "Kind", "What", "MWh", "Share")
    return figure(
        lambda width: draw_bars(bars[:_MOST_GROUPS], width),
        "Where the energy goes that IT does not get",
        "losses of the power chain and motors of the cooling; share of all energy taken",
        table=DataTable(heads, cells, frozenset({3, 4})),
    )
