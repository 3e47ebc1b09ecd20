"""The frozen numbers of the request mode: pools of replicas, tenants, requests, what changes when.

How to use it::

    from firsttoken.serving.requests_simulate import simulate, snapshot
    from firsttoken.serving.requests_system import Pool, Requests, System, Tenant
    from firsttoken.serving.traffic_trace import read_trace

    requests = read_trace("azure2023_conv.csv.gz")
    system = System(Pool(law, replicas=2), requests, (Tenant("chat", ttft=2.0, tpot=0.05),), 3600.0)
    result = simulate(system, replications=1, seed=1)
    result.quantiles("ttft")  # s at result.QUANTILES, [R, tenants, quantiles]
    result.power  # W by tick and pool, [R, pools, ticks]

A *system* is one service: a pool of equal replicas that prefill and decode, or one pool of each
kind.  Times are in s from the start of the twin, lengths in tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from firsttoken.serving.autoscale import TOLERANCE
from firsttoken.serving.system import StepLaw

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROUND_ROBIN: Final = 0
LEAST_LOADED: Final = 1
PREFIX: Final = 2
SESSION: Final = 3
ROUTINGS: Final = ("round_robin", "least_loaded", "prefix", "session")
"""Names of the routings, in the order of their codes."""

POWER_EXPONENT: Final = 2.5
"""Power above idle as a power of the speed, see docs/explanation/request-simulation.md."""

LOWEST_SPEED: Final = 0.15
"""Lowest clock of a GPU as a share of its highest (H100: 345 of 1,980 MHz is 0.17)."""


class Requests(NamedTuple):
    """Requests in order of arrival.

    Attributes
    ----------
    arrival : f8[n], s, rising.
    prompt, output : i8[n], tokens of the prompt (at least 1) and of the answer (at least 1).
    tenant : i8[n], row of `System.tenants`.
    session : i8[n], number of the conversation, for routing by session.
    cached : i8[n], tokens of the prompt whose KV is known though no hashes tell of it.
    hashes : i8[m], identities of the prompts' blocks of `System.hash_block` tokens: the same
        number means the same tokens from the start of the prompt on.
    first : i8[n + 1], where the hashes of each begin.
    """

    arrival: Floats
    prompt: Ints
    output: Ints
    tenant: Ints
    session: Ints
    cached: Ints
    hashes: Ints
    first: Ints


class Source(Protocol):
    """Requests that are made while a simulation runs: memory does not grow with its length."""

    def chunks(self, seed: int, replication: int) -> Iterator[Requests]:
        """Yield the requests of a replication, chunk after chunk, in order of arrival."""
        ...


class Tenant(NamedTuple):
    """Whose requests they are.

    Attributes
    ----------
    name : unique in the system.
    priority : higher before lower.
    ttft, tpot, e2e : goals, s; infinite: none.
    """

    name: str
    priority: int = 0
    ttft: float = np.inf
    tpot: float = np.inf
    e2e: float = np.inf


class Scaling(NamedTuple):
    """Replicas that follow the load: sequences in hand over `target x sequences x replicas`.

    The rule is that of `autoscale`: more start at once, fewer stay than were wanted at any look
    within the last `cooldown`.

    Attributes
    ----------
    least : fewest replicas, and those at the start.
    target : load at which the number holds, a share of `Pool.sequences`.
    interval, startup, cooldown : s between looks, until a new one serves, of the stabilisation
        window before one stops.
    tolerance : of the load over its target within which the number holds.
    """

    least: int
    target: float
    interval: float
    startup: float
    cooldown: float
    tolerance: float = TOLERANCE


class Pool(NamedTuple):
    """Equal replicas.

    Attributes
    ----------
    law : time and energy of a step of one replica.
    replicas : as many as there ever are.
    sequences : most sequences of a replica's batch.
    chunk : most tokens of a step; at least `sequences x width`.
    block : tokens of a KV block.
    routing : ROUND_ROBIN, LEAST_LOADED, PREFIX or SESSION.
    prefix_cache : whether KV of known blocks is used again.
    width : tokens of a step for a decoding sequence (1 and those that are drafted).
    progress : mean tokens that a decoding sequence gains in a step (1 without drafts).
    scaling : replicas follow the load; None: all serve.
    startup : s until a replica serves that comes later (`Scaling.startup` counts if given).
    mtbf, mttr : mean s between failures of a replica that is up and to its repair, both
        exponential; infinite: none.
    """

    law: StepLaw
    replicas: int
    sequences: int = 256
    chunk: int = 8192
    block: int = 16
    routing: int = LEAST_LOADED
    prefix_cache: bool = True
    width: int = 1
    progress: float = 1.0
    scaling: Scaling | None = None
    startup: float = 0.0
    mtbf: float = np.inf
    mttr: float = 0.0


COUNT: Final = 0
"""Replicas there are from now on; those too many end what they have in hand."""
CAP: Final = 1
"""Most power of all replicas of a pool together, W; infinite: none."""
SPEED: Final = 2
"""Speed as a share of the law's (thermal throttling)."""
FAIL: Final = 3
"""A replica (its row in the pool) fails and is back after some s."""


