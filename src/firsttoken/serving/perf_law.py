"""The law of a step: physics folded into the few numbers that request engines read."""

from __future__ import annotations

from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np

from firsttoken.serving import perf_weights as weights
from firsttoken.serving.energy_law import step_joules
from firsttoken.serving.perf_efficiency import (
    GENERIC,
    GRAPH,
    NONE,
    RATES,
    Corrections,
    Engine,
    Rates,
)
from firsttoken.serving.perf_memory import kv_capacity, replica_gpus
from firsttoken.serving.perf_replica import Replica
from firsttoken.serving.perf_speculation import draft_seconds
from firsttoken.serving.perf_step import Terms, step_seconds
from firsttoken.serving.system import Architecture, Floats, Hardware, Layout, StepLaw
from firsttoken.serving.tables import Tables, knots

SIZES: Final = (
    *(0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 513, 640, 768),
    *(1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768, 65536),
)
"""Tokens of a step at which the law is tabulated."""

RANK_SIZES: Final = (512, 513, 768, 1024, 1025, 1536, 2048, 4096, 8192, 16384, 32768)
"""Tokens of a data rank at which that of a replica with several is tabulated too."""

CONTEXT: Final = 4096.0
"""Tokens of context at which the slopes of attention are taken, where none is given."""

SEQUENCES: Final = 64.0
"""Sequences that decode where the slopes of attention are taken."""

CHUNK: Final = 2048.0
"""Tokens of the chunk at which the slope of prefill attention is taken."""

SAMPLED: Final = 256.0
"""Most sequences for which a tabulated step samples a token, each data rank: what is longer holds
prompts."""


class Slopes(NamedTuple):
    """What a step takes by its tokens (f8[m]), and longer for each token of context."""

    seconds: Floats
    overhead: float
    kv_second: float
    pair_second: float


class Round(NamedTuple):
    """Steps of a replica whose pipeline stages each have a batch of their own.

    Attributes
    ----------
    context : tokens at which the slopes of attention are taken.
    queries : tokens of a decoding sequence in a step.
    """

    replica: Replica
    context: float
    queries: float

    def terms(self, tokens: Any, sequences: Any, kv: Any = 0.0, pairs: Any = 0.0) -> Terms:
        """Terms of the step of one stage's batch, its share of all."""
        lanes = float(np.asarray(self.replica.layout.pipeline))
        tokens, sequences, kv, pairs = (
            np.asarray(value) / lanes for value in (tokens, sequences, kv, pairs)
        )
        return self.replica.terms(tokens, sequences, kv, pairs, queries=self.queries)

    def held(self, sizes: Floats) -> Floats:
        """Sequences of which steps of `sizes` tokens sample a token, f8[m]."""
        most = SAMPLED * float(np.asarray(self.replica.layout.data))
        return np.asarray(np.minimum(sizes / self.queries, most))

    def slopes(self, sizes: Floats) -> Slopes:
        """The law at steps of `sizes` tokens."""
        replica, layout = self.replica, self.replica.layout
        lanes = float(np.asarray(layout.pipeline))
        fixed = self.terms(lanes, 0.0)
        idle = self.terms(SEQUENCES, SEQUENCES)
        read = self.terms(SEQUENCES, SEQUENCES, SEQUENCES * self.context)
        attended = CHUNK * self.context / 2.0
        chunk = self.terms(CHUNK, 1.0, 0.0, attended)
        drafted = self.queries - 1.0
        layers = 1.0 + drafted / float(np.asarray(replica.architecture.layers))
        kv = (np.asarray(read.decode) - np.asarray(idle.decode)) / SEQUENCES / self.context
        kv_second = float(kv) * layers

        least = np.maximum(sizes, lanes)
        held = self.held(least)
        # how much of the exchange is hidden depends on the attention beside it
        overlap = float(np.asarray(replica.engine.overlap))
        seen = held * self.context if overlap > 0 else 0.0 * held
        if replica.tables is not None:
            # measured attention is no straight line: the law of decoding is exact at the context
            seen = np.where(held * self.queries >= least, held * self.context, 0.0)
        table = self.terms(least, held, seen)
        own = sizes / lanes / replica.parts(sizes / lanes) / float(np.asarray(layout.data))
        whole = np.where(own <= GRAPH, step_seconds(table), replica.uncovered(table))
        whole = whole + draft_seconds(replica.architecture, table, drafted) - kv_second * seen
        return Slopes(
            seconds=whole,
            overhead=float(np.asarray(fixed.launch) + np.asarray(fixed.overhead)),
            kv_second=kv_second,
            pair_second=float(np.asarray(chunk.prefill) / attended) * layers,
        )


