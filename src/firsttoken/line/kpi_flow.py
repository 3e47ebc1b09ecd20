"""Tables of what flows: output by period, cycle times, orders, and what is lost or repeated."""

from __future__ import annotations

import math

import numpy as np

from firsttoken.kernel import statistics
from firsttoken.kernel.sketch import bucket_edges
from firsttoken.line import result, system
from firsttoken.line.kpi import Kpis, order_due
from firsttoken.line.kpi_rows import HOUR, WEEK, Floats, Samples, mean, one, ratio
from firsttoken.twin.dates import iso
from firsttoken.twin.result_rows import QUANTILES, Rows, spread
from firsttoken.twin.result_table import ResultTable

ALL = "all"
"""Product and class of rows that sum over all lots that leave the line."""
_BINS = 40
_TAIL = 0.001
_ORDER_QUANTILES = (0.1, 0.5, 0.8, 0.9)


# Output by period ---------------------------------------------------------------------------


def throughput_table(kpis: Kpis) -> ResultTable:
    """Finished lots, their mean cycle time and the lots in the line by report period and class.

    The warm-up is included, so that a ramp can be seen.
    """
    rows = kpis.rows(
        "line_throughput",
        "Lots finished, their mean cycle time, and lots in the line at the end, by report period.",
        ("product", "lot_class", "period", "metric"),
        *("label", "unit", "whole", *QUANTILES),
    )
    found = kpis.result
    cells = [(ALL, ALL, kpis.ships)]
    if len(kpis.product) > 1:
        for c, p in enumerate(kpis.product):
            mine = np.arange(len(kpis.product)) == c
            cells.append((kpis.names.products[p], kpis.names.classes[c], mine))
    for product, lot_class, mine in cells:
        unit = kpis.line.unit
        if product != ALL:
            unit = kpis.unit(int(kpis.product[mine][0]))
        finished = found.period_finished[:, :, mine].sum(axis=2)
        cycle = ratio(found.period_cycle[:, :, mine].sum(axis=2), finished) / HOUR
        wip = found.period_wip[:, :, mine].sum(axis=2)
        for metric, shown, samples in (
            ("finished", unit, finished), ("cycle_time", "hour", cycle), ("wip", unit, wip),
        ):  # fmt: skip
            rows.extend(
                len(kpis.periods),
                scenario=kpis.scenario,
                line=kpis.name,
                product=product,
                lot_class=lot_class,
                period=kpis.periods,
                label=kpis.labels,
                metric=metric,
                unit=shown,
                whole=kpis.lengths >= 0.9 * np.median(kpis.lengths),
                **spread(samples),
            )
    return rows.table()


# Cycle times --------------------------------------------------------------------------------


def cycle_tables(kpis: Kpis) -> list[ResultTable]:
    """Cycle times of each class in hours, and a histogram of all replications together."""
    names = [f"p{100 * q:02.0f}" for q in result.QUANTILES]
    rows = kpis.rows(
        "line_cycle_times",
        "Cycle time of the finished lots of each class: quantiles over lots, then means over "
        "replications; mean_p10 and mean_p90 are over replications.",
        ("product", "lot_class"),
        *("finished", "mean", "mean_p10", "mean_p90", "sd", *names, "processing", "x_factor"),
        *("wip", "on_time", "tardiness", "scrapped", "escapes"),
    )
    found, due = kpis.result, kpis.has_due()
    weeks = found.time / WEEK
    x_factor = mean(ratio(found.cycle_mean, found.raw_time))
    over_time = spread(found.cycle_mean / HOUR)
    quantiles = mean(found.cycle_quantiles) / HOUR
    columns: dict[str, Samples] = {
        "finished": mean(found.finished) / weeks,
        "mean": over_time["mean"],
        "mean_p10": over_time["p10"],
        "mean_p90": over_time["p90"],
        "sd": mean(found.cycle_sd) / HOUR,
        **{name: quantiles[:, q] for q, name in enumerate(names)},
        "processing": mean(found.raw_time) / HOUR,
        "x_factor": x_factor,
        "wip": mean(found.wip),
        "on_time": np.where(due, mean(ratio(found.on_time, found.finished)), np.nan),
        "tardiness": np.where(due, mean(found.tardiness) / HOUR, np.nan),
        "scrapped": mean(found.scrapped) / weeks,
        "escapes": mean(found.escapes) / weeks,
    }
    for c, p in enumerate(kpis.product):
        kpis.add(
            rows,
            product=kpis.names.products[p],
            lot_class=kpis.names.classes[c],
            **{name: float(values[c]) for name, values in columns.items()},
        )
    hours = ("mean", "mean_p10", "mean_p90", "sd", *names, "processing", "tardiness")
    units = {**dict.fromkeys(hours, "hour"), "wip": "lot"}
    units |= dict.fromkeys(("finished", "scrapped", "escapes"), "lot/week")
    return [rows.table(units), _histogram(kpis)]


