"""The outside view: how long comparable undertakings took, those not finished included.

A class of comparable sites tells more about the next one than its own plan does (Kahneman and
Lovallo, Management Science 39 (1993) 17-31; Flyvbjerg, Project Management Journal 37 (2006)
5-15). Leaving out the sites not finished yet leaves out the slow ones: they count here until
the day they were last seen (right-censoring).

All times are seconds; `elapsed` is time already gone since the start, the site not being finished.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from firsttoken.kernel.statistics import Interval

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Probabilities that are equal on paper may differ in the last bits.
_CLOSE = 1e-12
_STEEPEST = 200.0


class ReferenceClassError(ValueError):
    """The sites do not allow a forecast: none finished, or times that are no times."""


class Outside(Protocol):
    """A distribution of durations."""

    def survival(self, time: ArrayLike) -> Floats:
        """Probability of lasting longer than `time` [s]; any shape."""

    def quantile(self, probability: ArrayLike, elapsed: float = 0.0) -> Floats:
        """Least time [s] by which it is finished with that probability; inf: not reached."""


@dataclass(frozen=True, slots=True)
class Durations:
    """What was seen of the sites of a class.

    Attributes
    ----------
    time : [n] seconds from the start to the end, or to the last look if not finished; above 0.
    finished : [n] whether the end was seen.
    """

    time: Floats
    finished: Bools

    @classmethod
    def seen(cls, start: ArrayLike, end: ArrayLike, until: float) -> Durations:
        """What was to be seen on day `until` of sites with these starts and ends.

        Parameters
        ----------
        start, end : [n] seconds from 1970-01-01; an `end` of nan or after `until`: not finished.
            Sites that start on `until` or later are left out.
        until : day of the last look.
        """
        begin, finish = np.asarray(start, np.float64), np.asarray(end, np.float64)
        known = begin < until
        begin, finish = begin[known], finish[known]
        done = finish <= until
        return cls(np.where(done, finish, until) - begin, done)

    def check(self) -> None:
        """Raise `ReferenceClassError` if they allow no forecast."""
        if not len(self.time) or not self.finished.any():
            raise ReferenceClassError(f"none of {len(self.time)} sites is finished")
        if not (np.isfinite(self.time).all() and (self.time > 0).all()):
            raise ReferenceClassError("a site ends before it starts")


@dataclass(frozen=True)
class KaplanMeier:
    """Product-limit estimate of the survival function.

    Source: Kaplan and Meier, Journal of the American Statistical Association 53 (1958) 457-481;
    variance by Greenwood (1926), intervals by the log-log transform (Kalbfleisch and Prentice,
    The Statistical Analysis of Failure Time Data, 2nd ed., 2002, section 1.4).

    Attributes
    ----------
    time : [k] times at which sites finished, ascending.
    at_risk, events : [k] sites not finished and still seen just before, and finishing then.
    last : the longest time seen, finished or not.
    """

    time: Floats
    at_risk: Floats
    events: Floats
    last: float

    @classmethod
    def of(cls, sites: Durations) -> KaplanMeier:
        """Estimate from what was seen; a site last seen on a time counts as at risk then."""
        sites.check()
        time, events = np.unique(sites.time[sites.finished], return_counts=True)
        ordered = np.sort(sites.time)
        at_risk = len(ordered) - np.searchsorted(ordered, time, side="left")
        return cls(time, at_risk.astype(np.float64), events.astype(np.float64), float(ordered[-1]))

    @cached_property
    def steps(self) -> Floats:
        """[k] probability of lasting longer than each time."""
        return np.asarray(np.cumprod(1 - self.events / self.at_risk), np.float64)

    @cached_property
    def _hazard_variance(self) -> Floats:
        left = self.at_risk - self.events
        terms = np.full(len(left), math.inf)
        np.divide(self.events, self.at_risk * left, out=terms, where=left > 0)
        return np.cumsum(terms)

    @cached_property
    def variance(self) -> Floats:
        """[k] Greenwood's variance of `steps`; 0 where nobody is left."""
        return np.where(
            self.steps > 0,
            self.steps**2 * np.where(self.steps > 0, self._hazard_variance, 0),
            0,
        )

    def band(self, level: float = 0.95) -> tuple[Floats, Floats]:
        """[k] lower and upper limits of `steps`, each of that confidence."""
        spread = np.zeros(len(self.steps))
        inner = (self.steps > 0) & (self.steps < 1)
        log = np.log(self.steps[inner])
        spread[inner] = _normal(level) * np.sqrt(self._hazard_variance[inner]) / -log
        lower, upper = np.power(self.steps, np.exp(spread)), np.power(self.steps, np.exp(-spread))
        return lower.astype(np.float64), upper.astype(np.float64)

    def survival(self, time: ArrayLike) -> Floats:
        """Probability of lasting longer than `time` [s]; flat after the last event."""
        return _step(self.time, self.steps, time)

    def quantile(self, probability: ArrayLike, elapsed: float = 0.0) -> Floats:
        """Least time [s] by which it is finished with that probability.

        inf: not reached, because too many were not finished when last seen, or (with `elapsed`)
        because nobody was seen that long.
        """
        level = (1 - np.asarray(probability, np.float64)) * self.survival(elapsed)
        return _first(self.time, self.steps, level, elapsed)

    def quantile_interval(self, probability: float, level: float = 0.95) -> Interval:
        """A quantile [s] with its interval: where the band crosses the same probability.

        Source: Brookmeyer and Crowley, Biometrics 38 (1982) 29-41, with the log-log transform.
        """
        low, high = self.band(level)
        wanted = np.asarray(1 - probability)
        low_time, high_time = (_first(self.time, limit, wanted, 0.0) for limit in (low, high))
        return Interval(float(self.quantile(probability)), float(low_time), float(high_time))

    def restricted_mean(self, until: float, level: float = 0.95) -> Interval:
        """Mean time [s] of those that end by `until`, the others counted as `until`.

        Source: Klein and Moeschberger, Survival Analysis, 2nd ed. (2003), section 4.5.
        """
        edges = np.concatenate(([0.0], np.minimum(self.time, until), [until]))
        areas = np.diff(edges) * np.concatenate(([1.0], self.steps))
        later = np.cumsum(areas[::-1])[::-1][1:]
        left = self.at_risk - self.events
        terms = np.zeros(len(left))
        np.divide(self.events, self.at_risk * left, out=terms, where=(left > 0) & (later > 0))
        error = _normal(level) * math.sqrt(float((later**2 * terms).sum()))
        mean = float(areas.sum())
        return Interval(mean, max(mean - error, 0.0), min(mean + error, until))


