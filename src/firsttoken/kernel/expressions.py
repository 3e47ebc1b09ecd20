"""Expressions: sums of products of series.

A capacity is its base times its efficiency times its calendar times every disruption; a
landed cost is freight plus value times duty. Compiled as an `Expressions` table, all of
them are evaluated in one sweep a period.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firsttoken.kernel.compiled import compiled


class Expressions(NamedTuple):
    """E expressions; expression e is the sum over its terms of the product of their series.

    Attributes
    ----------
    term : int64[E + 1], first term of each expression; no term: the value 0.
    factor : int64[terms + 1], first factor of each term; no factor: the value 1.
    series : int64[factors], series index of each factor.
    """

    term: NDArray[np.int64]
    factor: NDArray[np.int64]
    series: NDArray[np.int64]


@compiled
def evaluate_expressions(
    expressions: Expressions,
    series_values: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Evaluate all expressions for a row of columns (periods, or replications).

    Parameters
    ----------
    series_values : float64[S, B], every series in each of B columns.
    out : float64[E, B], filled.
    """
    term, factor, series = expressions
    product = np.empty(series_values.shape[1])
    for e in range(len(term) - 1):
        out[e, :] = 0.0
        for k in range(term[e], term[e + 1]):
            product[:] = 1.0
            for f in range(factor[k], factor[k + 1]):
                s = series[f]
                for b in range(len(product)):
                    product[b] *= series_values[s, b]
            for b in range(len(product)):
                out[e, b] += product[b]