def _histogram(kpis: Kpis) -> ResultTable:
    rows = kpis.rows(
        "line_cycle_histogram",
        "Histogram of the cycle times of all replications; the end bins hold the tails.",
        ("product", "lot_class", "low"),
        *("high", "count", "share"),
    )
    cells = [(kpis.names.products[p], kpis.names.classes[c], c) for c, p in enumerate(kpis.product)]
    every: list[tuple[str, str, int | Samples]] = list(cells)
    if kpis.ships.sum() > 1:
        every.insert(0, (ALL, ALL, kpis.ships))
    for product, lot_class, which in every:
        counts = np.asarray(kpis.result.cycle_histogram[which], np.float64)
        counts = counts.reshape(-1, counts.shape[-1]).sum(axis=0)
        total = counts.sum()
        if not total:
            continue
        edges, binned = rebinned(counts, bucket_edges() / HOUR)
        rows.extend(
            len(binned),
            scenario=kpis.scenario,
            line=kpis.name,
            product=product,
            lot_class=lot_class,
            low=edges[:-1],
            high=edges[1:],
            count=binned,
            share=binned / total,
        )
    return rows.table(dict.fromkeys(("low", "high"), "hour"))


def rebinned(counts: Floats, edges: Floats) -> tuple[Floats, Floats]:
    """Counts [H] between edges [H + 1] in some forty bins of one round width: edges and counts.

    A bucket that two bins share is divided between them; the first and the last bin hold the
    outermost thousandths too, so that no lot is lost.
    """
    below = np.concatenate([[0.0], np.cumsum(counts)])
    total = below[-1]
    first = int(np.searchsorted(below, _TAIL * total, side="right")) - 1
    last = int(np.searchsorted(below, (1 - _TAIL) * total, side="left"))
    low, high = edges[max(first, 0)], edges[min(last, len(edges) - 1)]
    raw = max(high - low, 1e-9) / _BINS
    power = 10.0 ** math.floor(math.log10(raw))
    width = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * (1 - 1e-9))
    begin = math.floor(low / width + 1e-9)
    end = max(math.ceil(high / width - 1e-9), begin + 1)
    bins = np.arange(begin, end + 1) * width
    reached = np.interp(bins, edges, below)
    reached[0], reached[-1] = 0.0, total
    return bins, np.diff(reached)


# Orders -------------------------------------------------------------------------------------


def order_table(kpis: Kpis) -> ResultTable:
    """When each order is complete, and how probably it is on time (Wilson's 95 % interval)."""
    rows = kpis.rows(
        "line_orders",
        "When each order is complete; empty where that is beyond the horizon.",
        ("order",),
        *("product", "customer", "lots", "due", "p10", "p50", "p80", "p90"),
        *("finished", "on_time", "on_time_low", "on_time_high"),
    )
    due, done = order_due(kpis), kpis.result.order_finished
    for o, order in enumerate(kpis.names.orders):
        declared = kpis.line.orders[order]
        found = statistics.quantiles(done[:, o], _ORDER_QUANTILES)
        days = [iso(t + kpis.system.start) if np.isfinite(t) else "" for t in found]
        kept = int((done[:, o] <= due[o]).sum())
        chance = statistics.probability_interval(kept, len(done))
        kpis.add(
            rows,
            order=order,
            product=declared.product,
            customer=declared.customer,
            lots=int(kpis.system.order_lots[o]),
            due=iso(float(due[o]) + kpis.system.start),
            **dict(zip(("p10", "p50", "p80", "p90"), days, strict=True)),
            finished=float(np.isfinite(done[:, o]).mean()),
            on_time=chance.estimate,
            on_time_low=chance.low,
            on_time_high=chance.high,
        )
    return rows.table(dict.fromkeys(("due", "p10", "p50", "p80", "p90"), "date"))


# Losses -------------------------------------------------------------------------------------


def loss_table(kpis: Kpis) -> ResultTable:
    """What fails, is repeated, scrapped or kept waiting too long: events a week.

    `share` is of the operations of the station (failed), of the finished and scrapped lots
    (scrapped), of the finished lots (escaped), or of the product's finished lots (rework,
    queue limit).
    """
    rows = kpis.rows(
        "line_losses",
        "Failed operations, scrap, escapes, rework and missed queue-time limits.",
        ("kind", "name"),
        *("product", "unit", *QUANTILES, "share"),
    )
    found, names = kpis.result, kpis.names
    for s, station in enumerate(names.stations):
        _loss(kpis, rows, "failed", station, "", found.failed[:, s], found.operations[:, s])
    for c, p in enumerate(kpis.product):
        product, name = names.products[p], names.classes[c]
        ended = found.finished[:, c] + found.scrapped[:, c]
        _loss(kpis, rows, "scrapped", name, product, found.scrapped[:, c], ended)
        _loss(kpis, rows, "escaped", name, product, found.escapes[:, c], found.finished[:, c])
    steps = kpis.system.tables.step
    for k, step in enumerate(names.steps):
        p = int(steps["product"][k])
        made = kpis.of_product(found.finished, p)
        _loss(kpis, rows, "rework", step, names.products[p], found.rework[:, k], made)
        if steps["limit_mark"][k] != system.NONE:
            missed = found.limit_missed[:, k]
            _loss(kpis, rows, "queue limit", step, names.products[p], missed, made, always=True)
    return rows.table()


def _loss(
    kpis: Kpis,
    rows: Rows,
    kind: str,
    name: str,
    product: str,
    lost: Samples,
    whole: Samples,
    always: bool = False,
) -> None:
    if not (always or lost.any()):
        return
    kpis.add(
        rows,
        kind=kind,
        name=name,
        product=product,
        unit="1/week" if kind == "failed" else "lot/week",
        **one(lost / kpis.result.time * WEEK),
        share=float(mean(ratio(lost, whole))),
    )
