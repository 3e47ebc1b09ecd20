"""Speculative decoding: a small draft proposes tokens, one step of the model verifies them.

With d drafted tokens, each accepted with probability p if all before it were, a step yields

    1 + p + p^2 + ... + p^d = (1 - p^(d + 1)) / (1 - p)

tokens in the mean (Leviathan, Kalman and Matias, ICML 2023, equation 1).  Drafts here are heads of
one layer, run d times one after the other: multi-token prediction (DeepSeek-V3, arXiv:2412.19437:
the second token is accepted in 85-90 % of the steps) and EAGLE (Li et al., 2024).
"""

from __future__ import annotations

import numpy as np

from firsttoken.serving.perf_step import Terms, step_seconds
from firsttoken.serving.system import Architecture, Floats, Numbers


def accepted_tokens(drafted: Numbers, acceptance: Numbers) -> Floats:
    """Mean drafted tokens that are accepted in a step, f8[n]; a step yields one more.

    Parameters
    ----------
    drafted : tokens that the draft proposes in a step.
    acceptance : probability that a drafted token is accepted if all before it were.
    """
    share = np.minimum(np.asarray(acceptance, dtype=float), 1.0 - 1e-9)
    return np.asarray(share * (1.0 - share ** np.asarray(drafted, dtype=float)) / (1.0 - share))


def draft_seconds(architecture: Architecture, terms: Terms, drafted: Numbers) -> Floats:
    """Seconds of the drafts of a step, f8[n].

    Each draft is one layer and the output head over the tokens of the step; `terms` are those of
    the model's own step.
    """
    body = step_seconds(terms._replace(head=0.0, overhead=0.0))
    one = body / np.maximum(architecture.layers, 1.0) + np.asarray(terms.head)
    return np.asarray(np.asarray(drafted) * one)
