"""Why it comes out so: what held the chain back, what it hangs on, and what really happened."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from firsttoken.kernel import statistics
from firsttoken.supply import system
from firsttoken.supply.kpi import Samples
from firsttoken.supply.kpi_rows import Rows, binding_rows
from firsttoken.twin.dates import iso, parse_date
from firsttoken.twin.parameters import Input
from firsttoken.twin.result_rows import spread
from firsttoken.twin.result_table import ResultTable
from firsttoken.twin.units import plural

if TYPE_CHECKING:
    from firsttoken.supply.kpi import Kpis

FULL = 0.97
"""Utilisation over a report period from which capacity counts as used up."""
EMPTY = 0.02
"""Stock, as a share of the period's consumption, below which an item counts as scarce."""


def cause_tables(kpis: Kpis) -> list[ResultTable]:
    """Binding stages, tornado and observations."""
    return [binding_table(kpis), tornado_table(kpis), observation_table(kpis)]


# Binding stages ---------------------------------------------------------------------------


def scarce_nodes(kpis: Kpis) -> np.ndarray:
    """Whether the users of a stock took all of it: bool[R, Q, N].

    A stock is scarce at the end of a report period if next to nothing of it is left, and for
    a delivered item if customers wait as well. What only lanes take is scarce where it goes.
    """
    net, result = kpis.system.network, kpis.result
    taken = np.zeros(result.stock_end.shape)
    lanes: dict[int, list[int]] = {}
    made_from: set[int] = set()
    for a in range(net.kind.size):
        for k in range(net.input_start[a], net.input_start[a + 1]):
            node = int(net.input_node[k])
            taken[:, :, node] += result.started[:, :, a] * kpis.fixed[net.input_quantity[k]]
            if net.kind[a] == system.LANE:
                lanes.setdefault(node, []).append(int(net.output_node[net.output_start[a]]))
            else:
                made_from.add(node)
    for d, node in enumerate(net.demand_node):
        taken[:, :, node] += result.delivered[:, :, d]
    scarce = (result.stock_end <= EMPTY * taken) & (taken > 0)
    for d, node in enumerate(net.demand_node):
        scarce[:, :, node] &= result.backlog_end[:, :, d] > EMPTY * result.delivered[:, :, d]
    # Lanes were ordered downwards, so destinations are settled first on the way up.
    for a in range(net.kind.size - 1, -1, -1):
        if net.kind[a] == system.LANE:
            node = int(net.input_node[net.input_start[a]])
            if node in lanes and node not in made_from:
                destinations = lanes.pop(node)
                scarce[:, :, node] &= np.any([scarce[:, :, n] for n in destinations], axis=0)
    return scarce


def binding_table(kpis: Kpis) -> ResultTable:
    """Share of the replications in which a stage is the bottleneck, by report period.

    A stage binds where its capacity is used up while all that it makes is taken at once: more
    of it would give more. Activities count by their share of the stage's runs.
    """
    rows = binding_rows()
    net, result = kpis.system.network, kpis.result
    scarce = scarce_nodes(kpis)
    weight = result.started.mean(axis=0, dtype=np.float64)
    shares = np.zeros((*weight.shape, 2))
    for a in range(net.kind.size):
        outputs = net.output_node[net.output_start[a] : net.output_start[a + 1]]
        wanted = scarce[:, :, outputs].any(axis=2)
        own = (result.utilisation_activity[:, :, a] >= FULL) & wanted
        used = net.use_resource[net.use_start[a] : net.use_start[a + 1]]
        shared = (result.utilisation_resource[:, :, used] >= FULL).any(axis=2) & wanted & ~own
        shares[:, a, 0], shares[:, a, 1] = own.mean(axis=0), shared.mean(axis=0)
    for stage, members in kpis.members.items():
        for q, period in enumerate(kpis.periods):
            weights = weight[q, members]
            if not weights.sum() > 0:
                continue
            mixed = (shares[q, members] * weights[:, None]).sum(axis=0) / weights.sum()
            for limit, share in zip(("capacity", "resource"), mixed, strict=True):
                rows.add(
                    scenario=kpis.scenario,
                    engine="simulation",
                    stage=stage,
                    period=period,
                    label=kpis.labels[q],
                    share=float(share),
                    limit=limit,
                )
    return rows.table()


# Tornado ----------------------------------------------------------------------------------


