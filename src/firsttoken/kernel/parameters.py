"""Uncertain parameters of a twin, and the series that run between them.

Every parameter of a compiled system is a row of one table: a distribution drawn once a
replication, or a value derived from earlier rows.  Every series is a list of knots, whose times
and values are again rows of that table; so a ramp whose dates and levels are uncertain costs
nothing extra.

=========  ===========================================  ====================================
derived    args                                         value
=========  ===========================================  ====================================
SUM        index of x, index of y                       x + y
PRODUCT    index of x, index of y                       x * y
SHIFT      index of time, index of slip, from           time + slip if time >= from else time
=========  ===========================================  ====================================
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firsttoken.kernel import codes, sampling
from firsttoken.kernel.compiled import compiled, compiled_inline
from firsttoken.kernel.random import MASK, uniform
from firsttoken.kernel.sampling import draw, table_quantile
from firsttoken.kernel.series import knots_mean, knots_means
from firsttoken.kernel.streams import PARAMETER

Floats = NDArray[np.float64]


class ParameterTable(NamedTuple):
    """The parameters of a system, one row each.

    Attributes
    ----------
    code
        Distribution or derivation, shape [P], see :mod:`firsttoken.kernel.codes`.
    args
        Arguments, shape [P, 4].  Derived rows refer to earlier rows only.
    entity
        Stream key of the parameter's path, shape [P].
    table
        Rows of DISCRETE and EMPIRICAL distributions, shape [n, 2].
    """

    code: NDArray[np.int64]
    args: Floats
    entity: NDArray[np.uint32]
    table: Floats


class SeriesTable(NamedTuple):
    """The series of a system.

    Attributes
    ----------
    kind
        Kind of each series, shape [S], see :mod:`firsttoken.kernel.codes`.
    start
        Knots of series s are ``start[s]`` to ``start[s + 1]``, shape [S + 1].
    knot_time
        Parameter that gives the time of each knot in seconds from the start, shape [K].
    knot_value
        Parameter that gives the value of each knot, shape [K].
    """

    kind: NDArray[np.int64]
    start: NDArray[np.int64]
    knot_time: NDArray[np.int64]
    knot_value: NDArray[np.int64]


def check_tables(parameters: ParameterTable, series: SeriesTable | None = None) -> None:
    """Raise ``ValueError`` if a row refers to what does not exist; compiled code does not look.

    Parameters
    ----------
    parameters, series
        Tables to be handed to compiled functions.
    """
    count = len(parameters.code)
    if parameters.args.shape != (count, 4) or parameters.entity.shape != (count,):
        raise ValueError(f"{count} parameters need args[{count}, 4] and entity[{count}]")
    if parameters.table.ndim != 2 or parameters.table.shape[1] != 2:
        raise ValueError("the table of distributions needs two columns")
    for row, (code, args) in enumerate(zip(parameters.code, parameters.args, strict=True)):
        if code in (codes.SUM, codes.PRODUCT, codes.SHIFT):
            if not (0 <= args[0] < row and 0 <= args[1] < row):
                raise ValueError(f"parameter {row} does not derive from earlier parameters")
        elif code in (codes.DISCRETE, codes.EMPIRICAL):
            if not (args[0] >= 0 and args[1] >= 1 and args[0] + args[1] <= len(parameters.table)):
                raise ValueError(f"parameter {row} lies outside the table of distributions")
        elif not codes.CONSTANT <= code <= codes.EMPIRICAL:
            raise ValueError(f"parameter {row} has the unknown code {code}")
    if series is not None:
        _check_series(series, count)


def _check_series(series: SeriesTable, parameters: int) -> None:
    counts = np.diff(series.start)
    if series.start.shape != (len(series.kind) + 1,) or series.start[0] != 0 or np.any(counts < 1):
        raise ValueError("every series needs at least one knot")
    if not series.start[-1] == len(series.knot_time) == len(series.knot_value):
        raise ValueError("the last series must end at the last knot")
    for knots in (series.knot_time, series.knot_value):
        if len(knots) and not (knots.min() >= 0 and knots.max() < parameters):
            raise ValueError("a knot refers to a parameter that does not exist")
    for row, (kind, knots) in enumerate(zip(series.kind, counts, strict=True)):
        needed = {codes.LEARNING: 2, codes.WRIGHT: 2, codes.NOISE: 1}.get(int(kind))
        if not codes.STEP <= kind <= codes.NOISE:
            raise ValueError(f"series {row} has the unknown kind {kind}")
        if needed is not None and knots != needed:
            raise ValueError(f"series {row} needs {needed} knots, not {knots}")


@compiled
def draw_parameters(parameters: ParameterTable, seed: int, replication: int, out: Floats) -> None:
    """Fill ``out`` with the parameters of one replication.

    Parameters
    ----------
    parameters
        Table of P rows; each is drawn at (seed, replication, its entity, PARAMETER, 0).
    seed, replication
        Address of the replication.
    out
        Receives the values, shape [P].

    Raises
    ------
    ValueError
        If a code is unknown.
    """
    code, args, entity, table = parameters
    for p in range(len(code)):
        if code[p] == codes.CONSTANT:
            out[p] = args[p, 0]
        elif code[p] >= codes.SUM:
            out[p] = derive(code[p], out[int(args[p, 0])], out[int(args[p, 1])], args[p, 2])
        else:
            out[p] = _draw_row(code, args, entity, table, p, seed, replication, int(np.int64(0)))


@compiled
def draw_replications(parameters: ParameterTable, seed: int, first: int, out: Floats) -> None:
    """Fill ``out[i]`` with the parameters of replication ``first + i``; shape [R, P]."""
    for i in range(len(out)):
        draw_parameters(parameters, seed, first + i, out[i])


@compiled_inline
def _draw_row(
    code: NDArray[np.int64],
    args: Floats,
    entity: NDArray[np.uint32],
    table: Floats,
    p: int,
    seed: int,
    replication: int,
    index: int,
) -> float:
    """Return distribution ``p`` of a table, taken apart so that no reference is counted."""
    a = args[p, 0]
    b = args[p, 1]
    # plain 64-bit integers, so that numba compiles one version, not one for each literal
    key = int(entity[p]) & MASK
    purpose = int(np.int64(PARAMETER))
    if code[p] == codes.DISCRETE or code[p] == codes.EMPIRICAL:
        u = uniform(seed, replication, key, purpose, index)
        return table_quantile(code[p], table, int(a), int(b), u)
    return draw(code[p], a, b, args[p, 2], args[p, 3], seed, replication, key, purpose, index)


@compiled
def derive(code: int, x: float, y: float, since: float) -> float:
    """Return a derived value: x + y, x * y, or x + y from x >= since on.

    Raises
    ------
    ValueError
        If the code is not that of a derived parameter.
    """
    if code == codes.SUM:
        return x + y
    if code == codes.PRODUCT:
        return x * y
    if code == codes.SHIFT:
        return x + y if x >= since else x
    raise ValueError("not the code of a derived parameter")


@compiled
def redraw(
    parameters: ParameterTable, p: int, seed: int, replication: int, first: int, out: Floats
) -> None:
    """Fill ``out[i]`` with parameter ``p`` drawn afresh at index ``first + i``; shape [T].

    What the parameter derives from is drawn afresh with it.  Index 0 is that of
    :func:`draw_parameters`.
    """
    code, args, entity, table = parameters
    if code[p] >= codes.SUM:
        other = np.empty(len(out))
        redraw(parameters, int(args[p, 0]), seed, replication, first, out)
        redraw(parameters, int(args[p, 1]), seed, replication, first, other)
        for i in range(len(out)):
            out[i] = derive(code[p], out[i], other[i], args[p, 2])
    else:
        for i in range(len(out)):
            out[i] = _draw_row(code, args, entity, table, p, seed, replication, first + i)


def fixed_parameters(parameters: ParameterTable, how: str = "mean") -> Floats:
    """Return one value of every parameter for a deterministic plan.

    Parameters
    ----------
    parameters
        Table of P rows.
    how
        ``"mean"`` or ``"median"``; a derived row is derived from the fixed rows.

    Returns
    -------
    NDArray[float64]
        Shape [P].

    Raises
    ------
    ValueError
        If ``how`` or a code is unknown.
    """
    if how not in ("mean", "median"):
        raise ValueError(f'how must be "mean" or "median", not {how!r}')
    fix = sampling.mean if how == "mean" else sampling.median
    values = np.empty(len(parameters.code))
    for p, (code, args) in enumerate(zip(parameters.code, parameters.args, strict=True)):
        if code in (codes.SUM, codes.PRODUCT, codes.SHIFT):
            values[p] = derive(code, values[int(args[0])], values[int(args[1])], args[2])
        else:
            values[p] = fix(int(code), args, parameters.table)
    return values


@compiled
def series_mean(
    series: SeriesTable,
    values: Floats,
    parameters: ParameterTable,
    s: int,
    t0: float,
    t1: float,
    period_index: int,
    seed: int,
    replication: int,
) -> float:
    """Return the mean of series ``s`` over [t0, t1), or its value at t0 if t1 <= t0.

    Parameters
    ----------
    series
        Table of S series.
    values
        Parameters of the replication, shape [P].
    parameters
        Their table, read by NOISE.
    s
        Row of the series.
    t0, t1
        Period in seconds from the start of the twin.
    period_index
        Number of the period, from 0; NOISE draws at index ``period_index + 1``.
    seed, replication
        Address; with replication < 0 NOISE is the fixed value in ``values``.

    Returns
    -------
    float
        Mean in the unit of the series.
    """
    if series.kind[s] == codes.NOISE:
        p = series.knot_value[series.start[s]]
        if replication < 0:
            return float(values[p])
        noise = np.empty(1)
        redraw(parameters, p, seed, replication, period_index + 1, noise)
        return float(noise[0])
    times = np.empty(series.start[s + 1] - series.start[s])
    levels = np.empty(len(times))
    n = _load_knots(series, values, s, times, levels)
    return knots_mean(series.kind[s], times, levels, n, t0, t1)


@compiled
def evaluate_series(
    series: SeriesTable,
    parameters: ParameterTable,
    values: Floats,
    edges: Floats,
    seed: int,
    replication: int,
    out: Floats,
) -> None:
    """Fill ``out`` with the means of all series over all periods of one replication.

    Parameters
    ----------
    series, parameters, values, seed, replication
        As in :func:`series_mean`.
    edges
        Ascending period edges in seconds from the start of the twin, shape [T + 1].
    out
        Receives the means, shape [S, T].
    """
    times = np.empty(len(series.knot_time))
    levels = np.empty(len(series.knot_time))
    for s in range(len(series.kind)):
        kind = series.kind[s]
        if kind == codes.NOISE:
            p = series.knot_value[series.start[s]]
            if replication < 0:
                out[s, :] = values[p]
            else:
                redraw(parameters, p, seed, replication, 1, out[s])
            continue
        n = _load_knots(series, values, s, times, levels)
        if n == 1:
            out[s, :] = levels[0]
            continue
        knots_means(kind, times, levels, n, edges, out[s])


@compiled_inline
def _load_knots(series: SeriesTable, values: Floats, s: int, times: Floats, levels: Floats) -> int:
    """Fill times and levels of series ``s``, later-listed knots winning; return their number."""
    start = series.start[s]
    n = series.start[s + 1] - start
    least = np.inf
    for k in range(n - 1, -1, -1):
        least = min(least, values[series.knot_time[start + k]])
        times[k] = least
        levels[k] = values[series.knot_value[start + k]]
    return int(n)
