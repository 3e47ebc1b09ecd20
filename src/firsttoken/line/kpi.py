"""From simulated arrays to named tables with units: what a plant engineer reads.

All quantiles are over replications.  Times are in hours, rates a week, power in kW.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from firsttoken.line import model, result, system
from firsttoken.line.kpi_rows import (
    HOUR,
    WEEK,
    Floats,
    Samples,
    half_width,
    mean,
    one,
    ratio,
    shown_unit,
)
from firsttoken.twin.dates import iso, period_label
from firsttoken.twin.result_rows import QUANTILES, Rows, spread
from firsttoken.twin.result_table import ResultTable
from firsttoken.twin.units import plural

_WHOLE = 0.9  # of the usual length: shorter periods are cut off by the horizon
_GRID = np.linspace(0.0025, 0.9975, 200)
_MOST_PRODUCTS = 12
_NOISE = 1e-9

Figure = tuple[str, str, str, Samples]
"""(kpi, label, unit, one number a replication)."""


class Kpis:
    """What the tables of one simulated line have in common.

    Parameters
    ----------
    scenario : name that goes into the first column.
    prefix : what stands before labels, so that lines of one twin can be told apart.

    Attributes
    ----------
    ships : whether lots of a class leave the line, rather than go into its assemblies, [C].
    lengths : of the report periods in s, within the horizon, [B].
    counted : whether a report period is whole and after the warm-up, [B].
    share : of the lots that need a step, [steps].
    pool_used, pool_peak : mean and highest use of pools and budgets in SI, [R, N].
    """

    def __init__(
        self,
        scenario: str,
        line: model.Line,
        compiled: system.System,
        simulated: result.LineResult,
        prefix: str = "",
    ) -> None:
        self.scenario, self.line, self.prefix = scenario, line, prefix
        self.system, self.result = compiled, simulated
        self.names, self.name = compiled.names, compiled.names.line
        product = np.array(self.names.class_product, dtype=np.int64)
        component = compiled.tables.product["component"].astype(bool)
        self.product = product
        self.ships = ~component[product]
        if not self.ships.any():
            self.ships[:] = True
        edges = np.minimum(compiled.edges, compiled.horizon)
        self.lengths = np.diff(edges)
        self.periods = [iso(edge + compiled.start) for edge in compiled.edges[:-1]]
        self.labels = [
            period_label(edge + compiled.start, line.report) for edge in compiled.edges[:-1]
        ]
        whole = self.lengths >= _WHOLE * np.median(self.lengths)
        self.counted = whole & (edges[:-1] >= compiled.warmup - 1e-6)
        if not self.counted.any():
            self.counted[:] = True
        self.share = self._shares()
        # Sums of seizing and giving back leave rounding errors of 1e-16 of the level.
        used, level = simulated.pool_used, np.abs(simulated.pool_level).max(axis=0, initial=0.0)
        self.pool_used = np.where(np.abs(used) > _NOISE * level, used, 0.0)
        peak = simulated.pool_peak
        self.pool_peak = np.where(np.abs(peak) > _NOISE * level, peak, 0.0)

    def _shares(self) -> Floats:
        """Mean share of the lots that need each step."""
        from firsttoken.kernel.parameters import fixed_parameters

        rows = self.system.tables.step["share"]
        values = fixed_parameters(self.system.parameters, "mean")
        return np.where(rows >= 0, values[np.maximum(rows, 0)] if values.size else 1.0, 1.0)

    def unit(self, product: int) -> str:
        """What a lot of a product is called: the line's word, and `lot` for its components."""
        component = bool(self.system.tables.product["component"][product])
        return "lot" if component and not self.ships[self.product == product].any() else (
            self.line.unit
        )  # fmt: skip

    def products(self) -> list[int]:
        """Products that are made in lots, in order; those that leave the line first."""
        made = dict.fromkeys(self.product.tolist())
        leaving = set(self.product[self.ships].tolist())
        return sorted(made, key=lambda product: product not in leaving)

    def of_product(self, samples: Samples, product: int) -> Samples:
        """Sum of [R, C] over the classes of a product: [R]."""
        total: Samples = samples[:, self.product == product].sum(axis=1)
        return total

    def shipped(self, samples: Samples) -> Samples:
        """Sum of [..., C] over the classes that leave the line: [...]."""
        total: Samples = samples[..., self.ships].sum(axis=-1)
        return total

    def has_due(self) -> np.ndarray:
        """Whether lots of a class have due dates, [C]."""
        due = np.zeros(len(self.product), dtype=bool)
        for source in self.system.tables.source:
            due[source["lot_class"]] |= source["due"] >= 0
        for lots in self.system.tables.wip:
            due[lots["lot_class"]] |= bool(np.isfinite(lots["due"]))
        return due

    def rows(self, name: str, description: str, keys: tuple[str, ...], *columns: str) -> Rows:
        """Rows of a table that begins with the scenario and the line."""
        first = ("scenario", "line")
        return Rows(name, description, (*first, *keys), *first, *keys, *columns)

    def add(self, rows: Rows, **values: Any) -> None:
        """Add a row of this scenario and line."""
        rows.add(scenario=self.scenario, line=self.name, **values)


