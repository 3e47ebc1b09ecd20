"""The fluid mode against queueing theory and sums done by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.serving.fluid_services import TPOT, always, service, settled, steady, straight

from firsttoken.serving import factory_state as columns
from firsttoken.serving.factory_compile import compile_factory
from firsttoken.serving.factory_simulate import simulate
from firsttoken.serving.factory_system import Class, Inputs, Pool, Scaling, Service
from firsttoken.serving.factory_tables import cut_lengths

TICKS = 400


def test_steps_that_never_change_are_an_infinite_server() -> None:
    """M/G/inf: the mean batch is rate x time in service, whatever the lengths."""
    draw = np.random.default_rng(1)
    output = draw.geometric(1 / 300, 4000) + 1.0
    pool = Pool(straight(step=0.02), 1e5, 1e4)
    found = service(pool, cut_lengths(np.full(4000, 10.0), output))
    result, row = settled(steady([found], [50.0], 10.0, 900), 500)
    assert row[columns.STEP] == pytest.approx(0.02, rel=1e-6)
    assert row[columns.DECODING] == pytest.approx(50.0 * (output.mean() - 1) * 0.02, rel=2e-3)
    assert row[columns.DECODED] == pytest.approx(50.0 * output.mean(), rel=2e-3)
    assert result.quantile(TPOT, 0.95)[0] == pytest.approx(0.02, rel=0.01)


@pytest.mark.parametrize("rate", [0.5, 1.5, 2.3])
def test_batches_follow_generalised_processor_sharing(rate: float) -> None:
    """A step of s + k B seconds: the chance of B is a product form, whatever the lengths.

    P(B) ~ prod (rate x n x t(i) / i), i = 1..B (Cohen, Acta Informatica 12, 1979).
    """
    step, more, n = 0.01, 4e-4, 800
    batch = np.arange(1, 6000)
    log = np.cumsum(np.log(rate * n * (step + more * batch) / batch))
    chance = np.exp(np.concatenate([[0.0], log]) - max(log.max(), 0.0))
    mean = float(np.arange(6000) @ chance / chance.sum())
    pool = Pool(straight(step=step, token=more), 1e5, 2e3, imbalance=1.0)
    found = service(pool, always(0.0, n + 1.0))
    _, row = settled(steady([found], [rate * 100], 100.0, 2500), 2000)
    assert row[columns.DECODING] / 100 == pytest.approx(mean, rel=0.02)


def test_prefill_interrupts_decoding_as_preemption_does() -> None:
    """Completion times under preemptive priority (Gaver, JRSS B 24, 1962)."""
    step, token, prompt, n, rate = 0.02, 1e-5, 2000.0, 500.0, 3.0
    pool = Pool(straight(step=step, token=token), 1e5, 1e4, imbalance=1.0)
    found = service(pool, always(prompt, n + 1))
    result, row = settled(steady([found], [rate * 50], 50.0, 800), 500)
    extra = prompt * token
    # The batch's own tokens are in the step too: a fixed point of batch and step.
    tpot = step
    for _ in range(200):
        tpot = (step + token * (rate * n * tpot + 1.0)) / (1 - rate * extra)
    assert result.mean(TPOT)[0] == pytest.approx(tpot, rel=0.01)
    assert row[columns.DECODING] / 50 == pytest.approx(rate * n * tpot, rel=0.01)
    deviation = math.sqrt(rate * extra**2 * tpot * n) / (1 - rate * extra) / n
    p95 = tpot + 1.645 * deviation
    assert result.quantile(TPOT, 0.95)[0] == pytest.approx(p95, rel=0.02)


def test_seats_limit_what_is_served() -> None:
    pool = Pool(straight(step=0.01), 1e5, 64.0)
    found = service(pool, always(10.0, 1001.0))
    result, row = settled(steady([found], [100.0], 2.0, 1500), 1000)
    assert row[columns.DECODING] == pytest.approx(128.0, rel=0.02)
    assert row[columns.FINISHED] == pytest.approx(128.0 / (1000 * 0.01), rel=0.02)
    rise = np.diff(result.rows[0, 0, :, columns.WAITING]).mean()
    assert rise == pytest.approx(100.0 - 12.8, rel=0.02)


def test_memory_limits_what_is_served() -> None:
    """The prompts of all sequences and the answers so far fill the memory.

    In the mean over those in hand an answer has come to E[n2] / 2 E[n] (renewal theory).
    """
    prompt, memory = 1000.0, 300_000.0
    steps = np.random.default_rng(2).geometric(1 / 500, 6000).astype(float)
    pool = Pool(straight(step=0.02, memory=memory), 1e5, 1e4)
    found = service(pool, cut_lengths(np.full(6000, prompt), steps + 1))
    _, row = settled(steady([found], [60.0], 1.0, 900), 500)
    age = (steps**2).mean() / (2 * steps.mean())
    assert row[columns.KV] == pytest.approx(1.0, rel=0.02)
    assert row[columns.DECODING] == pytest.approx(memory / (prompt + 1 + age), rel=0.03)


def test_chunks_limit_prefill() -> None:
    """With a backlog every step is full: chunk - batch prompt tokens in its time."""
    token, chunk = 1e-5, 1000.0
    pool = Pool(straight(step=0.01, token=token), chunk, 500.0)
    found = service(pool, always(5000.0, 2.0))
    _, row = settled(steady([found], [100.0], 1.0, TICKS), 100)
    full = 0.01 + chunk * token
    assert row[columns.PREFILLED] == pytest.approx(chunk / full, rel=0.01)
    assert row[columns.STEP] == pytest.approx(full, rel=1e-3)


def test_a_backlog_is_waited_for_in_order() -> None:
    """Two minutes at twice the capacity, then nothing: the last waits until all are served."""
    pool = Pool(straight(step=0.01), 1000.0, 500.0)
    kinds = (Class("all", always(990.0, 2.0)),)
    rate = np.zeros((1, 600))
    rate[0, :120] = 200.0
    ones = np.ones((1, 600))
    factory = compile_factory(
        [Service("s", kinds, pool)], Inputs(rate, ones, ones, ones * 1e9, ones * 0)
    )
    row = simulate(factory, 1, 1, threads=1).rows[0, 0]
    capacity = row[10:100, columns.STARTED].mean()
    done = 120 * 200.0 / capacity
    assert 90.0 < capacity < 110.0
    served = np.flatnonzero(row[:, columns.STARTED] > 0.01 * capacity)
    assert served[-1] == pytest.approx(done, abs=3)
    last = row[served[-2], columns.TTFT] / row[served[-2], columns.STARTED]
    assert last == pytest.approx(done - 120.0, rel=0.03)


def test_the_low_priority_waits_for_the_high() -> None:
    pool = Pool(straight(step=0.01), 1000.0, 500.0)
    kinds = (
        Class("low", always(990.0, 2.0), priority=0, ttft=1.0),
        Class("high", always(990.0, 2.0), priority=5, ttft=1.0),
    )
    system = steady([Service("s", kinds, pool)], [70.0, 70.0], 1.0, 300)
    result = simulate(system, 1, 1, threads=1)
    high, low = result.books[0]
    assert system.class_names == ("s.high", "s.low")
    assert high[columns.BEGUN] == pytest.approx(70.0 * 300, rel=1e-3)  # but for those in hand
    assert low[columns.BEGUN] == pytest.approx(30.0 * 300, rel=0.05)


def test_power_is_that_of_the_steps() -> None:
    """Full replicas take idle power and the joules of their steps in their time."""
    pool = Pool(straight(step=0.01, joules=2.0), 1e5, 1e4)
    _, row = settled(steady([service(pool, always(0.0, 501.0))], [1000.0], 5.0, 200), 100)
    assert row[columns.POWER] == pytest.approx(5 * (100.0 + 2.0 / 0.01), rel=1e-3)


def test_nobody_there_takes_idle_power() -> None:
    pool = Pool(straight(), 1e5, 1e4)
    _, row = settled(steady([service(pool, always(10.0, 10.0))], [0.0], 5.0, 20), 10)
    assert row[columns.POWER] == pytest.approx(500.0)


def capped(cap: float, speed: float) -> np.ndarray:
    """Mean row of a service of 5 full replicas of 300 W each."""
    pool = Pool(straight(step=0.01, joules=2.0), 1e5, 1e4)
    kinds = (Class("all", always(0.0, 501.0)),)
    ones = np.ones((1, 300))
    inputs = Inputs(500.0 * ones, 5.0 * ones, speed * ones, cap * ones, 0.0 * ones)
    factory = compile_factory([Service("s", kinds, pool)], inputs)
    return simulate(factory, 1, 1, threads=1).rows[0, 0, 150:].mean(axis=0)


def test_caps_and_heat_slow_steps_down() -> None:
    """Power above idle goes with the speed to the power 2.5."""
    free, warm, tight = capped(np.inf, 1.0), capped(np.inf, 0.8), capped(1000.0, 1.0)
    assert free[columns.POWER] == pytest.approx(1500.0, rel=1e-3)
    assert warm[columns.STEP] == pytest.approx(0.01 / 0.8, rel=1e-6)
    assert warm[columns.POWER] == pytest.approx(5 * (100 + 200 * 0.8**2.5), rel=1e-3)
    assert tight[columns.POWER] == pytest.approx(1000.0, rel=2e-3)
    assert tight[columns.STEP] == pytest.approx(0.01 / 0.5**0.4, rel=1e-3)


def test_decoding_apart_is_not_held_up() -> None:
    """Disaggregation: TPOT without prefill, TTFT the prefill's own steps and half a step."""
    pool = Pool(straight(step=0.01, token=1e-5), 2048.0, 256.0)
    both = service(pool, always(1000.0, 101.0), prefill=pool)
    result, row = settled(steady([both], [5.0], 10.0, 200), 100)
    batch = 0.5 * 100 * 0.01
    assert result.mean(TPOT)[0] == pytest.approx(0.01 + 1e-5 * (batch + 0.5), rel=0.01)
    assert row[columns.DECODED] == pytest.approx(5.0 * 101.0, rel=1e-3)
    own = 0.01 + 1000 * 1e-5
    assert result.mean(columns.BY_TTFT)[0] == pytest.approx(own + 0.005, rel=0.1)


