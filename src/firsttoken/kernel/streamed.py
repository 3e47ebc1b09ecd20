"""Statistics that a simulation keeps while it runs: a few numbers each, whatever the horizon.

Each function takes the state of a statistic as plain numbers and returns its next state, so that
an engine may keep it wherever it keeps its records.  Quantiles: :mod:`firsttoken.kernel.sketch`;
statistics over replications: :mod:`firsttoken.kernel.statistics`.
"""

import numpy as np
from numpy.typing import NDArray

from firsttoken.kernel.compiled import compiled_inline

Floats = NDArray[np.float64]


@compiled_inline
def welford(count: int, mean: float, squares: float, value: float) -> tuple[float, float]:
    """Return mean and sum of squared deviations of a sample to which ``value`` was added.

    Source: Welford, Note on a method for calculating corrected sums of squares and products,
    Technometrics 4 (1962) 419-420.  The results are those of
    :class:`firsttoken.kernel.statistics.Moments`, which merges them.

    Parameters
    ----------
    count
        Number of values, the new one among them.
    mean, squares
        Of the values before; 0 and 0 of none.
    value
        The new value.
    """
    change = value - mean
    mean += change / count
    return mean, squares + change * (value - mean)


@compiled_inline
def area(total: float, level: float, since: float, now: float, begin: float) -> float:
    """Return the integral over time of a level that was kept from ``since`` to ``now``.

    Divided by ``now - begin`` it is the time-weighted mean.

    Parameters
    ----------
    total
        Integral until ``since``.
    level
        Level that now ends or changes.
    since, now
        When it began and now, in s.
    begin
        When the statistics begin (end of the warm-up), in s; what was before does not count.
    """
    return total + level * max(now - max(since, begin), 0.0)


@compiled_inline
def period_of(edges: Floats, time: float, hint: int) -> int:
    """Return the period b with ``edges[b] <= time < edges[b + 1]``, the first or last if none.

    Parameters
    ----------
    edges
        Ascending, shape [B + 1], B >= 1.
    time
        In the unit of the edges.
    hint
        Period where the search begins, in [0, B); that of the time before costs a comparison.
    """
    while hint > 0 and time < edges[hint]:
        hint -= 1
    while hint < len(edges) - 2 and time >= edges[hint + 1]:
        hint += 1
    return hint


@compiled_inline
def spread(edges: Floats, level: float, since: float, now: float, hint: int, areas: Floats) -> int:
    """Add the integral of a level kept from ``since`` to ``now`` to the periods it lay in.

    Time before the first and after the last edge is not counted.

    Parameters
    ----------
    edges
        Ascending, shape [B + 1], B >= 1.
    level, since, now
        As in :func:`area`.
    hint
        Period where the search for ``since`` begins, see :func:`period_of`.
    areas
        Integrals by period, shape [B], added to.

    Returns
    -------
    int
        Period of ``now``: the hint of the next call.
    """
    period = period_of(edges, since, hint)
    since = max(since, edges[0])
    while now >= edges[period + 1] and period < len(edges) - 2:
        areas[period] += level * max(edges[period + 1] - since, 0.0)
        period += 1
        since = edges[period]
    areas[period] += level * max(min(now, edges[period + 1]) - since, 0.0)
    return period