# Headline figures ---------------------------------------------------------------------------


def summary_table(kpis: Kpis) -> ResultTable:
    """Key figures of the line over the statistics time, for comparison.

    `interval` is half the width of the 95 % confidence interval of the mean (Student's t over
    replications); the quantiles are over replications, except those of any one period, which
    are over periods and replications.
    """
    rows = Rows(
        "line_summary",
        "Key figures of each line over the time after its warm-up.",
        ("scenario", "kpi"),
        *("scenario", "line", "kpi", "label", "unit", *QUANTILES, "interval"),
    )
    for kpi, label, unit, samples in _key_figures(kpis):
        pooled = samples.ravel()
        found = one(pooled)
        if samples.ndim > 1:
            samples = samples.mean(axis=1)
        rows.add(
            scenario=kpis.scenario,
            line=kpis.name,
            kpi=f"{kpis.name}.{kpi}",
            label=kpis.prefix + label,
            unit=unit,
            **{key: value if np.isfinite(value) else np.nan for key, value in found.items()},
            interval=half_width(np.asarray(samples, np.float64)),
        )
    return rows.table()


def _key_figures(kpis: Kpis) -> Iterator[Figure]:
    yield from _throughput(kpis)
    yield from _times(kpis)
    yield from _quality(kpis)
    yield from _energy(kpis)
    yield from _pools(kpis)


def _throughput(kpis: Kpis) -> Iterator[Figure]:
    found, unit = kpis.result, kpis.line.unit
    many, report = plural(unit), kpis.line.report
    finished = kpis.shipped(found.finished)
    yield "throughput", f"{many} a week", f"{unit}/week", finished / found.time * WEEK
    counted = kpis.shipped(found.period_finished)[:, kpis.counted]
    yield (
        "throughput.any_period",
        f"{many} in any one {report}",
        f"{unit}/{report}",
        counted.astype(np.float64),
    )
    products = kpis.products()
    leaving = set(kpis.product[kpis.ships].tolist())
    if len(leaving) == 1:  # it is the whole
        products = [p for p in products if p not in leaving]
    for p in products if len(products) <= _MOST_PRODUCTS else ():
        name = kpis.names.products[p]
        made = kpis.of_product(found.finished, p) / found.time * WEEK
        unit = kpis.unit(p)
        yield f"throughput.{name}", f"{name}: {plural(unit)} a week", f"{unit}/week", made
    pieces = kpis.system.tables.product["pieces"][kpis.product]
    if (pieces[kpis.ships] > 1).any():
        made = kpis.shipped(found.finished * pieces) / found.time * WEEK
        yield "throughput.pieces", "pieces a week", "piece/week", made


