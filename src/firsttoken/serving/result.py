"""What a simulation of a token factory gives back, whatever its mode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from firsttoken.serving.factory_simulate import FactoryState
    from firsttoken.serving.requests_result import Snapshot

Floats = NDArray[np.float64]

# Columns of what is counted by service and report period.
ARRIVED: Final = 0
FINISHED: Final = 1
ATTAINED: Final = 2
"""Finished requests that reach all goals."""
PROMPT: Final = 3
"""Prompt tokens of finished requests, those from the prefix cache included."""
KNOWN: Final = 4
"""Of these, tokens whose KV was in the prefix cache."""
OUTPUT: Final = 5
"""Output tokens made."""
ENERGY: Final = 6
"""J of its GPUs."""
HOSTS: Final = 7
"""J of their hosts."""
GPU_SECONDS: Final = 8
REPLICA_SECONDS: Final = 9
SEQUENCES: Final = 10
"""Integral of the sequences in decoding, s."""
WAITING: Final = 11
"""Integral of the requests that wait, s."""
THROWN: Final = 12
"""Times that a request lost its work: preemption, failure."""
REFUSED: Final = 13
"""Requests that fit into no replica's memory."""
COST: Final = 14
"""USD: GPUs and energy of the site."""
COUNTS: Final = 15

# Columns of what is counted by pool of GPUs and report period.
THERE: Final = 0
USED: Final = 1
"""GPU-s that there are, and that services have."""
POOL_ENERGY: Final = 2
"""J of GPUs and hosts, those without a service included."""
POOL_COST: Final = 3
TRAINED: Final = 4
"""GPU-s that training has."""
POOL_COUNTS: Final = 5

# Columns of a tick.
POWER: Final = 0
"""W of the GPUs and hosts of a service."""
TOKENS: Final = 1
"""Output tokens/s."""
REPLICAS: Final = 2
BUSY: Final = 3
"""Sequences in decoding, mean."""
TICKS: Final = 4

TTFT: Final = 0
TPOT: Final = 1
E2E: Final = 2
LATENCIES: Final = ("ttft", "tpot", "e2e")
PROBABILITIES: Final = (0.5, 0.9, 0.95, 0.99)
"""Quantiles over requests; their mean follows."""


@dataclass(frozen=True)
class FactoryResult:
    """Results of R replications: S services, A pools of GPUs, B report periods.

    Attributes
    ----------
    time : simulated, s; begin : s from the twin's start; seed : of the replications.
    period : counts, [R, S, B, COUNTS].
    pools : counts, [R, A, B, POOL_COUNTS].
    latency : s at `PROBABILITIES` and mean, over requests, [R, S, 3, 5]; NaN: none.
    tenants : of each service: requests finished, those that reach all goals, [R, tenants, 2].
    course : every tick of replication 0 from `begin` on, [S, T, TICKS]; tick : s.
    peak : highest power of the factory at any tick, W, [R].
    power, gpus : W of each pool and GPUs there are by step of the ports, [R, A, Q].
    """

    time: float
    begin: float
    seed: int
    period: Floats
    pools: Floats
    latency: Floats
    tenants: tuple[Floats, ...]
    course: Floats
    tick: float
    peak: Floats
    power: Floats
    gpus: Floats


@dataclass(frozen=True)
class ServingState:
    """The services of a token factory at the end of a tick, in one replication.

    Attributes
    ----------
    time : s from the twin's start.
    seed, replication : that it was taken of.
    fluid : of all services in modes `fluid` and `hybrid` together; None: there are none.
    requests : of services in modes `requests` and `hybrid`, by row; none of a service that has
        no replica at any time.
    """

    time: float
    seed: int
    replication: int
    fluid: FactoryState | None = None
    requests: Mapping[int, Snapshot] = field(default_factory=dict)
