"""Small schedules worked out by hand: transfers, caches, failures, caps, replicas that come and go.

The law of all of them: a step takes 1 s, and 1/64 s for each token of a prompt chunk; nothing else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.serving.requests_reference import exact_law

from firsttoken.serving.requests_result import RequestResult
from firsttoken.serving.requests_simulate import simulate
from firsttoken.serving.requests_system import (
    CAP,
    COUNT,
    FAIL,
    LEAST_LOADED,
    PREFIX,
    ROUND_ROBIN,
    SESSION,
    SPEED,
    Change,
    Pool,
    Requests,
    Scaling,
    System,
    Tenant,
    requests_of,
)

TENANT = (Tenant("a"),)


def law(**changes: Any) -> Any:
    given = {
        "tokens": np.array([0.0, 8192.0]),
        "seconds": np.array([0.0, 128.0]),
        "joules": np.array([0.0, 0.0]),
        "overhead": 1.0,
        "energy_step": 200.0,
        "kv_joule": 0.0,
        "pair_joule": 0.0,
        "kv_second": 0.0,
        "pair_second": 0.0,
        "kv_tokens": 65536.0,
    }
    return exact_law(**(given | changes))


def pool(replicas: int = 1, **changes: Any) -> Pool:
    given: dict[str, Any] = {"sequences": 8, "chunk": 8192, "prefix_cache": False}
    return Pool(law(), replicas, **(given | changes))


def ask(*rows: tuple[float, int, int], **more: Any) -> Requests:
    arrival, prompt, output = (np.array(column) for column in zip(*rows, strict=True))
    return requests_of(arrival.astype(float), prompt, output, **more)


def play(system: System, **more: Any) -> RequestResult:
    return simulate(system, 1, 1, threads=1, records=True, **more)


def step(tokens: int) -> float:
    """Seconds of a step."""
    return 1.0 + tokens / 64


def test_one_request_on_one_replica() -> None:
    result = play(System(pool(), ask((2.0, 64, 4)), TENANT, 60.0))
    first = 2.0 + step(64)
    assert result.records["first"][0] == first
    assert result.records["end"][0] == first + 3 * step(1)
    # idle 100 W; each step has 200 J, so that one of s seconds takes 200 / s W above
    power = np.full(60, 100.0)
    power[2:4] += 100.0
    decode = 200.0 / step(1)
    for k in range(4, 8):
        power[k] += decode * (min(k + 1, 4 + 3 * step(1)) - k if k < 7 + 1 else 0.0)
    np.testing.assert_allclose(result.power[0, 0], power, rtol=1e-12)
    assert result.energy[0, 0] == pytest.approx(100.0 * 60 + 4 * 200)


def test_prompts_share_a_step_up_to_its_tokens() -> None:
    # 100 tokens a step: the first prompt whole, 36 of the second; then its other 28 beside the
    # first one's decoding; then both decode.
    requests = ask((0.0, 64, 2), (0.0, 64, 2))
    result = play(System(pool(chunk=100), requests, TENANT, 60.0))
    one, two = step(100), step(1 + 28)
    assert result.records["first"].tolist() == [one, one + two]
    assert result.records["end"].tolist() == [one + two, one + two + step(1)]


def test_who_comes_within_a_step_waits_for_its_end() -> None:
    result = play(System(pool(), ask((0.0, 64, 100), (5.5, 64, 1)), TENANT, 400.0))
    began = 2.0 + np.ceil((5.5 - 2.0) / step(1)) * step(1)
    assert result.records["first"][1] == pytest.approx(began + step(65), rel=1e-12)


def test_kv_moves_over_the_link_of_its_sender() -> None:
    # 64 tokens of 2^18 bytes over 2^22 bytes/s: 4 s, one after the other.
    slow = law(kv_bytes=2.0**18, link=2.0**22)
    prefill = pool()._replace(law=slow)
    system = System(prefill, ask((0.0, 64, 3), (0.0, 64, 3)), TENANT, 60.0, decode=pool(2))
    result = play(system)
    first = step(128)
    assert result.records["first"].tolist() == [first, first]
    ends = [first + 4.0 + 2 * step(1), first + 8.0 + 2 * step(1)]
    assert result.records["end"].tolist() == ends
    assert result.records["replica"].tolist() == [1, 2]
    assert result.sent.tolist() == [[0, 128]]


def test_decoding_replicas_make_room_before_kv_moves() -> None:
    # The decoding replica holds 80 tokens: the second waits for the end of the first.
    small = pool(block=16)._replace(law=law(kv_tokens=80.0, kv_bytes=1.0, link=2.0**40))
    quick = pool()._replace(law=small.law._replace(kv_tokens=65536.0))
    requests = ask((0.0, 64, 10), (0.0, 64, 10))
    result = play(System(quick, requests, TENANT, 60.0, decode=small))
    ends = result.records["end"]
    assert ends[0] == pytest.approx(step(128) + 9 * step(1))
    assert ends[1] == pytest.approx(ends[0] + 9 * step(1))


def test_known_blocks_are_not_computed_again() -> None:
    # Blocks of 64 tokens: the second prompt knows two of the first one's three, and the third,
    # though all of its blocks are known, computes its last one to have a token to go on from.
    hashes, first = np.array([1, 2, 3, 1, 2, 4, 1, 2, 3]), np.array([0, 3, 6, 9])
    rows = ((0.0, 192, 1), (10.0, 200, 1), (20.0, 192, 1))
    requests = ask(*rows, hashes=hashes, first=first)
    result = play(System(pool(prefix_cache=True), requests, TENANT, 60.0, hash_block=64))
    assert result.records["hit"].tolist() == [0, 128, 128]
    ends = [step(192), 10.0 + step(72), 20.0 + step(64)]
    assert result.records["end"].tolist() == ends
    assert result.found_blocks[0, 0] / result.asked_blocks[0, 0] == 4 / 9
    assert result.computed[0, 0] == 192 + 72 + 64


def test_the_block_that_was_used_longest_ago_goes_first() -> None:
    # Memory for four blocks of 64. A and B (two each) fill it; using A again and then C drives
    # B out, last block first; asking for A afterwards hits, for B does not.
    a, b, c = (1, 2), (3, 4), (5, 6)
    asked = (a, b, a, c, a, b)
    requests = ask(
        *((20.0 * k, 128 + 1, 1) for k in range(6)),
        hashes=np.array(sum(asked, ())),
        first=np.arange(7) * 2,
    )
    small = pool(prefix_cache=True, block=64)._replace(law=law(kv_tokens=5 * 64.0))
    result = play(System(small, requests, TENANT, 200.0, hash_block=64))
    assert result.records["hit"].tolist() == [0, 0, 128, 0, 128, 0]


def test_cached_tokens_without_identity_save_their_time() -> None:
    requests = ask((0.0, 192, 1), cached=np.array([128]))
    result = play(System(pool(prefix_cache=True), requests, TENANT, 60.0))
    assert result.records["end"][0] == step(64)


def test_drafted_tokens_make_steps_longer_and_fewer() -> None:
    # Three tokens a step and sequence, of which two are right on average: 9 tokens after the
    # first take five steps.
    system = System(pool(width=3, progress=2.0), ask((0.0, 64, 10)), TENANT, 60.0)
    result = play(system)
    assert result.records["end"][0] == pytest.approx(step(64) + 5 * step(3))


@pytest.mark.parametrize(
    ("routing", "expected"),
    [(ROUND_ROBIN, [0, 1, 2, 0]), (LEAST_LOADED, [0, 1, 2, 1])],
)
def test_routing_by_turn_and_by_load(routing: int, expected: list[int]) -> None:
    # When the fourth comes, replica 1 has finished.
    requests = ask((0.0, 64, 90), (0.1, 64, 1), (0.2, 64, 90), (9.0, 64, 1))
    result = play(System(pool(3, routing=routing), requests, TENANT, 200.0))
    assert result.records["replica"].tolist() == expected


def test_prefix_routing_goes_where_the_prompt_is_known() -> None:
    hashes, first = np.array([1, 2, 3, 4, 3, 4, 1, 2]), np.arange(5) * 2
    rows = ((0.0, 128, 30), (0.1, 128, 1), (10.0, 128, 1), (20.0, 128, 1))
    requests = ask(*rows, hashes=hashes, first=first)
    cached = pool(2, routing=PREFIX, prefix_cache=True)
    result = play(System(cached, requests, TENANT, 200.0, hash_block=64))
    assert result.records["replica"].tolist() == [0, 1, 1, 0]


def test_sessions_stay_and_only_those_of_a_lost_replica_move() -> None:
    sessions = np.tile(np.arange(40), 2)
    rows = [(float(k) * 10, 64, 1) for k in range(80)]
    requests = ask(*rows, session=sessions)
    system = System(pool(5, routing=SESSION), requests, TENANT, 1000.0)
    where = play(system).records["replica"]
    assert (where[:40] == where[40:]).all()
    assert len(set(where.tolist())) == 5
    shrunk = system._replace(changes=(Change(399.0, 0, COUNT, 4),))
    after = play(shrunk).records["replica"]
    moved = after[40:] != where[40:]
    assert (where[40:][moved] == 4).all()
    assert moved.sum() == (where[40:] == 4).sum() > 0


def test_a_failure_lets_its_requests_begin_again_elsewhere() -> None:
    requests = ask((0.0, 64, 50))
    changes = (Change(10.0, 0, FAIL, 0, 1000.0),)
    result = play(System(pool(2), requests, TENANT, 200.0, changes=changes))
    assert result.records["end"][0] == 10.0 + step(64) + 49 * step(1)
    assert result.records["replica"][0] == 1
    assert result.restarted[0, 0] == 1
    steps = np.floor((10.0 - step(64)) / step(1))
    assert result.wasted[0, 0] == 1 + steps
    assert result.made[0, 0] == 50 + 1 + steps
    assert result.replicas[0, 0].tolist() == [2.0] * 10 + [1.0] * 190


def test_requests_wait_at_the_gate_while_no_replica_serves() -> None:
    changes = (Change(0.0, 0, COUNT, 0), Change(30.0, 0, COUNT, 1))
    system = System(pool(1, startup=5.0), ask((1.0, 64, 1)), TENANT, 60.0, changes=changes)
    result = play(system)
    assert result.records["end"][0] == 35.0 + step(64)
    assert result.waiting[0, 0].sum() == pytest.approx(34.0)


def test_autoscaling_starts_at_once_and_stops_after_a_while() -> None:
    # 8 requests at half of 8 sequences: 2 replicas are wanted at the look at 10 s, and serve 20 s
    # later; those that run stay where they are. Load is gone at the look at 110 s, and 40 s later
    # one stops.
    scaling = Scaling(least=1, target=0.5, interval=10.0, startup=20.0, cooldown=40.0)
    requests = ask(*[(5.0, 64, 80)] * 8)
    result = play(System(pool(4, scaling=scaling), requests, TENANT, 300.0))
    end = 5.0 + step(512) + 79 * step(8)
    assert result.records["end"].tolist() == pytest.approx([end] * 8)
    look = 10.0 * np.ceil(end / 10.0)
    on = result.replicas[0, 0]
    assert on[:10].tolist() == [1.0] * 10
    assert on[10 : int(look) + 40].tolist() == [2.0] * (int(look) + 30)
    assert on[int(look) + 40 :].tolist() == [1.0] * (300 - int(look) - 40)


def test_a_power_cap_slows_steps_by_the_law_of_power_and_speed() -> None:
    # A decode step of 65/64 s and 200 J takes 196.9 W above the idle 100 W. Capped to 150 W,
    # its speed is (50 / 196.9)^(1/x).
    exponent = 2.5
    requests = ask((0.0, 64, 31))
    system = System(pool(), requests, TENANT, 200.0, exponent=exponent)
    free, capped = (
        play(system._replace(changes=changes)) for changes in ((), (Change(0.0, 0, CAP, 150.0),))
    )
    decode = 200.0 / step(1)
    speed = (50.0 / decode) ** (1 / exponent)
    read = (50.0 / (200.0 / step(64))) ** (1 / exponent)
    assert capped.records["end"][0] == pytest.approx(step(64) / read + 30 * step(1) / speed)
    assert capped.power.max() == pytest.approx(150.0)
    assert capped.energy[0, 0] < free.energy[0, 0]


def test_a_cap_above_what_steps_take_changes_nothing() -> None:
    system = System(pool(), ask((0.0, 64, 31)), TENANT, 200.0)
    capped = system._replace(changes=(Change(0.0, 0, CAP, 400.0),))
    assert play(system).records["end"][0] == play(capped).records["end"][0]


def test_throttling_lets_each_step_take_longer_from_the_next_one_on() -> None:
    system = System(pool(), ask((0.0, 64, 31)), TENANT, 200.0)
    slow = system._replace(changes=(Change(10.0, 0, SPEED, 0.5),))
    before = np.ceil((10.0 - step(64)) / step(1))
    end = step(64) + before * step(1) + (30 - before) * step(1) / 0.5
    assert play(slow).records["end"][0] == pytest.approx(end)


def test_requests_beyond_a_replicas_memory_are_refused_and_told() -> None:
    small = pool()._replace(law=law(kv_tokens=128.0))
    result = play(System(small, ask((0.0, 64, 65), (0.0, 64, 66)), TENANT, 200.0))
    assert result.refused[0, 0] == 1
    assert result.finished[0, 0] == 1
    assert np.isnan(result.records["end"][1])


def test_the_warm_up_does_not_count() -> None:
    system = System(pool(), ask((0.0, 64, 1), (50.0, 128, 1)), TENANT, 100.0, warmup=20.0)
    result = play(system)
    assert result.finished[0, 0] == 2
    assert result.counted[0, 0] == 1
    assert result.mean[0, 0, 0] == step(128)


def test_report_periods_tell_arrivals_and_ends() -> None:
    requests = ask((0.0, 64, 1), (49.0, 128, 1), (60.0, 64, 5))
    edges = np.array([0.0, 50.0, 100.0])
    result = play(System(pool(), requests, TENANT, 100.0, edges=edges))
    assert result.period_arrived[0, :, 0].tolist() == [2, 1]
    assert result.period_finished[0, :, 0].tolist() == [1, 2]
    assert result.period_output[0, :, 0].tolist() == [1, 6]