def _times(kpis: Kpis) -> Iterator[Figure]:
    found, unit = kpis.result, kpis.line.unit
    finished = found.finished * kpis.ships
    total = finished.sum(axis=1)
    cycle = ratio(np.nansum(finished * np.nan_to_num(found.cycle_mean), axis=1), total)
    yield "cycle_time", "cycle time, mean", "hour", cycle / HOUR
    for text, probability, quantiles in zip(
        ("median", "90 % of the lots within"), (0.5, 0.9), mixed_quantiles(kpis, (0.5, 0.9)),
        strict=True,
    ):  # fmt: skip
        kpi = f"cycle_time.p{100 * probability:.0f}"
        yield kpi, f"cycle time, {text}", "hour", quantiles / HOUR
    raw = ratio(np.nansum(finished * np.nan_to_num(found.raw_time), axis=1), total)
    yield "x_factor", "cycle time over processing time", "", ratio(cycle, raw)
    yield "wip", f"{plural(unit)} in the line", unit, kpis.shipped(found.wip)
    if not kpis.ships.all():
        parts = found.wip[:, ~kpis.ships].sum(axis=1)
        yield "wip.components", "lots of components in the line", "lot", parts
    due = kpis.has_due()
    if due.any():
        kept = found.finished[:, due].sum(axis=1)
        share = ratio(found.on_time[:, due].sum(axis=1), kept)
        yield "on_time", "finished on time", "%", 100 * share
        late = np.nansum(found.finished[:, due] * np.nan_to_num(found.tardiness[:, due]), axis=1)
        yield "tardiness", "mean tardiness", "hour", ratio(late, kept) / HOUR
    if kpis.names.orders:
        late_by = found.order_finished <= order_due(kpis)
        yield "orders.on_time", "orders complete on time", "%", 100.0 * late_by.mean(axis=1)


def _quality(kpis: Kpis) -> Iterator[Figure]:
    found = kpis.result
    products = [p for p in kpis.products() if kpis.ships[kpis.product == p].any()]
    rolled = rolled_yield(kpis)
    for p in products if len(products) <= _MOST_PRODUCTS else ():
        name = kpis.names.products[p]
        kpi, label = "yield.first_pass", "first-pass yield, rolled over the route"
        if len(products) > 1:
            kpi, label = f"{kpi}.{name}", f"{name}: {label}"
        yield kpi, label, "%", 100 * rolled[:, p]
    ended = kpis.shipped(found.finished + found.scrapped)
    final = ratio(kpis.shipped(found.finished), ended)
    yield "yield.final", f"{plural(kpis.line.unit)} that are not scrapped", "%", 100 * final
    if found.escapes.any():
        share = ratio(kpis.shipped(found.escapes), kpis.shipped(found.finished))
        yield "escapes", "finished with a defect that nobody saw", "%", 100 * share


def _energy(kpis: Kpis) -> Iterator[Figure]:
    found = kpis.result
    budgets = kpis.system.tables.pool["budget"].astype(bool)
    power = np.array([unit == "W" for unit in kpis.names.pool_units], dtype=bool) & budgets
    if not power.any():
        return
    drawn = kpis.pool_used[:, power].sum(axis=1)
    yield "energy", "energy drawn from the budgets", "kWh/week", drawn * WEEK / 3.6e6
    lots = kpis.shipped(found.finished)
    unit = kpis.line.unit
    yield "energy.lot", f"energy for one {unit}", f"kWh/{unit}", (
        ratio(drawn * found.time, lots) / 3.6e6
    )  # fmt: skip


def _pools(kpis: Kpis) -> Iterator[Figure]:
    found = kpis.result
    use = ratio(kpis.pool_used, found.pool_level)
    for n, pool in enumerate(kpis.names.pools):
        budget = bool(kpis.system.tables.pool["budget"][n])
        yield f"use.{pool}", f"{pool}: in use", "%", 100 * use[:, n]
        if budget:
            unit, scale = shown_unit(kpis.names.pool_units[n])
            yield f"peak.{pool}", f"{pool}: highest use", unit, kpis.pool_peak[:, n] * scale
        share = 100 * found.pool_short[:, n]
        yield f"short.{pool}", f"{pool}: work waits for it", "% of time", share