def test_drafts_gain_tokens() -> None:
    """Each step gains 1.8 tokens a sequence and checks two."""
    pool = Pool(straight(step=0.01, token=1e-5), 2048.0, 256.0, width=2.0, progress=1.8)
    result, row = settled(steady([service(pool, always(0.0, 181.0))], [10.0], 1.0, 200), 100)
    tpot = (0.01 + 2e-5 * (row[columns.DECODING] + 0.5)) / 1.8
    assert result.mean(TPOT)[0] == pytest.approx(tpot, rel=0.01)
    assert row[columns.DECODING] == pytest.approx(10 * 180 * tpot, rel=0.01)


def test_replicas_follow_the_load() -> None:
    rule = Scaling(least=1.0, target=0.5, interval=10.0, startup=30.0, cooldown=60.0)
    pool = Pool(straight(step=0.01), 1e5, 20.0, scaling=rule)
    kinds = (Class("all", always(10.0, 1001.0)),)
    rate = np.concatenate([np.full(600, 10.0), np.full(900, 1.0)])[None]
    ones = np.ones_like(rate)
    inputs = Inputs(rate, 40.0 * ones, ones, np.inf * ones, 0.0 * ones)
    row = simulate(compile_factory([Service("s", kinds, pool)], inputs), 1, 1, threads=1).rows[0, 0]
    # 10 requests/s of 10 s are 100 sequences: 10 replicas of 20 at half load; then 10: one.
    assert row[590, columns.REPLICAS] == pytest.approx(10.0, abs=1.0)
    assert row[-1, columns.REPLICAS] == pytest.approx(1.0, abs=1.0)
    # those that serve take 100 W idle and 1 J a step of 10 ms; those off are not the service's
    power = 200.0 * row[590, columns.REPLICAS]
    assert row[590, columns.POWER] == pytest.approx(power, rel=0.05)


