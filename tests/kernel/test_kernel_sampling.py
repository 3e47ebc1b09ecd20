"""Every distribution against scipy.stats: sample, mean, median, support."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import config
from scipy import stats

from firsttoken.kernel import codes, sampling
from firsttoken.kernel.compiled import compiled

N = 1_500 if config.DISABLE_JIT else 100_000
NONE = np.empty((0, 2))


@compiled
def fill(code: int, args: np.ndarray, table: np.ndarray, seed: int, out: np.ndarray) -> None:
    for r in range(len(out)):
        out[r] = sampling.sample(code, args, table, seed, r, 77, 3, 0)


def draws(code: int, args: tuple[float, ...], table: np.ndarray = NONE, n: int = N) -> np.ndarray:
    out = np.empty(n)
    fill(code, np.array([*args, 0, 0, 0, 0][:4], float), table, 2024, out)
    return out


def four(*args: float) -> np.ndarray:
    return np.array([*args, 0, 0, 0, 0][:4], float)


def pert(low: float, mode: float, high: float, weight: float) -> stats.rv_continuous:
    # Source: D. Vose, Risk Analysis (2008), modified PERT
    width = high - low
    a, b = 1 + weight * (mode - low) / width, 1 + weight * (high - mode) / width
    return stats.beta(a, b, low, width)


CONTINUOUS = [
    (codes.UNIFORM, (2, 5), stats.uniform(2, 3)),
    (codes.TRIANGULAR, (8, 12, 16), stats.triang(0.5, 8, 8)),
    (codes.TRIANGULAR, (8, 8, 16), stats.triang(0.0, 8, 8)),
    (codes.TRIANGULAR, (8, 16, 16), stats.triang(1.0, 8, 8)),
    (codes.TRIANGULAR, (0.88, 0.94, 0.97), stats.triang(0.06 / 0.09, 0.88, 0.09)),
    (codes.NORMAL, (10, 2), stats.norm(10, 2)),
    (codes.LOGNORMAL, (1, 0.5), stats.lognorm(0.5, scale=math.e)),
    (codes.GAMMA, (0.3, 2), stats.gamma(0.3, scale=2)),
    (codes.GAMMA, (1, 2), stats.gamma(1, scale=2)),
    (codes.GAMMA, (7.5, 0.1), stats.gamma(7.5, scale=0.1)),
    (codes.BETA_PERT, (8, 10, 14, 4), pert(8, 10, 14, 4)),
    (codes.BETA_PERT, (8, 8, 14, 4), pert(8, 8, 14, 4)),
    (codes.BETA_PERT, (8, 13, 14, 2), pert(8, 13, 14, 2)),
    (codes.EXPONENTIAL, (3,), stats.expon(scale=3)),
    (codes.WEIBULL, (0.7, 5), stats.weibull_min(0.7, scale=5)),
    (codes.WEIBULL, (3, 5), stats.weibull_min(3, scale=5)),
]


@pytest.mark.parametrize(("code", "args", "law"), CONTINUOUS)
def test_continuous(code: int, args: tuple[float, ...], law: stats.rv_continuous) -> None:
    out = draws(code, args)
    assert stats.kstest(out, law.cdf).pvalue > 1e-3
    assert abs(out.mean() - law.mean()) < 4 * law.std() / math.sqrt(N)
    assert sampling.mean(code, four(*args), NONE) == pytest.approx(law.mean(), rel=1e-12)
    assert sampling.median(code, four(*args), NONE) == pytest.approx(law.median(), rel=1e-9)
    low, high = sampling.bounds(code, four(*args), NONE)
    assert (low, high) == pytest.approx(law.support())
    assert low <= out.min() <= out.max() <= high


DEGENERATE = [
    (codes.CONSTANT, (4,)),
    (codes.UNIFORM, (4, 4)),
    (codes.TRIANGULAR, (4, 4, 4)),
    (codes.NORMAL, (4, 0)),
    (codes.BETA_PERT, (4, 4, 4, 4)),
]


@pytest.mark.parametrize(("code", "args"), DEGENERATE)
def test_degenerate(code: int, args: tuple[float, ...]) -> None:
    assert set(draws(code, args, n=20)) == {4}
    assert sampling.mean(code, four(*args), NONE) == 4
    assert sampling.median(code, four(*args), NONE) == 4
    assert sampling.bounds(code, four(*args), NONE) == (4, 4)


def test_discrete() -> None:
    rows = sampling.discrete_rows([30, 10, 20], [1, 2, 1])
    assert rows.tolist() == [[10, 0.5], [20, 0.75], [30, 1]]
    table = np.vstack([[[99, 1]], rows, [[99, 1]]])
    args = four(1, 3)
    out = draws(codes.DISCRETE, (1, 3), table)
    counts = [int((out == x).sum()) for x in (10, 20, 30)]
    assert stats.chisquare(counts, N * np.array([0.5, 0.25, 0.25])).pvalue > 1e-3
    assert sampling.mean(codes.DISCRETE, args, table) == 17.5
    assert sampling.median(codes.DISCRETE, args, table) == 10
    assert sampling.bounds(codes.DISCRETE, args, table) == (10, 30)


def test_discrete_never_draws_an_impossible_value() -> None:
    rows = sampling.discrete_rows([1, 2, 3], [0, 1, 0])
    assert set(draws(codes.DISCRETE, (0, 3), rows, n=1000)) == {2}


def test_empirical_is_the_linear_quantile_of_numpy() -> None:
    data = np.random.default_rng(1).gamma(2, size=31)
    rows = sampling.empirical_rows(data)
    table = np.vstack([[[99, 1]], rows])
    args = four(1, 31)
    for u in np.linspace(0.001, 0.999, 50):
        ours = sampling.table_quantile(codes.EMPIRICAL, table, 1, 31, u)
        assert ours == pytest.approx(np.quantile(data, u), rel=1e-12)
    out = draws(codes.EMPIRICAL, (1, 31), table)
    mean = sampling.mean(codes.EMPIRICAL, args, table)
    assert abs(out.mean() - mean) < 4 * out.std() / math.sqrt(N)
    assert sampling.median(codes.EMPIRICAL, args, table) == pytest.approx(np.median(data))
    assert sampling.bounds(codes.EMPIRICAL, args, table) == (data.min(), data.max())


def test_empirical_of_one_observation() -> None:
    rows = sampling.empirical_rows([5])
    assert set(draws(codes.EMPIRICAL, (0, 1), rows, n=10)) == {5}
    assert sampling.mean(codes.EMPIRICAL, four(0, 1), rows) == 5


@pytest.mark.parametrize(
    "args", [([1], [1, 2]), ([], []), ([1, 2], [-1, 2]), ([1], [0]), ([math.nan], [1])]
)
def test_discrete_rows_refuse(args: tuple[list[float], list[float]]) -> None:
    with pytest.raises(ValueError, match=r"discrete|probabilities"):
        sampling.discrete_rows(*args)


@pytest.mark.parametrize("data", [[], [math.nan], [[1, 2]], [math.inf]])
def test_empirical_rows_refuse(data: list[float]) -> None:
    with pytest.raises(ValueError, match="finite observations"):
        sampling.empirical_rows(data)


def test_unknown_codes_are_refused() -> None:
    for function in (sampling.mean, sampling.median, sampling.bounds):
        with pytest.raises(ValueError, match="code of a distribution"):
            function(99, four(1), NONE)
    with pytest.raises(ValueError, match="code of a distribution"):
        sampling.sample(99, four(1), NONE, 1, 0, 0, 1, 0)


@given(st.floats(1e-9, 1 - 1e-9), st.floats(0, 1), st.floats(0, 1))
def test_triangular_quantile_inverts_its_distribution(u: float, mode: float, share: float) -> None:
    low, high = 3.0, 3.0 + 5 * share
    mode = low + mode * (high - low)
    x = sampling.quantile(codes.TRIANGULAR, low, mode, high, u)
    assert low <= x <= high
    if high - low > 1e-3:
        law = stats.triang((mode - low) / (high - low), low, high - low)
        assert law.cdf(x) == pytest.approx(u, abs=1e-8)


@given(st.floats(0.01, 0.98), st.floats(0.01, 10), st.floats(0.1, 5))
def test_quantiles_increase(u: float, a: float, b: float) -> None:
    for code in (codes.NORMAL, codes.LOGNORMAL, codes.EXPONENTIAL, codes.WEIBULL):
        low, high = (sampling.quantile(code, a, b, 0.0, p) for p in (u, u + 0.01))
        assert low < high
    assert sampling.quantile(codes.CONSTANT, a, b, 0.0, u) == a


def test_attempts_of_one_index_meet_no_other_index() -> None:
    # neighbours in every word of the address stay uncorrelated, rejection or not
    args = four(1.2, 1)
    n = min(N, 20_000)
    x = np.array([sampling.sample(codes.GAMMA, args, NONE, 1, r, 5, 3, 0) for r in range(n)])
    for e, p, i in ((6, 3, 0), (5, 4, 0), (5, 3, 1)):
        y = np.array([sampling.sample(codes.GAMMA, args, NONE, 1, r, e, p, i) for r in range(n)])
        assert abs(np.corrcoef(x, y)[0, 1]) < 4 / math.sqrt(n)


def test_a_stream_that_is_never_accepted_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Marsaglia and Tsang reject a normal number below -1 / c; then the draw is their d."""
    attempts: list[int] = []
    monkeypatch.setattr(sampling, "uniform2", lambda *at: attempts.append(at[3]) or (2.0**-53, 0.5))
    gamma = getattr(sampling._standard_gamma, "py_func", sampling._standard_gamma)
    assert gamma(2.0, 1, 0, 5, 3, 0) == 2 - 1 / 3
    assert len(set(attempts)) == len(attempts) == 2**14
