"""From the futures of a line to named tables with units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from firsttoken.kernel import statistics
from firsttoken.line import model
from firsttoken.line.forecast import Forecast
from firsttoken.line.system import System
from firsttoken.twin.dates import iso, period_label, to_datetime
from firsttoken.twin.result_rows import Rows
from firsttoken.twin.result_table import ResultTable

BANDS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
"""Quantiles of the output by period."""
ALL = "all"
"""Product and class of rows that sum over all lots that leave the line."""
_COLUMNS = tuple(f"p{round(100 * q)}" for q in BANDS)
_DATES = (0.1, 0.5, 0.9)


def forecast_tables(
    scenario: str, line: model.Line, system: System, found: Forecast
) -> list[ResultTable]:
    """Both tables of the forecast of a line."""
    return [output_table(scenario, line, system, found), order_table(scenario, line, system, found)]


def output_table(scenario: str, line: model.Line, system: System, found: Forecast) -> ResultTable:
    """Percentile bands of what is finished in each period, and up to its end."""
    rows = Rows(
        "line_forecast",
        "Lots finished by period, in all since the snapshot, and in the line at the period's end: "
        "percentile bands over the futures; the first and last period may be parts of one.",
        ("scenario", "line", "lot_class", "metric", "period"),
        *("scenario", "line", "product", "lot_class", "metric", "period", "label", "end", "unit"),
        *("mean", *_COLUMNS),
    )
    moments = (found.edges + system.start).tolist()
    labels = [period_label(moment, line.report) for moment in moments[:-1]]
    for product, lot_class, members in _groups(system):
        made = found.finished[:, :, members].sum(axis=2).astype(np.float64)
        held = found.wip[:, :, members].sum(axis=2).astype(np.float64)
        for metric, counts in (
            ("finished", made),
            ("finished_in_all", made.cumsum(axis=1)),
            ("wip", held),
        ):
            bands = statistics.quantiles(counts, BANDS)
            rows.extend(
                counts.shape[1],
                scenario=scenario,
                line=system.names.line,
                product=product,
                lot_class=lot_class,
                metric=metric,
                period=[minute(moment) for moment in moments[:-1]],
                label=labels,
                end=[minute(moment) for moment in moments[1:]],
                unit=line.unit,
                mean=counts.mean(axis=0),
                **dict(zip(_COLUMNS, bands, strict=True)),
            )
    return rows.table()


def _groups(system: System) -> list[tuple[str, str, Sequence[int]]]:
    """(product, class, members): all that leaves the line, then each class if there are more."""
    names = system.names
    component = system.tables.product["component"][list(names.class_product)] != 0
    ships = [c for c in range(len(names.classes)) if not component[c]]
    groups: list[tuple[str, str, Sequence[int]]] = [(ALL, ALL, ships or range(len(names.classes)))]
    if len(names.classes) > 1:
        groups += [
            (names.products[names.class_product[c]], name, [c])
            for c, name in enumerate(names.classes)
        ]
    return groups


def minute(seconds: float) -> str:
    """An instant to the minute: 2026-07-01 06:00."""
    return f"{to_datetime(seconds):%Y-%m-%d %H:%M}"


def order_table(scenario: str, line: model.Line, system: System, found: Forecast) -> ResultTable:
    """When each order is complete, and how probably it is on time."""
    rows = Rows(
        "line_forecast_orders",
        "When each order will be complete, and the probability that it is on time with Wilson's "
        "95 % interval; a date is empty where it lies beyond the forecast's horizon.",
        ("scenario", "line", "order"),
        *("scenario", "line", "order", "product", "customer", "lots", "due", "p10", "p50", "p90"),
        *("complete", "on_time", "on_time_low", "on_time_high"),
    )
    for o, order in enumerate(system.names.orders):
        declared = line.orders[order]
        done = found.order_finished[:, o]
        dates = statistics.quantiles(done, _DATES)
        chance = found.on_time(o)
        values: dict[str, Any] = dict(
            zip(
                ("p10", "p50", "p90"),
                (iso(t + system.start) if np.isfinite(t) else "" for t in dates),
                strict=True,
            )
        )
        rows.add(
            scenario=scenario,
            line=system.names.line,
            order=order,
            product=declared.product,
            customer=declared.customer,
            lots=int(system.order_lots[o]),
            due=iso(float(np.median(found.order_due[:, o])) + system.start),
            **values,
            complete=float(np.isfinite(done).mean()),
            on_time=chance.estimate,
            on_time_low=chance.low,
            on_time_high=chance.high,
        )
    return rows.table(dict.fromkeys(("due", "p10", "p50", "p90"), "date"))
