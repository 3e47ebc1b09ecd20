"""The engine against the same rules played step by step: every moment the same, to the bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.serving.requests_reference import exact_law, play

from firsttoken.serving.requests_simulate import simulate
from firsttoken.serving.requests_system import ROUND_ROBIN, Pool, System, Tenant, requests_of

LEVELS = (Tenant("first", priority=1), Tenant("second", priority=0))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Pool, list[tuple[float, int, int, int]]]:
    block = draw(st.sampled_from([1, 4, 16]))
    sequences = draw(st.sampled_from([1, 2, 5, 16]))
    chunk = sequences + draw(st.sampled_from([1, 7, 64, 512]))
    memory = draw(st.sampled_from([256, 300, 512, 4096]))
    law = exact_law(kv_tokens=float(memory))
    replicas = draw(st.integers(1, 3))
    pool = Pool(law, replicas, sequences, chunk, block, ROUND_ROBIN, prefix_cache=False)
    one = st.tuples(
        st.integers(0, 4096).map(lambda k: k / 512),
        st.integers(1, 120),
        st.integers(1, 120),
        st.integers(0, 1),
    )
    rows = draw(st.lists(one, min_size=1, max_size=40))
    return pool, sorted(rows, key=lambda row: row[0])


@settings(max_examples=60, deadline=None)
@given(cases())
def test_every_request_is_where_the_rules_put_it(
    case: tuple[Pool, list[tuple[float, int, int, int]]],
) -> None:
    pool, rows = case
    arrival, prompt, output, level = (np.array(column) for column in zip(*rows, strict=True))
    requests = requests_of(arrival.astype(float), prompt, output, level)
    result = simulate(System(pool, requests, LEVELS, 4000.0), 1, 1, threads=1, records=True)
    replicas = play(pool, arrival, prompt, output, level)
    ends = {k: v for replica in replicas for k, v in replica.end.items()}
    assert result.finished.sum() == len(rows) == len(ends)
    first = [ends[i][0] for i in range(len(rows))]
    end = [ends[i][1] for i in range(len(rows))]
    np.testing.assert_array_equal(result.records["first"], first)
    np.testing.assert_array_equal(result.records["end"], end)
    assert result.preempted[0, 0] == sum(replica.preempted for replica in replicas)
    assert result.steps[0, 0] == sum(replica.steps for replica in replicas)
    above_idle = result.energy[0, 0] - pool.law.idle * pool.replicas * 4000.0
    np.testing.assert_allclose(above_idle, sum(replica.joules for replica in replicas), rtol=1e-6)


def test_a_day_of_busy_replicas_agrees_too() -> None:
    # Long leaps, cut by arrivals, with memory that runs out again and again.
    random = np.random.default_rng(7)
    n = 600
    arrival = np.sort(random.integers(0, 1 << 16, n)) / 512
    prompt, output = random.integers(1, 400, n), random.integers(1, 300, n)
    level = random.integers(0, 2, n)
    pool = Pool(exact_law(), 2, 24, 256, 16, ROUND_ROBIN, prefix_cache=False)
    system = System(pool, requests_of(arrival, prompt, output, level), LEVELS, 10000.0)
    result = simulate(system, 1, 1, threads=1, records=True)
    replicas = play(pool, arrival, prompt, output, level)
    ends = {k: v for replica in replicas for k, v in replica.end.items()}
    assert sum(replica.preempted for replica in replicas) > 20
    np.testing.assert_array_equal(result.records["end"], [ends[i][1] for i in range(n)])
    np.testing.assert_array_equal(result.records["first"], [ends[i][0] for i in range(n)])
