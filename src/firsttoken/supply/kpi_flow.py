"""Who feeds whom: flows of items from stage to stage, for the Sankey diagram.

Lanes are looked through: what leaves a stock is of the makers that fed it, in proportion to
what each has delivered into it (means over replications).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from firsttoken.supply import system
from firsttoken.supply.kpi_rows import Rows
from firsttoken.twin.result_table import ResultTable

if TYPE_CHECKING:
    from firsttoken.supply.kpi import Kpis

Maker = tuple[str, str]
"""(stage, location)."""


def flow_table(kpis: Kpis) -> ResultTable:
    """Mean flows between stages, by calendar year and over all."""
    rows = Rows(
        "supply_flow",
        "Mean flow of each item between stages; what passes through lanes is attributed to makers.",
        ("scenario", "engine", "year", "source_node", "target_node", "item"),
        *("scenario", "engine", "year", "source_node", "target_node", "item"),
        *("stage_from", "stage_to", "quantity", "unit", "value_usd"),
    )
    started = kpis.result.started.mean(axis=0, dtype=np.float64)
    completed = kpis.result.completed.mean(axis=0, dtype=np.float64)
    delivered = kpis.result.delivered.mean(axis=0, dtype=np.float64)
    spans: list[tuple[str, np.ndarray]] = [("all", np.ones(len(kpis.years), dtype=bool))]
    spans += [(str(year), kpis.years == year) for year in sorted(set(kpis.years.tolist()))]
    for year, inside in spans:
        totals = [flow[inside].sum(axis=0) for flow in (started, completed, delivered)]
        for (source, target, item), quantity in _flows(kpis, *totals).items():
            worth = kpis.resolve(kpis.net.items[item].value, "USD")[1]
            rows.add(
                scenario=kpis.scenario,
                engine="simulation",
                year=year,
                source_node=_label(source),
                target_node=_label(target),
                item=item,
                stage_from=source[0],
                stage_to=target[0],
                quantity=quantity,
                unit=kpis.net.items[item].unit,
                value_usd=quantity * worth,
            )
    return rows.table()


def _label(maker: Maker) -> str:
    return " · ".join(part for part in maker if part)


def _flows(
    kpis: Kpis, started: system.Floats, completed: system.Floats, delivered: system.Floats
) -> dict[tuple[Maker, Maker, str], float]:
    """Quantities by (maker, user, item); activities come in the order of material flow."""
    names, network = kpis.system.names, kpis.system.network
    mixes: list[dict[Maker, float]] = [{} for _ in names.nodes]
    flows: dict[tuple[Maker, Maker, str], float] = {}
    for a in range(len(names.activities)):
        lane = int(network.kind[a]) == system.LANE
        place = names.activity_location[a]
        user: Maker = (names.activity_stage[a], place)
        taken: dict[Maker, float] = {}
        for k in range(network.input_start[a], network.input_start[a + 1]):
            node = int(network.input_node[k])
            amount = started[a] * kpis.fixed[network.input_quantity[k]]
            for maker, share in _shares(mixes[node]).items():
                if lane:
                    taken[maker] = taken.get(maker, 0.0) + share
                elif amount > 0:
                    key = (maker, user, names.node_item[node])
                    flows[key] = flows.get(key, 0.0) + amount * share
        first = int(network.output_start[a])
        for k in range(first, network.output_start[a + 1]):
            ratio = (
                kpis.fixed[network.output_quantity[k]] / kpis.fixed[network.output_quantity[first]]
            )
            made = completed[a] * ratio
            for maker, share in (taken if lane else {user: 1.0}).items():
                mix = mixes[int(network.output_node[k])]
                mix[maker] = mix.get(maker, 0.0) + made * share
    for d, demand in enumerate(names.demands):
        node = int(network.demand_node[d])
        for maker, share in _shares(mixes[node]).items():
            if delivered[d] > 0:
                flows[(maker, ("delivered", demand), names.node_item[node])] = delivered[d] * share
    return flows


def _shares(mix: dict[Maker, float]) -> dict[Maker, float]:
    total = sum(mix.values())
    return {maker: amount / total for maker, amount in mix.items()} if total > 0 else {}
