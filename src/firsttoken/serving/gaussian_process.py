"""Gaussian processes: what measurements say beyond physics, and how sure that is.

The residuals of points are a sum of independent Gaussian parts.  Each part has a standard
deviation, and factors that say what two points have of it in common: a name, nearness along axes,
or a product of axes.  Everything follows from the sum of their covariances (Rasmussen and Williams,
Gaussian Processes for Machine Learning, MIT Press 2006, chapters 2 and 5).  Noise may be Student's
t, as reweighted variances, so that an outlying point gets a small weight and is not dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from math import inf
from typing import Any, Final, NamedTuple

import numpy as np

from firsttoken.serving.system import Floats

LIGHTEST: Final = 0.02
"""Least weight that an outlying point keeps."""


class Features(NamedTuple):
    """What a process knows of n points.

    Attributes
    ----------
    codes : i8[n] by name: equal where points have the same; 0: like no other.
    axes : f8[n] or f8[n, k] by name.
    """

    codes: Mapping[str, Any]
    axes: Mapping[str, Floats]

    def rows(self, rows: Any) -> Features:
        """Features of some of the points."""
        codes, axes = ({k: v[rows] for k, v in part.items()} for part in self)
        return Features(codes, axes)

    @property
    def size(self) -> int:
        """Number of points."""
        return len(next(iter((*self.codes.values(), *self.axes.values()))))


class Alike(NamedTuple):
    """1 where two points have the same code, else 0."""

    name: str

    def of(self, one: Features, other: Features) -> Any:
        """Factor of two sets of points, [n, m]."""
        first, second = one.codes[self.name][:, None], other.codes[self.name][None, :]
        return (first == second) & (first != 0)

    def own(self, asked: Features) -> Any:
        """Factor of each point with itself."""
        return 1.0


class Near(NamedTuple):
    """How near two points are along axes, 1 to 0, with the length of each.

    exp(-d^2 / 2), or exp(-d) where it is rough, with d the distance in lengths.
    """

    axes: tuple[str, ...]
    lengths: tuple[float, ...]
    rough: bool = False

    def of(self, one: Features, other: Features) -> Any:
        """Factor of two sets of points, [n, m]."""
        squares: Any = 0.0
        for name, length in zip(self.axes, self.lengths, strict=True):
            squares = squares + _squares(one.axes[name] / length, other.axes[name] / length)
        return np.exp(-np.sqrt(squares)) if self.rough else np.exp(-0.5 * squares)

    def own(self, asked: Features) -> Any:
        """Factor of each point with itself."""
        return 1.0


class Product(NamedTuple):
    """The product of two points' values on an axis (their inner product, if it has several)."""

    axis: str

    def of(self, one: Features, other: Features) -> Any:
        """Factor of two sets of points, [n, m]."""
        return _columns(one.axes[self.axis]) @ _columns(other.axes[self.axis]).T

    def own(self, asked: Features) -> Any:
        """Factor of each point with itself."""
        return (_columns(asked.axes[self.axis]) ** 2).sum(axis=1)


Factor = Alike | Near | Product


class Part(NamedTuple):
    """A part of a process: its standard deviation, and what two points have of it in common.

    Without factors all points have it in common.
    """

    deviation: float
    factors: tuple[Factor, ...] = ()


def _columns(values: Floats) -> Floats:
    return values[:, None] if values.ndim == 1 else values


def _squares(one: Floats, other: Floats) -> Floats:
    """Squares of distances, f8[n, m]."""
    if one.ndim == 1:
        return np.asarray((one[:, None] - other[None, :]) ** 2)
    sums = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)[None, :]
    return np.asarray(np.maximum(sums - 2.0 * one @ other.T, 0.0))


def covariance(parts: Sequence[Part], one: Features, other: Features) -> Floats:
    """Covariances of the residuals of two sets of points, noise left out, f8[n, m]."""
    found: dict[Factor, Any] = {}
    total: Floats = np.zeros((one.size, other.size))
    for deviation, factors in parts:
        each: Any = deviation**2
        for factor in factors:
            if factor not in found:
                found[factor] = factor.of(one, other)
            each = each * found[factor]
        total += each
    return total


def variance(parts: Sequence[Part], asked: Features) -> Floats:
    """Variance of each point before anything is seen, noise left out, f8[n]."""
    total: Floats = np.zeros(asked.size)
    for deviation, factors in parts:
        each: Any = deviation**2
        for factor in factors:
            each = each * factor.own(asked)
        total += each
    return total


