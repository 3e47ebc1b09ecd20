"""The frozen numbers of the fluid mode: pools of replicas, kinds of requests, inputs by tick.

A *service* answers requests with one or two *pools* of equal replicas: one that does prefill and
decoding, or one for each.  Its requests come in *classes* (a tenant, a kind of work), each with a
joint distribution of lengths that is cut into *bins*.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firsttoken.serving.autoscale import TOLERANCE
from firsttoken.serving.requests_system import POWER_EXPONENT
from firsttoken.serving.system import StepLaw

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BATCHES: Final = 24
"""Batch sizes at which the tables of prefill are kept."""

FILLS: Final = 25
"""Fillings of a step with prefill tokens, from none to all that the batch leaves."""

SHAPES: Final = 64
QUANTS: Final = 24
"""Shapes and points of the table of gamma quantiles."""

LEVELS: Final = (0, 4, 8, 14, 18, 23)
"""Points of the spread of TPOT that are followed through the life of requests."""

GROUPS: Final = 6
"""Groups of outputs, and of prompts, by which corrections are kept."""


class Lengths(NamedTuple):
    """Lengths of the requests of a class.

    Attributes
    ----------
    prompt : f8[J], tokens of a prompt that must be computed.
    cached : f8[J], tokens of it whose KV is known from other requests.
    output : f8[J], tokens of an answer, at least 1.
    share : f8[J], shares of the bins, their sum 1.
    sample : f8[N, 3], `prompt`, `cached` and `output` of single requests, for the spread within
        bins, and for runs of the request mode.
    """

    prompt: Floats
    cached: Floats
    output: Floats
    share: Floats
    sample: Floats


class Class(NamedTuple):
    """A kind of requests of one service.

    Attributes
    ----------
    name : unique in its service.
    lengths : of its requests.
    priority : higher before lower.
    dispersion : variance over mean of the number of requests that arrive in a second, of the
        part that `simulate` draws; 0: the rate is followed exactly.
    ttft, tpot, e2e : goals, s; infinite: none.
    """

    name: str
    lengths: Lengths
    priority: int = 0
    dispersion: float = 0.0
    ttft: float = np.inf
    tpot: float = np.inf
    e2e: float = np.inf


class Scaling(NamedTuple):
    """Replicas that follow the load, sequences in hand over those that fit, as `autoscale` says.

    Attributes
    ----------
    least : fewest replicas; target : load at which the number holds.
    interval, startup, cooldown : s between looks, until a new one serves, of the stabilisation
        window before one stops.
    tolerance : of the load over its target within which the number holds.
    """

    least: float
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
    chunk : most tokens of a step.
    sequences : most sequences of a batch.
    imbalance : variance of the batch between replicas as a multiple of that of independent
        ones: 1 random routing, about 0.5 round robin, near 0 least loaded.
    width : tokens of a step for a decoding sequence (1 and those that are drafted).
    progress : mean tokens that a decoding sequence gains in a step (1 without drafts).
    exponent : of power above idle over speed.
    scaling : replicas follow the load; None: all that are there serve.
    """

    law: StepLaw
    chunk: float
    sequences: float
    imbalance: float = 0.5
    width: float = 1.0
    progress: float = 1.0
    exponent: float = POWER_EXPONENT
    scaling: Scaling | None = None


class Corrections(NamedTuple):
    """What the fluid law misses, from runs of the request mode at some loads of a service.

    Attributes
    ----------
    load : f8[L], rising; load of a point: the fluid law's mean step over the step of one sequence.
    pace : f8[L], factor on the law's mean step, such that as many sequences decode as in the
        request mode.
    room : factor on the sequences and KV tokens that a full pool holds (fragments; sequences
        that were thrown out and still count as begun).
    tpot : f8[L, GROUPS, QUANTS], TPOT of single requests over the mean step, at the points of
        `factory_tables.WEIGHTS`, by group of outputs; NaN: by the formulas of `factory_spread`.
    ttft : f8[L, GROUPS, QUANTS], TTFT without the wait in the flow's queue over the mean that
        the law gives to such a prompt, by group of prompts; NaN: by the formulas.
    outputs, prompts : f8[GROUPS - 1], tokens (computed, of prompts) at which groups end.
    served : requests/s that one replica can serve for long; NaN: not known.
    """

    load: Floats
    pace: Floats
    room: float
    tpot: Floats
    ttft: Floats
    outputs: Floats
    prompts: Floats
    served: float = math.nan


NONE: Final = Corrections(
    np.ones(1),
    np.ones(1),
    1.0,
    np.full((1, GROUPS, QUANTS), np.nan),
    np.full((1, GROUPS, QUANTS), np.nan),
    np.full(GROUPS - 1, np.inf),
    np.full(GROUPS - 1, np.inf),
)
"""No corrections."""


