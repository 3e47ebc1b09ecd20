"""Statistics of replications: quantiles, moments, intervals, sensitivity."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """An estimate with its confidence interval, in the unit of the estimate."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared deviations of a sample; numbers or arrays [...].

    Two disjoint samples merge exactly, so a mean can be streamed and computed in parallel.
    Source: Chan, Golub, LeVeque: Updating formulae and a pairwise algorithm for computing sample
    variances, COMPSTAT 1982, after Welford, Technometrics 4 (1962) 419-420.

    Attributes
    ----------
    count
        Number of values.
    mean
        Their mean; 0 of no values.
    squares
        Sum of the squared deviations from the mean.
    """

    count: int
    mean: Floats | float
    squares: Floats | float

    @classmethod
    def of(cls, samples: ArrayLike) -> "Moments":
        """Return the moments of samples [R, ...] along their first axis."""
        values = np.asarray(samples, np.float64)
        if not len(values):
            return cls(0, np.zeros(values.shape[1:]), np.zeros(values.shape[1:]))
        mean = values.mean(axis=0)
        return cls(len(values), mean, np.square(values - mean).sum(axis=0))

    def merge(self, other: "Moments") -> "Moments":
        """Return the moments of both samples together."""
        count = self.count + other.count
        if count == 0:
            return self
        change = np.asarray(other.mean) - self.mean
        share = other.count / count
        squares = self.squares + other.squares + np.square(change) * (self.count * share)
        return Moments(count, self.mean + change * share, squares)

    @property
    def variance(self) -> Floats:
        """Unbiased sample variance; NaN of fewer than two values."""
        if self.count < 2:
            return np.full(np.shape(self.mean), np.nan)
        return np.asarray(self.squares) / (self.count - 1)

    @property
    def standard_error(self) -> Floats:
        """Standard error of the mean; NaN of fewer than two values."""
        return np.asarray(np.sqrt(self.variance / max(self.count, 1)))


def quantiles(samples: ArrayLike, probabilities: ArrayLike) -> Floats:
    """Return quantiles over replications.

    Definition 7 of Hyndman and Fan, Sample quantiles in statistical packages, The American
    Statistician 50 (1996) 361-365 (the default of numpy): linear interpolation at position
    ``p * (R - 1)`` of the sorted samples.  Samples may be infinite (a date never reached): a
    quantile between a finite and an infinite sample is infinite.

    Parameters
    ----------
    samples
        Shape [R, ...], replications first.
    probabilities
        Shape [Q], in [0, 1].

    Returns
    -------
    NDArray[float64]
        Shape [Q, ...].

    Raises
    ------
    ValueError
        If there is no sample, one is NaN, or a probability lies outside [0, 1].
    """
    values = np.asarray(samples, np.float64)
    wanted = np.asarray(probabilities, np.float64)
    if values.ndim == 0 or not len(values) or np.isnan(values).any():
        raise ValueError("quantiles need samples, none of them NaN")
    if wanted.ndim != 1 or not np.all((wanted >= 0) & (wanted <= 1)):
        raise ValueError("probabilities must be a list of numbers in [0, 1]")
    if not len(wanted):
        return np.empty((0, *values.shape[1:]))
    position = wanted * (len(values) - 1)
    below = np.floor(position).astype(np.int64)
    above = np.ceil(position).astype(np.int64)
    ordered = np.partition(values, np.union1d(below, above), axis=0)
    low, high = ordered[below], ordered[above]
    weight = (position - below).reshape(-1, *[1] * (values.ndim - 1))
    rise = np.subtract(high, low, out=np.zeros_like(low), where=low != high)
    part = np.multiply(weight, rise, out=np.zeros_like(low), where=(weight > 0) & (rise > 0))
    unbounded = (low == -np.inf) & (part > 0)
    return np.where(unbounded, low, low + np.where(unbounded, 0.0, part))


def mean_interval(samples: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return the mean of samples [R] with its Student t interval.

    Source: Student, The probable error of a mean, Biometrika 6 (1908) 1-25.

    Parameters
    ----------
    samples
        Independent values, shape [R].
    confidence
        Probability that the interval covers the true mean of a normal population.

    Returns
    -------
    Interval
        Of fewer than two samples the interval is infinite.

    Raises
    ------
    ValueError
        If there is no sample, or ``confidence`` is not in (0, 1).
    """
    from scipy.special import stdtrit

    values = np.asarray(samples, np.float64).ravel()
    if not len(values):
        raise ValueError("a mean needs samples")
    moments = Moments.of(values)
    mean = float(moments.mean)
    if _tail(confidence) and moments.count < 2:
        return Interval(mean, -math.inf, math.inf)
    t = float(stdtrit(moments.count - 1, 1 - _tail(confidence)))
    half = t * float(moments.standard_error)
    return Interval(mean, mean - half, mean + half)


