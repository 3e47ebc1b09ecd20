"""Operating points against queueing identities, limits and published points."""

from __future__ import annotations

import numpy as np
import pytest

from firsttoken.serving.parts import library_architecture, library_hardware
from firsttoken.serving.perf_efficiency import ENGINES, GENERIC, NONE, RATES
from firsttoken.serving.perf_memory import kv_capacity
from firsttoken.serving.perf_point import (
    Point,
    aggregated_point,
    disaggregated_point,
    handover_seconds,
)
from firsttoken.serving.perf_replica import Replica, demand
from firsttoken.serving.perf_step import step_seconds
from firsttoken.serving.system import Layout

H100 = library_hardware("h100_sxm")
GB200 = library_hardware("gb200")
LLAMA = library_architecture("llama3_1_70b")
DEEPSEEK = library_architecture("deepseek_v3")
EIGHT = Layout(8, 1, 1, 8, 1, 8.0, 8.0, 8.0, 8.0)
PURE = GENERIC._replace(overhead=0.0, sequence=0.0, request=0.0, layer=0.0, host=0.0, cold=0.0)
TURNS = GENERIC._replace(overlap=0.67)
USERS = np.array([1.0, 4.0, 16.0, 64.0, 200.0])


def replica(layout: Layout = EIGHT) -> Replica:
    return Replica(LLAMA, H100, layout, PURE, NONE, RATES)


def test_little_law_holds() -> None:
    found = aggregated_point(LLAMA, H100, EIGHT, 1000.0, 500.0, USERS)
    assert found.tokens / 500.0 * found.e2e == pytest.approx(USERS)
    assert found.per_gpu * 8 == pytest.approx(found.tokens)
    assert found.e2e == pytest.approx(found.ttft + 499 * found.tpot)
    assert found.per_user == pytest.approx(1 / found.tpot)


def test_one_user_sees_one_prefill_and_undisturbed_steps() -> None:
    found = aggregated_point(LLAMA, H100, EIGHT, 4000.0, 400.0, 1.0, engine=PURE)
    ask = demand(4000.0, 400.0, 0.0, 0.0, 0.0)
    step = float(replica().decode(float(found.running), ask))
    assert float(found.tpot) == pytest.approx(step, rel=0.01)
    assert float(found.ttft) == pytest.approx(float(replica().wave(1.0, ask)), rel=0.05)


def test_decoding_pays_for_the_prefills_of_the_others() -> None:
    users, isl, osl = 32.0, 4000.0, 400.0
    engine = PURE._replace(mixed=0.0)
    found = aggregated_point(LLAMA, H100, EIGHT, isl, osl, users, engine=engine)
    ask = demand(isl, osl, 0.0, 0.0, 0.0)
    own = float(replica().wave(1.0, ask))
    step = float(replica().decode(float(found.running), ask))
    # all requests are prefilled and decoded in a life
    assert float(found.e2e) == pytest.approx(users * own + (osl - 1) * step, rel=0.02)


def test_latency_and_throughput_rise_with_concurrency() -> None:
    found = aggregated_point(LLAMA, H100, EIGHT, 2000.0, 500.0, USERS)
    for values in (found.ttft, found.tpot, found.tokens, found.running):
        assert (np.diff(values) > 0).all()


def test_a_first_wave_waits_but_takes_no_longer_in_all() -> None:
    calm = aggregated_point(LLAMA, H100, EIGHT, 1000.0, 1000.0, 64.0, engine=PURE)
    wave = aggregated_point(LLAMA, H100, EIGHT, 1000.0, 1000.0, 64.0, engine=PURE, burst=1.0)
    assert float(wave.ttft) > 5 * float(calm.ttft)
    assert float(wave.tpot) < float(calm.tpot)
    assert float(wave.e2e) == pytest.approx(float(calm.e2e), rel=0.03)


def test_cached_prompts_are_not_computed() -> None:
    cold = aggregated_point(LLAMA, H100, EIGHT, 8000.0, 200.0, 16.0, engine=PURE)
    warm = aggregated_point(LLAMA, H100, EIGHT, 8000.0, 200.0, 16.0, engine=PURE, cached=0.9)
    assert float(warm.ttft) < 0.3 * float(cold.ttft)
    assert float(warm.tokens) > 2 * float(cold.tokens)
    tokens, pairs, count = replica().chunk(demand(8000.0, 200.0, 0.9, 0.0, 0.0))
    # 800 new tokens attend 7,200 known ones and half of themselves
    assert float(tokens * count) == pytest.approx(800.0)
    assert float(pairs * count) == pytest.approx(800 * (7200 + 400))


