"""Services of a factory as measured points see them: corrected speed, and how far it may be off."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from firsttoken.kernel.parameters import fixed_parameters
from firsttoken.serving import deployment as to
from firsttoken.serving.calibrated_pools import corrections_of, pool_factors
from firsttoken.serving.calibration import LIBRARY, shipped
from firsttoken.serving.calibration_points import PRECISIONS, Observation
from firsttoken.serving.calibration_prior import prior
from firsttoken.serving.perf_memory import replica_gpus
from firsttoken.serving.perf_point import Before, Point, aggregated_point, disaggregated_point
from firsttoken.serving.physics import (
    architecture_of,
    engine_of,
    hardware_of,
    mean_lengths,
)
from firsttoken.serving.plan import Layouts, first_level, question_of
from firsttoken.serving.search_calibrated import named
from firsttoken.serving.system import Layout

NORMAL = 1.6448536269514722
"""Standard deviations from the median to an end of a 90 % interval."""

LOADS = np.array([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048], np.float64)
"""Requests in flight of a replica at which its throughput is looked at."""


def calibrated(system: to.System, layouts: Sequence[Layouts]) -> to.System:
    """The system with what measured points say of its services.

    Calibration predicts the time per output token at the mean load of a replica; what that is over
    the physics at the same point corrects every step; pools that prefill and decode apart are
    corrected each by itself.  Models and GPUs that are not as in the library stay as the physics
    has them.
    """
    drawn = fixed_parameters(system.parameters)
    services = tuple(
        replace(service, calibrated=_of(system, service, both, drawn))
        for service, both in zip(system.services, layouts, strict=True)
    )
    return replace(system, services=services)


def _of(
    system: to.System, service: to.Service, layouts: Layouts, drawn: to.Floats
) -> to.Calibrated | None:
    told, layout = service.engine.error != to.NONE and service.streams, layouts[0]
    if not told or not (LIBRARY / "serving_points.csv").is_file():
        return None
    whose = named(question_of(system, service, drawn))
    if whose is None:
        return None
    prompt, output, _ = mean_lengths(service, drawn)
    bits = float(np.asarray(layout.weight_bits))
    point = Observation(
        id=service.name,
        model=whose.model,
        gpu=whose.gpu,
        engine=service.engine.name,
        release=service.engine.release,
        precision=min(PRECISIONS, key=lambda name: abs(float(PRECISIONS[name]) - bits)),
        pools=0.0,
        isl=prompt,
        osl=max(output, 2.0),
        concurrency=1.0
        if layouts[1] is not None
        else _in_flight(system, service, layout, drawn, prompt, output),
        **_ranks(layout),
    )
    if layouts[1] is not None:
        return _apart(system, service, layout, layouts[1], drawn, point)
    # alone, a request waits for nobody: its prefill and the front end are all there is
    alone = point._replace(concurrency=point.data)
    found = shipped().predict([point, alone])
    ttft, tpot = (
        (float(part.median[0]), float(part.low[0]), float(part.high[0]))
        for part in (found.ttft, found.tpot)
    )
    if not all(math.isfinite(value) and value > 0 for value in tpot):
        return None
    physics = prior([point, alone])
    speed = float(physics.tpot[0]) / tpot[0]
    return to.Calibrated(
        speed=speed,
        spread=math.log(tpot[2] / tpot[1]) / (2.0 * NORMAL),
        ttft=ttft,
        tpot=tpot,
        concurrency=point.concurrency,
        known=bool(found.known[0]),
        entry=max(float(found.ttft.median[1]) - float(physics.own[1]) / speed, 0.0),
    )


def _ranks(layout: Layout) -> dict[str, float]:
    names = ("tensor", "pipeline", "data", "expert_tensor", "expert")
    return {name: float(np.asarray(getattr(layout, name))) for name in names}


def _apart(
    system: to.System,
    service: to.Service,
    own: Layout,
    early: Layout,
    drawn: to.Floats,
    point: Observation,
) -> to.Calibrated | None:
    """Pools that decode (`own`) and prefill (`early`), each corrected by itself.

    `point` is that of a replica that decodes; latencies are those at the mean rate, with the errors
    of both pools at once.
    """
    row = service.prefill
    assert row is not None
    gpu, other = (hardware_of(system.accelerators[each.on], drawn) for each in (service.pool, row))
    whose = named(replace(question_of(system, service, drawn), hardware=other))
    if whose is None:
        return None
    workers = replicas_of(system, service.pool, own, drawn)
    ranks = service.engine.sequences * float(np.asarray(own.data)) * workers
    loads = np.unique(np.round(np.geomspace(1.0, max(ranks, 2.0), 40)))

    def at(flight: to.Floats, prefill: float = 1.0, decode: float = 1.0) -> Point:
        return disaggregated_point(
            *(architecture_of(service, drawn), gpu, early, own),
            *(replicas_of(system, row, early, drawn), workers),
            *(point.isl, point.osl, flight),
            engine=engine_of(service.engine),
            corrections=corrections_of(decode),
            cached=mean_lengths(service, drawn)[2],
            before=Before(other if row.on != service.pool.on else gpu, corrections_of(prefill)),
        )

    served = np.maximum.accumulate(np.asarray(at(loads).tokens)) / point.osl
    flight = float(np.interp(mean_rate(system, service, drawn), served, loads))
    each = point._replace(concurrency=max(flight / workers, 1.0))
    found = pool_factors(
        [Observation(**{**each._asdict(), **_ranks(early), "gpu": whose.gpu})], [each]
    )
    ends = [
        at(np.array([flight]), float(a[0]), float(b[0]))
        for a, b in zip(found.prefill, found.decode, strict=True)
    ]
    tpot = [float(end.tpot[0]) for end in ends]
    speeds = [
        (1.0 / float(f.median[0]), math.log(float(f.high[0] / f.low[0])) / (2.0 * NORMAL))
        for f in (found.prefill, found.decode)
    ]
    return to.Calibrated(
        *speeds[1],
        ttft=(math.nan, math.nan, math.nan),  # how prompts queue for pools is not measured
        tpot=(tpot[0], tpot[1], tpot[2]),
        concurrency=each.concurrency,
        known=bool(found.known[0]),
        prefill=speeds[0],
    )


def _in_flight(
    system: to.System,
    service: to.Service,
    layout: Layout,
    drawn: to.Floats,
    prompt: float,
    output: float,
) -> float:
    """Requests in flight of a replica at the mean rate; the most it holds if that is too high."""
    loads = LOADS * float(np.asarray(layout.data))  # of every data rank
    loads = loads[loads <= service.engine.sequences * float(np.asarray(layout.data))]
    point = aggregated_point(
        architecture_of(service, drawn),
        hardware_of(system.accelerators[service.pool.on], drawn),
        layout,
        prompt,
        output,
        loads,
        engine=engine_of(service.engine),
    )
    served = np.maximum.accumulate(np.asarray(point.tokens)) / output
    share = mean_rate(system, service, drawn) / replicas_of(system, service.pool, layout, drawn)
    return float(np.interp(share, served, loads))


def mean_rate(system: to.System, service: to.Service, drawn: to.Floats) -> float:
    """Requests/s of a service, of rates at their first level."""
    total = 0.0
    for stream in service.streams:
        scale = first_level(system, stream.scale, drawn)
        if stream.trace is not None:
            arrival = stream.trace.requests.arrival
            total += scale * len(arrival) / max(float(arrival[-1]), 1.0)
        else:
            total += scale * first_level(system, stream.rate, drawn) * float(stream.hours.mean())
    return total


def replicas_of(system: to.System, row: to.Replicas, layout: Layout, drawn: to.Floats) -> float:
    """Replicas of one kind at first, at least one."""
    gpus = float(replica_gpus(layout))
    pool = system.accelerators[row.on]
    there = first_level(system, pool.number, drawn)
    if pool.per_rack != to.NONE:
        there *= float(drawn[pool.per_rack])
    if row.kind == to.REST:
        return max(there // gpus, 1.0)
    size = first_level(system, row.number, drawn)
    if row.kind == to.SHARE:
        size *= there
    return max(size if row.kind == to.REPLICAS else size // gpus, 1.0)
