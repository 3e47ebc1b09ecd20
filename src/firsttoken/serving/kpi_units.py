"""Tables of a token factory's parts: replicas, tenants, pools of GPUs, the course of time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from firsttoken.kernel.parameters import fixed_parameters
from firsttoken.serving import deployment as to
from firsttoken.serving import perf_weights as weights
from firsttoken.serving import result as of
from firsttoken.serving.kpi import MILLI, Kpis, ratio
from firsttoken.serving.laws import law_of
from firsttoken.serving.physics import architecture_of
from firsttoken.serving.plan import Layouts
from firsttoken.serving.search_kpi import layout_said
from firsttoken.twin.result_rows import Rows, spread
from firsttoken.twin.result_table import ResultTable

GIGA: Final = 1e9
NORMAL: Final = 1.6448536269514722
"""Standard deviations from the median to an end of a 90 % interval."""

UNITS: Final = {
    "gpus": "gpu",
    "weights": "GB",
    "kv": "token",
    "kv_bytes": "kB",
    "step": "ms",
    "power": "kW",
}


def replica_table(kpis: Kpis, layouts: Sequence[Layouts]) -> ResultTable:
    """What one replica of each kind is: layout, memory, time of a step."""
    rows = kpis.rows(
        "serving_replicas",
        "One replica of each kind of a service: parameters of the model (as published, else as "
        "counted), layout, weights of a GPU, tokens of KV that fit, bytes of one, time of a step "
        "of one sequence, power limit; `chosen`: who chose the layout.",
        ("service", "role"),
        *("pool", "model", "parameters", "active", "layout", "gpus", "weights", "kv", "kv_bytes"),
        *("step", "power", "chosen"),
    )
    drawn = fixed_parameters(kpis.system.parameters)
    for service, chosen in zip(kpis.system.services, layouts, strict=True):
        model = architecture_of(service, drawn)
        for row, layout in zip((service.pool, service.prefill), chosen, strict=True):
            if row is None or layout is None:
                continue
            shown = layout if model.experts else layout._replace(expert=1.0)
            counted = weights.counts(model)
            law = law_of(kpis.system, service, row, layout, drawn)
            one = law.overhead + float(np.interp(1.0, law.tokens, law.seconds))
            rows.add(
                scenario=kpis.scenario,
                factory=kpis.name,
                service=service.name,
                role=row.role,
                pool=kpis.system.accelerators[row.on].name,
                model=service.model,
                parameters=float(model.parameters or counted.total) / GIGA,
                active=float(model.active_parameters or counted.active) / GIGA,
                layout=layout_said(shown._replace(**_arrays(shown)), 0),
                gpus=law.gpus,
                weights=float(weights.weight_bytes(model, layout)) / GIGA,
                kv=law.kv_tokens,
                kv_bytes=law.kv_bytes / 1e3,
                step=one * MILLI,
                power=law.limit / 1e3,
                chosen=_chosen(service, row),
            )
    return rows.table(UNITS)


def _chosen(service: to.Service, row: to.Replicas) -> str:
    """Who chose a layout."""
    if row.layout is not None:
        return "declared"
    if service.asked:
        return "planned: the best of the search"
    return "planned: the smallest that meets the goals and carries the requests"


def _arrays(layout: object) -> dict[str, to.Floats]:
    """Fields of a layout as arrays of one."""
    fields = getattr(layout, "_asdict")()  # noqa: B009
    return {name: np.atleast_1d(np.asarray(value)) for name, value in fields.items()}


def tenant_table(kpis: Kpis) -> ResultTable:
    """Requests of each tenant, and the share that reaches all goals."""
    rows = kpis.rows(
        "serving_tenants",
        "Requests of each tenant of a service; shares where the mode tells requests apart.",
        ("service", "tenant", "metric"),
        *("unit", *spread(np.zeros((1, 1)))),
    )
    for row, service in enumerate(kpis.system.services):
        found = kpis.result.tenants[row]
        for position, stream in enumerate(service.streams):
            done, good = found[:, position, 0], found[:, position, 1]
            metrics = [("finished", "request/s", done / kpis.result.time)]
            if not np.isnan(good).any():
                metrics.append(("attained", "%", 100.0 * ratio(good, done)))
            for metric, unit, samples in metrics:
                rows.add(
                    scenario=kpis.scenario,
                    factory=kpis.name,
                    service=service.name,
                    tenant=stream.name,
                    metric=metric,
                    unit=unit,
                    **{key: float(value) for key, value in spread(samples).items()},
                )
    return rows.table()


def pool_table(kpis: Kpis) -> ResultTable:
    """GPUs, energy and money of each pool."""
    rows = kpis.rows(
        "serving_pools",
        "What the GPUs of each pool do, take and cost over the whole time.",
        ("pool", "metric"),
        *("unit", *spread(np.zeros((1, 1)))),
    )
    time = kpis.result.time
    for row, pool in enumerate(kpis.system.accelerators):
        found = kpis.pools[:, row]
        there = found[:, of.THERE]
        metrics = [
            ("gpus", "gpu", there / time),
            ("serving", "%", 100.0 * ratio(found[:, of.USED], there)),
            ("training", "%", 100.0 * ratio(found[:, of.TRAINED], there)),
            ("power", kpis.watt[0], found[:, of.POOL_ENERGY] / time / kpis.watt[1]),
            ("energy", kpis.joule[0], found[:, of.POOL_ENERGY] / kpis.joule[1]),
            ("cost", "USD", found[:, of.POOL_COST]),
        ]
        for metric, unit, samples in metrics:
            rows.add(
                scenario=kpis.scenario,
                factory=kpis.name,
                pool=pool.name,
                metric=metric,
                unit=unit,
                **{key: float(value) for key, value in spread(samples).items()},
            )
    return rows.table()


def calibration_tables(kpis: Kpis) -> list[ResultTable]:
    """What measured points say of each service: corrected speed, and its 90 % interval."""
    rows = kpis.rows(
        "serving_calibration",
        "Latencies of a service at the mean load of a replica as measured points predict them, "
        "with their 90 % interval, and the speed of its software over that of the physics (of "
        "replicas that prefill alone: `prefill_speed`).",
        ("service", "metric"),
        *("unit", "low", "value", "high", "in_flight", "known"),
    )
    for service in kpis.system.services:
        found = service.calibrated
        if found is None or service.engine.tables:
            continue
        told = [
            ("ttft", "s", 1.0, found.ttft),
            ("tpot", "ms", MILLI, found.tpot),
            ("speed", "", 1.0, _band(found.speed, found.spread)),
        ]
        if found.prefill is not None:
            told.append(("prefill_speed", "", 1.0, _band(*found.prefill)))
        for metric, unit, factor, (value, low, high) in told:
            if not np.isfinite(value):
                continue
            rows.add(
                scenario=kpis.scenario,
                factory=kpis.name,
                service=service.name,
                metric=metric,
                unit=unit,
                low=low * factor,
                value=value * factor,
                high=high * factor,
                in_flight=found.concurrency,
                known=found.known,
            )
    table = rows.table()
    return [table] if len(table) else []


def _band(speed: float, spread: float) -> tuple[float, float, float]:
    """Median and ends of the 90 % interval of a lognormal speed."""
    wide = float(np.exp(NORMAL * spread))
    return speed, speed / wide, speed * wide


def trace_table(kpis: Kpis) -> ResultTable:
    """Every tick of the first replication, by service."""
    rows = Rows(
        "serving_trace",
        "Every step of the first replication: power of GPUs and hosts, output tokens, replicas, "
        "sequences in decoding.",
        ("scenario", "factory", "service", "time"),
        *("scenario", "factory", "service", "time", "power", "tokens", "replicas", "sequences"),
    )
    course = kpis.result.course
    time = kpis.result.begin + np.arange(course.shape[1]) * kpis.result.tick
    for row, name in enumerate(kpis.services):
        rows.extend(
            len(time),
            scenario=kpis.scenario,
            factory=kpis.name,
            service=name,
            time=time,
            power=course[row, :, of.POWER],
            tokens=course[row, :, of.TOKENS],
            replicas=course[row, :, of.REPLICAS],
            sequences=course[row, :, of.BUSY],
        )
    return rows.table({"time": "s", "power": "W", "tokens": "token/s", "sequences": "request"})
