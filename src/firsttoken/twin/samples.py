"""Samples of replications as values that other rooms read: distributions, and series of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from firsttoken.twin.values import Constant, Distribution, Scalar, Series, Value

Samples = NDArray[np.floating]


def empirical(samples: Samples) -> Scalar:
    """The samples as a distribution; a constant if they are all one."""
    ordered = np.sort(np.asarray(samples, np.float64))
    if ordered[0] == ordered[-1]:
        return Constant(float(ordered[0]))
    shares = (np.arange(len(ordered)) + 1) / len(ordered)
    table = tuple(zip(ordered.tolist(), shares.tolist(), strict=True))
    return Distribution("empirical", (), table, drawn="once")


def in_time(samples: Samples, edges: Samples, start: float) -> Value:
    """Samples [R, B] as a step function of time.

    Parameters
    ----------
    edges : of the periods, s from `start`, [B + 1].
    start : s from 1970-01-01.

    Returns
    -------
    A period without a sample, or with those of the one before, has no step of its own; one
    distribution if there is one step only, and 0 if there is none.
    """
    knots: list[tuple[Scalar, Scalar]] = []
    last: Samples | None = None
    for edge, column in zip(edges[:-1], samples.T, strict=True):
        known = column[~np.isnan(column)]
        if not len(known) or (last is not None and np.array_equal(known, last)):
            continue
        last = known
        knots.append((Constant(float(edge + start)), empirical(known)))
    if not knots:
        return Constant(0.0)
    return knots[0][1] if len(knots) == 1 else Series("step", tuple(knots))
