"""More or less of the same traffic: traces scaled, repeated and merged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from firsttoken.kernel.random import DEMAND, uniform
from firsttoken.serving.requests_system import Floats, Ints, Requests

COPY: Final = 1 << 40
"""Distance of the hashes and sessions of one copy from those of the next."""


def scaled(
    requests: Requests,
    factor: float | Floats,
    seed: int,
    entity: int,
    replication: int = 0,
    jitter: float = 1.0,
) -> Requests:
    """More or fewer requests at the same times: each is kept, dropped or copied.

    Request i occurs `floor(f)` times and once more with probability `f - floor(f)`, so that rates
    keep their course and lengths their distribution.  Copies come up to `jitter` s later, belong to
    conversations of their own and share no blocks with each other: they are other users.

    Parameters
    ----------
    factor : of all requests, or of each, [n].
    seed, entity, replication : address of the random numbers.
    jitter : s.

    Raises
    ------
    ValueError
        If a factor is negative or not finite.
    """
    n = len(requests.arrival)
    factors = np.broadcast_to(np.asarray(factor, np.float64), (n,))
    if not (np.isfinite(factors) & (factors >= 0.0)).all():
        raise ValueError("a trace is scaled by numbers that are not negative")
    chance = np.array([uniform(seed, replication, entity, DEMAND, i) for i in range(n)])
    times = (factors + 1.0 - chance).astype(np.int64)  # floor(f) + 1 if chance <= f - floor(f)
    rows = np.repeat(np.arange(n), times)
    copy = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
    later = np.zeros(len(rows))
    for i in np.flatnonzero(copy):
        address = (int(rows[i]) * 64 + int(copy[i])) & 0xFFFFFFFF
        later[i] = jitter * uniform(seed, replication, entity + 1, DEMAND, address)
    found = select(requests, rows)
    shift = np.repeat(copy, np.diff(found.first)) * COPY
    found = found._replace(
        arrival=found.arrival + later,
        session=found.session + copy * COPY,
        hashes=found.hashes + shift,
    )
    return select(found, np.argsort(found.arrival, kind="stable"))


def select(requests: Requests, rows: Ints) -> Requests:
    """The requests of some rows, in the order given."""
    counts = np.diff(requests.first)[rows]
    first = np.concatenate([[0], np.cumsum(counts)])
    inside = np.arange(first[-1]) - np.repeat(first[:-1], counts)
    hashes = requests.hashes[np.repeat(requests.first[:-1][rows], counts) + inside]
    columns = {
        name: getattr(requests, name)[rows]
        for name in ("arrival", "prompt", "output", "tenant", "session", "cached")
    }
    return Requests(**columns, hashes=hashes, first=first.astype(np.int64))


def repeated(requests: Requests, period: float, until: float) -> Requests:
    """The requests again and again every `period` s, up to `until` s.

    Conversations and blocks of a repetition are its own.

    Raises
    ------
    ValueError
        If requests arrive after the period.
    """
    if len(requests.arrival) and requests.arrival[-1] > period:
        raise ValueError(f"requests arrive until {requests.arrival[-1]:g} s, after {period:g} s")
    turns = int(np.ceil(until / period))
    parts = [
        requests._replace(
            arrival=requests.arrival + k * period,
            session=requests.session + k * COPY,
            hashes=requests.hashes + k * COPY,
        )
        for k in range(turns)
    ]
    whole = merged(parts)
    return select(whole, np.flatnonzero(whole.arrival < until))


def of_tenant(requests: Requests, tenant: int) -> Requests:
    """The same requests, of one tenant; sessions and blocks are his own if told apart by it."""
    return requests._replace(tenant=np.full(len(requests.arrival), tenant, np.int64))


def merged(parts: Sequence[Requests]) -> Requests:
    """Several streams of requests as one, in order of arrival; of equals the earlier part first."""
    counts = [part.first[-1] for part in parts]
    starts = np.cumsum([0, *counts])
    first = np.concatenate(
        [[0], *(part.first[1:] + start for part, start in zip(parts, starts, strict=False))]
    )
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("arrival", "prompt", "output", "tenant", "session", "cached", "hashes")
    }
    whole = Requests(**columns, first=first.astype(np.int64))
    return select(whole, np.argsort(whole.arrival, kind="stable"))
