"""Parameters and series: derivations, closed-form means against numerical integrals."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import integrate, stats

from firsttoken.kernel import codes, parameters, sampling, series, streams
from firsttoken.kernel.parameters import ParameterTable, SeriesTable

PIECEWISE = (codes.STEP, codes.LINEAR, codes.S_CURVE)


def table(*rows: tuple[float, ...], lookup: np.ndarray | None = None) -> ParameterTable:
    return ParameterTable(
        np.array([r[0] for r in rows], np.int64),
        np.array([[*r[1:], 0, 0, 0, 0][:4] for r in rows], float),
        np.array([streams.entity_key(str(i)) for i in range(len(rows))], np.uint32),
        np.empty((0, 2)) if lookup is None else lookup,
    )


def constants(*values: float) -> ParameterTable:
    return table(*((codes.CONSTANT, v) for v in values))


def one_series(
    kind: int, times: list[float], levels: list[float]
) -> tuple[SeriesTable, ParameterTable]:
    n = len(times)
    knots = np.arange(n)
    return (
        SeriesTable(np.array([kind]), np.array([0, n]), knots, knots + n),
        constants(*times, *levels),
    )


def value(kind: int, times: list[float], levels: list[float], t: float) -> float:
    """The definition in the module docstring, written down once more, slowly."""
    times = [min(times[k:]) for k in range(len(times))]
    if kind == codes.LEARNING:
        u = (t - times[0]) / (times[1] - times[0])
        return levels[1] - (levels[1] - levels[0]) * 2**-u if u > 0 else levels[0]
    if kind == codes.WRIGHT:
        u = (t - times[0]) / (times[1] - times[0])
        return levels[0] * max(1.0, u) ** math.log2(levels[1])
    known = [k for k in range(len(times)) if times[k] <= t]
    if not known:
        return levels[0]
    k = known[-1]
    if kind == codes.STEP or k == len(times) - 1:
        return levels[k]
    u = (t - times[k]) / (times[k + 1] - times[k])
    share = u if kind == codes.LINEAR else u * u * (3 - 2 * u)
    return levels[k] + (levels[k + 1] - levels[k]) * share


def integral_mean(
    kind: int, times: list[float], levels: list[float], t0: float, t1: float
) -> float:
    cuts = sorted({t0, t1, *(t for t in times if t0 < t < t1)})

    def at(t: float) -> float:
        return value(kind, times, levels, t)

    parts = [integrate.quad(at, a, b, epsabs=1e-11, epsrel=1e-11)[0] for a, b in pairwise(cuts)]
    return sum(parts) / (t1 - t0)


CASES = [
    *((kind, [2.0, 5.0, 9.0], [10.0, -4.0, 7.0]) for kind in PIECEWISE),
    *((kind, [2.0, 9.0, 5.0, 6.5], [10.0, -4.0, 7.0, 3.0]) for kind in PIECEWISE),
    *((kind, [4.0, 4.0, 4.0], [10.0, -4.0, 7.0]) for kind in PIECEWISE),
    *((kind, [3.0], [10.0]) for kind in PIECEWISE),
    (codes.LEARNING, [2.0, 5.0], [0.6, 0.95]),
    (codes.WRIGHT, [2.0, 3.5], [100.0, 0.8]),
    (codes.WRIGHT, [2.0, 3.5], [100.0, 0.5]),
    (codes.WRIGHT, [2.0, 3.5], [100.0, 1.0]),
]


@pytest.mark.parametrize(("kind", "times", "levels"), CASES)
def test_means_are_integrals(kind: int, times: list[float], levels: list[float]) -> None:
    s, p = one_series(kind, times, levels)
    parameters.check_tables(p, s)
    edges = np.array([0.0, 1.0, 2.5, 2.6, 4.0, 4.0, 4.5, 11.0, 30.0])
    values = np.array(p.args[:, 0])
    out = np.empty((1, len(edges) - 1))
    parameters.evaluate_series(s, p, values, edges, 1, 0, out)
    for j in range(len(edges) - 1):
        t0, t1 = edges[j], edges[j + 1]
        mean = parameters.series_mean(s, values, p, 0, t0, t1, j, 1, 0)
        assert out[0, j] == mean
        if t1 > t0:
            assert mean == pytest.approx(integral_mean(kind, times, levels, t0, t1), abs=1e-9)
        else:
            assert mean == pytest.approx(value(kind, times, levels, t0), abs=1e-12)


TIMES = st.lists(st.floats(-50, 150), min_size=1, max_size=5)


@given(st.sampled_from(PIECEWISE), TIMES, st.data())
def test_means_add_up_and_stay_within_the_knots(
    kind: int, times: list[float], data: st.DataObject
) -> None:
    levels = [data.draw(st.floats(-1e3, 1e3)) for _ in times]
    edges = np.array(sorted(data.draw(st.lists(st.floats(-100, 200), min_size=2, max_size=8))))
    assume(edges[-1] - edges[0] > 1e-3)
    s, p = one_series(kind, times, levels)
    values = np.array(p.args[:, 0])
    out = np.empty((1, len(edges) - 1))
    parameters.evaluate_series(s, p, values, edges, 1, 0, out)
    assert np.all(out >= min(levels) - 1e-9)
    assert np.all(out <= max(levels) + 1e-9)
    whole = parameters.series_mean(s, values, p, 0, edges[0], edges[-1], 0, 1, 0)
    parts = float(out[0] @ np.diff(edges)) / (edges[-1] - edges[0])
    assert whole == pytest.approx(parts, rel=1e-6, abs=1e-6)


@given(TIMES, st.floats(-100, 200))
def test_the_later_listed_knot_wins(times: list[float], t: float) -> None:
    levels = [float(k) for k in range(len(times))]
    expected = max((k for k in range(len(times)) if times[k] <= t), default=0)
    got = series.knots_mean(
        codes.STEP, np.array([min(times[k:]) for k in range(len(times))]), np.array(levels),
        len(times), t, t,
    )  # fmt: skip
    assert got == expected


def test_a_knot_that_never_comes() -> None:
    for kind in PIECEWISE:
        s, p = one_series(kind, [0.0, math.inf], [3.0, 9.0])
        values = np.array(p.args[:, 0])
        assert parameters.series_mean(s, values, p, 0, 5.0, 10.0, 0, 1, 0) == 3.0


def test_wright_halves_with_each_doubling() -> None:
    # Source: Wright 1936: an 80 % curve costs 80 % at twice the cumulative units
    s, p = one_series(codes.WRIGHT, [0.0, 1.0], [100.0, 0.8])
    values = np.array(p.args[:, 0])
    for unit, cost in ((1.0, 100.0), (2.0, 80.0), (4.0, 64.0), (8.0, 51.2)):
        assert parameters.series_mean(s, values, p, 0, unit, unit, 0, 1, 0) == pytest.approx(cost)


def test_learning_reaches_half_way_at_its_second_knot() -> None:
    s, p = one_series(codes.LEARNING, [10.0, 20.0], [0.6, 1.0])
    values = np.array(p.args[:, 0])
    for t, y in ((0.0, 0.6), (10.0, 0.6), (20.0, 0.8), (30.0, 0.9)):
        assert parameters.series_mean(s, values, p, 0, t, t, 0, 1, 0) == pytest.approx(y)


@pytest.mark.parametrize(("kind", "after"), [(codes.LEARNING, 7.0), (codes.WRIGHT, 5.0)])
def test_curves_without_a_time_scale(kind: int, after: float) -> None:
    s, p = one_series(kind, [10.0, 8.0], [5.0, 7.0])
    values = np.array(p.args[:, 0])
    assert parameters.series_mean(s, values, p, 0, 0.0, 8.0, 0, 1, 0) == 5.0
    assert parameters.series_mean(s, values, p, 0, 8.0, 12.0, 0, 1, 0) == after


def test_short_periods_late_on_a_curve_keep_their_digits() -> None:
    for kind, levels in ((codes.LEARNING, [1.0, 2.0]), (codes.WRIGHT, [100.0, 0.5 + 1e-13])):
        s, p = one_series(kind, [0.0, 1.0], levels)
        values = np.array(p.args[:, 0])
        mean = parameters.series_mean(s, values, p, 0, 40.0, 40.0 + 1e-9, 0, 1, 0)
        assert mean == pytest.approx(value(kind, [0.0, 1.0], levels, 40.0), rel=1e-10)


def test_derived_parameters() -> None:
    p = table(
        (codes.CONSTANT, 3),
        (codes.CONSTANT, 4),
        (codes.SUM, 0, 1),
        (codes.PRODUCT, 2, 1),
        (codes.SHIFT, 3, 0, 28),
        (codes.SHIFT, 3, 0, 28.5),
    )
    parameters.check_tables(p)
    out = np.empty(6)
    parameters.draw_parameters(p, 1, 0, out)
    assert out.tolist() == [3, 4, 7, 28, 31, 28]
    assert parameters.fixed_parameters(p).tolist() == out.tolist()
    with pytest.raises(ValueError, match="derived"):
        parameters.draw_parameters(table((codes.CONSTANT, 3), (23, 0, 0)), 1, 0, out)


def test_drawn_parameters_are_samples_at_their_own_address() -> None:
    lookup = np.vstack([sampling.discrete_rows([1, 2], [1, 1]), sampling.empirical_rows([3, 4, 9])])
    p = table(
        (codes.TRIANGULAR, 1, 2, 3),
        (codes.DISCRETE, 0, 2),
        (codes.EMPIRICAL, 2, 3),
        (codes.GAMMA, 2, 3),
        lookup=lookup,
    )
    parameters.check_tables(p)
    out = np.empty((7, 4))
    parameters.draw_replications(p, 99, 10, out)
    for i in range(7):
        for k in range(4):
            key = streams.entity_key(str(k))
            assert out[i, k] == sampling.sample(
                int(p.code[k]), p.args[k], lookup, 99, 10 + i, key, streams.PARAMETER, 0
            )


def test_fixed_parameters() -> None:
    lookup = sampling.discrete_rows([0, 100], [0.6, 0.4])
    p = table((codes.DISCRETE, 0, 2), (codes.UNIFORM, 2, 6), (codes.SUM, 0, 1), lookup=lookup)
    assert parameters.fixed_parameters(p, "mean").tolist() == [40, 4, 44]
    assert parameters.fixed_parameters(p, "median").tolist() == [0, 4, 4]
    with pytest.raises(ValueError, match="median"):
        parameters.fixed_parameters(p, "mode")


def test_noise_is_redrawn_each_period() -> None:
    p = table((codes.NORMAL, 5, 1), (codes.CONSTANT, 2), (codes.PRODUCT, 0, 1), (codes.CONSTANT, 0))
    s = SeriesTable(np.array([codes.NOISE] * 2), np.arange(3), np.array([3, 3]), np.array([0, 2]))
    parameters.check_tables(p, s)
    values = np.empty(4)
    parameters.draw_parameters(p, 1, 6, values)
    edges = np.linspace(0, 1, 401)
    out = np.empty((2, 400))
    parameters.evaluate_series(s, p, values, edges, 1, 6, out)
    assert stats.kstest(out[0], stats.norm(5, 1).cdf).pvalue > 1e-3
    assert np.array_equal(out[1], 2 * out[0])
    assert values[0] not in out[0]
    for j in (0, 1, 399):
        mean = parameters.series_mean(s, values, p, 1, edges[j], edges[j + 1], j, 1, 6)
        assert mean == out[1, j]
    parameters.evaluate_series(s, p, values, edges, 1, -1, out)
    assert np.all(out == [[values[0]], [values[2]]])
    assert parameters.series_mean(s, values, p, 0, 0.0, 1.0, 0, 1, -1) == values[0]


GOOD = constants(1, 2)
BAD_PARAMETERS = [
    GOOD._replace(args=np.zeros((2, 3))),
    GOOD._replace(entity=np.zeros(3, np.uint32)),
    GOOD._replace(table=np.zeros((2, 3))),
    table((codes.CONSTANT, 1), (codes.SUM, 0, 1)),
    table((codes.CONSTANT, 1), (codes.SUM, 0, -1)),
    table((codes.DISCRETE, 0, 1)),
    table((codes.EMPIRICAL, 0, 0), lookup=np.ones((1, 2))),
    table((15, 0)),
    table((-1, 0)),
]


@pytest.mark.parametrize("bad", BAD_PARAMETERS)
def test_bad_parameter_tables_are_refused(bad: ParameterTable) -> None:
    with pytest.raises(ValueError, match=r"parameter|table"):
        parameters.check_tables(bad)


def knots(kind: int, *indices: int) -> SeriesTable:
    return SeriesTable(
        np.array([kind]), np.array([0, len(indices)]), np.array(indices), np.array(indices)
    )


@pytest.mark.parametrize(
    "bad",
    [
        knots(codes.STEP),
        knots(codes.STEP, 2),
        knots(codes.STEP, -1),
        knots(codes.LEARNING, 0),
        knots(codes.NOISE, 0, 1),
        knots(6, 0),
        knots(codes.STEP, 0, 1)._replace(start=np.array([0, 1])),
        knots(codes.STEP, 0, 1)._replace(start=np.array([0, 1, 2])),
    ],
)
def test_bad_series_tables_are_refused(bad: SeriesTable) -> None:
    with pytest.raises(ValueError, match=r"series|knot"):
        parameters.check_tables(GOOD, bad)
