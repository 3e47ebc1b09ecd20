"""Requests of a service as the request engine takes them: made at a rate, or from traces."""

from __future__ import annotations

import numpy as np

from firsttoken.serving import deployment as to
from firsttoken.serving.case import Case
from firsttoken.serving.rates import rate_of
from firsttoken.serving.requests_system import Requests, Source
from firsttoken.serving.timeline import Course
from firsttoken.serving.traffic_generate import Drawn, Generator, Stream
from firsttoken.serving.traffic_scale import merged, of_tenant, repeated, scaled, select

APART = 1 << 56
"""Distance of the hashes and sessions of one tenant from those of the next."""


def traffic_of(case: Case, row: int, part: to.Floats) -> Requests | Source:
    """Requests of all tenants of a service (by its row) in one replication.

    Made while the simulation runs where no tenant has a trace; else all at once.

    Parameters
    ----------
    part : share of the requests by tick, f8[T]: 1, or that of the replicas that are simulated.
    """
    service = case.system.services[row]
    course = Course(case.system, case.drawn, case.line.edges, case.seed, case.replication)
    made = [
        _stream(case, stream, course, tenant, part)
        for tenant, stream in enumerate(service.streams)
        if stream.trace is None
    ]
    source = Generator(tuple(made))
    if len(made) == len(service.streams):
        return source
    parts = [source.requests(case.seed, case.replication)] if made else []
    for tenant, stream in enumerate(service.streams):
        if stream.trace is not None:
            parts.append(_recorded(case, stream, stream.trace, course, tenant, part))
    return merged(parts)


def _stream(case: Case, stream: to.Stream, course: Course, tenant: int, part: to.Floats) -> Stream:
    """A declared rate with its lengths."""
    drawn, edges = case.drawn, case.line.edges
    rate = rate_of(stream, course) * part
    kept = np.flatnonzero(np.r_[True, np.diff(rate) != 0.0])
    return Stream(
        edges=np.append(edges[kept], edges[-1]),
        rate=rate[kept],
        prompt=_drawn(case.system, stream.prompt),
        output=_drawn(case.system, stream.output),
        burstiness=float(drawn[stream.burstiness]),
        tenant=tenant,
        cached=float(drawn[stream.cached]),
        entity=stream.entity,
    )


def _drawn(system: to.System, row: int) -> Drawn:
    table = system.parameters
    return Drawn(int(table.code[row]), table.args[row], table.table if len(table.table) else NONE)


NONE = np.zeros((1, 2))
"""A table for distributions that need none."""


def _recorded(
    case: Case,
    stream: to.Stream,
    trace: to.Trace,
    course: Course,
    tenant: int,
    part: to.Floats,
) -> Requests:
    """A trace, repeated and scaled, of one tenant."""
    horizon = case.system.horizon
    found = trace.requests
    if trace.period > 0.0:
        found = repeated(found, trace.period, horizon)
    found = select(found, np.flatnonzero(found.arrival < horizon))
    factor = course((stream.scale,))[0] * part
    tick = np.searchsorted(case.line.edges, found.arrival, side="right") - 1
    factors = factor[np.minimum(tick, len(factor) - 1)]
    if (factors != 1.0).any():
        found = scaled(found, factors, case.seed, stream.entity, case.replication)
        found = select(found, np.flatnonzero(found.arrival < horizon))
    found = of_tenant(found, tenant)
    return found._replace(
        session=found.session + tenant * APART, hashes=found.hashes + tenant * APART
    )
