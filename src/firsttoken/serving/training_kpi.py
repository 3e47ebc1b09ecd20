"""From a simulated training job to named tables with units: time, tokens, failures, energy, cost.

ETTR is the share of the time since the job began in which it trained for good (effective training
time ratio; ByteRobust, arXiv:2509.16293; Kokolis et al., arXiv:2410.21680); MFU the operations of
the model over the peak of its GPUs in the format of its products, while it trains (PaLM,
arXiv:2204.02311).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from firsttoken.kernel.parameters import fixed_parameters
from firsttoken.serving import training_state as of
from firsttoken.serving.kpi import Figure, ratio
from firsttoken.serving.training_simulate import TrainingResult, TrainingSystem, power_of
from firsttoken.serving.training_state import Floats
from firsttoken.twin.dates import iso, to_datetime
from firsttoken.twin.result_rows import QUANTILES, Rows, spread
from firsttoken.twin.result_table import ResultTable

HOUR: Final = 3600.0
DAY: Final = 86400.0
MWH: Final = 3.6e9
LABELS: Final = {"year": "%Y", "month": "%Y-%m", "day": "%Y-%m-%d", "hour": "%Y-%m-%dT%H:%M"}

STATES: Final = (
    ("training", "training"),
    ("saving", "writing checkpoints"),
    ("detecting", "standing until failures are noticed"),
    ("restarting", "starting anew"),
    ("waiting", "waiting for nodes"),
    ("spare", "spare"),
    ("repair", "in repair"),
    ("free", "not begun, or finished"),
)
"""States of GPUs in the order of the counts, with what they mean."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What GPU-hours and energy cost; numbers, or arrays that broadcast to [R, B].

    Attributes
    ----------
    rent : USD for a GPU and second; energy : USD/J; pue : energy of the site over that of IT.
    """

    rent: Floats | float = 0.0
    energy: Floats | float = 0.0
    pue: Floats | float = 1.0


@dataclass(frozen=True, slots=True)
class TrainingKpis:
    """What the tables of one simulated job have in common.

    Attributes
    ----------
    start : of the twin, s from 1970-01-01; report : name of the report period (`day`, ...).
    """

    scenario: str
    factory: str
    job: str
    system: TrainingSystem
    result: TrainingResult
    start: float
    report: str = "day"
    costs: Costs = Costs()

    @property
    def total(self) -> Floats:
        """Counts of the whole time, [R, COUNTS]."""
        return np.asarray(self.result.period.sum(axis=1))

    @property
    def gpus(self) -> float:
        """GPUs of the job, spares not counted."""
        return self.system.replica * self.system.replicas

    def spent(self) -> Floats:
        """Cost, USD, [R, B]."""
        found = self.result.period
        held = found[..., of.OFFERED] - found[..., of.FREE]
        costs = self.costs
        return np.asarray(held * costs.rent + found[..., of.ENERGY] * costs.pue * costs.energy)

    def rows(self, name: str, description: str, keys: tuple[str, ...], *columns: str) -> Rows:
        """Rows of a table that begins with the scenario, the factory and the job."""
        first = ("scenario", "factory", "job")
        return Rows(name, description, (*first, *keys), *first, *keys, *columns)

    def named(self) -> dict[str, str]:
        """The cells of the first columns."""
        return {"scenario": self.scenario, "factory": self.factory, "job": self.job}


def good(found: Floats) -> Floats:
    """GPU-s of training that were not lost, of counts [..., COUNTS]."""
    return np.asarray(found[..., of.TRAINING] - found[..., of.LOST])


def elapsed(kpis: TrainingKpis) -> Floats:
    """Seconds from the job's begin to its finish in each report period, [R, B].

    Waiting for nodes counts: throughput and time to train are of the clock, whatever is in repair.
    Periods in which it holds no GPUs at all do not.
    """
    found = kpis.result.period
    held, free = found[..., of.OFFERED], found[..., of.FREE]
    busy = np.divide(held - free, held, out=np.zeros(held.shape), where=held > 0)
    return np.asarray(found[..., of.SECONDS] * busy)


def figures(kpis: TrainingKpis) -> Iterator[Figure]:
    """Headline figures of a job: (kpi, label, unit, one number a replication)."""
    found, result, law = kpis.total, kpis.result, kpis.system.law
    tokens = found[:, of.TOKENS] - found[:, of.LOST_TOKENS]
    time = elapsed(kpis).sum(axis=1)
    yield "step_time", "time of a step", "s", result.seconds
    mfu = law.flops / (result.seconds * kpis.gpus * law.peak)
    yield "mfu", "model FLOPs utilisation, of the peak in its format", "%", 100.0 * mfu
    ettr = ratio(good(found), time * kpis.gpus)
    yield "ettr", "effective training time (ETTR)", "%", 100.0 * ettr
    each = float(fixed_parameters(kpis.system.parameters)[kpis.system.rows.tokens])
    yield "steps", "steps, those done again not counted", "each", tokens / each
    yield "tokens", "tokens trained", "token", tokens
    yield "throughput", "tokens trained per time, stops included", "token/s", ratio(tokens, time)
    if not np.isnan(result.finish).all() and kpis.system.edges[0] == 0.0:
        reached = np.where(np.isnan(result.finish), np.nan, time / DAY)
        yield "time_to_train", "time to train", "day", reached
    yield "energy", "energy of GPUs and hosts", "MWh", found[:, of.ENERGY] / MWH
    yield "token_energy", "energy per token", "J/token", ratio(found[:, of.ENERGY], tokens)
    cost = kpis.spent().sum(axis=1)
    if cost.any():
        yield "cost", "cost", "USD", cost
        million = ratio(cost, tokens / 1e6)
        yield "token_cost", "cost per million tokens", "USD", million
    yield "failures", "failures", "each", found[:, of.FAILURES]
    if found[:, of.FAILURES].any():
        between = ratio(time / HOUR, found[:, of.FAILURES])
        yield "mtbf", "time between failures", "hour", between
    yield "interval", "training between checkpoints", "minute", result.interval / 60.0
    held = found[:, of.OFFERED] - found[:, of.FREE]
    yield "gpu_hours", "GPU-hours held", "gpu*hour", held / HOUR
    yield "lost", "GPU-hours of training lost", "gpu*hour", found[:, of.LOST] / HOUR


def summary_table(kpis: TrainingKpis) -> ResultTable:
    """Headline figures of the whole time."""
    rows = kpis.rows(
        "serving_training",
        "Headline figures of each training job over the whole time.",
        ("kpi",),
        *("label", "unit", *QUANTILES),
    )
    for kpi, label, unit, samples in figures(kpis):
        told = {key: float(value) for key, value in spread(samples).items()}
        rows.add(**kpis.named(), kpi=kpi, label=label, unit=unit, **told)
    return rows.table()


def period_table(kpis: TrainingKpis) -> ResultTable:
    """Figures by report period."""
    rows = kpis.rows(
        "serving_training_period",
        "Figures of each training job by report period.",
        ("period", "metric"),
        *("label", "unit", *QUANTILES),
    )
    found = kpis.result.period
    keep = found[0, :, of.SECONDS] > 0 if len(found) else np.ones(found.shape[1], bool)
    begins = kpis.system.edges[:-1][keep] + kpis.start
    form = LABELS[kpis.report]
    labels = [to_datetime(edge).strftime(form) for edge in begins]
    periods = labels if kpis.report == "hour" else [iso(edge) for edge in begins]
    for metric, unit, samples in by_period(kpis):
        rows.extend(
            int(keep.sum()),
            **kpis.named(),
            period=periods,
            metric=metric,
            label=labels,
            unit=unit,
            **spread(samples[:, keep]),
        )
    return rows.table()


def by_period(kpis: TrainingKpis) -> Iterator[tuple[str, str, Floats]]:
    """(metric, unit, [R, B])."""
    found = kpis.result.period
    seconds = found[..., of.SECONDS]
    tokens = found[..., of.TOKENS] - found[..., of.LOST_TOKENS]
    yield "tokens", "token", tokens
    yield "throughput", "token/s", ratio(tokens, seconds)
    yield "ettr", "%", 100.0 * ratio(good(found), elapsed(kpis) * kpis.gpus)
    yield "gpus", "gpu", ratio(found[..., of.TRAINING], seconds)
    yield "power", "MW", ratio(found[..., of.ENERGY], seconds) / 1e6
    yield "failures", "each", found[..., of.FAILURES]
    yield "lost", "gpu*hour", found[..., of.LOST] / HOUR
    yield "energy", "MWh", found[..., of.ENERGY] / MWH
    if (cost := kpis.spent()).any():
        yield "cost", "USD", cost


def time_table(kpis: TrainingKpis) -> ResultTable:
    """Where the GPU-hours go."""
    rows = kpis.rows(
        "serving_training_time",
        "GPU-hours of each training job by what its GPUs do; `lost` is training done again.",
        ("state",),
        *("label", "unit", *QUANTILES, "share"),
    )
    found = kpis.total
    whole = found[:, of.OFFERED].mean()
    states = [*((name, label, found[:, i]) for i, (name, label) in enumerate(STATES))]
    states.append(("lost", "of training: lost to failures", found[:, of.LOST]))
    for name, label, samples in states:
        told = {key: float(value) for key, value in spread(samples / HOUR).items()}
        share = 100.0 * float(samples.mean()) / whole if whole > 0 else float("nan")
        rows.add(**kpis.named(), state=name, label=label, unit="gpu*hour", **told, share=share)
    return rows.table({"share": "%"})


def failure_table(kpis: TrainingKpis) -> ResultTable:
    """Failures by kind."""
    rows = kpis.rows(
        "serving_training_failures",
        "Failures of each training job by kind, over the whole time.",
        ("kind",),
        *("unit", *QUANTILES),
    )
    for k, kind in enumerate(kpis.system.kinds):
        told = {key: float(v) for key, v in spread(kpis.result.kinds[:, k]).items()}
        rows.add(**kpis.named(), kind=kind, unit="each", **told)
    return rows.table()


def step_table(kpis: TrainingKpis) -> ResultTable:
    """What a step consists of, and what memory it takes."""
    rows = kpis.rows(
        "serving_training_step",
        "What a step of each training job consists of (physics; they overlap), its predicted "
        "time with the 90 % interval, and its memory.",
        ("part",),
        *("unit", "value"),
    )
    law = kpis.system.law
    seconds = [*law.terms.items(), ("median", law.median), ("low", law.low), ("high", law.high)]
    for part, value in seconds:
        rows.add(**kpis.named(), part=f"time.{part}", unit="s", value=value)
    for part, value in law.memory.items():
        rows.add(**kpis.named(), part=f"memory.{part}", unit="GB", value=value / 1e9)
    rows.add(**kpis.named(), part="work", unit="EFLOP", value=law.flops / 1e18)
    return rows.table()


def training_tables(kpis: TrainingKpis) -> list[ResultTable]:
    """All tables of a simulated job."""
    tables = [summary_table(kpis), period_table(kpis), time_table(kpis), step_table(kpis)]
    if kpis.system.kinds:
        tables.append(failure_table(kpis))
    return tables


def port_samples(kpis: TrainingKpis) -> dict[str, Floats]:
    """What a job tells other rooms, by report period, [R, B]: W and GPUs that it holds, token/s."""
    found = kpis.result.period
    seconds = found[..., of.SECONDS]
    tokens = found[..., of.TOKENS] - found[..., of.LOST_TOKENS]
    held = found[..., of.OFFERED]
    return {
        "power": power_of(kpis.system, found),
        "tokens": ratio(tokens, seconds),
        "gpus": ratio(held, seconds),
    }
