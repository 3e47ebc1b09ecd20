"""From simulated schedules to named tables with units: what a programme manager reads.

All quantiles are over replications; P80 of a date is the day by which it has come in four of five
futures. Floats are in days of an average week of the task's calendar. A date that never comes is
''.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from firsttoken.build import model
from firsttoken.build.engine_place import FAR
from firsttoken.build.simulate import BuildResult
from firsttoken.build.system import FIRST, LAST, System
from firsttoken.kernel.statistics import probability_interval, quantiles
from firsttoken.twin.dates import DAY, iso, quarter, to_datetime
from firsttoken.twin.result_rows import PROBABILITIES, QUANTILES, Rows, spread
from firsttoken.twin.result_table import ResultTable

if TYPE_CHECKING:
    from firsttoken.build.outlook import Outlook

Floats = NDArray[np.float64]
Samples = NDArray[Any]

_DATES = ("p10", "p50", "p80", "p90")
_YEAR = 365.2425 * DAY
_MW = 1e-6


class Kpis:
    """What the tables of one simulated programme have in common.

    Parameters
    ----------
    scenario : name that goes into the first column.
    prefix : what stands before labels, so that programmes of one twin can be told apart.
    outlook : the date by the network and by comparable sites, if there are any.

    Attributes
    ----------
    fixed : parameters at their medians, [P].
    """

    def __init__(
        self,
        scenario: str,
        declared: model.Build,
        compiled: System,
        simulated: BuildResult,
        prefix: str = "",
        outlook: Outlook | None = None,
    ) -> None:
        self.scenario, self.declared, self.prefix = scenario, declared, prefix
        self.system, self.result, self.outlook = compiled, simulated, outlook
        self.names, self.name = compiled.names, compiled.names.programme
        self.fixed: Floats = compiled.medians()

    def rows(self, name: str, description: str, keys: tuple[str, ...], *columns: str) -> Rows:
        """Rows of a table that begins with the scenario and the programme."""
        first = ("scenario", "programme")
        return Rows(name, description, (*first, *keys), *first, *keys, *columns)

    def add(self, rows: Rows, **values: Any) -> None:
        """Add a row of this scenario and programme."""
        rows.add(scenario=self.scenario, programme=self.name, **values)

    def day(self, seconds: float) -> str:
        """The ISO day of a moment; '' if it never comes."""
        return iso(seconds + self.system.start) if seconds < FAR else ""

    def days(self, samples: Samples) -> dict[str, str]:
        """P10, P50, P80 and P90 of moments [R] as ISO days."""
        found = quantiles(samples, PROBABILITIES).tolist()
        return dict(zip(_DATES, map(self.day, found), strict=True))

    def year(self, samples: Samples) -> Floats:
        """Moments as decimal years; NaN of what never comes."""
        values = np.asarray(samples, np.float64)
        found = np.full(values.shape, np.nan)
        for at in np.ndindex(values.shape):
            if values[at] < FAR:
                found[at] = decimal_year(float(values[at]) + self.system.start)
        return found

    def value(self, row: int) -> float:
        """A parameter at its median; NaN if nothing is said."""
        return float(self.fixed[row]) if row >= 0 else float("nan")


def decimal_year(seconds: float) -> float:
    """A moment in s from 1970-01-01 as a year with its part that is over: 2026.5."""
    day = to_datetime(seconds)
    first = day.replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
    following = first.replace(year=first.year + 1)
    return day.year + (day - first) / (following - first)


# Headline figures -----------------------------------------------------------------------------


def summary_table(kpis: Kpis) -> ResultTable:
    """Key figures of the programme, for comparison; dates are decimal years."""
    rows = Rows(
        "build_summary",
        "Key figures of each programme; dates are decimal years.",
        ("scenario", "kpi"),
        *("scenario", "programme", "kpi", "label", "unit", *QUANTILES),
    )
    for kpi, label, unit, samples in _figures(kpis):
        dates = unit == "year"
        values = quantiles(samples, PROBABILITIES) if dates else None
        if values is not None:
            found = dict(zip(QUANTILES, [*kpis.year(values), np.nan], strict=True))
            if samples.max() < FAR:
                found["mean"] = float(kpis.year(samples.mean()[None])[0])
        else:
            found = spread(samples)
        rows.add(
            scenario=kpis.scenario,
            programme=kpis.name,
            kpi=f"{kpis.name}.{kpi}",
            label=kpis.prefix + label,
            unit=unit,
            **{key: float(value) for key, value in found.items()},
        )
    return rows.table()


def _figures(kpis: Kpis) -> Iterator[tuple[str, str, str, Samples]]:
    found, system = kpis.result, kpis.system
    if kpis.names.phases:
        yield "first_power", "first phase ready", "year", found.first
        for p, phase in enumerate(kpis.names.phases):
            if len(kpis.names.phases) > 1:
                yield f"ready.{phase}", f"{phase} ready", "year", found.ready[p]
    yield "finish", "everything done", "year", found.last
    if kpis.outlook is not None:
        what = "first phase ready" if kpis.names.phases else "everything done"
        label = f"{what}, with comparable sites"
        yield "outlook", label, "year", found.first + kpis.outlook.later
    if system.due >= 0:
        late = np.maximum(found.first - kpis.value(system.due), 0.0)
        kept = np.array([100.0 * (late <= 0).mean()])
        yield "on_time", "first phase ready by the day promised", "%", kept
        yield "delay", "first phase late", "day", np.minimum(late, FAR) / DAY
        if system.cost_of_delay >= 0:
            rate = kpis.value(system.cost_of_delay)
            yield "cost_of_delay", "cost of the delay", "USD", np.minimum(late, FAR) * rate
    cost = sum(kpis.value(row) for row in system.network.tasks.cost)
    if cost > 0:
        spent = found.spent[:, -1]
        yield "spent", f"spent until {iso(system.start + system.horizon)}", "USD", spent
    for name, rows, unit, scale in (("racks", system.racks, "rack", 1.0),
                                    ("power", system.power, "MW", _MW)):  # fmt: skip
        if len(rows) and kpis.fixed[rows].sum() > 0:
            done = (found.ready <= system.horizon) * kpis.fixed[rows][:, None] * scale
            label = f"{name} ready by {iso(system.start + system.horizon)}"
            yield name, label, unit, done.sum(axis=0)


# Tasks and phases -----------------------------------------------------------------------------


def activity_table(kpis: Kpis) -> ResultTable:
    """Dates, floats and criticality of every activity in every phase."""
    rows = kpis.rows(
        "build_activities",
        "Dates, float and criticality of every activity, by phase.",
        ("task",),
        *("activity", "phase", "kind", "level", "description", "calendar", "days", "days_p10"),
        *("days_p90", "start_p10", "start_p50", "start_p80", "start_p90"),
        *("p10", "p50", "p80", "p90", "total_float", "total_float_p10", "free_float"),
        *("criticality", "criticality_finish", "cruciality", "significance"),
    )
    found, names, system = kpis.result, kpis.names, kpis.system
    cruciality = cruciality_of(found, FIRST)
    for i, task in enumerate(names.tasks):
        activity = kpis.declared.activities[names.activities[i]]
        share = float(system.network.tasks.share[i])
        starts = {f"start_{key}": day for key, day in kpis.days(found.start[i]).items()}
        calendar = int(system.network.tasks.calendar[i])
        work = spread(found.work[i])
        slack = spread(found.total_float[i])
        kpis.add(
            rows,
            task=task,
            activity=names.activities[i],
            phase=names.task_phases[i],
            kind=activity.kind,
            level=float("nan") if activity.level is None else float(activity.level),
            description=activity.description,
            calendar=names.calendars[calendar] if calendar >= 0 else "",
            days=float(work["p50"]) / share / DAY,
            days_p10=float(work["p10"]) / share / DAY,
            days_p90=float(work["p90"]) / share / DAY,
            **starts,
            **kpis.days(found.finish[i]),
            total_float=float(slack["mean"]) / share / DAY,
            total_float_p10=float(slack["p10"]) / share / DAY,
            free_float=float(found.free_float[i]) / share / DAY,
            criticality=float(found.criticality[FIRST, i]),
            criticality_finish=float(found.criticality[LAST, i]),
            cruciality=float(cruciality[i]),
            significance=float(found.significance[i]),
        )
    days = ("days", "days_p10", "days_p90", "total_float", "total_float_p10", "free_float")
    dates = (*_DATES, *(f"start_{key}" for key in _DATES))
    return rows.table({**dict.fromkeys(days, "day"), **dict.fromkeys(dates, "date")})


def cruciality_of(found: BuildResult, target: int) -> Floats:
    """Correlation of each task's working time with the date of a target, [T]; 0 of a constant.

    Pearson's, the cruciality index of Williams (Criticality in stochastic networks, Journal of the
    Operational Research Society 43 (1992) 353-357).
    """
    date = found.first if target == FIRST else found.last
    if not len(date) or date.max() >= FAR:
        return np.zeros(len(found.work))
    y = date - date.mean()
    norm = np.sqrt(y @ y)
    out = np.zeros(len(found.work))
    for i, work in enumerate(found.work):
        x = work - work.mean(dtype=np.float64)
        scale = float(np.sqrt(x @ x)) * norm
        if scale > 1e-9 * len(date):
            out[i] = float(x @ y) / scale
    return out


def phase_table(kpis: Kpis) -> ResultTable:
    """When each phase is ready, and what it brings."""
    rows = kpis.rows(
        "build_phases",
        "When each phase is ready and what it brings.",
        ("phase",),
        *("description", "ready", "racks", "power", *_DATES, "first"),
    )
    found = kpis.result
    for p, phase in enumerate(kpis.names.phases):
        declared = kpis.declared.phases[phase]
        kpis.add(
            rows,
            phase=phase,
            description=declared.description,
            ready=kpis.names.tasks[kpis.system.network.ready[p]],
            racks=kpis.value(kpis.system.racks[p]),
            power=kpis.value(kpis.system.power[p]) * _MW,
            **kpis.days(found.ready[p]),
            first=float((found.ready[p] <= found.first + 1.0).mean()),
        )
    return rows.table({"power": "MW", "racks": "rack", **dict.fromkeys(_DATES, "date")})


def deadline_table(kpis: Kpis) -> ResultTable:
    """How surely each deadline is met, with the 95 % interval of the estimate (Wilson 1927)."""
    rows = kpis.rows(
        "build_deadlines",
        "How surely each deadline, and the promised day, is met.",
        ("task",),
        *("deadline", *_DATES, "on_time", "on_time_low", "on_time_high", "late"),
    )
    found, system = kpis.result, kpis.system
    given = [(name, int(system.deadlines[i]), found.finish[i].astype(np.float64))
             for i, name in enumerate(kpis.names.tasks)]  # fmt: skip
    if system.due >= 0:
        given.append(("due", system.due, found.first))
    for name, row, dates in given:
        if row < 0:
            continue
        limit = kpis.value(row)
        # Dates are kept to some ten seconds; a deadline is met on its day.
        late = np.maximum(dates - limit, 0.0)
        kept = int((late <= 60.0).sum())
        chance = probability_interval(kept, len(dates))
        kpis.add(
            rows,
            task=name,
            deadline=kpis.day(limit),
            **kpis.days(dates),
            on_time=chance.estimate,
            on_time_low=chance.low,
            on_time_high=chance.high,
            late=float(np.minimum(late, FAR).mean()) / DAY,
        )
    return rows.table({"late": "day", **dict.fromkeys(("deadline", *_DATES), "date")})


# In time --------------------------------------------------------------------------------------


def curve_table(kpis: Kpis) -> ResultTable:
    """S-curves: money spent, racks and MW ready, until the end of each report period."""
    rows = kpis.rows(
        "build_curves",
        "Money spent, rack positions and power ready, until the end of each report period.",
        ("metric", "period"),
        *("label", "unit", *QUANTILES),
    )
    found, system = kpis.result, kpis.system
    ends = system.edges[1:]
    starts = [iso(edge + system.start) for edge in system.edges[:-1]]
    labels = [_label(edge + system.start, kpis.declared.report) for edge in system.edges[:-1]]
    curves: list[tuple[str, str, Samples]] = []
    if found.spent.any():
        curves.append(("spent", "USD", found.spent[:, 1:]))
    for metric, brings, unit, scale in (("racks", system.racks, "rack", 1.0),
                                        ("power", system.power, "MW", _MW)):  # fmt: skip
        if len(brings) and kpis.fixed[brings].sum() > 0:
            ready = found.ready[:, :, None] <= ends
            amount = kpis.fixed[brings][:, None, None] * scale
            curves.append((metric, unit, (ready * amount).sum(axis=0)))
    for metric, unit, samples in curves:
        rows.extend(
            len(starts),
            scenario=kpis.scenario,
            programme=kpis.name,
            metric=metric,
            period=starts,
            label=labels,
            unit=unit,
            **spread(samples),
        )
    return rows.table({"period": "date"})


def _label(seconds: float, report: str) -> str:
    """2027Q1, 2027-03 or the ISO day of a report period's start."""
    if report == "quarter":
        return quarter(seconds)
    day = to_datetime(seconds)
    return f"{day:%Y-%m}" if report == "month" else f"{day:%Y-%m-%d}"