def tornado_table(kpis: Kpis) -> ResultTable:
    """How the main outputs go with each uncertain input.

    A fact that is drawn for several dates moves as one, so it has one row: that of the date
    with the strongest correlation, the last of equals.
    """
    rows = Rows(
        "supply_tornado",
        "Mean of an output where an uncertain input is in its lowest and highest fifth.",
        ("scenario", "output", "parameter"),
        *("scenario", "output", "output_unit", "parameter", "path", "low_input"),
        *("high_input", "input_unit", "low_mean", "high_mean", "correlation", "source"),
    )
    inputs = {row.parameter: row for row in kpis.system.inputs if row.once}
    draws = kpis.result.parameters
    if draws.shape[1] == 0:
        return rows.table()
    low, high = statistics.quantiles(draws, (0.1, 0.9))
    for output, unit, samples in _outputs(kpis):
        found = statistics.tornado(draws, samples)
        strongest: dict[str, tuple[int, Input]] = {}
        for column, parameter in enumerate(kpis.system.uncertain.tolist()):
            row = inputs[parameter]
            known = strongest.get(row.path)
            if known is None or abs(found.correlation[column]) >= abs(found.correlation[known[0]]):
                strongest[row.path] = (column, row)
        for path, (column, row) in strongest.items():
            rows.add(
                scenario=kpis.scenario,
                output=output,
                output_unit=unit,
                parameter=path.removeprefix("fact:").removeprefix("supply."),
                path=path,
                low_input=_shown(kpis, row, float(low[column])),
                high_input=_shown(kpis, row, float(high[column])),
                input_unit="date" if row.date else row.unit.text,
                low_mean=float(found.low[column]),
                high_mean=float(found.high[column]),
                correlation=float(found.correlation[column]),
                source=row.provenance.source if row.provenance else "",
            )
    return rows.table()


def _shown(kpis: Kpis, row: Input, value: float) -> str:
    """A drawn input as its writer would write it."""
    if row.date:
        return iso(value + kpis.system.start)
    return f"{(value - row.unit.offset) / row.unit.factor:.4g}"


def _outputs(kpis: Kpis) -> Iterable[tuple[str, str, Samples]]:
    delivered = kpis.result.delivered
    wanted = [kpis.net.demands[name] for name in kpis.system.names.demands]
    units = {kpis.net.items[demand.item].unit for demand in wanted}
    if len(units) == 1:
        (unit,) = units
        yield f"{plural(unit)} delivered", unit, delivered.sum(axis=(1, 2), dtype=np.float64)
    else:
        value = kpis.result.delivered_value.sum(axis=(1, 2), dtype=np.float64)
        yield "value delivered", "USD", value
    for g, goal in enumerate(kpis.system.names.goals):
        title = kpis.net.goals[goal].description or goal
        yield f"{title}: value at the end", "USD", kpis.result.goal[:, -1, g]


# Observations -----------------------------------------------------------------------------


def observation_table(kpis: Kpis) -> ResultTable:
    """What really happened beside what was simulated."""
    rows = Rows(
        "supply_observation",
        "Observed output beside the simulated range; never used as an input.",
        ("scenario", "observation", "period"),
        *("scenario", "observation", "title", "stage", "period", "label", "unit"),
        *("observed_low", "observed", "observed_high", "p10", "p50", "p90", "inside"),
        *("as_of", "verdict"),
    )
    for name, declared in kpis.net.observations.items():
        found = spread(kpis.stage_total(declared.stage, kpis.result.completed))
        for day, value in declared.values.items():
            q = _period_of(kpis, day)
            if q is None:
                continue
            low, middle, high = kpis.resolve(value, "each")
            band = {key: float(found[key][q]) for key in ("p10", "p50", "p90")}
            rows.add(
                scenario=kpis.scenario,
                observation=name,
                title=declared.description or name,
                stage=declared.stage,
                period=kpis.periods[q],
                label=kpis.labels[q],
                unit=declared.unit,
                observed_low=low,
                observed=middle,
                observed_high=high,
                **band,
                inside=bool(band["p10"] <= middle <= band["p90"]),
                as_of=kpis.as_of,
                verdict=_verdict(middle, band["p10"], band["p90"]),
            )
    return rows.table()


def _period_of(kpis: Kpis, day: str) -> int | None:
    edges = kpis.system.report_edges + kpis.system.start
    position = int(np.searchsorted(edges, parse_date(day), side="right")) - 1
    return position if 0 <= position < len(kpis.periods) else None


def _verdict(observed: float, low: float, high: float) -> str:
    if observed < low:
        return f"{1 - observed / low:.0%} below P10" if low else "below P10"
    if observed > high:
        return f"{observed / high - 1:.0%} above P90" if high else "above P90"
    return "inside P10-P90"
