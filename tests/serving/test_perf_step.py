"""Terms of a step against roofline limits and hand calculations."""

from __future__ import annotations

import numpy as np
import pytest

from firsttoken.serving import perf_weights as weights
from firsttoken.serving.parts import library_architecture, library_hardware
from firsttoken.serving.perf_efficiency import NONE, RATES, Corrections
from firsttoken.serving.perf_speculation import accepted_tokens, draft_seconds
from firsttoken.serving.perf_step import (
    Terms,
    exchange_seconds,
    experts_hit,
    gathered_share,
    imbalance,
    matrix_rate,
    product_seconds,
    reduce_seconds,
    step_seconds,
    step_terms,
)
from firsttoken.serving.system import Layout

H100 = library_hardware("h100_sxm")
GB200 = library_hardware("gb200")
LLAMA = library_architecture("llama3_1_70b")
DEEPSEEK = library_architecture("deepseek_v3")
EIGHT = Layout(8, 1, 1, 8, 1, 8.0, 8.0, 8.0, 8.0)
WIDE = Layout(1, 1, 32, 1, 32, 8.0, 8.0, 8.0, 8.0)


def seconds(terms: Terms) -> float:
    return float(step_seconds(terms))


def test_decoding_cannot_be_faster_than_reading_the_weights() -> None:
    terms = step_terms(LLAMA, H100, EIGHT, 1.0, 1.0, 1000.0, 0.0)
    read = 70e9 / 8 / float(H100.bandwidth)
    assert read < float(terms.dense) < read / 0.6


def test_prefill_reaches_the_share_of_the_peak() -> None:
    terms = step_terms(LLAMA, H100, EIGHT, 65536.0, 1.0, 0.0, 0.0)
    rate = float(weights.token_flops(LLAMA)) * 65536.0 / 8 / float(terms.dense)
    reached = rate / float(H100.fp8)
    assert 0.9 * float(RATES.matrix_8) < reached < float(RATES.matrix_8)


def test_dense_term_is_linear_in_tokens_once_compute_bound() -> None:
    sizes = np.array([32768.0, 65536.0])
    terms = step_terms(LLAMA, H100, EIGHT, sizes, 1.0, 0.0, 0.0)
    assert terms.dense[1] / terms.dense[0] == pytest.approx(2.0, rel=0.01)  # type: ignore[index]


def test_roofline_is_the_larger_of_both_far_from_the_ridge() -> None:
    assert product_seconds(1e12, 1e9, 1.0, 1e15, 1e12) == pytest.approx(np.cbrt(2.0) * 1e-3)
    assert product_seconds(1e14, 1e9, 1.0, 1e15, 1e12) == pytest.approx(0.1, rel=1e-6)
    assert product_seconds(1e10, 1e11, 1.0, 1e15, 1e12) == pytest.approx(0.1, rel=1e-6)


def test_operands_are_widened_where_hardware_cannot_multiply_them() -> None:
    assert matrix_rate(H100, 4.5) == matrix_rate(H100, 8.0)
    assert matrix_rate(library_hardware("a100"), 8.0) == matrix_rate(library_hardware("a100"), 16.0)
    assert matrix_rate(GB200, 4.5) > matrix_rate(GB200, 8.0) > matrix_rate(GB200, 16.0)


def test_experts_hit_against_draws() -> None:
    rng = np.random.default_rng(5)
    for tokens in (1, 8, 100):
        hits = [
            len({e for _ in range(tokens) for e in rng.choice(64, 6, replace=False).tolist()})
            for _ in range(300)
        ]
        assert float(experts_hit(64.0, 6.0, tokens)) == pytest.approx(np.mean(hits), rel=0.02)
    assert float(experts_hit(256.0, 8.0, 1.0)) == pytest.approx(8.0)
    assert float(experts_hit(256.0, 8.0, 1e6)) == pytest.approx(256.0)


def test_imbalance_of_chance_against_draws() -> None:
    rng = np.random.default_rng(7)
    even = RATES._replace(skew=0.0)
    # 32 ranks, 64 picks each: the largest of 32 Poisson numbers over their mean
    drawn = np.mean(rng.poisson(64.0, (4000, 32)).max(axis=1)) / 64.0
    assert float(imbalance(32.0, 256.0, 32 * 64.0, even)) == pytest.approx(drawn, rel=0.07)
    assert float(imbalance(1.0, 256.0, 100.0)) == 1.0
    assert float(imbalance(8.0, 256.0, 1.0, even)) <= 8.0