class Service(NamedTuple):
    """What one model serves.

    Attributes
    ----------
    name : unique in the factory.
    classes : kinds of its requests.
    pool : replicas that decode, and prefill unless `prefill` is given.
    prefill : replicas that only prefill (disaggregation); None: none.
    corrections : of the fluid law.
    """

    name: str
    classes: tuple[Class, ...]
    pool: Pool
    prefill: Pool | None = None
    corrections: Corrections = NONE


class Inputs(NamedTuple):
    """What changes in time, in ticks.

    Rows of classes are those of the first service, of the second, and so on; rows of pools are
    the `pool` of every service, then the `prefill` pools of those that have one.

    Attributes
    ----------
    rate : f8[C, T], requests/s that arrive.
    replicas : f8[P, T], replicas that are up.
    speed : f8[P, T], speed as a share of the law's (thermal throttling, a slower release).
    cap : f8[P, T], most power of all replicas of the pool together, W; infinite: none.
    lost : f8[P, T], share of the replicas that fail in the tick: their sequences start again.
    """

    rate: Floats
    replicas: Floats
    speed: Floats
    cap: Floats
    lost: Floats


class Pools(NamedTuple):
    """Pools as arrays `[P]`; the laws' tables stand behind each other from `first[p]`."""

    first: Ints
    tokens: Floats
    seconds: Floats
    joules: Floats
    overhead: Floats
    kv_second: Floats
    pair_second: Floats
    energy_step: Floats
    kv_joule: Floats
    pair_joule: Floats
    idle: Floats
    limit: Floats
    kv_tokens: Floats
    chunk: Floats
    sequences: Floats
    imbalance: Floats
    width: Floats
    progress: Floats
    exponent: Floats
    scaling: Floats
    batch: Floats
    """Batch sizes of the tables, [P, BATCHES]."""


class Classes(NamedTuple):
    """Classes as arrays `[C]`, in the order of the services and falling priority.

    Attributes
    ----------
    queue : row of the queue that it waits in: one of every priority of a service.
    first : first bin of each, [C + 1]; bins `prompt`, `cached`, `output`, `share` [J].
    mean_prompt, mean_context, mean_output : means of the bins, tokens; second : mean square of the
        computed tokens of prompts.
    pairs : attended pairs a computed prompt token.
    transfer : s in which the KV of a prompt moves to the pool that decodes.
    fill : seconds that a step with y prefill tokens takes longer, [C, BATCHES, FILLS], by batch
        and by y over what the batch leaves of the chunk; fill_joules : the same of energy.
    extra : first three moments of the seconds that one prompt adds, [C, BATCHES, 3].
    own : seconds of the steps of a prompt alone in a replica without queue, mean and second
        moment, [C, BATCHES, 2].
    output_group, prompt_group : i8[J], groups of the corrections that bins belong to.
    rest_ratio, own_ratio : f8[C, rows of corrections], mean of `ttft` over the requests of a class,
        and over the computed tokens of their prompts; 1 where it is not known.
    """

    service: Ints
    queue: Ints
    first: Ints
    prompt: Floats
    cached: Floats
    output: Floats
    share: Floats
    mean_prompt: Floats
    mean_context: Floats
    mean_output: Floats
    pairs: Floats
    transfer: Floats
    dispersion: Floats
    goals: Floats
    fill: Floats
    fill_joules: Floats
    extra: Floats
    own: Floats
    output_group: Ints
    prompt_group: Ints
    second: Floats
    rest_ratio: Floats
    own_ratio: Floats


class Services(NamedTuple):
    """Services as arrays `[S]`.

    Attributes
    ----------
    first : first class of each, [S + 1]; queue : first queue of each, [S + 1].
    decode, prefill : rows of pools, the same if one does both.
    context : mean tokens of KV of a sequence that begins; a step of one such is the unit of load.
    room : factor on what a full pool holds.
    correction : first row of `load`, `pace`, `tpot`, `ttft`, [S + 1].
    """

    first: Ints
    queue: Ints
    decode: Ints
    prefill: Ints
    context: Floats
    room: Floats
    correction: Ints
    load: Floats
    pace: Floats
    tpot: Floats
    ttft: Floats


class Factory(NamedTuple):
    """The arrays of a factory, all that the engine reads.

    Attributes
    ----------
    gamma : quantiles of standard gamma distributions, [SHAPES, QUANTS], see `factory_tables`.
    dt : s of a tick.
    keys : stream key of each class.
    """

    pools: Pools
    classes: Classes
    services: Services
    inputs: Inputs
    gamma: Floats
    dt: float
    keys: Ints


class System(NamedTuple):
    """A factory, compiled.

    Attributes
    ----------
    names, class_names : of services, and of classes as `service.class`.
    factory : its arrays.
    """

    names: tuple[str, ...]
    class_names: tuple[str, ...]
    factory: Factory
