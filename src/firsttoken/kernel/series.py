"""Means of series over periods, in closed form.

With the knots ``(t_k, v_k)`` of a series, its value at time t is

STEP
    the value of the last knot at or before t.
LINEAR
    the straight line between successive knots.
S_CURVE
    ``v_k + (v_k+1 - v_k) (3 u^2 - 2 u^3)`` with ``u = (t - t_k) / (t_k+1 - t_k)``: the cubic
    smoothstep.
LEARNING
    ``v_1 - (v_1 - v_0) 2^-u`` with u as above: half of the way from v_0 to v_1 is left behind at
    t_1, three quarters at ``t_1 + (t_1 - t_0)``, and so on.
WRIGHT
    ``v_0 max(1, u)^log2(v_1)``: the value falls to the progress ratio v_1 at each doubling of
    ``u``, the units made since t_0 at one per ``t_1 - t_0``.  Source: Wright, Factors affecting
    the cost of airplanes, Journal of the Aeronautical Sciences 3 (1936) 122-128.
NOISE
    a fresh draw of the value's distribution in every period.

Before its first knot a series has its first value; after its last knot a STEP, LINEAR or S_CURVE
has its last value.

Random dates may come out of order.  Then **the later-listed knot wins**: a knot never lies after
a later-listed one, but moves forward to it (its time is the least of its own and all later-listed
times).  So a second expansion that is finished before the first one simply replaces it.
"""

import math

import numpy as np
from numpy.typing import NDArray

from firsttoken.kernel import codes
from firsttoken.kernel.compiled import compiled, compiled_inline

Floats = NDArray[np.float64]


@compiled
def knots_mean(kind: int, times: Floats, levels: Floats, n: int, t0: float, t1: float) -> float:
    """Return the mean of a series over [t0, t1), or its value at t0 if t1 <= t0.

    Parameters
    ----------
    kind
        Kind of the series, not NOISE.
    times, levels
        Times in ascending order (seconds) and values of the knots, shape [n or more].
    n
        Number of knots.
    t0, t1
        Period in seconds.

    Returns
    -------
    float
        Mean in the unit of the levels.
    """
    if kind == codes.LEARNING:
        return _learning_mean(times[0], times[1], levels[0], levels[1], t0, t1)
    if kind == codes.WRIGHT:
        return _wright_mean(times[0], times[1], levels[0], levels[1], t0, t1)
    knot = 0
    while knot < n and times[knot] <= t0:
        knot += 1
    if knot == n or t1 <= times[knot]:
        return _piece_mean(kind, times, levels, n, knot, t0, t1)
    return _pieces_mean(kind, times, levels, n, knot, t0, t1)


@compiled
def knots_means(
    kind: int, times: Floats, levels: Floats, n: int, edges: Floats, out: Floats
) -> None:
    """Fill ``out`` [T] with the means of a series over the periods between ``edges`` [T + 1].

    The edges ascend; the other parameters are those of :func:`knots_mean`.
    """
    periods = len(edges) - 1
    if kind == codes.LEARNING or kind == codes.WRIGHT:
        start, time, first, last = times[0], times[1], levels[0], levels[1]
        for j in range(periods):
            if kind == codes.LEARNING:
                out[j] = _learning_mean(start, time, first, last, edges[j], edges[j + 1])
            else:
                out[j] = _wright_mean(start, time, first, last, edges[j], edges[j + 1])
        return
    knot = 0
    j = 0
    while j < periods:
        while knot < n and times[knot] <= edges[j]:
            knot += 1
        limit = np.inf if knot == n else times[knot]
        while j < periods and edges[j] < limit and edges[j + 1] <= limit:
            out[j] = _piece_mean(kind, times, levels, n, knot, edges[j], edges[j + 1])
            j += 1
        if j < periods and edges[j] < limit:
            out[j] = _pieces_mean(kind, times, levels, n, knot, edges[j], edges[j + 1])
            j += 1


@compiled
def _pieces_mean(
    kind: int, times: Floats, levels: Floats, n: int, knot: int, t0: float, t1: float
) -> float:
    """Return the mean over [t0, t1), which contains at least one knot."""
    total = 0.0
    begin = t0
    while begin < t1:
        end = t1 if knot == n else min(t1, times[knot])
        if end > begin:
            total += (end - begin) * _piece_mean(kind, times, levels, n, knot, begin, end)
        begin = end
        knot += 1
    return total / (t1 - t0)


@compiled_inline
def _piece_mean(
    kind: int, times: Floats, levels: Floats, n: int, knot: int, t0: float, t1: float
) -> float:
    """Return the mean over [t0, t1] between the knots ``knot - 1`` and ``knot``."""
    if knot == 0:
        return float(levels[0])
    first = levels[knot - 1]
    if kind == codes.STEP or knot == n:
        return float(first)
    start = times[knot - 1]
    width = times[knot] - start
    change = levels[knot] - first
    if kind == codes.LINEAR:
        return float(first + change * ((0.5 * (t0 + t1) - start) / width))
    # (F(b) - F(a)) / (b - a) with F(u) = u^3 - u^4 / 2, without cancellation
    a = (t0 - start) / width
    b = (t1 - start) / width
    return float(first + change * (a * a + a * b + b * b - 0.5 * (a + b) * (a * a + b * b)))


@compiled
def _learning_mean(
    start: float, half: float, first: float, final: float, t0: float, t1: float
) -> float:
    """Return the mean of ``final - (final - first) 2^-u``, u = (t - start) / (half - start)."""
    if t0 < start and t0 < t1:
        middle = min(start, t1)
        before = (middle - t0) * first
        after = 0.0
        if middle < t1:
            after = (t1 - middle) * _learning_mean(start, half, first, final, middle, t1)
        return (before + after) / (t1 - t0)
    if t0 < start:
        return first
    if half <= start:
        return final
    rate = math.log(2.0) / (half - start)
    left = math.exp(-rate * (t0 - start))
    x = rate * (t1 - t0)
    if x > 0.0:
        left *= -math.expm1(-x) / x
    return final - (final - first) * left


@compiled
def _wright_mean(
    start: float, unit: float, first: float, ratio: float, t0: float, t1: float
) -> float:
    """Return the mean of ``first max(1, u)^log2(ratio)``, u = (t - start) / (unit - start).

    Without a time per unit (unit <= start) nothing is learned: the first value holds.
    """
    if unit <= start or (t1 <= unit and t0 <= unit):
        return first
    if t0 < unit:
        after = (t1 - unit) * _wright_mean(start, unit, first, ratio, unit, t1)
        return ((unit - t0) * first + after) / (t1 - t0)
    exponent = math.log2(ratio)
    a = (t0 - start) / (unit - start)
    if t1 <= t0:
        return first * math.pow(a, exponent)
    # integral of u^e from a to b, by expm1 so that e near -1 and b near a keep their digits
    stretch = math.log1p((t1 - t0) / (t0 - start))
    power = exponent + 1.0
    area = stretch if power == 0.0 else math.expm1(power * stretch) / power
    return first * math.pow(a, power) * area * (unit - start) / (t1 - t0)
