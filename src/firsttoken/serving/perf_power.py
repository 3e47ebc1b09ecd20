"""Power and energy of a step: each operator takes a share of the power between rest and limit."""

from __future__ import annotations

from typing import Final

import numpy as np

from firsttoken.serving.perf_memory import replica_gpus
from firsttoken.serving.perf_step import Terms, step_seconds
from firsttoken.serving.system import Floats, Hardware, Layout

USED: Final = Terms(
    dense=0.70,
    experts=0.65,
    decode=0.90,
    prefill=0.95,
    elementwise=0.60,
    head=0.65,
    reduce=0.35,
    exchange=0.35,
    launch=0.30,
    overhead=0.10,
)
"""Share of the power between rest and limit that a GPU takes in each operator.  Fitted prior:
measured H100s running models of 8-14 billion parameters take 0.61-0.71 of their limit where
reading weights fills the step (8 sequences), and 0.96-0.98 where attention over long contexts
does (ML.ENERGY leaderboard v3)."""


def used_share(terms: Terms) -> Floats:
    """Mean share of the power between rest and limit over a step, f8[n]."""
    spent = sum(np.asarray(term) * share for term, share in zip(terms, USED, strict=True))
    return np.asarray(spent / np.maximum(step_seconds(terms), 1e-12))


def step_watts(terms: Terms, hardware: Hardware) -> Floats:
    """Mean power of one GPU over a step, W, f8[n]; without its host."""
    return np.asarray(hardware.idle + (hardware.tgp - hardware.idle) * used_share(terms))


def step_joules(terms: Terms, hardware: Hardware, layout: Layout) -> Floats:
    """Energy of a step above rest over all GPUs of a replica, J, f8[n]."""
    dynamic = hardware.tgp - np.asarray(hardware.idle)
    return np.asarray(replica_gpus(layout) * dynamic * used_share(terms) * step_seconds(terms))