class Process:
    """A process, and what it has seen.

    Parameters
    ----------
    parts : of the covariance.
    seen : n points; residual : f8[n], what is left of them.
    noise : f8[n], variances of their noise.
    freedom : degrees of freedom of the noise; rounds : of reweighting, if it is not Gaussian.

    Attributes
    ----------
    root : Cholesky factor of the covariance, f8[n, n]; pull : covariance^-1 residual, f8[n].
    weight : f8[n], 1 a usual point, down to `LIGHTEST` an outlier.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        seen: Features,
        residual: Floats,
        noise: Floats,
        freedom: float = inf,
        rounds: int = 4,
    ) -> None:
        from scipy.linalg import cho_solve, cholesky

        self.parts, self.seen, self.noise = tuple(parts), seen, np.asarray(noise, dtype=float)
        self.weight = np.ones(len(residual))
        known = covariance(parts, seen, seen)
        turns = 1 if freedom == inf else rounds
        for turn in range(turns):
            total = known.copy()
            total[np.diag_indices_from(total)] += self.noise / self.weight
            self.root = cholesky(total, lower=True, overwrite_a=True, check_finite=False)
            self.pull = cho_solve((self.root, True), residual, check_finite=False)
            if turn < turns - 1:
                left = (self.noise / self.weight * self.pull) ** 2 / self.noise
                self.weight = np.clip((freedom + 1.0) / (freedom + left), LIGHTEST, 1.2)

    @cached_property
    def inverse(self) -> Floats:
        """Inverse of the covariance, f8[n, n]."""
        from scipy.linalg import cho_solve

        return np.asarray(cho_solve((self.root, True), np.eye(len(self.pull)), check_finite=False))

    def predict(self, asked: Features, noise: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation (`noise` included) of the residuals of points, f8[n]."""
        from scipy.linalg import solve_triangular

        cross = covariance(self.parts, asked, self.seen)
        explained = solve_triangular(self.root, cross.T, lower=True, check_finite=False)
        left = np.maximum(variance(self.parts, asked) - (explained**2).sum(axis=0), 1e-9)
        return cross @ self.pull, np.sqrt(left + noise)

    def left_out(self, groups: Any = None) -> tuple[Floats, Floats]:
        """Residuals, and their deviations, of points predicted without any of their group.

        With A the block of the inverse covariance of a group, residuals are A^-1 (K^-1 y) and
        their covariance is A^-1 (Rasmussen and Williams, section 5.4.2, for blocks).

        Parameters
        ----------
        groups : a name for each point, [n]; None: each is predicted from all others.
        """
        if groups is None:
            own = 1.0 / np.diag(self.inverse)
            error = own * self.pull
        else:
            error, own = np.empty(len(self.pull)), np.empty(len(self.pull))
            names = np.asarray(groups)
            for group in np.unique(names):
                rows = np.flatnonzero(names == group)
                block = np.linalg.inv(self.inverse[np.ix_(rows, rows)])
                error[rows], own[rows] = block @ self.pull[rows], np.diag(block)
        return error, np.sqrt(own - self.noise / self.weight + self.noise)


def design(
    parts: Sequence[Part],
    asked: Features,
    noise: Floats,
    count: int,
    chosen: Sequence[int] = (),
) -> list[int]:
    """Which points to measure: those that leave the least variance of the process over all.

    Greedy and blind to results (A-optimal, Krause, Singh and Guestrin, Near-optimal sensor
    placements in Gaussian processes, JMLR 9 (2008) 235): each next point is the one whose
    measurement takes off most of the summed variance.

    Parameters
    ----------
    asked : all points, `chosen` of which are measured already.
    noise : f8[n], variances of their noise.
    count : points to have in the end.
    """
    rows = list(chosen)
    left = covariance(parts, asked, asked)
    for step in range(max(count, len(rows))):
        if step >= len(rows):
            gain = (left**2).sum(axis=0) / (np.diag(left) + noise)
            gain[rows] = -1.0
            rows.append(int(np.argmax(gain)))
        column = left[:, rows[step]].copy()
        left -= np.outer(column, column / (column[rows[step]] + noise[rows[step]]))
    return rows


def likeliest(
    parts: Sequence[Floats], fixed: Floats, residual: Floats, expected: Floats, loose: float
) -> Floats:
    """Deviations of the highest marginal likelihood, with a prior (section 5.4.1), f8[k].

    Parameters
    ----------
    parts : covariances of deviation 1, f8[n, n] each, k of them; fixed : the rest, f8[n, n].
    residual : f8[n].
    expected : deviations; loose : standard deviation of their logarithms around them.
    """
    from scipy.optimize import minimize

    def loss(x: Floats) -> tuple[float, Floats]:
        weights = np.exp(2.0 * x)
        total = fixed + sum(w * part for w, part in zip(weights, parts, strict=True))
        factor = np.linalg.cholesky(total)
        inverse = np.linalg.inv(total)
        solved = inverse @ residual
        away = (x - np.log(expected)) / loose
        value = 0.5 * residual @ solved + np.log(np.diag(factor)).sum() + 0.5 * away @ away
        inner = inverse - np.outer(solved, solved)
        slopes = [w * (inner * part).sum() for w, part in zip(weights, parts, strict=True)]
        return float(value), np.array(slopes) + away / loose

    found = minimize(loss, np.log(expected), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    return np.asarray(np.exp(found.x))