def test_requests_wait_for_memory() -> None:
    small = Layout(2, 1, 1, 2, 1, 8.0, 8.0, 16.0, 8.0)
    context = 8192 + 512
    most = float(kv_capacity(LLAMA, H100, small, context)) // context
    assert 0 < most < 64
    found = aggregated_point(LLAMA, H100, small, 8192.0, 1024.0, 64.0)
    alone = aggregated_point(LLAMA, H100, small, 8192.0, 1024.0, most)
    assert float(found.tokens) == pytest.approx(float(alone.tokens), rel=0.02)
    assert float(found.tpot) == pytest.approx(float(alone.tpot), rel=0.02)
    # Little's law for those who wait
    assert float(found.ttft - alone.ttft) == pytest.approx(
        (64 - most) / most * float(alone.e2e), rel=0.03
    )
    assert bool(found.fits)


def test_what_does_not_fit_is_said() -> None:
    one = Layout(1, 1, 1, 1, 1, 16.0, 16.0, 16.0, 16.0)
    assert not bool(aggregated_point(LLAMA, H100, one, 100.0, 100.0, 1.0).fits)


def test_slots_limit_what_runs() -> None:
    found = aggregated_point(
        LLAMA, H100, EIGHT, 1000.0, 500.0, 40.0, engine=PURE._replace(slots=20.0)
    )
    alone = aggregated_point(LLAMA, H100, EIGHT, 1000.0, 500.0, 20.0, engine=PURE)
    assert float(found.tokens) == pytest.approx(float(alone.tokens))
    assert float(found.e2e) == pytest.approx(2 * float(alone.e2e))


def test_pipeline_stages_work_side_by_side() -> None:
    flat = Layout(8, 1, 1, 8, 1, 8.0, 8.0, 8.0, 8.0)
    deep = Layout(4, 2, 1, 4, 1, 8.0, 8.0, 8.0, 8.0)
    wide, long = (
        aggregated_point(LLAMA, H100, layout, 2000.0, 500.0, 128.0, engine=PURE)
        for layout in (flat, deep)
    )
    # the same GPUs: pipelining has no all-reduces over eight, but batches of half the size
    assert float(long.tpot) == pytest.approx(float(wide.tpot), rel=0.35)
    assert float(long.ttft) > float(wide.ttft)


def test_drafts_pay_at_low_load_and_less_at_high_load() -> None:
    layout = Layout(1, 1, 32, 1, 32, 4.5, 4.5, 8.0, 4.5)
    gains = []
    for users in (32.0, 16384.0):
        where = (DEEPSEEK, GB200, layout, 1024.0, 1024.0, users)
        plain = aggregated_point(*where, engine=PURE)
        drafts = aggregated_point(*where, engine=PURE, accepted=0.85, drafted=1.0)
        gains.append(float(plain.tpot / drafts.tpot))
    # arXiv:2412.19437, section 5.4.3: 1.8 times the tokens a second
    assert 1.5 < gains[0] <= 1.85
    assert gains[1] < gains[0]


def test_pools_do_not_disturb_each_other() -> None:
    def point(isl: float, workers: float) -> Point:
        return disaggregated_point(
            LLAMA, H100, EIGHT, EIGHT, workers, 1.0, isl, 500.0, 32.0, engine=PURE
        )

    alone = replica().decode(32.0 * 0.97, demand(2000.0, 500.0, 0.0, 0.0, 0.0))
    assert float(point(2000.0, 8.0).tpot) == pytest.approx(float(alone), rel=0.05)
    assert float(point(2000.0, 1.0).ttft) > float(point(2000.0, 8.0).ttft)
    assert float(point(2000.0, 8.0).per_gpu) < float(point(2000.0, 1.0).per_gpu)


def test_a_pool_of_prefill_workers_bounds_the_rate() -> None:
    found = disaggregated_point(
        LLAMA, H100, EIGHT, EIGHT, 1.0, 4.0, 8000.0, 20.0, 200.0, engine=PURE
    )
    own = float(replica().wave(1.0, demand(8000.0, 20.0, 0.0, 0.0, 0.0)))
    assert float(found.tokens) / 20.0 == pytest.approx(1 / own, rel=0.03)


def test_kv_is_handed_over_at_the_rate_of_the_links() -> None:
    # 10,000 tokens x 160 KiB (FP8) over 8 NICs of 50 GB/s
    found = float(handover_seconds(LLAMA, H100, EIGHT, EIGHT, 10000.0))
    assert found == pytest.approx(10000 * 160 * 1024 / (8 * 50e9))
    four = Layout(4, 1, 1, 4, 1, 8.0, 8.0, 8.0, 8.0)
    near = float(handover_seconds(LLAMA, H100, four, four, 10000.0))
    assert near == pytest.approx(10000 * 160 * 1024 / (4 * float(H100.link)))