def test_prompts_in_hand_are_those_of_littles_law() -> None:
    """Rate x time to the first token, with replicas that are busy with prefill to four fifths."""
    pool = Pool(straight(step=0.02, token=5e-5), 4096.0, 256.0)
    found = service(pool, always(2000.0, 2.0))
    ticks, replicas, rate = 300, 10.0, 6.0
    system = steady([found], [rate * replicas], replicas, ticks)
    _, row = settled(system, 200)
    begun = simulate(system, 1, 1, threads=1).rows[0, 0, :, columns.STARTED].sum()
    hand = rate * replicas * ticks - begun
    ttft = row[columns.TTFT] / row[columns.STARTED]
    assert hand == pytest.approx(rate * replicas * ttft, rel=0.03)
    assert ttft > 2000.0 * 5e-5 + 0.02  # its own step at least


def test_a_burst_is_not_prefilled_at_once() -> None:
    """Prefill goes on after a burst, as in single queues that have grown, and nothing is lost."""
    pool = Pool(straight(step=0.02, token=5e-5), 4096.0, 256.0)
    found = service(pool, always(2000.0, 2.0))
    rate = np.where((np.arange(120) >= 60) & (np.arange(120) < 65), 80.0, 20.0)[None]
    ones = np.ones_like(rate)
    inputs = Inputs(rate, 10.0 * ones, ones, np.inf * ones, 0.0 * ones)
    row = simulate(compile_factory([found], inputs), 1, 1, threads=1).rows[0, 0, :, columns.STARTED]
    assert row[60] < 80.0
    assert row[65] > 20.0
    assert row[30:].sum() == pytest.approx(rate[0, 30:].sum(), rel=1e-3)