def test_all_reduce_of_large_messages_is_bound_by_the_link() -> None:
    size = 1e9
    found = float(reduce_seconds(size, 8.0, H100))
    assert found == pytest.approx(
        2 * 7 / 8 * size / (float(H100.link) * float(RATES.link)), rel=0.01
    )
    assert float(reduce_seconds(size, 1.0, H100)) == 0.0


def test_all_reduce_of_small_messages_takes_microseconds() -> None:
    # one-shot all-reduces of 8 GPUs on NVSwitch take 6-15 us
    assert 6e-6 < float(reduce_seconds(8192.0, 8.0, H100)) < 15e-6


def test_all_reduce_beyond_the_domain_pays_the_network() -> None:
    within, beyond = reduce_seconds(1e8, np.array([8.0, 16.0]), H100)
    # two domains exchange an eighth of the bytes over each NIC
    assert beyond - within > 2 * 0.5 * 1e8 / 8 / float(H100.network)
    assert float(reduce_seconds(1e8, 16.0, GB200)) < within * 1.2


def test_all_to_all_within_and_beyond_the_domain() -> None:
    size = 1e8
    inside = float(exchange_seconds(size, 8.0, H100))
    assert inside == pytest.approx(
        7 / 8 * size / (float(H100.link) * float(RATES.link)) + float(RATES.exchange)
    )
    outside = float(exchange_seconds(size, 64.0, H100))
    assert outside > 56 / 64 * size / float(H100.network)
    assert float(exchange_seconds(size, 1.0, H100)) == 0.0


def test_a_gpu_without_links_works_alone() -> None:
    alone = H100._replace(link=0.0, network=0.0)
    one = EIGHT._replace(tensor=1, expert_tensor=1)
    terms = step_terms(LLAMA, alone, one, 8.0, 8.0, 1e4, 0.0)
    assert seconds(terms) == seconds(step_terms(LLAMA, H100, one, 8.0, 8.0, 1e4, 0.0))


def test_low_latency_exchange_of_128_tokens() -> None:
    # DeepEP's low-latency kernels, 128 tokens of 7,168 to 8 experts over 64 H800: dispatch in
    # FP8 173 us, combine in BF16 314 us (README of DeepEP)
    size = 128 * 8 * 7168.0
    dispatch = float(exchange_seconds(size, 64.0, H100))
    combine = float(exchange_seconds(2 * size, 64.0, H100))
    assert dispatch + combine == pytest.approx((173 + 314) * 1e-6, rel=0.15)


def test_terms_of_an_operator_vanish_with_its_cause() -> None:
    terms = step_terms(LLAMA, H100, EIGHT._replace(tensor=1, expert_tensor=1), 8.0, 8.0, 0.0, 0.0)
    for name in ("experts", "decode", "prefill", "reduce", "exchange", "overhead"):
        assert float(getattr(terms, name)) == 0.0, name
    assert float(step_terms(DEEPSEEK, H100, WIDE, 64.0, 64.0, 0.0, 0.0).exchange) > 0.0


def test_decode_attention_reads_kv_once() -> None:
    one = step_terms(LLAMA, H100, EIGHT, 8.0, 8.0, 80000.0, 0.0)
    read = 80000.0 * 80 * 2 * 8 * 128 / 8
    assert float(one.decode) == pytest.approx(
        read / (float(H100.bandwidth) * float(RATES.memory_kv))
    )
    half = step_terms(LLAMA, H100, EIGHT._replace(kv_bits=4.0), 8.0, 8.0, 80000.0, 0.0)
    assert float(half.decode) == pytest.approx(float(one.decode) / 2)


def test_latent_attention_is_bound_by_arithmetic_on_one_rank() -> None:
    # 128 heads x (512 + 512 + 64) x 2 FLOP against 576 x 2 bytes of KV in BF16: 242 FLOP/byte,
    # about the ratio of H100's rates (FlashMLA: both limits are met)
    wide = WIDE._replace(kv_bits=16.0)
    terms = step_terms(DEEPSEEK, H100, wide, 32.0, 32.0, 32 * 8192.0, 0.0)
    flops = 2 * 128 * (2 * 512 + 64) * 61 * 8192.0
    assert float(terms.decode) >= flops / (float(H100.bf16) * 0.7)


