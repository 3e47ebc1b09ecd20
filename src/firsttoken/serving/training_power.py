"""Power of a training job's GPUs, from what a step consists of.

Large products run into a GPU's power limit; attention comes near it, memory-bound kernels and
communication stay below. Published steps with their power are few, so the shares below are priors:
dense pre-training takes 85-97 % of the limit (LLM training on H100: Latif et al., Empirical
measurements of AI training power demand on a GPU-accelerated node, arXiv:2412.08602, 8.4 kW of
10.2 kW for a node; Patel et al., POLCA, arXiv:2308.12908: peaks at the limit, troughs between
iterations).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from firsttoken.serving.system import Architecture, Floats
from firsttoken.serving.training_step import Job, Rates, TrainingTerms, step_seconds

PRODUCTS: Final = 1.0
ATTENTION: Final = 0.9
MEMORY: Final = 0.7
COMMUNICATION: Final = 0.45
WAITING: Final = 0.3
"""Power between idle (0) and the limit (1) in each kind of work; `WAITING`: pipeline bubbles, and
GPUs that wait for their host or poll for each other."""

STANDING: Final = 0.15
"""The same of GPUs that hold the job but do not compute: checkpoints, failures, restarts."""


def activity(architecture: Architecture, job: Job, rates: Rates, terms: TrainingTerms) -> Floats:
    """Mean power of GPUs while they train, between idle (0) and their limit (1), f8[n]."""
    work = job.microbatches * (
        PRODUCTS * (terms.products + terms.experts)
        + ATTENTION * terms.attention
        + MEMORY * terms.memory
        + COMMUNICATION
        * (terms.tensor + terms.exchange + terms.context + terms.sharded + terms.transfer)
    )
    work = work + MEMORY * terms.optimizer + COMMUNICATION * terms.reduce
    busy = job.microbatches * (
        terms.products + terms.experts + terms.attention + terms.memory + terms.tensor
    )
    busy = busy + job.microbatches * (
        terms.exchange + terms.context + terms.sharded + terms.transfer
    )
    busy = busy + terms.optimizer + terms.reduce
    # Newer software does the same work in less time: terms and step differ by its trend.
    whole = step_seconds(architecture, job, rates, terms)
    share = np.minimum(busy / whole, 1.0)
    return np.asarray(share * work / busy + WAITING * (1.0 - share))
