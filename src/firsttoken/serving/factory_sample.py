"""Runs of the request mode that the fluid mode is calibrated with, and compared to."""

from __future__ import annotations

from typing import Final

import numpy as np

from firsttoken.serving import requests_system as by_request
from firsttoken.serving.factory_calibrate import Sample, Sampler, plain
from firsttoken.serving.factory_compile import by_priority
from firsttoken.serving.factory_system import Floats, Ints, Pool, Service
from firsttoken.serving.requests_simulate import simulate
from firsttoken.serving.requests_system import LEAST_LOADED, Tenant, requests_of

BLOCK: Final = 16
"""Tokens of a KV block."""


def request_sampler(
    service: Service,
    replicas: int,
    *,
    routing: int = LEAST_LOADED,
    block: int = BLOCK,
    burstiness: float = 1.0,
    weights: Floats | None = None,
) -> Sampler:
    """The request mode of a service, with requests drawn from the samples of its classes.

    All are served in turn, whatever their priority (see `factory_calibrate.calibrate`).

    Parameters
    ----------
    replicas : of each of its pools.
    routing : as in `requests_system`; block : tokens of a KV block.
    burstiness : coefficient of variation of the time between requests; 1: Poisson.
    weights : f8[C], shares of the classes in the requests, by priority; None: equal.
    """
    service = plain(service)
    kinds = service.classes
    share = np.full(len(kinds), 1.0) if weights is None else np.asarray(weights, dtype=float)

    def run(rate: float, seconds: float, seed: int) -> Sample:
        draw = np.random.default_rng(seed)
        arrival = arrivals(np.full(int(np.ceil(seconds)), rate), burstiness, draw)
        kind = draw.choice(len(kinds), size=len(arrival), p=share / share.sum())
        return sample_of(service, replicas, arrival, kind, seconds, seed, routing, block)

    return run


def arrivals(rate: Floats, burstiness: float, draw: np.random.Generator) -> Floats:
    """Moments of arrival, s, at rates/s that change every second.

    The times between them, in the mean of the rate, are gamma distributed.
    """
    total = np.concatenate([[0.0], np.cumsum(rate)])
    shape = 1.0 / burstiness**2
    number = int(total[-1] + 8.0 * burstiness * np.sqrt(total[-1] + 1.0) + 16.0)
    moments = np.cumsum(draw.gamma(shape, 1.0 / shape, number))
    moments = moments[moments < total[-1]]
    # Flat stretches (no arrivals) have no inverse: a hair of slope keeps the order.
    rising = total + np.arange(len(total)) * 1e-12
    found: Floats = np.interp(moments, rising, np.arange(len(total), dtype=float))
    return found


def sample_of(
    service: Service,
    replicas: int,
    arrival: Floats,
    kind: Floats | Ints,
    seconds: float,
    seed: int,
    routing: int = LEAST_LOADED,
    block: int = BLOCK,
) -> Sample:
    """Run the request mode with given arrivals and classes, lengths drawn from their samples."""
    kinds = by_priority(service)
    draw = np.random.default_rng([seed, 1])
    rows = np.zeros((len(arrival), 3))
    for row, part in enumerate(kinds):
        mine = np.flatnonzero(kind == row)
        lengths = part.lengths.sample
        rows[mine] = np.round(lengths[draw.integers(0, len(lengths), len(mine))])
    prompt = np.maximum(rows[:, 0] + rows[:, 1], 1.0)
    output = np.maximum(rows[:, 2], 1.0)
    known = np.minimum(rows[:, 1], prompt - 1.0)
    requests = requests_of(
        arrival,
        prompt.astype(np.int64),
        output.astype(np.int64),
        kind.astype(np.int64),
        cached=known.astype(np.int64),
    )
    tenants = tuple(Tenant(k.name, k.priority, k.ttft, k.tpot, k.e2e) for k in kinds)
    first = service.prefill or service.pool
    system = by_request.System(
        pool=_pool(first, replicas, routing, block),
        decode=None if service.prefill is None else _pool(service.pool, replicas, routing, block),
        traffic=requests,
        tenants=tenants,
        horizon=float(seconds),
        exponent=service.pool.exponent,
    )
    result = simulate(system, 1, seed, threads=1, records=True)
    begun, ended = result.records["first"], result.records["end"]
    return Sample(
        arrival=np.asarray(arrival, dtype=float),
        kind=np.asarray(kind, dtype=float),
        prompt=prompt,
        cached=known,
        output=output,
        ttft=begun - arrival,
        decode=ended - begun,
        made=result.decoded[0].sum(axis=0),
        power=result.power[0].sum(axis=0),
    )


def _pool(pool: Pool, replicas: int, routing: int, block: int) -> by_request.Pool:
    """A pool of the request mode without scaling."""
    return by_request.Pool(
        law=pool.law,
        replicas=replicas,
        sequences=int(pool.sequences),
        chunk=int(pool.chunk),
        block=block,
        routing=routing,
        width=int(pool.width),
        progress=pool.progress,
    )
