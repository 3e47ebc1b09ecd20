"""What binds a plan, in plain words: its marginal values by report period.

"2027Q1: package_cowos_l at tsmc_taiwan binds; +1 k package_b300/month = +190 rack_gb300,
+$0.76 B": capacity raised by the step throughout the report period, at the marginal rates of
`plan_duals`. They are rates: a step so large that something else begins to bind brings less.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from firsttoken.supply.plan import PlanResult
from firsttoken.supply.system import Floats, System
from firsttoken.twin.dates import period_label

DAY = 86400.0
MONTH = 365.25 / 12 * DAY
_BINDS, _SHOWN = 1e-6, 0.01
_REPORTS = (("week", 5, 9), ("month", 27, 32), ("quarter", 85, 95), ("year", 360, 370))


@dataclass(frozen=True, slots=True)
class Binding:
    """One capacity that binds in one report period.

    Attributes
    ----------
    kind : "activity" or "resource"; name : of it; stage, location : of the report.
    period, label : index and name of the report period.
    share : share of the report period in which the capacity binds.
    closed : it has no capacity at all while it binds (a disruption).
    capacity, step : mean capacity in the report period and the step, in `capacity_unit`.
    marginal_usd : change in USD for the step throughout the period, see `PlanResult`.
    marginal_units : change in units delivered, in `item_unit`.
    marginal_net : change in value less all costs, lateness included, USD.
    """

    kind: str
    name: str
    stage: str
    location: str
    period: int
    label: str
    share: float
    closed: bool
    capacity: float
    step: float
    capacity_unit: str
    marginal_usd: float
    marginal_units: float
    marginal_net: float
    item_unit: str
    sentence: str


@dataclass(frozen=True, slots=True)
class _Limits:
    """Capacities of one kind and their rates, [P, n]; names by n."""

    kind: str
    names: tuple[str, ...]
    stages: tuple[str, ...]
    locations: tuple[str, ...]
    units: tuple[str, ...]
    capacity: Floats
    use: Floats
    usd: Floats
    delivered: Floats
    net: Floats


def binding(result: PlanResult, system: System) -> list[Binding]:
    """Every capacity that binds, by report period, worth most first within a period.

    Parameters
    ----------
    result : plan of `system`, in any periods; each counts for the report period in which its
        middle lies.
    """
    middle = (result.edges[:-1] + result.edges[1:]) / 2
    report = np.searchsorted(system.report_edges, middle, "right") - 1
    rows = [
        row
        for limits in _limits(result, system)
        for row in _rows(limits, result, system, np.minimum(report, system.report_edges.size - 2))
    ]
    return sorted(rows, key=lambda r: (r.period, -r.marginal_usd, -r.marginal_net, r.name))


def _limits(result: PlanResult, system: System) -> tuple[_Limits, _Limits]:
    names = system.names
    return (
        _Limits(
            "activity",
            names.activities,
            names.activity_stage,
            names.activity_location,
            tuple(_run_unit(system, a) for a in range(len(names.activities))),
            result.activity_capacity,
            result.runs,
            result.marginal_usd_activity,
            result.marginal_units_activity,
            result.marginal_net_activity,
        ),
        _Limits(
            "resource",
            names.resources,
            names.resource_stage,
            names.resource_location,
            tuple(f"{name}/month" for name in names.resources),
            result.resource_capacity,
            result.resource_use,
            result.marginal_usd_resource,
            result.marginal_units_resource,
            result.marginal_net_resource,
        ),
    )


def _run_unit(system: System, activity: int) -> str:
    """What a run is counted as: its item if it makes one item, else runs."""
    net = system.network
    first, last = net.output_start[activity], net.output_start[activity + 1]
    if last - first != 1:
        return "runs/month"
    return f"{system.names.node_item[net.output_node[first]]}/month"


def _rows(
    limits: _Limits, result: PlanResult, system: System, report: np.ndarray
) -> Iterator[Binding]:
    lengths = np.diff(result.edges)[:, None]
    rate = limits.capacity / lengths * MONTH
    scale = max(np.max(limits.usd, initial=0.0), np.max(limits.net, initial=0.0))
    worth = (limits.usd > _BINDS * scale) | (limits.net > _BINDS * scale)
    opened = np.maximum.accumulate(limits.capacity > 0, axis=0)
    full = limits.use >= limits.capacity * (1 - _BINDS)
    known = np.isfinite(limits.capacity)  # a limit may begin or end with the horizon under way
    binds = worth & full & opened & known
    kind = _report_kind(system)
    item = _delivered_unit(system)
    for k in np.flatnonzero(binds.any(axis=0)):
        usual = float(rate[known[:, k], k].max())
        if usual <= 0:  # closed for a while, without limit before and after
            usual = float(limits.use[:, k].sum() / lengths.sum() * MONTH) or 5.0
        step = 10.0 ** np.floor(np.log10(0.2 * usual))
        for q in np.unique(report[binds[:, k]]):
            inside = report == q
            mine = inside & binds[:, k]
            weight = lengths[:, 0] * mine / MONTH * step
            label = period_label(system.start + float(system.report_edges[q]), kind)
            gains = [float(weight @ r[:, k]) for r in (limits.usd, limits.delivered, limits.net)]
            if abs(gains[0]) <= _BINDS * scale * float(weight.sum()):
                gains[0] = 0.0  # the solver's last digits
            span = float(lengths[inside, 0].sum())
            limited = inside & known[:, k]
            row = Binding(
                kind=limits.kind,
                name=limits.names[k],
                stage=limits.stages[k],
                location=limits.locations[k],
                period=int(q),
                label=label,
                share=float(lengths[mine, 0].sum()) / span,
                closed=bool(np.all(limits.capacity[mine, k] <= 0)),
                capacity=float(limits.capacity[limited, k].sum() / lengths[limited, 0].sum())
                * MONTH,
                step=float(step),
                capacity_unit=limits.units[k],
                marginal_usd=gains[0],
                marginal_units=gains[1],
                marginal_net=gains[2],
                item_unit=item,
                sentence="",
            )
            yield _told(row)


def _told(row: Binding) -> Binding:
    from dataclasses import replace

    return replace(row, sentence=sentence(row))


def sentence(row: Binding) -> str:
    """One plain sentence: what binds when, and what a step more of it would bring."""
    where = f" at {row.location}" if row.location else ""
    state = "is closed" if row.closed else "binds"
    often = "" if row.share > 0.995 else f" {100 * row.share:.0f} % of the time"
    gains = []
    if row.marginal_units >= _SHOWN:
        gains.append(f"+{short(row.marginal_units)} {row.item_unit}")
    if row.marginal_usd > 0:
        mix = "" if gains else " by a richer mix"
        gains.append(f"+${short(row.marginal_usd)}{mix}")
    if not gains:
        gains.append(f"nothing more in the end, but sooner or cheaper: ${short(row.marginal_net)}")
    return (
        f"{row.label}: {row.name}{where} {state}{often}; "
        f"+{short(row.step)} {row.capacity_unit} = {', '.join(gains)}"
    )


def short(number: float) -> str:
    """A number with two or three digits and k, M, B or T: 1234567 is "1.23 M"."""
    size = abs(number)
    for factor, letter in ((1e12, " T"), (1e9, " B"), (1e6, " M"), (1e3, " k")):
        if size >= 0.9995 * factor:
            return f"{number / factor:.3g}{letter}"
    return f"{number:.3g}"


def _report_kind(system: System) -> str:
    days = float(np.median(np.diff(system.report_edges))) / DAY
    return next((kind for kind, low, high in _REPORTS if low <= days <= high), "day")


def _delivered_unit(system: System) -> str:
    """The item that is sold, if it is one; else units."""
    items = {system.names.node_item[node] for node in system.network.demand_node}
    return items.pop() if len(items) == 1 else "units"