def test_windows_limit_attention() -> None:
    oss = library_architecture("gpt_oss_120b")
    layout = Layout(1, 1, 1, 1, 1, 16.0, 4.25, 16.0, 16.0)
    full = oss._replace(windowed=0.0)
    windowed = float(step_terms(oss, H100, layout, 8.0, 8.0, 8 * 65536.0, 0.0).decode)
    alike = float(step_terms(full, H100, layout, 8.0, 8.0, 8 * 65536.0, 0.0).decode)
    assert windowed / alike == pytest.approx(0.5 + 0.5 * 128 / 65536)


def test_prefill_attention_is_quadratic() -> None:
    short = step_terms(LLAMA, H100, EIGHT, 4096.0, 1.0, 0.0, 4096.0**2 / 2)
    long = step_terms(LLAMA, H100, EIGHT, 8192.0, 1.0, 0.0, 8192.0**2 / 2)
    assert float(long.prefill) == pytest.approx(4 * float(short.prefill))


def test_the_busiest_data_rank_sets_the_pace() -> None:
    even = step_terms(DEEPSEEK, H100, WIDE, 3200.0, 0.0, 0.0, 0.0)
    uneven = step_terms(DEEPSEEK, H100, WIDE, 3200.0, 0.0, 0.0, 0.0, busiest=3200.0)
    assert float(uneven.dense) > float(even.dense)
    assert float(uneven.experts) == float(even.experts)


def test_corrections_multiply_their_term() -> None:
    plain = step_terms(DEEPSEEK, H100, WIDE, 512.0, 512.0, 1e6, 1e6, NONE, 1e-3)
    for name in Terms._fields:
        scaled = step_terms(
            DEEPSEEK, H100, WIDE, 512.0, 512.0, 1e6, 1e6, Corrections(**{name: 2.0}), 1e-3
        )
        assert float(getattr(scaled, name)) == pytest.approx(2 * float(getattr(plain, name)))
        assert seconds(scaled) == pytest.approx(seconds(plain) + float(getattr(plain, name)))


def test_every_step_takes_longer_with_more_to_do() -> None:
    sizes = np.array([1.0, 2, 8, 32, 128, 500, 2000, 8000, 32000])
    for architecture, layout in ((LLAMA, EIGHT), (DEEPSEEK, WIDE)):
        found = step_seconds(step_terms(architecture, H100, layout, sizes, 1.0, 0.0, 0.0))
        assert (np.diff(found) > 0).all()


def test_drafts_against_the_geometric_series() -> None:
    # Leviathan et al., 2023, equation 1: (1 - a^(g + 1)) / (1 - a) tokens a step
    assert 1 + float(accepted_tokens(4.0, 0.8)) == pytest.approx((1 - 0.8**5) / 0.2)
    assert float(accepted_tokens(0.0, 0.8)) == 0.0
    assert float(accepted_tokens(3.0, 1.0)) == pytest.approx(3.0, rel=1e-6)
    # arXiv:2505.09343, section 2.3.3: one drafted token, accepted in 80-90 %, gives 1.8 times
    assert 1 + float(accepted_tokens(1.0, 0.85)) == pytest.approx(1.85)


def test_a_draft_costs_a_layer_and_the_head() -> None:
    terms = step_terms(DEEPSEEK, H100, WIDE, 64.0, 32.0, 0.0, 0.0, NONE, 1e-3)
    body = seconds(terms) - float(terms.head) - 1e-3
    assert float(draft_seconds(DEEPSEEK, terms, 2.0)) == pytest.approx(
        2 * (body / 61 + float(terms.head))
    )


def test_copies_for_one_domain_pass_once() -> None:
    """Of 8 experts picked over 4 nodes of 8 GPUs: nodes that hold any, counted one by one."""
    nodes = np.random.default_rng(1).integers(0, 4, (200_000, 8))
    other = nodes != 0
    held = np.stack([(nodes == node).any(axis=1) for node in (1, 2, 3)], axis=1)
    counted = held.sum() / other.sum()
    assert float(gathered_share(32.0, H100, 8.0)) == pytest.approx(counted, rel=0.01)
