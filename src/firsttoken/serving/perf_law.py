"""The law of a step: physics folded into the few numbers that request engines read."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

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
from firsttoken.serving.perf_step import Terms, step_seconds
from firsttoken.serving.system import Architecture, Hardware, Layout, StepLaw

SIZES: Final = (
    *(0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 513, 640, 768),
    *(1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768, 65536),
)
"""Tokens of a step at which the law is tabulated."""

CONTEXT: Final = 4096.0
"""Tokens of context at which the slopes of attention are taken, where none is given."""

SEQUENCES: Final = 64.0
"""Sequences that decode where the slopes of attention are taken."""

CHUNK: Final = 2048.0
"""Tokens of the chunk at which the slope of prefill attention is taken."""

SAMPLED: Final = 256.0
"""Most sequences for which a tabulated step samples a token, each data rank: what is longer holds
prompts."""


def step_law(
    architecture: Architecture,
    hardware: Hardware,
    layout: Layout,
    corrections: Corrections = NONE,
    engine: Engine = GENERIC,
    *,
    rates: Rates = RATES,
    context: float = CONTEXT,
) -> StepLaw:
    """Law of one replica (floats, not arrays, in all arguments).

    The table holds what does not depend on contexts; attention is linear in the tokens that
    decoding sequences read and in the pairs that chunks attend, with slopes taken at `context`
    tokens (sliding windows make them smaller at longer ones).  With pipeline stages the law is
    that of a round of their batches, each a share of the tokens: all sequences get one token.
    """
    replica = Replica(architecture, hardware, layout, engine, corrections, rates)
    lanes = float(np.asarray(layout.pipeline))
    sizes = np.array(SIZES, dtype=float)

    def terms(tokens: Any, sequences: Any, kv: Any = 0.0, pairs: Any = 0.0) -> Terms:
        """Terms of the step of one lane."""
        parts = [np.asarray(value) / lanes for value in (tokens, sequences, kv, pairs)]
        return replica.terms(*parts)

    least = np.maximum(sizes, lanes)
    most = SAMPLED * float(np.asarray(layout.data))
    table = terms(least, np.minimum(least, most))
    covered = sizes / lanes / float(np.asarray(layout.data)) <= GRAPH
    whole = np.where(covered, step_seconds(table), replica.uncovered(table))
    fixed = terms(lanes, 0.0)
    overhead = float(np.asarray(fixed.launch) + np.asarray(fixed.overhead))
    idle = terms(SEQUENCES, SEQUENCES)
    read = terms(SEQUENCES, SEQUENCES, SEQUENCES * context)
    attended = CHUNK * context / 2.0
    chunk = terms(CHUNK, 1.0, 0.0, attended)
    kv_second = float((np.asarray(read.decode) - np.asarray(idle.decode)) / SEQUENCES / context)
    pair_second = float(np.asarray(chunk.prefill) / attended)
    gpus = float(replica_gpus(layout))

    long = np.maximum(np.maximum.accumulate(whole), overhead)
    joules = partial(step_joules, architecture, hardware, layout)
    table_joules = joules(sizes, np.minimum(sizes, most), 0.0, 0.0, long)
    energy_step = min(float(joules(0.0, 0.0, 0.0, 0.0, overhead)), float(table_joules[0]))
    kv, alone, filled = SEQUENCES * context, float(step_seconds(idle)), float(step_seconds(chunk))
    kv_joule = joules(SEQUENCES, SEQUENCES, kv, 0.0, alone + kv_second * kv)
    kv_joule = (kv_joule - joules(SEQUENCES, SEQUENCES, 0.0, 0.0, alone)) / kv
    pair_joule = joules(CHUNK, 1.0, 0.0, attended, filled)
    pair_joule -= joules(CHUNK, 1.0, 0.0, 0.0, filled - pair_second * attended)
    return StepLaw(
        tokens=sizes,
        seconds=np.maximum.accumulate(np.maximum(whole - overhead, 0.0)),
        joules=np.maximum.accumulate(table_joules - energy_step),
        overhead=overhead,
        kv_second=kv_second,
        pair_second=pair_second,
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