def test_overlap_hides_the_exchange() -> None:
    layout = Layout(1, 1, 64, 1, 64, 8.0, 8.0, 16.0, 8.0)
    ask = demand(4000.0, 500.0, 0.0, 0.0, 0.0)
    plain = Replica(DEEPSEEK, H100, layout, PURE, NONE, RATES)
    taking_turns = plain._replace(engine=PURE._replace(overlap=1.0))
    batch = 64 * 64.0
    before = plain.terms(batch, batch, batch * 4000.0, 0.0)
    after = taking_turns.terms(batch, batch, batch * 4000.0, 0.0)
    assert float(after.exchange) < float(before.exchange)
    assert float(taking_turns.decode(batch, ask)) >= 0.5 * float(plain.decode(batch, ask))


# Points measured by InferenceX (SemiAnalysis, Apache-2.0; 2025-10 to 2026-04), by way of
# aisimulate 0.13: none of them is among those that the rates were moved to.
# model, GPU, engine, layout, isl, osl, concurrency, ms to the first token and between tokens
MEASURED = [
    ("kimi_k2", "b200", "vllm", (4, 1, 1, 4, 1, 16, 4.5, 8, 4.5), 8192, 1024, 8, 308.5, 11.18),
    ("deepseek_v3", "h200", "sglang", (8, 1, 1, 8, 1, 8, 8, 8, 8), 1024, 1024, 4, 259.9, 10.29),
    ("kimi_k2", "h200", "vllm", (8, 1, 1, 8, 1, 16, 4.5, 8, 16), 1024, 1024, 64, 381.2, 31.14),
    ("deepseek_v3", "b200", "trtllm", (8, 1, 1, 8, 1, 8, 8, 8, 8), 1024, 1024, 8, 181.5, 11.08),
    (
        "gpt_oss_120b",
        "h100_sxm",
        "vllm",
        (4, 1, 1, 4, 1, 16, 4.25, 16, 16),
        1024,
        8192,
        4,
        43.1,
        4.0,
    ),
    ("gpt_oss_120b", "b200", "vllm", (2, 1, 1, 2, 1, 16, 4.25, 16, 8), 1024, 1024, 64, 101.6, 7.07),
]


@pytest.mark.parametrize("row", MEASURED, ids=lambda row: f"{row[0]}-{row[1]}-{row[6]}")
def test_measured_points(
    row: tuple[str, str, str, tuple[float, ...], float, float, float, float, float],
) -> None:
    model, gpu, engine, layout, isl, osl, users, ttft, tpot = row
    found = aggregated_point(
        library_architecture(model),
        library_hardware(gpu),
        Layout(*layout),
        isl,
        osl,
        users,
        engine=ENGINES[engine],
        burst=0.1,
    )
    # median error of the prior on all such points: 11 % and 29 %
    assert float(found.tpot) * 1e3 == pytest.approx(tpot, rel=0.17)
    assert float(found.ttft) * 1e3 == pytest.approx(ttft, rel=0.70)


def test_wide_expert_parallelism_of_the_deepseek_production_system() -> None:
    # DeepSeek-V3/R1 inference system overview (2025): decode nodes of 8 H800, EP144, two
    # batches taking turns, 4,989 tokens of KV on average: 14,800 tokens/s and node, 20-22
    # tokens/s and user, so 88 sequences a GPU; 80-90 % of second tokens are right (2505.09343)
    layout = Layout(1, 1, 144, 1, 144, 8.0, 8.0, 16.0, 8.0)
    system = Replica(DEEPSEEK, library_hardware("h800"), layout, TURNS, NONE, RATES)
    step = float(system.decode(88.0 * 144, demand(4989.0, 0.0, 0.0, 0.85, 1.0)))
    assert 1.85 / step == pytest.approx(21.0, rel=0.05)
    assert 8 * 88 * 1.85 / step == pytest.approx(14800.0, rel=0.05)


def test_half_batches_read_weights_and_launch_kernels_twice() -> None:
    layout = Layout(1, 1, 64, 1, 64, 8.0, 8.0, 16.0, 8.0)
    plain = Replica(DEEPSEEK, H100, layout, PURE, NONE, RATES)
    turns = plain._replace(engine=PURE._replace(overlap=1e-9))
    batch = 8 * 64.0
    whole = plain.terms(batch, batch, batch * 4000.0, 0.0)
    half = turns.terms(batch, batch, batch * 4000.0, 0.0)
    # eight rows are far from filling a product: its time is that of reading the weights
    assert float(half.dense) == pytest.approx(2 * float(whole.dense), rel=0.05)
    assert float(half.launch) == pytest.approx(2 * float(whole.launch))
    assert float(half.decode) == pytest.approx(float(whole.decode))
    # one token cannot be halved
    assert float(step_seconds(turns.terms(64.0, 64.0, 0.0, 0.0))) == pytest.approx(
        float(step_seconds(plain.terms(64.0, 64.0, 0.0, 0.0)))
    )
