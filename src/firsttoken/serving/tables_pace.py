"""How fast services with tables are against the physics, and how far tables are off.

The corrections of `calibration` are ratios of measured points to our physics, so they say nothing
of times from tables and are not applied to them.  Intervals come from what steady states with
tables missed on measured points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np

from firsttoken.kernel.parameters import fixed_parameters
from firsttoken.serving import deployment as to
from firsttoken.serving.calibrated import LOADS, NORMAL, mean_rate, replicas_of
from firsttoken.serving.perf_efficiency import NONE
from firsttoken.serving.perf_point import Before, Point, aggregated_point, disaggregated_point
from firsttoken.serving.physics import architecture_of, engine_of, hardware_of, mean_lengths
from firsttoken.serving.plan import Layouts

SPREAD: Final = 0.24
"""Standard deviation of the logarithm of the time per output token with tables over the measured
one: 90 % of one half of 1,909 points (benchmarks/serving_tables.py) lie within a factor of 1.49,
and so do about as many of the other half. Estimates of AIConfigurator 0.12 itself are within 1.80
on 472 points."""

SPREAD_TTFT: Final = 0.65
"""The same of the time to the first token: a factor of 2.9; of its own estimates 4.7."""


class Work(NamedTuple):
    """What a service's replicas are asked at the mean load: requests in flight, and in all."""

    prompt: float
    output: float
    cached: float
    rate: float


def paced(system: to.System, layouts: Sequence[Layouts]) -> to.System:
    """The system with the pace of services that have tables, at the mean load of their replicas."""
    drawn = fixed_parameters(system.parameters)
    services = tuple(
        service
        if service.pool.tables is None
        else replace(service, calibrated=_pace(system, service, both, drawn))
        for service, both in zip(system.services, layouts, strict=True)
    )
    return replace(system, services=services)


def _pace(
    system: to.System, service: to.Service, layouts: Layouts, drawn: to.Floats
) -> to.Calibrated:
    prompt, output, cached = mean_lengths(service, drawn)
    rate = mean_rate(system, service, drawn)
    work = Work(prompt, max(output, 2.0), cached, rate)
    place = _apart if layouts[1] is not None else _together
    found, physics, flight = place(system, service, layouts, drawn, work)
    told = service.engine.error != to.NONE
    spread = SPREAD if told else 0.0
    wide = float(np.exp(NORMAL * spread))
    wider = float(np.exp(NORMAL * SPREAD_TTFT)) if told else 1.0
    ttft, tpot = (float(np.ravel(value)[0]) for value in (found.ttft, found.tpot))
    first = float(np.ravel(physics.ttft)[0]) / ttft
    return to.Calibrated(
        speed=float(np.ravel(physics.tpot)[0]) / tpot,
        spread=spread,
        ttft=(ttft, ttft / wider, ttft * wider),
        tpot=(tpot, tpot / wide, tpot * wide),
        concurrency=flight,
        known=False,
        prefill=(first, spread) if layouts[1] is not None else None,
    )


def _together(
    system: to.System, service: to.Service, layouts: Layouts, drawn: to.Floats, work: Work
) -> tuple[Point, Point, float]:
    """By tables and by physics at the mean load, and requests in flight of a replica there."""
    layout = layouts[0]
    hardware = hardware_of(system.accelerators[service.pool.on], drawn)

    def at(flight: Any, tables: Any) -> Point:
        return aggregated_point(
            *(architecture_of(service, drawn), hardware, layout, work.prompt, work.output, flight),
            engine=engine_of(service.engine),
            cached=work.cached,
            tables=tables,
        )

    ranks = float(np.asarray(layout.data))
    loads = LOADS * ranks
    loads = loads[loads <= service.engine.sequences * ranks]
    share = work.rate / replicas_of(system, service.pool, layout, drawn)
    flight = _load(np.asarray(at(loads, service.pool.tables).tokens), loads, work.output * share)
    return at(flight, service.pool.tables), at(flight, None), flight


def _apart(
    system: to.System, service: to.Service, layouts: Layouts, drawn: to.Floats, work: Work
) -> tuple[Point, Point, float]:
    """The same of pools that decode and prefill."""
    own, early, row = layouts[0], layouts[1], service.prefill
    assert row is not None
    assert early is not None
    gpu, other = (hardware_of(system.accelerators[each.on], drawn) for each in (service.pool, row))
    workers = replicas_of(system, service.pool, own, drawn)

    def at(flight: Any, with_tables: bool) -> Point:
        first, then = (row.tables, service.pool.tables) if with_tables else (None, None)
        models = (architecture_of(service, drawn), gpu, early, own)
        counts = (replicas_of(system, row, early, drawn), workers)
        return disaggregated_point(
            *(*models, *counts, work.prompt, work.output, flight),
            engine=engine_of(service.engine),
            cached=work.cached,
            before=Before(other if row.on != service.pool.on else gpu, NONE, first),
            tables=then,
        )

    most = service.engine.sequences * float(np.asarray(own.data)) * workers
    loads = np.unique(np.round(np.geomspace(1.0, max(most, 2.0), 40)))
    flight = _load(np.asarray(at(loads, True).tokens), loads, work.output * work.rate)
    return at(flight, True), at(flight, False), max(flight / workers, 1.0)


def _load(tokens: to.Floats, loads: to.Floats, wanted: float) -> float:
    """Requests in flight at which so many tokens are made; the most if that is too many."""
    return float(np.interp(wanted, np.maximum.accumulate(tokens), loads))