class Change(NamedTuple):
    """What changes at a moment.

    Attributes
    ----------
    time : s; changes at or before 0 hold from the start.
    pool : 0, or 1 for the pool that decodes after another that prefills.
    what : COUNT, CAP, SPEED or FAIL; value : its new value, or the replica that fails.
    seconds : until a failed replica serves again.
    """

    time: float
    pool: int
    what: int
    value: float
    seconds: float = 0.0


class System(NamedTuple):
    """One service.

    Attributes
    ----------
    pool : replicas that requests come to: they prefill, and decode unless `decode` is given.
    traffic : requests, or a source of them.
    tenants : at least one.
    horizon : end, s.
    decode : replicas that only decode: KV comes to them over the senders' links.
    hash_block : tokens of a block of `Requests.hashes`, a multiple of the pools' `block`.
    changes : in any order.
    warmup : s; requests that arrive before do not count in the statistics.
    tick : s of the series that results keep (power, tokens).
    edges : of the report periods, s, [B + 1]; empty: one period.
    key : stream key of the service (`kernel.streams.entity_key` of its path).
    exponent : of power above idle over speed.
    """

    pool: Pool
    traffic: Requests | Source
    tenants: tuple[Tenant, ...]
    horizon: float
    decode: Pool | None = None
    hash_block: int = 512
    changes: tuple[Change, ...] = ()
    warmup: float = 0.0
    tick: float = 1.0
    edges: Floats = np.empty(0)
    key: int = 0
    exponent: float = POWER_EXPONENT


def pools_of(system: System) -> tuple[Pool, ...]:
    """The pools of a system: one, or those that prefill and decode."""
    return (system.pool,) if system.decode is None else (system.pool, system.decode)


def requests_of(
    arrival: Floats,
    prompt: Ints,
    output: Ints,
    tenant: Ints | int = 0,
    *,
    session: Ints | None = None,
    cached: Ints | None = None,
    hashes: Ints | None = None,
    first: Ints | None = None,
) -> Requests:
    """Requests as columns of the right types; what is left out is nothing."""
    n = len(arrival)
    nothing = np.zeros(n, np.int64)

    def whole(values: Ints | int | None, default: Ints) -> Ints:
        given = default if values is None else values
        return np.ascontiguousarray(np.broadcast_to(np.asarray(given, np.int64), (n,)))

    return Requests(
        arrival=np.ascontiguousarray(arrival, np.float64),
        prompt=whole(prompt, nothing),
        output=whole(output, nothing),
        tenant=whole(tenant, nothing),
        session=whole(session, np.arange(n)),
        cached=whole(cached, nothing),
        hashes=np.empty(0, np.int64) if hashes is None else np.asarray(hashes, np.int64),
        first=np.zeros(n + 1, np.int64) if first is None else np.asarray(first, np.int64),
    )
