"""The fluid mode against the request mode, and what its corrections find.

The bars are those of the mode: output tokens within 3 %, the 95th percentile of TPOT within 10 %.
benchmarks/serving_factory.py compares many more loads and services.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from tests.serving.fluid_services import always, service, steady, straight

from firsttoken.serving import factory_state as columns
from firsttoken.serving import requests_simulate
from firsttoken.serving import requests_system as by_request
from firsttoken.serving.factory_calibrate import (
    Sample,
    calibrate,
    capacity,
    corrected,
    deviation,
    followed,
    realised,
)
from firsttoken.serving.factory_compile import compile_factory
from firsttoken.serving.factory_sample import arrivals, request_sampler, sample_of
from firsttoken.serving.factory_simulate import simulate, snapshot
from firsttoken.serving.factory_system import NONE, Class, Corrections, Inputs, Pool, Service
from firsttoken.serving.factory_tables import cut_lengths

REPLICAS = 4


@cache
def chat() -> Service:
    """Prompts of a few hundred tokens, answers of about a hundred."""
    draw = np.random.default_rng(4)
    prompt = np.clip(draw.lognormal(6.3, 0.8, 2000), 10, 6000).round()
    output = np.clip(draw.lognormal(4.5, 0.6, 2000), 2, 1000).round()
    law = straight(step=0.008, token=2.5e-5, kv=5e-8, pair=1e-9, memory=4e5)
    law = law._replace(joules=np.array([0.0, 1.2e4]), energy_step=1.0)
    pool = Pool(law, 2048.0, 128.0, imbalance=0.2)
    return Service("s", (Class("all", cut_lengths(prompt, output)),), pool)


@cache
def corrections() -> Corrections:
    sampler = request_sampler(chat(), REPLICAS)
    return calibrate(chat(), sampler, REPLICAS, loads=(0.2, 0.6, 0.85, 0.95), requests=2000)


def course(rate: np.ndarray, seed: int) -> Sample:
    """The request mode at rates of one replica."""
    come = arrivals(rate * REPLICAS, 1.0, np.random.default_rng(seed))
    return sample_of(chat(), REPLICAS, come, np.zeros(len(come)), float(len(rate)), seed)


@pytest.mark.parametrize(
    "shape",
    [
        np.full(240, 0.4),
        np.full(240, 0.9),
        np.full(240, 1.1),
        np.where(np.arange(240) % 60 < 12, 1.2, 0.4),
    ],
    ids=["low", "high", "overload", "bursts"],
)
def test_within_the_bars_of_the_request_mode(shape: np.ndarray) -> None:
    found = course(shape * corrections().served, 77)
    fixed = chat()._replace(corrections=corrections())
    off = deviation(fixed, found, REPLICAS, 40.0, 240.0)
    assert abs(off.tokens) < 0.03
    assert abs(off.p95) < 0.10
    assert abs(off.tpot) < 0.05
    assert abs(off.power) < 0.05


def test_corrections_are_few_and_small_where_the_law_holds() -> None:
    found = corrections()
    assert (np.diff(found.load) > 0.0).all()
    assert found.pace == pytest.approx(1.0, abs=0.1)
    assert found.served == pytest.approx(capacity(chat()), rel=0.05)


def test_a_wrong_law_is_put_right() -> None:
    """Steps that the law thinks 20 % too short: paces of 1.2 bring the batch back."""
    found = course(np.full(240, 0.5 * corrections().served), 5)
    law = chat().pool.law
    fast = law._replace(
        seconds=law.seconds / 1.2,
        overhead=law.overhead / 1.2,
        kv_second=law.kv_second / 1.2,
        pair_second=law.pair_second / 1.2,
    )
    wrong = chat()._replace(pool=chat().pool._replace(law=fast))
    sampler = request_sampler(chat(), REPLICAS)
    fix = calibrate(wrong, sampler, REPLICAS, loads=(0.3, 0.6), requests=1500)
    assert fix.pace == pytest.approx(1.2, rel=0.06)
    before = deviation(wrong, found, REPLICAS, 40.0, 240.0)
    after = deviation(wrong._replace(corrections=fix), found, REPLICAS, 40.0, 240.0)
    assert before.tpot < -0.15
    assert abs(after.tpot) < 0.03


def test_room_is_what_limits_the_batch() -> None:
    """Half the room: half the sequences."""

    from firsttoken.serving import factory_state as columns
    from firsttoken.serving.factory_simulate import simulate

    full = service(Pool(straight(), 1e5, 64.0), always(1.0, 501.0))
    system = steady([full], [100.0], 1.0, 60)
    one = simulate(system, 1, 1, threads=1).rows[0, 0, -1]
    half = simulate(corrected(system, NONE._replace(room=0.5)), 1, 1, threads=1).rows[0, 0, -1]
    assert one[columns.DECODING] == pytest.approx(64.0, rel=0.02)
    assert half[columns.DECODING] == pytest.approx(32.0, rel=0.02)


def test_the_fluid_mode_follows_the_arrivals_and_lengths_of_a_sample() -> None:
    found = course(np.full(60, 4.0), 3)
    system = followed(realised(chat(), found), found, REPLICAS, 60.0)
    rate = system.factory.inputs.rate[0]
    assert rate.sum() == len(found.arrival)
    assert rate[10] == np.sum((found.arrival >= 10.0) & (found.arrival < 11.0))
    assert system.factory.classes.mean_output[0] == pytest.approx(found.output.mean())


def test_capacity_of_a_chunk() -> None:
    """Answers of one token: prefill is all there is."""
    full = service(Pool(straight(step=0.01, token=1e-5), 1001.0, 500.0), always(500.0, 1.0))
    assert capacity(full) == pytest.approx(1000.0 / (0.01 + 0.01001) / 500.0, rel=0.02)


def test_arrivals_keep_rate_and_burstiness() -> None:
    rate = np.concatenate([np.full(300, 20.0), np.zeros(50), np.full(300, 5.0)])
    found = arrivals(rate, 2.0, np.random.default_rng(1))
    assert (np.diff(found) >= 0.0).all()
    early, late = found[found < 300], found[found >= 350]
    assert len(early) == pytest.approx(6000, rel=0.1)
    assert len(late) == pytest.approx(1500, rel=0.2)
    assert len(found) == len(early) + len(late)
    gaps = np.diff(early)
    assert gaps.std() / gaps.mean() == pytest.approx(2.0, rel=0.1)


def test_prefill_apart_is_within_the_bars() -> None:
    apart = chat()._replace(prefill=chat().pool)
    sampler = request_sampler(apart, REPLICAS)
    fix = calibrate(apart, sampler, REPLICAS, loads=(0.3, 0.7), requests=1500)
    come = arrivals(np.full(200, 0.5 * fix.served * REPLICAS), 1.0, np.random.default_rng(8))
    found = sample_of(apart, REPLICAS, come, np.zeros(len(come)), 200.0, 8)
    off = deviation(apart._replace(corrections=fix), found, REPLICAS, 30.0, 200.0)
    assert abs(off.tokens) < 0.03
    assert abs(off.p95) < 0.10


@pytest.mark.parametrize(("speed", "cap"), [(0.8, np.inf), (1.0, 0.75)])
def test_caps_and_heat_do_what_they_do_in_the_request_mode(speed: float, cap: float) -> None:
    """Found at full speed, corrections hold for slowed replicas too."""
    ticks = 200
    rate = np.full(ticks, 0.55 * corrections().served * REPLICAS)
    come = arrivals(rate, 1.0, np.random.default_rng(6))
    rows = chat().classes[0].lengths.sample
    rows = rows[np.random.default_rng(7).integers(0, len(rows), len(come))].round()
    pool = chat().pool
    most = cap * pool.law.limit * REPLICAS
    system = by_request.System(
        by_request.Pool(pool.law, REPLICAS, int(pool.sequences), int(pool.chunk)),
        by_request.requests_of(come, rows[:, 0].astype(np.int64), rows[:, 2].astype(np.int64)),
        (by_request.Tenant("all"),),
        float(ticks),
        changes=(
            by_request.Change(0.0, 0, by_request.SPEED, speed),
            by_request.Change(0.0, 0, by_request.CAP, most),
        ),
    )
    real = requests_simulate.simulate(system, 1, 1, threads=1, records=True)
    ended = real.records["end"] > 40.0
    took = (real.records["end"] - real.records["first"])[ended] / (rows[ended, 2] - 1.0)
    ones = np.ones((1, ticks))
    arrived = np.bincount(come.astype(int), minlength=ticks)[None].astype(float)
    inputs = Inputs(arrived, REPLICAS * ones, speed * ones, most * ones, 0.0 * ones)
    factory = compile_factory([chat()._replace(corrections=corrections())], inputs)
    result = simulate(factory, 1, 1, initial_state=snapshot(factory, 1, 0, 40), threads=1)
    assert result.mean(columns.BY_TPOT)[0] == pytest.approx(took.mean(), rel=0.04)
    assert result.quantile(columns.BY_TPOT, 0.95)[0] == pytest.approx(
        np.quantile(took, 0.95), rel=0.08
    )
    power = result.rows[0, 0, :, columns.POWER].mean()
    assert power == pytest.approx(real.power[0, 0, 40:].mean(), rel=0.03)
