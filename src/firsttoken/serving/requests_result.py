"""What a simulation of requests gives back: arrays, one row a replication."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from firsttoken.serving.requests_state import BY_E2E, BY_TPOT, BY_TTFT

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

QUANTILES: Final = (0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99, 0.999)
"""Quantiles of times that are kept for each replication."""

SKETCHED: Final = {"ttft": BY_TTFT, "tpot": BY_TPOT, "e2e": BY_E2E}


@dataclass(frozen=True)
class RequestResult:
    """Results of R replications.

    C tenants, P pools (the one that prefills first), T ticks, B report periods.  Counts are of the
    whole run, or from the snapshot on; times are of requests that arrived after the warm-up and
    have ended.

    Attributes
    ----------
    time : s that were simulated.
    tick : s of a tick; edges : of the report periods, s, [B + 1].
    arrived, finished, refused, in_hand : requests; refused: larger than a replica's KV memory;
        in_hand: in the system at the end; [R, C].
    restarted : times that a request began again after a failure, [R, C].
    prompt, output : tokens of finished requests, [R, C].
    made, wasted : output tokens that were made, and those of them that failures lost, [R, C].
    counted, good, good_ttft, good_tpot, good_e2e : requests that ended and arrived after the
        warm-up; those that reach all goals, or one of them, [R, C].
    mean : mean TTFT, TPOT and E2E in s, NaN without any, [R, C, 3].
    sketch : counts of TTFT, TPOT, E2E in the buckets of `kernel.sketch`, in 1/1024 s, of all
        replications, [C, 3, H].
    times : their QUANTILES by replication, s, [R, C, 3, Q].
    gap : counts of the times between tokens of a running sequence, of all replications, [P, H].
    power : W of the GPUs by tick: of replicas that are on; those off are told by `replicas`,
        [R, P, T].
    decoded, prefilled : output tokens/s (the first of each answer where its prompt is computed),
        and prompt tokens/s that are computed, by tick, [R, P, T].
    busy : replicas at work; running, waiting : sequences; replicas : those that are on; means by
        tick, [R, P, T].
    period_arrived, period_finished, period_good, period_prompt, period_output : requests and
        tokens of finished ones, [R, B, C].
    period_ttft, period_tpot : means over those that ended in the period, s, [R, B, C].
    energy : J of all replicas that were on, [R, P]; busy_time, on_time : replica-seconds, [R, P].
    steps, preempted, failures, evicted : steps, sequences, replicas, blocks of hashes, [R, P].
    computed, sent : prompt tokens, tokens of KV sent between pools, [R, P].
    asked, found : prompt tokens looked up in the prefix cache, and those known, [R, P].
    asked_blocks, found_blocks : the same in blocks of hashes, [R, P].
    peak_kv : largest share of the KV memory in use at a replica, [R, P].
    events : of the engine, [R].
    records : of replication 0, one row a request, if asked for: arrival, first, end (s), replica,
        hit (tokens), preempted.
    """

    time: float
    tick: float
    edges: Floats
    arrived: Integers
    finished: Integers
    refused: Integers
    in_hand: Integers
    restarted: Integers
    prompt: Integers
    output: Integers
    made: Integers
    wasted: Integers
    counted: Integers
    good: Integers
    good_ttft: Integers
    good_tpot: Integers
    good_e2e: Integers
    mean: Floats
    sketch: Integers
    times: Floats
    gap: Integers
    power: Floats
    decoded: Floats
    prefilled: Floats
    busy: Floats
    running: Floats
    waiting: Floats
    replicas: Floats
    period_arrived: Integers
    period_finished: Integers
    period_good: Integers
    period_prompt: Integers
    period_output: Integers
    period_ttft: Floats
    period_tpot: Floats
    energy: Floats
    busy_time: Floats
    on_time: Floats
    steps: Integers
    preempted: Integers
    failures: Integers
    evicted: Integers
    computed: Integers
    sent: Integers
    asked: Integers
    found: Integers
    asked_blocks: Integers
    found_blocks: Integers
    peak_kv: Floats
    events: Integers
    records: dict[str, npt.NDArray[Any]]

    def quantiles(self, time: str) -> Floats:
        """Quantiles at QUANTILES of `ttft`, `tpot` or `e2e` by replication, s, [R, C, Q]."""
        return np.asarray(self.times[:, :, SKETCHED[time]])

    @property
    def attainment(self) -> Floats:
        """Share of the ended requests that reach all goals, NaN without any, [R, C]."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.good / np.where(self.counted > 0, self.counted, np.nan))

    @property
    def goodput(self) -> Floats:
        """Requests per second that reach all goals, [R, C]."""
        return np.asarray(self.period_good.sum(axis=1) / self.time)


@dataclass(frozen=True)
class Snapshot:
    """The complete state of one replication at a moment.

    Attributes
    ----------
    identity : hash of the system it belongs to; it restores into no other.
    time : s from the start of the twin.
    arrays : the state, by name.
    """

    identity: str
    time: float
    arrays: dict[str, npt.NDArray[Any]]
