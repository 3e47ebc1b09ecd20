"""The law of a step: physics folded into the few numbers that request engines read."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from firsttoken.serving import perf_weights as weights
from firsttoken.serving.perf_efficiency import GENERIC, NONE, Corrections, Engine
from firsttoken.serving.perf_memory import kv_capacity, replica_gpus
from firsttoken.serving.perf_step import step_seconds, step_terms
from firsttoken.serving.system import Architecture, Hardware, Layout, StepLaw

GRID: Final = (0, 1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
"""Tokens of a step at which the law is tabulated; doubled steps follow up to `LAST`."""

LAST: Final = 65536
"""Largest step that is tabulated."""

CONTEXT: Final = 4096.0
"""Tokens of context at which the slopes of attention are taken."""

FLOP_JOULE: Final = 0.35
"""Share of the power above idle that matrix products at their full rate take (fitted prior)."""

BYTE_JOULE: Final = 0.45
"""Share of the power above idle that memory at its full rate takes (fitted prior)."""


def step_law(
    architecture: Architecture,
    hardware: Hardware,
    layout: Layout,
    corrections: Corrections = NONE,
    engine: Engine = GENERIC,
) -> StepLaw:
    """Law of one replica (floats, not arrays, in all three arguments).

    The table holds a step's seconds without attention; attention's slopes are taken at a context
    of `CONTEXT` tokens.  Layers with a sliding window count as if it were full.
    """
    sizes = np.array([*GRID, *(2.0**k for k in range(12, 17))], dtype=float)
    sampled = np.minimum(sizes, 1024.0)

    def seconds(tokens: Any, sequences: Any, kv: Any, pairs: Any) -> Any:
        """Seconds of steps without host work."""
        return step_seconds(
            step_terms(architecture, hardware, layout, tokens, sequences, kv, pairs, corrections)
        )

    table = seconds(sizes, sampled, 0.0, 0.0)
    many = 64.0
    base = seconds(many, many, many * CONTEXT, 0.0)
    kv_second = (seconds(many, many, 2.0 * many * CONTEXT, 0.0) - base) / (many * CONTEXT)
    pair_second = (seconds(many, many, 0.0, 1e9) - seconds(many, many, 0.0, 0.0)) / 1e9
    gpus = float(replica_gpus(layout))
    dynamic = gpus * (float(hardware.tgp) - float(hardware.idle))
    rise = np.maximum.accumulate(table)
    joules = (rise - rise[0]) * dynamic * (FLOP_JOULE + BYTE_JOULE)
    overhead = float(np.asarray(engine.overhead) * np.asarray(corrections.overhead))
    fixed = float(rise[0])
    return StepLaw(
        tokens=sizes,
        seconds=rise - fixed,
        joules=joules,
        overhead=overhead + fixed,
        kv_second=float(kv_second),
        pair_second=float(pair_second),
        energy_step=0.15 * dynamic * (overhead + fixed),
        kv_joule=float(kv_second) * dynamic * BYTE_JOULE,
        pair_joule=float(pair_second) * dynamic * 0.7,
        idle=gpus * float(hardware.idle),
        limit=gpus * float(hardware.tgp),
        gpus=gpus,
        kv_tokens=max(float(kv_capacity(architecture, hardware, layout, CONTEXT, many)), 0.0),
        kv_bytes=float(weights.kv_bytes(architecture, layout.kv_bits, CONTEXT)),
        link=gpus * float(hardware.network),
    )
