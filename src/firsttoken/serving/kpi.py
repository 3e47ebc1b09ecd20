"""From simulated arrays to named tables with units: tokens, latencies, power and money.

All quantiles P10 to P90 are over replications; latencies at P50 to P99 of the requests are columns
of their own.  TTFT is the time to the first token, TPOT the time per output token after it, E2E the
time to the last; goodput counts what reaches all goals (DistServe, OSDI 2024).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from firsttoken.kernel.parameters import fixed_parameters
from firsttoken.serving import deployment as to
from firsttoken.serving import result as of
from firsttoken.serving.physics import hardware_of, most_gpus
from firsttoken.serving.result import FactoryResult, Floats
from firsttoken.twin.dates import iso, period_label
from firsttoken.twin.result_rows import QUANTILES, Rows, spread
from firsttoken.twin.result_table import ResultTable

MEGA: Final = 1e6
MWH: Final = 3.6e9
MILLI: Final = 1e3
_LITTLE: Final = 1e-9

Figure = tuple[str, str, str, Floats]
"""(kpi, label, unit, one number a replication)."""

SHOWN: Final[tuple[tuple[str, str, float], ...]] = (
    ("ttft", "s", 1.0),
    ("tpot", "ms", MILLI),
    ("e2e", "s", 1.0),
)
"""Latencies, with the unit in which they are told."""


def ratio(part: Floats, whole: Floats | float) -> Floats:
    """Part over whole, NaN where there is no whole."""
    whole = np.asarray(whole, np.float64)
    out: Floats = np.full(np.broadcast_shapes(np.shape(part), whole.shape), np.nan)
    np.divide(part, whole, out=out, where=whole > _LITTLE)
    return out


class Kpis:
    """What the tables of one simulated token factory have in common.

    Parameters
    ----------
    scenario : name that goes into the first column.
    report : period of reports.
    prefix : what stands before labels, so that factories of one twin can be told apart.

    Attributes
    ----------
    total : counts of the whole time by service, [R, S, COUNTS]; pools : by pool, [R, A, ...].
    watt, joule : units of power and energy that suit the factory's size, and their SI size.
    """

    def __init__(
        self,
        scenario: str,
        compiled: to.System,
        simulated: FactoryResult,
        report: str,
        prefix: str = "",
    ) -> None:
        self.scenario, self.system, self.result = scenario, compiled, simulated
        self.report, self.prefix, self.name = report, prefix, compiled.name
        self.services = [service.name for service in compiled.services]
        self.total = simulated.period.sum(axis=2)
        self.pools = simulated.pools.sum(axis=2)
        self.watt, self.joule = power_units(compiled)

    def rows(self, name: str, description: str, keys: tuple[str, ...], *columns: str) -> Rows:
        """Rows of a table that begins with the scenario and the factory."""
        return Rows(
            name,
            description,
            ("scenario", "factory", *keys),
            "scenario",
            "factory",
            *keys,
            *columns,
        )


def power_units(compiled: to.System) -> tuple[tuple[str, float], tuple[str, float]]:
    """MW and MWh from a megawatt of GPUs and hosts on, else kW and kWh."""
    drawn = fixed_parameters(compiled.parameters)
    most = 0.0
    for pool in compiled.accelerators:
        gpu = hardware_of(pool, drawn)
        most += most_gpus(compiled, pool, drawn) * (float(gpu.tgp) + float(gpu.host))
    return (("MW", MEGA), ("MWh", MWH)) if most >= MEGA else (("kW", 1e3), ("kWh", MWH / 1e3))


def summary_table(kpis: Kpis, jobs: Sequence[ResultTable] = ()) -> ResultTable:
    """Headline figures of the whole time; `jobs` hold those of training.

    Training comes first where nothing is served, else last.
    """
    rows = Rows(
        "serving_summary",
        "Headline figures of each token factory and of its services over the whole time.",
        ("scenario", "kpi"),
        *("scenario", "factory", "service", "kpi", "label", "unit", *QUANTILES),
    )

    def add(service: str, figures: Iterator[Figure]) -> None:
        for kpi, label, unit, samples in figures:
            path = f"{kpis.name}.{service}.{kpi}" if service else f"{kpis.name}.{kpi}"
            said = f"{service}: {label}" if service else label
            rows.add(
                scenario=kpis.scenario,
                factory=kpis.name,
                service=service,
                kpi=path,
                label=kpis.prefix + said,
                unit=unit,
                **{key: float(value) for key, value in spread(samples).items()},
            )

    def add_jobs() -> None:
        for table in jobs:
            for row in range(len(table)):
                cell = {column: values[row] for column, values in table.columns.items()}
                job = str(cell.pop("job"))
                cell["kpi"] = f"{kpis.name}.{job}.{cell['kpi']}"
                cell["label"] = f"{kpis.prefix}{job}: {cell['label']}"
                rows.add(**cell, service=job)

    if not kpis.services:
        add_jobs()
    add("", _factory_figures(kpis))
    for row, name in enumerate(kpis.services):
        add(name, _service_figures(kpis, row))
    if kpis.services:
        add_jobs()
    return rows.table()


def _factory_figures(kpis: Kpis) -> Iterator[Figure]:
    time, total, pools = kpis.result.time, kpis.total, kpis.pools
    (watt, power_unit), (joule, energy_unit) = kpis.watt, kpis.joule
    energy = pools[:, :, of.POOL_ENERGY].sum(axis=1)
    output = total[:, :, of.OUTPUT].sum(axis=1)
    there = pools[:, :, of.THERE].sum(axis=1)
    if kpis.services:
        yield "tokens", "output tokens", "token/s", output / time
    yield "power", "power of GPUs and hosts, mean", watt, energy / time / power_unit
    yield "peak_power", "highest power", watt, kpis.result.peak / power_unit
    if kpis.services:
        yield (
            "tokens_per_mw",
            "output tokens of a megawatt",
            "token/s/MW",
            ratio(output, energy / MEGA),
        )
    yield "energy", "energy of GPUs and hosts", joule, energy / energy_unit
    yield "gpus", "GPUs, mean", "gpu", there / time
    used = pools[:, :, of.USED].sum(axis=1) + pools[:, :, of.TRAINED].sum(axis=1)
    yield "used", "GPUs that services and training hold", "%", 100.0 * ratio(used, there)
    cost = pools[:, :, of.POOL_COST].sum(axis=1)
    if cost.any():
        yield "cost", "cost of GPUs and energy", "USD", cost


def _service_figures(kpis: Kpis, row: int) -> Iterator[Figure]:
    time, found = kpis.result.time, kpis.total[:, row]
    output = found[:, of.OUTPUT]
    yield "requests", "requests", "request/s", found[:, of.ARRIVED] / time
    yield "tokens", "output tokens", "token/s", output / time
    yield "prompt_tokens", "prompt tokens", "token/s", found[:, of.PROMPT] / time
    if has_goals(kpis.system.services[row]):
        attained = found[:, of.ATTAINED]
        yield "attained", "requests that reach all goals", "%", 100.0 * attained_share(found)
        yield "goodput", "goodput: requests that reach all goals", "request/s", attained / time
    for number, (name, unit, factor) in enumerate(SHOWN):
        latency = kpis.result.latency[:, row, number] * factor
        for column, share in ((0, "P50"), (2, "P95")):
            yield f"{name}_{share.lower()}", f"{name.upper()}, {share}", unit, latency[:, column]
    gpus = found[:, of.GPU_SECONDS]
    yield "gpus", "GPUs, mean", "gpu", gpus / time
    yield "tokens_per_gpu", "output tokens of a GPU", "token/s", ratio(output, gpus)
    batch = ratio(found[:, of.SEQUENCES], found[:, of.REPLICA_SECONDS])
    yield "batch", "sequences of a replica, mean", "request", batch
    waiting = found[:, of.WAITING] / time
    yield "waiting", "requests that wait, mean", "request", waiting
    known = ratio(found[:, of.KNOWN], found[:, of.PROMPT])
    if (known > _LITTLE).any():
        yield "cached", "prompt tokens from the prefix cache", "%", 100.0 * known
    if found[:, of.REFUSED].any():
        yield "refused", "requests larger than a replica's memory", "request", found[:, of.REFUSED]
    if found[:, of.THROWN].any():
        yield "thrown", "times that work was lost", "request", found[:, of.THROWN]
    energy = found[:, of.ENERGY] + found[:, of.HOSTS]
    yield "joules", "energy of GPUs and hosts an output token", "J/token", ratio(energy, output)
    if found[:, of.COST].any():
        cost = ratio(found[:, of.COST], output) * MEGA
        yield "dollars", "cost of a million output tokens", "USD", cost


def attained_share(found: Floats) -> Floats:
    """Share of the finished requests that reach all goals, of counts [..., COUNTS].

    0 where requests come or wait and none is worked on; NaN where none is finished otherwise.
    """
    there = (found[..., of.ARRIVED] > 0.0) | (found[..., of.WAITING] > 0.0)
    unserved = (found[..., of.FINISHED] <= 0.0) & (found[..., of.SEQUENCES] <= 0.0) & there
    share = ratio(found[..., of.ATTAINED], found[..., of.FINISHED])
    return np.where(unserved, 0.0, share)


def has_goals(service: to.Service) -> bool:
    """Whether a service promises anything."""
    goals = service.goals
    return any(row != to.NONE for row in (goals.ttft, goals.tpot, goals.e2e))


def period_table(kpis: Kpis) -> ResultTable:
    """Figures by service and report period."""
    rows = kpis.rows(
        "serving_period",
        "Figures of each service by report period; service '': the factory.",
        ("service", "period", "metric"),
        *("label", "unit", *QUANTILES),
    )
    start, edges = kpis.system.start, kpis.system.edges
    labels = [period_label(edge + start, kpis.report) for edge in edges[:-1]]
    hourly = kpis.report == "hour"
    periods = labels if hourly else [iso(edge + start) for edge in edges[:-1]]

    def add(service: str, metrics: Iterator[tuple[str, str, Floats]]) -> None:
        for metric, unit, samples in metrics:
            rows.extend(
                len(periods),
                scenario=kpis.scenario,
                factory=kpis.name,
                service=service,
                period=periods,
                metric=metric,
                label=labels,
                unit=unit,
                **spread(samples),
            )

    add("", _factory_periods(kpis))
    for row, name in enumerate(kpis.services):
        add(name, _service_periods(kpis, row))
    return rows.table()


def _factory_periods(kpis: Kpis) -> Iterator[tuple[str, str, Floats]]:
    """(metric, unit, [R, B])."""
    length = np.diff(kpis.system.edges)
    energy = kpis.result.pools[..., of.POOL_ENERGY].sum(axis=1)
    output = kpis.result.period[..., of.OUTPUT].sum(axis=1)
    if kpis.services:
        yield "tokens", "token/s", output / length
        yield "tokens_per_mw", "token/s/MW", ratio(output, energy / MEGA)
    yield "power", kpis.watt[0], energy / length / kpis.watt[1]
    yield "gpus", "gpu", kpis.result.pools[..., of.THERE].sum(axis=1) / length
    cost = kpis.result.pools[..., of.POOL_COST].sum(axis=1)
    if cost.any():
        yield "cost", "USD", cost


def _service_periods(kpis: Kpis, row: int) -> Iterator[tuple[str, str, Floats]]:
    """(metric, unit, [R, B])."""
    length, found = np.diff(kpis.system.edges), kpis.result.period[:, row]
    output = found[..., of.OUTPUT]
    yield "requests", "request/s", found[..., of.ARRIVED] / length
    yield "tokens", "token/s", output / length
    if has_goals(kpis.system.services[row]):
        yield "attained", "%", 100.0 * attained_share(found)
    energy = found[..., of.ENERGY] + found[..., of.HOSTS]
    yield "power", kpis.watt[0], energy / length / kpis.watt[1]
    yield "gpus", "gpu", found[..., of.GPU_SECONDS] / length
    yield "waiting", "request", found[..., of.WAITING] / length
    yield "joules", "J/token", ratio(energy, output)
    if found[..., of.COST].any():
        yield "dollars", "USD", ratio(found[..., of.COST], output) * MEGA


def latency_table(kpis: Kpis) -> ResultTable:
    """Quantiles of the latencies over the requests of a service, with bands over replications."""
    rows = kpis.rows(
        "serving_latency",
        "Latencies of each service at shares of its requests; `share` 0 is their mean.",
        ("service", "metric", "share"),
        *("unit", "goal", *QUANTILES),
    )
    expected = fixed_parameters(kpis.system.parameters)
    for row, service in enumerate(kpis.system.services):
        for number, (name, unit, factor) in enumerate(SHOWN):
            index = getattr(service.goals, name)
            goal = float(expected[index]) * factor if index != to.NONE else np.nan
            for column, share in enumerate((*of.PROBABILITIES, 0.0)):
                samples = kpis.result.latency[:, row, number, column] * factor
                found = {key: float(value) for key, value in spread(samples).items()}
                rows.add(
                    scenario=kpis.scenario,
                    factory=kpis.name,
                    service=service.name,
                    metric=name,
                    share=share,
                    unit=unit,
                    goal=goal,
                    **found,
                )
    return rows.table()