def mixed_quantiles(kpis: Kpis, probabilities: tuple[float, ...]) -> list[Floats]:
    """Quantiles of the cycle time over all lots that leave the line, in s: one [R] each.

    Each replication's classes are mixed in proportion to their finished lots, each by the
    quantiles that are kept of it, with straight lines between them; of one class they are exact.
    """
    found = kpis.result
    kept = np.flatnonzero(kpis.ships & (found.finished.sum(axis=0) > 0))
    if kept.size == 0:
        return [np.full(len(found.finished), np.nan) for _ in probabilities]
    if kept.size == 1:
        positions = [result.QUANTILES.index(p) for p in probabilities]
        return [found.cycle_quantiles[:, kept[0], q] for q in positions]
    out = np.full((len(probabilities), len(found.finished)), np.nan)
    for r, lots in enumerate(found.finished[:, kept]):
        classes = kept[lots > 0]
        if classes.size:
            values = np.concatenate(
                [np.interp(_GRID, result.QUANTILES, found.cycle_quantiles[r, c]) for c in classes]
            )
            order = np.argsort(values, kind="stable")
            weights = np.repeat(lots[lots > 0], _GRID.size)[order].astype(np.float64)
            reached = (np.cumsum(weights) - weights / 2) / weights.sum()
            out[:, r] = np.interp(probabilities, reached, values[order])
    return list(out)


def rolled_yield(kpis: Kpis) -> Floats:
    """Probability that a lot passes every step of its route at the first attempt, [R, P].

    The product of the steps' first-pass yields, each that of its station and to the power of the
    share of the lots that need it (rolled throughput yield of Six Sigma practice).
    """
    found, steps = kpis.result, kpis.system.tables.step
    passed = 1 - ratio(found.failed, found.operations, 0.0)
    rolled = np.ones((len(passed), len(kpis.names.products)))
    for s in range(len(steps)):
        rolled[:, steps["product"][s]] *= passed[:, steps["station"][s]] ** kpis.share[s]
    return rolled


def order_due(kpis: Kpis) -> Floats:
    """Due dates of the orders in s from the start, at the medians of what is uncertain, [O]."""
    from firsttoken.kernel.parameters import fixed_parameters

    values: Floats = fixed_parameters(kpis.system.parameters, "median")
    return values[kpis.system.order_due]


# Stations -----------------------------------------------------------------------------------


def state_shares(kpis: Kpis) -> Floats:
    """Share of the servers' time in each state of `result.STATES`, [R, S, 8]."""
    time = kpis.result.state_time
    return ratio(time, time.sum(axis=2, keepdims=True), 0.0)


def station_table(kpis: Kpis) -> ResultTable:
    """Use and losses of every station: means over replications.

    Open time is all time but `closed`.  Following SEMI E10 and E79 set-ups, maintenance and
    breakdowns take from availability, and waiting of every kind (starved, blocked, short) from
    performance; the model works at its stated speed, so rate efficiency is 1:

    - availability = (open - set-up - maintenance - down) / open,
    - performance = working / (open - set-up - maintenance - down),
    - quality = operations that pass / operations,
    - OEE = availability x performance x quality (Nakajima 1988), of open time.

    `wip` is lots that wait or are on a server; it is not known of batch and cascade tools, whose
    servers hold several.
    """
    rows = kpis.rows(
        "line_stations",
        "Use, losses and queue of each station: means over replications, shares of the servers' "
        "time by state, OEE of the time that is not closed.",
        ("station",),
        *("description", "servers", "oee", "availability", "performance", "quality"),
        *("utilisation", "utilisation_p10", "utilisation_p90", *result.STATES),
        *("operations", "pieces", "queue", "wait", "wip", "bottleneck"),
    )
    found = kpis.result
    shares = state_shares(kpis)
    parts = effectiveness(kpis)
    use = spread(parts["utilisation"])
    servers = mean(found.state_time.sum(axis=2))
    weeks = found.time / WEEK
    columns: dict[str, Samples] = {
        **{name: mean(parts[name]) for name in ("oee", "availability", "performance", "quality")},
        "utilisation": use["mean"],
        "utilisation_p10": use["p10"],
        "utilisation_p90": use["p90"],
        **{state: mean(shares[:, :, i]) for i, state in enumerate(result.STATES)},
        "operations": mean(found.operations) / weeks,
        "pieces": mean(found.pieces) / weeks,
        "queue": mean(found.queue),
        "wait": mean(found.wait) / HOUR,
        "wip": mean(found.queue + _held(kpis)),
        "bottleneck": mean(found.active_bottleneck),
    }
    for s, station in enumerate(kpis.names.stations):
        kpis.add(
            rows,
            station=station,
            description=kpis.line.stations[station].description,
            servers=float(servers[s]),
            **{name: float(values[s]) for name, values in columns.items()},
        )
    shown = dict.fromkeys(("operations", "pieces"), "1/week")
    return rows.table({**shown, "wait": "hour", "queue": "lot", "wip": "lot"})


