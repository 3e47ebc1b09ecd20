"""Parameters, KV and operations against published figures."""

from __future__ import annotations

import numpy as np
import pytest

from firsttoken.serving import perf_weights as weights
from firsttoken.serving.parts import library_architecture
from firsttoken.serving.perf_memory import kv_capacity, replica_gpus
from firsttoken.serving.system import Architecture, Hardware, Layout

KIB = 1024.0

# Counted by the Hugging Face hub from the safetensors of each repository (billions).
TOTALS = {
    "llama3_1_8b": 8.03,
    "llama3_1_70b": 70.55,
    "llama3_1_405b": 405.85,
    "qwen2_5_72b": 72.71,
    "qwen3_32b": 32.76,
    "qwen3_30b_a3b": 30.53,
    "qwen3_235b": 235.09,
    "mixtral_8x7b": 46.70,
    "mixtral_8x22b": 140.63,
    "gpt_oss_120b": 116.83,
    "gemma_3_27b": 27.01,
    "phi_4": 14.66,
}


@pytest.mark.parametrize(("model", "billions"), TOTALS.items())
def test_totals_are_those_of_the_published_weights(model: str, billions: float) -> None:
    found = weights.counts(library_architecture(model))
    assert float(found.total) == pytest.approx(billions * 1e9, rel=0.001)


def test_deepseek_v3_has_671_billion_parameters_37_of_them_active() -> None:
    # arXiv:2412.19437: 671B total, 37B activated (36.6B without the input embedding)
    found = weights.counts(library_architecture("deepseek_v3"))
    assert float(found.total) == pytest.approx(671e9, rel=0.001)
    embedded = 129280 * 7168
    assert float(found.active) - embedded == pytest.approx(36.6e9, rel=0.005)


def test_one_layer_of_prediction_weighs_14_billion_with_its_embeddings() -> None:
    # README of DeepSeek-V3: 685B on the hub are 671B and 14B of the prediction module, which
    # carries copies of the input embedding and of the output head
    found = weights.counts(library_architecture("deepseek_v3"))
    assert float(found.mtp) + 2 * 129280 * 7168 == pytest.approx(14e9, rel=0.05)


@pytest.mark.parametrize(
    ("model", "kilobytes"),
    # Insights into DeepSeek-V3, arXiv:2505.09343, table 1, BF16
    [("deepseek_v3", 70.272), ("qwen2_5_72b", 327.680), ("llama3_1_405b", 516.096)],
)
def test_kv_bytes_of_a_token(model: str, kilobytes: float) -> None:
    assert float(weights.kv_bytes(library_architecture(model), 16.0)) == kilobytes * 1000.0


def test_kv_of_llama_70b_is_320_kib() -> None:
    # 80 layers x 8 heads x 128 x 2 (key, value) x 2 bytes
    assert float(weights.kv_bytes(library_architecture("llama3_1_70b"), 16.0)) == 320.0 * KIB


@pytest.mark.parametrize(
    ("model", "gigaflops"),
    # arXiv:2505.09343, table 2: training cost a token at 4,096 tokens, MLA and GQA causal
    [("deepseek_v3", 250.0), ("llama3_1_405b", 2448.0), ("deepseek_v2", 155.0)],
)
def test_training_operations_of_a_token(model: str, gigaflops: float) -> None:
    architecture = library_architecture(model)
    forward = (
        float(weights.token_flops(architecture))
        + 2.0 * float(weights.counts(architecture).head)
        + 4096 / 2 * float(weights.pair_flops(architecture))
    )
    assert 3.0 * forward == pytest.approx(gigaflops * 1e9, rel=0.012)


def test_mtp_layers_and_windows_change_what_they_should() -> None:
    gemma = library_architecture("gemma_3_27b")
    short = float(weights.kv_bytes(gemma, 16.0, 512.0))
    long = float(weights.kv_bytes(gemma, 16.0, 131072.0))
    assert short == float(weights.kv_bytes(gemma, 16.0))
    # Gemma 3, arXiv:2503.19786: five of six layers see 1,024 tokens
    share = float(gemma.windowed)
    assert long == pytest.approx(short * (1.0 - share * (1.0 - 1024.0 / 131072.0)))


