"""From simulated arrays to named tables with units: what a planner reads.

All quantiles are over replications; P10 of a date is the earliest tenth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from firsttoken.kernel import statistics
from firsttoken.supply import model, system
from firsttoken.supply.kpi_rows import (
    KINDS,
    QUANTILES,
    Rows,
    activity_rows,
    demand_rows,
    stage_rows,
)
from firsttoken.twin.dates import iso, period_label, to_datetime
from firsttoken.twin.result_rows import PROBABILITIES, spread
from firsttoken.twin.result_table import ResultTable
from firsttoken.twin.values import Value

if TYPE_CHECKING:
    from firsttoken.supply.simulate import SimulationResult

Samples = NDArray[np.floating[Any]]
"""Amounts by replication first; engines store most of them in single precision."""

ALL_DEMANDS = "all demands"


def share_of(part: system.Floats, whole: system.Floats) -> system.Floats:
    """Part over whole, 0 where there is no whole."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def report_periods(compiled: system.System, net: model.Network) -> tuple[list[str], list[str]]:
    """First days and labels of the report periods."""
    starts = (compiled.report_edges[:-1] + compiled.start).tolist()
    return [iso(start) for start in starts], [period_label(start, net.report) for start in starts]


def output_units(compiled: system.System, net: model.Network) -> list[str]:
    """Unit of the first output of each activity."""
    first = compiled.network.output_node[compiled.network.output_start[:-1]]
    return [net.items[compiled.names.node_item[node]].unit for node in first]


def fixed_expressions(compiled: system.System) -> system.Floats:
    """Every expression at the medians of the uncertain inputs, time mean: float64[E]."""
    from firsttoken.kernel.expressions import evaluate_expressions
    from firsttoken.kernel.parameters import evaluate_series, fixed_parameters

    values = fixed_parameters(compiled.parameters, "median")
    span = np.array([compiled.edges[0], compiled.edges[-1]])
    series = np.empty((compiled.series.kind.size, 1))
    evaluate_series(compiled.series, compiled.parameters, values, span, 0, -1, series)
    out = np.empty((compiled.expressions.term.size - 1, 1))
    evaluate_expressions(compiled.expressions, series, out)
    return out[:, 0]