@dataclass(frozen=True)
class Weibull:
    """A Weibull distribution fitted to durations by maximum likelihood.

    Source: Kalbfleisch and Prentice (2002), section 3.3; Lawless, Statistical Models and Methods
    for Lifetime Data, 2nd ed. (2003), section 5.2.

    Attributes
    ----------
    shape, scale : survival is exp(-(t/scale)^shape); scale in seconds.
    covariance : [2, 2] of (log shape, log scale), from the observed information.
    """

    shape: float
    scale: float
    covariance: Floats

    @classmethod
    def of(cls, sites: Durations) -> Weibull:
        """Fit to what was seen.

        Raises
        ------
        ReferenceClassError
            If no shape is most likely: all that finished took equally long, and no other longer.
        """
        from scipy.optimize import brentq

        sites.check()
        unit = float(sites.time.max())
        time, done = sites.time / unit, sites.finished
        log, count = np.log(time), float(done.sum())
        middle = float(log[done].mean())

        def slope(shape: float) -> float:
            weight = time**shape
            return float((weight * log).sum() / weight.sum()) - 1 / shape - middle

        if slope(_STEEPEST) <= 0:
            raise ReferenceClassError("the finished sites took equally long: no spread to fit")
        shape = float(brentq(slope, 1e-3, _STEEPEST, xtol=1e-14, rtol=1e-14))
        scale = float((time**shape).sum() / count) ** (1 / shape)
        # Observed information in (log shape, log scale); z = shape log(t/scale).
        z = shape * (log - math.log(scale))
        e = np.exp(z)
        cross = shape * float(done.sum() - (e * (1 + z)).sum())
        information = np.array(
            [
                [float((e * z * (1 + z)).sum() - z[done].sum()), cross],
                [cross, shape**2 * float(e.sum())],
            ]
        )
        return cls(shape, scale * unit, np.linalg.inv(information))

    def survival(self, time: ArrayLike) -> Floats:
        """Probability of lasting longer than `time` [s]."""
        return np.exp(-((np.maximum(time, 0.0) / self.scale) ** self.shape))

    def quantile(self, probability: ArrayLike, elapsed: float = 0.0) -> Floats:
        """Least time [s] by which it is finished with that probability."""
        with np.errstate(divide="ignore"):
            hazard = -np.log1p(-np.asarray(probability, np.float64))
        gone = (elapsed / self.scale) ** self.shape
        return np.asarray(self.scale * (gone + hazard) ** (1 / self.shape), np.float64)

    def quantile_interval(self, probability: float, level: float = 0.95) -> Interval:
        """A quantile [s] with its interval: the delta method on its logarithm."""
        best = float(self.quantile(probability))
        gradient = np.array([-math.log(-math.log1p(-probability)) / self.shape, 1.0])
        error = math.sqrt(float(gradient @ self.covariance @ gradient))
        factor = math.exp(_normal(level) * error)
        return Interval(best, best / factor, best * factor)

    def restricted_mean(self, until: float) -> float:
        """Mean time [s] of those that end by `until`, the others counted as `until`."""
        from scipy.special import gamma, gammainc

        power = 1 / self.shape
        mean = self.scale * gamma(1 + power)
        hazard = (until / self.scale) ** self.shape
        return float(mean * gammainc(power, hazard))


