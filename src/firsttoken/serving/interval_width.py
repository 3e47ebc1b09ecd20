"""Widths of 90 % intervals, from the errors of points that were left out.

Errors of points left out, in predicted deviations, are Student's t about zero: their scale and
degrees of freedom are found by greatest likelihood, with priors.  All errors tell the width, where
a quantile of a hundred is told by the ten largest.  The scale may differ by group (a GPU), near a
common one, and may grow faster or slower than the predicted deviation (as in locally weighted
conformal scores: Lei et al., Distribution-free predictive inference for regression, JASA 113 (2018)
1094).  What the errors leave open about the scale widens the interval, most where a group has few
of them or none.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any, Final, NamedTuple

import numpy as np

from firsttoken.serving.system import Floats

COVERAGE: Final = 0.90
"""Share of measurements that an interval is to hold."""

APART: Final = 0.25
"""Standard deviation of the log scales of groups around a common one."""

BEND: Final = 0.5
"""Standard deviation of the power of the predicted deviation, around 1."""

FREEDOM: Final = (3.0, 0.7)
"""Degrees of freedom, and the standard deviation of the log of those beyond 1."""

_FREE: Final = 10.0
"""Standard deviation of the log of the common scale: as good as unknown."""


class Widths(NamedTuple):
    """How wide intervals are.

    Attributes
    ----------
    scale : f8[k], log scale at `middle`, power of the predicted deviation less 1, and log scales
        of groups over the common one.
    open : f8[k, k], covariance of `scale`.
    groups : names, [k - 2].
    middle : log predicted deviation in whose middle the power turns.
    freedom : degrees of freedom of errors.
    """

    scale: Floats
    open: Floats
    groups: tuple[str, ...]
    middle: float
    freedom: float

    def half(self, deviation: Floats, groups: Sequence[str] | None = None) -> Floats:
        """Half-widths of intervals of points by their predicted deviation and group, f8[n].

        The tail of Student's t falls as w^-freedom: where the log scale is uncertain by s, the
        width that is exceeded as often is exp(freedom s^2 / 2) times as large.
        """
        from scipy.special import stdtrit

        deviation = np.asarray(deviation, dtype=float)
        names = [""] * len(deviation) if groups is None else groups
        rows = _rows(np.log(deviation) - self.middle, names, self.groups)
        left = np.einsum("ij,jk,ik->i", rows, self.open, rows)
        left += np.where(rows[:, 2:].any(axis=1) | (not self.groups), 0.0, APART**2)
        wide = stdtrit(self.freedom, 0.5 + COVERAGE / 2.0)
        return np.asarray(deviation * wide * np.exp(rows @ self.scale + self.freedom * left / 2.0))


def _rows(away: Floats, names: Sequence[str], groups: tuple[str, ...]) -> Floats:
    """What the log scale of each point is the sum of, f8[n, k]."""
    own = np.array([[name == group for group in groups] for name in names], dtype=float)
    return np.column_stack([np.ones(len(away)), away, own.reshape(len(away), len(groups))])


def fit_widths(
    error: Floats,
    deviation: Floats,
    groups: Sequence[str] | None = None,
    bend: float = BEND,
) -> Widths:
    """Widths that hold `COVERAGE` of points like those left out.

    Parameters
    ----------
    error, deviation : f8[n], errors of points left out, and their predicted deviations.
    groups : a name for each; None: all are alike.
    bend : standard deviation of the power of the deviation around 1.
    """
    from scipy.optimize import minimize

    names = () if groups is None else tuple(sorted(set(groups)))
    logs = np.log(deviation)
    middle = float(logs.mean())
    rows = _rows(logs - middle, [""] * len(logs) if groups is None else groups, names)
    spread = np.array([_FREE, max(bend, 1e-6), *[APART] * len(names)])
    tail, loose = log(FREEDOM[0] - 1.0), FREEDOM[1]
    sizes = (np.asarray(error) / deviation) ** 2

    def loss(x: Floats) -> tuple[float, Floats]:
        free, units = 1.0 + float(np.exp(x[-1])), x[:-1] * spread
        value, by_log, by_free = _likelihood(sizes, rows @ units, free)
        far = (x[-1] - tail) / loose
        slope = np.append(spread * (by_log @ rows), by_free * (free - 1.0))
        value += 0.5 * float(x[:-1] @ x[:-1]) + 0.5 * far**2
        return value, slope + np.append(x[:-1], far / loose)

    start = np.append(np.zeros(len(spread)), tail)
    start[0] = 0.5 * log(max(float(np.median(sizes)), 1e-12)) / _FREE
    reach = np.append(np.maximum(5.0 / spread, 4.0), 4.0 * loose)
    bounds = list(zip(start - reach, start + reach, strict=True))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    freedom = 1.0 + float(np.exp(found[-1]))
    told = 2.0 * freedom / (freedom + 3.0)  # expected information of an error on its log scale
    left = np.asarray(np.linalg.inv(told * rows.T @ rows + np.diag(spread**-2.0)), dtype=float)
    return Widths(found[:-1] * spread, left, names, middle, freedom)


def _likelihood(squares: Floats, logs: Floats, freedom: float) -> tuple[float, Any, float]:
    """Less the log likelihood of errors of log scales, and its slopes by both and by freedom."""
    from scipy.special import gammaln, psi

    half, q = 0.5 * (freedom + 1.0), squares * np.exp(-2.0 * logs)
    tail = np.log1p(q / freedom)
    norm = gammaln(half) - gammaln(0.5 * freedom) - 0.5 * log(freedom)
    value = (logs + half * tail).sum() - len(q) * norm
    by_log = 1.0 - (freedom + 1.0) * q / (freedom + q)
    by_norm = 0.5 * (psi(half) - psi(0.5 * freedom) - 1.0 / freedom)
    by_free = (0.5 * tail - half * q / (freedom * (freedom + q))).sum() - len(q) * by_norm
    return float(value), by_log, float(by_free)