def probability_interval(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Return the share of successes with its Wilson score interval.

    Source: Wilson, Probable inference, the law of succession, and statistical inference, Journal
    of the American Statistical Association 22 (1927) 209-212.

    Parameters
    ----------
    successes, trials
        Counts, 0 <= successes <= trials, trials >= 1.
    confidence
        Probability that the interval covers the true probability.

    Returns
    -------
    Interval
        Within [0, 1].

    Raises
    ------
    ValueError
        If the counts are impossible or ``confidence`` is not in (0, 1).
    """
    from scipy.special import ndtri

    if not (0 <= successes <= trials and trials >= 1):
        raise ValueError(f"{successes} successes of {trials} trials are impossible")
    z = float(ndtri(1 - _tail(confidence)))
    share = successes / trials
    scale = 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / scale
    half = z * math.sqrt(share * (1 - share) / trials + (z / (2 * trials)) ** 2) / scale
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return Interval(share, low, high)


def _tail(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    return (1 - confidence) / 2


class Tornado(NamedTuple):
    """How an output goes with each of P inputs.

    Attributes
    ----------
    mean
        Mean of the output over all replications.
    low, high
        Mean of the output where the input is lowest and highest, shape [P].
    correlation
        Spearman's rank correlation of input and output, shape [P]; 0 of a constant.
    """

    mean: float
    low: Floats
    high: Floats
    correlation: Floats


def tornado(inputs: ArrayLike, output: ArrayLike, share: float = 0.2) -> Tornado:
    """Return the sensitivity of an output to uncertain inputs, from the samples at hand.

    The conditional means in the lowest and the highest share of each input need no further run and
    no linearity.  Replications with equal inputs count alike: each has the mean output of them all.
    Rank correlation: Spearman, The proof and measurement of association between two things,
    American Journal of Psychology 15 (1904) 72-101, ties with their mean rank.

    Parameters
    ----------
    inputs
        Samples of the inputs, shape [R, P].
    output
        Samples of the output, shape [R]; infinite values are allowed.
    share
        Share of the replications in each end, in (0, 0.5].

    Returns
    -------
    Tornado
        In the unit of the output.

    Raises
    ------
    ValueError
        If shapes differ, there is no sample, one is NaN, or ``share`` is out of range.
    """
    x, y = np.asarray(inputs, np.float64), np.asarray(output, np.float64)
    if x.ndim != 2 or y.shape != x.shape[:1] or not len(y):
        raise ValueError("a tornado needs inputs [R, P] and an output [R]")
    if np.isnan(x).any() or np.isnan(y).any():
        raise ValueError("a tornado needs samples without NaN")
    if not 0 < share <= 0.5:
        raise ValueError(f"share must lie in (0, 0.5], not {share}")
    ends = max(1, round(share * len(y)))
    low, high, correlation = (np.empty(x.shape[1]) for _ in range(3))
    y_ranks = _ranks(y) - (len(y) - 1) / 2
    for p in range(x.shape[1]):
        order = np.argsort(x[:, p], kind="stable")
        group, sizes = _ties(x[order, p])
        alike = (np.add.reduceat(y[order], np.cumsum(sizes) - sizes) / sizes)[group]
        low[p], high[p] = alike[:ends].mean(), alike[-ends:].mean()
        x_ranks = _ranks(x[:, p]) - (len(y) - 1) / 2
        scale = math.sqrt(float(x_ranks @ x_ranks) * float(y_ranks @ y_ranks))
        correlation[p] = float(x_ranks @ y_ranks) / scale if scale > 0 else 0.0
    return Tornado(float(y.mean()), low, high, correlation)


def _ties(ordered: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the tie group of each of the ordered values [R], and the size of each group."""
    starts = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    group = np.cumsum(starts) - 1
    return group, np.bincount(group)


def _ranks(values: Floats) -> Floats:
    """Return the ranks from 0 of values [R], ties with their mean rank."""
    order = np.argsort(values, kind="stable")
    group, sizes = _ties(values[order])
    ranks = np.empty(len(values))
    ranks[order] = (np.cumsum(sizes) - (sizes + 1) / 2)[group]
    return ranks