def _held(kpis: Kpis) -> Floats:
    """Mean number of lots on the servers of stations with one lot a server, [R, S]; else NaN."""
    steps, families = kpis.system.tables.step, kpis.system.tables.family
    states = (result.WORKING, result.BLOCKED)
    held: Floats = kpis.result.state_time[:, :, states].sum(axis=2)
    several = {*families["station"][families["batch_max"] > 0].tolist()}
    several |= {*steps["station"][steps["interval"] >= 0].tolist()}
    held[:, sorted(several)] = np.nan
    return held


def effectiveness(kpis: Kpis) -> dict[str, Floats]:
    """OEE and its factors, and utilisation, of the stations' open time, each [R, S]."""
    found = kpis.result
    time = found.state_time
    opened = time.sum(axis=2) - time[:, :, result.CLOSED]
    lost = time[:, :, (result.SETUP, result.MAINTENANCE, result.DOWN)].sum(axis=2)
    working = time[:, :, result.WORKING]
    parts = {
        "availability": ratio(opened - lost, opened),
        "performance": ratio(working, opened - lost),
        "quality": 1 - ratio(found.failed, found.operations),
        "utilisation": ratio(working, opened),
    }
    quality = np.nan_to_num(parts["quality"], nan=1.0)
    parts["oee"] = ratio(working, opened) * quality
    return parts


# Pools and budgets --------------------------------------------------------------------------


def pool_tables(kpis: Kpis) -> list[ResultTable]:
    """Level, use and shortage of pools and budgets, over all and by report period."""
    rows = kpis.rows(
        "line_pools",
        "Use of each pool and budget; `short` is the share of time in which work waited for it.",
        ("pool",),
        *("kind", "description", "unit", "level", "used", "used_p10", "used_p90", "peak"),
        *("use", "short", "energy"),
    )
    by_period = kpis.rows(
        "line_pool_use",
        "Mean use of each pool and budget in each report period.",
        ("pool", "period"),
        *("label", "unit", *QUANTILES),
    )
    found = kpis.result
    for n, pool in enumerate(kpis.names.pools):
        budget = bool(kpis.system.tables.pool["budget"][n])
        unit, scale = shown_unit(kpis.names.pool_units[n])
        used = one(kpis.pool_used[:, n] * scale)
        kpis.add(
            rows,
            pool=pool,
            kind="budget" if budget else "pool",
            description="" if budget else kpis.line.pools[pool].description,
            unit=unit,
            level=float(mean(found.pool_level[:, n])) * scale,
            used=used["mean"],
            used_p10=used["p10"],
            used_p90=used["p90"],
            peak=float(kpis.pool_peak[:, n].max()) * scale,
            use=float(mean(ratio(kpis.pool_used[:, n], found.pool_level[:, n]))),
            short=float(mean(found.pool_short[:, n])),
            energy=used["mean"] * WEEK / HOUR if budget and unit == "kW" else np.nan,
        )
        by_period.extend(
            len(kpis.periods),
            scenario=kpis.scenario,
            line=kpis.name,
            pool=pool,
            period=kpis.periods,
            label=kpis.labels,
            unit=unit,
            **spread(found.period_pool[:, :, n] * scale),
        )
    return [rows.table({"energy": "kWh/week"}), by_period.table()]
