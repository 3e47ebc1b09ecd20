"""Whatever happens to a service, nothing is lost: hypothesis makes it happen.

The engine checks requests, tokens, blocks of KV and energy itself at the end of every replication
and raises if they do not balance; here everything is switched on at once.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.serving.requests_reference import exact_law

from firsttoken.kernel import codes
from firsttoken.serving.requests_result import RequestResult
from firsttoken.serving.requests_simulate import identity, simulate, snapshot
from firsttoken.serving.requests_system import (
    CAP,
    COUNT,
    FAIL,
    SPEED,
    Change,
    Pool,
    Scaling,
    System,
    Tenant,
    requests_of,
)
from firsttoken.serving.traffic_generate import Drawn, Generator, Stream
from firsttoken.twin.findings import TwinError

TENANTS = (Tenant("a", priority=1, ttft=1.0), Tenant("b", tpot=0.05))
END = 120.0


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    progress = draw(st.sampled_from([1.0, 1.0, 1.7]))
    scaling = draw(
        st.sampled_from(
            [None, Scaling(1, 0.5, 5.0, 3.0, 10.0), Scaling(0, 0.3, 2.0, 0.0, 0.0)],
        )
    )
    return Pool(
        exact_law(kv_tokens=draw(st.sampled_from([320.0, 640.0, 4096.0])), link=2.0**16),
        replicas=draw(st.integers(1, 4)),
        sequences=draw(st.sampled_from([1, 4, 12])),
        chunk=draw(st.sampled_from([40, 256])),
        block=16,
        routing=draw(st.integers(0, 3)),
        prefix_cache=draw(st.booleans()),
        width=2 if progress > 1.0 else 1,
        progress=progress,
        scaling=scaling,
        startup=draw(st.sampled_from([0.0, 2.0])),
        mtbf=draw(st.sampled_from([np.inf, 20.0])),
        mttr=draw(st.sampled_from([0.0, 5.0])),
    )


@st.composite
def systems(draw: st.DrawFn) -> System:
    prefill = draw(pools())
    decode = draw(st.none() | pools())
    pool = st.integers(0, 0 if decode is None else 1)
    both = [prefill] if decode is None else [prefill, decode]
    changes = []
    for time in draw(st.lists(st.integers(0, 110), max_size=6)):
        p = draw(pool)
        most = both[p].replicas
        what = draw(st.sampled_from([COUNT, CAP, SPEED, FAIL]))
        value = {
            COUNT: st.integers(0, most),
            CAP: st.sampled_from([0.0, 130.0 * most, np.inf]),
            SPEED: st.sampled_from([0.0, 0.5, 1.0]),
            FAIL: st.integers(0, most - 1),
        }[what]
        changes.append(Change(float(time), p, what, float(draw(value)), 7.0))
    random = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    n = draw(st.integers(1, 150))
    prompt = random.integers(1, 300, n)
    counts = -(-prompt // 32)
    requests = requests_of(
        np.sort(random.integers(0, 60 * 64, n)) / 64,
        prompt,
        random.integers(1, 80, n),
        random.integers(0, 2, n),
        session=random.integers(0, 9, n),
        hashes=np.concatenate([np.arange(c) + 100 * random.integers(0, 5) for c in counts]),
        first=np.concatenate([[0], np.cumsum(counts)]),
    )
    return System(
        prefill, requests, TENANTS, END, decode=decode, hash_block=32, changes=tuple(changes)
    )


def same(one: RequestResult, other: RequestResult) -> None:
    for field in fields(RequestResult):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if field.name == "records":
            assert all((np.array_equal(a[k], b[k], equal_nan=True)) for k in a)
        else:
            assert np.asarray(a).tobytes() == np.asarray(b).tobytes(), field.name


@settings(max_examples=30, deadline=None)
@given(systems())
def test_nothing_is_lost_whatever_happens(system: System) -> None:
    whole = simulate(system, 1, 5, threads=1)
    left = whole.arrived - whole.finished - whole.refused - whole.in_hand
    assert not left.any()
    assert (whole.replicas <= np.array([[[p.replicas]] for p in both(system)])[:, :, 0]).all()
    assert (whole.peak_kv <= 1.0).all()
    limits = [p.replicas * p.law.limit for p in both(system)]
    assert (whole.power.max(axis=2) <= np.array(limits) + 1e-6).all()
    # A run that is cut in two, with the state handed over, is the same run.
    state = snapshot(system, 5, 0, 41.5)
    first = simulate(system, 1, 5, horizon=41.5, threads=1)
    second = simulate(system, 1, 5, initial_state=state, threads=1)
    for name in ("finished", "arrived", "made", "wasted", "restarted", "preempted", "failures"):
        total = getattr(first, name) + getattr(second, name)
        np.testing.assert_array_equal(total, getattr(whole, name), err_msg=name)
    np.testing.assert_array_equal(second.in_hand, whole.in_hand)
    # Steps that are taken at once count evenly: where they are cut changes their sum a little.
    np.testing.assert_allclose(first.energy + second.energy, whole.energy, rtol=1e-3)
    joined = second.power.copy()
    joined[:, :, :41] = first.power[:, :, :41]
    joined[:, :, 41] = (first.power[:, :, 41] + second.power[:, :, 41]) / 2
    np.testing.assert_allclose(joined, whole.power, rtol=0.05)


def both(system: System) -> list[Pool]:
    return [system.pool] if system.decode is None else [system.pool, system.decode]


def drawn(code: int, *args: float) -> Drawn:
    return Drawn(code, np.array([*args, *[0.0] * (4 - len(args))]))


def bursts(**changes: Any) -> System:
    edges = np.array([0.0, 300.0])
    streams = tuple(
        Stream(
            edges,
            np.array([rate]),
            drawn(codes.LOGNORMAL, 4.0, 1.0),
            drawn(codes.EXPONENTIAL, 30.0),
            burstiness=2.0,
            tenant=tenant,
            entity=7 + tenant,
        )
        for tenant, rate in enumerate((4.0, 2.0))
    )
    pool = Pool(exact_law(), 3, 16, mtbf=200.0, mttr=20.0, prefix_cache=False)
    system = System(pool, Generator(streams), TENANTS, 300.0)
    return system._replace(**changes)


def test_results_are_the_same_whatever_the_threads() -> None:
    system = bursts()
    one = simulate(system, 8, 11, threads=1)
    assert len(set(one.finished.sum(axis=1).tolist())) > 1
    same(one, simulate(system, 8, 11, threads=2))
    same(one, simulate(system, 8, 11, threads=5))


def test_a_replication_is_the_same_alone_and_among_others() -> None:
    system = bursts()
    many = simulate(system, 4, 11)
    alone = simulate(system, 1, 11, first=2)
    np.testing.assert_array_equal(many.power[2], alone.power[0])
    np.testing.assert_array_equal(many.times[2], alone.times[0])


def test_generated_traffic_goes_on_after_a_snapshot() -> None:
    system = bursts()
    whole = simulate(system, 1, 3)
    state = snapshot(system, 3, 0, 100.0)
    first = simulate(system, 1, 3, horizon=100.0)
    second = simulate(system, 1, 3, initial_state=state)
    np.testing.assert_array_equal(first.finished + second.finished, whole.finished)
    np.testing.assert_array_equal(second.power[:, :, 100:], whole.power[:, :, 100:])


def test_a_state_may_go_on_under_another_cap() -> None:
    system = bursts()
    state = snapshot(system, 3, 0, 100.0)
    capped = system._replace(changes=(Change(100.0, 0, CAP, 330.0),))
    free = simulate(system, 1, 3, initial_state=state)
    less = simulate(capped, 1, 3, initial_state=state)
    assert less.energy[0, 0] < free.energy[0, 0]


def test_a_state_may_go_on_with_other_traffic() -> None:
    system = bursts(traffic=requests_of(np.array([1.0, 90.0]), np.full(2, 9), np.full(2, 5)))
    later = requests_of(np.arange(50.0, 150.0), np.full(100, 9), np.full(100, 5))
    found = simulate(
        system._replace(traffic=later), 1, 3, initial_state=snapshot(system, 3, 0, 100.0)
    )
    assert found.arrived.tolist() == [[49, 0]]  # 101 s and later


def test_a_state_of_another_service_is_refused() -> None:
    state = snapshot(bursts(), 3, 0, 100.0)
    larger = bursts(pool=bursts().pool._replace(replicas=4))
    assert identity(larger) != state.identity
    with pytest.raises(TwinError, match="snapshot is of another service"):
        simulate(larger, 1, 3, initial_state=state)


def test_what_is_wrong_is_told_all_at_once() -> None:
    wrong = requests_of(np.array([3.0, 1.0]), np.array([0, 5]), np.array([4, 4]))
    system = System(
        Pool(exact_law(kv_tokens=3.0), 1, sequences=64, chunk=64),
        wrong,
        TENANTS,
        60.0,
        changes=(Change(0.0, 0, COUNT, 2), Change(0.0, 1, CAP, 2)),
    )
    with pytest.raises(TwinError) as error:
        simulate(system, 1, 1)
    text = str(error.value)
    for part in (
        "request 2 arrives before the one above it",
        "request 1 has prompt tokens: 0",
        "a step of 64 tokens, while 64 sequences may decode",
        "KV memory for 3 tokens",
        "a change to 2 that is not in [0, 1]",
        "a change of pool 1",
    ):
        assert part in text


def test_no_requests_are_no_simulation() -> None:
    none = np.empty(0, np.int64)
    system = System(Pool(exact_law(), 1), requests_of(np.empty(0), none, none), TENANTS, 60.0)
    with pytest.raises(TwinError, match="there is no request"):
        simulate(system, 1, 1)
