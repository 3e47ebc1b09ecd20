"""What fits into the memory of a replica: weights, fixed states, and tokens of KV."""

from __future__ import annotations

import numpy as np

from firsttoken.serving import perf_weights as weights
from firsttoken.serving.perf_efficiency import ACTIVATIONS
from firsttoken.serving.system import Architecture, Floats, Hardware, Layout, Numbers


def kv_capacity(
    architecture: Architecture,
    hardware: Hardware,
    layout: Layout,
    context: Numbers = 0.0,
    sequences: Numbers = 0.0,
) -> Floats:
    """Tokens of KV that fit into a replica, all data ranks together, f8[n].

    Parameters
    ----------
    context : tokens of a sequence (layers with a sliding window keep no more than it).
    sequences : sequences whose fixed states (`linear` layers) lie in memory too.

    Returns
    -------
    Negative where not even the weights fit: then -capacity x bytes a token are missing.
    """
    usable = np.asarray(hardware.memory) * (1.0 - ACTIVATIONS)
    free = usable - weights.weight_bytes(architecture, layout)
    split = layout.tensor * layout.pipeline
    held = weights.state_bytes(architecture) / split * sequences / layout.data
    token = weights.kv_rank_bytes(architecture, layout, context)
    tokens = (free - held) / np.maximum(token, 1e-9) * layout.data
    return np.asarray(np.where(np.asarray(token) > 0, tokens, np.where(free > held, np.inf, -1.0)))


def replica_gpus(layout: Layout) -> Floats:
    """GPUs of one replica, f8[n]."""
    return np.asarray(layout.tensor * layout.pipeline * layout.data, dtype=float)
