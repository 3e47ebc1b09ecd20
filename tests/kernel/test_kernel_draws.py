"""Numbers in blocks: the numbers of the addresses, of every distribution, whatever the block."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import config
from scipy import stats

from firsttoken.kernel import codes, draws, events, sampling, streams
from firsttoken.kernel.compiled import compiled
from firsttoken.kernel.memory import NUMBER, Memory, aligned
from firsttoken.kernel.random import uniform, uniform2

PURE = bool(config.DISABLE_JIT)
N = 1_500 if PURE else 60_000
SEED, REPLICATION = 2024, 3
OBSERVED = np.random.default_rng(1).gamma(2, 10, size=31)
TABLE = np.vstack(
    [sampling.discrete_rows([30, 10, 20], [1, 2, 1]), sampling.empirical_rows(OBSERVED)]
)


def pert(low: float, mode: float, high: float, weight: float) -> stats.rv_continuous:
    # Source: D. Vose, Risk Analysis (2008), modified PERT
    width = high - low
    a, b = 1 + weight * (mode - low) / width, 1 + weight * (high - mode) / width
    return stats.beta(a, b, low, width)


LAWS = {
    "constant": (codes.CONSTANT, (4,), None),
    "uniform": (codes.UNIFORM, (2, 5), stats.uniform(2, 3)),
    "triangular": (codes.TRIANGULAR, (8, 12, 16), stats.triang(0.5, 8, 8)),
    "normal": (codes.NORMAL, (10, 2), stats.norm(10, 2)),
    "lognormal": (codes.LOGNORMAL, (1, 0.5), stats.lognorm(0.5, scale=math.e)),
    "gamma": (codes.GAMMA, (2.5, 2), stats.gamma(2.5, scale=2)),
    "small gamma": (codes.GAMMA, (0.3, 2), stats.gamma(0.3, scale=2)),
    "beta_pert": (codes.BETA_PERT, (8, 10, 14, 4), pert(8, 10, 14, 4)),
    "exponential": (codes.EXPONENTIAL, (3,), stats.expon(scale=3)),
    "weibull": (codes.WEIBULL, (3, 5), stats.weibull_min(3, scale=5)),
    "discrete": (
        codes.DISCRETE,
        (0, 3),
        stats.rv_discrete(values=([10, 20, 30], [0.5, 0.25, 0.25])),
    ),
    "empirical": (codes.EMPIRICAL, (3, 31), None),
}
NAMES = list(LAWS)
REJECTION = (codes.GAMMA, codes.BETA_PERT)

# Where the logarithm, exponential or power is not the same code in a loop and alone: a few ulp.
TOLERANCE = {"exponential": 1e-15, "lognormal": 1e-15, "weibull": 1e-15}


@compiled
def take(m: Any, s: int, out: np.ndarray) -> None:
    for i in range(len(out)):
        out[i] = draws.next_number(m, s)


@compiled
def take_in_turn(m: Any, order: np.ndarray, out: np.ndarray) -> None:
    for i in range(len(order)):
        out[i] = draws.next_number(m, order[i])


def four(name: str) -> np.ndarray:
    return np.array([*LAWS[name][1], 0, 0, 0, 0][:4], float)


def entity(name: str) -> int:
    return streams.entity_key(f"line.houston.{name}")


def memory(names: list[str] = NAMES, block: int = draws.BLOCK) -> Memory:
    clock = aligned(1, events.CLOCK)
    clock["seed"], clock["replication"] = SEED, REPLICATION
    state = aligned(len(names), draws.STREAM_STATE)
    state["used"] = block  # nothing is drawn yet
    state["purpose"] = streams.PROCESS
    state["rows"] = len(TABLE)
    for row, name in zip(state, names, strict=True):
        row["code"], row["entity"] = LAWS[name][0], entity(name)
        row["a"], row["b"], row["c"], row["d"] = four(name)
    table = aligned(TABLE.size, NUMBER)
    table["v"] = TABLE.ravel()
    return Memory(
        {
            events.CLOCK_SLOT: clock,
            draws.STREAM_SLOT: state,
            draws.BLOCK_SLOT: aligned(len(names) * block, NUMBER),
            draws.TABLE_SLOT: table,
        }
    )


def numbers(tables: Memory, s: int, count: int) -> np.ndarray:
    out = np.empty(count)
    take(tables.m, s, out)
    return out


def addressed(name: str, k: int) -> float:
    """Return number ``k`` of a stream by the definition of its address."""
    code, args = LAWS[name][0], four(name)
    address = (SEED, REPLICATION, entity(name), streams.PROCESS)
    if code in REJECTION:
        return sampling.sample(code, args, TABLE, *address, k)
    u = uniform2(*address, k // 2)[k % 2]
    if code in (codes.DISCRETE, codes.EMPIRICAL):
        return sampling.table_quantile(code, TABLE, int(args[0]), int(args[1]), u)
    return sampling.quantile(code, args[0], args[1], args[2], u)


@pytest.mark.parametrize("name", NAMES)
def test_every_number_is_that_of_its_address(name: str) -> None:
    out = numbers(memory(), NAMES.index(name), 3 * draws.BLOCK + 5)
    expected = [addressed(name, k) for k in range(len(out))]
    np.testing.assert_allclose(out, expected, rtol=TOLERANCE.get(name, 0))


@pytest.mark.parametrize("name", [n for n in NAMES if LAWS[n][0] not in REJECTION])
def test_even_numbers_are_those_of_sample(name: str) -> None:
    address = (SEED, REPLICATION, entity(name), streams.PROCESS)
    out = numbers(memory(), NAMES.index(name), 150)[::2]
    expected = [sampling.sample(LAWS[name][0], four(name), TABLE, *address, i) for i in range(75)]
    np.testing.assert_allclose(out, expected, rtol=TOLERANCE.get(name, 0))


def test_the_standard_uniform_is_the_uniform_of_the_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(LAWS, "uniform", (codes.UNIFORM, (0, 1), None))
    address = (SEED, REPLICATION, entity("uniform"), streams.PROCESS)
    out = numbers(memory(["uniform"]), 0, 100)
    assert out[::2].tolist() == [uniform(*address, i) for i in range(50)]


@pytest.mark.skipif(not PURE, reason="the block is compiled in")
def test_the_block_changes_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = {name: numbers(memory([name]), 0, 300).tolist() for name in NAMES}
    for block in (2, 8, 256):
        monkeypatch.setattr(draws, "BLOCK", block)
        for name in NAMES:
            assert numbers(memory([name], block), 0, 300).tolist() == expected[name]


@given(st.lists(st.integers(0, len(NAMES) - 1), max_size=300))
def test_streams_do_not_disturb_each_other(order: list[int]) -> None:
    out = np.empty(len(order))
    together, alone = memory(), memory()
    take_in_turn(together.m, np.array(order, np.int64), out)
    for s in set(order):
        mine = out[np.array(order) == s]
        assert mine.tolist() == numbers(alone, s, len(mine)).tolist()


@pytest.mark.parametrize("name", [n for n in NAMES if LAWS[n][2] is not None])
def test_mean_variance_and_law(name: str) -> None:
    law = LAWS[name][2]
    out = numbers(memory(), NAMES.index(name), N)
    assert abs(out.mean() - law.mean()) < 4 * law.std() / math.sqrt(N)
    # the standard error of a sample variance, e.g. Mood, Graybill, Boes (1974), VI.2.3
    kurtosis = float(law.stats(moments="k"))
    error = law.var() * math.sqrt((kurtosis + 2) / N)
    assert abs(out.var() - law.var()) < 4 * error
    assert abs(np.corrcoef(out[1:], out[:-1])[0, 1]) < 4 / math.sqrt(N)
    if LAWS[name][0] != codes.DISCRETE:
        assert stats.kstest(out, law.cdf).pvalue > 1e-3


def test_the_empirical_is_made_of_its_observations() -> None:
    out = numbers(memory(), NAMES.index("empirical"), N)
    assert OBSERVED.min() <= out.min() <= out.max() <= OBSERVED.max()
    mean = sampling.mean(codes.EMPIRICAL, four("empirical"), TABLE)
    assert abs(out.mean() - mean) < 4 * out.std() / math.sqrt(N)


def test_replications_and_seeds_have_their_own_numbers() -> None:
    s = NAMES.index("normal")
    first = numbers(memory(), s, N)
    for field in ("seed", "replication"):
        tables = memory()
        tables[events.CLOCK_SLOT][field] += 1
        other = numbers(tables, s, N)
        assert not np.any(other == first)
        assert abs(np.corrcoef(first, other)[0, 1]) < 4 / math.sqrt(N)


def test_a_constant_is_never_drawn() -> None:
    tables = memory()
    s = NAMES.index("constant")
    assert set(numbers(tables, s, 200)) == {4}
    assert tables[draws.STREAM_SLOT]["drawn"][s] == 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("before", [0, 1, 63, 64, 100])
def test_a_copy_of_the_state_goes_on_the_same_way(name: str, before: int) -> None:
    tables = memory([name])
    numbers(tables, 0, before)
    state = tables.copy({"stream": draws.STREAM_SLOT, "block": draws.BLOCK_SLOT})
    expected = numbers(tables, 0, 150)
    other = memory([name])
    other.replace(draws.STREAM_SLOT, state["stream"])
    other.replace(draws.BLOCK_SLOT, state["block"])
    assert numbers(other, 0, 150).tolist() == expected.tolist()
