"""Values of all expressions in a period, for a block of replications side by side.

Arrays here are [row, lane], a lane being one replication of the block: the inner loops run
over lanes, on vector registers.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from firsttoken.kernel import codes
from firsttoken.kernel.compiled import compiled_bare, compiled_inner
from firsttoken.kernel.parameters import ParameterTable, SeriesTable, derive
from firsttoken.kernel.random import MASK, log_normal_float, normal, uniform
from firsttoken.kernel.sampling import draw, table_quantile, triangular_quantile
from firsttoken.kernel.series import knots_mean
from firsttoken.kernel.streams import PARAMETER
from firsttoken.supply.sim_formulas import Formulas
from firsttoken.supply.system import Floats, Ints


class Knots(NamedTuple):
    """The moving series of a block.

    Attributes
    ----------
    time, value : [lanes, K], knots as drawn, times ascending.
    known : [S], 1 if a series is the same in all lanes.
    until : [S], time up to which its values hold.
    changed : [S], 1 if it was set anew in this period.
    """

    time: Floats
    value: Floats
    known: Ints
    until: Floats
    changed: Ints


def load_knots(series: SeriesTable, formulas: Formulas, drawn: Floats, values: Floats) -> Knots:
    """Set the series with one knot in `values` [S, lanes], and return the others' knots.

    Parameters
    ----------
    drawn : [P, lanes], the parameters of each replication.
    """
    single = formulas.single
    values[single] = drawn[series.knot_value[series.start[single]]]
    time = np.empty((drawn.shape[1], len(series.knot_time)))
    value = np.empty_like(time)
    known = np.zeros(len(series.kind), np.int64)
    for s in formulas.moving:
        span = slice(series.start[s], series.start[s + 1])
        # A knot never lies after a later-listed one, see firsttoken.kernel.series.
        backwards = np.minimum.accumulate(drawn[series.knot_time[span]][::-1], axis=0)
        time[:, span] = backwards[::-1].T
        value[:, span] = drawn[series.knot_value[span]].T
        same = (time[:, span] == time[:1, span]) & (value[:, span] == value[:1, span])
        known[s] = np.all(same)
    changed = np.zeros(len(series.kind), np.int64)
    changed[formulas.noise] = 1
    return Knots(time, value, known, np.full(len(series.kind), -np.inf), changed)


@compiled_inner
def move_series(
    series: SeriesTable, moving: Ints, knots: Knots, t0: float, t1: float, values: Floats
) -> None:
    """Set the moving series to their means over [t0, t1), where these may have changed."""
    lanes = values.shape[1]
    for s in moving:
        knots.changed[s] = 0
        if t1 <= knots.until[s]:
            continue
        knots.changed[s] = 1
        low, high = series.start[s], series.start[s + 1]
        count = 1 if knots.known[s] else lanes
        until = np.inf
        for b in range(count):
            time, value = knots.time[b, low:high], knots.value[b, low:high]
            values[s, b] = knots_mean(series.kind[s], time, value, high - low, t0, t1)
            until = min(until, _holds_until(series.kind[s], time, t0, t1))
        for b in range(count, lanes):
            values[s, b] = values[s, 0]
        knots.until[s] = until


@compiled_inner
def _holds_until(kind: int, time: Floats, t0: float, t1: float) -> float:
    """Return the time up to which the mean over [t0, t1) remains the value."""
    if kind == codes.LEARNING or kind == codes.WRIGHT:
        return -np.inf
    k = 0
    while k < time.size and time[k] <= t0:
        k += 1
    if k == time.size:
        return np.inf
    constant = k == 0 or kind == codes.STEP
    return time[k] if constant and t1 <= time[k] else -np.inf


@compiled_inner
def draw_noise(
    parameters: ParameterTable,
    series: SeriesTable,
    noise: Ints,
    seed: int,
    first: int,
    t: int,
    values: Floats,
) -> None:
    """Set the noise series to their draws of period `t`: index ``t + 1`` of their streams.

    The same numbers as :func:`firsttoken.kernel.parameters.redraw` gives, a row at a time.
    """
    purpose = int(np.int64(PARAMETER))  # no literal: numba would compile a version for it
    for s in noise:
        p = series.knot_value[series.start[s]]
        code, key = parameters.code[p], int(parameters.entity[p]) & MASK
        x, y, z = parameters.args[p, 0], parameters.args[p, 1], parameters.args[p, 2]
        if code == codes.NORMAL or code == codes.UNIFORM or code == codes.TRIANGULAR:
            _uniform_row(values, s, seed, first, key, t + 1)
            if code == codes.UNIFORM:
                for b in range(values.shape[1]):
                    values[s, b] = x + (y - x) * values[s, b]
            elif code == codes.TRIANGULAR:
                _triangular_row(values, s, x, y, z)
            elif _normal_row(values, s, x, y) > 0:
                for b in range(values.shape[1]):
                    values[s, b] = x + y * normal(seed, first + b, key, purpose, t + 1)
        else:
            for b in range(values.shape[1]):
                values[s, b] = _redraw(parameters, p, seed, first + b, t + 1)


@compiled_inner
def _redraw(parameters: ParameterTable, p: int, seed: int, replication: int, index: int) -> float:
    """Return parameter `p` drawn afresh, with all that it derives from."""
    code, args, purpose = parameters.code[p], parameters.args, int(np.int64(PARAMETER))
    if code < codes.SUM:
        a, b, key = args[p, 0], args[p, 1], int(parameters.entity[p]) & MASK
        if code == codes.DISCRETE or code == codes.EMPIRICAL:
            u = uniform(seed, replication, key, purpose, index)
            return table_quantile(code, parameters.table, int(a), int(b), u)
        return draw(code, a, b, args[p, 2], args[p, 3], seed, replication, key, purpose, index)
    x = _redraw(parameters, int(args[p, 0]), seed, replication, index)
    y = _redraw(parameters, int(args[p, 1]), seed, replication, index)
    return derive(code, x, y, args[p, 2])


@compiled_inner
def _uniform_row(values: Floats, s: int, seed: int, first: int, key: int, index: int) -> None:
    purpose = int(np.int64(PARAMETER))
    for b in range(values.shape[1]):
        values[s, b] = uniform(seed, first + b, key, purpose, index)


@compiled_inner
def _triangular_row(values: Floats, s: int, low: float, mode: float, high: float) -> None:
    for b in range(values.shape[1]):
        values[s, b] = triangular_quantile(low, mode, high, values[s, b])


@compiled_bare
def _normal_row(values: Floats, s: int, mean: float, deviation: float) -> int:
    """Turn uniform numbers into normal ones; return how many lie too far out for this.

    :func:`firsttoken.kernel.random.normal_quantile` (algorithm AS 241) to the bit, without
    branches: both of its rational functions have the same form, so that each lane chooses its
    coefficients. Beyond 6.7 standard deviations they do not hold.
    """
    far = 0
    for b in range(values.shape[1]):
        u = values[s, b]
        q = u - 0.5
        middle = abs(q) <= 0.425
        root = math.sqrt(-log_normal_float(min(u, 1.0 - u)))
        far += 1 if root > 5.0 else 0
        r = 0.180625 - q * q if middle else root - 1.6
        top = 2.5090809287301226727e3 if middle else 7.74545014278341407640e-4
        top = top * r + (3.3430575583588128105e4 if middle else 2.27238449892691845833e-2)
        top = top * r + (6.7265770927008700853e4 if middle else 2.41780725177450611770e-1)
        top = top * r + (4.5921953931549871457e4 if middle else 1.27045825245236838258e0)
        top = top * r + (1.3731693765509461125e4 if middle else 3.64784832476320460504e0)
        top = top * r + (1.9715909503065514427e3 if middle else 5.76949722146069140550e0)
        top = top * r + (1.3314166789178437745e2 if middle else 4.63033784615654529590e0)
        top = top * r + (3.3871328727963666080e0 if middle else 1.42343711074968357734e0)
        low = 5.2264952788528545610e3 if middle else 1.05075007164441684324e-9
        low = low * r + (2.8729085735721942674e4 if middle else 5.47593808499534494600e-4)
        low = low * r + (3.9307895800092710610e4 if middle else 1.51986665636164571966e-2)
        low = low * r + (2.1213794301586595867e4 if middle else 1.48103976427480074590e-1)
        low = low * r + (5.3941960214247511077e3 if middle else 6.89767334985100004550e-1)
        low = low * r + (6.8718700749205790830e2 if middle else 1.67638483018380384940e0)
        low = low * r + (4.2313330701600911252e1 if middle else 2.05319162663775882187e0)
        z = top / (low * r + 1.0)
        tail = -z if q < 0.0 else z
        values[s, b] = mean + deviation * (q * z if middle else tail)
    return far


@compiled_bare
def evaluate_fixed(formulas: Formulas, scratch: Floats, w: Floats) -> None:
    """Evaluate the expressions that do not change in time, in the rows `w` [rows, lanes]."""
    for e in formulas.fixed:
        _evaluate(formulas, e, w, scratch, w[formulas.row[e]])


@compiled_inner
def evaluate_dynamic(formulas: Formulas, changed: Ints, scratch: Floats, w: Floats) -> None:
    """Evaluate those of the other expressions of which a series has changed."""
    for e in formulas.dynamic:
        first, last = formulas.factor[formulas.term[e]], formulas.factor[formulas.term[e + 1]]
        stale = False
        for f in range(first, last):
            stale = stale or changed[formulas.series[f]] != 0
        if stale:
            _evaluate(formulas, e, w, scratch, w[formulas.row[e]])


@compiled_inner
def _evaluate(formulas: Formulas, e: int, w: Floats, scratch: Floats, row: Floats) -> None:
    """Evaluate expression `e` into `row` [lanes]."""
    first, last = formulas.term[e], formulas.term[e + 1]
    if last - first == 1:
        _product(formulas, first, w, row)
        return
    for b in range(row.size):
        row[b] = 0.0
    for k in range(first, last):
        _product(formulas, k, w, scratch)
        for b in range(row.size):
            row[b] += scratch[b]


@compiled_inner
def _product(formulas: Formulas, k: int, w: Floats, out: Floats) -> None:
    """Multiply the factors of term `k`."""
    lanes = out.size
    first, last = formulas.factor[k], formulas.factor[k + 1]
    if first == last:
        for b in range(lanes):
            out[b] = 1.0
        return
    row = w[formulas.series[first]]
    for b in range(lanes):
        out[b] = row[b]
    for f in range(first + 1, last):
        other = w[formulas.series[f]]
        for b in range(lanes):
            out[b] *= other[b]
