"""Random numbers of the distributions of a twin, and their mean, median and support.

A distribution is a code, a row of four numbers, and perhaps rows of a shared table:

=============  =============================  =============================================
code           args                           value
=============  =============================  =============================================
CONSTANT       value
UNIFORM        low, high
TRIANGULAR     low, mode, high
NORMAL         mean, standard deviation
LOGNORMAL      mu, sigma                      of the logarithm
GAMMA          shape, scale                   mean = shape * scale
BETA_PERT      low, mode, high, lambda        lambda = 4 is the PERT of Malcolm et al. 1959
EXPONENTIAL    mean
WEIBULL        shape, scale                   scale = 63.2 % point
DISCRETE       start, count                   rows of the table: value, cumulative probability
EMPIRICAL      start, count                   rows of the table: sorted observations
=============  =============================  =============================================

All but GAMMA and BETA_PERT invert the distribution function at one uniform number, so that each
draw moves monotonically with its parameters under common random numbers.  GAMMA and BETA_PERT use
exact rejection; attempt ``k`` of a draw reads the block whose purpose word carries ``k`` in the
bits above :data:`~firsttoken.kernel.streams.PURPOSE_BITS`, so that no attempt of one index can
meet another index.

EMPIRICAL interpolates linearly between the order statistics (definition 7 of Hyndman and Fan,
Sample quantiles in statistical packages, The American Statistician 50 (1996), the default of
numpy): the quantile at u lies at position ``u * (count - 1)`` of the sorted observations.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from firsttoken.kernel import codes
from firsttoken.kernel.compiled import compiled, compiled_inline
from firsttoken.kernel.random import log_normal_float, normal_quantile, uniform, uniform2
from firsttoken.kernel.streams import PURPOSE_BITS

Floats = NDArray[np.float64]

BOOST: Final = 0x4000 << PURPOSE_BITS  # block of the extra uniform of a gamma shape below one
SECOND: Final = 0x8000 << PURPOSE_BITS  # blocks of the second gamma of a beta


@compiled
def sample(
    code: int,
    args: Floats,
    table: Floats,
    seed: int,
    replication: int,
    entity: int,
    purpose: int,
    index: int,
) -> float:
    """Return the draw of a distribution at an address of the random streams.

    Parameters
    ----------
    code
        Distribution code of :mod:`firsttoken.kernel.codes`.
    args
        Arguments of the distribution, shape [4].
    table
        Values and cumulative probabilities of DISCRETE and EMPIRICAL, shape [n, 2].
    seed, replication, entity, purpose, index
        Address, see :func:`firsttoken.kernel.random.uniform`; purpose < 2**16.

    Returns
    -------
    float
        The draw, in the unit of the arguments.

    Raises
    ------
    ValueError
        If the code is not that of a distribution.
    """
    if code == codes.DISCRETE or code == codes.EMPIRICAL:
        u = uniform(seed, replication, entity, purpose, index)
        return table_quantile(code, table, int(args[0]), int(args[1]), u)
    return draw(code, args[0], args[1], args[2], args[3], seed, replication, entity, purpose, index)


@compiled
def draw(
    code: int,
    a: float,
    b: float,
    c: float,
    d: float,
    seed: int,
    replication: int,
    entity: int,
    purpose: int,
    index: int,
) -> float:
    """Return the same as :func:`sample` for a distribution without table, its arguments a to d."""
    if code == codes.GAMMA:
        return b * _standard_gamma(a, seed, replication, entity, purpose, index)
    if code == codes.BETA_PERT:
        if c <= a:
            return a
        x = _standard_gamma(1.0 + d * (b - a) / (c - a), seed, replication, entity, purpose, index)
        y = _standard_gamma(
            1.0 + d * (c - b) / (c - a), seed, replication, entity, int(purpose) | SECOND, index
        )
        return a + (c - a) * (x / (x + y))
    return quantile(code, a, b, c, uniform(seed, replication, entity, purpose, index))


@compiled
def quantile(code: int, a: float, b: float, c: float, u: float) -> float:
    """Return the quantile at ``u`` in (0, 1) of a distribution with a closed quantile function.

    Raises
    ------
    ValueError
        If the code is not that of such a distribution.
    """
    if code == codes.UNIFORM:
        return a + (b - a) * u
    if code == codes.TRIANGULAR:
        return triangular_quantile(a, b, c, u)
    if code == codes.NORMAL:
        return a + b * normal_quantile(u)
    if code == codes.LOGNORMAL:
        return math.exp(a + b * normal_quantile(u))
    if code == codes.EXPONENTIAL:
        return -a * log_normal_float(1.0 - u)
    if code == codes.WEIBULL:
        return b * math.pow(-log_normal_float(1.0 - u), 1.0 / a)
    if code == codes.CONSTANT:
        return a
    raise ValueError("not the code of a distribution with a closed quantile function")


@compiled_inline
def triangular_quantile(low: float, mode: float, high: float, u: float) -> float:
    """Return the quantile of TRIANGULAR(low, mode, high) at probability ``u``.

    The inverse of its piecewise quadratic distribution function (Kotz and van Dorp, Beyond Beta,
    2004, chapter 1); a triangle without width is its low end.
    """
    width = high - low
    if width <= 0.0:
        return low
    if u * width < mode - low:
        return low + math.sqrt(u * width * (mode - low))
    return high - math.sqrt((1.0 - u) * width * (high - mode))


@compiled
def table_quantile(code: int, table: Floats, start: int, count: int, u: float) -> float:
    """Return the quantile at ``u`` in (0, 1) of DISCRETE or EMPIRICAL."""
    if code == codes.DISCRETE:
        return _discrete_quantile(table, start, count, u)
    return _empirical_quantile(table, start, count, u)


@compiled_inline
def _discrete_quantile(table: Floats, start: int, count: int, u: float) -> float:
    """Return the first value whose cumulative probability reaches ``u``."""
    low = start
    high = start + count - 1
    while low < high:
        middle = (low + high) // 2
        if table[middle, 1] < u:
            low = middle + 1
        else:
            high = middle
    return float(table[low, 0])


@compiled_inline
def _empirical_quantile(table: Floats, start: int, count: int, u: float) -> float:
    position = u * (count - 1)
    below = min(int(position), max(count - 2, 0))
    x = table[start + below, 0]
    y = table[start + min(below + 1, count - 1), 0]
    return float(x + (y - x) * (position - below))


@compiled
def _standard_gamma(
    shape: float, seed: int, replication: int, entity: int, purpose: int, index: int
) -> float:
    """Return a gamma number of scale 1.

    Source: Marsaglia, Tsang: A simple method for generating gamma variables, ACM TOMS 26 (2000)
    363-372; a shape below one by their note: multiply the draw of shape + 1 by U**(1/shape).
    At least 95 % of the attempts are accepted, so 2**14 of them never run out.
    """
    d = (shape if shape >= 1.0 else shape + 1.0) - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    value = d
    for attempt in range(1 << 14):
        word = int(purpose) | (attempt << PURPOSE_BITS)
        u, w = uniform2(seed, replication, entity, word, index)
        x = normal_quantile(u)
        v = (1.0 + c * x) ** 3
        if v > 0.0 and log_normal_float(w) < 0.5 * x * x + d - d * v + d * math.log(v):
            value = d * v
            break
    if shape < 1.0:
        u = uniform(seed, replication, entity, int(purpose) | BOOST, index)
        value *= math.pow(u, 1.0 / shape)
    return value


def mean(code: int, args: ArrayLike, table: Floats) -> float:
    """Return the mean of a distribution.

    Parameters
    ----------
    code, args, table
        Distribution, as in :func:`sample`.

    Returns
    -------
    float
        Mean of the draws, exactly: that of EMPIRICAL is the mean of the interpolated quantile
        function, which counts the two extreme observations half.

    Raises
    ------
    ValueError
        If the code is not that of a distribution.
    """
    a, b, c, d = _four(args)
    match int(code):
        case codes.CONSTANT | codes.NORMAL | codes.EXPONENTIAL:
            return a
        case codes.UNIFORM:
            return (a + b) / 2
        case codes.TRIANGULAR:
            return (a + b + c) / 3
        case codes.LOGNORMAL:
            return math.exp(a + b * b / 2)
        case codes.GAMMA:
            return a * b
        case codes.BETA_PERT:
            return (a + d * b + c) / (d + 2)
        case codes.WEIBULL:
            return b * math.gamma(1 + 1 / a)
        case codes.DISCRETE:
            rows = _rows(table, a, b)
            return float(np.dot(rows[:, 0], np.diff(rows[:, 1], prepend=0.0)))
        case codes.EMPIRICAL:
            values = _rows(table, a, b)[:, 0]
            middles = (values[1:] + values[:-1]) / 2
            return float(middles.mean() if len(middles) else values[0])
    raise ValueError(f"{code} is not the code of a distribution")


def median(code: int, args: ArrayLike, table: Floats) -> float:
    """Return the median of a distribution; of DISCRETE, a value that can be drawn.

    Parameters, result and errors are those of :func:`mean`.
    """
    a, b, c, d = _four(args)
    match int(code):
        case codes.DISCRETE | codes.EMPIRICAL:
            return float(table_quantile(code, table, int(a), int(b), 0.5))
        case codes.GAMMA:
            from scipy.special import gammaincinv

            return b * float(gammaincinv(a, 0.5))
        case codes.BETA_PERT:
            if c <= a:
                return a
            from scipy.special import betaincinv

            below, above = (b - a) / (c - a), (c - b) / (c - a)
            return a + (c - a) * float(betaincinv(1 + d * below, 1 + d * above, 0.5))
    return float(quantile(code, a, b, c, 0.5))


def bounds(code: int, args: ArrayLike, table: Floats) -> tuple[float, float]:
    """Return the least and the greatest value that a distribution can take.

    Parameters and errors are those of :func:`mean`; an unbounded side is infinite.
    """
    a, b, c, _ = _four(args)
    match int(code):
        case codes.CONSTANT:
            return a, a
        case codes.UNIFORM:
            return a, b
        case codes.TRIANGULAR | codes.BETA_PERT:
            return a, c
        case codes.NORMAL:
            return (-math.inf, math.inf) if b > 0 else (a, a)
        case codes.LOGNORMAL | codes.GAMMA | codes.EXPONENTIAL | codes.WEIBULL:
            return 0.0, math.inf
        case codes.DISCRETE | codes.EMPIRICAL:
            values = _rows(table, a, b)[:, 0]
            return float(values.min()), float(values.max())
    raise ValueError(f"{code} is not the code of a distribution")


def discrete_rows(values: ArrayLike, probabilities: ArrayLike) -> Floats:
    """Return the table rows of a DISCRETE distribution.

    Parameters
    ----------
    values, probabilities
        Outcomes and their weights, shape [n]; weights are divided by their sum.

    Returns
    -------
    NDArray[float64]
        Shape [n, 2]: values in ascending order, cumulative probabilities ending in exactly 1.

    Raises
    ------
    ValueError
        If shapes differ, nothing is given, a weight is negative or not finite, or all are zero.
    """
    outcomes, weights = np.asarray(values, np.float64), np.asarray(probabilities, np.float64)
    if outcomes.ndim != 1 or outcomes.shape != weights.shape or not len(outcomes):
        raise ValueError("a discrete distribution needs as many probabilities as values")
    if not np.all(np.isfinite(outcomes)):
        raise ValueError("the values of a discrete distribution must be finite")
    if not (np.all(weights >= 0) and np.isfinite(weights.sum()) and weights.sum() > 0):
        raise ValueError("probabilities must be finite, not negative, and not all zero")
    order = np.argsort(outcomes, kind="stable")
    cumulative = np.cumsum(weights[order]) / weights.sum()
    cumulative[-1] = 1.0
    return np.column_stack([outcomes[order], np.minimum(cumulative, 1.0)])


def empirical_rows(observations: ArrayLike) -> Floats:
    """Return the table rows of an EMPIRICAL distribution.

    Parameters
    ----------
    observations
        Measured values in any order, shape [n].

    Returns
    -------
    NDArray[float64]
        Shape [n, 2]: observations in ascending order, share of observations up to each.

    Raises
    ------
    ValueError
        If there is no observation or one is not finite.
    """
    ordered = np.sort(np.asarray(observations, np.float64))
    if ordered.ndim != 1 or not len(ordered) or not np.all(np.isfinite(ordered)):
        raise ValueError("an empirical distribution needs finite observations")
    return np.column_stack([ordered, np.arange(1, len(ordered) + 1) / len(ordered)])


def _four(args: ArrayLike) -> tuple[float, float, float, float]:
    a, b, c, d = np.asarray(args, dtype=np.float64).tolist()
    return a, b, c, d


def _rows(table: Floats, start: float, count: float) -> Floats:
    return table[int(start) : int(start + count)]
