"""One date distribution of two views: the network's (inside) and the reference class's (outside).

The pools and their properties: Clemen and Winkler, Risk Analysis 19 (1999) 187-203; Lichtendahl,
Grushka-Cockayne and Winkler, Management Science 59 (2013) 1594-1611. The mean of the quantiles is
the default: where one view is narrow and early, the other wide and late, the mean of the
probabilities has two humps and a P80 that is the wide view's alone. The back-test of
docs/explanation/reference-class.md bears it out.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from firsttoken.build.reference import Outside

Floats = NDArray[np.float64]
Pool = Literal["linear", "quantile"]

_HALVINGS = 64


def combined(
    inside: Floats,
    outside: Outside,
    weight: ArrayLike,
    elapsed: float = 0.0,
    pool: Pool = "quantile",
) -> Floats:
    """Durations by both views, one a replication, in the ranks of the inside view.

    The replication with the k-th shortest duration by the network has the k-th shortest by both:
    what goes with a long duration there (its causes, other rooms' numbers) still does.

    Parameters
    ----------
    inside : [R] durations by the network, s from the start.
    outside : the reference class.
    weight : share of the outside view, 0 to 1; a number, or [R] with one for each replication
        (then ranks are kept among those with equal weights).
    elapsed : time gone since the start, not finished, s; durations of either view are longer.
    pool : `quantile`, the mean of the durations at each rank (Vincent's average), or `linear`,
        the mean of the probabilities.

    Returns
    -------
    [R] durations, s.
    """
    own = np.asarray(inside, np.float64)
    order = np.argsort(own, kind="stable")
    count = len(own)
    ordered = np.maximum(own[order], elapsed)
    share = np.broadcast_to(np.asarray(weight, np.float64), (count,))[order]
    rank = (np.arange(count) + 0.5) / max(count, 1)
    theirs = outside.quantile(rank, elapsed)
    if pool == "quantile":
        values = np.where(share > 0, (1 - share) * ordered + share * theirs, ordered)
    else:
        values = _linear(ordered, theirs, outside, share, rank, elapsed)
    result = np.empty(count)
    result[order] = values
    return result


def _linear(
    ordered: Floats,
    theirs: Floats,
    outside: Outside,
    share: Floats,
    rank: Floats,
    elapsed: float,
) -> Floats:
    """Quantiles of the mixture at `rank`; each lies between those of the two views."""
    count = len(ordered)
    still = outside.survival(elapsed)
    low, high = np.minimum(ordered, theirs), np.maximum(ordered, theirs)
    if not still > 0:
        # The class says nothing of so long a time but by its quantiles.
        return np.where(share > 0, (1 - share) * ordered + share * theirs, ordered)
    level = rank * (1 - 1e-12)

    def reached(time: Floats) -> NDArray[np.bool_]:
        own = np.searchsorted(ordered, time, side="right") / count
        other = 1 - outside.survival(time) / still
        return np.asarray((1 - share) * own + share * other >= level, np.bool_)

    high = np.where(reached(low), low, high)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        done = reached(middle)
        low, high = np.where(done, low, middle), np.where(done, middle, high)
    return np.where(share <= 0, ordered, high)