@dataclass(frozen=True)
class WeibullPredictive:
    """How long the next site takes by a Weibull fit, its parameters' uncertainty included.

    The mean of Weibull distributions over the normal approximation of the likelihood of (log
    shape, log scale), by a Gauss-Hermite rule; with time elapsed the slower ones weigh more. Held
    as a table of log cumulated hazard against log time, between whose points it is straight (as
    one Weibull distribution is everywhere): survival and quantile are exact inverses.

    Attributes
    ----------
    log_time, log_hazard : [points] ascending; time in seconds.
    """

    log_time: Floats
    log_hazard: Floats

    @classmethod
    def of(cls, sites: Durations, nodes: int = 7, points: int = 1025) -> WeibullPredictive:
        """Fit to what was seen, with `nodes` nodes a parameter and a table of `points`."""
        fit = guess(sites)
        places, weights = np.polynomial.hermite_e.hermegauss(nodes)
        grid = np.stack([axis.ravel() for axis in np.meshgrid(places, places)])
        share = np.outer(weights, weights).ravel()
        share = share / share.sum()
        moved = np.linalg.cholesky(fit.covariance) @ grid
        shape, scale = fit.shape * np.exp(moved[0]), math.log(fit.scale) + moved[1]
        # From where nobody is finished to where hardly a float is left of the slowest.
        low = float((scale + math.log(1e-14) / shape).min())
        high = float((scale + math.log(700.0) / shape).max())
        log_time = np.linspace(low, high, points)
        hazard = np.exp(np.minimum(shape * (log_time[:, None] - scale), 700.0))
        least = hazard.min(axis=1, keepdims=True)
        rest = np.expm1(least - hazard) @ share
        log_hazard = np.log(least[:, 0] - np.log1p(rest))
        return cls(log_time, np.maximum.accumulate(log_hazard))

    def survival(self, time: ArrayLike) -> Floats:
        """Probability of lasting longer than `time` [s]."""
        with np.errstate(divide="ignore"):
            log = np.log(np.maximum(np.asarray(time, np.float64), 0.0))
        hazard = np.exp(np.interp(log, self.log_time, self.log_hazard))
        return np.asarray(np.exp(-np.where(log < self.log_time[0], 0.0, hazard)), np.float64)

    def quantile(self, probability: ArrayLike, elapsed: float = 0.0) -> Floats:
        """Least time [s] by which it is finished with that probability."""
        with np.errstate(divide="ignore"):
            hazard = -np.log1p(-np.asarray(probability, np.float64))
            log = np.log(hazard - math.log(max(float(self.survival(elapsed)), 1e-300)))
        time = np.exp(np.interp(log, self.log_hazard, self.log_time))
        time = np.where(log < self.log_hazard[0], 0.0, time)
        time = np.where(log > self.log_hazard[-1], math.inf, time)
        return np.asarray(np.maximum(time, elapsed), np.float64)