def test_ranks_hold_their_share() -> None:
    llama = library_architecture("llama3_1_70b")
    one = Layout(1, 1, 1, 1, 1, 8.0, 8.0, 8.0, 8.0)
    eight = one._replace(tensor=8, expert_tensor=8)
    assert float(weights.weight_bytes(llama, eight)) == pytest.approx(
        float(weights.weight_bytes(llama, one)) / 8.0
    )
    assert float(weights.kv_rank_bytes(llama, eight)) == float(weights.kv_bytes(llama, 8.0)) / 8.0
    # 16 ranks and 8 heads: every head lies on two ranks
    wide = one._replace(tensor=16, expert_tensor=16)
    assert float(weights.kv_rank_bytes(llama, wide)) == float(weights.kv_rank_bytes(llama, eight))


def test_a_latent_lies_on_every_tensor_rank() -> None:
    deepseek = library_architecture("deepseek_v3")
    layout = Layout(8, 1, 1, 1, 8, 8.0, 8.0, 8.0, 8.0)
    assert float(weights.kv_rank_bytes(deepseek, layout)) == float(weights.kv_bytes(deepseek, 8.0))


def test_data_ranks_repeat_attention_and_spread_experts() -> None:
    deepseek = library_architecture("deepseek_v3")
    found = weights.counts(deepseek)
    layout = Layout(1, 1, 8, 1, 8, 8.0, 8.0, 8.0, 8.0)
    expected = (
        float(found.attention)
        + float(found.dense)
        + float(found.experts) / 8
        + float(found.embedding) * 2
    )
    assert float(weights.weight_bytes(deepseek, layout)) == pytest.approx(expected)


def hardware(memory: float) -> Hardware:
    return Hardware(1e15, 2e15, 0.0, memory, 3e12, 700.0, 70.0, 300.0, 8.0, 4.5e11, 5e10)


def test_capacity_is_what_the_weights_leave() -> None:
    llama = library_architecture("llama3_1_70b")
    layout = Layout(4, 1, 1, 4, 1, 16.0, 16.0, 16.0, 16.0)
    room = float(kv_capacity(llama, hardware(80e9), layout))
    free = 4 * (0.9 * 80e9) - 2.0 * float(weights.counts(llama).total)
    assert room == pytest.approx(free / (320.0 * KIB))
    assert float(kv_capacity(llama, hardware(30e9), layout)) < 0.0


def test_fixed_states_take_room_by_sequence() -> None:
    qwen = library_architecture("qwen3_5_397b")
    layout = Layout(8, 1, 1, 8, 1, 8.0, 8.0, 8.0, 8.0)
    alone = float(kv_capacity(qwen, hardware(140e9), layout, 4096.0, 0.0))
    many = float(kv_capacity(qwen, hardware(140e9), layout, 4096.0, 100.0))
    held = 100 * float(weights.state_bytes(qwen))
    lost = (alone - many) * float(weights.kv_rank_bytes(qwen, layout)) * 8
    assert lost == pytest.approx(held)
    # 45 layers of 64 heads x 128 x 128 numbers in FP32 (model card of Qwen3.5)
    assert float(weights.state_bytes(qwen)) == 45 * 64 * 128 * 128 * 4


def test_arrays_broadcast() -> None:
    llama = library_architecture("llama3_1_8b")
    layout = Layout(np.array([1.0, 2.0, 4.0]), 1, 1, np.array([1.0, 2.0, 4.0]), 1, 8, 8, 8, 8)
    assert weights.weight_bytes(llama, layout).shape == (3,)
    assert kv_capacity(llama, hardware(80e9), layout).shape == (3,)
    assert replica_gpus(layout).tolist() == [1.0, 2.0, 4.0]
    both = Architecture(*(np.array([x, x]) for x in llama))
    assert np.asarray(weights.counts(both).total).shape == (2,)
