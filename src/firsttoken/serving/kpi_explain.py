"""Tables that say what limits the services of a token factory, and what to change next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from firsttoken.kernel.parameters import fixed_parameters
from firsttoken.serving import deployment as to
from firsttoken.serving import result as of
from firsttoken.serving.kpi import Kpis, ratio
from firsttoken.serving.levers import (
    STEP,
    Lever,
    Prefill,
    Served,
    Setting,
    eased,
    levers,
    pace_at,
    served,
    setting_of,
    shares,
)
from firsttoken.serving.levers_speed import Slowdown
from firsttoken.serving.perf_memory import replica_gpus
from firsttoken.serving.physics import hardware_of
from firsttoken.serving.plan import Layouts
from firsttoken.serving.result import Floats
from firsttoken.serving.timeline import Course, Group, Held, timeline
from firsttoken.twin.result_table import ResultTable

OPERATORS: Final = {
    "dense": "products of projections and dense layers",
    "experts": "products of experts",
    "decode": "attention over the KV cache",
    "prefill": "attention of prompts",
    "elementwise": "norms, activations, quantisation",
    "head": "output head and sampling",
    "reduce": "all-reduces of tensor ranks",
    "exchange": "exchange of experts' tokens",
    "launch": "launches of kernels",
    "overhead": "host work of the engine",
}
LEVERS: Final = {
    "arithmetic": "10 % more FLOP/s",
    "bandwidth": "10 % more HBM bandwidth",
    "memory": "10 % more HBM",
    "link": "10 % more NVLink bandwidth",
    "network": "10 % more network bandwidth",
    "overhead": "10 % less host work",
    "speed": "software 10 % faster",
    "sequences": "10 % more sequences in a batch",
    "cooling": "no throttling",
    "power_cap": "power cap 10 % higher",
    "prefill": "10 % more replicas that prefill",
    "decode": "10 % more replicas that decode",
    "ttft_goal": "10 % more time to the first token",
    "tpot_goal": "10 % more time per output token",
    "e2e_goal": "10 % more time for a request",
}
BOUNDS: Final = {
    "ttft": "its goal for the time to the first token",
    "tpot": "its goal for the time per output token",
    "e2e": "its goal for the time of a request",
    "memory": "the KV cache that its memory holds",
    "speed": "its speed: more requests in flight would only wait",
    "prefill": "the replicas that prefill: more requests in flight would only wait for them",
    "sequences": "the sequences that its engine takes (`engine.sequences`)",
}
CAUSES: Final = {"cooling": "cooling (`throttle`)", "power_cap": "the power cap"}
"""What slows a service, by the name of the lever."""

MISSED: Final = 0.9
"""Share of requests that reach all goals below which a service misses them (the share at which
goodput is counted by DistServe, OSDI 2024)."""

SLOWED: Final = 0.98
"""Share of its tokens within the goals that a replica keeps, below which it is told why."""

MOMENTS: Final = 2000
"""Most moments at which speeds are looked at."""

NOTABLE: Final = 0.002
"""Gain from which a lever is told."""


def explain_tables(kpis: Kpis, layouts: Sequence[Layouts]) -> list[ResultTable]:
    """What binds in sentences, what each lever brings, and what a step consists of."""
    binding = kpis.rows(
        "serving_binding",
        "What limits a service, in sentences: first what ends its load, then what brings most.",
        ("service", "rank"),
        *("name", "share", "binds", "sentence"),
    )
    found = kpis.rows(
        "serving_levers",
        "What a tenth more of one thing brings: output tokens/s of a replica within the goals, and "
        "time per output token at the mean load.",
        ("service", "lever"),
        *("served", "tpot", "sentence"),
    )
    terms = kpis.rows(
        "serving_terms",
        "What a decoding step of a service consists of at the mean load of a replica.",
        ("service", "operator"),
        *("share", "sentence"),
    )
    drawn = fixed_parameters(kpis.system.parameters)
    head = {"scenario": kpis.scenario, "factory": kpis.name}
    slowed = _slowdowns(kpis, layouts, drawn)
    for row, (service, both) in enumerate(zip(kpis.system.services, layouts, strict=True)):
        if not service.streams:
            continue
        early = _early(kpis, row, both)
        setting = setting_of(kpis.system, service, both, drawn, early, slowed[row])
        flight = _flight(kpis, row)
        limit = served(setting)
        told = {**head, "service": service.name}
        each = sorted(levers(setting, flight), key=lambda lever: (-lever.served, lever.pace))
        for lever in each:
            cells = {"lever": lever.name, "served": 100 * lever.served, "tpot": 100 * lever.pace}
            found.add(**told, **cells, sentence=lever_said(lever))
        load = asked_share(kpis.total[:, row], setting.output, limit.tokens)
        missed = load >= 1.0 or _misses(kpis.total[:, row])
        cause = cause_of(setting, limit) if missed else None
        binding.add(
            **told, rank=1, name=cause.name if cause else limit.bound, share=load,
            binds=cause is not None or load >= 1.0,
            sentence=f"{service.name}: {limit_said(limit, load, setting.prefill, cause)}",
        )  # fmt: skip
        for rank, lever in enumerate([x for x in each if x.served >= NOTABLE][:3], 2):
            binding.add(
                **told, rank=rank, name=lever.name, share=lever.served, binds=False,
                sentence=f"{service.name}: {lever_said(lever)}",
            )  # fmt: skip
        for name, share in shares(setting, flight).items():
            text = f"{OPERATORS[name]}: {100 * share:.0f} % of a step"
            terms.add(**told, operator=name, share=share, sentence=text)
    tables = [binding.table(), found.table({"served": "%", "tpot": "%"}), terms.table()]
    return [table for table in tables if len(table)]


def _flight(kpis: Kpis, row: int) -> float:
    """Sequences of a replica in the mean of time and replications."""
    found = kpis.total[:, row]
    batch = ratio(found[:, of.SEQUENCES], found[:, of.REPLICA_SECONDS])
    return float(np.nan_to_num(np.nanmean(batch) if np.isfinite(batch).any() else 1.0, nan=1.0))


def _early(kpis: Kpis, row: int, both: Layouts) -> float:
    """Replicas that prefill for each that decodes, in the mean; 1 where none decodes."""
    own, other = both
    if other is None:
        return 1.0
    found = kpis.total[:, row].mean(axis=0)
    decoding = float(found[of.REPLICA_SECONDS])
    left = float(found[of.GPU_SECONDS]) - decoding * float(np.asarray(replica_gpus(own)))
    if decoding <= 0.0 or left <= 0.0:
        return 1.0
    return left / float(np.asarray(replica_gpus(other))) / decoding


def _slowdowns(
    kpis: Kpis, layouts: Sequence[Layouts], drawn: Floats
) -> list[tuple[Slowdown | None, Slowdown | None]]:
    """What slows a replica of each service, and one that prefills for it; None: nothing."""
    system, found = kpis.system, kpis.result
    count = min(max(round(found.time / found.tick), 1), MOMENTS)
    edges = np.linspace(found.begin, found.begin + found.time, count + 1)
    held, seed = _held(kpis, edges), found.seed
    line = timeline(system, drawn, layouts, held, edges, seed, 0)
    higher = line
    if system.power_cap != to.NONE:
        # as if others took less: services get all that a higher cap brings
        cap = Course(system, drawn, edges, seed, 0)((system.power_cap,))[0]
        less = held.power - (STEP - 1.0) * cap
        higher = timeline(system, drawn, layouts, Held(held.gpus, less), edges, seed, 0)
    elif not (line.throttle < 1.0).any():
        return [(None, None)] * len(layouts)
    slowed: list[list[Slowdown | None]] = [[None, None] for _ in layouts]
    for group, more in zip(line.groups, higher.groups, strict=True):
        up = _up(kpis, group)
        slowed[group.service][group.role == "prefill"] = slowdown(group, more, line.throttle, up)
    return [(own, early) for own, early in slowed]


def slowdown(group: Group, more: Group, throttle: Floats, up: float) -> Slowdown | None:
    """What slows one of the replicas of a group.

    Parameters
    ----------
    more : the group under a cap that is a tenth higher.
    up : share of the replicas that are there among which their cap is shared.
    """
    there = group.count > 0.0
    if not there.any():
        return None
    count = group.count[there] * up
    room, gained = group.cap[there] / count, np.zeros(len(count))
    capped = np.isfinite(room)
    gained[capped] = (more.cap[there] / count - room)[capped] if capped.any() else 0.0
    columns = np.stack([throttle[there], room, gained])
    if (columns == columns[:, :1]).all():
        columns = columns[:, :1]
    return Slowdown(*columns)


def _up(kpis: Kpis, group: Group) -> float:
    """Replicas that are up over those that there are, in the mean."""
    if group.role == "prefill":
        return 1.0
    seconds = float(kpis.total[:, group.service, of.REPLICA_SECONDS].mean())
    there = float(group.count.mean()) * kpis.result.time
    return min(seconds / there, 1.0) if seconds > 0.0 and there > 0.0 else 1.0


def _held(kpis: Kpis, edges: Floats) -> Held:
    """What training has in moments: means of its report periods over the replications."""
    system, found = kpis.system, kpis.result
    length, counts = np.diff(system.edges), found.pools.mean(axis=0)
    there, used, trained = (counts[..., x] / length for x in (of.THERE, of.USED, of.TRAINED))
    power = np.zeros(len(length))
    if trained.any():
        drawn = fixed_parameters(system.parameters)
        power = counts[..., of.POOL_ENERGY].sum(axis=0) / length
        power -= found.period[..., of.ENERGY].mean(axis=0).sum(axis=0) / length
        for row, pool in enumerate(system.accelerators):
            gpu, others = hardware_of(pool, drawn), there[row] - trained[row]
            power -= others * gpu.host + np.maximum(others - used[row], 0.0) * gpu.idle
    middle = 0.5 * (edges[1:] + edges[:-1])
    at = np.clip(np.searchsorted(system.edges, middle) - 1, 0, len(length) - 1)
    return Held(trained[:, at], power[at])


def asked_share(counts: Floats, output: float, capacity: float) -> float:
    """Output tokens that arrivals ask for, over what the replicas serve within the goals.

    Parameters
    ----------
    counts : of a service, [R, COUNTS]; output : mean tokens of an answer.
    capacity : output tokens/s of one replica; 0: as much is asked as it serves.
    """
    each = ratio(counts[:, of.ARRIVED] * output, counts[:, of.REPLICA_SECONDS])
    if capacity <= 0 or not np.isfinite(each).any():
        return 1.0
    return float(np.nanmean(each) / capacity)


def _misses(counts: Floats) -> bool:
    """Whether too few of a service's requests, [R, COUNTS], reach all goals."""
    arrived, finished = counts[:, of.ARRIVED].sum(), counts[:, of.FINISHED].sum()
    reached = counts[:, of.ATTAINED].sum()
    return bool(arrived > 0 and (finished <= 0 or reached < MISSED * finished))