@dataclass(frozen=True)
class Predictive:
    """How long the next site takes, given the class: full support, its few sites allowed for.

    The Bayes estimate of a survival function with right-censoring under a Dirichlet process
    (Susarla and Van Ryzin, Journal of the American Statistical Association 71 (1976) 897-902).
    The prior guess is the fitted Weibull distribution and counts as `weight` sites: with none it
    is Kaplan and Meier's estimate, with very many the Weibull distribution. Beyond what was seen
    the prior carries on, so that every quantile is reached, whatever the time elapsed.

    Attributes
    ----------
    prior : the guess.
    weight : sites that the guess counts as; above 0.
    edges : [m + 1] times at which sites were last seen or finished, 0 before them.
    beyond : [m + 1] sites with longer times than each edge.
    factor : [m + 1] what those not finished add from each edge on.
    """

    prior: WeibullPredictive
    weight: float
    edges: Floats
    beyond: Floats
    factor: Floats

    @classmethod
    def of(cls, sites: Durations, weight: float = 1.0) -> Predictive:
        """Estimate from what was seen, with a prior guess that counts as `weight` sites."""
        prior = WeibullPredictive.of(sites)
        edges = np.concatenate(([0.0], np.unique(sites.time)))
        ordered = np.sort(sites.time)
        beyond = len(ordered) - np.searchsorted(ordered, edges, side="right")
        open_ = np.sort(sites.time[~sites.finished])
        leaving = np.searchsorted(open_, edges, "right") - np.searchsorted(open_, edges, "left")
        kept = weight * prior.survival(edges) + beyond
        # Far out in the tail the prior's part underflows.
        ratio = np.divide(leaving, kept, out=np.zeros(len(kept)), where=kept > 0)
        factor = np.cumprod(1 + ratio) / (weight + len(ordered))
        return cls(prior, weight, edges, beyond.astype(np.float64), factor)

    def survival(self, time: ArrayLike) -> Floats:
        """Probability of lasting longer than `time` [s]."""
        at = np.maximum(np.asarray(time, np.float64), 0.0)
        index = np.searchsorted(self.edges, at, side="right") - 1
        mass = self.weight * self.prior.survival(at) + self.beyond[index]
        return np.asarray(mass * self.factor[index], np.float64)

    def quantile(self, probability: ArrayLike, elapsed: float = 0.0) -> Floats:
        """Least time [s] by which it is finished with that probability."""
        if elapsed >= self.edges[-1]:  # longer than anybody was seen
            return self.prior.quantile(probability, elapsed)
        level = (1 - np.asarray(probability, np.float64)) * self.survival(elapsed)
        # Survival falls within each piece by the prior and jumps at its end.
        ends = np.concatenate((self.survival(self.edges[1:]), [-1.0]))
        index = np.searchsorted(-ends, -level * (1 + _CLOSE), side="left")
        inside = (level / self.factor[index] - self.beyond[index]) / self.weight
        time = self.prior.quantile(1 - np.clip(inside, 0.0, 1.0))
        upper = np.concatenate((self.edges[1:], [math.inf]))[index]
        clipped = np.clip(time, self.edges[index], upper)
        return np.asarray(np.maximum(clipped, elapsed), np.float64)


def guess(sites: Durations) -> Weibull:
    """The Weibull fit, or if there is no spread to fit the exponential one (shape 1)."""
    try:
        return Weibull.of(sites)
    except ReferenceClassError:
        sites.check()
        count = float(sites.finished.sum())
        return Weibull(1.0, float(sites.time.sum()) / count, np.diag([1e-12, 1 / count]))


def outside_view(sites: Durations, method: str = "kaplan_meier") -> Outside:
    """The distribution of the next site's duration.

    Parameters
    ----------
    sites : what was seen of the class.
    method : `kaplan_meier` (`Predictive`) or `weibull` (`WeibullPredictive`).

    Raises
    ------
    ReferenceClassError
        If no site is finished, or one ends before it starts.
    """
    return WeibullPredictive.of(sites) if method == "weibull" else Predictive.of(sites)


def _normal(level: float) -> float:
    """How many standard deviations hold `level` around the mean of a normal distribution."""
    from statistics import NormalDist

    return NormalDist().inv_cdf((1 + level) / 2)


def _step(time: Floats, steps: Floats, at: ArrayLike) -> Floats:
    index = np.searchsorted(time, np.asarray(at, np.float64), side="right")
    return np.asarray(np.concatenate(([1.0], steps))[index], np.float64)


def _first(time: Floats, steps: Floats, level: Floats, elapsed: float) -> Floats:
    """First time at which the falling `steps` are at most `level`; inf if never."""
    index = np.searchsorted(-steps, -(level + _CLOSE), side="left")
    found = np.concatenate((time, [math.inf]))[index]
    # Nobody was seen so long: nothing is known.
    unknown = _step(time, steps, elapsed) <= 0
    return np.asarray(np.where(unknown, math.inf, np.maximum(found, elapsed)), np.float64)