class Kpis:
    """Tables of one simulated scenario.

    Parameters
    ----------
    scenario : name that goes into the first column.
    resolve : value of a declared slot for display: (value, SI unit) -> (low, middle, high).
    as_of : ISO day up to which facts were known.
    """

    def __init__(
        self,
        scenario: str,
        compiled: system.System,
        net: model.Network,
        result: SimulationResult,
        resolve: Callable[[Value, str], tuple[float, float, float]],
        as_of: str = "",
    ) -> None:
        self.scenario, self.system, self.net = scenario, compiled, net
        self.result, self.resolve, self.as_of = result, resolve, as_of
        starts = compiled.report_edges[:-1] + compiled.start
        self.periods, self.labels = report_periods(compiled, net)
        self.years = np.array([to_datetime(moment).year for moment in starts])
        names = compiled.names
        self.stages = list(dict.fromkeys(names.activity_stage))
        self.members = {
            stage: [i for i, other in enumerate(names.activity_stage) if other == stage]
            for stage in self.stages
        }
        self.units = output_units(compiled, net)
        self.fixed = fixed_expressions(compiled)

    def tables(self) -> list[ResultTable]:
        """All tables of the scenario."""
        return [
            self.summary(),
            self.activities(),
            self.stage_table(),
            self.demand_table(),
            self.stocks(),
            *self.goals(),
        ]

    # Shared -------------------------------------------------------------------------------

    def stage_total(self, stage: str, samples: Samples) -> system.Floats:
        """Sum of [R, Q, A] over the activities of a stage: float64[R, Q]."""
        total: system.Floats = np.sum(samples[:, :, self.members[stage]], axis=2, dtype=np.float64)
        return total

    def _timed(self, rows: Rows, samples: Samples, **fixed: Any) -> None:
        """One row a report period with the spread of float64[R, Q]."""
        found = spread(samples)
        for q, period in enumerate(self.periods):
            rows.add(
                scenario=self.scenario,
                period=period,
                label=self.labels[q],
                **fixed,
                **{key: float(values[q]) for key, values in found.items()},
            )

    # Tables -------------------------------------------------------------------------------

    def summary(self) -> ResultTable:
        """Key figures of the scenario, for comparison."""
        rows = Rows(
            "supply_summary",
            "Key figures of each scenario over the whole horizon.",
            ("scenario", "kpi"),
            *("scenario", "kpi", "label", "unit", *QUANTILES),
        )
        for kpi, label, unit, samples in self._key_figures():
            found = {key: float(value) for key, value in spread(samples).items()}
            finite = {key: value if np.isfinite(value) else np.nan for key, value in found.items()}
            rows.add(scenario=self.scenario, kpi=kpi, label=label, unit=unit, **finite)
        return rows.table()

    def _key_figures(self) -> Iterable[tuple[str, str, str, Samples]]:
        result, names = self.result, self.system.names
        for g, goal in enumerate(names.goals):
            reached = result.goal_date[:, g]
            years = 1970 + (reached + self.system.start) / (365.2425 * 86400)
            title = self.net.goals[goal].description or goal
            yield (
                f"goal.{goal}.date",
                f"{title}: reached",
                "year",
                np.where(np.isnan(reached), np.inf, years),
            )
            total = result.goal[:, -1, g]
            yield f"goal.{goal}.value", f"{title}: value at the end", "USD", total
        for d, demand in enumerate(names.demands):
            item = self.net.items[self.net.demands[demand].item]
            delivered = result.delivered[:, :, d].astype(np.float64)
            yield f"delivered.{demand}", f"{demand}: delivered", item.unit, delivered.sum(axis=1)
        stages = [stage for stage in self.stages if self._feeds_demand(stage)]
        for stage in stages:
            made = self.stage_total(stage, result.completed)
            unit = self.units[self.members[stage][0]]
            for year in sorted(set(self.years.tolist())):
                total = made[:, self.years == year].sum(axis=1)
                if total.max() >= 0.5:
                    yield f"completed.{stage}.{year}", f"{stage}: completed in {year}", unit, total
        due = result.due.sum(axis=(1, 2), dtype=np.float64)
        filled = result.delivered.sum(axis=(1, 2), dtype=np.float64)
        fill = np.divide(filled, due, out=np.ones_like(due), where=due > 0)
        yield "fill", "fill rate: share of the demand delivered", "%", 100 * fill
        value = result.delivered_value.sum(axis=(1, 2), dtype=np.float64)
        yield "value.delivered", "value delivered", "USD", value
        duty = result.duty.sum(axis=(1, 2), dtype=np.float64)
        spend = result.spend.sum(axis=(1, 2), dtype=np.float64)
        yield "spend", "spent on materials, operations and freight", "USD", spend
        yield "duty", "duty paid", "USD", duty
        holding = result.holding_cost.sum(axis=1)
        if holding.any():
            yield "holding", "cost of holding stock", "USD", holding
        cost = result.delivered_cost.sum(axis=(1, 2), dtype=np.float64)
        home = result.delivered_home.sum(axis=(1, 2), dtype=np.float64)
        share = share_of(home, cost)
        where = " + ".join(self.net.home)
        if where:
            yield "home.share", f"share of the cost that is added in {where}", "%", 100 * share

    def _feeds_demand(self, stage: str) -> bool:
        """Whether the stage makes (not moves) an item that somebody demands."""
        wanted = {demand.item for demand in self.net.demands.values()}
        compiled = self.system
        for a in self.members[stage]:
            first, last = compiled.network.output_start[a : a + 2]
            nodes = compiled.network.output_node[first:last]
            made = {compiled.names.node_item[node] for node in nodes}
            if compiled.network.kind[a] == system.OPERATION and made & wanted:
                return True
        return False

    def activities(self) -> ResultTable:
        """Output, money, energy and utilisation of each activity by period."""
        rows = activity_rows()
        result, names = self.result, self.system.names
        metrics: list[tuple[str, str, Samples]] = [
            ("completed", "", result.completed),
            ("started", "run", result.started),
            ("spend", "USD", result.spend),
            ("duty", "USD", result.duty),
            ("energy", "J", result.energy),
            ("utilisation", "1", result.utilisation_activity),
        ]
        for metric, unit, samples in metrics:
            for a, activity in enumerate(names.activities):
                if metric in ("duty", "energy", "utilisation") and not samples[:, :, a].any():
                    continue
                self._timed(
                    rows,
                    samples[:, :, a].astype(np.float64),
                    engine="simulation",
                    activity=activity,
                    kind=KINDS[int(self.system.network.kind[a])],
                    stage=names.activity_stage[a],
                    location=names.activity_location[a],
                    country=names.activity_country[a],
                    metric=metric,
                    unit=unit or self.units[a],
                )
        return rows.table()

    def stage_table(self) -> ResultTable:
        """Completed output by stage and period."""
        rows = stage_rows()
        for stage in self.stages:
            self._timed(
                rows,
                self.stage_total(stage, self.result.completed),
                engine="simulation",
                stage=stage,
                metric="completed",
                unit=self.units[self.members[stage][0]],
            )
        return rows.table()

    def demand_table(self) -> ResultTable:
        """What was wanted, delivered and late, its value and its domestic content."""
        rows = demand_rows()
        result = self.result
        for d, demand in enumerate(self.system.names.demands):
            item = self.net.demands[demand].item
            unit = self.net.items[item].unit
            cost = result.delivered_cost[:, :, d].astype(np.float64)
            home = result.delivered_home[:, :, d].astype(np.float64)
            share = share_of(home, cost)
            for metric, shown, samples in (
                ("due", unit, result.due[:, :, d]),
                ("delivered", unit, result.delivered[:, :, d]),
                ("backlog", unit, result.backlog_end[:, :, d]),
                ("lost", unit, result.lost[:, :, d]),
                ("value", "USD", result.delivered_value[:, :, d]),
                ("home_share", "1", share),
            ):
                if metric == "lost" and not samples.any():
                    continue
                self._timed(
                    rows,
                    samples.astype(np.float64),
                    engine="simulation",
                    demand=demand,
                    customer=self.net.demands[demand].customer,
                    item=item,
                    metric=metric,
                    unit=shown,
                )
        self._all_demands(rows)
        return rows.table()

    def _all_demands(self, rows: Rows) -> None:
        """Value and domestic content of everything delivered."""
        result = self.result
        cost = result.delivered_cost.sum(axis=2, dtype=np.float64)
        home = result.delivered_home.sum(axis=2, dtype=np.float64)
        share = share_of(home, cost)
        value = result.delivered_value.sum(axis=2, dtype=np.float64)
        for metric, unit, samples in (("value", "USD", value), ("home_share", "1", share)):
            self._timed(
                rows,
                samples,
                engine="simulation",
                demand=ALL_DEMANDS,
                customer="",
                item="",
                metric=metric,
                unit=unit,
            )

    def stocks(self) -> ResultTable:
        """Stock on hand at the end of each period."""
        rows = Rows(
            "supply_stock",
            "Stock on hand at the end of each period.",
            ("scenario", "engine", "node", "period"),
            *("scenario", "engine", "node", "item", "location", "period", "label", "unit"),
            *QUANTILES,
        )
        names = self.system.names
        for n, node in enumerate(names.nodes):
            self._timed(
                rows,
                self.result.stock_end[:, :, n].astype(np.float64),
                engine="simulation",
                node=node,
                item=names.node_item[n],
                location=names.node_location[n],
                unit=self.net.items[names.node_item[n]].unit,
            )
        return rows.table()

    def goals(self) -> list[ResultTable]:
        """Cumulative value towards each goal, and the date on which it is reached."""
        rows = Rows(
            "supply_goal",
            "Cumulative value towards each goal at the end of each period.",
            ("scenario", "goal", "period"),
            *("scenario", "goal", "title", "target", "unit", "period", "label", *QUANTILES),
        )
        dates = Rows(
            "supply_goal_date",
            "When each goal is reached; empty where that is beyond the horizon.",
            ("scenario", "goal"),
            *("scenario", "goal", "title", "target", "unit", "p10", "p50", "p80", "p90"),
            "probability",
        )
        last = np.searchsorted(self.system.report, np.arange(len(self.periods)), side="right") - 1
        for g, goal in enumerate(self.system.names.goals):
            declared = self.net.goals[goal]
            fixed = {
                "goal": goal,
                "title": declared.description or goal,
                "target": self.resolve(declared.target, "USD")[1],
                "unit": "USD",
            }
            self._timed(rows, self.result.goal[:, last, g].astype(np.float64), **fixed)
            reached = self.result.goal_date[:, g]
            ordered = np.where(np.isnan(reached), np.inf, reached)
            found = statistics.quantiles(ordered, PROBABILITIES)
            days = [iso(t + self.system.start) if np.isfinite(t) else "" for t in found]
            dates.add(
                scenario=self.scenario,
                **fixed,
                **dict(zip(("p10", "p50", "p80", "p90"), days, strict=True)),
                probability=float(np.isfinite(ordered).mean()),
            )
        units = dict.fromkeys(("p10", "p50", "p80", "p90"), "date")
        return [rows.table(), dates.table(units)]
