"""From a plan's arrays to named tables: one figure where a simulation has a spread."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from firsttoken.supply import model, system
from firsttoken.supply.explain import Binding, binding, sentence
from firsttoken.supply.kpi import fixed_expressions, output_units, report_periods
from firsttoken.supply.kpi_rows import (
    KINDS,
    QUANTILES,
    Rows,
    activity_rows,
    binding_rows,
    demand_rows,
    stage_rows,
)
from firsttoken.supply.plan import PlanResult
from firsttoken.twin.dates import iso
from firsttoken.twin.result_table import ResultTable
from firsttoken.twin.units import counted_unit, plural
from firsttoken.twin.values import Constant, Distribution, Fact, Series, Value


def plan_tables(
    scenario: str, compiled: system.System, net: model.Network, planned: PlanResult
) -> list[ResultTable]:
    """All tables of one planned scenario."""
    tables = PlanTables(scenario, compiled, net, planned)
    return [
        tables.totals(),
        tables.activities(),
        tables.stages(),
        tables.demands(),
        tables.investments(),
        *tables.bindings(),
    ]


class PlanTables:
    """Tables of one plan, in the report periods of the network."""

    def __init__(
        self, scenario: str, compiled: system.System, net: model.Network, planned: PlanResult
    ) -> None:
        self.scenario, self.system, self.net, self.plan = scenario, compiled, net, planned
        self.periods, self.labels = report_periods(compiled, net)
        self.report = self._report(planned.edges)
        self.units = output_units(compiled, net)

    def _report(self, edges: system.Floats) -> system.Ints:
        """Report period in which the middle of each plan period lies."""
        middle = (edges[:-1] + edges[1:]) / 2
        found = np.searchsorted(self.system.report_edges, middle, side="right") - 1
        return np.clip(found, 0, len(self.periods) - 1).astype(np.int64)

    def by_period(self, amounts: system.Floats) -> system.Floats:
        """Sums of [P, n] over the report periods: [Q, n]."""
        out = np.zeros((len(self.periods), amounts.shape[1]))
        np.add.at(out, self.report, amounts)
        return out

    def at_end(self, levels: system.Floats) -> system.Floats:
        """Levels [P, n] at the end of each report period: [Q, n]."""
        last = np.searchsorted(self.report, np.arange(len(self.periods)), side="right") - 1
        return levels[np.maximum(last, 0)]

    def _timed(self, rows: Rows, amounts: system.Floats, **fixed: Any) -> None:
        for q, amount in enumerate(amounts.tolist()):
            rows.add(
                scenario=self.scenario,
                engine="plan",
                period=self.periods[q],
                label=self.labels[q],
                **fixed,
                **dict.fromkeys(QUANTILES, amount),
            )

    def totals(self) -> ResultTable:
        """Objectives and costs of the plan."""
        rows = Rows(
            "supply_plan",
            "Objectives and costs of each plan, and how it was solved.",
            ("scenario", "figure"),
            *("scenario", "figure", "value", "unit", "status", "method", "gap"),
        )
        said = {
            "value": ("value delivered", "USD"),
            "cost": ("cost, with penalties for late and undelivered units", "USD"),
            "earliest": ("waiting", "unit-year"),
        }
        if not (fixed_expressions(self.system)[self.system.network.price] > 0).any():
            said["value"] = ("units delivered, nothing having a price", "each")
        figures = [(*said[key], value) for key, value in self.plan.objectives.items()]
        figures += [(f"cost of {key}", "USD", value) for key, value in self.plan.costs.items()]
        for figure, unit, value in figures:
            rows.add(
                scenario=self.scenario,
                figure=figure,
                value=float(value),
                unit=unit,
                status=self.plan.status,
                method=self.plan.method,
                gap=float(self.plan.gap),
            )
        return rows.table()

    def activities(self) -> ResultTable:
        """Output, money and energy of each activity by period."""
        rows = activity_rows()
        names, plan = self.system.names, self.plan
        metrics = (
            ("completed", "", plan.completed),
            ("started", "run", plan.runs),
            ("spend", "USD", plan.spend),
            ("duty", "USD", plan.duty),
            ("energy", "J", plan.energy),
        )
        for metric, unit, amounts in metrics:
            totals = self.by_period(amounts)
            for a in np.flatnonzero(totals.any(axis=0)).tolist():
                self._timed(
                    rows,
                    totals[:, a],
                    activity=names.activities[a],
                    kind=KINDS[int(self.system.network.kind[a])],
                    stage=names.activity_stage[a],
                    location=names.activity_location[a],
                    country=names.activity_country[a],
                    metric=metric,
                    unit=unit or self.units[a],
                )
        return rows.table()

    def stages(self) -> ResultTable:
        """Completed output by stage and period."""
        rows = stage_rows()
        totals = self.by_period(self.plan.completed)
        stages = np.array(self.system.names.activity_stage)
        for stage in dict.fromkeys(stages.tolist()):
            inside = np.flatnonzero(stages == stage)
            self._timed(
                rows,
                totals[:, inside].sum(axis=1),
                stage=stage,
                metric="completed",
                unit=self.units[inside[0]],
            )
        return rows.table()

    def demands(self) -> ResultTable:
        """What is wanted, delivered and late by period."""
        rows = demand_rows()
        metrics = (
            ("due", self.by_period(self.plan.due)),
            ("delivered", self.by_period(self.plan.delivered)),
            ("backlog", self.at_end(self.plan.backlog)),
        )
        for d, demand in enumerate(self.system.names.demands):
            item = self.net.demands[demand].item
            for metric, amounts in metrics:
                self._timed(
                    rows,
                    amounts[:, d],
                    demand=demand,
                    customer=self.net.demands[demand].customer,
                    item=item,
                    metric=metric,
                    unit=self.net.items[item].unit,
                )
        return rows.table()

    def investments(self) -> ResultTable:
        """What the plan buys, and when it decides so."""
        rows = Rows(
            "supply_investment",
            "Options that the plan takes: how many units, and when it decides.",
            ("scenario", "investment", "period"),
            *("scenario", "investment", "target", "period", "units", "cost_usd"),
        )
        options = self.system.investments
        for i, p, units in self.plan.invested:
            name = self.system.names.investments[i]
            cost = float(self.system.parameters.args[options.cost[i], 0])
            rows.add(
                scenario=self.scenario,
                investment=name,
                target=self.net.investments[name].target,
                period=iso(self.system.start + float(self.plan.edges[p])),
                units=units,
                cost_usd=units * cost,
            )
        return rows.table({"period": "date"})

    def named(self, row: Binding) -> Binding:
        """A binding capacity in the units and words of its declaration."""
        declared: model.Activity | model.Resource
        if row.name in self.net.resources:
            declared = self.net.resources[row.name]
            title = declared.description or _spoken(row.name)
        else:
            base = row.name.partition("[")[0]
            parts = (self.net.operations, self.net.purchases, self.net.lanes)
            declared = next(part[base] for part in parts if base in part)
            title = _spoken(row.name)
        unit = self.counted(declared.capacity)
        items = {self.net.items[demand.item].unit for demand in self.net.demands.values()}
        changed = replace(
            row,
            capacity_unit=f"{unit}/month" if unit else row.capacity_unit,
            item_unit=items.pop() if len(items) == 1 else "units",
        )
        told = replace(
            changed,
            name=f"{row.stage}, {title}",
            location=_spoken(row.location),
            item_unit=plural(changed.item_unit),
        )
        return replace(changed, sentence=sentence(told))

    def counted(self, capacity: Value | None) -> str:
        """What a capacity counts, wafers say; '' if that is not known."""
        if isinstance(capacity, Fact):
            path = f"fact:{capacity.id}"
            units = [row.unit for row in self.system.inputs if row.path == path]
        elif isinstance(capacity, Series):
            levels = [level for _, level in capacity.knots]
            facts = {f"fact:{level.id}" for level in levels if isinstance(level, Fact)}
            units = [x.unit for x in levels if isinstance(x, Constant | Distribution)]
            units += [row.unit for row in self.system.inputs if row.path in facts]
        else:
            known = isinstance(capacity, Constant | Distribution)
            units = [capacity.unit] if known else []  # type: ignore[union-attr]
        return next((found for unit in units if (found := counted_unit(unit))), "")

    def bindings(self) -> list[ResultTable]:
        """Where capacity binds, by stage and one by one with its marginal value."""
        shares = binding_rows()
        marginal = Rows(
            "supply_marginal",
            "What one step more of a capacity, throughout a period, would bring.",
            ("scenario", "kind", "name", "period"),
            *("scenario", "kind", "name", "stage", "location", "period", "label", "capacity"),
            *("capacity_unit", "step", "marginal_units", "item_unit", "marginal_usd", "sentence"),
        )
        found = [self.named(row) for row in binding(self.plan, self.system)]
        weight: dict[tuple[str, int, str], float] = {}
        for row in found:
            marginal.add(
                scenario=self.scenario,
                kind=row.kind,
                name=row.name,
                stage=row.stage,
                location=row.location,
                period=self.periods[row.period],
                label=row.label,
                capacity=row.capacity,
                capacity_unit=row.capacity_unit,
                step=row.step,
                marginal_units=row.marginal_units,
                item_unit=row.item_unit,
                marginal_usd=row.marginal_usd,
                sentence=row.sentence,
            )
            limit = "capacity" if row.kind == "activity" else "resource"
            key = (row.stage, row.period, limit)
            weight[key] = max(weight.get(key, 0.0), row.share)
        for (stage, q, limit), share in weight.items():
            shares.add(
                scenario=self.scenario,
                engine="plan",
                stage=stage,
                period=self.periods[q],
                label=self.labels[q],
                share=share,
                limit=limit,
            )
        return [shares.table(), marginal.table()]


def _spoken(name: str) -> str:
    return name.replace("_", " ")
