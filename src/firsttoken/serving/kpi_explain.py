"""Tables that say what limits the services of a token factory, and what to change next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from firsttoken.kernel.parameters import fixed_parameters
from firsttoken.serving import result as of
from firsttoken.serving.kpi import Kpis, ratio
from firsttoken.serving.levers import (
    Lever,
    Prefill,
    Served,
    levers,
    served,
    setting_of,
    shares,
)
from firsttoken.serving.perf_memory import replica_gpus
from firsttoken.serving.plan import Layouts
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
    for row, (service, both) in enumerate(zip(kpis.system.services, layouts, strict=True)):
        if not service.streams:
            continue
        setting = setting_of(kpis.system, service, both, drawn, _early(kpis, row, both))
        flight = _flight(kpis, row)
        limit = served(setting)
        told = {**head, "service": service.name}
        each = sorted(levers(setting, flight), key=lambda lever: (-lever.served, lever.pace))
        for lever in each:
            cells = {"lever": lever.name, "served": 100 * lever.served, "tpot": 100 * lever.pace}
            found.add(**told, **cells, sentence=lever_said(lever))
        load = _load(kpis, row, limit)
        binding.add(
            **told, rank=1, name=limit.bound, share=load, binds=load >= 1.0,
            sentence=f"{service.name}: {limit_said(limit, load, setting.prefill)}",
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


def _load(kpis: Kpis, row: int, limit: Served) -> float:
    """Output tokens over what the replicas serve within the goals."""
    found = kpis.total[:, row]
    each = ratio(found[:, of.OUTPUT], found[:, of.REPLICA_SECONDS])
    if limit.tokens <= 0 or not np.isfinite(each).any():
        return 1.0
    return float(np.nanmean(each) / limit.tokens)


def limit_said(limit: Served, load: float, early: Prefill | None = None) -> str:
    """Where a replica's load ends; `early`: the replicas that prefill for it."""
    if limit.tokens <= 0:
        return f"not even one request reaches {BOUNDS[limit.bound]}"
    who = "a replica"
    if early is not None:
        who = f"a replica that decodes, with {early.replicas:.3g} that prefill for it,"
    return (
        f"{who} serves up to {limit.tokens:,.0f} output tokens/s with {limit.flight:,.0f} "
        f"requests in flight; what ends it is {BOUNDS[limit.bound]}; {100 * load:.0f} % of that "
        "is asked of it in the mean"
    )


def lever_said(lever: Lever) -> str:
    """What one lever brings, in a sentence."""
    pace = "" if abs(lever.pace) < NOTABLE else f", time per output token {100 * lever.pace:+.1f} %"
    return f"{LEVERS[lever.name]}: {100 * lever.served:+.1f} % tokens within the goals{pace}"