class Cause(NamedTuple):
    """What slows a service so that it misses what is asked: name, speed kept, tokens/s without."""

    name: str
    speed: float
    tokens: float


def cause_of(setting: Setting, limit: Served) -> Cause | None:
    """What takes most of the tokens within the goals, of cooling and the power cap; None: neither.

    `limit`: what is served as it is.
    """
    if setting.slowed is None:
        return None
    without = {
        "cooling": served(eased(setting, Slowdown.cooled)).tokens,
        "power_cap": served(eased(setting, Slowdown.uncapped)).tokens,
    }
    name = max(without, key=lambda each: without[each])
    if limit.tokens >= SLOWED * without[name]:
        return None
    return Cause(name, pace_at(setting, limit.flight), without[name])


def limit_said(
    limit: Served, load: float, early: Prefill | None = None, cause: Cause | None = None
) -> str:
    """Where a replica's load ends.

    `early`: the replicas that prefill for it; `cause`: what slows it, where that binds.
    """
    who = "a replica"
    if early is not None:
        who = f"a replica that decodes, with {early.replicas:.3g} that prefill for it,"
    ends = BOUNDS[limit.bound]
    if cause is not None:
        ends = (
            f"{CAUSES[cause.name]}, which leaves {100 * cause.speed:.0f} % of its speed (without: "
            f"{cause.tokens:,.0f} output tokens/s)"
        )
    if limit.tokens <= 0 and cause is not None:
        return f"{who} serves not even one request within the goals; what ends it is {ends}"
    if limit.tokens <= 0:
        return f"not even one request reaches {ends}"
    return (
        f"{who} serves up to {limit.tokens:,.0f} output tokens/s with {limit.flight:,.0f} "
        f"requests in flight; what ends it is {ends}; in the mean arrivals ask for "
        f"{100 * load:.0f} % of what it can serve"
    )


def lever_said(lever: Lever) -> str:
    """What one lever brings, in a sentence."""
    pace = "" if abs(lever.pace) < NOTABLE else f", time per output token {100 * lever.pace:+.1f} %"
    return f"{LEVERS[lever.name]}: {100 * lever.served:+.1f} % tokens within the goals{pace}"
