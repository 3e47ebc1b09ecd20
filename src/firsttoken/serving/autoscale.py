"""How many replicas autoscaling wants: target tracking with tolerance, as operators know it.

The rule is that of the Kubernetes Horizontal Pod Autoscaler as it is documented
(kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale, "Algorithm details" and
"Configurable scaling behavior"):

    wanted = ceil(replicas x load / target),   none if |load / target - 1| <= tolerance

with the replicas under way counted as capacity without load, at once upwards, and downwards to
the most that was wanted within a stabilisation window.

It supposes a load that is shared by the replicas.  Sequences in hand are not such a load: in
smaller batches steps are shorter, so that they fall by more than replicas rise, and the rule would
find N replicas too many and N - 1 too few for ever.  Below the target the load of replicas that
decode is therefore the tokens/s that their batch makes over those that one at the target makes;
above it, sequences tell how many wait.  Replicas that only prefill are loaded by the share of time
that they work.  What is left of the effect (prefill beside decoding, whole replicas) is caught by a
memory: a number that had to be given up under no more requests than before is not tried again
until requests have become fewer by the tolerance.
"""

from __future__ import annotations

import math
from typing import Final

from firsttoken.kernel.compiled import compiled_inner

TOLERANCE: Final = 0.1
"""Load over target, from 1, that changes nothing: the default of Kubernetes."""

SLOTS: Final = 64
"""Parts of a stabilisation window in which the most that was wanted is kept."""


@compiled_inner
def recommended(have: float, load: float, tolerance: float) -> float:
    """Replicas that are wanted now.

    Parameters
    ----------
    have : replicas that serve or are under way.
    load : of all of them together, in replicas at the target.
    """
    if have > 0.0 and abs(load / have - 1.0) <= tolerance:
        return have
    return float(math.ceil(load - 1e-9))


@compiled_inner
def decode_load(up: float, hand: float, full: float, step: float, step_full: float) -> float:
    """Load of replicas that decode, in replicas at the target.

    Parameters
    ----------
    up : replicas that serve; hand : sequences in hand, of all; full : of a replica at the target.
    step, step_full : seconds of a step with a replica's part of them, and at the target.
    """
    if up <= 0.0 or hand >= up * full:
        return hand / full
    return hand / full * step_full / step


@compiled_inner
def slot_seconds(interval: float, window: float) -> float:
    """Length of a slot of the window, s: looks, or more if there are too many."""
    return float(max(interval, window / (SLOTS - 2)))


@compiled_inner
def slots_back(interval: float, window: float) -> int:
    """Slots before the present one that still count."""
    return min(int(window / slot_seconds(interval, window) + 1e-9), SLOTS - 1)


@compiled_inner
def smoothed(before: float, now: float, interval: float, window: float) -> float:
    """Requests/s, smoothed over a window; the first look counts alone."""
    if before < 0.0:
        return now
    return float(before + (now - before) * (1.0 - math.exp(-interval / max(window, interval))))