def sizes_of(layout: Layout) -> Floats:
    """Tokens of a step at which the law of a replica is tabulated, f8[m], rising."""
    ranks = float(np.asarray(layout.data))
    more = [size * ranks for size in RANK_SIZES] if ranks > 1 else []
    return np.unique(np.array([*SIZES, *more], dtype=float))


def step_law(
    architecture: Architecture,
    hardware: Hardware,
    layout: Layout,
    corrections: Corrections = NONE,
    engine: Engine = GENERIC,
    *,
    rates: Rates = RATES,
    context: float = CONTEXT,
    queries: float = 1.0,
    tables: Tables | None = None,
) -> StepLaw:
    """Law of one replica (floats, not arrays, in all arguments).

    Parameters
    ----------
    context : tokens at which the slopes of attention are taken.
    queries : tokens of a decoding sequence in a step (1 and those that are drafted); each draft
        is a layer and the output head (see `perf_speculation`).
    tables : measured operators in place of the physics of a step; None: physics.

    The table holds what does not depend on contexts; attention is linear in the tokens that
    decoding sequences read and in the pairs that chunks attend, with slopes taken at `context`
    tokens (sliding windows make them smaller at longer ones).  With pipeline stages the law is
    that of a round of their batches, each a share of the tokens: all sequences get one token.
    """
    replica = Replica(architecture, hardware, layout, engine, corrections, rates, tables)
    steps = Round(replica, context, queries)
    sizes, gpus = sizes_of(layout), float(replica_gpus(layout))
    if tables is not None:
        sizes = np.union1d(sizes, knots(layout))
    law = steps.slopes(sizes)
    overhead, kv_second = law.overhead, law.kv_second
    whole = np.maximum.accumulate(law.seconds)

    joules = partial(step_joules, architecture, hardware, layout, queries=queries)
    most = SAMPLED * float(np.asarray(layout.data))
    table_joules = joules(sizes, np.minimum(sizes, most), 0.0, 0.0, np.maximum(whole, overhead))
    energy_step = min(float(joules(0.0, 0.0, 0.0, 0.0, overhead)), float(table_joules[0]))
    idle, attended = steps.terms(SEQUENCES, SEQUENCES), CHUNK * context / 2.0
    chunk = steps.terms(CHUNK, 1.0, 0.0, attended)
    kv, alone, filled = SEQUENCES * context, float(step_seconds(idle)), float(step_seconds(chunk))
    kv_joule = joules(SEQUENCES, SEQUENCES, kv, 0.0, alone + kv_second * kv)
    kv_joule = (kv_joule - joules(SEQUENCES, SEQUENCES, 0.0, 0.0, alone)) / kv
    pair_joule = joules(CHUNK, 1.0, 0.0, attended, filled)
    pair_joule -= joules(CHUNK, 1.0, 0.0, 0.0, filled - law.pair_second * attended)
    return StepLaw(
        tokens=sizes,
        seconds=np.maximum.accumulate(np.maximum(whole - overhead, 0.0)),
        joules=np.maximum.accumulate(table_joules - energy_step),
        overhead=overhead,
        kv_second=kv_second,
        pair_second=law.pair_second,
        energy_step=energy_step,
        kv_joule=max(float(kv_joule), 0.0),
        pair_joule=max(float(pair_joule) / attended, 0.0),
        idle=gpus * float(hardware.idle),
        limit=gpus * float(hardware.tgp),
        gpus=gpus,
        kv_tokens=max(float(kv_capacity(architecture, hardware, layout, context, SEQUENCES)), 0.0),
        kv_bytes=float(weights.kv_bytes(architecture, layout.kv_bits, context)),
        link=gpus * float(hardware.network) * float(np.asarray(rates.network)),
    )
