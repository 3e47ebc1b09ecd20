"""The request mode where queueing theory and arithmetic know the answer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.serving.requests_reference import exact_law

from firsttoken.kernel import codes
from firsttoken.kernel.sketch import PER_OCTAVE
from firsttoken.serving.requests_result import QUANTILES
from firsttoken.serving.requests_simulate import simulate
from firsttoken.serving.requests_system import Pool, System, Tenant, requests_of
from firsttoken.serving.system import StepLaw
from firsttoken.serving.traffic_generate import Drawn, Generator, Stream

LENGTH = 20000.0
REPLICATIONS = 12


def drawn(code: int, *args: float) -> Drawn:
    return Drawn(code, np.array([*args, *[0.0] * (4 - len(args))]))


def constant_law(second: float) -> StepLaw:
    """Steps of one length, whatever they do."""
    nothing = np.zeros(2)
    return exact_law(
        tokens=np.array([0.0, 1e6]),
        seconds=nothing,
        joules=nothing,
        overhead=second,
        kv_second=0.0,
        pair_second=0.0,
        kv_tokens=1e6,
    )


def stream(rate: float, output: Drawn, tenant: int = 0, **more: float) -> Stream:
    prompt = drawn(codes.CONSTANT, 10.0)
    edges, rates = np.array([0.0, LENGTH]), np.array([rate])
    return Stream(edges, rates, prompt, output, tenant=tenant, entity=100 + tenant, **more)


def near(found: np.ndarray, exact: float, share: float = 0.0) -> None:
    """The mean of replications is the exact one within 3.5 standard errors (or a share)."""
    error = float(found.std(ddof=1)) / math.sqrt(len(found))
    assert abs(float(found.mean()) - exact) <= max(3.5 * error, share * exact)


def test_a_batch_of_one_and_one_token_is_m_d_1() -> None:
    # Kleinrock: Queueing Systems, vol. 1 (1975), 5.6: the mean wait in M/D/1 is
    # rho / (2 (1 - rho)) services.
    second, rho = 0.5, 0.8
    traffic = Generator((stream(rho / second, drawn(codes.CONSTANT, 1.0)),))
    pool = Pool(constant_law(second), 1, sequences=1, prefix_cache=False)
    system = System(pool, traffic, (Tenant("a"),), LENGTH, warmup=2000.0, tick=100.0)
    result = simulate(system, REPLICATIONS, 1)
    near(result.mean[:, 0, 0], second + second * rho / (2 * (1 - rho)), 0.002)
    near(result.busy_time[:, 0] / LENGTH, rho, 0.002)


def test_a_batch_of_one_is_m_g_1() -> None:
    # The formula of Pollaczek and Khinchine (Kleinrock, equation 5.70), with the service of a
    # request its number of tokens: 1 to 5 of equal chance, so that E[S^2] = 11 and E[S] = 3.
    second, rho = 0.25, 0.7
    table = np.column_stack([np.arange(1.0, 6.0), np.arange(1, 6) / 5])
    output = Drawn(codes.DISCRETE, np.array([0.0, 5.0, 0.0, 0.0]), table)
    rate = rho / (3 * second)
    traffic = Generator((stream(rate, output),))
    pool = Pool(constant_law(second), 1, sequences=1, prefix_cache=False)
    system = System(pool, traffic, (Tenant("a"),), LENGTH, warmup=2000.0, tick=100.0)
    result = simulate(system, REPLICATIONS, 2)
    wait = rate * 11 * second**2 / (2 * (1 - rho))
    near(result.mean[:, 0, 0], wait + second, 0.002)
    near(result.mean[:, 0, 2], wait + 3 * second, 0.002)
    near(result.mean[:, 0, 1], second, 1e-9)


def test_priorities_are_those_of_cobham() -> None:
    # Cobham, Priority assignment in waiting line problems, Operations Research 2 (1954) 70-76:
    # non-preemptive, W_k = R / ((1 - s_(k-1)) (1 - s_k)), with R = sum of rate E[S^2] / 2.
    second = 0.5
    rates = (0.6, 0.8)
    one = drawn(codes.CONSTANT, 1.0)
    traffic = Generator((stream(rates[0], one, 0), stream(rates[1], one, 1)))
    tenants = (Tenant("paid", priority=5), Tenant("free", priority=-1))
    pool = Pool(constant_law(second), 1, sequences=1, prefix_cache=False)
    result = simulate(System(pool, traffic, tenants, LENGTH, warmup=2000.0, tick=100.0), 12, 3)
    left = second**2 * sum(rates) / 2
    loads = np.cumsum(rates) * second
    near(result.mean[:, 0, 0] - second, left / (1 - loads[0]), 0.003)
    near(result.mean[:, 1, 0] - second, left / ((1 - loads[0]) * (1 - loads[1])), 0.003)


def test_littles_law_holds() -> None:
    # Little, Operations Research 9 (1961) 383-387.
    traffic = Generator((stream(3.0, drawn(codes.EXPONENTIAL, 40.0)),))
    pool = Pool(exact_law(kv_tokens=1e6), 2, prefix_cache=False)
    system = System(pool, traffic, (Tenant("a"),), LENGTH, tick=100.0)
    result = simulate(system, 2, 4)
    inside = (result.running + result.waiting)[:, 0].mean(axis=1)
    expected = result.finished[:, 0] / LENGTH * result.mean[:, 0, 2]
    np.testing.assert_allclose(inside, expected, rtol=0.01)


def test_sketched_quantiles_are_those_of_the_records() -> None:
    random = np.random.default_rng(3)
    n = 2000
    arrival = np.sort(random.uniform(0, 500, n))
    prompt, output = random.integers(1, 500, n), random.integers(2, 60, n)
    tenants = (Tenant("a", ttft=0.2, tpot=0.05, e2e=2.5),)
    requests = requests_of(arrival, prompt, output)
    pool = Pool(exact_law(kv_tokens=1e5), 2, 32, prefix_cache=False)
    result = simulate(System(pool, requests, tenants, 4000.0), 1, 1, records=True)
    first, end = result.records["first"], result.records["end"]
    ttft, tpot, e2e = first - arrival, (end - first) / (output - 1), end - arrival
    for name, values in (("ttft", ttft), ("tpot", tpot), ("e2e", e2e)):
        exact = np.quantile(values, QUANTILES)
        np.testing.assert_allclose(result.quantiles(name)[0, 0], exact, rtol=1.5 / PER_OCTAVE)
    good = (ttft <= 0.2) & (tpot <= 0.05) & (e2e <= 2.5)
    assert 0 < good.sum() < n
    assert result.good[0, 0] == good.sum()
    assert result.attainment[0, 0] == pytest.approx(good.mean())
    assert result.goodput[0, 0] == pytest.approx(good.sum() / 4000.0)
    assert result.made[0, 0] == output.sum()
    assert result.computed[0, 0] == prompt.sum()
    assert result.decoded.sum() == pytest.approx(output.sum())
    assert result.prefilled.sum() == pytest.approx(prompt.sum())
